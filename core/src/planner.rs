//! tarazu's planner: seconds of work per target, filled cheapest first, class by class, into rings.
//!
//! Work on a target is counted in the time it takes: placed bytes over the bandwidth that the target is
//! believed to have. Live load of others makes a target slower rather than fuller: it is a rate that
//! may last, not a queue that drains, and is shrunk by how well such load predicts itself.

use std::time::Duration;

use tarazu_layout::limits::{DISTINCT_TICKETS, TABLE_JOBS_MAX};
use tarazu_layout::{Bytes, TargetId, Time};
use tarazu_table::{JobEntry, Order};

use crate::demand::{CLASSES, ClassDemand, Demand, class_of};
use crate::fill::{Bin, Link, fill, last_finish_us};
use crate::gain::{Burst, GAIN_OVER_COST, GAIN_SHARE_MIN, Walked};
use crate::plan::{ClassPlan, Plan, TargetReason};
use crate::policy::Planner;
use crate::ring::{self, RingRequest};
use crate::rng::Rng;
use crate::sample::FileProfile;
use crate::view::{Exclusion, View};

/// Share of the targets that may be excluded by our own judgement: beyond it the judgement is more
/// likely wrong than a third of the machine sick.
pub const AUTOMATIC_EXCLUSIONS_MAX: f64 = 0.3;

/// Targets that are never excluded automatically, the best ones: a file system needs some place.
pub const TARGETS_LEFT_MIN: usize = 2;

/// Part of a target's excess load that is still there when a file placed now is written: its
/// autocorrelation after 15 s, measured on 24 targets of NERSC's Edison (12 hours, 5 s samples).
pub const LOAD_PERSISTENCE: f64 = 0.31;

/// Others' load counts up to this share of a target's bandwidth: an overloaded target still serves.
const LOAD_SHARE_MAX: f64 = 0.95;

/// New tickets must finish this much earlier to replace the previous ones, as a share: rings that
/// change for nothing cost fan-out and explain badly.
const KEEP_WITHIN: f64 = 0.02;

/// Bytes of one stripe where a class has no announced demand: the geometric middle of its range.
const NOMINAL_BYTES: [u64; CLASSES] = [1 << 20, 128 << 20, 4 << 30, 64 << 30];

/// The planner. Stateless: what must be remembered is in the previous plan.
#[derive(Clone, Copy, Debug)]
pub struct TarazuPlanner {
    /// A sample older than this says nothing: three reporting intervals.
    pub fresh_within: Duration,
    /// The moment that views are judged at.
    pub now: Time,
    /// What an explicit layout adds to a create.
    pub layout_cost: Duration,
    /// Steer every known job, also where nothing is expected of it: to measure what steering costs.
    pub always: bool,
}

impl Planner for TarazuPlanner {
    fn plan(&mut self, view: &View, demand: &Demand, previous: Option<&Plan>, _rng: &mut Rng) -> Plan {
        let reasons = reasons(view);
        let mut work = Work::of_ledger(view);
        let mut classes: Vec<ClassPlan> = Vec::with_capacity(CLASSES);
        // Largest files first: they are hardest to fit, and the smaller classes see them as work.
        for class in (0..CLASSES).rev() {
            let before = previous.and_then(|plan| plan.classes.get(class));
            let wanted = &demand.classes[class];
            let planned = self.plan_class(view, &reasons, &work, wanted, NOMINAL_BYTES[class], before);
            work.add(view, wanted, &planned.tickets);
            classes.push(planned);
        }
        classes.reverse();
        let steady = self.plan_steady(view, &reasons, previous);
        let gains = self.gains(view, demand, &reasons, &classes);
        let (jobs, jobs_left_out) = job_rows(view, &gains);
        Plan {
            order: Order::default(),
            made_at: self.now,
            steady_only: view.is_mostly_silent(self.now, self.fresh_within),
            reasons,
            classes,
            steady,
            jobs,
            jobs_left_out,
        }
    }
}

/// Work that targets and links already have.
struct Work {
    target_bytes: Vec<f64>,
}

impl Work {
    fn of_ledger(view: &View) -> Self {
        let bytes = |target: TargetId| view.ledger.outstanding(target).0 as f64;
        Self { target_bytes: view.topology.ids().map(bytes).collect() }
    }

