//! `tarazu trace` as a real process: damaged logs, folders, traces of every kind, and a day of a machine.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LOG: &str = "traces/darshan/ior-ssf-segmented-n16-lustre-c8.darshan";

fn tarazu(args: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    Command::new(env!("CARGO_BIN_EXE_tarazu")).current_dir(root).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of its own for one test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trace").join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The sample log with a flipped byte in the middle of its largest module.
fn damaged(folder: &Path) -> PathBuf {
    let mut bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG)).unwrap();
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 0xff;
    let path = folder.join("damaged.darshan");
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_damaged_log_is_refused_unless_the_user_is_tolerant() {
    let folder = folder("tolerant");
    let bad = damaged(&folder);
    let bad = bad.to_str().unwrap();
    for args in [vec!["trace", "show"], vec!["trace", "convert", "--out", "-"], vec!["sim", "--seeds", "1"]] {
        let strict = tarazu(&[args.as_slice(), &[bad]].concat());
        let said = text(&strict.stderr);
        assert_eq!(strict.status.code(), Some(1), "{args:?}: {said}");
        assert!(strict.stdout.is_empty(), "{args:?}");
        assert!(said.contains("at offset") && said.contains("--tolerant"), "{args:?}: {said}");

        let tolerant = tarazu(&[args.as_slice(), &["--tolerant", bad]].concat());
        let said = text(&tolerant.stderr);
        assert_eq!(tolerant.status.code(), Some(4), "{args:?}: {said}");
        assert!(!tolerant.stdout.is_empty(), "{args:?}");
        assert!(said.contains("DXT_POSIX: the compressed stream at offset"), "{args:?}: {said}");
    }
    // Faults are data, too.
    let shown = tarazu(&["trace", "show", "--tolerant", "--output", "json", bad]);
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let fault = &json["logs"][0]["faults"][0];
    assert_eq!(fault["module"], "DXT_POSIX");
    assert!(fault["offset"].is_u64() && fault["reason"].is_string(), "{fault}");
}

#[test]
fn one_bad_log_does_not_keep_the_others_from_being_shown() {
    let folder = folder("several");
    let bad = damaged(&folder);
    let bad = bad.to_str().unwrap();
    let shown = tarazu(&["trace", "show", LOG, bad, "no-such.darshan", LOG]);
    assert_eq!(shown.status.code(), Some(1));
    assert_eq!(text(&shown.stdout).matches("16 processes").count(), 2);
    assert!(text(&shown.stderr).contains("no-such.darshan: cannot be read"));
    // A tolerant user gets three, and 4 for the damaged and the missing one.
    let shown = tarazu(&["trace", "show", "--tolerant", LOG, bad, "no-such.darshan", LOG]);
    assert_eq!(shown.status.code(), Some(4));
    assert_eq!(text(&shown.stdout).matches("16 processes").count(), 3);
    // Nothing at all could be used.
    assert_eq!(tarazu(&["trace", "show", "--tolerant", "no-such.darshan"]).status.code(), Some(1));
}

#[test]
fn folders_stand_for_the_logs_below_them() {
    let folder = folder("below");
    let day = folder.join("2026/11/22");
    fs::create_dir_all(&day).unwrap();
    for name in ["a.darshan", "b.darshan"] {
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG), day.join(name)).unwrap();
    }
    fs::write(day.join("notes.txt"), "nothing").unwrap();
    let shown = tarazu(&["trace", "show", folder.to_str().unwrap()]);
    assert!(shown.status.success());
    assert_eq!(text(&shown.stdout).matches("16 processes").count(), 2);
    let converted = tarazu(&["trace", "convert", folder.to_str().unwrap(), "--out", "-"]);
    assert!(text(&converted.stderr).contains("2 jobs, 32 ranks"), "{}", text(&converted.stderr));
    let empty = folder.join("empty");
    fs::create_dir_all(&empty).unwrap();
    let shown = tarazu(&["trace", "show", empty.to_str().unwrap()]);
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stderr).contains("there is no *.darshan file below"));
}

#[test]
fn every_kind_of_trace_becomes_a_workload() {
    let cases = [
        ("traces/recorder/ior-ssf-strided-n8", "1 job, 8 ranks, 1 file"),
        ("traces/recorder/ckpt-fpp-n4", "1 job, 4 ranks, 24 files"),
        ("traces/app-output/mdtest-hard-n8.txt", "1 job, 8 ranks, 512 files"),
        ("traces/app-output/ior-fpp-wr-n16.txt", "1 job, 16 ranks, 16 files"),
        (LOG, "1 job, 16 ranks, 1 file"),
    ];
    for (trace, expected) in cases {
        let converted = tarazu(&["trace", "convert", trace, "--out", "-"]);
        let said = text(&converted.stderr);
        assert!(converted.status.success() && said.contains(expected), "{trace}: {said}");
        // The simulator takes them as they are.
        let simulated = tarazu(&["sim", trace, "--seeds", "1", "--policy", "lustre-rr", "--output", "csv"]);
        assert!(simulated.status.success(), "{trace}: {}", text(&simulated.stderr));
    }
    // All at once, side by side.
    let traces: Vec<&str> = cases.iter().map(|(trace, _)| *trace).collect();
    let converted = tarazu(&[["trace", "convert", "--out", "-"].as_slice(), &traces].concat());
    assert!(text(&converted.stderr).contains("5 jobs, 52 ranks"), "{}", text(&converted.stderr));
    // What is nothing of the kind is named with what was looked for.
    let refused = tarazu(&["trace", "convert", "README.md", "--out", "-"]);
    assert_eq!(refused.status.code(), Some(1));
    for known in ["IOR", "mdtest", "Darshan", "Recorder", "workload file"] {
        assert!(text(&refused.stderr).contains(known), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_day_is_composed_and_replayed() {
    let folder = folder("day");
    let out = folder.join("day.csv");
    let day = folder.join("day.toml");
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG);
    let text_of_day = format!(
        "format = \"tarazu.day/1\"\nnodes = 8\nhours = 1\narrivals = \"poisson\"\njobs_per_hour = 20\n\n\
         [[part]]\nname = \"ior\"\nlog = {log:?}\nweight = 1\n"
    );
    fs::write(&day, text_of_day).unwrap();
    let composed = tarazu(&["trace", "compose", day.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert!(composed.status.success(), "{}", text(&composed.stderr));
    assert!(text(&composed.stderr).contains("jobs on"), "{}", text(&composed.stderr));
    let simulated = tarazu(&["sim", out.to_str().unwrap(), "--seeds", "1", "--policy", "lustre-rr,tarazu"]);
    assert!(simulated.status.success(), "{}", text(&simulated.stderr));
    assert!(text(&simulated.stdout).contains("job I/O time"));
    // A day is not made of half a log.
    fs::copy(damaged(&folder), folder.join("half.darshan")).unwrap();
    let text_of_day = fs::read_to_string(&day).unwrap().replace(log.to_str().unwrap(), "half.darshan");
    fs::write(&day, text_of_day).unwrap();
    let composed = tarazu(&["trace", "compose", day.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(composed.status.code(), Some(1));
    assert!(text(&composed.stderr).contains("half.darshan: DXT_POSIX"), "{}", text(&composed.stderr));
}
