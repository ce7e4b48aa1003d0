//! The controller's events as they stand in an event log.

use tarazu_core::control::{Drain, Event};
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
use tarazu_core::view::Health;
use tarazu_layout::{JobId, OstIndex, ServerId, TargetId, Time};

use super::agents::{Rows, sample, sample_from, target_entry};
use super::error::{Invalid, bandwidth, count, number};
use super::intent::{drain_from, drain_to, policy_from, policy_to};
use super::nodes::{job_start, job_start_from, placed, placed_from};
use crate::limits::SERVERS_MAX;
use crate::v1;
use crate::v1::recorded::What;

/// Version of the event log.
const VERSION: u32 = 1;

/// Whether a log's head is of the version that is read here.
///
/// # Errors
/// Another version.
pub fn head_matches(head: &v1::Head) -> Result<(), Invalid> {
    if head.version == VERSION {
        return Ok(());
    }
    Err(number("the version of the event log", &head.version, "1, the one that is read here"))
}

/// An event as it is recorded. `topology` is the controller's before the event; a topology itself, plans and
/// what has no place in a log give `None` where they are recorded otherwise.
#[must_use]
pub fn event_to(event: &Event, topology: &Topology) -> What {
    let ost =
        |target: TargetId| topology.targets().get(target.index()).map_or(OstIndex(u32::MAX), |spec| spec.ost);
    match event {
        Event::Started { stored_term, drained, policy } => What::Started(v1::Started {
            stored_term: *stored_term,
            drains: drains_to(drained),
            policy: policy.map(policy_to),
        }),
        Event::Grown { topology, drained } => What::Topology(topology_to(topology, drained)),
        Event::Persisted { write } => What::Persisted(v1::Persisted { write: *write }),
        Event::PersistFailed { write } => What::PersistFailed(v1::Persisted { write: *write }),
        Event::SawTerm(term) => What::SawTerm(*term),
        Event::Sample(of) => What::Sample(v1::ServerSample {
            server: of.server.0,
            session: of.agent_start.0,
            sample: Some(sample_from(of, &ost)),
        }),
        Event::Placed(batch) => What::Placed(v1::PlacedBatch {
            placed: batch.iter().map(|placed| placed_from(placed, &ost)).collect(),
        }),
        Event::JobStarted(start) => What::JobStart(job_start_from(start)),
        Event::JobEnded(job) => What::JobEnd(job.0),
        Event::Judged { target, health } => What::Judged(v1::JudgedEvent {
            ost_index: ost(*target).0,
            read: health.read,
            write: health.write,
        }),
        Event::JudgementLifted { target } => {
            What::Judged(v1::JudgedEvent { ost_index: ost(*target).0, read: 0.0, write: 0.0 })
        }
        Event::CanaryDone { target, seconds } => {
            What::CanaryDone(v1::CanaryDone { ost_index: ost(*target).0, seconds: *seconds })
        }
        Event::Drain { target, drain } => {
            What::Drain(v1::DrainEvent { ost_index: ost(*target).0, drain: drain.as_ref().map(drain_to) })
        }
        Event::SetPolicy(policy) => What::Policy(policy_to(*policy)),
        Event::Solved { seq, .. } => What::Solved(*seq),
        Event::Tick => What::Tick(true),
    }
}

