//! Completion times against SimGrid's, on every scenario of `tests/data/simgrid` (see its README).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use tarazu_sim::flows::{finish_times_s, read_platform, read_transfers};

/// The tolerance that the oracles are made for: their times are printed with nine decimals.
const ABSOLUTE_S: f64 = 1e-6;
const RELATIVE: f64 = 1e-9;

/// Scenarios that must be there, so that an empty directory does not pass.
const SCENARIOS: usize = 6;

#[test]
fn every_transfer_finishes_when_the_oracle_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/simgrid");
    let mut platforms: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    platforms.sort();
    assert_eq!(platforms.len(), SCENARIOS);
    for platform in platforms {
        let file = platform.with_extension("csv");
        let network = read_platform(&platform).unwrap();
        let transfers = read_transfers(&file, &network).unwrap();
        let finish_s = finish_times_s(network, &transfers).unwrap();
        let mut oracle = csv::Reader::from_path(&file).unwrap();
        let column = oracle.headers().unwrap().iter().position(|name| name == "finish_s").unwrap();
        let expected: Vec<f64> =
            oracle.records().map(|record| record.unwrap()[column].parse().unwrap()).collect();
        assert_eq!(finish_s.len(), expected.len());
        for (index, (&ours, &theirs)) in finish_s.iter().zip(&expected).enumerate() {
            assert!(
                (ours - theirs).abs() <= ABSOLUTE_S + RELATIVE * theirs,
                "{}: transfer at position {index} finishes at {ours}, not {theirs}",
                file.display()
            );
        }
    }
}
