//! What reading any bytes as the output of IOR, mdtest or HACC-IO must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use tarazu_workload::bench_output::{Placement, parse};

/// An output is refused with a reason, or its parameters are translated or refused. Whether it was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let benchmark = match parse("input", bytes) {
        Ok(benchmark) => benchmark,
        Err(error) => {
            assert!(error.to_string().starts_with("input"), "an error names its file: {error}");
            return false;
        }
    };
    for placement in [None, Some(Placement { nodes: 2, ranks_per_node: 4 })] {
        if let Err(error) = benchmark.params(placement) {
            assert!(!error.to_string().is_empty());
        }
    }
    true
}
