//! Searches bytes that break the promise of `anywire_csv_report::fuzzing::report`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_csv_report::fuzzing::report(data));
