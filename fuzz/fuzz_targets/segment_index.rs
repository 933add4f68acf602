//! Searches bytes that break the promise of `anywire_store::fuzzing::segment_index`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_store::fuzzing::segment_index(data));
