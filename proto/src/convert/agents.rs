//! What agents say.

use std::collections::BTreeSet;

use tarazu_core::registry::{Claim, ClaimedTarget};
use tarazu_core::sample::{LoadSample, TargetFlags, TargetSample};
use tarazu_layout::{Bytes, OstIndex, ServerId, TargetId, Time};

use super::error::{Invalid, bandwidth, count, number};
use super::words::{file_system_name, host_name, text};
use crate::limits::{OST_INDEX_MAX, PROTOCOL, SERVER_TARGETS_MAX, WORD_MAX};
use crate::v1;

/// A registration that keeps to all limits.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// The file system's name.
    pub file_system: String,
    /// What it says of itself.
    pub claim: Claim,
    /// Whether it can write canaries.
    pub can_canary: bool,
}

/// Checks a registration.
///
/// # Errors
/// The first limit that it breaks.
pub fn register(message: &v1::Register) -> Result<Registration, Invalid> {
    if message.protocol != PROTOCOL {
        return Err(Invalid::Protocol { found: message.protocol, wanted: PROTOCOL });
    }
    text("the agent's version", &message.agent_version, WORD_MAX)?;
    text("the file system's version", &message.file_system_version, WORD_MAX)?;
    count("targets of a server", message.targets.len(), 1, SERVER_TARGETS_MAX)?;
    let mut named = BTreeSet::new();
    let mut targets = Vec::with_capacity(message.targets.len());
    for facts in &message.targets {
        if !named.insert(facts.ost_index) {
            return Err(Invalid::RepeatedOst(facts.ost_index));
        }
        targets.push(target_entry(facts)?);
    }
    Ok(Registration {
        file_system: file_system_name(&message.file_system)?.to_owned(),
        claim: Claim {
            server: host_name(&message.server)?.to_owned(),
            instance: message.instance,
            started_unix_ns: message.started_unix_ns,
            link_bps: bandwidth("the link's bandwidth", message.link_bps)?,
            enclosure: message.enclosure,
            targets,
        },
        can_canary: message.can_canary,
    })
}

pub(super) fn target_entry(facts: &v1::TargetFacts) -> Result<ClaimedTarget, Invalid> {
    if facts.ost_index > OST_INDEX_MAX {
        return Err(number("an OST index", &facts.ost_index, "0 to 65534"));
    }
    if facts.capacity_bytes == 0 {
        return Err(number("a target's size", &0, "above 0 bytes"));
    }
    Ok(ClaimedTarget {
        ost: OstIndex(facts.ost_index),
        capacity: Bytes(facts.capacity_bytes),
        read_bps: bandwidth("a target's read bandwidth", facts.read_bps)?,
        write_bps: bandwidth("a target's write bandwidth", facts.write_bps)?,
    })
}

/// Whose sample it is, as the controller knows it.
pub struct Rows<'a> {
    /// The server.
    pub server: ServerId,
    /// The session, which rises over the controller's life and so orders the agents of one server.
    pub session: u64,
    /// The number of a target.
    pub target: &'a dyn Fn(OstIndex) -> Option<TargetId>,
}

/// A sample with the controller's numbers. Values are judged by `core`, which knows the targets.
///
/// # Errors
/// Too many rows, or a target that is not known.
pub fn sample(message: &v1::Sample, of: &Rows<'_>) -> Result<LoadSample, Invalid> {
    count("rows of a sample", message.targets.len(), 0, SERVER_TARGETS_MAX)?;
    if let Some(share) = message.cpu_share
        && !(0.0..=1.0).contains(&share)
    {
        return Err(number("the share of busy processors", &share, "0 to 1"));
    }
    let row = |row: &v1::TargetSample| {
        let target = (of.target)(OstIndex(row.ost_index)).ok_or(Invalid::UnknownOst(row.ost_index))?;
        Ok(TargetSample {
            target,
            read: Bytes(row.read_bytes),
            written: Bytes(row.written_bytes),
            ops: row.ops,
            latency_s: row.latency_s,
            busy_s: row.busy_s,
            depth: row.depth,
            free: Bytes(row.free_bytes),
            state: TargetFlags {
                inactive: row.inactive,
                degraded: row.degraded,
                no_create: row.no_create,
                read_only: row.read_only,
                full: row.full,
            },
        })
    };
    Ok(LoadSample {
        server: of.server,
        agent_start: Time(of.session),
        sequence: message.sequence,
        interval_s: message.interval_s,
        queued_requests: message.queued_requests,
        cpu_share: message.cpu_share,
        targets: message.targets.iter().map(row).collect::<Result<_, Invalid>>()?,
    })
}

/// A sample as it travels, for the event log. `ost` gives the index of a target.
#[must_use]
pub fn sample_from(sample: &LoadSample, ost: &dyn Fn(TargetId) -> OstIndex) -> v1::Sample {
    let row = |row: &TargetSample| v1::TargetSample {
        ost_index: ost(row.target).0,
        read_bytes: row.read.0,
        written_bytes: row.written.0,
        ops: row.ops,
        latency_s: row.latency_s,
        busy_s: row.busy_s,
        depth: row.depth,
        free_bytes: row.free.0,
        inactive: row.state.inactive,
        degraded: row.state.degraded,
        no_create: row.state.no_create,
        read_only: row.state.read_only,
        full: row.state.full,
    };
    v1::Sample {
        sequence: sample.sequence,
        interval_s: sample.interval_s,
        queued_requests: sample.queued_requests,
        cpu_share: sample.cpu_share,
        targets: sample.targets.iter().map(row).collect(),
    }
}
