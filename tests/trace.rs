//! `tarazu trace` as a real process: damaged logs, folders, traces of every kind, and a day of a machine.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

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

/// A named pipe that nobody writes to; `None`, said aloud, where there is no `mkfifo`.
fn pipe(path: &Path) -> Option<()> {
    let made = Command::new("mkfifo").arg(path).status().is_ok_and(|status| status.success());
    if !made {
        eprintln!("SKIPPED: mkfifo made no {}", path.display());
    }
    made.then_some(())
}

/// As [`tarazu`], for what may wait for a pipe or a device without end.
#[allow(clippy::disallowed_methods, reason = "a test waits for a real process, but not for ever")]
fn tarazu_in_time(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tarazu"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{args:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn pipes_and_devices_are_refused_and_not_waited_for() {
    let folder = folder("pipes");
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG);
    let named = folder.join("named.darshan");
    let Some(()) = pipe(&named) else { return };
    let day = |key: &str, value: &str| {
        let path = folder.join("day.toml");
        let head =
            "format = \"tarazu.day/1\"\nnodes = 8\nhours = 1\narrivals = \"poisson\"\njobs_per_hour = 20\n";
        fs::write(&path, format!("{head}\n[[part]]\n{key} = {value:?}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    for path in [named.to_str().unwrap(), "/dev/zero"] {
        let out = ["--out", "-"];
        let cases = [
            vec!["trace", "show", path],
            vec!["analyze", path],
            [["trace", "convert", path].as_slice(), &out].concat(),
            vec!["sim", path],
        ];
        for args in cases {
            let refused = tarazu_in_time(&args);
            let said = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{args:?}: {said}");
            assert!(said.contains("is no regular file; save "), "{args:?}: {said}");
        }
        for key in ["log", "csv"] {
            let refused = tarazu_in_time(&["trace", "compose", &day(key, path), "--out", "-"]);
            let said = text(&refused.stderr);
            assert_eq!(refused.status.code(), Some(1), "{key} {path}: {said}");
            assert!(said.contains("is no regular file; save it to a file first"), "{key} {path}: {said}");
        }
    }
    // A day's log may not be a folder, and the error says what to name.
    let refused = tarazu(&["trace", "compose", &day("log", folder.to_str().unwrap()), "--out", "-"]);
    assert!(text(&refused.stderr).contains("is a folder; name the logs in it"), "{}", text(&refused.stderr));
    // In a folder they are left out by name.
    fs::copy(&log, folder.join("one.darshan")).unwrap();
    for args in [["trace", "show"].as_slice(), &["trace", "convert", "--out", "-"], &["analyze"]] {
        let shown = tarazu_in_time(&[args, &[folder.to_str().unwrap()]].concat());
        let said = text(&shown.stderr);
        assert!(shown.status.success(), "{args:?}: {said}");
        assert!(said.contains("named.darshan: left out, because it is no regular file"), "{args:?}: {said}");
    }
}

#[test]
fn a_pipe_among_the_ranks_of_a_recorder_trace_is_refused() {
    let folder = folder("ranks");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/recorder/ckpt-fpp-n4/text");
    for entry in fs::read_dir(sample).unwrap().flatten() {
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    fs::remove_file(folder.join("2.txt")).unwrap();
    let Some(()) = pipe(&folder.join("2.txt")) else { return };
    let refused = tarazu_in_time(&["trace", "convert", folder.to_str().unwrap(), "--out", "-"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("2.txt: cannot be read: is no regular file; save it to a file first"), "{said}");
}

#[test]
fn a_folder_that_is_not_searched_is_named_and_the_others_are_used() {
    let folder = folder("deep");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(LOG), folder.join("one.darshan")).unwrap();
    fs::create_dir_all(folder.join("1/2/3/4/5/6/7/8/9")).unwrap();
    let folder = folder.to_str().unwrap();
    for (args, code) in [
        (["trace", "show"].as_slice(), 1),
        (&["trace", "show", "--tolerant"], 4),
        (&["analyze", "--output", "json"], 1),
    ] {
        let shown = tarazu(&[args, &[folder]].concat());
        let said = text(&shown.stderr);
        assert_eq!(shown.status.code(), Some(code), "{args:?}: {said}");
        assert!(
            said.contains("7/8/9: not searched, because it lies more than 8 folders deep"),
            "{args:?}: {said}"
        );
        assert!(!shown.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn output_of_hacc_io_needs_the_nodes() {
    let trace = "traces/app-output/hacc-fpp-n8.txt";
    let convert =
        |more: &[&str]| tarazu(&[["trace", "convert", trace, "--out", "-"].as_slice(), more].concat());
    let refused = convert(&[]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("--nodes") && said.contains("--ranks-per-node"), "{said}");
    let converted = convert(&["--nodes", "2", "--ranks-per-node", "4"]);
    let said = text(&converted.stderr);
    assert!(converted.status.success() && said.contains("1 job, 8 ranks, 8 files"), "{said}");
    // Another number of ranks than ran does not fit the bytes.
    let said = text(&convert(&["--nodes", "7", "--ranks-per-node", "1"]).stderr);
    assert!(said.contains("headers for 7 ranks") && said.contains("--nodes"), "{said}");
    assert_eq!(convert(&["--nodes", "0"]).status.code(), Some(2));
}

#[test]
fn a_missing_trace_is_named_and_only_the_simulator_speaks_of_its_tools() {
    let absent = "there is no file flow";
    for (args, words, tool) in [
        (["trace", "convert", "flow", "--out", "-"].as_slice(), absent, false),
        (&["sim", "flow"], absent, true),
        (&["sim", "flow.csv"], absent, false),
        // One of many logs may be missing: it is named, and the others are shown.
        (&["trace", "show", "flow"], "flow: cannot be read; check that the path is right", false),
        (&["analyze", "flow"], "flow: cannot be read; check that the path is right", false),
    ] {
        let refused = tarazu(args);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert_eq!(said.contains("`flows`"), tool, "{args:?}: {said}");
    }
}
