//! What came out: numbers of each run, and the form in which scripts get them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::job::RankOutcome;
use super::pattern::{LOG_NAME, Pattern};
use super::watch::TargetWhy;
use super::{Chooser, Settings, Situation, TARGET_BPS, TARGETS};

/// Schema of the JSON.
const SCHEMA: &str = "tarazu.demo/1";

/// Two times that differ by no more than this share are about equal: each run is one run.
const NOISE_SHARE: f64 = 0.1;

/// The same in seconds: threads of a machine with other work are late by some hundredths in every checkpoint.
const NOISE_S: f64 = 0.25;

/// Share of slowest files that the file time leaves out.
const TAIL: f64 = 0.01;

/// All runs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    schema: &'static str,
    version: &'static str,
    /// Always true: no rate here is a device's.
    rates_are_emulated: bool,
    pub(crate) seed: u64,
    pub(crate) log: &'static str,
    pub(crate) ranks: usize,
    pub(crate) files: u64,
    /// Emulated bytes of the largest file.
    pub(crate) file_bytes: u64,
    /// Emulated bytes for one byte of the log.
    pub(crate) scale: u64,
    pub(crate) target_bps: f64,
    pub(crate) odd_target: String,
    pub(crate) interval_s: f64,
    #[serde(skip)]
    pub(crate) folder: PathBuf,
    pub(crate) runs: Vec<Run>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Run {
    #[serde(serialize_with = "situation")]
    pub(crate) situation: Situation,
    #[serde(serialize_with = "chooser")]
    pub(crate) policy: Chooser,
    /// Seconds in which at least one rank did I/O.
    pub(crate) job_io_s: f64,
    /// Seconds of I/O of the rank with the most.
    pub(crate) slowest_rank_s: f64,
    /// Seconds of making, writing and reading a file, 99th percentile.
    pub(crate) file_p99_s: f64,
    pub(crate) files: u64,
    pub(crate) files_steered: u64,
    /// Ranks whose announcement did not reach their node's daemon; all of them where nothing is steered.
    pub(crate) ranks_not_announced: u64,
    /// Why files were left, where tarazu was asked.
    pub(crate) left: BTreeMap<String, u64>,
    /// Written bytes of the job on the target with the most, over the mean of all targets.
    pub(crate) bytes_max_over_mean: f64,
    /// Files of the job on the odd target.
    pub(crate) files_on_odd_target: u64,
    pub(crate) controller: Said,
}

/// What the controller said.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Said {
    /// Of the odd target, last.
    pub(crate) reason: String,
    pub(crate) health: f64,
    /// The speed that it believed a file would have there, bytes/s, the lowest while the job ran.
    pub(crate) believed_bps: f64,
    /// Its grounds, where it judged.
    pub(crate) judged: String,
    /// When it first judged or excluded the target, seconds from the job's first operation; negative = before it.
    pub(crate) found_s: Option<f64>,
    /// Rows of jobs steered at a time, at most.
    pub(crate) jobs_steered: u32,
    /// Other targets that it judged: on a loaded machine the emulation itself may stutter.
    pub(crate) others: BTreeSet<u32>,
}

impl Said {
    /// Takes over what a plan says.
    pub(super) fn take(&mut self, target: &TargetWhy) {
        let lowest = if self.reason.is_empty() { f64::INFINITY } else { self.believed_bps };
        self.believed_bps = lowest.min(target.write_bps);
        self.reason.clone_from(&target.reason);
        self.health = target.health;
        if !target.judged.is_empty() {
            self.judged.clone_from(&target.judged);
        }
    }
}

fn situation<S: serde::Serializer>(situation: &Situation, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(situation.as_str())
}

fn chooser<S: serde::Serializer>(chooser: &Chooser, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(chooser.as_str())
}

impl Report {
    /// Before the first run.
    pub(super) fn new(settings: &Settings, pattern: &Pattern, scale: u64, folder: &Path) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            rates_are_emulated: true,
            seed: settings.seed,
            log: LOG_NAME,
            ranks: pattern.ranks.len(),
            files: pattern.files,
            file_bytes: pattern.file_bytes * scale,
            scale,
            target_bps: TARGET_BPS,
            odd_target: tarazu_layout::OstIndex(settings.odd_target()).to_string(),
            interval_s: settings.pace.interval.as_secs_f64(),
            folder: folder.to_owned(),
            runs: Vec::new(),
        }
    }

    /// The run of a situation with a chooser.
    pub(crate) fn run(&self, situation: Situation, chooser: Chooser) -> Option<&Run> {
        self.runs.iter().find(|run| run.situation == situation && run.policy == chooser)
    }

    /// How two times compare, in words.
    pub(crate) fn compared(&self, stock_s: f64, ours_s: f64) -> String {
        let change_s = ours_s - stock_s;
        if change_s.abs() <= NOISE_S.max(NOISE_SHARE * stock_s) {
            return format!("about equal ({stock_s:.2} s and {ours_s:.2} s: within the noise of one run)");
        }
        let word = if change_s < 0.0 { "shorter" } else { "LONGER" };
        format!("{word} with tarazu ({stock_s:.2} s without, {ours_s:.2} s with it)")
    }
}

