//! The controller as a state machine: events in, effects out, no clock, no sockets.
//!
//! The simulator and the controller service drive the very same [`Control::step`]. It owns the view,
//! the order of plans and when to plan. It must not plan by itself: long work leaves as
//! [`Effect::Solve`] and comes back as [`Event::Solved`]; what must be durable leaves as
//! [`Effect::Persist`] and takes effect with its [`Event::Persisted`].

mod event;
mod intent;
mod start;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tarazu_layout::{TargetId, Time};
use tarazu_table::{FRESH_INTERVALS, FsIdentity, Order};

use crate::demand::Demand;
use crate::health::{CANARY_BYTES, Detector, HealthConfig, Judge, Judgement, RAMP_IN, Ramp};
use crate::plan::Plan;
use crate::publish::encode_plan;
use crate::rng::Rng;
use crate::topology::Topology;
use crate::view::{Health, View};
pub use event::{Durable, Effect, Event, LogEntry, Problem, Publication, Refused};
pub use intent::{Drain, Policy};
use start::Starting;
pub use start::{Expected, REPORTED_SHARE, SETTLED_INTERVALS, STARTING_MAX};

/// What the controller is told when it is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlConfig {
    /// The file system it plans for.
    pub fs: FsIdentity,
    /// Between two reports of an agent, and at least between two plans.
    pub interval: Duration,
}

/// Intervals after which a solution that has not come back is given up, and the problem stated anew.
pub const SOLVE_INTERVALS_MAX: u32 = 6;

/// How far a term that a node claims to have seen may be above ours: more controller starts than a
/// system has in its life. A single mad node must not use up all terms.
pub const TERM_AHEAD_MAX: u64 = 1 << 20;

/// The controller of one file system.
#[derive(Debug)]
pub struct Control {
    config: ControlConfig,
    view: Arc<View>,
    plan: Option<Arc<Plan>>,
    /// The durable term; 0 before the first one is durable: nothing may be published until then.
    term: u64,
    /// The highest term known anywhere.
    term_seen: u64,
    /// Number of the newest plan published in this term.
    seq: u64,
    /// Number of the newest problem stated.
    problem: u64,
    /// Number of the newest problem whose solution was taken.
    answered: u64,
    last_problem_at: Option<Time>,
    /// When the plan in force was last published or confirmed.
    last_word_at: Time,
    last_expiry_at: Time,
    started: bool,
    /// While it waits for the known agents' first reports: since when, and who has reported.
    starting: Option<Starting>,
    policy: Policy,
    /// The newest durable record of the policy.
    policy_write: Option<u64>,
    /// The newest term could not be made durable.
    term_failed: bool,
    /// How many servers are to be waited for after a start.
    expected: Expected,
    /// When nodes last made it raise its term.
    last_raise_at: Option<Time>,
    /// The newest plan could not be made a table.
    unpublished: bool,
    /// Something material changed since the last problem.
    changed: bool,
    next_write: u64,
    waiting: BTreeMap<u64, Durable>,
    /// The newest durable record of each drain, so that records may become durable in any order.
    drain_writes: BTreeMap<TargetId, u64>,
    detector: Detector,
    /// Sum of the targets' ramps at the last look.
    ramps: f64,
}

impl Control {
    /// A controller before [`Event::Started`].
    #[must_use]
    pub fn new(config: ControlConfig, topology: Topology) -> Self {
        let ramps = topology.targets().len() as f64;
        Self {
            config,
            detector: Detector::new(&topology, config.interval, HealthConfig::default()),
            ramps,
            view: Arc::new(View::new(topology)),
            plan: None,
            term: 0,
            term_seen: 0,
            seq: 0,
            problem: 0,
            answered: 0,
            last_problem_at: None,
            last_word_at: Time::ZERO,
            last_expiry_at: Time::ZERO,
            started: false,
            starting: None,
            policy: Policy::default(),
            policy_write: None,
            term_failed: false,
            expected: Expected::Known(0),
            last_raise_at: None,
            unpublished: false,
            changed: false,
            next_write: 0,
            waiting: BTreeMap::new(),
            drain_writes: BTreeMap::new(),
        }
    }

    /// The same with health judged so; to be called before the first event.
    #[must_use]
    pub fn with_health(mut self, health: HealthConfig) -> Self {
        self.detector = Detector::new(&self.view.topology, self.config.interval, health);
        self.policy = Policy { canary: health.canary, detect: health.detect, ..self.policy };
        self
    }

