//! libPIO (Wang et al., ICPADS 2014): a library in the application counts how often its own earlier files used
//! each server and target, and takes the path of least weighted count. Of other jobs it knows nothing.
//!
//! Left out: routers (LNet routers are no part of the simulated tree). The text gives no weights beside
//! `Σ w = 1`; both resources weigh alike here. Ties are broken at random, so that jobs do not all begin with
//! the same target. Perfect counts within a job are assumed, as if one process placed for all.

use std::collections::BTreeMap;

use rand::RngExt;
use tarazu_layout::{JobId, TargetId};

use super::{decide, open_targets};
use crate::policy::{Allocator, Decision, Knows, Request};
use crate::rng::Rng;

/// Jobs that are remembered; the one with the lowest number is forgotten first.
const JOBS_MAX: usize = 16_384;

/// Use counts of one job.
#[derive(Clone, Debug, Default)]
struct Counts {
    targets: Vec<u64>,
    servers: Vec<u64>,
}

/// The library's state, of all jobs.
#[derive(Clone, Debug, Default)]
pub struct Libpio {
    jobs: BTreeMap<JobId, Counts>,
}

impl Allocator for Libpio {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision {
        let wanted = request.inherited.components[request.component].stripe_count as usize;
        let mut open = open_targets(knows);
        let wanted = wanted.min(open.len());
        if self.jobs.len() >= JOBS_MAX && !self.jobs.contains_key(&request.name.job) {
            self.jobs.pop_first();
        }
        let counts = self.jobs.entry(request.name.job).or_default();
        let servers = knows.targets.iter().map(|facts| facts.server.index() + 1).max().unwrap_or(0);
        counts.targets.resize(knows.targets.len().max(counts.targets.len()), 0);
        counts.servers.resize(servers.max(counts.servers.len()), 0);
        let mut targets = Vec::with_capacity(wanted);
        while targets.len() < wanted {
            let cost = |target: &TargetId| {
                let server = knows.targets[target.index()].server;
                counts.targets[target.index()] + counts.servers[server.index()]
            };
            let least = open.iter().map(cost).min().unwrap_or(0);
            let cheapest: Vec<usize> = (0..open.len()).filter(|place| cost(&open[*place]) == least).collect();
            let target = open.swap_remove(cheapest[rng.random_range(0..cheapest.len())]);
            counts.targets[target.index()] += 1;
            counts.servers[knows.targets[target.index()].server.index()] += 1;
            targets.push(target);
        }
        decide(targets, wanted)
    }
}
