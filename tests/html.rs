//! The report of `tarazu sim --html` as a real process: one file, well-formed, without network, with the numbers of the
//! JSON output.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Largest report: what a mail still takes.
const BYTES_MAX: usize = 2 << 20;

/// The only address in a report; it names the kind of picture and is never fetched.
const SVG: &str = "http://www.w3.org/2000/svg";

fn tarazu(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tarazu"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("tarazu starts")
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("html");
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    folder.join(name)
}

/// The report and what came out on standard output.
fn report(name: &str, arguments: &[&str]) -> (String, String) {
    let path = scratch(name);
    let path_text = path.to_str().expect("a plain path");
    let output = tarazu(&[&["sim", "--html", path_text], arguments].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?} failed: {errors}");
    let html = std::fs::read_to_string(&path).expect("the report");
    (html, String::from_utf8(output.stdout).expect("text"))
}

/// Checks that tags are balanced, attributes quoted and not repeated, and `&` and `<` escaped.
fn check_markup(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html.strip_prefix("<!DOCTYPE html>").expect("a doctype");
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at]);
        let end = at + rest[at..].find('>').expect("a tag ends");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "</{name}> closes what is open");
            continue;
        }
        let (tag, is_empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, attributes) = tag.split_once([' ', '\n']).unwrap_or((tag, ""));
        assert!(name.chars().all(|letter| letter.is_ascii_alphanumeric()), "<{tag}>");
        check_attributes(attributes);
        if name == "style" {
            rest = &rest[rest.find("</style>").expect("the style ends")..];
        }
        if !is_empty {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

fn check_text(text: &str) {
    assert!(!text.contains('>'), "unescaped: {text}");
    for after in text.split('&').skip(1) {
        let entity = after.split(';').next().unwrap_or_default();
        assert!(["amp", "lt", "gt", "quot", "#39"].contains(&entity), "&{after}");
    }
}

fn check_attributes(attributes: &str) {
    let mut names = Vec::new();
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once("=\"").unwrap_or_else(|| panic!("no value: {rest}"));
        let (value, after) = value.split_once('"').unwrap_or_else(|| panic!("never ends: {rest}"));
        assert!(!names.contains(&name), "{name} twice in {attributes}");
        names.push(name);
        check_text(value);
        rest = after.trim_start();
    }
}

fn check_alone(html: &str) {
    let own = html.replace(SVG, "");
    for word in ["http:", "https:", "//", "<script", "@import", "<link", "<iframe", "<img", "src="] {
        assert!(!own.contains(word), "{word} would need the network or run code");
    }
    for address in own.split("url(").skip(1) {
        assert!(address.starts_with('#'), "url({}", &address[..address.len().min(30)]);
    }
}

/// The full number in a cell's attribute; `None` where the cell has none.
fn number(html: &str, policy: &str, metric: &str, what: &str) -> Option<f64> {
    let cell = format!("<td data-policy=\"{policy}\" data-metric=\"{metric}\"");
    let after = html.split(&cell).nth(1).unwrap_or_else(|| panic!("no cell of {policy} and {metric}"));
    let tag = after.split('>').next().expect("a tag");
    let value = tag.split(&format!(" {what}=\"")).nth(1)?.split('"').next()?;
    Some(value.parse().expect("a number"))
}

#[test]
fn the_report_has_the_numbers_of_the_json_output() {
    let run = ["--seeds", "3", "--sick", "3", "--output", "json"];
    let (html, json) = report("numbers.html", &run);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let mut compared = 0;
    for policy in json["policies"].as_array().expect("policies") {
        let name = policy["policy"].as_str().expect("a name");
        for (metric, value) in policy["metrics"].as_object().expect("metrics") {
            let change = &value["change_percent"];
            for (what, expected) in [
                ("data-mean", &value["mean"]),
                ("data-change", &change["mean"]),
                ("data-low", &change["low"]),
                ("data-high", &change["high"]),
            ] {
                assert_eq!(number(&html, name, metric, what), expected.as_f64(), "{name} {metric} {what}");
                compared += 1;
            }
        }
        let share = policy["bytes_steered_share"].as_f64().expect("bytes were written");
        assert!(html.contains(&format!("<td>{:.1} %</td>", share * 100.0)), "bytes steered of {name}");
    }
    assert_eq!(compared, 4 * 12 * 4, "policies, metrics, numbers");
}

#[test]
fn the_report_is_one_sound_file_with_everything_in_it() {
    let (html, _) =
        report("whole.html", &["--seeds", "2", "--sick", "3", "--set", "name=\"<script>alert(1)</script>\""]);
    check_markup(&html);
    check_alone(&html);
    assert!(html.len() < BYTES_MAX);
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the system's name is text");
    for policy in ["lustre-rr", "random", "tarazu", "tarazu-central"] {
        assert!(html.contains(&format!("Heat map of {policy}:")), "{policy} has a map");
        assert!(html.contains(&format!("Bursts of jobs under {policy} over time")), "{policy} has bursts");
    }
    for words in [
        "In short",
        "Not calibrated",
        "Balance of work over targets",
        "I/O time of files",
        "How to reproduce",
        "tarazu sim --seeds 2 --sick 3 --set",
        "servers.link_MiBps",
        "expected gain below ten times",
        "baseline",
    ] {
        assert!(html.contains(words), "{words} is missing");
    }
}

#[test]
fn threads_do_not_change_the_report() {
    let run = ["--seeds", "2", "--copies", "3", "--stagger", "20", "--policy", "lustre-rr,tarazu"];
    let (one, _) = report("one.html", &[&run[..], &["--threads", "1"]].concat());
    let (two, _) = report("two.html", &[&run[..], &["--threads=2"]].concat());
    assert!(one == two, "the reports differ");
}

#[test]
fn a_report_changes_no_result() {
    let run = ["--seeds", "2", "--output", "json"];
    let (_, with) = report("same.html", &run);
    let without = tarazu(&[&["sim"], &run[..]].concat()).stdout;
    assert_eq!(with, String::from_utf8(without).expect("text"));
}

#[test]
fn one_policy_and_one_seed_will_do() {
    let (html, _) = report("alone.html", &["--seeds", "1", "--policy", "random"]);
    check_markup(&html);
    assert!(html.contains("Means over 1 seed"));
}

#[test]
fn hostile_names_and_many_targets_stay_small_text() {
    let (html, _) = report(
        "many.html",
        &[
            "--generate",
            "ior:nodes=4,block=64M,dir=/<script>&\"",
            "--seeds",
            "1",
            "--set",
            "servers.count=700",
            "--policy",
            "lustre-rr,tarazu",
        ],
    );
    check_markup(&html);
    check_alone(&html);
    assert!(html.len() < BYTES_MAX);
    assert!(html.contains("neighbouring targets"), "3,500 targets share rows");
}

#[test]
fn a_report_that_cannot_be_written_is_named_and_leaves_nothing() {
    let path = scratch("no-such-folder").join("report.html");
    let path_text = path.to_str().expect("a plain path");
    let output = tarazu(&["sim", "--seeds", "1", "--policy", "random", "--html", path_text]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("cannot write the report") && errors.contains("report.html"), "{errors}");
    let parts = std::fs::read_dir(scratch("")).expect("the folder").flatten();
    let left: Vec<_> =
        parts.map(|entry| entry.path()).filter(|path| path.extension() == Some("part".as_ref())).collect();
    assert!(left.is_empty(), "{left:?}");
}
