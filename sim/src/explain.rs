//! Why: every plan of a run with the reason of each target and each job in it, schema `tarazu.explain/1`
//! (`docs/explain.md`).
//!
//! It only puts into words what the plans themselves say; it must not judge anything anew.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use tarazu_core::demand::CLASS_BOUNDS;
use tarazu_core::health::{Judge, Judgement};
use tarazu_core::plan::{Belief, ClassPlan, Placing, Plan, TargetReason};
use tarazu_core::topology::{TargetSpec, Topology};
use tarazu_core::view::Exclusion;
use tarazu_core::worth::Verdict;
use tarazu_layout::{JobId, Time};
use tarazu_table::{FileClass, JobEntry, JobKey};
use tarazu_workload::Workload;

use crate::fingerprint::Fingerprint;
use crate::profile::job_name;
use crate::report::Subject;
use crate::scenario::Policy;

/// The name of the schema.
pub const SCHEMA: &str = "tarazu.explain/1";

/// Targets and jobs of all plans that are kept together: some 40 MB of text, more than anybody reads. On 35
/// targets with 5 jobs these are 2,500 plans, over three hours with a new plan every five seconds.
pub const ROWS_MAX: usize = 100_000;

/// Why a target has the tickets of a class that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// It takes part with its share of the work.
    TakesPart,
    /// It may take part, but the others finish all of the class's work before it would finish one ticket.
    OthersFinishFirst,
    /// It gets nothing, as nothing may be put on it.
    Excluded(Exclusion),
    /// It would be excluded, but too many others already are.
    SparedByCap(Exclusion),
}

impl Candidate {
    /// Of a target with its tickets of one class.
    #[must_use]
    pub fn of(reason: TargetReason, tickets: u32) -> Self {
        match reason {
            TargetReason::Excluded(why) => Self::Excluded(why),
            TargetReason::TakesPart | TargetReason::SparedByCap(_) if tickets == 0 => Self::OthersFinishFirst,
            TargetReason::SparedByCap(why) => Self::SparedByCap(why),
            TargetReason::TakesPart => Self::TakesPart,
        }
    }

    /// Its stable name, such as `excluded:sick`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::TakesPart => "takes_part".to_string(),
            Self::OthersFinishFirst => "others_finish_first".to_string(),
            Self::Excluded(why) => format!("excluded:{}", why.as_str()),
            Self::SparedByCap(why) => format!("spared_by_cap:{}", why.as_str()),
        }
    }
}

/// The plans of a run in progress, as far as they are kept: the first ones.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    plans: Vec<Arc<Plan>>,
    rows: usize,
    left_out: u64,
}

impl Kept {
    /// Takes a plan that was published, if there is room; the first one has room always.
    pub(crate) fn take(&mut self, plan: &Arc<Plan>) {
        let rows = plan.reasons.len() + plan.verdicts.len();
        let is_full = !self.plans.is_empty() && self.rows + rows > ROWS_MAX;
        if self.left_out > 0 || is_full {
            self.left_out += 1;
            return;
        }
        self.rows += rows;
        self.plans.push(Arc::clone(plan));
    }
}

