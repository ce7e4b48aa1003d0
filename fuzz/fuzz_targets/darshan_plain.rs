#![no_main]
//! Any bytes as the job, names and records of an uncompressed Darshan log with a sound header.

#[path = "../bodies/log.rs"]
mod log;
#[path = "../bodies/plain.rs"]
mod plain;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = plain::build(data) {
        log::read(&bytes, Some(bytes.len()));
    }
});
