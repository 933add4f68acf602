//! How the log's bytes look on the disk.
//!
//! ```text
//! segment file:  | header 56 | frame | frame | …            | zeros (allocated ahead) |
//!
//! header   0        8        12       16      24       32       40          48       52      56
//!          | ANYWLOG1 | version | epoch | salt  | base   | covers | base time | genera | crc    |
//!            8 bytes    u32       u32     u64     u64      u64      i64 (ms)    u32      u32
//!
//! frame    0      4      8         12       16      20     21        24       32     40       44       48
//!          | AWF1 | body | records | events | group | kind | key len | offset | time | prefix | header |
//!            u32    u32    u32       u32      u32     u8     u8        u64      i64    crc      crc
//!          then the body:
//!          of a batch        | fingerprint u64 | key |   only with a key
//!                            | record | record | …
//!          of a trim         | channel |
//!
//! record   0      4       8      12     13        14       16
//!          | crc  | bytes | step | kind | channel | name | 0 | channel | name | payload |
//!            u32    u32     u32    u8     len u8    len u8
//! ```
//!
//! All numbers are little-endian. `bytes` counts channel, name and payload. An event's offset is the frame's
//! plus `step`. `events` is how many offsets the batch took, the ephemeral ones included. `group` is the
//! position at which the write began that this frame was part of: everything before it was synced when the
//! frame was written, which tells a torn last write from damage.
//!
//! Every checksum is CRC-32C and starts from the segment's random salt, and from the frame's position or the
//! event's offset: bytes that stand in the wrong place, or that somebody published as a payload, are no frame
//! and no record.

use anywire_log::Payload;

pub(crate) const VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER_BYTES: usize = 56;
pub(crate) const FRAME_HEADER_BYTES: usize = 48;
pub(crate) const RECORD_HEADER_BYTES: usize = 16;
const SEGMENT_MAGIC: &[u8; 8] = b"ANYWLOG1";
pub(super) const FRAME_MAGIC: [u8; 4] = *b"AWF1";

/// The start of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) epoch: u32,
    /// Drawn at random for each file: what all its checksums start from.
    pub(crate) salt: u64,
    /// No event in the file has a smaller offset.
    pub(crate) base: u64,
    /// Not zero in a file that others were merged into: it stands for every segment with a base from `base`
    /// to here.
    pub(crate) covers: u64,
    /// No event in the file is older.
    pub(crate) base_time: i64,
    /// How often the events were rewritten; the greater one wins.
    pub(crate) generation: u32,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.covers.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.base_time.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.generation.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..52]);
        bytes[52..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; `None` if these bytes are none of this version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..SEGMENT_HEADER_BYTES)?;
        let sound = bytes.starts_with(SEGMENT_MAGIC) && u32_at(bytes, 8) == VERSION;
        if !sound || crc32c::crc32c(&bytes[..52]) != u32_at(bytes, 52) {
            return None;
        }
        Some(Self {
            epoch: u32_at(bytes, 12),
            salt: u64_at(bytes, 16),
            base: u64_at(bytes, 24),
            covers: u64_at(bytes, 32),
            base_time: i64_at(bytes, 40),
            generation: u32_at(bytes, 48),
        })
    }

    pub(crate) fn seed(&self) -> Seed {
        Seed(crc32c::crc32c(&self.salt.to_le_bytes()))
    }
}

/// What a segment's checksums start from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed(u32);

impl Seed {
    pub(super) fn frame(self, position: u32, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0 ^ position, bytes)
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is enough to tell neighbours apart")]
    pub(super) fn record(self, offset: u64, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(!self.0 ^ offset as u32, bytes)
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    /// A batch of events.
    Batch = 1,
    /// Offsets up to the frame's may be in use.
    Reserve = 2,
    /// Everything on a channel up to the frame's offset was removed.
    Trim = 3,
    /// The engine was closed; no offset after the frame's was used. Counts as the very last frame only.
    Closed = 4,
}

impl FrameKind {
    pub(super) fn of(byte: u8) -> Option<Self> {
        [Self::Batch, Self::Reserve, Self::Trim, Self::Closed].into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// The start of a frame, without what only the codec needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: FrameKind,
    /// The first offset of a batch; what it means for the other kinds says [`FrameKind`].
    pub(crate) offset: u64,
    pub(crate) time: i64,
    /// How many offsets the batch took.
    pub(crate) events: u32,
    /// How many records are in the frame.
    pub(crate) records: u32,
}

/// Writes frames into a buffer that will stand at a position of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoder {
    pub(crate) seed: Seed,
    /// Where the buffer's first byte will stand.
    pub(crate) position: u32,
}

/// Where a record stands in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) position: u32,
    pub(crate) bytes: u32,
}

