#![no_main]
//! Any bytes as a message of an agent or a node.

#[path = "../bodies/wire.rs"]
mod wire;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wire::check(data);
});