    /// Adds a class's announced demand as it was just distributed.
    fn add(&mut self, view: &View, demand: &ClassDemand, tickets: &[u32]) {
        let total: u32 = tickets.iter().sum();
        if total == 0 {
            return;
        }
        for target in view.topology.ids() {
            let share = f64::from(tickets[target.index()]) / f64::from(total);
            self.target_bytes[target.index()] += demand.bytes.0 as f64 * share;
        }
    }
}

impl TarazuPlanner {
    fn plan_class(
        &self,
        view: &View,
        reasons: &[TargetReason],
        work: &Work,
        demand: &ClassDemand,
        nominal_bytes: u64,
        before: Option<&ClassPlan>,
    ) -> ClassPlan {
        let taking_part = reasons.iter().filter(|reason| takes_part(**reason)).count();
        // A burst is a handful of stripes a target, so it is filled stripe by stripe, in whole rounds lest
        // equal targets get unequal tickets; what is only nominal is filled as finely as a ring can say.
        let finest = taking_part * ring::passes(taking_part);
        let units = match demand.stripes {
            0 => finest as u32,
            stripes => stripes.min(finest as u64).next_multiple_of(taking_part.max(1) as u64) as u32,
        };
        let stripes = (demand.stripe_count_max as usize).max(1);
        // One target may have so many tickets that they can still be kept apart on the ring.
        let apart = DISTINCT_TICKETS.min(stripes.max(taking_part.div_ceil(2))).min(taking_part).max(1);
        let unit_bytes = ticket_bytes(demand, nominal_bytes, units);
        let (bins, links) = self.bins(view, reasons, work, unit_bytes, units.div_ceil(apart as u32));
        let filled = fill(&bins, &links, units);
        let usable = before.filter(|before| {
            // A ring for files with fewer stripes may repeat targets too early for these.
            before.stripes >= stripes.min(DISTINCT_TICKETS)
                && before.tickets.len() == bins.len()
                && before.tickets.iter().zip(&bins).all(|(tickets, bin)| *tickets <= bin.cap)
                && before.tickets.iter().sum::<u32>() == filled.units.iter().sum::<u32>()
        });
        if let Some(before) = usable {
            let last_finish_us = last_finish_us(&bins, &links, &before.tickets);
            if last_finish_us as f64 <= filled.last_finish_us as f64 * (1.0 + KEEP_WITHIN) {
                return ClassPlan { kept: true, last_finish_us, ..before.clone() };
            }
        }
        let servers: Vec<_> = view.topology.targets().iter().map(|spec| spec.server).collect();
        let request = RingRequest { weights: &filled.units, servers: &servers, stripes };
        ClassPlan {
            // Weights and servers come from one topology, so the only error is that no target takes part.
            ring: ring::build(&request).ok(),
            tickets: filled.units,
            stripes: stripes.min(DISTINCT_TICKETS),
            last_finish_us: filled.last_finish_us,
            kept: false,
        }
    }

    /// Targets and links as filling takes them, for tickets of `unit_bytes` bytes.
    fn bins(
        &self,
        view: &View,
        reasons: &[TargetReason],
        work: &Work,
        unit_bytes: f64,
        cap: u32,
    ) -> (Vec<Bin>, Vec<Link>) {
        let bin = |target: TargetId| {
            let bps = self.expected_bps(view, target);
            Bin {
                base_us: micros(work.target_bytes[target.index()] / bps),
                unit_us: micros(unit_bytes / bps).max(1),
                server: view.topology.targets()[target.index()].server.0,
                cap: if takes_part(reasons[target.index()]) { cap } else { 0 },
            }
        };
        let bins = view.topology.ids().map(bin).collect();
        let link = |(spec, below): (&crate::topology::ServerSpec, &Vec<TargetId>)| {
            let bytes: f64 = below.iter().map(|target| work.target_bytes[target.index()]).sum();
            Link { base_us: micros(bytes / spec.link_bps), unit_us: micros(unit_bytes / spec.link_bps) }
        };
        let links = view.topology.servers().iter().zip(view.topology.by_server()).map(link).collect();
        (bins, links)
    }

