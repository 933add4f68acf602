//! Searches bytes that break the promise of `anywire_app::fuzzing::query`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_app::fuzzing::query(data));
