//! `tarazu config` as a real process.

use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarazu"));
    command.arg("config").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.env_clear().envs(variables.iter().copied());
    command.output().expect("tarazu starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn show_prints_a_file_and_where_each_value_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("site.toml");
    std::fs::write(&file, "\nmode = \"observe\"\n[file_system.scratch]\nservers_expected = 4\n")
        .expect("written");
    let file = file.to_str().expect("text");
    let variables =
        [("TARAZU_CONTROLLER_SEED", "9"), ("STATE_DIRECTORY", "/var/lib/mine"), ("TARAZU_MODE", "off")];
    let output = run(&["show", "--origin", "--config", file, "--interval", "2s"], &variables);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let lines: Vec<&str> = text(&output.stdout).lines().collect();
    let expected = [
        ("listen = \"127.0.0.1:7480\"", "built-in"),
        ("mode = \"observe\"", "site.toml:2"),
        ("file_system.\"scratch\".servers_expected = 4", "site.toml:4"),
        ("seed = 9", "environment variable TARAZU_CONTROLLER_SEED"),
        ("state_dir = \"/var/lib/mine\"", "environment variable STATE_DIRECTORY"),
        ("interval = \"2s\"", "flag --interval"),
        ("# record is not set", "built-in"),
    ];
    for (start, end) in expected {
        let found = lines.iter().any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(found, "{start} ... {end} is not in:\n{}", lines.join("\n"));
    }
    // Without origins it is a settings file that says the same.
    let again = folder.path().join("again.toml");
    std::fs::write(&again, run(&["show", "--config", file], &variables).stdout).expect("written");
    let again = again.to_str().expect("text");
    let check = run(&["check", again], &[]);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stderr));
    assert!(check.stdout.is_empty() && text(&check.stderr).contains("again.toml is sound"));
    let (first, second) =
        (run(&["show", "--config", file], &variables), run(&["show", "--config", again], &[]));
    assert_eq!(text(&first.stdout), text(&second.stdout));
}

#[test]
fn show_prints_json() {
    let output = run(&["show", "--output", "json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(page["schema"], "tarazu.config/1");
    let settings = page["settings"].as_array().expect("settings");
    let interval = settings.iter().find(|setting| setting["key"] == "interval").expect("interval");
    assert_eq!((&interval["value"], &interval["origin"]), (&"5s".into(), &"built-in".into()));
}

#[test]
fn mistakes_end_with_1_and_wrong_usage_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bad.toml");
    std::fs::write(&file, "interval = \"1h\"\nintervall = \"5s\"\n").expect("written");
    let file = file.to_str().expect("text");
    for arguments in
        [&["check", file][..], &["show", "--check", "--config", file], &["show", "--config", file]]
    {
        let output = run(arguments, &[]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {errors}");
        assert!(
            errors.contains("bad.toml:1: ") && errors.contains("bad.toml:2: "),
            "{arguments:?}: {errors}"
        );
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    // The environment is no part of a file.
    let variables = [("TARAZU_CONTROLLER_MODE", "off")];
    assert_eq!(run(&["show", "--check"], &variables).status.code(), Some(1));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/tarazu.toml");
    assert_eq!(run(&["check", shipped.to_str().expect("text")], &variables).status.code(), Some(0));
    assert_eq!(run(&["show", "--check"], &[]).stdout, b"");
    assert_eq!(run(&["show", "--colour"], &[]).status.code(), Some(2));
    assert_eq!(run(&["check"], &[]).status.code(), Some(2));
}
