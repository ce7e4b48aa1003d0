//! What goes into the controller and what comes out of it.

use std::sync::Arc;

use tarazu_layout::{JobId, TargetId, Time};
use tarazu_table::Order;

use super::intent::{Drain, Policy};
use crate::demand::Demand;
use crate::health::Verdict;
use crate::plan::Plan;
use crate::policy::Planner;
use crate::publish::PublishError;
use crate::rng::Rng;
use crate::sample::{JobStart, LoadSample, Placed};
use crate::topology::Topology;
use crate::view::{GrowError, Health, SampleError, View};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The service started, with what its durable state holds.
    Started {
        /// The highest term; 0 for a new state.
        stored_term: u64,
        /// Targets that are drained, with what was said of each.
        drained: Vec<(TargetId, Drain)>,
        /// What was wanted last; `None` for a new state.
        policy: Option<Policy>,
    },
    /// Servers or targets have come, or moved: what the file system is built of now. Targets and servers keep
    /// their numbers; new ones are appended.
    Grown {
        /// The whole of it.
        topology: Topology,
        /// Drains of targets that are new.
        drained: Vec<(TargetId, Drain)>,
    },
    /// A record is durable now.
    Persisted {
        /// Its number from [`Effect::Persist`].
        write: u64,
    },
    /// A record could not be made durable: it never takes effect.
    PersistFailed {
        /// Its number from [`Effect::Persist`].
        write: u64,
    },
    /// A node has seen a table of this term.
    SawTerm(u64),
    /// A node holds a table of this term that this controller did not make.
    SawOther(u64),
    /// An agent reported.
    Sample(LoadSample),
    /// A node reported what its clients placed and closed.
    Placed(Vec<Placed>),
    /// A job is about to start.
    JobStarted(JobStart),
    /// A job ended.
    JobEnded(JobId),
    /// Somebody outside who can judge says how fast a target is: it holds until [`Event::JudgementLifted`].
    Judged {
        /// The target.
        target: TargetId,
        /// Its speed against its hardware class.
        health: Health,
    },
    /// What was judged from outside holds no longer; the target counts as well and is watched again.
    JudgementLifted {
        /// The target.
        target: TargetId,
    },
    /// A canary that was asked for has ended.
    CanaryDone {
        /// The target it was written to.
        target: TargetId,
        /// Seconds that it took; `None` where it failed.
        seconds: Option<f64>,
    },
    /// An operator takes targets out or back in, all of them or none.
    Drain {
        /// The targets.
        targets: Vec<TargetId>,
        /// Out, with what is said of it; `None` gives it back.
        drain: Option<Drain>,
    },
    /// An operator wants something else from now on.
    SetPolicy(Policy),
    /// A plan is ready.
    Solved {
        /// The number from [`Effect::Solve`].
        seq: u64,
        /// The plan.
        plan: Box<Plan>,
    },
    /// Time went on.
    Tick,
}

/// What is to be made durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durable {
    /// The term of this controller.
    Term(u64),
    /// Targets' drain.
    Drain {
        /// The targets.
        targets: Vec<TargetId>,
        /// Out, with what is said of it; `None` gives it back.
        drain: Option<Drain>,
    },
    /// What is wanted of the controller.
    Policy(Policy),
}

/// A planning problem that leaves the state machine.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Comes back with the solution.
    pub seq: u64,
    /// The moment it was stated.
    pub now: Time,
    /// The view at that moment.
    pub view: Arc<View>,
    /// What is about to be written.
    pub demand: Demand,
    /// The plan in force.
    pub previous: Option<Arc<Plan>>,
}

impl Problem {
    /// Solves it: a pure function, to be run wherever there is time.
    pub fn solve(&self, planner: &mut dyn Planner, rng: &mut Rng) -> Plan {
        planner.plan(&self.view, &self.demand, self.previous.as_deref(), rng)
    }
}

/// A plan with its table's bytes, ready for the nodes.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The encoded table.
    pub table: Vec<u8>,
}

/// Why an event had no effect.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A sample.
    #[error("a sample was refused")]
    Sample(#[from] SampleError),
    /// A solution that is not newer than the plan in force, or that nobody asked for.
    #[error("the solution of problem {seq} is not newer than what is published")]
    StaleSolution {
        /// Its number.
        seq: u64,
    },
    /// There is no room for another job's profile.
    #[error("{0} found no room among the running jobs")]
    JobsFull(JobId),
    /// The event names a target that does not exist.
    #[error("{0} is not a target of this file system")]
    UnknownTarget(TargetId),
    /// A node claims to have seen a term that cannot be.
    #[error("term {seen} is too far above {known} to be true")]
    ImpossibleTerm {
        /// The term claimed.
        seen: u64,
        /// The highest one known.
        known: u64,
    },
    /// A topology that is not the present one with something added.
    #[error("the new topology does not continue the present one")]
    Grown(#[from] GrowError),
    /// A canary that nobody asked for, or whose answer came too late.
    #[error("no canary of {0} is waited for")]
    UnknownCanary(TargetId),
    /// A record was reported durable that nobody asked for.
    #[error("no record {write} waits to become durable")]
    UnknownWrite {
        /// Its number.
        write: u64,
    },
    /// The plan does not fit into a table.
    #[error("the plan cannot be published")]
    Publish(#[from] PublishError),
}

/// What is to be done outside.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make a record durable, then answer [`Event::Persisted`].
    Persist {
        /// Its number.
        write: u64,
        /// The record.
        record: Durable,
    },
    /// Solve, then answer [`Event::Solved`].
    Solve(Problem),
    /// Give the table to all nodes.
    Publish(Arc<Publication>),
    /// Tell all nodes that the table of this order still holds: their daemons renew its age.
    Confirm(Order),
    /// Write so many bytes to an object on the target, directly to disk, then answer [`Event::CanaryDone`].
    Canary {
        /// The target.
        target: TargetId,
        /// Bytes to write.
        bytes: u64,
    },
    /// Count and show: a target's health was judged anew.
    Judged(Verdict),
    /// Count and show.
    Refused(Refused),
}

/// What an event log holds of a controller's life: with the same planner the same entries lead to the same tables.
#[derive(Clone, Debug)]
pub enum LogEntry {
    /// An event, but for a solution.
    Event(Event),
    /// The solution of this problem came back: whoever replays has solved it himself.
    Solved(u64),
}

impl LogEntry {
    /// An event as it is logged.
    #[must_use]
    pub fn of(event: Event) -> Self {
        match event {
            Event::Solved { seq, .. } => Self::Solved(seq),
            event => Self::Event(event),
        }
    }
}
