//! Searches bytes that break the promise of `anywire_jobs::fuzzing::job_bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_jobs::fuzzing::job_bodies(data));
