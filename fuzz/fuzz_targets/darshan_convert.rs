#![no_main]
//! The same inputs as for `darshan_plain`, turned into workloads.

#[path = "../bodies/convert.rs"]
mod convert;
#[path = "../bodies/plain.rs"]
mod plain;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(bytes) = plain::build(data) else { return };
    if let Ok(log) = tarazu_darshan::Log::from_bytes("input", &bytes) {
        convert::convert(&log);
    }
});
