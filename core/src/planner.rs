//! tarazu's planner: seconds of work per target, filled cheapest first, class by class, into rings.
//!
//! Work on a target is counted in the time it takes: placed bytes over the bandwidth that the target is
//! believed to have. Live load of others makes a target slower rather than fuller: it is a rate that
//! may last, not a queue that drains, and is shrunk by how well such load predicts itself.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::limits::DISTINCT_TICKETS;
use tarazu_layout::{ServerId, TargetId, Time};
use tarazu_table::{JobKey, Order, Place};

use crate::deal::{self, Burden, Row, Speeds};
use crate::demand::{CLASSES, ClassDemand, Demand, DemandRow};
use crate::exact;
use crate::fill::{Bin, Filled, Link, fill, last_finish_us};
use crate::gain::Lasts;
use crate::plan::{Belief, ClassPlan, Placing, Plan, TargetReason};
use crate::policy::Planner;
use crate::ring::{self, RingRequest};
use crate::rng::Rng;
use crate::topology::{ServerSpec, Topology};
use crate::view::{Exclusion, View};
use crate::worth::{Gain, Worth, job_rows, steered};

/// Share of the targets that may be excluded by our own judgement: beyond it the judgement is more
/// likely wrong than a third of the machine sick.
pub const AUTOMATIC_EXCLUSIONS_MAX: f64 = 0.3;

/// Targets that are never excluded automatically, the best ones: a file system needs some place.
pub const TARGETS_LEFT_MIN: usize = 2;

/// Others' load counts up to this share of a target's bandwidth: an overloaded target still serves.
const LOAD_SHARE_MAX: f64 = 0.95;

/// A target is taken to be as idle as it looks if it has delivered this share of its class's bandwidth over
/// a reporting interval, some time lately.
const PROVED_SHARE: f64 = 0.5;

/// Least share of a target's bandwidth that is reckoned with while it comes back: work must stay finite.
const RAMP_MIN: f64 = 0.01;

/// New tickets must finish this much earlier to replace the previous ones, as a share: rings that
/// change for nothing cost fan-out and explain badly.
const KEEP_WITHIN: f64 = 0.02;

/// Bytes of one stripe where a class has no announced demand: the geometric middle of its range.
const NOMINAL_BYTES: [u64; CLASSES] = [1 << 20, 128 << 20, 4 << 30, 64 << 30];

/// Parts of the decision that can be taken away one by one, to measure what each is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Placed work that waits on targets.
    pub ledger: bool,
    /// Live load of others.
    pub load: bool,
    /// Server links as a second bottleneck.
    pub servers: bool,
    /// Small files share a target with those before them instead of waiting for all of their work.
    pub streams: bool,
    /// What was written lately decides where nothing else does.
    pub written: bool,
    /// Each job has its place on its ring; without, it begins where a hash says.
    pub places: bool,
    /// Units are spread by the exact solver instead of by filling: no part of the default, a check of it.
    pub exact: bool,
}

impl Parts {
    /// All of them, with filling.
    pub const ALL: Self = Self {
        ledger: true,
        load: true,
        servers: true,
        streams: true,
        written: true,
        places: true,
        exact: false,
    };
}

/// The planner. Stateless: what must be remembered is in the previous plan.
#[derive(Clone, Copy, Debug)]
pub struct TarazuPlanner {
    /// A sample older than this says nothing: three reporting intervals.
    pub fresh_within: Duration,
    /// The moment that views are judged at.
    pub now: Time,
    /// From the moment that placed work was last heard of until a file meets it, on average: work that a
    /// target does meanwhile is in nobody's way. About one reporting interval: half for the report to come,
    /// half for the plan to be used.
    pub lead: Duration,
    /// What an explicit layout adds to a create.
    pub layout_cost: Duration,
    /// What an explicit layout keeps the metadata server busy: the files of a burst wait for each other there.
    pub layout_service: Duration,
    /// Steer every known job, also where nothing is expected of it: to measure what steering costs.
    pub always: bool,
    /// What takes part in the decision.
    pub parts: Parts,
}

