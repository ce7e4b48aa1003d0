//! `tarazu sim` as a real process: what a new user runs, and what scripts rely on.

mod common;

use std::process::Output;

use common::{stdout, tarazu};
use serde_json::Value;

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
    let runs: [&[&str]; 4] = [
        &["sim", "--seeds", "2", "--shard", "1/2", "--system", "edison", "--set", "nodes.nic_MiBps=100"],
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
    let cases: [(&[&str], i32, &str); 22] = [
        (&["sim", "no-such.darshan"], 1, "no-such.darshan"),
        (&["sim", "flow"], 1, "`flows`"),
        (&["sim", "traces/csv"], 1, "no *.darshan file below"),
        (&["sim", "README.md"], 1, "*.darshan"),
        (&["sim", "--system", "no-such.toml"], 1, "no-such.toml"),
        (&["sim", "--set", "servers.cuont=3"], 1, "servers.cuont"),
        (&["sim", "--sick", "99"], 1, "targets 0 to"),
        (&["sim", "--sick", "-1"], 2, "SPEED above 0"),
        (&["sim", "--policy", "round-robin"], 2, "lustre-rr"),
        (&["sim", "--policy", "random,tarazu,random"], 2, "random is named twice"),
        (&["sim", "--generate", "ior:nodse=3"], 1, "nodse"),
        (&["sim", "--seeds", "0"], 2, "from 1 to 100000"),
        (&["sim", "--seeds", "-1"], 2, "from 1 to 100000"),
        (&["sim", "--threads", "1025"], 2, "from 0 to 1024"),
        (&["sim", "--scale-bytes", "-1"], 2, "at least 1"),
        (&["sim", "--copies", "-1"], 2, "from 1 to"),
        (&["sim", "--start-jitter", "-1"], 2, "seconds from 0"),
        (&["sim", "--stagger", "-0.5"], 2, "seconds from 0"),
        (&["sim", "--sick-known-after", "-1"], 2, "never"),
        (&["sim", "--ranks-per-node", "0"], 2, "from 1 to"),
        (&["sim", "--background", "constant=2"], 2, "0.95"),
        (&["sim", "--under", "/no/such/folder"], 1, "--mounts all"),
    ];
    for (arguments, code, word) in cases {
        let output = tarazu(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert!(errors.contains(word) && !errors.contains("panicked"), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints results all the same");
    }
}

/// A file of its own for one test, removed in the end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tarazu-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("a scratch file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn traces_are_known_by_their_content() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let log = std::fs::read(root.join("traces/darshan/ckpt-fpp-n16-lustre.darshan")).expect("a log");
    let csv = std::fs::read(root.join("traces/csv/minimal.csv")).expect("a workload");
    let few = ["--seeds", "1", "--policy", "lustre-rr"];
    for (name, content, ranks) in [("log", &log, 16), ("log.csv", &log, 16), ("rows.txt", &csv, 2)] {
        let file = Scratch::new(name, content);
        let report = json(&[&["sim", file.path()][..], &few].concat());
        assert_eq!(report["workload"]["ranks"], ranks, "{name}");
    }
}

#[test]
fn files_of_logs_are_chosen_as_in_conversion() {
    let workload = |options: &[&str]| {
        let report = json(&[&["sim", "--seeds", "1", "--policy", "lustre-rr"], options].concat());
        report["workload"].clone()
    };
    let written = |options: &[&str]| workload(options)["written_bytes"].as_u64();
    assert!(written(&[]) > Some(0));
    assert_eq!(written(&["--mounts", "parallel"]), written(&[]), "all of it is on Lustre");
    assert_eq!(written(&["--mounts", "all"]), written(&[]), "and nothing elsewhere");
    // A log without host names.
    let log = "traces/darshan/ior-fpp-nodxt-n16.darshan";
    assert_eq!(workload(&[log, "--ranks-per-node", "4"])["nodes"], 4);
    assert_eq!(workload(&[log, "--ranks-per-node", "8"])["nodes"], 2);
}

#[test]
fn a_log_that_leaves_nothing_is_an_error_of_both_tools() {
    let log = "traces/darshan/ckpt-fpp-n16-lustre.darshan";
    let runs: [&[&str]; 2] = [
        &["sim", log, "--under", "/elsewhere"],
        &["trace", "convert", log, "--under", "/elsewhere", "--out", "-"],
    ];
    for run in runs {
        let output = tarazu(run);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{run:?}: {errors}");
        assert!(errors.contains("nothing left to replay"), "{run:?}: {errors}");
        assert!(errors.contains("note: ") && errors.contains("left out"), "{run:?} names no files: {errors}");
        assert!(output.stdout.is_empty(), "{run:?} writes an empty workload");
    }
}

#[test]
fn the_text_says_why_files_were_left_alone() {
    let text = stdout(&["sim"]);
    let line = "tarazu left all 128 files to the file system in every seed: expected gain below ten times";
    for words in [line, "to see it act: --sick 3", "tarazu-central is a reference", "one in twenty"] {
        assert!(text.contains(words), "{words:?} is missing in:\n{text}");
    }
    let sick = stdout(&["sim", "--sick", "3"]);
    assert!(!sick.contains("to see it act"), "it acts:\n{sick}");
    let none = stdout(&["sim", "--forecast", "none"]);
    assert!(!none.contains("ten times") && none.contains("the table does not know the job"), "{none}");
}

#[test]
fn the_hint_of_the_text_is_true() {
    let report = json(&["sim", "--sick", "3"]);
    let tarazu =
        report["policies"].as_array().and_then(|all| all.iter().find(|one| one["policy"] == "tarazu"));
    let share = tarazu.and_then(|result| result["files_steered_share"].as_f64());
    assert!(share > Some(0.5), "steered {share:?}");
}

#[test]
fn text_for_a_file_fits_into_100_columns() {
    let runs: [&[&str]; 3] =
        [&["sim"], &["sim", "--sick", "3"], &["sim", "--background", "uniform=0.9", "--seeds", "3"]];
    for run in runs {
        let text = stdout(run);
        let widest = text.lines().filter(|line| line.starts_with('─')).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|widest| widest <= 100), "{run:?}: {widest:?}\n{text}");
    }
}

