//! The first seconds of a controller: its term, and whom it waits for before it believes what it sees.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tarazu_layout::{ServerId, TargetId, Time};
use tarazu_table::FRESH_INTERVALS;

use super::{Control, Drain, Durable, Effect, Policy, Refused, TERM_AHEAD_MAX};
use crate::topology::Topology;

/// Share of the known servers whose agents must have reported before a controller that has just started lets its
/// tables say what targets do now: with fewer, a restart would make confident nonsense.
pub const REPORTED_SHARE: f64 = 0.8;

/// It waits for them at most this long: an agent that is gone for good must not keep the others' reports unused.
pub const STARTING_MAX: Duration = Duration::from_secs(30);

/// A controller that does not know how many servers there are takes them all to have come when none has for so many
/// intervals.
pub const SETTLED_INTERVALS: u32 = 3;

/// How many servers a controller waits for after its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// So many, and at least those that it knows of.
    Known(usize),
    /// Nobody says: nothing was stored, and no setting tells. The first server to come must not get everything.
    Unknown,
}

/// A controller that has not yet heard of most agents.
#[derive(Debug)]
pub(super) struct Starting {
    since: Time,
    /// When the last new server came.
    grown_at: Time,
    pub(super) reported: BTreeSet<ServerId>,
}

impl Control {
    pub(super) fn start(
        &mut self,
        now: Time,
        stored_term: u64,
        drained: Vec<(TargetId, Drain)>,
        policy: Option<Policy>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        self.started = true;
        self.starting = Some(Starting { since: now, grown_at: now, reported: BTreeSet::new() });
        self.raise_term(stored_term, out);
        if let Some(policy) = policy {
            self.take_policy(policy);
        }
        self.take_drains(drained)
    }

    pub(super) fn grow(
        &mut self,
        topology: Topology,
        drained: Vec<(TargetId, Drain)>,
        now: Time,
    ) -> Result<(), Refused> {
        let before = &self.view.topology;
        let more_servers = topology.servers().len() > before.servers().len();
        let servers_of = |topology: &Topology| -> Vec<ServerId> {
            topology.targets().iter().map(|spec| spec.server).collect()
        };
        let is_other = more_servers || servers_of(before) != servers_of(&topology);
        Arc::make_mut(&mut self.view).grow(topology)?;
        self.detector.grow(&self.view.topology);
        if is_other {
            // A plan that is under way does not know the new targets; it comes back as stale.
            self.answered = self.problem;
        }
        if let Some(starting) = self.starting.as_mut().filter(|_| more_servers) {
            starting.grown_at = now;
        }
        self.changed = true;
        self.take_drains(drained)
    }

    /// Whether it starts without knowing whom to wait for: nothing is steered by what little it sees.
    pub(super) fn is_blind(&self) -> bool {
        self.starting.is_some() && self.expected == Expected::Unknown
    }

    /// Ends the start when enough of the known agents have reported.
    pub(super) fn note_starting(&mut self, now: Time) {
        let Some(starting) = &self.starting else { return };
        let known = self.view.topology.servers().len();
        let (known, is_settled) = match self.expected {
            Expected::Known(expected) => (known.max(expected), true),
            Expected::Unknown => {
                (known, now.since(starting.grown_at) >= self.config.interval * SETTLED_INTERVALS)
            }
        };
        let enough = is_settled && starting.reported.len() as f64 >= REPORTED_SHARE * known as f64;
        if enough || now.since(starting.since) >= STARTING_MAX {
            self.starting = None;
            self.changed = true;
        }
    }

    pub(super) fn is_steady_only(&self, now: Time) -> bool {
        let fresh_within = self.config.interval * FRESH_INTERVALS;
        self.starting.is_some() || self.view.is_mostly_silent(now, fresh_within)
    }

    /// A node has seen a term: ours must be above it before anything is published.
    pub(super) fn saw_term(&mut self, term: u64, now: Time, out: &mut Vec<Effect>) -> Result<(), Refused> {
        if term <= self.term_seen {
            return Ok(());
        }
        self.raise_above(term, now, out)
    }

    /// There is a table of this term that is not ours: another life had the same one, and lost it. Nodes would
    /// refuse what we publish under it.
    pub(super) fn saw_other(&mut self, term: u64, now: Time, out: &mut Vec<Effect>) -> Result<(), Refused> {
        if term < self.term_seen {
            return Ok(());
        }
        self.raise_above(term, now, out)
    }

    fn raise_above(&mut self, term: u64, now: Time, out: &mut Vec<Effect>) -> Result<(), Refused> {
        // Before the start there is nothing to compare with; the node says it again with its next report.
        if !self.started {
            return Ok(());
        }
        if term.saturating_sub(self.term_seen) > TERM_AHEAD_MAX {
            return Err(Refused::ImpossibleTerm { seen: term, known: self.term_seen });
        }
        // Each raise stops publishing until it is durable: a mad node must not keep everything from the others.
        if self.last_raise_at.is_some_and(|at| now.since(at) < self.config.interval) {
            return Ok(());
        }
        self.last_raise_at = Some(now);
        self.raise_term(term, out);
        Ok(())
    }

    pub(super) fn raise_term(&mut self, above: u64, out: &mut Vec<Effect>) {
        self.term_seen = self.term_seen.max(above).saturating_add(1);
        self.persist(Durable::Term(self.term_seen), out);
    }
}