    /// Bandwidth left for a file placed now, bytes/s.
    fn expected_bps(&self, view: &View, target: TargetId) -> f64 {
        let bps = view.write_bps(target);
        let fresh =
            view.targets[target.index()].load.filter(|load| self.now.since(load.at) <= self.fresh_within);
        let Some(load) = fresh else { return bps };
        let spec = &view.topology.targets()[target.index()];
        let read_bps = spec.read_bps * view.targets[target.index()].health.read;
        let busy = (load.foreign_write_bps / bps + load.read_bps / read_bps).clamp(0.0, LOAD_SHARE_MAX);
        bps * (1.0 - LOAD_PERSISTENCE * busy)
    }

    /// Walks the announced bursts over the planned rings, and over what the file system would do.
    fn gains(&self, view: &View, demand: &Demand, reasons: &[TargetReason], classes: &[ClassPlan]) -> Gains {
        let bps: Vec<f64> = view.topology.ids().map(|target| self.expected_bps(view, target)).collect();
        let work = Work::of_ledger(view);
        let base_s: Vec<f64> = work.target_bytes.iter().zip(&bps).map(|(bytes, bps)| bytes / bps).collect();
        let stripe_s: Vec<Vec<f64>> = demand
            .classes
            .iter()
            .map(|class| {
                let bytes = class.bytes.0 as f64 / class.stripes.max(1) as f64;
                bps.iter().map(|bps| bytes / bps).collect()
            })
            .collect();
        let plain = plain_ring(view, reasons);
        let totals: Vec<[u64; 1]> = demand.classes.iter().map(|class| [class.stripes]).collect();
        let mut planned = Vec::with_capacity(CLASSES);
        let mut stock = Vec::with_capacity(CLASSES);
        for (class, plan) in classes.iter().enumerate() {
            let stripe_s = &stripe_s[class][..];
            let ring = plan.ring.as_ref().map_or(&[][..], |ring| &ring.tickets);
            planned.push(Burst { ring, parts: &demand.classes[class].by_job, stripe_s });
            stock.push(Burst { ring: &plain, parts: &totals[class], stripe_s });
        }
        Gains {
            planned: Walked::new(&base_s, &planned),
            stock: Walked::new(&base_s, &stock),
            at_any_cost: self.always || reasons.contains(&TargetReason::Excluded(Exclusion::Drained)),
            least_s: self.layout_cost.as_secs_f64() * GAIN_OVER_COST,
        }
    }

    /// Tickets from slow facts alone: no ledger, no load, no demand.
    fn plan_steady(&self, view: &View, reasons: &[TargetReason], previous: Option<&Plan>) -> ClassPlan {
        let blind = Self { fresh_within: Duration::ZERO, now: Time::MAX, ..*self };
        let idle = Work { target_bytes: vec![0.0; view.targets.len()] };
        let none = ClassDemand::default();
        let before = previous.map(|plan| &plan.steady);
        blind.plan_class(view, reasons, &idle, &none, NOMINAL_BYTES[CLASSES - 1], before)
    }
}

fn micros(seconds: f64) -> i64 {
    // `as` saturates, so hostile sizes give a huge cost and not a negative one.
    (seconds * 1e6).round() as i64
}

fn takes_part(reason: TargetReason) -> bool {
    !matches!(reason, TargetReason::Excluded(_))
}

/// Bytes that one ticket stands for: one stripe, or several where more are announced than there are tickets.
fn ticket_bytes(demand: &ClassDemand, nominal_bytes: u64, tickets: u32) -> f64 {
    if demand.stripes == 0 || tickets == 0 {
        return nominal_bytes as f64;
    }
    let stripe_bytes = demand.bytes.0 as f64 / demand.stripes as f64;
    (stripe_bytes * (demand.stripes as f64 / f64::from(tickets)).max(1.0)).max(1.0)
}

