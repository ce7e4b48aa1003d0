#![no_main]
//! Any bytes as what client processes told the node daemon.

#[path = "../bodies/spool.rs"]
mod spool;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    spool::check(data);
});