impl Planner for TarazuPlanner {
    fn plan(&mut self, view: &View, demand: &Demand, previous: Option<&Plan>, _rng: &mut Rng) -> Plan {
        let reasons = reasons(view);
        let facts = Facts::new(self, view);
        let mut burden = facts.burden.clone();
        let plain = plain_ring(&facts, &reasons);
        let mut gains = BTreeMap::new();
        let mut classes: Vec<ClassPlan> = Vec::with_capacity(CLASSES);
        // Largest files first: they are hardest to place, and the smaller classes see where they went.
        for class in (0..CLASSES).rev() {
            let before = previous.and_then(|plan| plan.classes.get(class));
            let shape = Shape::of(&demand.classes[class], NOMINAL_BYTES[class]);
            let mut planned = self.plan_class(&facts, &reasons, &burden, &shape, before);
            let rows = &demand.classes[class].rows;
            let earlier = Earlier { class: before, plan: previous, first_deal: self.first_deal() };
            deal_class(&facts, &plain, &mut planned, rows, &earlier, &mut burden, &mut gains);
            classes.push(planned);
        }
        classes.reverse();
        let steady = self.plan_steady(view, &reasons, previous);
        let worth = Worth {
            gains,
            at_any_cost: self.always || reasons.contains(&TargetReason::Excluded(Exclusion::Drained)),
            layout_s: self.layout_cost.as_secs_f64(),
            service_s: self.layout_service.as_secs_f64(),
            steered: steered(previous),
        };
        let jobs = job_rows(view, &worth, &classes, self.parts.places);
        Plan {
            order: Order::default(),
            made_at: self.now,
            steady_only: view.is_mostly_silent(self.now, self.fresh_within),
            observe_only: false,
            reasons,
            beliefs: Belief::of_all(view, &facts.write_bps, &facts.burden, self.now),
            classes,
            steady,
            jobs: jobs.rows,
            verdicts: jobs.verdicts,
            jobs_left_out: jobs.left_out,
        }
    }
}

/// What the planner knows of every target, worked out once.
struct Facts<'a> {
    topology: &'a Topology,
    servers: Vec<ServerId>,
    /// Bandwidth left for a file that is placed now, bytes/s.
    write_bps: Vec<f64>,
    read_bps: Vec<f64>,
    /// Share of its bandwidth that a target is to be used with until it has proved itself, above 0.
    ramp: Vec<f64>,
    /// Files being written to each target.
    streams: Vec<u32>,
    burden: Burden,
}

impl<'a> Facts<'a> {
    fn new(planner: &TarazuPlanner, view: &'a View) -> Self {
        let ids = || view.topology.ids();
        let write_bps = planner.expected_bps(view);
        let read_bps: Vec<f64> = ids().map(|target| view.read_bps(target)).collect();
        let waiting = |target: TargetId| view.ledger.outstanding(target).0 as f64;
        let lead_s = planner.lead.as_secs_f64();
        let on_its_way = |target: TargetId| {
            if planner.parts.ledger { waiting(target) / write_bps[target.index()] } else { 0.0 }
        };
        let dealt_s: Vec<f64> = ids().map(on_its_way).collect();
        let written = |target: TargetId| {
            let bytes = view.recent.bytes(target, planner.now) + waiting(target);
            if planner.parts.written { bytes / read_bps[target.index()] } else { 0.0 }
        };
        let mut written_s: Vec<f64> = ids().map(written).collect();
        let mean_s = written_s.iter().sum::<f64>() / written_s.len().max(1) as f64;
        for target in ids().filter(|target| !planner.has_proved(view, *target)) {
            // A sick target has little written to it, too: that must not draw more.
            written_s[target.index()] = mean_s;
        }
        let burden = Burden {
            work_s: dealt_s.iter().map(|waits_s| (waits_s - lead_s).max(0.0)).collect(),
            // What is on its way counts like what is announced, even if it will be gone in time.
            dealt_s,
            written_s,
        };
        Self {
            topology: &view.topology,
            servers: view.topology.targets().iter().map(|spec| spec.server).collect(),
            ramp: ids().map(|target| view.ramp(target, planner.now).max(RAMP_MIN)).collect(),
            streams: ids().map(|target| view.ledger.streams(target)).collect(),
            write_bps,
            read_bps,
            burden,
        }
    }

