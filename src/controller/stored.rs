//! Between what `core` wants durable and what the store keeps.

use std::collections::BTreeMap;

use tarazu_core::control::{Drain, Durable, Policy};
use tarazu_core::registry::{Claim, ClaimedTarget, Registry};
use tarazu_core::topology::Topology;
use tarazu_layout::{Bytes, OstIndex, TargetId, Time};

use crate::store::{DrainIntent, FsState, PolicyIntent, Record, ServerEntry, TargetEntry};

/// Records of the store, to be durable together.
pub(crate) fn records(fs: &str, durable: &Durable, topology: &Topology) -> Vec<Record> {
    let fs = fs.to_owned();
    match durable {
        Durable::Term(term) => vec![Record::Term { fs, term: *term }],
        Durable::Drain { targets, drain } => {
            let osts =
                targets.iter().filter_map(|target| Some(topology.targets().get(target.index())?.ost.0));
            let record = |ost| Record::Drain { fs: fs.clone(), ost, drain: drain.as_ref().map(drain_to) };
            osts.map(record).collect()
        }
        Durable::Policy(policy) => vec![Record::Policy { fs, policy: policy_to(*policy) }],
    }
}

/// Servers and targets, to be found again after a restart.
pub(crate) fn inventory(fs: &str, registry: &Registry) -> Record {
    let target = |target: &ClaimedTarget| TargetEntry {
        ost: target.ost.0,
        capacity_bytes: target.capacity.0,
        read_bps: target.read_bps,
        write_bps: target.write_bps,
    };
    let server = |claim: Claim| ServerEntry {
        server: claim.server,
        link_bps: claim.link_bps,
        enclosure: claim.enclosure,
        targets: claim.targets.iter().map(target).collect(),
    };
    let inventory = registry.inventory().into_iter().map(server).collect();
    Record::Inventory { fs: fs.to_owned(), inventory }
}

/// The claims that led to an inventory.
pub(crate) fn claims(state: &FsState) -> Vec<Claim> {
    let target = |entry: &TargetEntry| ClaimedTarget {
        ost: OstIndex(entry.ost),
        capacity: Bytes(entry.capacity_bytes),
        read_bps: entry.read_bps,
        write_bps: entry.write_bps,
    };
    let claim = |entry: &ServerEntry| Claim {
        server: entry.server.clone(),
        instance: 0,
        started_unix_ns: 0,
        link_bps: entry.link_bps,
        enclosure: entry.enclosure,
        targets: entry.targets.iter().map(target).collect(),
    };
    state.inventory.iter().map(claim).collect()
}

/// Drains by index, as `core` knows them.
pub(crate) fn drains(state: &FsState) -> BTreeMap<OstIndex, Drain> {
    let drain = |intent: &DrainIntent| Drain {
        reason: intent.reason.clone(),
        until: intent.until_unix_ns.map(Time),
        by: intent.by.clone(),
        since: Time(intent.since_unix_ns),
    };
    state.drains.iter().map(|(ost, intent)| (OstIndex(*ost), drain(intent))).collect()
}

/// Those of them whose targets are there from number `from` on.
pub(crate) fn drains_of(
    drains: &BTreeMap<OstIndex, Drain>,
    topology: &Topology,
    from: usize,
) -> Vec<(TargetId, Drain)> {
    let targets = topology.targets().iter().zip(topology.ids()).skip(from);
    targets.filter_map(|(spec, target)| Some((target, drains.get(&spec.ost)?.clone()))).collect()
}

/// What was wanted last.
pub(crate) fn policy(state: &FsState) -> Option<Policy> {
    state.policy.map(|policy| Policy { apply: policy.apply, canary: policy.canary, detect: policy.detect })
}

fn drain_to(drain: &Drain) -> DrainIntent {
    DrainIntent {
        reason: drain.reason.clone(),
        until_unix_ns: drain.until.map(|until| until.0),
        by: drain.by.clone(),
        since_unix_ns: drain.since.0,
    }
}

fn policy_to(policy: Policy) -> PolicyIntent {
    PolicyIntent { apply: policy.apply, canary: policy.canary, detect: policy.detect }
}
