#![no_main]
//! Any bytes as a controller's event log.

#[path = "../bodies/event_log.rs"]
mod event_log;
// The reader belongs to the command, which is no library.
#[allow(dead_code, unused_imports)]
#[path = "../../src/record/mod.rs"]
mod record;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    event_log::check(data);
});
