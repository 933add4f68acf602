//! The index of a sealed segment: where each channel's events stand in it.
//!
//! ```text
//! | header 80 | summary (one checksum) | zeros up to a multiple of 4096 | block 4096 | block 4096 | …
//!
//! header   0          8         12      16     24          32          40         48     56      64
//!          | ANYWIDX1 | version | epoch | salt | log bytes | last time | reserved | used | count | …
//!            8 bytes    u32       u32     u64    u64         i64         u64        u64    u64
//!          64         68        72            76           80
//!          | channels | summary | summary crc | header crc |
//!            u32        u32       u32           u32
//!
//! block    255 entries of 16 bytes, in the order of the summary's channels, crc u32, 12 zeros
//! entry    | offset − base u32 | position u32 | end bytes u32 | time − base time u32 |
//! ```
//!
//! The file holds nothing that the segment does not: when it is missing or damaged it is made again by
//! reading the segment. Blocks are read one at a time, when a reader needs them.

use std::collections::BTreeMap;

use anywire_log::Channel;

use crate::embedded::segment::layout::{SegmentHeader, VERSION, i64_at, u32_at, u64_at};

const MAGIC: &[u8; 8] = b"ANYWIDX1";
pub(crate) const HEADER_BYTES: usize = 80;
pub(crate) const BLOCK_BYTES: usize = 4096;
pub(crate) const BLOCK_ENTRIES: u32 = 255;
const ENTRY_BYTES: usize = 16;
const BLOCK_CRC_AT: usize = BLOCK_ENTRIES as usize * ENTRY_BYTES;

/// One event in a channel's part of a segment; offset and time count from the segment's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Entry {
    pub(crate) offset: u32,
    pub(crate) position: u32,
    /// Record bytes of the channel in this segment up to the end of this one.
    pub(crate) end_bytes: u32,
    pub(crate) time: u32,
}

/// A key under which a batch was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    pub(crate) key: String,
    pub(crate) fingerprint: u64,
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) time: i64,
}

/// What a segment holds beside its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) keys: Vec<KeyRecord>,
    /// Channels and the greatest offset each had lost: by a trim that was asked for, or by the time the index
    /// was written.
    pub(crate) trims: Vec<(Channel, u64)>,
    /// Offsets up to here may be in use.
    pub(crate) reserved: u64,
    /// The greatest offset that a frame took.
    pub(crate) used: u64,
    pub(crate) last_time: i64,
}

/// One channel's part of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelSummary {
    pub(crate) channel: Channel,
    pub(crate) count: u32,
    /// The first and the last entry: what is needed of a channel nearly always.
    pub(crate) first: Entry,
    pub(crate) last: Entry,
}

/// An index file without its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) notes: Notes,
    /// In the order of their entries.
    pub(crate) channels: Vec<ChannelSummary>,
    pub(crate) blocks_at: u64,
}

/// The entries of a segment, by channel, in the order in which the file has them.
pub(crate) type EntryMap = BTreeMap<Channel, Vec<Entry>>;

/// The whole index file.
pub(crate) fn encode(header: &SegmentHeader, log_bytes: u64, entries: &EntryMap, notes: &Notes) -> Vec<u8> {
    let summary = encode_summary(entries, notes);
    let blocks = entries.values().map(Vec::len).sum::<usize>().div_ceil(BLOCK_ENTRIES as usize);
    let mut out = encode_header(header, log_bytes, entries, notes, &summary);
    // All at once: an index has megabytes, and a list that grows by doubling copies them, to fresh pages.
    out.reserve_exact(summary.len() + (1 + blocks) * BLOCK_BYTES);
    out.extend_from_slice(&summary);
    out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for entry in entries.values().flatten() {
        for number in [entry.offset, entry.position, entry.end_bytes, entry.time] {
            block.extend_from_slice(&number.to_le_bytes());
        }
        if block.len() == BLOCK_CRC_AT {
            seal_block(&mut block, &mut out);
        }
    }
    if !block.is_empty() {
        seal_block(&mut block, &mut out);
    }
    out
}

fn seal_block(block: &mut Vec<u8>, out: &mut Vec<u8>) {
    block.resize(BLOCK_CRC_AT, 0);
    let crc = crc32c::crc32c(block);
    block.extend_from_slice(&crc.to_le_bytes());
    block.resize(BLOCK_BYTES, 0);
    out.append(block);
}