/// Who takes part: hard limits always exclude, our own judgement within its cap.
fn reasons(view: &View) -> Vec<TargetReason> {
    let standing: Vec<Option<Exclusion>> = view.topology.ids().map(|target| view.standing(target)).collect();
    let hard = standing.iter().filter(|why| why.is_some_and(|why| !why.is_automatic())).count();
    let mut suspects: Vec<(i64, TargetId)> = view
        .topology
        .ids()
        .filter(|target| standing[target.index()].is_some_and(Exclusion::is_automatic))
        .map(|target| (view.write_bps(target) as i64, target))
        .collect();
    // The slowest first, so that the cap spares the best of them.
    suspects.sort_unstable();
    let by_share = (standing.len() as f64 * AUTOMATIC_EXCLUSIONS_MAX) as usize;
    let by_rest = (standing.len() - hard).saturating_sub(TARGETS_LEFT_MIN);
    let excluded = &suspects[..suspects.len().min(by_share).min(by_rest)];
    let reason = |target: TargetId| match standing[target.index()] {
        None => TargetReason::TakesPart,
        Some(why) if !why.is_automatic() => TargetReason::Excluded(why),
        Some(why) if excluded.iter().any(|(_, other)| *other == target) => TargetReason::Excluded(why),
        Some(why) => TargetReason::SparedByCap(why),
    };
    view.topology.ids().map(reason).collect()
}

/// Equal tickets for all targets that the file system itself would use.
fn plain_ring(view: &View, reasons: &[TargetReason]) -> Vec<TargetId> {
    let by_stock = |reason: &TargetReason| match reason {
        TargetReason::Excluded(why) => u32::from(matches!(why, Exclusion::Drained | Exclusion::Sick)),
        TargetReason::TakesPart | TargetReason::SparedByCap(_) => 1,
    };
    let weights: Vec<u32> = reasons.iter().map(by_stock).collect();
    let servers: Vec<_> = view.topology.targets().iter().map(|spec| spec.server).collect();
    let ring = ring::build(&RingRequest { weights: &weights, servers: &servers, stripes: 1 });
    ring.map(|ring| ring.tickets).unwrap_or_default()
}

/// What steering is worth, for every job of a plan.
struct Gains {
    planned: Walked,
    stock: Walked,
    /// An operator's drain is honoured whatever it costs.
    at_any_cost: bool,
    least_s: f64,
}

impl Gains {
    /// Whether a job's files are worth a layout each.
    fn worthwhile(&self, file: &FileProfile) -> bool {
        let class = usize::from(class_of(file.expected));
        let stripes = file.stripes_per_burst;
        let stock_s = self.stock.last_s(class, stripes);
        let gain_s = stock_s - self.planned.last_s(class, stripes);
        // The burst saves its gain once, but every file costs its own layout, one after the other in
        // each process.
        let cost_s = self.least_s * f64::from(file.files_per_process.max(1));
        // What a file's later components take is not ours to save.
        let whole_s = stock_s * file.expected.0 as f64 / file.placed.0.max(1) as f64;
        self.at_any_cost || gain_s >= cost_s.max(whole_s * GAIN_SHARE_MIN)
    }
}

/// The job section, the jobs with most bytes first where there is not room for all.
fn job_rows(view: &View, gains: &Gains) -> (Vec<JobEntry>, usize) {
    let mut rows: Vec<(Bytes, JobEntry)> = Vec::new();
    for file in view.jobs.values().flat_map(|job| &job.files) {
        let row = JobEntry {
            key: file.key,
            class: class_of(file.expected),
            confidence_percent: file.confidence,
            worthwhile: gains.worthwhile(file),
            stripe_count: u16::try_from(file.stripe_count).unwrap_or(u16::MAX),
            stripe_size: u32::try_from(file.stripe_size).unwrap_or(0),
            expected_bytes: file.expected.0,
        };
        rows.push((Bytes(file.expected.0.saturating_mul(u64::from(file.files_per_burst))), row));
    }
    rows.sort_by_key(|(bytes, row)| (std::cmp::Reverse(*bytes), row.key));
    let left_out = rows.len().saturating_sub(TABLE_JOBS_MAX);
    rows.truncate(TABLE_JOBS_MAX);
    let mut rows: Vec<JobEntry> = rows.into_iter().map(|(_, row)| row).collect();
    rows.sort_by_key(|row| row.key);
    rows.dedup_by_key(|row| row.key);
    (rows, left_out)
}
