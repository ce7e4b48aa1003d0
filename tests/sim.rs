//! `tarazu sim` as a real process: what a new user runs, and what scripts rely on.

use std::process::{Command, Output};

use serde_json::Value;

fn tarazu(arguments: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .args(arguments)
        .current_dir(root)
        .output()
        .expect("tarazu starts")
}

fn stdout(arguments: &[&str]) -> String {
    let output = tarazu(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "tarazu {arguments:?} failed: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

fn json(arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--output", "json"]].concat();
    serde_json::from_str(&stdout(&arguments)).expect("JSON")
}

/// The paired change of a metric in percent, and whether it is clear.
fn change(report: &Value, policy: &str, metric: &str) -> (f64, bool) {
    let policies = report["policies"].as_array().expect("policies");
    let found = policies.iter().find(|result| result["policy"] == policy).expect("the policy");
    let change = &found["metrics"][metric]["change_percent"];
    (change["mean"].as_f64().expect("a change"), change["is_clear"].as_bool().expect("a verdict"))
}

#[test]
fn without_arguments_the_bundled_trace_is_shown() {
    let text = stdout(&["sim"]);
    for word in ["35 targets on 7 servers", "lustre-rr", "tarazu", "makespan [s]", "files steered"] {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn json_follows_its_schema() {
    let schema =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tarazu.sim-1.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let runs: [&[&str]; 3] = [
        &["sim", "--seeds", "2"],
        &["sim", "--seeds", "1", "--policy", "lustre-rr", "--open-loop", "--forecast", "none"],
        &["sim", "--seeds", "2", "--sick", "3", "--background", "uniform=0.5", "--striping", "count=4"],
    ];
    for run in runs {
        let report = json(run);
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{run:?}: {errors:#?}");
    }
    let wrong = serde_json::json!({ "schema": "tarazu.sim/1" });
    assert!(!validator.is_valid(&wrong), "the schema must refuse what is no report");
}

#[test]
fn one_and_two_threads_print_the_same_bytes() {
    let run = [
        "sim",
        "--seeds",
        "4",
        "--background",
        "uniform=0.6",
        "--sick",
        "7",
        "--copies",
        "3",
        "--stagger",
        "20",
    ];
    for output in ["text", "json", "csv"] {
        let with = |threads| stdout(&[&run[..], &["--output", output, "--threads", threads]].concat());
        assert_eq!(with("1"), with("2"), "{output}");
    }
}

#[test]
fn a_quiet_system_shows_no_change_and_a_sick_target_a_gain() {
    let generator = "ior:nodes=8,ranks_per_node=4,block=256MiB,transfer=16MiB,iterations=4,gap=30,start=20";
    let base = ["sim", "--generate", generator, "--seeds", "5", "--policy", "lustre-rr,tarazu"];
    let quiet = json(&base);
    let (percent, _) = change(&quiet, "tarazu", "job_io_s");
    assert!(percent.abs() < 1.0, "quiet: job I/O time changed by {percent} %");
    let sick = json(&[&base[..], &["--sick", "11"]].concat());
    let (percent, clear) = change(&sick, "tarazu", "job_io_s");
    assert!(clear && percent < -30.0, "sick target: job I/O time changed by {percent} %");
}

#[test]
fn a_policy_against_its_own_kind_is_paired() {
    let report =
        json(&["sim", "--seeds", "3", "--policy", "tarazu,lustre-rr", "--background", "uniform=0.5"]);
    assert_eq!(report["baseline"], "tarazu");
    assert!(report["policies"][0]["metrics"]["makespan_s"]["change_percent"].is_null());
    assert!(report["policies"][1]["metrics"]["makespan_s"]["change_percent"]["mean"].is_number());
}

#[test]
fn csv_has_one_row_per_policy_seed_and_metric() {
    let text = stdout(&["sim", "--seeds", "3", "--policy", "lustre-rr,random", "--output", "csv"]);
    let rows: Vec<&str> = text.lines().collect();
    assert_eq!(rows[0], "policy,seed,metric,value");
    assert_eq!(rows.len() - 1, 2 * 3 * 16);
    assert!(rows.iter().all(|row| row.split(',').count() == 4));
}

#[test]
fn wrong_input_is_named_and_fails() {
    let cases: [(&[&str], i32, &str); 9] = [
        (&["sim", "no-such.darshan"], 1, "no-such.darshan"),
        (&["sim", "README.md"], 1, "*.darshan"),
        (&["sim", "--system", "no-such.toml"], 1, "no-such.toml"),
        (&["sim", "--set", "servers.cuont=3"], 1, "servers.cuont"),
        (&["sim", "--sick", "99"], 1, "targets 0 to"),
        (&["sim", "--policy", "round-robin"], 2, "lustre-rr"),
        (&["sim", "--generate", "ior:nodse=3"], 1, "nodse"),
        (&["sim", "--seeds", "0"], 1, "seeds"),
        (&["sim", "--background", "constant=2"], 2, "0.95"),
    ];
    for (arguments, code, word) in cases {
        let output = tarazu(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(word) && !errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}
