//! A slow target, found by the files that lie on it alone.
//!
//! A file's score is its I/O seconds per byte over the median of files like it: same log, direction, size
//! within a factor of two, shared or not. The scores of one target's files are compared with all other
//! files' of the same file system by a rank-sum test; a target is named where the p-value, times the number
//! of targets, is below the threshold *and* the median is several times as large. The worst is named first
//! and leaves the comparison, so that it cannot hide a second one.
//!
//! Over many logs the test needs samples that do not depend on each other: a copy of a log is left out, a
//! file that many logs saw counts once, and the p-value is multiplied by the number of logs, too.
//!
//! Files over several targets are left out: their time is that of the slowest, and neighbours in a layout
//! meet again and again, so that a healthy target would be named with the sick one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{Facts, FileUse, Run};
use super::finding::{Code, Evidence, Finding, Subject, Value};
use super::rank_sum::Ranking;
use super::thresholds::TargetThresholds;
use super::words::{median, ratio, seconds, shell, times};

/// Samples kept for the judgement over many logs, at 64 bytes each 256 MiB; a year of a busy machine's
/// file-per-process jobs is a sample of about that size. Logs beyond are judged by themselves only.
pub const SAMPLES_MAX: usize = 1 << 22;

/// Fewer other targets than this are no peers to compare with.
const PEERS_MIN: usize = 3;

/// Slow targets named at most: where more are slow, the file system is, and no placement helps.
const NAMED_MAX: usize = 16;

/// One file on one target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sample {
    mount: Arc<str>,
    ost: u32,
    /// The file's record id, the same in every log.
    id: u64,
    /// Seconds per byte over the median of files like it.
    score: f64,
    io_s: f64,
    bytes: u64,
    /// Number of the log, so that logs can be counted.
    log: u64,
}

/// Samples of many logs.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    samples: Vec<Sample>,
    /// One per log with samples in it.
    runs: BTreeSet<Run>,
}

impl Pool {
    /// Logs with samples in it.
    pub(super) fn logs(&self) -> u64 {
        self.runs.len() as u64
    }

    /// Adds the samples of a log, unless another log of the same run is in the pool.
    pub(super) fn add(&mut self, run: Run, samples: Vec<Sample>) {
        let is_full = self.samples.len() + samples.len() > SAMPLES_MAX;
        if samples.is_empty() || is_full || !self.runs.insert(run) {
            return;
        }
        let log = self.logs();
        self.samples.extend(samples.into_iter().map(|sample| Sample { log, ..sample }));
    }

    /// Each file once: of several logs that saw it on the same target, the one with its middle score. The
    /// same name on another target is another file, made anew.
    pub(super) fn files(&self) -> Vec<&Sample> {
        let place = |a: &Sample, b: &Sample| (&a.mount, a.ost, a.id).cmp(&(&b.mount, b.ost, b.id));
        let mut samples: Vec<&Sample> = self.samples.iter().collect();
        samples.sort_by(|a, b| place(a, b).then(a.score.total_cmp(&b.score)).then(a.log.cmp(&b.log)));
        // The lower of two middle ones: an even count must not make a target look slower.
        let seen = samples.chunk_by(|a, b| place(a, b).is_eq());
        seen.filter_map(|scores| scores.get((scores.len() - 1) / 2).copied()).collect()
    }
}

/// A target that was found slow.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SlowTarget {
    mount: Arc<str>,
    ost: u32,
    factor: f64,
    median_s: f64,
    others_median_s: f64,
    rate: f64,
    others_rate: f64,
    evidence: Evidence,
}

/// What files must have in common to be compared.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    mount: String,
    is_shared: bool,
    writes: bool,
    /// Binary logarithm of the bytes.
    size: u32,
}

/// The files of one log that say something about a target.
pub(super) fn samples(facts: &Facts, thresholds: &TargetThresholds) -> Vec<Sample> {
    let mut kinds: BTreeMap<Kind, Vec<(u32, &FileUse)>> = BTreeMap::new();
    for file in &facts.files {
        if file.bytes() < thresholds.slow_file_bytes_min.max(1) {
            continue;
        }
        let Some(ost) = file.only_target() else { continue };
        let kind = Kind {
            mount: file.mount.clone(),
            is_shared: file.is_shared,
            writes: file.written_bytes >= file.read_bytes,
            size: file.bytes().ilog2(),
        };
        kinds.entry(kind).or_default().push((ost, file));
    }
    let mut samples = Vec::new();
    for (kind, files) in kinds {
        let cost = |file: &FileUse| file.io_s / file.bytes() as f64;
        let usual = median(files.iter().map(|(_, file)| cost(file)));
        let mut targets: Vec<u32> = files.iter().map(|(ost, _)| *ost).collect();
        targets.sort_unstable();
        targets.dedup();
        // Where one target has most of the files, "usual" would be its own time.
        if usual <= 0.0 || targets.len() <= PEERS_MIN {
            continue;
        }
        let mount: Arc<str> = Arc::from(kind.mount);
        samples.extend(files.iter().map(|(ost, file)| Sample {
            mount: Arc::clone(&mount),
            ost: *ost,
            id: file.id,
            score: cost(file) / usual,
            io_s: file.io_s,
            bytes: file.bytes(),
            log: 0,
        }));
    }
    samples
}