/// A recorded event; `None` for what is no event: the head, a solution (whoever replays solves again), a
/// published table.
///
/// # Errors
/// A value outside its limits.
pub fn event_from(what: &What, topology: Option<&Topology>) -> Result<Option<Event>, Invalid> {
    let find = |ost: OstIndex| {
        let place = topology?.targets().iter().position(|spec| spec.ost == ost)?;
        Some(TargetId(place as u32))
    };
    let known = |ost: u32| find(OstIndex(ost)).ok_or(Invalid::UnknownOst(ost));
    Ok(Some(match what {
        What::Head(_) | What::Solved(_) | What::Published(_) => return Ok(None),
        What::Started(started) => Event::Started {
            stored_term: started.stored_term,
            drained: drains_from(&started.drains)?,
            policy: started.policy.as_ref().map(policy_from).transpose()?,
        },
        What::Topology(grown) => {
            Event::Grown { topology: topology_from(grown)?, drained: drains_from(&grown.drains)? }
        }
        What::Persisted(persisted) => Event::Persisted { write: persisted.write },
        What::PersistFailed(failed) => Event::PersistFailed { write: failed.write },
        What::SawTerm(term) => Event::SawTerm(*term),
        What::Sample(of) => {
            let rows = Rows { server: ServerId(of.server), session: of.session, target: &find };
            Event::Sample(sample(of.sample.as_ref().ok_or(Invalid::Missing("the sample"))?, &rows)?)
        }
        What::Placed(batch) => {
            let batch: Result<_, _> = batch.placed.iter().map(|one| placed(one, &find)).collect();
            Event::Placed(batch?)
        }
        What::JobStart(start) => Event::JobStarted(job_start(start)?),
        What::JobEnd(job) => Event::JobEnded(JobId(*job)),
        What::CanaryDone(done) => Event::CanaryDone { target: known(done.ost_index)?, seconds: done.seconds },
        What::Drain(drain) => Event::Drain {
            target: known(drain.ost_index)?,
            drain: drain.drain.as_ref().map(drain_from).transpose()?,
        },
        What::Policy(policy) => Event::SetPolicy(policy_from(policy)?),
        What::Tick(_) => Event::Tick,
        What::Judged(judged) => {
            let target = known(judged.ost_index)?;
            if judged.read == 0.0 && judged.write == 0.0 {
                Event::JudgementLifted { target }
            } else {
                Event::Judged { target, health: Health { read: judged.read, write: judged.write } }
            }
        }
    }))
}

fn drains_to(drained: &[(TargetId, Drain)]) -> Vec<v1::TargetDrain> {
    let one = |(target, drain): &(TargetId, Drain)| v1::TargetDrain {
        target: target.0,
        drain: Some(drain_to(drain)),
    };
    drained.iter().map(one).collect()
}

fn drains_from(drains: &[v1::TargetDrain]) -> Result<Vec<(TargetId, Drain)>, Invalid> {
    let one = |drain: &v1::TargetDrain| {
        let said = drain.drain.as_ref().ok_or(Invalid::Missing("the drain"))?;
        Ok((TargetId(drain.target), drain_from(said)?))
    };
    drains.iter().map(one).collect()
}

fn topology_to(topology: &Topology, drained: &[(TargetId, Drain)]) -> v1::Topology {
    let target = |spec: &TargetSpec| v1::TopologyTarget {
        facts: Some(v1::TargetFacts {
            ost_index: spec.ost.0,
            capacity_bytes: spec.capacity.0,
            read_bps: spec.read_bps,
            write_bps: spec.write_bps,
        }),
        server: spec.server.0,
    };
    let server =
        |spec: &ServerSpec| v1::TopologyServer { link_bps: spec.link_bps, enclosure: spec.enclosure };
    v1::Topology {
        targets: topology.targets().iter().map(target).collect(),
        servers: topology.servers().iter().map(server).collect(),
        drains: drains_to(drained),
    }
}

fn topology_from(grown: &v1::Topology) -> Result<Topology, Invalid> {
    count("servers", grown.servers.len(), 1, SERVERS_MAX)?;
    let target = |target: &v1::TopologyTarget| {
        let facts = target_entry(target.facts.as_ref().ok_or(Invalid::Missing("the target's facts"))?)?;
        Ok(TargetSpec {
            ost: facts.ost,
            server: ServerId(target.server),
            read_bps: facts.read_bps,
            write_bps: facts.write_bps,
            capacity: facts.capacity,
        })
    };
    let server = |server: &v1::TopologyServer| {
        Ok(ServerSpec {
            link_bps: bandwidth("a link's bandwidth", server.link_bps)?,
            enclosure: server.enclosure,
        })
    };
    let targets = grown.targets.iter().map(target).collect::<Result<Vec<_>, Invalid>>()?;
    let servers = grown.servers.iter().map(server).collect::<Result<Vec<_>, Invalid>>()?;
    Topology::new(targets, servers)
        .map_err(|error| number("the topology", &error, "one that a file system can have"))
}

/// The moment of a recorded event.
impl v1::Recorded {
    /// When it happened, on the controller's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        Time(self.now_ns)
    }
}
