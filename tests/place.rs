//! `tarazu place` as a real process: the proven optima, its schema, its errors.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn tarazu(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_tarazu")).current_dir(root).args(args).output().unwrap()
}

fn problem(name: &str) -> String {
    format!("core/tests/flow/{name}.json")
}

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(problem(name));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A problem with something changed, in a file of its own.
fn changed(name: &str, change: impl Fn(&mut Value)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("place");
    fs::create_dir_all(&folder).unwrap();
    let mut json = read("tiny-k2");
    change(&mut json);
    let path = folder.join(format!("{name}.json"));
    fs::write(&path, json.to_string()).unwrap();
    path
}

#[test]
fn proven_optima_come_out_with_valid_lists() {
    for name in [
        "tiny-k2",
        "m450-mixed-pools-r1000",
        "s12-mixed-distinct-binds",
        "s35-pools-saturated",
        "m2016-k8-r10000",
    ] {
        let output = tarazu(&["place", &problem(name), "--output", "json"]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        let (problem, result) = (read(name), serde_json::from_slice::<Value>(&output.stdout).unwrap());
        assert_eq!(result["schema"], "tarazu.place/1");
        assert_eq!(
            (&result["flow"], &result["cost"]),
            (&problem["optimum"]["flow"], &problem["optimum"]["cost"]),
            "{name}"
        );
        assert!(result["time_s"].as_f64().unwrap() > 0.0);
        let mut units = vec![0u64; problem["osts"].as_u64().unwrap() as usize];
        let mut lists = result["osts_by_request"].as_array().unwrap().iter();
        for class in problem["classes"].as_array().unwrap() {
            for list in lists.by_ref().take(class["count"].as_u64().unwrap() as usize) {
                let list = list.as_array().unwrap();
                assert!(list.len() as u64 <= class["k"].as_u64().unwrap());
                let different: BTreeSet<u64> = list.iter().map(|target| target.as_u64().unwrap()).collect();
                assert_eq!(different.len(), list.len(), "{name}: a target twice");
                let pool = class["pool"].as_array();
                assert!(
                    list.iter().all(|target| pool.is_none_or(|pool| pool.contains(target))),
                    "{name}: outside the pool"
                );
                different.iter().for_each(|target| units[*target as usize] += 1);
            }
        }
        assert!(lists.next().is_none(), "{name}: more lists than requests");
        assert_eq!(serde_json::json!(units), result["units_by_target"], "{name}");
        let short = problem["demand"] != result["flow"];
        assert_eq!(!result["binding"].as_array().unwrap().is_empty(), short, "{name}");
    }
}

#[test]
fn the_text_says_what_binds() {
    let output = tarazu(&["place", &problem("s35-saturated")]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(said.contains("200 requests for 520 stripes on 35 targets"), "{said}");
    assert!(said.contains("311 stripes, 209 found no room"), "{said}");
    assert!(said.contains("binding   "), "{said}");
}

#[test]
fn a_server_may_cost_something_of_its_own() {
    // All four targets stand in one server: its cost moves no stripe, and is added.
    let costly = changed("costly", |json| json["oss_segments"] = serde_json::json!([[[3, 10], [8, 20]]]));
    for solver in ["fill", "exact"] {
        let output = tarazu(&["place", costly.to_str().unwrap(), "--output", "json", "--solver", solver]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&result["cost"], &result["solver"]), (&(986 + 3 * 10 + 3 * 20).into(), &solver.into()));
    }
}

#[test]
fn standard_input_is_read() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .args(["place", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(read("tiny-k2").to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("cost      986"));
}

#[test]
fn errors_name_file_place_and_remedy() {
    let rows = [
        (
            "index",
            changed("index", |json| json["oss_of"][2] = 4.into()),
            "oss_of[2] is 4, but there are 1 servers",
        ),
        (
            "convex",
            changed("convex", |json| json["segments"][1][2][1] = 7.into()),
            "segments[1][2] has unit cost 7 after 250",
        ),
        ("osts", changed("osts", |json| json["osts"] = 5.into()), "segments has 4 entries, but osts is 5"),
        ("schema", changed("schema", |json| json["schema"] = "x/9".into()), "only \"tarazu-flow/1\" is read"),
        ("type", changed("type", |json| json["distinct"] = "no".into()), "line 1 column"),
        ("cost", changed("cost", |json| json["segments"][0][3][1] = i64::MAX.into()), "scale the costs down"),
        ("many", changed("many", |json| json["classes"][0]["count"] = u64::MAX.into()), "at most"),
    ];
    for (name, path, wanted) in rows {
        let output = tarazu(&["place", path.to_str().unwrap()]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(output.stdout.is_empty(), "{name}");
        assert!(said.contains(&format!("{name}.json")) && said.contains(wanted), "{name}: {said}");
    }
    let missing = tarazu(&["place", "no-such.json"]);
    assert!(missing.status.code() == Some(1) && text(&missing.stderr).contains("cannot open no-such.json"));
    let refused = tarazu(&["place", &problem("s35-pools-saturated"), "--solver", "fill"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused.stderr).contains("different pools; use the solver auto or exact"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(tarazu(&["place"]).status.code(), Some(2));
}
