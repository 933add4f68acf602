//! Uploads that go on where they stopped: a tus 1.0 server (<https://tus.io/protocols/resumable-upload>).
//!
//! Extensions: creation, creation-with-upload, termination, checksum (sha1, sha256), expiration,
//! concatenation. The upload's offset is the length of its file, so it survives any restart; what arrived
//! before a connection broke is kept.
//!
//! Invariants:
//! - One request at a time writes to an upload. A newer one ends the older: the connection the older came on
//!   is often dead, and only its client knows.
//! - A chunk with a checksum is kept whole or not at all.
//! - A creation that is refused leaves nothing behind.

pub(crate) mod api;
mod create;
pub(crate) mod files;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzzing;
mod headers;
pub(crate) mod partials;
mod receive;
mod room;
pub(crate) mod writers;

#[cfg(any(test, feature = "fuzzing"))]
pub use self::fuzzing::fuzz_headers;
