//! The decisions of one file system: `Control` with its planner, its random stream and its event log.
//!
//! Owns nothing that waits, and moves no bytes: the service and the replay of an event log run the same code.

use std::time::Duration;

use tarazu_core::control::{Control, ControlConfig, Effect, Event, Policy, Problem, Publication};
use tarazu_core::plan::Plan;
use tarazu_core::planner::{Parts, TarazuPlanner};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::topology::Topology;
use tarazu_layout::{FsId, Time};
use tarazu_proto::event_to;
use tarazu_proto::v1::{Head, Order, PublishedTable, Recorded, recorded::What};
use tarazu_table::{FRESH_INTERVALS, FsIdentity, Table};

use crate::record::Recorder;

/// Everything that decisions rest on beside events.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BrainSettings {
    /// The file system's name.
    pub(crate) file_system: String,
    /// Its number in tables of this controller.
    pub(crate) id: FsId,
    /// Between two plans.
    pub(crate) interval: Duration,
    /// Round trip of an explicit layout.
    pub(crate) layout_cost: Duration,
    /// The metadata server's time for one.
    pub(crate) layout_service: Duration,
    /// Seed of the random stream.
    pub(crate) seed: u64,
    /// What holds until somebody wants something else.
    pub(crate) policy: Policy,
}

impl BrainSettings {
    /// As the head of an event log.
    pub(crate) fn head(&self) -> Head {
        Head {
            version: crate::record::VERSION,
            file_system: self.file_system.clone(),
            file_system_id: self.id.0,
            interval_ms: u32::try_from(self.interval.as_millis()).unwrap_or(u32::MAX),
            seed: self.seed,
            layout_cost_s: self.layout_cost.as_secs_f64(),
            layout_service_s: self.layout_service.as_secs_f64(),
            policy: Some(tarazu_proto::policy_to(self.policy)),
        }
    }

    /// From the head of an event log; durations that are none count as 0.
    pub(crate) fn of_head(head: &Head) -> Result<Self, tarazu_proto::Invalid> {
        tarazu_proto::head_matches(head)?;
        let policy = head.policy.as_ref().map(tarazu_proto::policy_from).transpose()?;
        let seconds = |value: f64| Duration::try_from_secs_f64(value).unwrap_or_default();
        Ok(Self {
            file_system: head.file_system.clone(),
            id: FsId(head.file_system_id),
            interval: Duration::from_millis(u64::from(head.interval_ms)),
            layout_cost: seconds(head.layout_cost_s),
            layout_service: seconds(head.layout_service_s),
            seed: head.seed,
            policy: policy.unwrap_or_default(),
        })
    }

    /// Solves a planning problem, wherever there is time.
    pub(crate) fn solve(&self, problem: &Problem) -> Plan {
        let mut planner = TarazuPlanner {
            fresh_within: self.interval * FRESH_INTERVALS,
            now: problem.now,
            lead: self.interval,
            layout_cost: self.layout_cost,
            layout_service: self.layout_service,
            always: false,
            parts: Parts::ALL,
        };
        problem.solve(&mut planner, &mut stream(self.seed, "solve", problem.seq))
    }
}

/// The controller of one file system without its surroundings.
pub(crate) struct Brain {
    control: Control,
    rng: Rng,
    log: Option<Recorder>,
}

impl Brain {
    /// Before the first event. Its topology is the log's first entry.
    pub(crate) fn new(
        settings: &BrainSettings,
        topology: Topology,
        mut log: Option<Recorder>,
        now: Time,
    ) -> Self {
        let config = ControlConfig {
            fs: FsIdentity::new(settings.id, &settings.file_system),
            interval: settings.interval,
        };
        if let Some(log) = &mut log {
            let grown = Event::Grown { topology: topology.clone(), drained: Vec::new() };
            log.push(&Recorded { now_ns: now.0, what: Some(event_to(&grown, &topology)) });
        }
        let control = Control::new(config, topology).with_policy(settings.policy);
        Self { control, rng: stream(settings.seed, "control", 0), log }
    }

    /// To look at.
    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Takes one event; what is to be done is appended to `out`.
    pub(crate) fn step(&mut self, now: Time, event: Event, out: &mut Vec<Effect>) {
        if let Some(log) = &mut self.log {
            let what = event_to(&event, &self.control.view().topology);
            log.push(&Recorded { now_ns: now.0, what: Some(what) });
        }
        let before = out.len();
        self.control.step(now, event, &mut self.rng, out);
        if let Some(log) = &mut self.log {
            let tables = out[before..].iter().filter_map(|effect| match effect {
                Effect::Publish(publication) => published(publication),
                _ => None,
            });
            for table in tables {
                log.push(&Recorded { now_ns: now.0, what: Some(What::Published(table)) });
            }
        }
    }
}

/// What an event log says of a table that was published.
pub(crate) fn published(publication: &Publication) -> Option<PublishedTable> {
    let checksum = Table::verify(&publication.table).ok()?.checksum();
    let order = publication.plan.order;
    Some(PublishedTable {
        order: Some(Order { term: order.term, seq: order.seq }),
        checksum,
        bytes: publication.table.len() as u32,
    })
}
