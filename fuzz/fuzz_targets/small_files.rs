//! Searches bytes that break the promise of `anywire_store::fuzzing::small_files`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_store::fuzzing::small_files(data));
