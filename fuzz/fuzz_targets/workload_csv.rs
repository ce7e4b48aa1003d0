#![no_main]
//! Any bytes as a table in the format tarazu.workload/1.

#[path = "../bodies/workload_csv.rs"]
mod workload_csv;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    workload_csv::check(data);
});
