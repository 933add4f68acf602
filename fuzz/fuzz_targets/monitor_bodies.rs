//! Searches bytes that break the promise of `anywire_monitor::fuzzing::monitor_bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_monitor::fuzzing::monitor_bodies(data));
