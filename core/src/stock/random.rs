//! Distinct targets drawn uniformly among the usable ones of the pool: the simplest baseline.

use std::collections::BTreeMap;

use rand::RngExt;
use tarazu_layout::{PoolName, TargetId};

use crate::policy::{Allocator, Chosen, Decision, Knows, NoTarget, Request};
use crate::rng::Rng;

/// Uniform random placement.
#[derive(Clone, Debug, Default)]
pub struct Random {
    pools: BTreeMap<PoolName, Vec<TargetId>>,
}

impl Random {
    /// With these pools; a component that names another, or none, gets any targets.
    #[must_use]
    pub fn new(pools: &BTreeMap<PoolName, Vec<TargetId>>) -> Self {
        Self { pools: pools.clone() }
    }
}

impl Allocator for Random {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision {
        let usable = |(number, facts): (usize, &crate::policy::TargetFacts)| {
            facts.usable.then_some(TargetId(number as u32))
        };
        let mut free: Vec<TargetId> = knows.targets.iter().enumerate().filter_map(usable).collect();
        let component = &request.inherited.components[request.component];
        if let Some(pool) = component.pool.and_then(|name| self.pools.get(&name)) {
            free.retain(|target| pool.contains(target));
        }
        let wanted = component.stripe_count as usize;
        let count = wanted.min(free.len());
        if count == 0 {
            return Decision::Fail(NoTarget::Nothing);
        }
        // Fisher-Yates, stopped after the stripes that are needed.
        for place in 0..count {
            let other = rng.random_range(place..free.len());
            free.swap(place, other);
        }
        free.truncate(count);
        Decision::Place { targets: free, reason: Chosen::Stock }
    }
}
