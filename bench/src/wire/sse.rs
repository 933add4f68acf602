//! Server-sent events, block by block.

/// One block: what stands between two empty lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub(crate) id: Option<&'a str>,
    pub(crate) event: Option<&'a str>,
    pub(crate) data: Option<&'a str>,
    /// Bytes of the block with its empty line.
    pub(crate) length: usize,
}

impl<'a> Block<'a> {
    /// Reads one block. `None`: its empty line has not come yet, or it is not UTF-8.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let end = memchr::memmem::find(bytes, b"\n\n")?;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut block = Self { id: None, event: None, data: None, length: end + 2 };
        for line in text.split('\n') {
            match line.split_once(": ") {
                Some(("id", value)) => block.id = Some(value),
                Some(("event", value)) => block.event = Some(value),
                Some(("data", value)) => block.data = Some(value),
                _ => {}
            }
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_one_by_one_at_every_split() {
        let text = b"retry: 1000\nid: e-1\n\nid: e-2\nevent: heartbeat\n\nevent: gap\ndata: {}\n\n";
        let first = Block { id: Some("e-1"), event: None, data: None, length: 21 };
        for split in 0..text.len() {
            assert_eq!(
                Block::parse(&text[..split]),
                (split >= 21).then(|| first.clone()),
                "split at {split}"
            );
        }
        assert_eq!(Block::parse(&text[21..]).and_then(|block| block.id), Some("e-2"));
        let gap = Block::parse(&text[46..]).expect("the last block is whole");
        assert_eq!((gap.event, gap.data), (Some("gap"), Some("{}")));
    }
}
