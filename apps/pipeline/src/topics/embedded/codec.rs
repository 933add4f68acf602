//! How a record of an embedded topic stands in the log.
//!
//! ```text
//!  offset u64
//!  key length u32, u32::MAX: none │ key
//!  number of headers u32, and for each
//!    name length u32 │ name │ value length u32, u32::MAX: none │ value
//!  0: no value, 1: a value │ value
//! ```
//! Numbers are little-endian. The time is the event's.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::topics::NewRecord;

/// The length of what is not there.
const NONE: u32 = u32::MAX;

/// The bytes of a record.
pub(super) fn encode(offset: u64, record: &NewRecord) -> Bytes {
    let value = record.value.as_ref().map_or(0, Bytes::len);
    let mut out = BytesMut::with_capacity(size(record) + value);
    out.put_u64_le(offset);
    put_maybe(&mut out, record.key.as_ref());
    out.put_u32_le(length(record.headers.len()));
    for (name, value) in &record.headers {
        put(&mut out, name.as_bytes());
        put_maybe(&mut out, value.as_ref());
    }
    out.put_u8(u8::from(record.value.is_some()));
    out.put_slice(record.value.as_deref().unwrap_or_default());
    out.freeze()
}

/// The offset and the record; none where the bytes are not ours.
pub(super) fn decode(mut bytes: Bytes) -> Option<(u64, NewRecord)> {
    let offset = bytes.try_get_u64_le().ok()?;
    let key = take_maybe(&mut bytes)?;
    let mut headers = Vec::new();
    for _ in 0..bytes.try_get_u32_le().ok()? {
        let name = text(&mut bytes)?;
        headers.push((name, take_maybe(&mut bytes)?));
    }
    let value = (bytes.try_get_u8().ok()? == 1).then_some(bytes);
    Some((offset, NewRecord { key, headers, value }))
}

/// How many bytes a record has beside its value.
fn size(record: &NewRecord) -> usize {
    let bytes = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + bytes(value) + 8).sum();
    headers + bytes(&record.key) + 17
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32_le(length(bytes.len()));
    out.put_slice(bytes);
}

fn put_maybe(out: &mut BytesMut, bytes: Option<&Bytes>) {
    match bytes {
        Some(bytes) => put(out, bytes),
        None => out.put_u32_le(NONE),
    }
}

/// Records are far smaller than 4 GiB: `record_bytes_max` is checked before.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(NONE - 1)
}

fn take(bytes: &mut Bytes, length: u32) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

/// What may not be there; none where the bytes are not ours.
fn take_maybe(bytes: &mut Bytes) -> Option<Option<Bytes>> {
    match bytes.try_get_u32_le().ok()? {
        NONE => Some(None),
        length => take(bytes, length).map(Some),
    }
}

fn text(bytes: &mut Bytes) -> Option<String> {
    let length = bytes.try_get_u32_le().ok()?;
    String::from_utf8(take(bytes, length)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> NewRecord {
        let header =
            |name: &str, value: Option<&'static [u8]>| (name.to_owned(), value.map(Bytes::from_static));
        NewRecord {
            key: Some(Bytes::from_static(b"")),
            headers: vec![header("a", Some(b"\x00\xff")), header("a", Some(b"")), header("b", None)],
            value: Some(Bytes::from_static(b"\r\n\x00")),
        }
    }

    #[test]
    fn every_kind_of_record_comes_back_as_it_was() {
        let tombstone = NewRecord { value: None, ..full() };
        for record in [NewRecord::default(), full(), tombstone] {
            assert_eq!(decode(encode(7, &record)), Some((7, record)));
        }
    }

    #[test]
    fn bytes_that_end_too_early_are_no_record() {
        let whole = encode(7, &full());
        let head = whole.len() - 3;
        for end in 0..head {
            assert_eq!(decode(whole.slice(..end)), None, "cut at {end}");
        }
    }
}
