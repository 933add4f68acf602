//! Searches bytes that break the promise of `anywire_redis_emitter::fuzzing::emission`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| anywire_redis_emitter::fuzzing::emission(data));
