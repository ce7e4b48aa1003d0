#![no_main]
//! Any bytes as Lustre's statistics.

#[path = "../bodies/lustre_text.rs"]
mod lustre_text;
#[path = "../../src/agent/lustre/text.rs"]
#[allow(dead_code, unreachable_pub)]
mod text;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lustre_text::check(data);
});