/// The shares of a sweep in files.
fn shares(sweep: &[&str], count: usize, name: &str) -> Vec<Scratch> {
    let one = |number| {
        let shard = format!("{number}/{count}");
        let output = tarazu(&[sweep, &["--output", "json", "--shard", &shard]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Scratch::new(&format!("{name}-{number}.json"), &output.stdout)
    };
    (1..=count).map(one).collect()
}

fn merged(paths: &[&str], form: &str) -> Output {
    tarazu(&[&["sim", "merge", "--output", form], paths].concat())
}

/// Merging is refused with these words.
fn refused(paths: &[&str], word: &str) {
    let output = merged(paths, "text");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && errors.contains(word), "{word:?} is missing in: {errors}");
    assert!(output.stdout.is_empty());
}

const SWEEP: [&str; 7] = ["sim", "--policy", "lustre-rr,tarazu", "--seeds", "7", "--sick", "3"];

#[test]
fn shares_of_a_sweep_join_to_the_whole() {
    let parts = shares(&SWEEP, 3, "part");
    let paths: Vec<&str> = parts.iter().map(Scratch::path).collect();
    let whole = stdout(&[&SWEEP[..], &["--output", "json"]].concat());
    let joined = merged(&[paths[2], paths[0], paths[1]], "json");
    assert!(joined.status.success(), "{}", String::from_utf8_lossy(&joined.stderr));
    let joined = String::from_utf8(joined.stdout).expect("text");
    let value = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    assert_eq!(value(&joined), value(&whole));
    // To the last digit as it is written, whatever the reader above makes of it.
    let by_seed = |text: &str| -> Vec<String> {
        let blocks = text.split("\"by_seed\": [").skip(1);
        blocks.filter_map(|block| Some(block.split_once(']')?.0.to_string())).collect()
    };
    assert_eq!(by_seed(&whole).len(), 2 * 12);
    assert_eq!(by_seed(&joined), by_seed(&whole));

    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let row = |text: &str| text.lines().find(|line| line.starts_with("job I/O time")).map(str::to_owned);
    assert!(row(&text(&tarazu(&SWEEP))).is_some());
    assert_eq!(row(&text(&merged(&paths, "text"))), row(&text(&tarazu(&SWEEP))));
}

#[test]
fn shares_of_different_sweeps_do_not_join() {
    let parts = shares(&SWEEP, 3, "sweep");
    let paths: Vec<&str> = parts.iter().map(Scratch::path).collect();
    refused(&paths[..2], "1 of 3 shares are missing: 3");
    refused(&[paths[0], paths[0], paths[2]], "are both share 1 of 3");
    let third = |change: &[&str], word: &str| {
        let other = tarazu(&[&SWEEP[..], &["--output", "json", "--shard", "3/3"], change].concat());
        assert!(other.status.success(), "{}", String::from_utf8_lossy(&other.stderr));
        let other = Scratch::new("other.json", &other.stdout);
        refused(&[paths[0], paths[1], other.path()], word);
    };
    third(&["--start-jitter", "1"], "differs");
    // Nothing but the fingerprint tells these.
    third(&["--set", "targets.write_MiBps=400"], "fingerprint differs");
    third(&["--set", "metadata.open_ms=1"], "fingerprint differs");
    // The same number of shares of another number of seeds.
    let mut more = SWEEP;
    more[4] = "9";
    let other = tarazu(&[&more[..], &["--output", "json", "--shard", "3/3"]].concat());
    let other = Scratch::new("more.json", &other.stdout);
    refused(&[paths[0], paths[1], other.path()], "seeds_total differs");
}

#[test]
fn recorded_background_counts_by_its_contents() {
    let rows = |rate: &str| format!("time,a,b\n0,1,2\n5,{rate},4\n10,5,6\n");
    let file = Scratch::new("load.csv", rows("3").as_bytes());
    let run = || {
        let background = format!("recorded={}", file.path());
        json(&["sim", "--seeds", "1", "--policy", "lustre-rr", "--background", &background])
    };
    let before = run();
    assert_eq!(before, run());
    std::fs::write(file.path(), rows("4")).expect("the same file");
    let after = run();
    assert_eq!(after["scenario"]["background"], before["scenario"]["background"]);
    assert_ne!(after["fingerprint"]["scenario"], before["fingerprint"]["scenario"]);
    assert_eq!(after["fingerprint"]["workload"], before["fingerprint"]["workload"]);
}

#[test]
fn broken_shares_are_refused() {
    let good = shares(&SWEEP[..5], 7, "good");
    let text = std::fs::read_to_string(good[0].path()).expect("a share");
    let broken = |change: &dyn Fn(&mut Value), word: &str| {
        let mut value: Value = serde_json::from_str(&text).expect("JSON");
        change(&mut value);
        let file = Scratch::new("broken.json", value.to_string().as_bytes());
        refused(&[file.path()], word);
    };
    broken(&|value| value["schema"] = "other".into(), "its schema is not tarazu.sim/1");
    broken(&|value| value["shard"]["count"] = u64::MAX.into(), "there is no share 1 of 18446744073709551615");
    broken(&|value| value["shard"]["number"] = 0.into(), "there is no share 0 of 7");
    broken(&|value| value["shard"] = Value::Null, "its seeds are not those of share 1 of 1 of 7 seeds");
    broken(&|value| value["seeds"] = vec![2].into(), "its seeds are not those of share 1 of 7");
    broken(&|value| value["seeds_total"] = u64::MAX.into(), "seeds_total");
    broken(&|value| value["policies"] = Value::Array(Vec::new()), "it has no policy");
    broken(
        &|value| value["policies"][1]["metrics"] = Value::Null,
        "by_seed of job_io_s of tarazu is missing",
    );
    let metric = |value: &mut Value, by_seed: Value| {
        value["policies"][0]["metrics"]["makespan_s"]["by_seed"] = by_seed;
    };
    broken(&|value| metric(value, Value::Null), "by_seed of makespan_s of lustre-rr is missing");
    broken(&|value| metric(value, vec![1, 2].into()), "has 2 values for 1 seeds");
    broken(&|value| metric(value, vec!["x"].into()), "makespan_s of lustre-rr is no number");
    broken(&|value| value["policies"][0]["runs"] = Value::Null, "runs of lustre-rr");
    let remove = |value: &mut Value, key: &str| value.as_object_mut().map(|object| object.remove(key));
    for key in ["fingerprint", "seeds", "seeds_total", "shard", "policies"] {
        broken(&|value| assert!(remove(value, key).is_some()), key);
    }
    let cut = Scratch::new("cut.json", &text.as_bytes()[..text.len() / 2]);
    refused(&[cut.path()], "is no JSON");
}

#[test]
fn a_changed_system_is_no_longer_calibrated() {
    let head = |change: &[&str]| {
        let few = ["sim", "--system", "edison", "--seeds", "1", "--policy", "lustre-rr"];
        stdout(&[&few[..], change].concat())
    };
    assert!(head(&[]).contains("calibrated: 4 run times of recorded runs predicted to"));
    let changed = head(&["--set", "targets.write_MiBps=100"]);
    assert!(changed.contains("changed since its calibration: compare policies"), "{changed}");
    assert!(!changed.contains("of recorded runs predicted"), "{changed}");
}