/// A frame whose header is not written yet.
#[derive(Debug)]
pub(crate) struct OpenFrame {
    start: usize,
    key_bytes: u8,
}

/// The content of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) offset: u64,
    pub(crate) binary: bool,
    pub(crate) channel: &'a str,
    pub(crate) name: &'a str,
    pub(crate) payload: &'a [u8],
}

impl Record<'_> {
    pub(crate) fn is_binary(payload: &Payload) -> bool {
        matches!(payload, Payload::Binary(_))
    }
}

impl Encoder {
    /// Begins a frame; records follow, then [`Encoder::finish`].
    pub(crate) fn begin(&self, out: &mut Vec<u8>, key: Option<(&str, u64)>) -> OpenFrame {
        let start = out.len();
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
        let mut key_bytes = 0;
        if let Some((key, fingerprint)) = key {
            out.extend_from_slice(&fingerprint.to_le_bytes());
            out.extend_from_slice(key.as_bytes());
            key_bytes = u8::try_from(key.len()).expect("a key has at most 255 bytes");
        }
        OpenFrame { start, key_bytes }
    }

    /// Adds a record to a frame whose first offset is `first`.
    pub(crate) fn record(&self, out: &mut Vec<u8>, first: u64, record: &Record<'_>) -> Place {
        let start = out.len();
        let content = record.channel.len() + record.name.len() + record.payload.len();
        let mut head = [0; RECORD_HEADER_BYTES];
        head[4..8].copy_from_slice(&length(content).to_le_bytes());
        let step = u32::try_from(record.offset - first).expect("a batch has fewer than 2^32 events");
        head[8..12].copy_from_slice(&step.to_le_bytes());
        head[12] = u8::from(record.binary);
        head[13] = u8::try_from(record.channel.len()).expect("a channel has at most 255 bytes");
        head[14] = u8::try_from(record.name.len()).expect("a name has at most 255 bytes");
        out.reserve(RECORD_HEADER_BYTES + content);
        out.extend_from_slice(&head);
        out.extend_from_slice(record.channel.as_bytes());
        out.extend_from_slice(record.name.as_bytes());
        out.extend_from_slice(record.payload);
        let crc = self.seed.record(record.offset, &out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        Place { position: self.position + length(start), bytes: length(RECORD_HEADER_BYTES + content) }
    }

    /// Writes the header of a frame that is complete otherwise.
    pub(crate) fn finish(&self, out: &mut [u8], frame: &OpenFrame, header: &FrameHeader) {
        let (head, body) = out[frame.start..].split_at_mut(FRAME_HEADER_BYTES);
        head[..4].copy_from_slice(&FRAME_MAGIC);
        head[4..8].copy_from_slice(&length(body.len()).to_le_bytes());
        head[8..12].copy_from_slice(&header.records.to_le_bytes());
        head[12..16].copy_from_slice(&header.events.to_le_bytes());
        head[16..20].copy_from_slice(&self.position.to_le_bytes());
        head[20] = header.kind as u8;
        head[21] = frame.key_bytes;
        head[24..32].copy_from_slice(&header.offset.to_le_bytes());
        head[32..40].copy_from_slice(&header.time.to_le_bytes());
        let position = self.position + length(frame.start);
        let prefix = &body[..prefix_bytes(header.kind, frame.key_bytes, body.len())];
        let crc = self.seed.frame(position, prefix);
        head[40..44].copy_from_slice(&crc.to_le_bytes());
        let crc = self.seed.frame(position, &head[..44]);
        head[44..].copy_from_slice(&crc.to_le_bytes());
    }

    /// Writes a frame that holds no events.
    pub(crate) fn control(&self, out: &mut Vec<u8>, kind: FrameKind, offset: u64, time: i64, body: &str) {
        let frame = self.begin(out, None);
        out.extend_from_slice(body.as_bytes());
        self.finish(out, &frame, &FrameHeader { kind, offset, time, events: 0, records: 0 });
    }
}

/// How many bytes a batch takes at most.
pub(crate) fn batch_bytes_max(key: Option<&str>, contents: impl Iterator<Item = usize>) -> u64 {
    let head = FRAME_HEADER_BYTES + key.map_or(0, |key| 8 + key.len());
    let records: usize = contents.map(|content| RECORD_HEADER_BYTES + content).sum();
    (head + records) as u64
}

/// A frame that was read and whose checksums, the records' too, are right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) header: FrameHeader,
    /// The position after it.
    pub(crate) end: usize,
    /// The key and fingerprint of a batch that has one.
    pub(crate) key: Option<(&'a str, u64)>,
    /// The channel, of a trim.
    pub(crate) channel: Option<&'a str>,
    records: &'a [u8],
    records_at: usize,
}

impl<'a> Frame<'a> {
    /// Reads the frame at a position of a whole segment file; `None` if there is no sound frame.
    pub(crate) fn read(file: &'a [u8], position: usize, seed: Seed) -> Option<Self> {
        Self::read_first(file.get(position..)?, position, seed)
    }

