//! Distinct targets drawn uniformly among the usable ones: the simplest baseline.

use rand::RngExt;
use tarazu_layout::TargetId;

use crate::policy::{Allocator, Chosen, Decision, Knows, NoTarget, Request};
use crate::rng::Rng;

/// Uniform random placement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Random;

impl Allocator for Random {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision {
        let usable = |(number, facts): (usize, &crate::policy::TargetFacts)| {
            facts.usable.then_some(TargetId(number as u32))
        };
        let mut free: Vec<TargetId> = knows.targets.iter().enumerate().filter_map(usable).collect();
        let wanted = request.inherited.components[request.component].stripe_count as usize;
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
