//! Calibration against recorded jobs of a site.

use std::io::Write as _;
use std::path::Path;

use tarazu_sim::System;
use tarazu_sim::calibrate::{BenchJob, Manner, first_of_each, fit, numbers_set, read_jobs};

/// A job of a small system: 8 ranks on 2 nodes.
fn job(reads: bool, shared: bool, end_s: u64) -> BenchJob {
    BenchJob {
        label: String::new(),
        program: "bench".into(),
        start_s: 1000,
        end_s: 1000 + end_s - 1,
        ranks: 8,
        reads,
        bytes: 8 << 30,
        requests: 128,
        shared,
        busy_s: 8.0 * end_s as f64,
    }
}

#[test]
fn free_numbers_are_found_again() {
    let changes = ["servers.count=4", "servers.targets_each=1", "client.window_MiB=8"].map(String::from);
    let system = System::parse_with(tarazu_sim::BUNDLED, "test", &changes).expect("a valid system");
    // 8 GiB over 4 targets in 20 s are 102.4 MiB/s each; reading in half the time; sharing among 2 nodes costs half as
    // much again.
    let jobs = [job(false, false, 20), job(true, false, 10), job(false, true, 30), job(true, true, 15)];
    let by = first_of_each(&jobs);
    assert_eq!(by, [0, 1, 2]);
    assert_eq!(numbers_set(&jobs, &by), 3, "no job tells of the time of a request");
    let (free, results) = fit(&system, &jobs, &by, 4, |_| {}).expect("a fit");
    let near = |found: f64, wanted: f64| (found / wanted - 1.0).abs() < 0.03;
    assert!(near(free.write_bps, 102.4 * 1048576.0), "{free:?}");
    assert!(near(free.read_bps, 204.8 * 1048576.0), "{free:?}");
    assert!((free.shared_exponent - 1.5f64.log2()).abs() < 0.03, "{free:?}");
    // The fourth job was predicted, and sharing costs readers as much.
    assert!(!results[3].is_fit && results[3].error().abs() < 0.05, "{:?}", results[3]);
}

#[test]
fn published_jobs_are_read_as_what_they_were() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces/job-summaries");
    if !path.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/job-summaries is absent");
        return;
    }
    let file = std::fs::File::open(path.join("edison_2018-02-09_00h-12h.csv.gz")).expect("the summary");
    let jobs = read_jobs(flate2::read::GzDecoder::new(file), "edison.csv", Some("scratch1")).expect("jobs");
    let manners: Vec<_> = jobs.iter().map(|job| (job.program.as_str(), job.reads, job.manner())).collect();
    let expected = [
        ("ior", false, Manner::Aggregated),
        ("ior", false, Manner::FilePerProcess),
        ("ior", true, Manner::Aggregated),
        ("ior", true, Manner::FilePerProcess),
        ("hacc_io_write", false, Manner::FilePerProcess),
        ("hacc_io_read", true, Manner::FilePerProcess),
        ("vpicio_uni", false, Manner::Shared),
        ("dbscan_read", true, Manner::Shared),
    ];
    assert_eq!(manners, expected);
}