    fn speeds(&self) -> Speeds<'_> {
        Speeds { write_bps: &self.write_bps, read_bps: &self.read_bps }
    }
}

/// What is to be filled in for one class.
struct Shape<'a> {
    /// Stripes of the largest burst that is to come: jobs do not write all at once, so tickets are dealt
    /// as one job needs them; with those of all, a busy target would look like one that has its share.
    stripes: u64,
    /// Bytes of one stripe.
    stripe_bytes: f64,
    stripe_count_max: usize,
    /// Nobody would gain from another order, or the rest of a burst would leave its window.
    keeps_order: bool,
    /// The jobs that announced something.
    rows: &'a [DemandRow],
}

impl<'a> Shape<'a> {
    fn of(demand: &'a ClassDemand, nominal_bytes: u64) -> Self {
        let announced = demand.bytes.0 as f64 / demand.stripes.max(1) as f64;
        Self {
            stripes: demand.rows.iter().map(|row| row.stripes_to_come).max().unwrap_or(0),
            stripe_bytes: if demand.stripes == 0 { nominal_bytes as f64 } else { announced },
            stripe_count_max: (demand.stripe_count_max as usize).max(1),
            keeps_order: demand.rows.is_empty()
                || demand.rows.iter().any(|row| row.is_midway || row.bursts == 0),
            rows: &demand.rows,
        }
    }

    /// Units by target as the exact solver spreads them.
    fn spread(&self, bins: &[Bin], links: &[Link], units: u32) -> Filled {
        let kinds = exact::kinds(self.rows.iter().map(|row| (row.whole.step, row.stripes_to_come)));
        exact::spread(bins, links, &exact::files(&kinds, bins, units), units).0
    }

    /// Bytes that one ticket stands for: one stripe, or several where more are announced than there are
    /// tickets.
    fn ticket_bytes(&self, tickets: u32) -> f64 {
        let stripes = self.stripes as f64 / f64::from(tickets.max(1));
        (self.stripe_bytes * stripes.max(1.0)).max(1.0)
    }
}

impl TarazuPlanner {
    fn plan_class(
        &self,
        facts: &Facts<'_>,
        reasons: &[TargetReason],
        burden: &Burden,
        shape: &Shape<'_>,
        before: Option<&ClassPlan>,
    ) -> ClassPlan {
        let taking_part = reasons.iter().filter(|reason| takes_part(**reason)).count();
        // A burst is a handful of stripes a target, so it is filled stripe by stripe, in whole rounds lest
        // equal targets get unequal tickets; what is only nominal is filled as finely as a ring can say.
        let finest = taking_part * ring::passes(taking_part);
        let units = match shape.stripes {
            0 => finest as u32,
            stripes => stripes.min(finest as u64).next_multiple_of(taking_part.max(1) as u64) as u32,
        };
        // A wider file walks on until it has its targets; to keep so many tickets apart would force nearly
        // equal weights on the whole class.
        let stripes = shape.stripe_count_max.min(taking_part.div_ceil(2)).max(1);
        // One target may have so many tickets that they can still be kept apart on the ring.
        let apart = DISTINCT_TICKETS.min(stripes.max(taking_part.div_ceil(2))).min(taking_part).max(1);
        // The exact solver keeps each file's stripes apart by itself.
        let cap = if self.parts.exact { units } else { units.div_ceil(apart as u32) };
        let (bins, links) = self.bins(facts, reasons, burden, shape.ticket_bytes(units), cap);
        let filled =
            if self.parts.exact { shape.spread(&bins, &links, units) } else { fill(&bins, &links, units) };
        let order = order(&bins, burden);
        let usable = before.filter(|before| {
            // A ring for files with fewer stripes may repeat targets too early for these.
            before.stripes >= stripes.min(DISTINCT_TICKETS)
                && before.tickets.len() == bins.len()
                && before.tickets.iter().zip(&bins).all(|(tickets, bin)| *tickets <= bin.cap)
                && before.tickets.iter().sum::<u32>() == filled.units.iter().sum::<u32>()
                && (shape.keeps_order || is_in_order(before, &order, burden))
        });
        if let Some(before) = usable {
            let last_finish_us = last_finish_us(&bins, &links, &before.tickets);
            if last_finish_us as f64 <= filled.last_finish_us as f64 * (1.0 + KEEP_WITHIN) {
                return ClassPlan { kept: true, last_finish_us, ..before.clone() };
            }
        }
        let request = RingRequest { weights: &filled.units, servers: &facts.servers, stripes, order: &order };
        ClassPlan {
            // Weights and servers come from one topology, so the only error is that no target takes part.
            ring: ring::build(&request).ok(),
            tickets: filled.units,
            stripes: stripes.min(DISTINCT_TICKETS),
            last_finish_us: filled.last_finish_us,
            kept: false,
            placings: BTreeMap::new(),
        }
    }

