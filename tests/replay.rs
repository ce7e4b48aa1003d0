//! Event logs: the service's code and the simulator's make the same tables of what a simulated controller heard.

use std::path::Path;
use std::process::Command;

fn tarazu(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tarazu")).args(arguments).output().expect("the command runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// A run with a sick target, canaries and several jobs: every kind of event that a simulated controller hears.
fn heard(log: &Path) {
    let log = log.to_str().expect("a plain path");
    let (success, text) = tarazu(&[
        "sim",
        "--policy",
        "tarazu",
        "--seeds",
        "1",
        "--sick",
        "11",
        "--sick-known-after",
        "never",
        "--canary",
        "--generate",
        "ior:nodes=4,ranks_per_node=4,block=256MiB,iterations=4,gap=30",
        "--event-log",
        log,
    ]);
    assert!(success, "{text}");
}

#[test]
fn a_simulated_controller_is_replayed_by_the_services_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("heard");
    heard(&log);
    let (success, text) = tarazu(&["replay", log.to_str().expect("a plain path")]);
    assert!(success, "{text}");
    let same = text.lines().filter(|line| line.ends_with("as recorded, and as simulated")).count();
    assert!(same >= 5, "{text}");
}

#[test]
fn a_log_that_says_something_else_is_found_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("heard");
    heard(&log);
    let whole = std::fs::read(&log).expect("the log");
    // Without its last table, as if the controller had been killed before it could write it down.
    let cut = folder.path().join("cut");
    std::fs::write(&cut, &whole[..whole.len() - 3]).expect("written");
    let (success, text) = tarazu(&["replay", cut.to_str().expect("a plain path")]);
    assert!(success && text.contains("was killed"), "{text}");
    // With one byte of that table's checksum changed.
    let mut other = whole;
    let place = other.len() - 6;
    other[place] ^= 1;
    let changed = folder.path().join("changed");
    std::fs::write(&changed, &other).expect("written");
    let (success, text) = tarazu(&["replay", changed.to_str().expect("a plain path")]);
    assert!(!success, "{text}");
}

#[test]
fn what_is_no_log_is_refused_by_name() {
    let (success, text) = tarazu(&["replay", "Cargo.toml"]);
    assert!(!success && text.contains("Cargo.toml"), "{text}");
}