/// Slow targets among samples of so many logs, the surest first.
pub(super) fn find<'a>(
    samples: impl IntoIterator<Item = &'a Sample>,
    logs: u64,
    thresholds: &TargetThresholds,
) -> Vec<SlowTarget> {
    let mut mounts: BTreeMap<&Arc<str>, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        mounts.entry(&sample.mount).or_default().push(sample);
    }
    let mut found = Vec::new();
    for mut left in mounts.into_values() {
        for _ in 0..NAMED_MAX {
            let Some(worst) = worst(&left, logs, thresholds) else { break };
            left.retain(|sample| sample.ost != worst.ost);
            found.push(worst);
        }
    }
    found
}

/// The target that stands out most, if any does enough.
fn worst(samples: &[&Sample], logs: u64, thresholds: &TargetThresholds) -> Option<SlowTarget> {
    let ranking = Ranking::of(&samples.iter().map(|sample| sample.score).collect::<Vec<_>>());
    let mut targets: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        targets.entry(sample.ost).or_default().push(at);
    }
    if targets.len() <= PEERS_MIN {
        return None;
    }
    let enough = usize::try_from(thresholds.slow_files_min).unwrap_or(usize::MAX);
    let is_judged = |files: &[usize]| files.len() >= enough && samples.len() - files.len() >= 2 * enough;
    let tests = targets.values().filter(|files| is_judged(files)).count() as f64 * logs as f64;
    let mut best: Option<(u32, &[usize], f64)> = None;
    for (ost, files) in &targets {
        if !is_judged(files) {
            continue;
        }
        let rank_sum: f64 = files.iter().map(|at| ranking.ranks[*at]).sum();
        let p_value = (ranking.p_value(files.len(), rank_sum) * tests).min(1.0);
        let io_s: f64 = files.iter().map(|at| samples[*at].io_s).sum();
        if p_value >= thresholds.slow_p_value || io_s < thresholds.slow_seconds_min {
            continue;
        }
        // Large samples differ surely by amounts that do not matter.
        let score = median(files.iter().map(|at| samples[*at].score));
        let others = median(samples.iter().filter(|sample| sample.ost != *ost).map(|sample| sample.score));
        if score < thresholds.slow_factor * others {
            continue;
        }
        if best.is_none_or(|(_, _, before)| p_value < before) {
            best = Some((*ost, files, p_value));
        }
    }
    best.map(|(ost, files, p_value)| describe(samples, ost, files, p_value))
}

fn describe(samples: &[&Sample], ost: u32, files: &[usize], p_value: f64) -> SlowTarget {
    let own = || files.iter().map(|at| samples[*at]);
    let others = || samples.iter().copied().filter(move |sample| sample.ost != ost);
    let rate = |sample: &Sample| if sample.io_s > 0.0 { sample.bytes as f64 / sample.io_s } else { 0.0 };
    let mut logs: Vec<u64> = own().map(|sample| sample.log).collect();
    logs.sort_unstable();
    logs.dedup();
    SlowTarget {
        mount: own().next().map_or_else(|| Arc::from(""), |sample| Arc::clone(&sample.mount)),
        ost,
        factor: ratio(median(own().map(|sample| sample.score)), median(others().map(|sample| sample.score))),
        median_s: median(own().map(|sample| sample.io_s)),
        others_median_s: median(others().map(|sample| sample.io_s)),
        rate: median(own().map(rate)),
        others_rate: median(others().map(rate)),
        evidence: Evidence {
            samples: files.len() as u64,
            others: (samples.len() - files.len()) as u64,
            logs: logs.len() as u64,
            p_value,
        },
    }
}

impl SlowTarget {
    pub(super) fn is_same_target(&self, other: &Self) -> bool {
        self.ost == other.ost && self.mount == other.mount
    }

    /// Whether a file lies on it alone.
    pub(super) fn holds(&self, file: &FileUse) -> bool {
        *file.mount == *self.mount && file.only_target() == Some(self.ost)
    }

    pub(super) fn finding(&self, source: &str) -> Finding {
        let Self { ost, median_s, others_median_s, evidence, .. } = self;
        let Evidence { samples, others, logs, p_value } = evidence;
        let place = if self.mount.is_empty() {
            String::new()
        } else {
            format!(" of {}", super::words::printable(&self.mount))
        };
        let chance = if *p_value < 1e-9 { "below 1e-9".to_owned() } else { format!("{p_value:.1e}") };
        let words = format!(
            "OST {ost} (OST{ost:04x}){place} is slow: its {samples} files took a median of {} of I/O, {} as \
             long per byte as the {others} files on other targets (median {}); {} would show this by chance \
             with probability {chance} if the target were healthy",
            seconds(*median_s),
            times(self.factor),
            seconds(*others_median_s),
            if *logs > 1 { format!("{logs} logs") } else { "one log".to_owned() },
        );
        let folder = shell(&self.mount).unwrap_or_else(|| "DIR".to_owned());
        let fix = format!(
            "Tell the administrators: they can look at it and keep new files away with lctl set_param \
             obdfilter.*-OST{ost:04x}.degraded=1 on its server. Move files that are still needed: lfs find \
             {folder} --ost {ost} -type f lists them, lfs migrate -c 1 FILE rewrites one."
        );
        let subject = Subject::Target { mount: self.mount.to_string(), ost: *ost };
        let mut finding = Finding::new(Code::SlowTarget, source, subject, words, fix).measured(&[
            ("factor", Value::Factor(self.factor)),
            ("median_io_time", Value::Seconds(*median_s)),
            ("median_io_time_of_others", Value::Seconds(*others_median_s)),
            ("median_rate", Value::Rate(self.rate)),
            ("median_rate_of_others", Value::Rate(self.others_rate)),
        ]);
        finding.evidence = Some(*evidence);
        finding
    }
}