    /// Targets and links as filling takes them, for tickets of `unit_bytes` bytes.
    fn bins(
        &self,
        facts: &Facts<'_>,
        reasons: &[TargetReason],
        burden: &Burden,
        unit_bytes: f64,
        cap: u32,
    ) -> (Vec<Bin>, Vec<Link>) {
        let bin = |target: TargetId| {
            let place = target.index();
            // A target that comes back is loaded step by step.
            let unit_s = unit_bytes / (facts.write_bps[place] * facts.ramp[place]);
            // Files that are being written share the target with a new one: each delays it by as much as
            // it writes itself, not by all that it has yet to write.
            let known_s = burden.work_s[place];
            let shared_s = known_s.min(f64::from(facts.streams[place]) * unit_s);
            let waits_s = if self.parts.streams { shared_s } else { known_s };
            Bin {
                base_us: micros(waits_s),
                unit_us: micros(unit_s).max(1),
                server: facts.servers[place].0,
                cap: if takes_part(reasons[place]) { cap } else { 0 },
            }
        };
        let bins = facts.topology.ids().map(bin).collect();
        let link = |(spec, below): (&ServerSpec, &Vec<TargetId>)| {
            let work = |target: &TargetId| burden.work_s[target.index()] * facts.write_bps[target.index()];
            let bytes: f64 = below.iter().map(work).sum();
            Link { base_us: micros(bytes / spec.link_bps), unit_us: micros(unit_bytes / spec.link_bps) }
        };
        let by_server = facts.topology.servers().iter().zip(facts.topology.by_server());
        let links = if self.parts.servers {
            by_server.map(link).collect()
        } else {
            by_server.map(|_| Link::default()).collect()
        };
        (bins, links)
    }

    /// Number of a first dealing. Processes begin anew when the number changes, so it must not be one that they
    /// may have from an earlier controller; seconds hardly meet.
    fn first_deal(&self) -> u16 {
        (self.now.0 / 1_000_000_000) as u16
    }

    /// Bandwidth left for files placed now, bytes/s, by target.
    fn expected_bps(&self, view: &View) -> Vec<f64> {
        let busy: Vec<Option<f64>> = view.topology.ids().map(|target| self.busy(view, target)).collect();
        let known = busy.iter().flatten().count().max(1);
        let mean = busy.iter().flatten().sum::<f64>() / known as f64;
        let left = |(target, busy): (TargetId, &Option<f64>)| {
            let busy = busy.unwrap_or(0.0);
            // A sick target looks idle, too: who has not been seen to deliver gets no credit for rest.
            let busy = if self.has_proved(view, target) { busy } else { busy.max(mean) };
            view.write_bps(target) * (1.0 - view.load_persistence() * busy.clamp(0.0, LOAD_SHARE_MAX))
        };
        view.topology.ids().zip(&busy).map(left).collect()
    }

