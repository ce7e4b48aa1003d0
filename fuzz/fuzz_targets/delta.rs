#![no_main]
//! Any bytes as a delta from a table.

#[path = "../bodies/delta.rs"]
mod delta;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    delta::check(data);
});
