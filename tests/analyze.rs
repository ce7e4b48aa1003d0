//! `tarazu analyze` as a real process: text, JSON on its schema, thresholds, exit codes.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

const PERIODIC: &str = "traces/darshan/ckpt-strict-period-n8-lustre.darshan";
const HEALTHY: &str = "traces/darshan/hacc-fpp-n16-lustre.darshan";
const PARTIAL: &str = "traces/darshan/nonmpi-cp-n1.darshan";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarazu"));
    command.arg("analyze").args(arguments).current_dir(root()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file of this test process; the name keeps tests apart.
fn scratch(name: &str, content: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn findings_stand_under_their_log_with_a_fix() {
    let output = run(&[PERIODIC, HEALTHY, PARTIAL]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[0], PERIODIC);
    assert!(lines[1].starts_with("  TZ-BURST-01 info: the job writes in 24 bursts"), "{shown}");
    assert!(lines[2].starts_with("      Nothing to repair"), "{shown}");
    assert_eq!(lines[4], PARTIAL);
    assert!(lines[5].starts_with("  TZ-DATA-01 advice: POSIX is incomplete"), "{shown}");
    assert!(!shown.contains(HEALTHY), "a healthy log is not mentioned");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn a_healthy_run_is_silent_on_standard_output() {
    let output = run(&[HEALTHY, "traces/darshan/ior-fpp-wr-n16.darshan"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stdout), "");
    assert_eq!(text(&output.stderr), "tarazu: 2 logs read, nothing found\n");
}

fn validator() -> jsonschema::Validator {
    let schema = fs::read_to_string(root().join("docs/tarazu.analyze-1.schema.json")).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap()
}

fn assert_on_schema(output: &Output) -> Value {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors: Vec<String> = validator().iter_errors(&report).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{report:#}");
    report
}

#[test]
fn json_follows_its_schema() {
    let mut samples: Vec<String> = fs::read_dir(root().join("traces/darshan"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "darshan"))
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    samples.sort();
    let mut arguments: Vec<&str> = samples.iter().map(String::as_str).collect();
    arguments.extend(["no-such.darshan", "--output", "json"]);
    let report = assert_on_schema(&run(&arguments));
    let unreadable = report["unreadable"].as_array().unwrap();
    assert!(unreadable.iter().any(|entry| entry["file"] == "no-such.darshan"), "{unreadable:?}");
    assert_eq!(report["logs"].as_u64().unwrap() + unreadable.len() as u64, samples.len() as u64 + 1);
    assert!(report["findings"].as_array().unwrap().len() >= 10);
    // Nothing found is a document, too.
    let silent = assert_on_schema(&run(&[HEALTHY, "--output", "json"]));
    assert_eq!(silent["findings"], serde_json::json!([]));
    for wrong in [
        serde_json::json!({ "schema": "tarazu.analyze/1" }),
        serde_json::json!({
            "schema": "tarazu.analyze/2", "version": "0", "logs": 0, "unreadable": [], "findings": [],
        }),
    ] {
        assert!(!validator().is_valid(&wrong), "{wrong}");
    }
}

#[test]
fn json_of_every_public_log_follows_its_schema() {
    let folder = root().join("../shared/traces/public");
    if !folder.is_dir() {
        // Not `eprintln!`: the test harness would keep that to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/public is absent");
        return;
    }
    let mut logs = Vec::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => folders.push(path),
                false if path.to_string_lossy().contains(".darshan") => {
                    logs.push(path.to_str().unwrap().to_owned());
                }
                false => {}
            }
        }
    }
    logs.sort();
    let mut arguments: Vec<&str> = logs.iter().map(String::as_str).collect();
    arguments.extend(["--output", "json"]);
    let report = assert_on_schema(&run(&arguments));
    let slow: Vec<&Value> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["code"] == "TZ-TARGET-02")
        .collect();
    assert_eq!(slow.len(), 1, "{slow:#?}");
    assert_eq!(slow[0]["subject"]["ost"], 14);
    assert!(slow[0]["source"].as_str().unwrap().ends_with("sample-badost.darshan"));
}

