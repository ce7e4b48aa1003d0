#![no_main]
//! Any bytes as a Darshan log.

#[path = "../bodies/log.rs"]
mod log;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    log::read(data, None);
});