impl Run {
    /// Sums up what the ranks did.
    pub(super) fn of(
        situation: Situation,
        policy: Chooser,
        ranks: &[RankOutcome],
        odd: u32,
        controller: Said,
    ) -> Self {
        let files: Vec<&(f64, usize, u64)> = ranks.iter().flat_map(|rank| &rank.files).collect();
        let mut by_target = vec![0u64; TARGETS as usize];
        for (_, target, bytes) in &files {
            if let Some(sum) = by_target.get_mut(*target) {
                *sum += bytes;
            }
        }
        let mean = by_target.iter().sum::<u64>() as f64 / f64::from(TARGETS);
        let most = by_target.iter().copied().max().unwrap_or(0) as f64;
        let io_s = |rank: &RankOutcome| rank.spans.iter().map(|(from, to)| to - from).sum::<f64>();
        let mut left = BTreeMap::new();
        for (why, count) in ranks.iter().flat_map(|rank| &rank.left) {
            *left.entry(why.clone()).or_default() += count;
        }
        Self {
            situation,
            policy,
            job_io_s: together(ranks.iter().flat_map(|rank| rank.spans.iter().copied()).collect()),
            slowest_rank_s: ranks.iter().map(io_s).fold(0.0, f64::max),
            file_p99_s: tail(files.iter().map(|file| file.0).collect()),
            files: files.len() as u64,
            files_steered: ranks.iter().map(|rank| rank.steered).sum(),
            ranks_not_announced: ranks.iter().filter(|rank| rank.not_told.is_some()).count() as u64,
            left: if policy == Chooser::Tarazu { left } else { BTreeMap::new() },
            bytes_max_over_mean: if mean > 0.0 { most / mean } else { 0.0 },
            files_on_odd_target: files.iter().filter(|file| file.1 == odd as usize).count() as u64,
            controller,
        }
    }
}

/// Seconds that are covered by at least one span.
fn together(mut spans: Vec<(f64, f64)>) -> f64 {
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut covered_s = 0.0;
    let mut until_s = f64::NEG_INFINITY;
    for (from_s, to_s) in spans {
        covered_s += (to_s - from_s.max(until_s)).max(0.0);
        until_s = until_s.max(to_s);
    }
    covered_s
}

/// The time that all but the slowest hundredth are within.
fn tail(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    let at = ((1.0 - TAIL) * seconds.len() as f64).ceil() as usize;
    seconds.get(at.saturating_sub(1)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_ranks_share_counts_once() {
        assert!((together(vec![(5.0, 6.0), (0.0, 2.0), (1.0, 3.0), (1.5, 2.5)]) - 4.0).abs() < 1e-9);
        assert_eq!(together(Vec::new()), 0.0);
    }

    #[test]
    fn the_tail_is_near_the_slowest() {
        assert_eq!(tail((1..=100).map(f64::from).collect()), 99.0);
        assert_eq!(tail(vec![3.0, 1.0]), 3.0);
        assert_eq!(tail(Vec::new()), 0.0);
    }

    #[test]
    fn a_run_sums_up_its_ranks() {
        let rank = |target: usize, seconds: f64| RankOutcome {
            spans: vec![(0.0, seconds)],
            files: vec![(seconds, target, 35)],
            steered: 1,
            left: vec![("no table".into(), 2)],
            not_told: None,
        };
        let ranks = [rank(0, 1.0), rank(0, 2.0), rank(7, 3.0)];
        let run = Run::of(Situation::Sick, Chooser::Tarazu, &ranks, 7, Said::default());
        assert_eq!((run.files, run.files_steered, run.files_on_odd_target), (3, 3, 1));
        assert_eq!((run.job_io_s, run.slowest_rank_s), (3.0, 3.0));
        assert_eq!(run.left, BTreeMap::from([("no table".to_owned(), 6)]));
        assert!((run.bytes_max_over_mean - 70.0 / 3.0).abs() < 1e-9);
    }
}
