//! Searches bytes that break the promise of `anywire_jobs::fuzzing::tus_headers`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_jobs::fuzzing::tus_headers(data));
