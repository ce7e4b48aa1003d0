//! Minimum-cost flow and placement against proven optima, and against twins too simple to be wrong.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

mod check;
mod networks;
mod oracles;
mod placements;
mod refused;
mod twin;

/// Random instances of a property: those of the quick tier, or of the long one.
fn cases() -> proptest::test_runner::Config {
    let quick = proptest::test_runner::Config { failure_persistence: None, ..Default::default() };
    match std::env::var_os("TARAZU_FULL") {
        Some(_) => proptest::test_runner::Config { cases: quick.cases.max(10_000), ..quick },
        None => quick,
    }
}
