//! Running the command as a real process, for all tests that do.

use std::process::{Command, Output};

pub(crate) fn tarazu(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("tarazu starts")
}

/// What it prints where it succeeds.
pub(crate) fn stdout(arguments: &[&str]) -> String {
    let output = tarazu(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tarazu {arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).expect("text")
}
