//! Two small files beside the segments: `meta`, written once, and `checkpoint`, which keeps what removed
//! segments knew.
//!
//! ```text
//! meta         anywire-log 1\nepoch 1f0c93ab\nmanifest\n
//! checkpoint   | ANYWCKP2 | epoch u32 | number u64 | rules u64 | floor u64 | reserved u64
//!              | channels u32 | (length u8, name, trimmed through u64, was ephemeral u8)…
//!              | keys u32 | (key)… | crc u32 |
//! ```

use std::{io, path::Path};

use anywire_log::{Channel, Epoch, Offset};

use crate::embedded::{
    checksummed::{self, Magic},
    disk,
    segment::{
        error::FileError,
        segment_index::{Input, KeyRecord, put_keys, put_text, size},
    },
};

const MAGIC: &Magic = b"ANYWCKP2";
/// Of before checkpoints had numbers.
const MAGIC_UNNUMBERED: &Magic = b"ANYWCKP1";
const META_FIRST_LINE: &str = "anywire-log 1";
const MANIFEST_LINE: &str = "manifest\n";

/// What is state on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Counts checkpoints, so that an older copy is noticed.
    pub(crate) number: u64,
    /// A hash of the retention rules in force when it was written.
    pub(crate) rules: u64,
    /// Channels that are in no segment and not listed count as trimmed up to here.
    pub(crate) floor: Offset,
    /// Offsets up to here may be in use.
    pub(crate) reserved: u64,
    /// Channels whose `trimmed_through` is not `floor`.
    pub(crate) channels: Vec<Trimmed>,
    /// Keys of segments that are gone.
    pub(crate) keys: Vec<KeyRecord>,
}

/// What a channel lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trimmed {
    pub(crate) channel: Channel,
    pub(crate) through: Offset,
    /// By the rules then it was ephemeral, after it had been durable: if it is durable again, what it had
    /// meanwhile is lost.
    pub(crate) was_ephemeral: bool,
}

impl Checkpoint {
    pub(crate) fn write(&self, path: &Path, epoch: Epoch) -> io::Result<()> {
        disk::replace(path, &self.encode(epoch))
    }

    pub(crate) fn encode(&self, epoch: Epoch) -> Vec<u8> {
        let mut out = checksummed::begin(MAGIC, epoch);
        for number in [self.number, self.rules, self.floor.get(), self.reserved] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&size(self.channels.len()).to_le_bytes());
        for trimmed in &self.channels {
            put_text(&mut out, trimmed.channel.as_str());
            out.extend_from_slice(&trimmed.through.get().to_le_bytes());
            out.push(u8::from(trimmed.was_ephemeral));
        }
        put_keys(&mut out, &self.keys);
        checksummed::end(out)
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(path: &Path, epoch: Epoch) -> Result<Option<Self>, FileError> {
        let known = [MAGIC, MAGIC_UNNUMBERED];
        checksummed::read(path, epoch, known, |input, magic| Self::decode(input, magic == MAGIC))
    }

    pub(crate) fn decode(input: &mut Input<'_>, numbered: bool) -> Option<Self> {
        let number = if numbered { input.u64()? } else { 0 };
        let (rules, floor, reserved) = (input.u64()?, Offset::new(input.u64()?), input.u64()?);
        let mut channels = Vec::new();
        for _ in 0..input.u32()? {
            channels.push(Trimmed {
                channel: input.channel()?,
                through: Offset::new(input.u64()?),
                was_ephemeral: input.u8()? == 1,
            });
        }
        Some(Self { number, rules, floor, reserved, channels, keys: input.keys()? })
    }
}

/// What `meta` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) epoch: Epoch,
    /// Whether there is a manifest: not yet in a directory of before there were any.
    pub(crate) has_manifest: bool,
}

/// Reads what a directory is; `None` if it is new.
pub(crate) fn read_meta(path: &Path) -> Result<Option<Meta>, FileError> {
    let Some(bytes) = disk::read_if_there(path).map_err(FileError::io(path))? else { return Ok(None) };
    let damaged = |detail| FileError::Damaged { path: path.to_owned(), at: 0, detail };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let rest =
        text.strip_prefix(META_FIRST_LINE).ok_or_else(|| damaged("it is not of this version's format"))?;
    let line = rest.strip_prefix("\nepoch ").and_then(|rest| rest.split_once('\n'));
    let (digits, further) = line.ok_or_else(|| damaged("it names no epoch"))?;
    if !["", MANIFEST_LINE].contains(&further) {
        return Err(damaged("it has a line that is not of this version's format"));
    }
    let digits = Some(digits).filter(|digits| digits.len() == 8);
    let epoch = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let epoch = epoch.ok_or_else(|| damaged("it names no epoch"))?;
    Ok(Some(Meta { epoch: Epoch::new(epoch), has_manifest: !further.is_empty() }))
}

pub(crate) fn write_meta(path: &Path, meta: Meta) -> io::Result<()> {
    let manifest = if meta.has_manifest { MANIFEST_LINE } else { "" };
    disk::replace(path, format!("{META_FIRST_LINE}\nepoch {}\n{manifest}", meta.epoch).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn checkpoint() -> Checkpoint {
        let channel = |name: &str| Channel::new(name).expect("a name");
        Checkpoint {
            number: 4,
            rules: 7,
            floor: Offset::new(3),
            reserved: 65_536,
            channels: vec![
                Trimmed { channel: channel("a"), through: Offset::new(9), was_ephemeral: false },
                Trimmed { channel: channel("b"), through: Offset::new(0), was_ephemeral: true },
            ],
            keys: vec![KeyRecord { key: "k".into(), fingerprint: 5, first: 8, count: 2, time: -1 }],
        }
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written_and_any_wrong_byte_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("checkpoint");
        let epoch = Epoch::new(1);
        assert_eq!(Checkpoint::read(&path, epoch).expect("no file is no error"), None);
        checkpoint().write(&path, epoch).expect("it can be written");
        assert_eq!(Checkpoint::read(&path, epoch).expect("it can be read"), Some(checkpoint()));
        let bytes = fs::read(&path).expect("it is there");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            fs::write(&path, &wrong).expect("it can be written");
            assert!(Checkpoint::read(&path, epoch).is_err(), "byte {at}");
            fs::write(&path, &bytes[..at]).expect("it can be written");
            assert!(Checkpoint::read(&path, epoch).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_epoch_is_a_line_of_text() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("meta");
        for (has_manifest, text) in
            [(false, "anywire-log 1\nepoch 1f0c93ab\n"), (true, "anywire-log 1\nepoch 1f0c93ab\nmanifest\n")]
        {
            let meta = Meta { epoch: Epoch::new(0x1f0c_93ab), has_manifest };
            write_meta(&path, meta).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
            assert_eq!(read_meta(&path).expect("it can be read"), Some(meta));
        }
        for wrong in [
            "",
            "anywire-log 2\nepoch 1f0c93ab\n",
            "anywire-log 1\nepoch 1f0c93a\n",
            "anywire-log 1\nepoch 1f0c93ab",
            "anywire-log 1\nepoch 1f0c93ab\nmanifes",
        ] {
            fs::write(&path, wrong).expect("it can be written");
            assert!(read_meta(&path).is_err(), "{wrong:?}");
        }
    }
}
