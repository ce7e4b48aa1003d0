//! The JSON form of results, schema `tarazu.sim/1` (`docs/tarazu.sim-1.schema.json`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tarazu_workload::Workload;

use crate::experiment::{PolicyResult, Results, Shard};
use crate::fingerprint::Fingerprint;
use crate::outcome::{Metric, Outcome};
use crate::scenario::{Policy, Scenario, Striping, Timing};
use crate::stats::{CONFIDENCE, Interval};
use crate::system::{Calibration, System};

/// The name of the schema.
pub const SCHEMA: &str = "tarazu.sim/1";

/// A whole result file.
#[derive(Debug, Serialize)]
pub struct Report {
    schema: &'static str,
    version: &'static str,
    compares: &'static str,
    fingerprint: Fingerprint,
    system: SystemPart,
    workload: WorkloadPart,
    scenario: ScenarioPart,
    /// Seeds of the whole sweep.
    seeds_total: u64,
    /// Where these are the seeds of one share of a sweep, which.
    shard: Option<Shard>,
    seeds: Vec<u64>,
    confidence: f64,
    baseline: &'static str,
    policies: Vec<PolicyPart>,
}

#[derive(Debug, Serialize)]
struct SystemPart {
    name: String,
    description: String,
    targets: usize,
    servers: usize,
    calibration: Option<Calibration>,
}

#[derive(Debug, Serialize)]
struct WorkloadPart {
    source: String,
    jobs: usize,
    nodes: u32,
    ranks: u64,
    files: usize,
    operations: u64,
    read_bytes: u64,
    written_bytes: u64,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ScenarioPart {
    timing: &'static str,
    striping: String,
    background: String,
    faults: Vec<String>,
    sick_target: Option<u32>,
    sick_speed: Option<f64>,
    sick_known_after_intervals: Option<u32>,
    forecast: String,
    steer_always: bool,
    start_jitter_s: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PolicyPart {
    policy: &'static str,
    metrics: BTreeMap<&'static str, MetricPart>,
    runs: Vec<RunPart>,
    files_steered_share: Option<f64>,
    bytes_steered_share: Option<f64>,
    /// Makespan over its lower bound, mean over seeds.
    makespan_over_bound: Option<f64>,
    off_target_bytes: u64,
    overfilled_bytes: u64,
    steered: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    plans: u64,
    reports_refused: u64,
}

/// What was counted in one run, in the order of the seeds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunPart {
    pub(crate) files_made: u64,
    pub(crate) files_steered: u64,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) steered_bytes: u64,
    pub(crate) off_target_bytes: u64,
    pub(crate) overfilled_bytes: u64,
    pub(crate) steered: BTreeMap<String, u64>,
    pub(crate) refusals: BTreeMap<String, u64>,
    pub(crate) plans: u64,
    pub(crate) reports_refused: u64,
    /// No placement could have had a shorter makespan, seconds.
    pub(crate) bound_s: Option<f64>,
}

impl RunPart {
    fn of(outcome: &Outcome) -> Self {
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(reason, count)| ((*reason).to_string(), *count)).collect()
        };
        Self {
            files_made: outcome.files_made,
            files_steered: outcome.files_steered,
            read_bytes: outcome.read_bytes,
            written_bytes: outcome.written_bytes,
            steered_bytes: outcome.steered_bytes,
            off_target_bytes: outcome.off_target_bytes,
            overfilled_bytes: outcome.overfilled_bytes,
            steered: named(&outcome.steered),
            refusals: named(&outcome.refusals),
            plans: outcome.plans,
            reports_refused: outcome.reports_refused,
            bound_s: outcome.bound_s,
        }
    }
}

#[derive(Debug, Serialize)]
struct MetricPart {
    higher_is_better: bool,
    mean: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    by_seed: Vec<Option<f64>>,
    change_percent: Option<ChangePart>,
}

#[derive(Debug, Serialize)]
struct ChangePart {
    mean: f64,
    low: Option<f64>,
    high: Option<f64>,
    is_clear: bool,
}

/// What results are about, for the report's head.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Where the workload came from, for people.
    pub source: &'a str,
    /// What was assumed when it was read.
    pub notes: &'a [String],
    /// The workload.
    pub workload: &'a Workload,
    /// The system.
    pub system: &'a System,
    /// The scenario.
    pub scenario: &'a Scenario,
    /// Seeds of the whole sweep, 1 to this.
    pub seeds_total: u64,
    /// The share of the seeds that was run.
    pub shard: Shard,
}

