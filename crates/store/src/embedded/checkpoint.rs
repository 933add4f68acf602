//! Two small files beside the segments: `meta`, written once, and `checkpoint`, which keeps what removed
//! segments knew.
//!
//! ```text
//! meta         anywire-log 1\nepoch 1f0c93ab\n
//! checkpoint   | ANYWCKP1 | epoch u32 | rules u64 | floor u64 | reserved u64
//!              | channels u32 | (length u8, name, trimmed through u64, was ephemeral u8)…
//!              | keys u32 | (key)… | crc u32 |
//! ```

use std::{fs, io, path::Path};

use anywire_log::{Channel, Epoch, Offset};

use crate::embedded::{
    disk,
    segment::{
        error::FileError,
        segment_index::{Input, KeyRecord, put_keys, put_text, size},
    },
};

const MAGIC: &[u8; 8] = b"ANYWCKP1";
const META_FIRST_LINE: &str = "anywire-log 1";

/// What is state on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Checkpoint {
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

    fn encode(&self, epoch: Epoch) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&epoch.get().to_le_bytes());
        for number in [self.rules, self.floor.get(), self.reserved] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&size(self.channels.len()).to_le_bytes());
        for trimmed in &self.channels {
            put_text(&mut out, trimmed.channel.as_str());
            out.extend_from_slice(&trimmed.through.get().to_le_bytes());
            out.push(u8::from(trimmed.was_ephemeral));
        }
        put_keys(&mut out, &self.keys);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(path: &Path, epoch: Epoch) -> Result<Option<Self>, FileError> {
        let Some(bytes) = read_if_there(path)? else { return Ok(None) };
        let damaged = |detail| FileError::Damaged { path: path.to_owned(), at: 0, detail };
        let Some((content, crc)) = bytes.split_last_chunk::<4>() else {
            return Err(damaged("it is cut off"));
        };
        if !content.starts_with(MAGIC) || crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return Err(damaged("its checksum is wrong"));
        }
        let mut input = Input(&content[MAGIC.len()..]);
        if input.u32() != Some(epoch.get()) {
            return Err(damaged("it belongs to another log"));
        }
        Self::decode(&mut input).map(Some).ok_or_else(|| damaged("its lengths are wrong"))
    }

    fn decode(input: &mut Input<'_>) -> Option<Self> {
        let (rules, floor, reserved) = (input.u64()?, Offset::new(input.u64()?), input.u64()?);
        let mut channels = Vec::new();
        for _ in 0..input.u32()? {
            channels.push(Trimmed {
                channel: input.channel()?,
                through: Offset::new(input.u64()?),
                was_ephemeral: input.u8()? == 1,
            });
        }
        Some(Self { rules, floor, reserved, channels, keys: input.keys()? })
    }
}

/// Reads the epoch of a directory; `None` if it has none yet.
pub(crate) fn read_epoch(path: &Path) -> Result<Option<Epoch>, FileError> {
    let Some(bytes) = read_if_there(path)? else { return Ok(None) };
    let damaged = |detail| FileError::Damaged { path: path.to_owned(), at: 0, detail };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let rest =
        text.strip_prefix(META_FIRST_LINE).ok_or_else(|| damaged("it is not of this version's format"))?;
    let digits = rest.strip_prefix("\nepoch ").and_then(|rest| rest.strip_suffix('\n'));
    let epoch =
        digits.filter(|digits| digits.len() == 8).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    epoch.map(|epoch| Some(Epoch::new(epoch))).ok_or_else(|| damaged("it names no epoch"))
}

pub(crate) fn write_epoch(path: &Path, epoch: Epoch) -> io::Result<()> {
    disk::replace(path, format!("{META_FIRST_LINE}\nepoch {epoch}\n").as_bytes())
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, FileError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let channel = |name: &str| Channel::new(name).expect("a name");
        Checkpoint {
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
        write_epoch(&path, Epoch::new(0x1f0c_93ab)).expect("it can be written");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "anywire-log 1\nepoch 1f0c93ab\n");
        assert_eq!(read_epoch(&path).expect("it can be read"), Some(Epoch::new(0x1f0c_93ab)));
        for wrong in ["", "anywire-log 2\nepoch 1f0c93ab\n", "anywire-log 1\nepoch 1f0c93a\n"] {
            fs::write(&path, wrong).expect("it can be written");
            assert!(read_epoch(&path).is_err(), "{wrong:?}");
        }
    }
}