    /// Whether a target has been seen to deliver about what its class does.
    fn has_proved(&self, view: &View, target: TargetId) -> bool {
        view.proved_share(target, self.now) >= PROVED_SHARE
    }

    /// Share of a target's bandwidth that others take, where that is known.
    fn busy(&self, view: &View, target: TargetId) -> Option<f64> {
        let load = view.targets[target.index()].load.filter(|_| self.parts.load)?;
        let fresh = self.now.since(load.at) <= self.fresh_within;
        fresh.then(|| load.foreign_write_bps / view.write_bps(target) + load.read_bps / view.read_bps(target))
    }

    /// Tickets from slow facts alone: no ledger, no load, no demand.
    fn plan_steady(&self, view: &View, reasons: &[TargetReason], previous: Option<&Plan>) -> ClassPlan {
        let parts = Parts { ledger: false, load: false, written: false, ..self.parts };
        let blind = Self { parts, ..*self };
        let facts = Facts::new(&blind, view);
        let nothing = ClassDemand::default();
        let shape = Shape::of(&nothing, NOMINAL_BYTES[CLASSES - 1]);
        let before = previous.map(|plan| &plan.steady);
        blind.plan_class(&facts, reasons, &facts.burden, &shape, before)
    }
}

/// Targets in the order in which they should come first on a ring: by when they would finish one ticket,
/// then by what was written lately.
fn order(bins: &[Bin], burden: &Burden) -> Vec<TargetId> {
    // In quarters of what the fastest one needs for a ticket; less is within the error of what is known.
    let step_us = bins.iter().map(|bin| bin.unit_us).min().unwrap_or(1).div_euclid(4).max(1);
    let rank = |target: &TargetId| {
        let bin = &bins[target.index()];
        ((bin.base_us + bin.unit_us) / step_us, micros(burden.written_s[target.index()]), *target)
    };
    let mut order: Vec<TargetId> = (0..bins.len() as u32).map(TargetId).collect();
    order.sort_by_cached_key(rank);
    order
}

/// Whether the ring of before still begins with targets to which little was written: its first round's
/// first half holds hardly more than the best half would.
fn is_in_order(before: &ClassPlan, order: &[TargetId], burden: &Burden) -> bool {
    let Some(ring) = &before.ring else { return false };
    let on_ring = before.tickets.iter().filter(|tickets| **tickets > 0).count();
    let half = on_ring.div_ceil(2);
    let written = |targets: &mut dyn Iterator<Item = &TargetId>| -> f64 {
        targets.map(|target| burden.written_s[target.index()]).sum()
    };
    let mut best = order.iter().filter(|target| before.tickets[target.index()] > 0).take(half);
    let all: f64 = burden.written_s.iter().sum();
    written(&mut ring.tickets.iter().take(half)) - written(&mut best) <= KEEP_WITHIN * all
}

/// Seconds by which the place of a job makes reading everything back more even than the file system's
/// cursor would, which may stand anywhere.
///
/// The work that a byte meets when all is read back is the mean of the targets' work weighted by
/// itself, `Σ w² / Σ w`. Stripes of `u` seconds on targets with `w` change its sum by `2 u w` each, apart
/// from what is alike for both.
fn evened_s(ring: &[TargetId], row: &DemandRow, begin: u32, burden: &Burden, facts: &Facts<'_>) -> f64 {
    let all: f64 = burden.written_s.iter().sum();
    if all <= 0.0 || row.whole.span == 0 {
        return 0.0;
    }
    let bytes = row.whole.ticket_bytes();
    let meets = |target: &TargetId| burden.written_s[target.index()] * bytes / facts.read_bps[target.index()];
    let tickets = deal::rest(ring, &row.whole, begin).count() as f64;
    let ours: f64 = deal::rest(ring, &row.whole, begin).map(meets).sum();
    let anywhere: f64 = facts.topology.ids().map(|target| meets(&target)).sum();
    let mean = anywhere / burden.written_s.len() as f64;
    2.0 * (tickets * mean - ours) / all
}

