//! Searches bytes that break the promise of `anywire_pipeline::fuzzing::csv_records`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_pipeline::fuzzing::csv_records(data));
