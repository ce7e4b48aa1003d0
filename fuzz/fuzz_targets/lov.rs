#![no_main]
//! Any bytes as the value of lustre.lov.

#[path = "../bodies/lov.rs"]
mod lov;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lov::check(data);
});
