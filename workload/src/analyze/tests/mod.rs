//! Every finding on both sides of its thresholds, on jobs made up for it.

mod bursts;
mod hostile;
mod made;
mod ranks;
mod slow;
mod stripes;

use std::path::Path;

use super::facts::{Facts, FileUse, Piece, RankUse, SharedUse};
use super::{Analyzer, Code, Finding};
use crate::darshan::{ConvertOptions, Mounts, to_workload};
use tarazu_darshan::Log;
use tarazu_layout::Extent;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// A job of so many ranks that ran ten minutes.
fn job(ranks: u64, files: Vec<FileUse>) -> Facts {
    Facts {
        log: "job.darshan".into(),
        ranks: Some(ranks),
        run_time_s: Some(600.0),
        files,
        has_end: true,
        ..Facts::default()
    }
}

/// A file written from its first to its last byte, on these targets, by nobody yet.
fn file(name: &str, bytes: u64, osts: &[u32]) -> FileUse {
    let piece = Piece { extent: Extent::ALL, stripe_size: MIB, osts: osts.to_vec() };
    FileUse {
        id: tarazu_layout::hash::bytes(name.as_bytes()),
        name: Some(name.into()),
        mount: "/scratch".into(),
        written_bytes: bytes,
        end: bytes,
        layout: vec![piece],
        ..FileUse::default()
    }
}

/// The same, written by one rank in so many seconds.
fn own(rank: u64, bytes: u64, io_s: f64, osts: &[u32]) -> FileUse {
    let by_rank = vec![RankUse { rank, bytes, io_s }];
    FileUse { by_rank, io_s, ..file(&format!("/scratch/run/f.{rank}"), bytes, osts) }
}

/// The same, written by all ranks, each for so many seconds.
fn shared(bytes: u64, ranks: u64, each_s: f64, osts: &[u32]) -> FileUse {
    let io_s = each_s * ranks as f64;
    let by_all = SharedUse { bytes, io_s, slowest_rank: 3, slowest_s: each_s, slowest_bytes: bytes / ranks };
    FileUse { is_shared: true, by_all: Some(by_all), io_s, ..file("/scratch/run/all.h5", bytes, osts) }
}

fn findings(facts: &Facts) -> Vec<Finding> {
    Analyzer::default().add_facts(facts)
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    findings(facts).iter().map(|finding| finding.code.as_str()).collect()
}

/// The only finding.
fn only(facts: &Facts, code: Code) -> Finding {
    let mut found = findings(facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    let finding = found.remove(0);
    assert_eq!(finding.code, code, "{}", finding.words);
    assert_eq!(finding.severity, code.severity());
    finding
}

#[test]
fn a_job_without_anything_is_silent() {
    assert!(findings(&job(1, Vec::new())).is_empty());
    assert!(findings(&job(512, vec![file("/scratch/empty", 0, &[1])])).is_empty());
}

#[test]
fn the_most_severe_comes_first() {
    let mut facts = job(64, vec![shared(40 * GIB, 64, 20.0, &[1])]);
    facts.has_end = false;
    facts.writes = vec![bursts::regular(8, 10.0, 0.0)];
    assert_eq!(codes(&facts), ["TZ-STRIPE-01", "TZ-DATA-03", "TZ-BURST-01"]);
}

/// The sample logs that can be read.
fn samples() -> Vec<Log> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/darshan");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let logs: Vec<Log> = paths.iter().filter_map(|path| Log::open(path).ok()).collect();
    assert!(logs.len() >= 39, "only {}", logs.len());
    logs
}

#[test]
fn facts_hold_the_bytes_of_the_workload() {
    let options = ConvertOptions { mounts: Mounts::All, ..ConvertOptions::default() };
    for log in samples() {
        let totals = to_workload(&[&log], &options).unwrap().workload.totals();
        let files = Facts::of(&log).files;
        let sum = |bytes: fn(&FileUse) -> u64| files.iter().map(bytes).sum::<u64>();
        let found = (sum(|file| file.read_bytes), sum(|file| file.written_bytes));
        assert_eq!(found, (totals.read_bytes, totals.written_bytes), "{}", log.file);
    }
}

#[test]
fn facts_put_every_byte_of_a_placed_file_on_a_target() {
    let mut placed = 0;
    for log in samples() {
        for file in Facts::of(&log).files.iter().filter(|file| !file.layout.is_empty() && file.end > 0) {
            let held: u64 = file.extent_on_targets().map(|(_, bytes)| bytes).sum();
            assert_eq!(held, file.end, "{}: {}", log.file, file.label());
            let moved: f64 = file.moved_on_targets().map(|(_, bytes)| bytes).sum();
            assert!((moved / file.bytes() as f64 - 1.0).abs() < 1e-9, "{}: {}", log.file, file.label());
            placed += 1;
        }
    }
    assert!(placed > 300, "only {placed}");
}

#[test]
fn facts_hold_the_bytes_of_ranks() {
    // What the program asked of MPI-IO or POSIX, record by record or reduced; compared with the counters.
    for log in samples() {
        let facts = Facts::of(&log);
        let own: u64 = facts.files.iter().flat_map(|file| &file.by_rank).map(|used| used.bytes).sum();
        let all: u64 = facts.files.iter().filter_map(|file| file.by_all).map(|all| all.bytes).sum();
        let moved: u64 = facts.files.iter().map(FileUse::bytes).sum();
        if log.mpiio.is_none() && log.stdio.is_none() {
            assert_eq!(own + all, moved, "{}", log.file);
        }
        assert!(own + all > 0 || moved == 0, "{}", log.file);
    }
}