    /// Reads the frame that bytes begin with, which stand at a position of a segment file.
    pub(crate) fn read_first(bytes: &'a [u8], position: usize, seed: Seed) -> Option<Self> {
        let (header, raw) = read_header(bytes, position, seed)?;
        let body_at = position + FRAME_HEADER_BYTES;
        let end = body_at.checked_add(raw.body_bytes)?;
        let body = bytes.get(FRAME_HEADER_BYTES..end - position)?;
        let prefix = body.get(..prefix_bytes(header.kind, raw.key_bytes, body.len()))?;
        if seed.frame(u32::try_from(position).ok()?, prefix) != raw.prefix_crc {
            return None;
        }
        let mut frame = Self {
            header,
            end,
            key: None,
            channel: None,
            records: &body[prefix.len()..],
            records_at: body_at + prefix.len(),
        };
        if header.kind == FrameKind::Trim {
            frame.channel = Some(std::str::from_utf8(prefix).ok()?);
        } else if raw.key_bytes > 0 {
            frame.key = Some((std::str::from_utf8(&prefix[8..]).ok()?, u64_at(prefix, 0)));
        }
        frame.is_whole(seed).then_some(frame)
    }

    fn is_whole(&self, seed: Seed) -> bool {
        let mut rest = self.records;
        for _ in 0..self.header.records {
            let Some((_, after)) = split_record(rest, self.header.offset, seed) else { return false };
            rest = after;
        }
        rest.is_empty()
    }

