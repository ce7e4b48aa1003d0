//! A controller's event log in the simulator: what its controller heard in a run, and what it makes of a log that a
//! live controller wrote.
//!
//! The simulator and the service drive one state machine with code of their own around it; a log that both make the
//! same tables of shows that the code around it adds nothing. It must not read or write files.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tarazu_core::control::{Control, ControlConfig, Effect, Event, LogEntry, Policy, Publication};
use tarazu_core::plan::Plan;
use tarazu_core::planner::Parts;
use tarazu_core::rng::{Rng, stream};
use tarazu_core::topology::Topology;
use tarazu_layout::{FsId, Time};
use tarazu_table::FsIdentity;
use tarazu_workload::Workload;

use crate::plane::PlannerTiming;
use crate::replay::{self, ReplayError};
use crate::scenario::Scenario;
use crate::system::System;

/// Everything that decisions rest on beside events.
#[derive(Clone, Debug, PartialEq)]
pub struct LogHead {
    /// The file system's name.
    pub file_system: String,
    /// Its number in tables.
    pub id: FsId,
    /// Between two plans.
    pub interval: Duration,
    /// Round trip of an explicit layout.
    pub layout_cost: Duration,
    /// The metadata server's time for one.
    pub layout_service: Duration,
    /// Seed of the controller's random stream.
    pub seed: u64,
    /// What holds from the start.
    pub policy: Policy,
}

/// What a simulated controller heard, and what it published.
#[derive(Clone, Debug)]
pub struct Heard {
    /// What its decisions rest on.
    pub head: LogHead,
    /// What the file system is built of.
    pub topology: Topology,
    /// Every event with its moment, in order.
    pub entries: Vec<(Time, LogEntry)>,
    /// The tables, in order.
    pub tables: Vec<Arc<Publication>>,
}

/// Runs `tarazu` once and returns what its controller heard.
///
/// # Errors
/// As [`crate::run`].
pub fn hear(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    seed: u64,
) -> Result<Heard, ReplayError> {
    let laid_out = scenario.striping.lay_out(workload, system);
    let heard = replay::run_heard(&laid_out, system, scenario, seed)?;
    let head = LogHead {
        file_system: system.name.clone(),
        id: FsId(0),
        interval: Duration::from_secs_f64(system.control.interval_s),
        layout_cost: Duration::from_secs_f64(system.metadata.layout_s),
        layout_service: Duration::from_secs_f64(system.metadata.create_s),
        seed,
        policy: Policy { apply: true, canary: scenario.canary, detect: scenario.detect },
    };
    Ok(Heard { head, topology: system.topology.clone(), entries: heard.entries, tables: heard.tables })
}

/// The simulator's controller, fed from a log.
#[derive(Debug)]
pub struct Player {
    control: Control,
    timing: PlannerTiming,
    rng: Rng,
    /// Plans that are solved and that the log has not brought back yet.
    solved: BTreeMap<u64, Box<Plan>>,
    effects: Vec<Effect>,
}

impl Player {
    /// Before the first entry.
    #[must_use]
    pub fn new(head: &LogHead, topology: Topology) -> Self {
        let fs = FsIdentity::new(head.id, &head.file_system);
        let config = ControlConfig { fs, interval: head.interval };
        Self {
            control: Control::new(config, topology).with_policy(head.policy),
            timing: PlannerTiming {
                interval: head.interval,
                layout_cost: head.layout_cost,
                layout_service: head.layout_service,
                steer_always: false,
                parts: Parts::ALL,
            },
            rng: stream(head.seed, "control", 0),
            solved: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    /// The topology as of the newest entry: names in later entries are of it.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.control.view().topology
    }

    /// Takes an entry. Returns the tables that it leads to.
    pub fn step(&mut self, now: Time, entry: LogEntry) -> Vec<Arc<Publication>> {
        let event = match entry {
            LogEntry::Event(event) => event,
            LogEntry::Solved(seq) => match self.solved.remove(&seq) {
                Some(plan) => Event::Solved { seq, plan },
                None => return Vec::new(),
            },
        };
        self.control.step(now, event, &mut self.rng, &mut self.effects);
        let mut tables = Vec::new();
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Solve(problem) => {
                    let plan = self.timing.solve(&problem, &mut self.rng);
                    self.solved.insert(problem.seq, Box::new(plan));
                }
                Effect::Publish(publication) => tables.push(publication),
                // What happens outside is in the log.
                _ => {}
            }
        }
        tables
    }
}
