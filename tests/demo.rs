//! `tarazu demo` as a real process: it ends well and leaves nothing, also where it is interrupted.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Looks so often, and gives up after two minutes: machines that run tests are slow.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 1200;

fn start(folder: &Path, arguments: &[&str]) -> Child {
    let command = Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .arg("demo")
        .args(arguments)
        .env("TMPDIR", folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    command.expect("tarazu starts")
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        #[allow(clippy::disallowed_methods, reason = "a real process is waited for")]
        std::thread::sleep(LOOK);
    }
    panic!("{what} did not happen");
}

/// Processes whose log lies in a folder: all children of a demonstration there, and nobody else.
fn processes_of(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap().as_bytes().to_vec();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let log = fs::read_link(entry.path().join("fd/2")).unwrap_or_default();
        if log.as_os_str().as_encoded_bytes().starts_with(&name) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}

fn nothing_is_left(folder: &Path) {
    until("the end of all processes", || processes_of(folder).is_empty().then_some(()));
    let left: Vec<_> = fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn it_runs_all_situations_and_leaves_nothing() {
    let (folder, pages) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let page = pages.path().join("demo.html");
    let arguments = ["--quick", "--output", "json", "--html", page.to_str().unwrap()];
    let output = start(folder.path(), &arguments).wait_with_output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["schema"], "tarazu.demo/1");
    assert_eq!(report["rates_are_emulated"], true);
    let runs = report["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| format!("{} {}", run["situation"], run["policy"])).collect();
    let expected = ["none", "busy", "sick"]
        .map(|situation| ["lustre-rr", "tarazu"].map(|policy| format!("\"{situation}\" \"{policy}\"")));
    assert_eq!(names, expected.as_flattened());
    for run in runs {
        assert_eq!(run["files"], 48, "{run}");
        assert!(run["job_io_s"].as_f64().unwrap() > 0.0, "{run}");
        // Nothing is steered without tarazu, whatever it would have done.
        if run["policy"] == "lustre-rr" {
            assert_eq!(run["files_steered"], 0, "{run}");
        } else {
            assert_eq!(run["ranks_not_announced"], 0, "{run}");
        }
    }
    // Round robin must meet the sick target, for there are 48 files and 35 targets; a file takes 2 s there, and the
    // 99th percentile of 48 is the slowest.
    assert!(runs[4]["files_on_odd_target"].as_u64().unwrap() >= 1, "{}", runs[4]);
    assert!(runs[4]["file_p99_s"].as_f64().unwrap() >= 1.9, "{}", runs[4]);
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("Rates are emulated") && html.contains("lustre-rr") && !html.contains("<script"));
    nothing_is_left(folder.path());
}

#[test]
fn an_interrupted_demonstration_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path(), &["--quick"]);
        // Controller, agents and node daemons are there.
        until("the start of all processes", || (processes_of(folder.path()).len() >= 12).then_some(()));
        kill_process(Pid::from_child(&child), signal).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        nothing_is_left(folder.path());
    }
}

#[test]
fn a_killed_demonstration_takes_its_processes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start(folder.path(), &["--quick"]);
    until("the start of all processes", || (processes_of(folder.path()).len() >= 12).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    until("the end of all processes", || processes_of(folder.path()).is_empty().then_some(()));
}

#[test]
fn a_child_that_dies_is_an_error_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path(), &["--quick"]);
    let victim = until("the start of all processes", || {
        let found = processes_of(folder.path());
        (found.len() >= 12).then(|| found[0].parse::<i32>().unwrap())
    });
    kill_process(Pid::from_raw(victim).unwrap(), Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("ended early"), "{}", said(&output));
    nothing_is_left(folder.path());
}
