#![no_main]
//! Any bytes as the output of IOR, mdtest or HACC-IO.

#[path = "../bodies/bench_output.rs"]
mod bench_output;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    bench_output::check(data);
});
