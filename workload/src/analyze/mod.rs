//! What a Darshan log says about the I/O of a job, as coded findings in plain words with a fix.
//!
//! This module owns the judgement: thresholds, statistics, words, and the recommended numbers. It is pure:
//! logs in, findings out, the same ones in the same order every time. It must not read files or print, and
//! it must stay silent about a healthy job: a finding is given only where bytes or seconds are at stake.
//!
//! Logs are judged one by one with [`Analyzer::add`]; what only many logs together can show, a slow target,
//! comes from [`Analyzer::finish`]. `docs/analyze.md` explains every code.

mod bursts;
mod data;
mod facts;
mod finding;
mod rank_sum;
mod ranks;
mod slow;
mod stripes;
mod targets;
#[cfg(test)]
mod tests;
mod thresholds;
mod words;

use tarazu_darshan::Log;

use self::facts::Facts;
pub use self::finding::{Code, Evidence, Finding, Measure, Severity, Subject, Value};
pub use self::slow::SAMPLES_MAX;
use self::slow::{Pool, SlowTarget};
pub use self::thresholds::{
    BurstThresholds, DEFAULTS_TOML, RankThresholds, StripeThresholds, TargetThresholds, ThresholdError,
    Thresholds,
};

/// Judges logs one after another; keeps only what the judgement over all of them needs.
#[derive(Clone, Debug, Default)]
pub struct Analyzer {
    thresholds: Thresholds,
    pool: Pool,
    /// Targets that a single log has named already.
    named: Vec<SlowTarget>,
}

impl Analyzer {
    /// An analyzer with these thresholds.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, ..Self::default() }
    }

    /// Findings of one log, the most severe first.
    #[must_use = "these findings are not given again"]
    pub fn add(&mut self, log: &Log) -> Vec<Finding> {
        self.add_facts(&Facts::of(log))
    }

    fn add_facts(&mut self, facts: &Facts) -> Vec<Finding> {
        let thresholds = &self.thresholds;
        let samples = slow::samples(facts, &thresholds.target);
        let slow = slow::find(&samples, 1, &thresholds.target);
        let mut findings = data::find(facts);
        let one_stripe = stripes::one_on_shared(facts, &thresholds.stripe);
        findings.extend(stripes::few_targets(facts, &one_stripe, &thresholds.stripe));
        findings.extend(targets::one_carries_most(facts, &one_stripe, &thresholds.target));
        findings.extend(stripes::small_and_wide(facts, &thresholds.stripe));
        findings.extend(slow.iter().map(|target| target.finding(&facts.log)));
        findings.extend(ranks::find(facts, &slow, &thresholds.rank));
        findings.extend(bursts::find(facts, &thresholds.burst));
        findings.extend(one_stripe.findings);
        findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.code.cmp(&b.code)));
        self.pool.add(facts.run, samples);
        self.named.extend(slow);
        findings
    }

    /// Findings that only the logs together show: slow targets that no single log names.
    #[must_use]
    pub fn finish(&self) -> Vec<Finding> {
        if self.pool.logs() < 2 {
            return Vec::new();
        }
        let found = slow::find(self.pool.files(), self.pool.logs(), &self.thresholds.target);
        let is_new = |target: &&SlowTarget| !self.named.iter().any(|named| named.is_same_target(target));
        let together = format!("{} logs together", self.pool.logs());
        found.iter().filter(is_new).map(|target| target.finding(&together)).collect()
    }
}

/// Findings of several logs: those of each in the order given, then those of all together.
#[must_use]
pub fn analyze(logs: &[&Log], thresholds: &Thresholds) -> Vec<Finding> {
    let mut analyzer = Analyzer::new(thresholds.clone());
    let mut findings: Vec<Finding> = logs.iter().flat_map(|log| analyzer.add(log)).collect();
    findings.extend(analyzer.finish());
    findings
}