impl Report {
    /// The report of an experiment.
    #[must_use]
    pub fn new(subject: &Subject<'_>, results: &Results) -> Self {
        let Subject { system, scenario, .. } = *subject;
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            compares: compares(scenario),
            fingerprint: Fingerprint::of(subject.workload, system, scenario),
            system: SystemPart {
                name: system.name.clone(),
                description: system.description.clone(),
                targets: system.topology.targets().len(),
                servers: system.topology.servers().len(),
                calibration: system.calibration.clone(),
            },
            workload: workload_part(subject),
            scenario: ScenarioPart {
                timing: match scenario.timing {
                    Timing::Closed => "closed",
                    Timing::Open => "open",
                },
                striping: scenario.striping.to_string(),
                background: scenario.background.to_string(),
                faults: scenario.faults.iter().map(ToString::to_string).collect(),
                sick_target: scenario.sick.map(|sick| sick.target.0),
                sick_speed: scenario.sick.map(|sick| sick.speed),
                sick_known_after_intervals: scenario.sick.and(scenario.sick_known_after),
                forecast: scenario.forecast.to_string(),
                steer_always: scenario.steer_always,
                start_jitter_s: scenario.start_jitter_s,
            },
            seeds_total: subject.seeds_total,
            shard: Some(subject.shard).filter(|shard| *shard != Shard::WHOLE),
            seeds: results.seeds.clone(),
            confidence: CONFIDENCE,
            baseline: results.policies.first().map_or(Policy::LustreRr, |first| first.policy).as_str(),
            policies: results.policies.iter().map(policy_part).collect(),
        }
    }
}

/// What is compared: every policy gets the same stripe counts and sizes.
#[must_use]
pub fn compares(scenario: &Scenario) -> &'static str {
    match scenario.striping {
        Striping::AsLogged => "placement alone: every policy gets the recorded striping",
        Striping::Count(_) => "placement alone: every policy gets the same forced striping",
        Striping::SizeRule => "placement alone: every policy gets the same striping, by file size",
        Striping::Advised => "placement alone: every policy gets the same striping, as tarazu advises it",
        Striping::Pfl(_) => "placement alone: every policy gets the same default layout of a site",
    }
}

fn workload_part(subject: &Subject<'_>) -> WorkloadPart {
    let totals = subject.workload.totals();
    WorkloadPart {
        source: subject.source.to_string(),
        jobs: subject.workload.jobs.len(),
        nodes: subject.workload.nodes(),
        ranks: totals.ranks,
        files: subject.workload.files.len(),
        operations: totals.ops,
        read_bytes: totals.read_bytes,
        written_bytes: totals.written_bytes,
        notes: subject.notes.to_vec(),
    }
}

pub(crate) fn policy_part(result: &PolicyResult) -> PolicyPart {
    let metrics = Metric::ALL.into_iter().map(|metric| (metric.name(), metric_part(result, metric)));
    PolicyPart {
        policy: result.policy.as_str(),
        metrics: metrics.collect(),
        runs: result.outcomes.iter().map(RunPart::of).collect(),
        files_steered_share: result.files_steered_share(),
        bytes_steered_share: result.bytes_steered_share(),
        makespan_over_bound: result.makespan_over_bound(),
        off_target_bytes: result.sum(|outcome| outcome.off_target_bytes),
        overfilled_bytes: result.sum(|outcome| outcome.overfilled_bytes),
        steered: result.steered(),
        refusals: result.refusals(),
        plans: result.sum(|outcome| outcome.plans),
        reports_refused: result.sum(|outcome| outcome.reports_refused),
    }
}

fn metric_part(result: &PolicyResult, metric: Metric) -> MetricPart {
    let interval: Option<Interval> = result.intervals[metric as usize];
    let ends = interval.and_then(|interval| interval.ends);
    MetricPart {
        higher_is_better: metric.higher_is_better(),
        mean: interval.map(|interval| interval.mean),
        low: ends.map(|(low, _)| low),
        high: ends.map(|(_, high)| high),
        by_seed: result.outcomes.iter().map(|outcome| outcome.value(metric)).collect(),
        change_percent: result.changes[metric as usize].map(|change| ChangePart {
            mean: change.percent.mean,
            low: change.percent.ends.map(|(low, _)| low),
            high: change.percent.ends.map(|(_, high)| high),
            is_clear: change.is_clear,
        }),
    }
}

/// Writes one row per policy, seed and metric: `policy,seed,metric,value`.
///
/// # Errors
/// The writer's.
pub fn write_csv(results: &Results, out: impl std::io::Write) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["policy", "seed", "metric", "value"])?;
    for outcome in results.policies.iter().flat_map(|policy| &policy.outcomes) {
        let mut row = |metric: &str, value: Option<f64>| {
            let value = value.map_or_else(String::new, |value| value.to_string());
            writer.write_record([outcome.policy.as_str(), &outcome.seed.to_string(), metric, &value])
        };
        for metric in Metric::ALL {
            row(metric.name(), outcome.value(metric))?;
        }
        row("files_made", Some(outcome.files_made as f64))?;
        row("files_steered", Some(outcome.files_steered as f64))?;
        row("written_bytes", Some(outcome.written_bytes as f64))?;
        row("steered_bytes", Some(outcome.steered_bytes as f64))?;
    }
    writer.flush()?;
    Ok(())
}
