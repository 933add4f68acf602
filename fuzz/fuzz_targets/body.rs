//! Searches bytes that break the promise of `anywire_app::fuzzing::body`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_app::fuzzing::body(data));
