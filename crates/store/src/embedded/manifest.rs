//! Which segments there are, so that one that is missing or cut off is noticed.
//!
//! ```text
//! manifest  | ANYWMAN1 | epoch u32 | checkpoint u64
//!           | segments u32
//!           | (base u64, generation u32, salt u64, state u8, bytes u64, through u64, crc u32)…
//!           | losses u32   | (first u64, last u64, place length u16, place)… | crc u32 |
//! ```
//!
//! It is written anew whenever a segment begins, is sealed, is rewritten or goes, and when the log is closed.
//! `checkpoint` is the number of the newest checkpoint then: an older one is no checkpoint of this log.
//!
//! Invariant: a segment is in the manifest before the first event is written to it, and out of it before its
//! file is removed.

use std::{io, path::Path};

use anywire_log::{Epoch, Offset};

use crate::embedded::{
    checksummed::{self, Magic},
    disk,
    losses::{Loss, Losses},
    segment::{
        error::FileError,
        file::{self, Seal, Segment},
        segment_index::{Input, size},
    },
    shared::Shared,
};

pub(crate) const MANIFEST_FILE: &str = "manifest";
const MAGIC: &Magic = b"ANYWMAN1";

/// What should be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// The number of the newest checkpoint when it was written; 0 if there was none.
    pub(crate) checkpoint: u64,
    pub(crate) segments: Vec<Listed>,
    /// What was lost, and accepted.
    pub(crate) losses: Vec<Loss>,
}

/// A segment that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) base: u64,
    pub(crate) generation: u32,
    pub(crate) salt: u64,
    /// How it ends, unless it was being written.
    pub(crate) seal: Option<Seal>,
}

impl Listed {
    pub(crate) fn of(segment: &Segment) -> Self {
        let header = &segment.header;
        let seal = segment.seal.get().copied();
        Self { base: header.base, generation: header.generation, salt: header.salt, seal }
    }

    pub(crate) fn file_name(&self) -> String {
        file::file_name(self.base, self.generation)
    }
}

impl Manifest {
    pub(crate) fn encode(&self, epoch: Epoch) -> Vec<u8> {
        let mut out = checksummed::begin(MAGIC, epoch);
        out.extend_from_slice(&self.checkpoint.to_le_bytes());
        out.extend_from_slice(&size(self.segments.len()).to_le_bytes());
        for segment in &self.segments {
            let (state, seal) = match segment.seal {
                None => (0, Seal::default()),
                Some(seal) if seal.crc.is_none() => (1, seal),
                Some(seal) => (2, seal),
            };
            out.extend_from_slice(&segment.base.to_le_bytes());
            out.extend_from_slice(&segment.generation.to_le_bytes());
            out.extend_from_slice(&segment.salt.to_le_bytes());
            out.push(state);
            out.extend_from_slice(&seal.bytes.to_le_bytes());
            out.extend_from_slice(&seal.through.to_le_bytes());
            out.extend_from_slice(&seal.crc.unwrap_or_default().to_le_bytes());
        }
        out.extend_from_slice(&size(self.losses.len()).to_le_bytes());
        for loss in &self.losses {
            out.extend_from_slice(&loss.first.get().to_le_bytes());
            out.extend_from_slice(&loss.last.get().to_le_bytes());
            let place = &loss.place.as_bytes()[..loss.place.len().min(usize::from(u16::MAX))];
            out.extend_from_slice(&u16::try_from(place.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(place);
        }
        checksummed::end(out)
    }

    /// Reads the file; `None` if there is none.
    pub(crate) fn read(path: &Path, epoch: Epoch) -> Result<Option<Self>, FileError> {
        checksummed::read(path, epoch, [MAGIC], |input, _| Self::decode(input))
    }

    pub(crate) fn decode(input: &mut Input<'_>) -> Option<Self> {
        let checkpoint = input.u64()?;
        let mut segments = Vec::new();
        for _ in 0..input.u32()? {
            let (base, generation, salt, state) = (input.u64()?, input.u32()?, input.u64()?, input.u8()?);
            let (bytes, through, crc) = (input.u64()?, input.u64()?, input.u32()?);
            let seal = (state > 0).then_some(Seal { bytes, through, crc: (state > 1).then_some(crc) });
            segments.push(Listed { base, generation, salt, seal });
        }
        let mut losses = Vec::new();
        for _ in 0..input.u32()? {
            let (first, last) = (Offset::new(input.u64()?), Offset::new(input.u64()?));
            let length = usize::from(input.u16()?);
            let place = String::from_utf8_lossy(input.take(length)?).into_owned();
            losses.push(Loss { first, last, channel: None, place });
        }
        Some(Self { checkpoint, segments, losses })
    }

    /// The one that stands for this segment, if there is one.
    pub(crate) fn find(&self, base: u64, generation: u32) -> Option<&Listed> {
        self.segments.iter().find(|listed| (listed.base, listed.generation) == (base, generation))
    }
}

/// Writes the manifest as things stand.
pub(crate) fn write(shared: &Shared) -> io::Result<()> {
    write_changed(shared, |_segments| {}, || {})
}

/// Writes the manifest as things will stand when `then` is done, which is done before anybody else writes
/// one.
pub(crate) fn write_changed(
    shared: &Shared,
    change: impl FnOnce(&mut Vec<Listed>),
    then: impl FnOnce(),
) -> io::Result<()> {
    let checkpoint = shared.manifest.lock();
    let mut manifest = {
        let index = shared.index.read();
        let segments = index.segments.values().map(|segment| Listed::of(segment)).collect();
        Manifest { checkpoint: *checkpoint, segments, losses: accepted(&index.losses) }
    };
    change(&mut manifest.segments);
    manifest.segments.sort_unstable_by_key(|listed| (listed.base, listed.generation));
    disk::replace(&shared.path(MANIFEST_FILE), &manifest.encode(shared.epoch))?;
    then();
    Ok(())
}

/// What is known for good: what a reader or the scrub found is found again.
fn accepted(losses: &Losses) -> Vec<Loss> {
    losses.iter().filter(|loss| loss.channel.is_none()).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_any_wrong_byte_is_noticed() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(MANIFEST_FILE);
        let epoch = Epoch::new(7);
        assert_eq!(Manifest::read(&path, epoch).expect("no file is no error"), None);
        let listed = |base, seal| Listed { base, generation: 1, salt: 99, seal };
        let manifest = Manifest {
            checkpoint: 3,
            segments: vec![
                listed(1, Some(Seal { bytes: 100, through: 9, crc: Some(5) })),
                listed(10, Some(Seal { bytes: 200, through: 19, crc: None })),
                listed(20, None),
            ],
            losses: vec![Loss {
                first: Offset::new(4),
                last: Offset::new(8),
                channel: None,
                place: "a file".into(),
            }],
        };
        disk::replace(&path, &manifest.encode(epoch)).expect("it can be written");
        assert_eq!(Manifest::read(&path, epoch).expect("it can be read"), Some(manifest));
        assert!(Manifest::read(&path, Epoch::new(8)).is_err(), "of another log");
        let bytes = std::fs::read(&path).expect("it is there");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            std::fs::write(&path, &wrong).expect("it can be written");
            assert!(Manifest::read(&path, epoch).is_err(), "byte {at}");
            std::fs::write(&path, &bytes[..at]).expect("it can be written");
            assert!(Manifest::read(&path, epoch).is_err(), "cut at {at}");
        }
    }
}
