//! What the sample logs and the public ones give: exactly these codes, and silence for all others.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tarazu_darshan::Log;
use tarazu_workload::analyze::{Code, Finding, Measure, Severity, Subject, Thresholds, Value, analyze};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/darshan")
}

/// A folder of the shared traces, `None` (said aloud) where it is absent.
fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    // Not `eprintln!`: the test harness would keep that to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/{folder} is absent");
    None
}

fn logs_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logs_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "darshan") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn findings(path: &Path) -> Vec<Finding> {
    analyze(&[&Log::open(path).unwrap()], &Thresholds::default())
}

/// Codes by file name, of all logs below a folder that can be read.
fn codes_below(folder: &Path) -> BTreeMap<String, Vec<&'static str>> {
    let logs = logs_below(folder).into_iter();
    let readable =
        logs.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), Log::open(&path).ok()?)));
    let codes = |log: Log| {
        let findings = analyze(&[&log], &Thresholds::default());
        findings.iter().map(|finding| finding.code.as_str()).collect()
    };
    readable.map(|(name, log)| (name, codes(log))).collect()
}

/// Every log gives exactly the codes listed for it, and none where it is not listed.
fn assert_gives(folder: &Path, expected: &[(&str, &[&str])]) {
    let found = codes_below(folder);
    for (name, _) in expected {
        assert!(found.contains_key(*name), "{name} is absent or cannot be read");
    }
    for (name, codes) in found {
        let wanted = expected.iter().find(|(listed, _)| *listed == name).map_or(&[][..], |(_, codes)| codes);
        assert_eq!(codes, wanted, "{name}");
    }
}

/// Logs of the project with something to say. All others are healthy and silent: IOR, HACC-IO, mdtest, HDF5,
/// PnetCDF and deep-learning runs without periods, some with one stripe per file, some with layouts that
/// grow.
const SAMPLES: [(&str, &[&str]); 9] = [
    ("ckpt-agg-skew-n16.darshan", &["TZ-BURST-01"]),
    ("ckpt-fpp-n16-lustre.darshan", &["TZ-BURST-01"]),
    ("ckpt-jitter20-n8-lustre.darshan", &["TZ-BURST-01"]),
    ("ckpt-ssf-n8-lustre-pfl.darshan", &["TZ-BURST-01"]),
    ("ckpt-strict-period-n8-lustre.darshan", &["TZ-BURST-01"]),
    ("ckpt-two-level-n4.darshan", &["TZ-BURST-01"]),
    ("ior-ckpt-periodic-n8.darshan", &["TZ-BURST-01"]),
    ("merged-from-killed-job.darshan", &["TZ-DATA-01", "TZ-BURST-01"]),
    ("nonmpi-cp-n1.darshan", &["TZ-DATA-01"]),
];

#[test]
fn healthy_samples_are_silent_and_the_others_say_what_they_are() {
    assert_gives(&samples(), &SAMPLES);
    let silent = codes_below(&samples()).values().filter(|codes| codes.is_empty()).count();
    assert!(silent >= 29, "only {silent} logs are silent");
}

#[test]
fn generated_logs_too() {
    let Some(folder) = shared("generated") else { return };
    let more: [(&str, &[&str]); 2] = [
        ("ior-partial-n4.darshan", &["TZ-DATA-01"]),
        ("killed-job-mmap-rank0-uncompressed.darshan", &["TZ-DATA-03", "TZ-BURST-01"]),
    ];
    assert_gives(&folder, &[&SAMPLES[..], &more].concat());
}

fn seconds(finding: &Finding, name: &str) -> f64 {
    match finding.measures.iter().find(|measure| measure.name == name) {
        Some(Measure { value: Value::Seconds(seconds), .. }) => *seconds,
        other => panic!("{name}: {other:?}"),
    }
}

