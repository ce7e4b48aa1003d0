//! `tarazu sim --explain` as a real process: every plan with its reasons, and counters that agree with them.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;

use common::{stdout, tarazu};
use serde_json::Value;

/// A path of its own for one test, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("tarazu-explain-{}-{name}.json", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.0).expect("the explanation")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the command prints, and the explanation beside it.
fn explained(name: &str, arguments: &[&str]) -> (String, Value) {
    let file = Scratch::new(name);
    let printed = stdout(&[&["sim", "--explain", file.path()], arguments].concat());
    (printed, serde_json::from_str(&file.text()).expect("JSON"))
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

fn sum(counts: &Value) -> u64 {
    counts.as_object().expect("counts").values().filter_map(Value::as_u64).sum()
}

/// Three jobs of several sizes under others' load, one target slow without anybody saying so.
const BUSY: [&str; 14] = [
    "--generate",
    "ior:nodes=8,ranks_per_node=4,block=64MiB,transfer=16MiB,iterations=4,gap=30,start=20",
    "--generate",
    "ior:nodes=2,ranks_per_node=2,block=2GiB,transfer=16MiB,start=25",
    "--background",
    "uniform=0.8",
    "--sick",
    "11",
    "--sick-known-after",
    "never",
    "--seeds",
    "1",
    "--policy",
    "lustre-rr,tarazu",
];

#[test]
fn json_follows_its_schema() {
    let schema =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tarazu.explain-1.schema.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let runs: [&[&str]; 4] = [
        &["--seeds", "2"],
        &["--seeds", "2", "--shard", "2/2", "--sick", "3", "--policy", "tarazu"],
        &["--seeds", "1", "--fault", "down:5@10-60", "--canary", "--forecast", "none"],
        &BUSY,
    ];
    for (number, run) in runs.into_iter().enumerate() {
        let (_, explanation) = explained(&format!("schema{number}"), run);
        let errors: Vec<String> =
            validator.iter_errors(&explanation).take(5).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{run:?}: {errors:#?}");
        assert!(!array(&explanation["plans"]).is_empty(), "{run:?}: no plan");
    }
    let wrong = serde_json::json!({ "schema": "tarazu.explain/1" });
    assert!(!validator.is_valid(&wrong), "the schema must refuse what is no explanation");
}

#[test]
fn every_candidate_has_a_reason_that_fits_its_tickets() {
    let (_, explanation) = explained("candidates", &BUSY);
    let mut seen = BTreeSet::new();
    for plan in array(&explanation["plans"]) {
        let targets = array(&plan["targets"]);
        for (number, class) in array(&plan["classes"]).iter().enumerate() {
            assert_eq!(sum(&class["reasons"]), targets.len() as u64, "one reason a target");
            let tickets = targets.iter().filter_map(|target| target["classes"][number]["tickets"].as_u64());
            assert_eq!(Some(tickets.sum()), class["tickets"].as_u64());
        }
        for target in targets {
            for ticket in array(&target["classes"]) {
                let reason = ticket["reason"].as_str().expect("a reason");
                let refused = reason == "others_finish_first" || reason.starts_with("excluded");
                assert_eq!(ticket["tickets"] == 0, refused, "{ticket}");
                seen.insert(reason.to_string());
            }
        }
        assert_eq!(sum(&plan["verdicts"]), array(&plan["jobs"]).len() as u64, "one verdict a row");
    }
    assert!(seen.contains("others_finish_first") && seen.contains("takes_part"), "{seen:?}");
}

#[test]
fn a_slow_target_is_excluded_with_who_said_so_and_why() {
    let judged = |name: &str, known: &str| -> Vec<Value> {
        let run = ["--sick", "3", "--sick-known-after", known, "--seeds", "1", "--policy", "tarazu"];
        let work = ["--generate", "ior:nodes=16,ranks_per_node=4,block=256MiB,transfer=16MiB,iterations=4"];
        let (_, explanation) = explained(name, &[&run[..], &work].concat());
        let of_target = array(&explanation["plans"]).iter().map(|plan| plan["targets"][3].clone());
        of_target.filter(|target| target["classes"][0]["reason"] == "excluded:sick").collect()
    };
    let told = judged("told", "3");
    assert!(!told.is_empty() && told.iter().all(|target| target["judged"]["by"] == "operator"), "{told:?}");
    let found = judged("found", "never");
    let first = found.first().expect("the detector finds it");
    assert_eq!(first["judged"]["by"], "detector", "{first}");
    let evidence = &first["judged"]["evidence"];
    let rate = |key: &str| evidence[key].as_f64().expect("a rate");
    assert!(rate("served_bytes_per_s") < 0.25 * rate("peers_bytes_per_s"), "{first}");
}

#[test]
fn counters_have_the_reasons_of_the_plans() {
    let (printed, explanation) = explained("counters", &[&BUSY[..], &["--output", "json"]].concat());
    let report: Value = serde_json::from_str(&printed).expect("JSON");
    let result = array(&report["policies"]).iter().find(|one| one["policy"] == "tarazu").expect("tarazu");
    let run = &result["runs"][0];
    assert_eq!(Some(sum(&run["steered"])), run["files_steered"].as_u64());
    assert_eq!(Some(sum(&run["steered"]) + sum(&run["refusals"])), run["files_made"].as_u64());
    assert_eq!(result["steered"], run["steered"], "one seed");
    let verdicts: BTreeSet<String> = array(&explanation["plans"])
        .iter()
        .flat_map(|plan| plan["verdicts"].as_object().expect("verdicts").keys().cloned())
        .collect();
    let counted = |counts: &Value| -> Vec<String> {
        let names = counts.as_object().expect("counts").keys();
        names.map(|name| name.trim_start_matches("not_worthwhile.").to_string()).collect()
    };
    let names = [counted(&run["steered"]), counted(&run["refusals"])].concat();
    assert!(!names.is_empty() && names.iter().all(|name| verdicts.contains(name)), "{names:?} {verdicts:?}");
    assert_eq!(Some(array(&explanation["plans"]).len() as u64), run["plans"].as_u64(), "all are explained");
}

#[test]
fn explaining_changes_nothing_and_is_the_same_on_any_threads() {
    let run = ["--seeds", "3", "--sick", "3", "--policy", "lustre-rr,tarazu"];
    let plain = stdout(&[&["sim"], &run[..]].concat());
    let (one, two) = (Scratch::new("one"), Scratch::new("two"));
    let with = |file: &Scratch, threads: &str| {
        stdout(&[&["sim", "--explain", file.path(), "--threads", threads], &run[..]].concat())
    };
    let (first, second) = (with(&one, "1"), with(&two, "2"));
    assert!(first.starts_with(&plain) && second.starts_with(&plain), "{first}");
    assert_eq!(one.text(), two.text());
    let last = first.lines().last().expect("a line");
    assert!(last.starts_with("explained: ") && last.contains("plans of tarazu in seed 1: "), "{last}");
    assert!(first.contains("tarazu steered because: "), "{first}");
    assert_eq!(one.text().lines().filter(|line| line.starts_with("{\"term\"")).count() as u64, {
        let explanation: Value = serde_json::from_str(&one.text()).expect("JSON");
        array(&explanation["plans"]).len() as u64
    });
}

#[test]
fn what_cannot_be_explained_is_said() {
    let cases: [(&[&str], &str); 2] = [
        (&["sim", "--explain", "x.json", "--policy", "lustre-rr,tarazu-central"], "name it in --policy"),
        (&["sim", "--explain", "no/such/folder/x.json", "--seeds", "1"], "no/such/folder/x.json"),
    ];
    for (arguments, word) in cases {
        let output = tarazu(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(errors.contains(word) && !errors.contains("panicked"), "{arguments:?}: {errors}");
        assert!(output.stdout.is_empty(), "{arguments:?} prints results all the same");
    }
}