/// What was dealt before.
struct Earlier<'a> {
    /// The plan of this class.
    class: Option<&'a ClassPlan>,
    /// All of it: a job may have come from another class.
    plan: Option<&'a Plan>,
    /// Number of the first dealing of a job.
    first_deal: u16,
}

impl Earlier<'_> {
    fn placing(&self, key: JobKey) -> Option<&Placing> {
        self.plan.iter().flat_map(|plan| &plan.classes).find_map(|class| class.placings.get(&key))
    }
}

/// Gives each job of a class its place, the heaviest stripes first, notes what that gains, and puts what is
/// still to come on its targets.
fn deal_class(
    facts: &Facts<'_>,
    plain: &[TargetId],
    planned: &mut ClassPlan,
    rows: &[DemandRow],
    before: &Earlier<'_>,
    burden: &mut Burden,
    gains: &mut BTreeMap<JobKey, Gain>,
) {
    let Some(ring) = planned.ring.as_ref().map(|ring| &ring.tickets[..]) else { return };
    let targets = planned.tickets.iter().filter(|tickets| **tickets > 0).count();
    let same_ring = before.class.is_some_and(|before| before.ring == planned.ring);
    let mut placings = BTreeMap::new();
    for row in rows {
        let earlier = before.placing(row.key);
        let here = before.class.and_then(|class| class.placings.get(&row.key));
        let kept = here.filter(|here| same_ring && here.bursts == row.bursts);
        let begins = kept.map(|kept| kept.begin);
        let score = deal::best(ring, &row.whole, burden, facts.speeds(), begins);
        let deal = match (kept, earlier) {
            (Some(kept), _) if kept.begin == score.begin => kept.place.deal,
            (_, Some(earlier)) => earlier.place.deal.wrapping_add(1),
            (_, None) => before.first_deal,
        };
        let begin = deal::place(ring, targets, &row.whole, score.begin);
        let place = Place { begin, deal };
        placings.insert(row.key, Placing { begin: score.begin, place, score, bursts: row.bursts });
        gains.insert(row.key, gain(facts, (plain, ring), row, score.begin, burden));
        let to_come = Row { stripes: row.stripes_to_come, ..row.whole };
        deal::put(ring, &to_come, score.begin, burden, facts.speeds());
    }
    planned.placings = placings;
}

/// What a place is worth against what the file system would do on a plain ring.
fn gain(
    facts: &Facts<'_>,
    (plain, ring): (&[TargetId], &[TargetId]),
    row: &DemandRow,
    begin: u32,
    burden: &Burden,
) -> Gain {
    let stripe_s = |target: TargetId| row.whole.stripe_bytes as f64 / facts.write_bps[target.index()];
    let lasts = |ring| Lasts::new(ring, &row.whole, &burden.work_s, stripe_s);
    Gain {
        stock_s: lasts(plain).from_anywhere(),
        planned_s: lasts(ring).from(begin),
        evened_s: evened_s(ring, row, begin, burden, facts),
    }
}

fn micros(seconds: f64) -> i64 {
    // `as` saturates, so hostile sizes give a huge cost and not a negative one.
    (seconds * 1e6).round() as i64
}

fn takes_part(reason: TargetReason) -> bool {
    !matches!(reason, TargetReason::Excluded(_))
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
fn plain_ring(facts: &Facts<'_>, reasons: &[TargetReason]) -> Vec<TargetId> {
    let by_stock = |reason: &TargetReason| match reason {
        TargetReason::Excluded(why) => u32::from(matches!(why, Exclusion::Drained | Exclusion::Sick)),
        TargetReason::TakesPart | TargetReason::SparedByCap(_) => 1,
    };
    let weights: Vec<u32> = reasons.iter().map(by_stock).collect();
    let request = RingRequest { weights: &weights, servers: &facts.servers, stripes: 1, order: &[] };
    ring::build(&request).map(|ring| ring.tickets).unwrap_or_default()
}
