//! What must hold for any bytes in the files of a log: the bodies of fuzz targets in `/fuzz`. Checksums are
//! made right first, or nothing behind them would ever be looked at.

use std::path::Path;

use anywire_log::Epoch;

use crate::embedded::{
    checkpoint::Checkpoint,
    manifest::Manifest,
    segment::{
        layout::{SEGMENT_HEADER_BYTES, SegmentHeader, u64_at},
        scan::{Contents, salvage, scan},
        segment_index::{self, BLOCK_BYTES, BLOCK_ENTRIES, HEADER_BYTES, Input},
        sound::make_sound,
    },
};

#[cfg(test)]
#[path = "../../../../fuzz/smoke.rs"]
mod smoke;

const EPOCH: Epoch = Epoch::new(7);
const HEADER: SegmentHeader =
    SegmentHeader { epoch: 7, salt: 99, base: 1000, covers: 0, base_time: 5000, generation: 0 };

/// What a segment holds is read whole, or in so far as it can be and with what is lost.
pub fn segment(data: &[u8]) {
    let mut file = HEADER.encode().to_vec();
    file.extend_from_slice(data);
    make_sound(&mut file, SEGMENT_HEADER_BYTES, HEADER.seed());
    let path = Path::new("segment");
    let saved = salvage(&file, &HEADER, 0);
    check_contents(&saved, &file);
    for is_active in [false, true] {
        let Ok(found) = scan(path, &file, &HEADER, is_active) else { continue };
        check_contents(&found, &file);
        assert!(found.length + found.torn_bytes <= file.len() as u64);
        assert!(is_active || found.torn_bytes == 0);
        if !is_active {
            assert_eq!((found.entries, found.closed), (saved.entries.clone(), saved.closed));
        }
    }
}

fn check_contents(contents: &Contents, file: &[u8]) {
    assert!(contents.length <= file.len() as u64);
    for lost in &contents.lost {
        assert!(lost.at <= file.len() as u64 && lost.last.is_none_or(|last| last >= lost.first), "{lost:?}");
    }
    for entry in contents.entries.values().flatten() {
        assert!((entry.position as usize) < file.len() && entry.end_bytes as usize <= file.len());
    }
}

/// What stands before the content of a file that is written whole: magic and epoch.
const HEAD_BYTES: usize = 12;

/// A manifest and a checkpoint are understood as they would be written, or refused.
pub fn small_files(data: &[u8]) {
    if let Some(manifest) = Manifest::decode(&mut Input(data)) {
        let again = manifest.encode(EPOCH);
        let again = Manifest::decode(&mut Input(&again[HEAD_BYTES..])).expect("what was written can be read");
        assert_eq!((again.checkpoint, again.segments), (manifest.checkpoint, manifest.segments));
        assert_eq!(again.losses.len(), manifest.losses.len());
    }
    if let Some(checkpoint) = Checkpoint::decode(&mut Input(data), true) {
        let again = checkpoint.encode(EPOCH);
        assert_eq!(Checkpoint::decode(&mut Input(&again[HEAD_BYTES..]), true), Some(checkpoint));
    }
    let _understood_or_refused = Checkpoint::decode(&mut Input(data), false);
}

/// The head of an index file and its summary are understood, or refused.
pub fn segment_index(data: &[u8]) {
    let Some(summary) = data.get(HEADER_BYTES..) else { return };
    let mut file = segment_index::encode(&HEADER, 1, &Default::default(), &Default::default());
    // The numbers of the head are the input's, but for those that say whose index it is, and its lengths.
    file.truncate(HEADER_BYTES);
    file[32..68].copy_from_slice(&data[32..68]);
    file[68..72].copy_from_slice(&u32::try_from(summary.len()).unwrap_or_default().to_le_bytes());
    file[72..76].copy_from_slice(&crc32c::crc32c(summary).to_le_bytes());
    let crc = crc32c::crc32c(&file[..76]);
    file[76..].copy_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(summary);
    let end = segment_index::summary_end(&file, &HEADER, 1).expect("it is a sound head");
    assert_eq!(end, file.len());
    let blocks = u64_at(&file, 56).div_ceil(u64::from(BLOCK_ENTRIES));
    let blocks_at = end.next_multiple_of(BLOCK_BYTES) as u64;
    for file_bytes in [end as u64, blocks_at.saturating_add(blocks.saturating_mul(BLOCK_BYTES as u64))] {
        let Some(found) = segment_index::decode(&file, file_bytes) else { continue };
        assert_eq!((found.blocks_at, file_bytes >= blocks_at), (blocks_at, true));
    }
}

#[cfg(test)]
mod tests {
    use super::smoke::check;

    #[test]
    fn a_segment_keeps_its_promises_for_any_bytes() {
        check("segment", 5_000, super::segment);
    }

    #[test]
    fn manifests_and_checkpoints_keep_their_promises_for_any_bytes() {
        check("small_files", 5_000, super::small_files);
    }

    #[test]
    fn an_index_keeps_its_promises_for_any_bytes() {
        check("segment_index", 5_000, super::segment_index);
    }
}