fn count(finding: &Finding, name: &str) -> u64 {
    match finding.measures.iter().find(|measure| measure.name == name) {
        Some(Measure { value: Value::Count(count), .. }) => *count,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn periods_are_those_of_the_commands() {
    // Checkpoints and the seconds of computing between them, as the programs were started.
    let rows = [
        ("ckpt-agg-skew-n16", 10, 2.0),
        ("ckpt-fpp-n16-lustre", 8, 3.0),
        ("ckpt-jitter20-n8-lustre", 24, 4.0),
        ("ckpt-ssf-n8-lustre-pfl", 6, 4.0),
        ("ckpt-strict-period-n8-lustre", 24, 4.0),
        ("ckpt-two-level-n4", 24, 3.0),
        ("ior-ckpt-periodic-n8", 6, 4.0),
    ];
    for (name, bursts, compute_s) in rows {
        let found = findings(&samples().join(format!("{name}.darshan")));
        let burst = found.iter().find(|finding| finding.code == Code::PeriodicBursts).unwrap();
        assert_eq!(count(burst, "bursts"), bursts, "{name}");
        let silent_s = seconds(burst, "period") - seconds(burst, "burst_time");
        assert!((silent_s / compute_s - 1.0).abs() < 0.12, "{name}: {silent_s} s instead of {compute_s} s");
    }
}

#[test]
fn the_slow_target_of_sample_badost_is_ost_14() {
    let Some(folder) = shared("public") else { return };
    let found = findings(&folder.join("pydarshan/sample-badost.darshan"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!((found[0].code, found[0].severity), (Code::SlowTarget, Severity::Warning));
    assert_eq!(found[0].subject, Subject::Target { mount: "/scratch1".into(), ost: 14 });
    let evidence = found[0].evidence.unwrap();
    assert_eq!((evidence.samples, evidence.samples + evidence.others), (85, 2048));
    assert!(evidence.p_value < 1e-20, "{evidence:?}");
    // The README of the traces: a median of 510 s against about 11 s.
    assert!((seconds(&found[0], "median_io_time") - 510.0).abs() < 1.0);
    assert!((seconds(&found[0], "median_io_time_of_others") - 11.5).abs() < 1.0);
}

#[test]
fn public_logs_say_what_is_true_of_them() {
    let Some(folder) = shared("public") else { return };
    for part in ["dxt-explorer", "pydarshan", "darshan-logs"] {
        let expected: &[(&str, &[&str])] = match part {
            "pydarshan" => &[("sample-badost.darshan", &["TZ-TARGET-02"])],
            "darshan-logs" => &[
                ("skew-app.darshan", &["TZ-STRIPE-01", "TZ-RANK-01"]),
                ("partial_data_dxt.darshan", &["TZ-DATA-01", "TZ-DATA-01"]),
                ("worker_0.darshan", &["TZ-DATA-01"]),
            ],
            _ => &[],
        };
        assert_gives(&folder.join(part), expected);
    }
}

#[test]
fn the_shared_file_with_one_stripe_gets_a_command() {
    let Some(folder) = shared("public") else { return };
    let found = findings(&folder.join("darshan-logs/skew-app.darshan"));
    assert_eq!(count(&found[0], "recommended_stripes"), 64);
    assert_eq!(count(&found[0], "ranks"), 65_536);
    assert!(found[0].fix.contains("lfs setstripe -c 64 -S 4M DIR"), "{}", found[0].fix);
    assert_eq!(found[1].subject, Subject::Rank { rank: 0 });
}

#[test]
fn damaged_logs_are_judged_without_a_panic_and_said_to_be_damaged() {
    let Some(folder) = shared("malformed") else { return };
    let mut judged = 0;
    for path in logs_below(&folder) {
        let Ok(log) = Log::open(&path) else { continue };
        let found = analyze(&[&log], &Thresholds::default());
        let said = found.iter().filter(|finding| finding.code == Code::DamagedData).count();
        assert_eq!(said, log.faults.len(), "{}", log.file);
        judged += 1;
    }
    assert!(judged >= 20, "only {judged}");
}

#[test]
fn several_logs_give_what_each_gives_alone() {
    let paths = logs_below(&samples());
    let logs: Vec<Log> = paths.iter().filter_map(|path| Log::open(path).ok()).collect();
    let together = analyze(&logs.iter().collect::<Vec<_>>(), &Thresholds::default());
    let alone: Vec<Finding> = logs.iter().flat_map(|log| analyze(&[log], &Thresholds::default())).collect();
    assert_eq!(together, alone, "no target of the samples is slow, so nothing is added");
}

#[test]
fn thresholds_decide() {
    // The samples are small; thresholds are what keeps them silent.
    let text = "[stripe]\nbig_shared_file = 1\nshared_seconds_min = 1e-9\n[burst]\nbursts_min = 1000";
    let low = Thresholds::from_toml(text).unwrap();
    let logs: Vec<Log> = logs_below(&samples()).iter().filter_map(|path| Log::open(path).ok()).collect();
    let found: Vec<Finding> = logs.iter().flat_map(|log| analyze(&[log], &low)).collect();
    assert!(found.iter().all(|finding| finding.code != Code::PeriodicBursts));
    let one_stripe: Vec<&str> = found
        .iter()
        .filter(|finding| finding.code == Code::OneStripeShared)
        .filter_map(|finding| finding.source.rsplit('/').next())
        .collect();
    // Ranks read each other's samples, which have one stripe each.
    assert_eq!(one_stripe, ["dl-files-n8-lustre.darshan"]);
}
