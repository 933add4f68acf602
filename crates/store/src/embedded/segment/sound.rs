//! Makes the checksums of a segment's frames right, whatever the frames say: for fuzzing.

use crate::embedded::segment::layout::{
    FRAME_HEADER_BYTES, FRAME_MAGIC, FrameKind, RECORD_HEADER_BYTES, Seed, prefix_bytes, u32_at, u64_at,
};

/// Makes every frame from a position on sound that has room for its header.
pub(crate) fn make_sound(file: &mut [u8], mut at: usize, seed: Seed) {
    while file.len() - at >= FRAME_HEADER_BYTES {
        file[at..at + 4].copy_from_slice(&FRAME_MAGIC);
        let room = file.len() - at - FRAME_HEADER_BYTES;
        let body = (u32_at(file, at + 4) as usize).min(room);
        put(file, at + 4, body);
        frame(&mut file[at..at + FRAME_HEADER_BYTES + body], at, seed);
        at += FRAME_HEADER_BYTES + body;
    }
}

fn frame(frame: &mut [u8], at: usize, seed: Seed) {
    let body = frame.len() - FRAME_HEADER_BYTES;
    let Some(kind) = FrameKind::of(frame[20] % 5) else { return };
    frame[20] = kind as u8;
    if body < 8 + frame[21] as usize {
        frame[21] = 0;
    }
    let prefix = FRAME_HEADER_BYTES + prefix_bytes(kind, frame[21], body);
    let first = u64_at(frame, 24);
    let records = records(&mut frame[prefix..], first, seed);
    put(frame, 8, records);
    let at = u32::try_from(at).unwrap_or_default();
    let crc = seed.frame(at, &frame[FRAME_HEADER_BYTES..prefix]);
    frame[40..44].copy_from_slice(&crc.to_le_bytes());
    let crc = seed.frame(at, &frame[..44]);
    frame[44..FRAME_HEADER_BYTES].copy_from_slice(&crc.to_le_bytes());
}

/// As many records as there is room for; the last one has all that is left.
fn records(mut rest: &mut [u8], first: u64, seed: Seed) -> usize {
    let mut count = 0;
    while rest.len() >= RECORD_HEADER_BYTES {
        let room = rest.len() - RECORD_HEADER_BYTES;
        let mut content = (u32_at(rest, 4) as usize).min(room);
        if room - content < RECORD_HEADER_BYTES {
            content = room;
        }
        put(rest, 4, content);
        let (record, after) = rest.split_at_mut(RECORD_HEADER_BYTES + content);
        let offset = first.wrapping_add(u64::from(u32_at(record, 8)));
        let crc = seed.record(offset, &record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        (rest, count) = (after, count + 1);
    }
    count
}

fn put(bytes: &mut [u8], at: usize, number: usize) {
    bytes[at..at + 4].copy_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}
