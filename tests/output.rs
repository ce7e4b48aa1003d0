//! Every tool of the command where its output goes nowhere: a reader that has gone is no failure, a full disk is
//! one, and neither is a panic.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const LOG: &str = "traces/darshan/ckpt-fpp-n16-lustre.darshan";

/// One call of each tool and form that prints data.
const TOOLS: [&[&str]; 12] = [
    &["sim", "--seeds", "2"],
    &["sim", "--seeds", "2", "--output", "json"],
    &["sim", "--seeds", "2", "--output", "csv"],
    &["sim", "--list-generators"],
    &["sim", "flows", "sim/tests/data/simgrid/tiny.json", "sim/tests/data/simgrid/tiny.csv"],
    &[
        "sim",
        "flows",
        "sim/tests/data/simgrid/tiny.json",
        "sim/tests/data/simgrid/tiny.csv",
        "--output",
        "json",
    ],
    &["trace", "show", LOG],
    &["trace", "show", LOG, "--output", "json"],
    &["trace", "show", LOG, LOG, LOG],
    &["trace", "convert", LOG, "--out", "-"],
    &["config", "show", "--origin"],
    &["config", "show", "--output", "json"],
];

/// Runs with the given standard output and keeps standard error.
fn run(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarazu"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdout(stdout).stderr(Stdio::piped());
    command.output().expect("tarazu starts")
}

fn full_disk() -> Option<File> {
    let device = Path::new("/dev/full");
    if !device.exists() {
        // Not `eprintln!`: the test harness would keep that to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: /dev/full is absent");
        return None;
    }
    Some(File::options().write(true).open(device).expect("/dev/full opens"))
}

#[test]
fn a_closed_pipe_is_a_quiet_success() {
    for arguments in TOOLS {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = run(arguments, writer);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked") && !errors.contains("pipe"), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_full_disk_is_an_error() {
    for arguments in TOOLS {
        let Some(full) = full_disk() else { return };
        let output = run(arguments, full);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains("cannot write"), "{arguments:?}: {errors}");
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}

#[test]
fn messages_that_cannot_be_written_change_no_exit_code() {
    let cases: [(&[&str], i32); 4] = [
        (&["sim", "no-such.darshan"], 1),
        (&["trace", "show", "no-such.darshan"], 1),
        (&["sim", "--seeds", "2"], 0),
        (&["trace", "convert", LOG, "--out", "-"], 0),
    ];
    for (arguments, code) in cases {
        let Some(full) = full_disk() else { return };
        let mut command = Command::new(env!("CARGO_BIN_EXE_tarazu"));
        command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        let status = command.stdout(Stdio::null()).stderr(full).status().expect("tarazu starts");
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}