/// Every plan of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    policy: Policy,
    seed: u64,
    first_operation_s: f64,
    left_out: u64,
    plans: Vec<PlanPart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PlanPart {
    term: u64,
    seq: u64,
    at_s: f64,
    steady_only: bool,
    /// Jobs by verdict.
    verdicts: BTreeMap<&'static str, u64>,
    jobs_left_out: usize,
    classes: Vec<ClassPart>,
    steady: ClassPart,
    targets: Vec<TargetPart>,
    jobs: Vec<JobPart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ClassPart {
    smallest_bytes: u64,
    largest_bytes: Option<u64>,
    tickets: u64,
    stripes: usize,
    last_finish_s: f64,
    kept: bool,
    /// Targets by reason.
    reasons: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TargetPart {
    target: u32,
    ost: u32,
    server: u32,
    read_health: f64,
    write_health: f64,
    judged: Option<JudgedPart>,
    ramp: f64,
    write_bytes_per_s: Option<f64>,
    waiting_s: Option<f64>,
    written_s: Option<f64>,
    open_files: u32,
    classes: Vec<TicketPart>,
    steady: TicketPart,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TicketPart {
    tickets: u32,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct JudgedPart {
    at_s: f64,
    by: &'static str,
    evidence: Option<EvidencePart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct EvidencePart {
    source: &'static str,
    served_bytes_per_s: Option<f64>,
    peers_bytes_per_s: Option<f64>,
    depth: Option<f64>,
    intervals: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct JobPart {
    job: Option<u64>,
    name: Option<String>,
    kind: Option<&'static str>,
    key: String,
    in_table: bool,
    class: Option<u8>,
    expected_bytes: Option<u64>,
    confidence_percent: Option<u8>,
    why: &'static str,
    steered: bool,
    least_gain_s: Option<f64>,
    gain: Option<GainPart>,
    place: Option<PlacePart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct GainPart {
    stock_s: Option<f64>,
    planned_s: Option<f64>,
    evened_s: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PlacePart {
    window: u32,
    begin: u32,
    deal: u16,
    score: ScorePart,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ScorePart {
    finish: i64,
    dealt_s: f64,
    written_s: f64,
}

/// Whose files a key stands for.
struct Named {
    job: JobId,
    name: String,
    kind: FileClass,
}

impl Explanation {
    /// What was kept of a run, in words.
    pub(crate) fn new(
        kept: &Kept,
        (policy, seed): (Policy, u64),
        first_operation: Time,
        workload: &Workload,
        topology: &Topology,
    ) -> Self {
        let named = named(workload);
        Self {
            policy,
            seed,
            first_operation_s: first_operation.as_secs_f64(),
            left_out: kept.left_out,
            plans: kept.plans.iter().map(|plan| plan_part(plan, topology, &named)).collect(),
        }
    }

    /// The run's policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The run's seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Plans that are explained.
    #[must_use]
    pub fn plans(&self) -> usize {
        self.plans.len()
    }

    /// Later plans for which there was no room ([`ROWS_MAX`]).
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Writes it as JSON, a plan on each line.
    ///
    /// # Errors
    /// The writer's.
    pub fn write(&self, subject: &Subject<'_>, mut out: impl Write) -> std::io::Result<()> {
        let head = Head {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            fingerprint: Fingerprint::of(subject.workload, subject.system, subject.scenario),
            system: &subject.system.name,
            workload: subject.source,
            policy: self.policy.as_str(),
            seed: self.seed,
            first_operation_s: self.first_operation_s,
            plans_left_out: self.left_out,
        };
        let head = serde_json::to_string(&head)?;
        write!(out, "{},\n\"plans\":[", head.strip_suffix('}').unwrap_or(&head))?;
        for (number, plan) in self.plans.iter().enumerate() {
            out.write_all(if number > 0 { b",\n" } else { b"\n" })?;
            serde_json::to_writer(&mut out, plan)?;
        }
        writeln!(out, "\n]}}")
    }
}

/// All but the plans.
#[derive(Serialize)]
struct Head<'a> {
    schema: &'static str,
    version: &'static str,
    fingerprint: Fingerprint,
    system: &'a str,
    workload: &'a str,
    policy: &'static str,
    seed: u64,
    first_operation_s: f64,
    plans_left_out: u64,
}

/// Whose files each key of a workload stands for.
fn named(workload: &Workload) -> BTreeMap<JobKey, Named> {
    let kinds: BTreeSet<FileClass> =
        workload.files.iter().map(|file| FileClass::of_name(file.name.as_bytes())).collect();
    let of_job = |job: &tarazu_workload::Job| -> Vec<(JobKey, Named)> {
        let named = |kind: &FileClass| {
            let named = Named { job: job.id, name: job.name.clone(), kind: *kind };
            (job_name(job, *kind).exact(), named)
        };
        kinds.iter().map(named).collect()
    };
    workload.jobs.iter().flat_map(of_job).collect()
}

/// A kind of file in a stable word.
fn kind_name(kind: FileClass) -> &'static str {
    match kind {
        FileClass::Other => "other",
        FileClass::Hdf5 => "hdf5",
        FileClass::NetCdf => "netcdf",
        FileClass::Adios => "adios",
        FileClass::Checkpoint => "checkpoint",
        FileClass::Binary => "binary",
        FileClass::Text => "text",
    }
}

/// JSON has no words for what is no number or infinite.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn plan_part(plan: &Plan, topology: &Topology, named: &BTreeMap<JobKey, Named>) -> PlanPart {
    let mut verdicts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for verdict in plan.verdicts.values() {
        *verdicts.entry(verdict.why.as_str()).or_default() += 1;
    }
    let bounds = |class: usize| {
        let smallest = class.checked_sub(1).and_then(|below| CLASS_BOUNDS.get(below));
        (smallest.map_or(0, |bound| bound.0), CLASS_BOUNDS.get(class).map(|bound| bound.0 - 1))
    };
    let classes = plan.classes.iter().enumerate();
    let target =
        |((spec, belief), place): ((&TargetSpec, &Belief), usize)| target_part(plan, place, spec, belief);
    let job = |(key, verdict): (&JobKey, &Verdict)| job_part(plan, *key, verdict, named.get(key));
    PlanPart {
        term: plan.order.term,
        seq: plan.order.seq,
        at_s: plan.made_at.as_secs_f64(),
        steady_only: plan.steady_only,
        verdicts,
        jobs_left_out: plan.jobs_left_out,
        classes: classes.map(|(number, class)| class_part(plan, class, bounds(number))).collect(),
        steady: class_part(plan, &plan.steady, (0, None)),
        targets: topology.targets().iter().zip(&plan.beliefs).zip(0..).map(target).collect(),
        jobs: plan.verdicts.iter().map(job).collect(),
    }
}

fn class_part(
    plan: &Plan,
    class: &ClassPlan,
    (smallest_bytes, largest_bytes): (u64, Option<u64>),
) -> ClassPart {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for (reason, tickets) in plan.reasons.iter().zip(&class.tickets) {
        *reasons.entry(Candidate::of(*reason, *tickets).name()).or_default() += 1;
    }
    ClassPart {
        smallest_bytes,
        largest_bytes,
        tickets: class.tickets.iter().copied().map(u64::from).sum(),
        stripes: class.stripes,
        last_finish_s: class.last_finish_us as f64 / 1e6,
        kept: class.kept,
        reasons,
    }
}

fn target_part(plan: &Plan, place: usize, spec: &TargetSpec, belief: &Belief) -> TargetPart {
    let ticket = |class: &ClassPlan| {
        let tickets = class.tickets.get(place).copied().unwrap_or(0);
        TicketPart { tickets, reason: Candidate::of(plan.reasons[place], tickets).name() }
    };
    TargetPart {
        target: place as u32,
        ost: spec.ost.0,
        server: spec.server.0,
        read_health: belief.health.read,
        write_health: belief.health.write,
        judged: belief.judged.as_ref().map(judged_part),
        ramp: belief.ramp,
        write_bytes_per_s: finite(belief.write_bps),
        waiting_s: finite(belief.waiting_s),
        written_s: finite(belief.written_s),
        open_files: belief.streams,
        classes: plan.classes.iter().map(ticket).collect(),
        steady: ticket(&plan.steady),
    }
}

fn judged_part(judgement: &Judgement) -> JudgedPart {
    let at_s = judgement.at.as_secs_f64();
    match judgement.by {
        Judge::Operator => JudgedPart { at_s, by: "operator", evidence: None },
        Judge::Detector(evidence) => JudgedPart {
            at_s,
            by: "detector",
            evidence: Some(EvidencePart {
                source: evidence.source.as_str(),
                served_bytes_per_s: finite(evidence.served_bps),
                peers_bytes_per_s: finite(evidence.peers_bps),
                depth: finite(evidence.depth),
                intervals: evidence.intervals,
            }),
        },
    }
}

fn job_part(plan: &Plan, key: JobKey, verdict: &Verdict, named: Option<&Named>) -> JobPart {
    let row: Option<&JobEntry> =
        plan.jobs.binary_search_by_key(&key, |row| row.key).ok().and_then(|place| plan.jobs.get(place));
    let placing = plan.classes.iter().find_map(|class| class.placings.get(&key));
    JobPart {
        job: named.map(|named| named.job.0),
        name: named.map(|named| named.name.clone()),
        kind: named.map(|named| kind_name(named.kind)),
        key: format!("{:016x}", key.0),
        in_table: row.is_some(),
        class: row.map(|row| row.class),
        expected_bytes: row.map(|row| row.expected_bytes),
        confidence_percent: row.map(|row| row.confidence_percent),
        why: verdict.why.as_str(),
        steered: verdict.why.steers(),
        least_gain_s: finite(verdict.cost_s),
        // Without a place nothing was reckoned.
        gain: placing.map(|_| GainPart {
            stock_s: finite(verdict.gain.stock_s),
            planned_s: finite(verdict.gain.planned_s),
            evened_s: finite(verdict.gain.evened_s),
        }),
        place: placing.map(place_part),
    }
}

fn place_part(placing: &Placing) -> PlacePart {
    PlacePart {
        window: placing.begin,
        begin: placing.place.begin,
        deal: placing.place.deal,
        score: ScorePart {
            finish: placing.score.finish,
            dealt_s: placing.score.dealt_us as f64 / 1e6,
            written_s: placing.score.written_us as f64 / 1e6,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_table::Order;

    fn plan(seq: u64, targets: usize) -> Arc<Plan> {
        let class = ClassPlan {
            tickets: vec![1; targets],
            stripes: 1,
            ring: None,
            last_finish_us: 0,
            kept: false,
            placings: BTreeMap::new(),
        };
        Arc::new(Plan {
            order: Order { term: 1, seq },
            made_at: Time::ZERO,
            steady_only: false,
            observe_only: false,
            reasons: vec![TargetReason::TakesPart; targets],
            beliefs: Vec::new(),
            classes: Vec::new(),
            steady: class,
            jobs: Vec::new(),
            verdicts: BTreeMap::new(),
            jobs_left_out: 0,
        })
    }

    #[test]
    fn the_first_plans_are_kept_and_the_others_counted() {
        let mut kept = Kept::default();
        for (seq, targets) in [(1, ROWS_MAX - 10), (2, 10), (3, 1), (4, 0)] {
            kept.take(&plan(seq, targets));
        }
        let seqs: Vec<u64> = kept.plans.iter().map(|plan| plan.order.seq).collect();
        assert_eq!((seqs, kept.left_out), (vec![1, 2], 2), "once one is left out, no later one is kept");
        let mut huge = Kept::default();
        huge.take(&plan(1, ROWS_MAX + 1));
        assert_eq!((huge.plans.len(), huge.left_out), (1, 0));
    }

    #[test]
    fn every_candidate_has_its_reason() {
        let sick = Exclusion::Sick;
        let cases = [
            (TargetReason::TakesPart, 3, "takes_part"),
            (TargetReason::TakesPart, 0, "others_finish_first"),
            (TargetReason::SparedByCap(sick), 1, "spared_by_cap:sick"),
            (TargetReason::SparedByCap(sick), 0, "others_finish_first"),
            (TargetReason::Excluded(sick), 0, "excluded:sick"),
            (TargetReason::Excluded(Exclusion::Drained), 0, "excluded:drained"),
        ];
        for (reason, tickets, name) in cases {
            assert_eq!(Candidate::of(reason, tickets).name(), name);
        }
    }
}
