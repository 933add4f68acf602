//! Searches bytes that break the promise of `anywire_access::fuzzing::keys`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_access::fuzzing::keys(data));
