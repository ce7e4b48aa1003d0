//! The control plane beside the simulated file system: agents, nodes and the controller, with the
//! intervals and delays of the real one.
//!
//! It carries values between the replay and [`Control::step`]; it decides nothing. A message that the
//! real system sends over the network is a delivery with its arrival time here.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tarazu_core::control::{Control, ControlConfig, Effect, Event, LogEntry, Problem, Publication};
use tarazu_core::health::{HealthConfig, Verdict};
use tarazu_core::plan::Plan;
use tarazu_core::planner::{Parts, TarazuPlanner};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::sample::Placed;
use tarazu_core::view::View;
use tarazu_core::worth::Why;
use tarazu_layout::{FsId, NodeId, TargetId, Time};
use tarazu_table::{FRESH_INTERVALS, FsIdentity, JobName, Published, Reason, Stamp, Table};

use crate::explain::Kept;
use crate::scenario::Scenario;
use crate::system::System;

/// All simulated hosts boot once.
pub(crate) const BOOT_HASH: u64 = 1;

/// A message that is on its way to the controller.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// When it arrives.
    pub(crate) at: Time,
    /// What it says.
    pub(crate) event: Event,
}

/// A published table with the moment it left the controller.
#[derive(Clone, Debug)]
struct Fanned {
    left: Time,
    /// When the controller last confirmed it, and the time before: the newest may still be under way.
    confirmed: [Time; 2],
    publication: Arc<Publication>,
    checksum: u32,
}

/// What plans rest on beside events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlannerTiming {
    pub(crate) interval: Duration,
    pub(crate) layout_cost: Duration,
    pub(crate) layout_service: Duration,
    pub(crate) steer_always: bool,
    pub(crate) parts: Parts,
}

impl PlannerTiming {
    /// Solves a problem as of the moment that it was stated.
    pub(crate) fn solve(&self, problem: &Problem, rng: &mut Rng) -> Plan {
        let mut planner = TarazuPlanner {
            fresh_within: self.interval * FRESH_INTERVALS,
            now: problem.now,
            lead: self.interval,
            layout_cost: self.layout_cost,
            layout_service: self.layout_service,
            always: self.steer_always,
            parts: self.parts,
        };
        problem.solve(&mut planner, rng)
    }
}

/// One node's waiting report.
#[derive(Clone, Debug, Default)]
struct Node {
    placed: Vec<Placed>,
}

/// Controller, agents and nodes.
#[derive(Debug)]
pub(crate) struct Plane {
    control: Control,
    rng: Rng,
    timing: PlannerTiming,
    report_delay: Duration,
    publish_delay: Duration,
    tables: Vec<Fanned>,
    /// How much later than the first each node receives a table.
    lag: Vec<Duration>,
    nodes: Vec<Node>,
    /// The second of the interval at which each node reports.
    node_phase: Vec<u64>,
    /// The second of the interval at which each server's agent reports.
    agent_phase: Vec<u64>,
    effects: Vec<Effect>,
    /// Canaries that the controller has asked for and nobody has fetched, with their bytes.
    pub(crate) canaries: Vec<(TargetId, u64)>,
    /// Rows of samples that agents have sent.
    pub(crate) rows: u64,
    /// What the controller's detector said in this run.
    pub(crate) verdicts: Vec<(Time, Verdict)>,
    /// Plans made in this run.
    pub(crate) plans: u64,
    /// Those plans, where they are to be explained.
    pub(crate) kept: Option<Kept>,
    /// Events that the controller refused.
    pub(crate) refused: u64,
    /// Everything that the controller heard, where it is kept, and the tables that it led to.
    pub(crate) heard: Option<Heard>,
}

/// An event log in the making.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) entries: Vec<(Time, LogEntry)>,
    pub(crate) tables: Vec<Arc<Publication>>,
}

impl Plane {
    pub(crate) fn new(system: &System, scenario: &Scenario, nodes: u32, seed: u64, is_heard: bool) -> Self {
        let timing = system.control;
        let interval_seconds = timing.interval_s.max(1.0) as u64;
        let config = ControlConfig {
            fs: FsIdentity::new(FsId(0), &system.name),
            interval: Duration::from_secs_f64(timing.interval_s),
        };
        let health = HealthConfig { detect: scenario.detect, canary: scenario.canary };
        let phase =
            |purpose: &str, id: u32| stream(seed, purpose, u64::from(id)).random_range(0..interval_seconds);
        let lag = |id: u32| {
            let share: f64 = stream(seed, "table lag", u64::from(id)).random_range(0.0..1.0);
            Duration::from_secs_f64(timing.publish_jitter_s * share)
        };
        let mut plane = Self {
            control: Control::new(config, system.topology.clone()).with_health(health),
            rng: stream(seed, "control", 0),
            timing: PlannerTiming {
                interval: config.interval,
                layout_cost: Duration::from_secs_f64(system.metadata.layout_s),
                layout_service: Duration::from_secs_f64(system.metadata.create_s),
                steer_always: scenario.steer_always,
                parts: scenario.parts,
            },
            report_delay: Duration::from_secs_f64(timing.report_delay_s),
            publish_delay: Duration::from_secs_f64(timing.publish_delay_s),
            tables: Vec::new(),
            lag: (0..nodes).map(lag).collect(),
            nodes: vec![Node::default(); nodes as usize],
            node_phase: (0..nodes).map(|node| phase("node report", node)).collect(),
            agent_phase: (0..system.topology.servers().len() as u32)
                .map(|server| phase("agent report", server))
                .collect(),
            effects: Vec::new(),
            canaries: Vec::new(),
            rows: 0,
            verdicts: Vec::new(),
            plans: 0,
            kept: None,
            refused: 0,
            heard: is_heard.then(Heard::default),
        };
        plane.deliver(Time::ZERO, Event::Started { stored_term: 0, drained: Vec::new(), policy: None });
        plane
    }

