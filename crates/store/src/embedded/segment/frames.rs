//! Reads a sealed segment frame by frame, through a buffer of one size: a segment read whole takes as many
//! fresh pages as it has, and the system clears each of them first.

use std::{fs::File, os::unix::fs::FileExt, sync::atomic::Ordering};

use crate::embedded::{
    descriptors,
    segment::{
        error::FileError,
        file::Segment,
        layout::{self, FRAME_HEADER_BYTES, Frame, SEGMENT_HEADER_BYTES},
    },
};

/// How much is read at once. A frame may be larger, and is read whole then.
const PIECE_BYTES: usize = 256 << 10;

/// The frames of a segment, from the first on.
pub(crate) struct Frames<'a> {
    segment: &'a Segment,
    file: File,
    /// How long the segment is.
    length: usize,
    /// Where the next frame begins.
    at: usize,
    /// What is read of the file, and where that begins.
    piece: Vec<u8>,
    begin: usize,
}

impl<'a> Frames<'a> {
    /// Begins to read a segment.
    pub(crate) fn open(segment: &'a Segment) -> Result<Self, FileError> {
        let file = descriptors::open(&segment.path).map_err(FileError::io(&segment.path))?;
        let length = usize::try_from(segment.log_bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let at = SEGMENT_HEADER_BYTES;
        Ok(Self { segment, file, length, at, piece: Vec::new(), begin: at })
    }

    /// The next frame; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, FileError> {
        if self.at >= self.length {
            return Ok(None);
        }
        let (at, seed) = (self.at, self.segment.header.seed());
        self.read(FRAME_HEADER_BYTES)?;
        let bytes = layout::frame_bytes(&self.piece[at - self.begin..], at, seed);
        self.read(bytes.filter(|bytes| *bytes <= self.length - at).ok_or_else(|| self.damaged())?)?;
        let frame = Frame::read_first(&self.piece[at - self.begin..], at, seed);
        let frame = frame.ok_or_else(|| self.damaged())?;
        self.at = frame.end;
        Ok(Some(frame))
    }

    /// Has so many bytes of the next frame in the piece.
    fn read(&mut self, bytes: usize) -> Result<(), FileError> {
        let held = self.begin + self.piece.len() - self.at;
        if held >= bytes {
            return Ok(());
        }
        if bytes > self.length - self.at {
            return Err(self.damaged());
        }
        self.piece.drain(..self.at - self.begin);
        self.begin = self.at;
        self.piece.resize(bytes.max(PIECE_BYTES).min(self.length - self.at), 0);
        let read = self.file.read_exact_at(&mut self.piece[held..], (self.at + held) as u64);
        read.map_err(FileError::io(&self.segment.path))
    }

    fn damaged(&self) -> FileError {
        let detail = "what was written there cannot be read any more";
        FileError::Damaged { path: self.segment.path.clone(), at: self.at as u64, detail }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anywire_log::Timestamp;

    use super::*;
    use crate::embedded::segment::{
        file,
        layout::{Encoder, FrameHeader, FrameKind, Record},
    };

    /// A segment of a frame for each of these sizes of a payload, in a directory.
    fn segment(directory: &std::path::Path, payloads: &[usize]) -> Segment {
        let header = file::new_header(1, 1, Timestamp::from_millis(0)).expect("a header");
        let mut bytes = header.encode().to_vec();
        let encoder = Encoder { seed: header.seed(), position: 0 };
        for (offset, size) in (1..).zip(payloads) {
            let open = encoder.begin(&mut bytes, None);
            let payload = vec![b'x'; *size];
            let record = Record { offset, binary: true, channel: "c", name: "n", payload: &payload };
            encoder.record(&mut bytes, offset, &record);
            let header = FrameHeader { kind: FrameKind::Batch, offset, time: 0, events: 1, records: 1 };
            encoder.finish(&mut bytes, &open, &header);
        }
        let path = directory.join(file::file_name(1, 0));
        let length = bytes.len() as u64;
        // The room that a segment has behind what was written is no part of it.
        bytes.resize(bytes.len() + 5000, 0);
        fs::write(&path, bytes).expect("a file");
        Segment::new(header, path, length)
    }

    fn sizes(segment: &Segment) -> Result<Vec<usize>, FileError> {
        let mut frames = Frames::open(segment)?;
        let mut sizes = Vec::new();
        while let Some(frame) = frames.next()? {
            sizes.extend(frame.records().map(|(record, _)| record.payload.len()));
        }
        Ok(sizes)
    }

    #[test]
    fn frames_are_read_wherever_the_pieces_end_and_however_large_they_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut payloads: Vec<usize> = (0..400).map(|number| number * 37 % 4001).collect();
        payloads.extend([PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES, 0, 1, PIECE_BYTES - 200]);
        let segment = segment(directory.path(), &payloads);
        assert_eq!(sizes(&segment).expect("sound"), payloads);
    }

    #[test]
    fn damage_is_named_with_the_place_of_its_frame() {
        let directory = tempfile::tempdir().expect("a directory");
        let segment = segment(directory.path(), &[100, 200, 300]);
        let sound = fs::read(&segment.path).expect("a file");
        let second = SEGMENT_HEADER_BYTES
            + layout::frame_bytes(
                &sound[SEGMENT_HEADER_BYTES..],
                SEGMENT_HEADER_BYTES,
                segment.header.seed(),
            )
            .expect("a frame");
        for at in [second, second + 4, second + FRAME_HEADER_BYTES, second + 150] {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x40;
            fs::write(&segment.path, bytes).expect("a file");
            let found = sizes(&segment);
            let Err(FileError::Damaged { at: place, .. }) = found else { panic!("{at}: {found:?}") };
            assert_eq!(place, second as u64, "{at}");
        }
        fs::write(&segment.path, &sound[..second + 20]).expect("a file");
        assert!(matches!(sizes(&segment), Err(FileError::Io { .. })), "shorter than it was");
    }
}