#[test]
fn scripts_can_ask_for_a_failure() {
    let code = |arguments: &[&str]| run(arguments).status.code();
    assert_eq!(code(&[PERIODIC, "--fail-on", "info"]), Some(1));
    assert_eq!(code(&[PERIODIC, "--fail-on", "advice"]), Some(0));
    assert_eq!(code(&[PARTIAL, "--fail-on", "advice"]), Some(1));
    assert_eq!(code(&[PARTIAL, "--fail-on", "warning"]), Some(0));
    assert_eq!(code(&[HEALTHY, "--fail-on", "info"]), Some(0));
}

#[test]
fn a_log_that_cannot_be_read_is_named_and_the_others_are_judged() {
    let cut = scratch("analyze-cut.darshan", "not a log");
    let output = run(&[cut.to_str().unwrap(), PERIODIC]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("analyze-cut.darshan"), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("TZ-BURST-01"));
    assert_eq!(run(&[]).status.code(), Some(2), "wrong usage");
}

#[test]
fn a_damaged_log_is_judged_in_part() {
    let mut bytes = fs::read(root().join(PERIODIC)).unwrap();
    // Behind header and job, so that a module's stream breaks.
    let middle = bytes.len() / 2;
    bytes[middle..middle + 64].fill(0xa5);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("analyze-damaged.darshan");
    fs::write(&path, bytes).unwrap();
    let output = run(&[path.to_str().unwrap()]);
    assert!(text(&output.stdout).contains("TZ-DATA-02 warning: a part of the log is damaged"), "{output:?}");
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn thresholds_come_from_a_file_and_are_checked() {
    let printed = run(&["--print-thresholds"]);
    assert_eq!(printed.status.code(), Some(0));
    let defaults = scratch("analyze-defaults.toml", &text(&printed.stdout));
    let with = |path: &Path| run(&[PERIODIC, "--thresholds", path.to_str().unwrap()]);
    assert_eq!(with(&defaults).stdout, run(&[PERIODIC]).stdout);
    let strict = scratch("analyze-strict.toml", "[burst]\nbursts_min = 25\n");
    assert_eq!(text(&with(&strict).stdout), "");
    for (content, wanted) in [
        ("[burst]\nbursts = 25\n", "bursts"),
        ("[target]\nslow_factor = 0.5\n", "target.slow_factor is 0.5, and must be above 1"),
        ("burst", "analyze-wrong.toml"),
    ] {
        let output = with(&scratch("analyze-wrong.toml", content));
        assert_eq!(output.status.code(), Some(1), "{content}");
        assert!(text(&output.stderr).contains(wanted), "{content}: {}", text(&output.stderr));
    }
    assert_eq!(with(Path::new("no-such.toml")).status.code(), Some(1));
}

#[test]
#[cfg(unix)]
fn a_device_without_an_end_is_no_thresholds_file() {
    let output = run(&[PERIODIC, "--thresholds", "/dev/zero"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stderr);
    assert!(shown.contains("/dev/zero have more than 1048576 bytes"), "{shown}");
}

#[test]
fn copies_of_a_log_add_nothing() {
    let badost = root().join("../shared/traces/public/pydarshan/sample-badost.darshan");
    let Ok(bytes) = fs::read(badost) else {
        // Not `eprintln!`: the test harness would keep that to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/public is absent");
        return;
    };
    let copies: Vec<PathBuf> = (0..3)
        .map(|copy| Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("analyze-copy{copy}.darshan")))
        .collect();
    copies.iter().for_each(|path| fs::write(path, &bytes).unwrap());
    let mut arguments: Vec<&str> = copies.iter().map(|path| path.to_str().unwrap()).collect();
    // A level that one log does not reach: three copies as three logs would.
    let strict = scratch("analyze-copies.toml", "[target]\nslow_p_value = 1e-60\n");
    arguments.extend(["--thresholds", strict.to_str().unwrap()]);
    let output = run(&arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert!(shown.contains("TZ-RANK-01"), "each log is judged: {shown}");
    assert!(!shown.contains("TZ-TARGET-02"), "one log has a p-value of 5e-54: {shown}");
}