    /// Keeps all plans from the first on, to be explained; to be called before the first event.
    pub(crate) fn keep_plans(&mut self) {
        let mut kept = Kept::default();
        // One was made when the controller started.
        self.tables.iter().for_each(|table| kept.take(&table.publication.plan));
        self.kept = Some(kept);
    }

    /// The controller's view.
    pub(crate) fn view(&self) -> &View {
        self.control.view()
    }

    /// Time of a message from or to the controller.
    pub(crate) fn report_delay(&self) -> Duration {
        self.report_delay
    }

    /// Hands one event to the controller and does what it asks for. Persisting and solving take no
    /// time here: a plan's delay is part of publishing.
    pub(crate) fn deliver(&mut self, now: Time, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if let Some(heard) = &mut self.heard {
                heard.entries.push((now, LogEntry::of(event.clone())));
            }
            self.control.step(now, event, &mut self.rng, &mut self.effects);
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Persist { write, .. } => events.push(Event::Persisted { write }),
                    Effect::Solve(problem) => {
                        let plan = Box::new(self.timing.solve(&problem, &mut self.rng));
                        events.push(Event::Solved { seq: problem.seq, plan });
                    }
                    Effect::Publish(publication) => {
                        self.plans += 1;
                        if let Some(heard) = &mut self.heard {
                            heard.tables.push(Arc::clone(&publication));
                        }
                        if let Some(kept) = &mut self.kept {
                            kept.take(&publication.plan);
                        }
                        self.fan_out(now, publication);
                    }
                    Effect::Confirm(_) => {
                        if let Some(newest) = self.tables.last_mut() {
                            newest.confirmed = [newest.confirmed[1], now];
                        }
                    }
                    Effect::Canary { target, bytes } => self.canaries.push((target, bytes)),
                    Effect::Judged(verdict) => self.verdicts.push((now, verdict)),
                    Effect::Refused(_) => self.refused += 1,
                }
            }
        }
    }

    /// Sends a table to all nodes. Their daemons refuse what does not verify, once for all here.
    fn fan_out(&mut self, now: Time, publication: Arc<Publication>) {
        let Ok(checksum) = Table::verify(&publication.table).map(|table| table.checksum()) else {
            self.refused += 1;
            return;
        };
        self.tables.push(Fanned { left: now, confirmed: [now; 2], publication, checksum });
        // What is older than a table that has reached the slowest node serves nobody any more.
        let slowest = self.publish_delay + self.lag.iter().copied().max().unwrap_or_default();
        let surplus = self.tables.iter().rposition(|table| table.left + slowest <= now).unwrap_or(0);
        self.tables.drain(..surplus);
    }

    /// Whether the agent of a server reports at this second.
    pub(crate) fn agent_reports(&self, server: usize, second: u64) -> bool {
        second > 0 && second % self.timing.interval.as_secs().max(1) == self.agent_phase[server]
    }

    /// An agent's message that leaves now.
    pub(crate) fn leave_agent(&self, now: Time, event: Event) -> Delivery {
        Delivery { at: now + self.report_delay, event }
    }

    /// A client on `node` placed or closed a file; it goes out with the node's next report.
    pub(crate) fn note(&mut self, node: NodeId, placed: Placed) {
        self.nodes[node.index()].placed.push(placed);
    }

    /// The reports that leave at this second.
    pub(crate) fn node_reports(&mut self, now: Time, second: u64) -> Vec<Delivery> {
        let interval = self.timing.interval.as_secs().max(1);
        let mut leaving = Vec::new();
        for (node, phase) in self.nodes.iter_mut().zip(&self.node_phase) {
            if second % interval == *phase && !node.placed.is_empty() {
                let event = Event::Placed(std::mem::take(&mut node.placed));
                leaving.push(Delivery { at: now + self.report_delay, event });
            }
        }
        leaving
    }

    /// The newest table that has reached a node, and how long such a table takes there.
    fn newest_at(&self, node: NodeId, now: Time) -> Option<(&Fanned, Duration)> {
        let delay = self.publish_delay + self.lag[node.index()];
        let arrived = |table: &&Fanned| table.left + delay <= now;
        Some((self.tables.iter().rev().find(arrived)?, delay))
    }

    /// Why the files of that name are steered or left by the plan whose table a node holds; `None` where the plan
    /// does not know them.
    pub(crate) fn why_at(&self, node: NodeId, now: Time, name: &JobName) -> Option<Why> {
        let plan = &self.newest_at(node, now)?.0.publication.plan;
        let verdict = name.keys().iter().find_map(|key| plan.verdicts.get(key))?;
        Some(verdict.why)
    }

    /// What a process on a node holds: the newest table that has reached it.
    pub(crate) fn table_at(&self, node: NodeId, now: Time) -> Result<Published<'_>, Reason> {
        let (newest, delay) = self.newest_at(node, now).ok_or(Reason::NoTable)?;
        let table = Table::reopen(&newest.publication.table, newest.checksum).map_err(|_| Reason::Refused)?;
        let word = newest.confirmed.iter().rev().find(|word| **word + delay <= now);
        let received = word.copied().unwrap_or(newest.left) + delay;
        Ok(Published { stamp: Stamp { boot_hash: BOOT_HASH, received }, table })
    }
}
