//! Searches bytes that break the promise of `anywire_protocol::fuzzing::names`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_protocol::fuzzing::names(data));
