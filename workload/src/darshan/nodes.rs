//! Which node each rank ran on: by the host names of DXT records, else in blocks.

use std::collections::BTreeMap;

use tarazu_layout::NodeId;

use crate::text::counted;
use tarazu_darshan::Log;

/// Node numbers of ranks `0..world`, in order of their lowest rank.
///
/// Only ranks that did I/O have a host name. One without is taken to follow the nearest lower rank that
/// has one, in blocks of `ranks_per_node`, since launchers place ranks in blocks unless told otherwise.
pub(super) fn of_ranks(log: &Log, world: usize, ranks_per_node: u32, notes: &mut Vec<String>) -> Vec<NodeId> {
    let hosts = hosts_of_ranks(log, world);
    let named = hosts.iter().filter(|host| host.is_some()).count();
    if named < world {
        let rest = world - named;
        notes.push(format!(
            "{rest} of {} no host name: {ranks_per_node} per node are assumed",
            counted(world as u64, "rank has", "ranks have")
        ));
    }
    let mut numbers: BTreeMap<(Option<&str>, usize), u32> = BTreeMap::new();
    let (mut host, mut since) = (None, 0);
    let mut nodes = Vec::with_capacity(world);
    for (rank, own) in hosts.iter().enumerate() {
        if own.is_some() {
            (host, since) = (*own, rank);
        }
        let key = (host, (rank - since) / ranks_per_node as usize);
        let next = numbers.len() as u32;
        nodes.push(NodeId(*numbers.entry(key).or_insert(next)));
    }
    nodes
}

fn hosts_of_ranks(log: &Log, world: usize) -> Vec<Option<&str>> {
    let mut hosts = vec![None; world];
    for dxt in log.dxt_posix.iter().chain(&log.dxt_mpiio) {
        for record in &dxt.records {
            let place = usize::try_from(record.rank).ok().and_then(|rank| hosts.get_mut(rank));
            let name = dxt.hosts.get(record.host).map(String::as_str).filter(|name| !name.is_empty());
            if let (Some(place), Some(name)) = (place, name) {
                place.get_or_insert(name);
            }
        }
    }
    hosts
}
