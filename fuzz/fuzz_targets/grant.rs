//! Searches bytes that break the promise of `anywire_access::fuzzing::grant`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_access::fuzzing::grant(data));
