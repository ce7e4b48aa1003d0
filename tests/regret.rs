//! `tarazu sim regret` as a real process: what it prints can be repeated, and named situations keep their limits.

mod common;

use common::{stdout, tarazu};
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&stdout(arguments)).expect("JSON")
}

#[test]
fn every_situation_is_repeated_by_the_command_beside_it() {
    let sweep = json(&["sim", "regret", "--runs", "6", "--seed", "5", "--output", "json"]);
    let situations = sweep["situations"].as_array().expect("situations");
    assert!(situations.len() >= 4, "{sweep}");
    for situation in situations {
        let command = situation["command"].as_str().expect("a command");
        // Nothing that is drawn needs quotes but a fail-over.
        let words: Vec<String> = command.split(' ').map(|word| word.trim_matches('\'').to_string()).collect();
        let arguments: Vec<&str> =
            words[1..].iter().map(String::as_str).chain(["--output", "json"]).collect();
        let report = json(&arguments);
        let policies = report["policies"].as_array().expect("policies");
        for (policy, mean_s) in policies.iter().zip(situation["means_s"].as_array().expect("means")) {
            let repeated = policy["metrics"]["job_io_s"]["mean"].as_f64().expect("a mean");
            let drawn = mean_s.as_f64().expect("a mean");
            assert!((repeated - drawn).abs() <= 1e-9 * drawn, "{command}: {repeated} s, not {drawn} s");
        }
    }
}

#[test]
fn a_situation_is_the_same_whichever_others_are_drawn_and_on_any_threads() {
    let all = json(&["sim", "regret", "--runs", "5", "--seed", "9", "--threads", "2", "--output", "json"]);
    let one = json(&[
        "sim",
        "regret",
        "--runs",
        "1",
        "--seed",
        "9",
        "--from",
        "3",
        "--threads",
        "1",
        "--output",
        "json",
    ]);
    let number = |sweep: &Value| -> Vec<Value> {
        let situations = sweep["situations"].as_array().expect("situations");
        situations.iter().filter(|situation| situation["number"] == 3).cloned().collect()
    };
    assert_eq!(number(&all), number(&one));
    assert_eq!(number(&one).len(), 1);
}

#[test]
fn text_says_what_is_counted_and_what_was_steered() {
    let text = stdout(&["sim", "regret", "--runs", "4"]);
    for word in
        ["job_io_s", "makespan_s", "file_io_p99_s", "chance alone", "of bytes", "below 10 ms are none"]
    {
        assert!(text.contains(word), "{word} is missing in:\n{text}");
    }
}

#[test]
fn named_situations_keep_their_limits() {
    let text = stdout(&["sim", "regret", "--named", "traces/adversarial"]);
    assert!(text.lines().count() > 10 && !text.contains("BROKEN"), "{text}");
}

#[test]
fn a_limit_that_is_broken_is_said_and_fails() {
    let folder = std::env::temp_dir().join(format!("tarazu-regret-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("never.toml");
    let text = "what = \"a limit that nobody keeps\"\n[limits]\nover-better = 0.5\n[case]\n\
                generate = [\"ior:nodes=2\"]\nseeds = 2\n";
    std::fs::write(&file, text).expect("a file");
    let output = tarazu(&["sim", "regret", "--named", &file.display().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("BROKEN"));
    std::fs::write(&file, "what = 3").expect("a file");
    let errors = String::from_utf8(tarazu(&["sim", "regret", "--named", &file.display().to_string()]).stderr);
    assert!(errors.expect("text").contains("never.toml"));
    std::fs::remove_dir_all(&folder).expect("the folder");
}