    /// The records, each with its place in the file.
    pub(crate) fn records(&self) -> impl Iterator<Item = (Record<'a>, Place)> + use<'a> {
        let (first, mut rest, mut at) = (self.header.offset, self.records, self.records_at);
        std::iter::from_fn(move || {
            let bytes = RECORD_HEADER_BYTES + u32_at(rest.get(..RECORD_HEADER_BYTES)?, 4) as usize;
            let record = decode_record(rest.get(..bytes)?, first)?;
            let place = Place { position: length(at), bytes: length(bytes) };
            rest = &rest[bytes..];
            at += bytes;
            Some((record, place))
        })
    }
}

/// Whether a sound frame header after `damage` proves that what stands at `damage` had been synced.
pub(crate) fn is_proof_of_damage(file: &[u8], damage: usize, seed: Seed) -> bool {
    let candidates = memmem(&file[damage..]).map(|at| damage + at);
    candidates.filter_map(|at| read_header(file.get(at..)?, at, seed)).any(|(_, raw)| raw.group > damage)
}

/// What the header of a frame says whose body is damaged, and the position after it; `None` where the header
/// is damaged too, or the file ends within the frame.
pub(crate) fn damaged_frame(file: &[u8], position: usize, seed: Seed) -> Option<(FrameHeader, usize)> {
    let (header, raw) = read_header(file.get(position..)?, position, seed)?;
    let end = (position + FRAME_HEADER_BYTES).checked_add(raw.body_bytes)?;
    (end <= file.len()).then_some((header, end))
}

/// The position of the next sound frame from a position on.
pub(crate) fn next_frame(file: &[u8], from: usize, seed: Seed) -> Option<usize> {
    let rest = file.get(from..)?;
    memmem(rest).map(|at| from + at).find(|at| Frame::read(file, *at, seed).is_some())
}

fn memmem(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    (0..bytes.len().saturating_sub(3))
        .filter(|at| bytes[*at] == FRAME_MAGIC[0] && bytes[*at..*at + 4] == FRAME_MAGIC)
}

/// Reads one record whose place and offset are known from an index; `None` if something else stands there.
pub(crate) fn read_record(bytes: &[u8], offset: u64, seed: Seed) -> Option<Record<'_>> {
    let step = u64::from(u32_at(bytes.get(..RECORD_HEADER_BYTES)?, 8));
    let (record, rest) = split_record(bytes, offset.checked_sub(step)?, seed)?;
    rest.is_empty().then_some(record)
}

fn split_record(bytes: &[u8], first: u64, seed: Seed) -> Option<(Record<'_>, &[u8])> {
    let length = RECORD_HEADER_BYTES + u32_at(bytes.get(..RECORD_HEADER_BYTES)?, 4) as usize;
    let (record, rest) = (bytes.get(..length)?, &bytes[length..]);
    let decoded = decode_record(record, first)?;
    (seed.record(decoded.offset, &record[4..]) == u32_at(record, 0)).then_some((decoded, rest))
}

fn decode_record(record: &[u8], first: u64) -> Option<Record<'_>> {
    let (channel, name) = (record[13] as usize, record[14] as usize);
    let content = &record[RECORD_HEADER_BYTES..];
    let text = |range| content.get(range).and_then(|bytes| std::str::from_utf8(bytes).ok());
    Some(Record {
        offset: first.checked_add(u64::from(u32_at(record, 8)))?,
        binary: record[12] == 1,
        channel: text(0..channel)?,
        name: text(channel..channel + name)?,
        payload: content.get(channel + name..)?,
    })
}

struct RawHeader {
    body_bytes: usize,
    group: usize,
    key_bytes: u8,
    prefix_crc: u32,
}

/// How long the frame is that bytes begin with, which stand at a position of a segment file; `None` if there
/// is no sound header.
pub(crate) fn frame_bytes(bytes: &[u8], position: usize, seed: Seed) -> Option<usize> {
    let (_, raw) = read_header(bytes, position, seed)?;
    Some(FRAME_HEADER_BYTES + raw.body_bytes)
}

fn read_header(bytes: &[u8], position: usize, seed: Seed) -> Option<(FrameHeader, RawHeader)> {
    let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
    let crc = seed.frame(u32::try_from(position).ok()?, &bytes[..44]);
    if bytes[..4] != FRAME_MAGIC || crc != u32_at(bytes, 44) {
        return None;
    }
    let header = FrameHeader {
        kind: FrameKind::of(bytes[20])?,
        offset: u64_at(bytes, 24),
        time: i64_at(bytes, 32),
        events: u32_at(bytes, 12),
        records: u32_at(bytes, 8),
    };
    let raw = RawHeader {
        body_bytes: u32_at(bytes, 4) as usize,
        group: u32_at(bytes, 16) as usize,
        key_bytes: bytes[21],
        prefix_crc: u32_at(bytes, 40),
    };
    Some((header, raw))
}

/// How much of a body is not records.
pub(super) fn prefix_bytes(kind: FrameKind, key_bytes: u8, body_bytes: usize) -> usize {
    match kind {
        FrameKind::Batch if key_bytes > 0 => 8 + key_bytes as usize,
        FrameKind::Batch => 0,
        FrameKind::Reserve | FrameKind::Trim | FrameKind::Closed => body_bytes,
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a segment is smaller than 4 GiB")
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}