fn encode_header(
    header: &SegmentHeader,
    log_bytes: u64,
    entries: &EntryMap,
    notes: &Notes,
    summary: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&header.epoch.to_le_bytes());
    out.extend_from_slice(&header.salt.to_le_bytes());
    out.extend_from_slice(&log_bytes.to_le_bytes());
    out.extend_from_slice(&notes.last_time.to_le_bytes());
    out.extend_from_slice(&notes.reserved.to_le_bytes());
    out.extend_from_slice(&notes.used.to_le_bytes());
    let count: usize = entries.values().map(Vec::len).sum();
    out.extend_from_slice(&(count as u64).to_le_bytes());
    out.extend_from_slice(&size(entries.len()).to_le_bytes());
    out.extend_from_slice(&size(summary.len()).to_le_bytes());
    out.extend_from_slice(&crc32c::crc32c(summary).to_le_bytes());
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn encode_summary(entries: &EntryMap, notes: &Notes) -> Vec<u8> {
    let mut out = Vec::new();
    for (channel, entries) in entries {
        put_text(&mut out, channel.as_str());
        out.extend_from_slice(&size(entries.len()).to_le_bytes());
        for entry in [entries.first(), entries.last()] {
            let entry = entry.copied().unwrap_or_default();
            for number in [entry.offset, entry.position, entry.end_bytes, entry.time] {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
    out.extend_from_slice(&size(notes.trims.len()).to_le_bytes());
    for (channel, through) in &notes.trims {
        put_text(&mut out, channel.as_str());
        out.extend_from_slice(&through.to_le_bytes());
    }
    put_keys(&mut out, &notes.keys);
    out
}

/// Reads the start of an index file; the answer is how many bytes of it the summary needs. `None` if the file
/// does not belong to this state of the segment.
pub(crate) fn summary_end(head: &[u8], header: &SegmentHeader, log_bytes: u64) -> Option<usize> {
    let head = head.get(..HEADER_BYTES)?;
    let sound = head.starts_with(MAGIC) && crc32c::crc32c(&head[..76]) == u32_at(head, 76);
    let ours = u32_at(head, 8) == VERSION && u64_at(head, 16) == header.salt && u64_at(head, 24) == log_bytes;
    (sound && ours).then(|| HEADER_BYTES + u32_at(head, 68) as usize)
}

/// Reads header and summary; `None` if they are damaged.
pub(crate) fn decode(bytes: &[u8], file_bytes: u64) -> Option<Summary> {
    let summary = bytes.get(HEADER_BYTES..)?;
    if crc32c::crc32c(summary) != u32_at(bytes, 72) {
        return None;
    }
    let count = u64_at(bytes, 56);
    let blocks_at = bytes.len().next_multiple_of(BLOCK_BYTES) as u64;
    let blocks_bytes = count.div_ceil(u64::from(BLOCK_ENTRIES)).checked_mul(BLOCK_BYTES as u64)?;
    if file_bytes.checked_sub(blocks_at) != Some(blocks_bytes) {
        return None;
    }
    let mut input = Input(summary);
    let mut channels = Vec::new();
    for _ in 0..u32_at(bytes, 64) {
        let channel = input.channel()?;
        let count = input.u32()?;
        channels.push(ChannelSummary { channel, count, first: input.entry()?, last: input.entry()? });
    }
    let mut notes = Notes {
        last_time: i64_at(bytes, 32),
        reserved: u64_at(bytes, 40),
        used: u64_at(bytes, 48),
        ..Notes::default()
    };
    for _ in 0..input.u32()? {
        notes.trims.push((input.channel()?, input.u64()?));
    }
    notes.keys = input.keys()?;
    Some(Summary { notes, channels, blocks_at })
}

/// Reads a block; `None` if its checksum is wrong. Places behind the last entry hold zeros.
pub(crate) fn decode_block(bytes: &[u8; BLOCK_BYTES]) -> Option<Vec<Entry>> {
    if crc32c::crc32c(&bytes[..BLOCK_CRC_AT]) != u32_at(bytes, BLOCK_CRC_AT) {
        return None;
    }
    Some(bytes[..BLOCK_CRC_AT].chunks_exact(ENTRY_BYTES).map(entry_of).collect())
}

fn entry_of(bytes: &[u8]) -> Entry {
    Entry {
        offset: u32_at(bytes, 0),
        position: u32_at(bytes, 4),
        end_bytes: u32_at(bytes, 8),
        time: u32_at(bytes, 12),
    }
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("names and keys have at most 255 bytes"));
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn put_keys(out: &mut Vec<u8>, keys: &[KeyRecord]) {
    out.extend_from_slice(&size(keys.len()).to_le_bytes());
    for key in keys {
        put_text(out, &key.key);
        out.extend_from_slice(&key.fingerprint.to_le_bytes());
        out.extend_from_slice(&key.first.to_le_bytes());
        out.extend_from_slice(&key.count.to_le_bytes());
        out.extend_from_slice(&key.time.to_le_bytes());
    }
}

pub(crate) fn size(count: usize) -> u32 {
    u32::try_from(count).expect("a segment is smaller than 4 GiB, so are its parts")
}

/// Bytes that are read from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8).map(|bytes| u64_at(bytes, 0))
    }

    fn entry(&mut self) -> Option<Entry> {
        self.take(ENTRY_BYTES).map(entry_of)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.u8()?;
        std::str::from_utf8(self.take(length as usize)?).ok()
    }

    pub(crate) fn channel(&mut self) -> Option<Channel> {
        Channel::new(self.text()?).ok()
    }

    pub(crate) fn keys(&mut self) -> Option<Vec<KeyRecord>> {
        let mut keys = Vec::new();
        for _ in 0..self.u32()? {
            keys.push(KeyRecord {
                key: self.text()?.to_owned(),
                fingerprint: self.u64()?,
                first: self.u64()?,
                count: self.u32()?,
                time: self.take(8).map(|bytes| i64_at(bytes, 0))?,
            });
        }
        Some(keys)
    }
}