    /// The same with this wanted of it until an event says otherwise; to be called before the first event.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.take_policy(policy);
        self
    }

    /// The same waiting for so many servers after its start; to be called before the first event.
    #[must_use]
    pub fn with_expected(mut self, expected: Expected) -> Self {
        self.expected = expected;
        self
    }

    /// What is wanted of it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Its durable term; 0 before the first is durable.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Whether it still waits for the known agents' first reports.
    #[must_use]
    pub fn is_starting(&self) -> bool {
        self.starting.is_some()
    }

    /// When the plan in force was last published or confirmed; `None` before the first.
    #[must_use]
    pub fn last_word_at(&self) -> Option<Time> {
        self.plan.is_some().then_some(self.last_word_at)
    }

    /// The view, to look at.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_deref()
    }

    /// Takes one event and appends what is to be done to `out`.
    ///
    /// Only the times of the first canaries are drawn from `rng`.
    pub fn step(&mut self, now: Time, event: Event, rng: &mut Rng, out: &mut Vec<Effect>) {
        let outcome = match event {
            Event::Started { stored_term, drained, policy } => {
                self.start(now, stored_term, drained, policy, out)
            }
            Event::Grown { topology, drained } => self.grow(topology, drained, now),
            Event::SawTerm(term) => self.saw_term(term, now, out),
            Event::SawOther(term) => self.saw_other(term, now, out),
            Event::Persisted { write } => self.persisted(write),
            Event::PersistFailed { write } => self.persist_failed(write),
            Event::Drain { targets, drain } => self.drain(targets, drain, out),
            Event::SetPolicy(policy) => {
                self.persist(Durable::Policy(policy), out);
                Ok(())
            }
            Event::Solved { seq, plan } => self.solved(seq, *plan, now, out),
            Event::Tick => {
                self.age_if_due(now, out);
                self.send_canaries(now, rng, out);
                Ok(())
            }
            news => self.take_news(news, now),
        };
        if let Err(refused) = outcome {
            out.push(Effect::Refused(refused));
        }
        self.plan_if_due(now, out);
        self.confirm_if_due(now, out);
    }

    /// Without news a plan stays in force; nodes must hear so before they take it for old.
    fn confirm_if_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(order) = self.plan.as_ref().map(|plan| plan.order) else { return };
        let spoke = now.since(self.last_word_at) < self.config.interval;
        let planning = self.answered < self.problem;
        // What could not be published may be what makes the old plan wrong: let that grow old.
        if spoke || planning || self.unpublished || !self.may_publish() {
            return;
        }
        self.last_word_at = now;
        out.push(Effect::Confirm(order));
    }

    /// Events that only change the view.
    fn take_news(&mut self, event: Event, now: Time) -> Result<(), Refused> {
        let view = Arc::make_mut(&mut self.view);
        match event {
            Event::Sample(sample) => {
                // The same load again is no reason for a new plan.
                self.changed |= view.take_sample(&sample, now)?;
                self.detector.take_sample(&self.view.topology, &sample, now);
                if let Some(starting) = &mut self.starting {
                    starting.reported.insert(sample.server);
                }
                return Ok(());
            }
            Event::Placed(batch) => batch.iter().for_each(|placed| view.take_placed(placed, now)),
            Event::JobStarted(start) => {
                let job = start.job;
                if !view.take_job_start(start) {
                    return Err(Refused::JobsFull(job));
                }
            }
            Event::JobEnded(job) => view.take_job_end(job),
            Event::Judged { target, health } => {
                let seen = view.targets.get_mut(target.index()).ok_or(Refused::UnknownTarget(target))?;
                // A speed of 0 or not-a-number would make work infinite; a sick target still has some.
                let bounded = |share: f64| if share.is_finite() { share.clamp(1e-3, 1.0) } else { 1.0 };
                seen.health = Health { read: bounded(health.read), write: bounded(health.write) };
                seen.judged = Some(Judgement { at: now, by: Judge::Operator });
                self.detector.pin(target);
            }
            Event::JudgementLifted { target } => {
                let seen = view.targets.get_mut(target.index()).ok_or(Refused::UnknownTarget(target))?;
                (seen.health, seen.judged) = (Health::WELL, None);
                seen.ramp = Some(Ramp { from: now, takes: RAMP_IN });
                self.detector.release(target);
            }
            Event::CanaryDone { target, seconds } => {
                if !self.detector.take_canary(&self.view.topology, target, seconds, now) {
                    return Err(Refused::UnknownCanary(target));
                }
                // It changes nothing before the next judgement.
                return Ok(());
            }
            _ => {}
        }
        self.changed = true;
        Ok(())
    }

    /// Looks once an interval for what changes by itself: jobs that fell silent (that walks the whole
    /// ledger), and agents that did.
    fn age_if_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        if now.since(self.last_expiry_at) < self.config.interval {
            return;
        }
        self.last_expiry_at = now;
        self.note_starting(now);
        self.end_drains(now, out);
        if std::mem::take(&mut self.term_failed) {
            self.persist(Durable::Term(self.term_seen), out);
        }
        let view = Arc::make_mut(&mut self.view);
        self.changed |= view.ledger.expire(now).0 > 0;
        self.changed |= view.note_silence(now, self.config.interval * FRESH_INTERVALS);
        let steady_only = self.is_steady_only(now);
        self.changed |= self.plan.as_ref().is_some_and(|plan| plan.steady_only != steady_only);
        self.judge(now, out);
        let ramps = self.view.topology.ids().map(|target| self.view.ramp(target, now)).sum();
        self.changed |= std::mem::replace(&mut self.ramps, ramps) != ramps;
    }

    /// Judges the targets' health by what came in since the last time.
    fn judge(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mut verdicts = Vec::new();
        self.detector.judge(&self.view.topology, now, &mut verdicts);
        if verdicts.is_empty() {
            return;
        }
        self.changed = true;
        let view = Arc::make_mut(&mut self.view);
        for verdict in verdicts {
            let seen = &mut view.targets[verdict.target.index()];
            seen.health = verdict.health;
            let judgement = Judgement { at: now, by: Judge::Detector(verdict.evidence) };
            seen.judged = (verdict.health != Health::WELL).then_some(judgement);
            if verdict.returns {
                seen.ramp = Some(Ramp { from: now, takes: RAMP_IN });
            }
            out.push(Effect::Judged(verdict));
        }
    }

    fn send_canaries(&mut self, now: Time, rng: &mut Rng, out: &mut Vec<Effect>) {
        let mut due = Vec::new();
        self.detector.canaries_due(now, rng, &mut due);
        out.extend(due.into_iter().map(|target| Effect::Canary { target, bytes: CANARY_BYTES }));
    }

    /// Whether a table of this controller would be newer than any other: its own term is durable and
    /// nobody has seen a higher one.
    fn may_publish(&self) -> bool {
        self.term > 0 && self.term == self.term_seen
    }

    fn plan_if_due(&mut self, now: Time, out: &mut Vec<Effect>) {
        let waited = |intervals: u32| {
            self.last_problem_at.is_none_or(|at| now.since(at) >= self.config.interval * intervals)
        };
        let solving = self.answered < self.problem;
        let solver_lost = solving && waited(SOLVE_INTERVALS_MAX);
        let free = !solving || solver_lost;
        if !(self.changed || solver_lost) || !free || !waited(1) || !self.may_publish() {
            return;
        }
        self.changed = false;
        self.last_problem_at = Some(now);
        self.problem += 1;
        out.push(Effect::Solve(Problem {
            seq: self.problem,
            now,
            view: Arc::clone(&self.view),
            demand: Demand::of_running_jobs(&self.view),
            // One that knows fewer targets is no start for one with all of them.
            previous: self.plan.clone().filter(|plan| plan.reasons.len() == self.view.targets.len()),
        }));
    }

    fn solved(&mut self, seq: u64, mut plan: Plan, now: Time, out: &mut Vec<Effect>) -> Result<(), Refused> {
        // A late solution is better than none, as long as nothing newer is in force: a slow solver
        // must not keep every plan from being published.
        if seq <= self.answered || seq > self.problem {
            return Err(Refused::StaleSolution { seq });
        }
        self.answered = seq;
        if !self.may_publish() {
            // A higher term was seen meanwhile: plan again once ours is above it.
            self.changed = true;
            return Ok(());
        }
        plan.order = Order { term: self.term, seq: self.seq + 1 };
        plan.steady_only |= self.starting.is_some();
        plan.observe_only = !self.policy.apply || self.is_blind();
        self.unpublished = true;
        let table = encode_plan(&plan, &self.view.topology, &self.config)?;
        self.unpublished = false;
        self.seq += 1;
        let plan = Arc::new(plan);
        self.plan = Some(Arc::clone(&plan));
        self.last_word_at = now;
        out.push(Effect::Publish(Arc::new(Publication { plan, table })));
        Ok(())
    }
}
