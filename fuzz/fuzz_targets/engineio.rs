//! Searches bytes that break the promise of `anywire_protocol::fuzzing::engineio`.
//!
//! Knows: which function to call. Does not know: what it promises.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_protocol::fuzzing::engineio(data));
