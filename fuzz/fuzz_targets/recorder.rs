#![no_main]
//! Any bytes as the text of a Recorder trace.

#[path = "../bodies/recorder.rs"]
mod recorder;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    recorder::check(data);
});
