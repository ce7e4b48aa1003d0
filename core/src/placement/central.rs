//! `tarazu-central`: each file at once where it finishes first, with a perfect view of all placements.
//!
//! No real system can have it: it is the reference for what distributing decisions costs.

use tarazu_layout::TargetId;

use super::stripe_count;
use crate::policy::{Allocator, Chosen, Decision, Knows, Refusal, Request};
use crate::rng::Rng;
use crate::view::Exclusion;

/// The central reference.
#[derive(Clone, Debug, Default)]
pub struct Central {
    /// Stripes given to each target so far, to take turns where nothing else tells targets apart.
    given: Vec<u64>,
}

/// Which target is next: the earliest finish of target or link, then of the target alone, then the one
/// that was given least, then the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    finish_us: i64,
    own_us: i64,
    given: u64,
    target: TargetId,
}

impl Allocator for Central {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, _rng: &mut Rng) -> Decision {
        let (Some(view), Some(placed)) = (knows.view, knows.placed) else {
            return Decision::Leave(Refusal::NoView);
        };
        let Some(expected) = request.expected else { return Decision::Leave(Refusal::SizeUnknown) };
        let wanted = stripe_count(request).max(1);
        let stripe_bytes = expected.0 as f64 / f64::from(wanted);
        let links = view.topology.servers();
        let mut link_bytes: Vec<f64> = view
            .topology
            .by_server()
            .iter()
            .map(|below| below.iter().map(|target| placed.outstanding(*target).0 as f64).sum())
            .collect();
        let mut open: Vec<TargetId> = view
            .topology
            .ids()
            .filter(|target| view.standing(*target).is_none_or(Exclusion::is_automatic))
            .collect();
        self.given.resize(view.targets.len(), 0);
        let mut targets = Vec::with_capacity(wanted as usize);
        while targets.len() < wanted as usize && !open.is_empty() {
            let score = |target: TargetId| {
                let server = view.topology.targets()[target.index()].server.index();
                let own = (placed.outstanding(target).0 as f64 + stripe_bytes) / view.write_bps(target);
                let link = (link_bytes[server] + stripe_bytes) / links[server].link_bps;
                let micros = |seconds: f64| (seconds * 1e6).round() as i64;
                Score {
                    finish_us: micros(own.max(link)),
                    own_us: micros(own),
                    given: self.given[target.index()],
                    target,
                }
            };
            let best = open.iter().enumerate().min_by_key(|(_, target)| score(**target));
            let Some(place) = best.map(|(place, _)| place) else { break };
            let target = open.swap_remove(place);
            link_bytes[view.topology.targets()[target.index()].server.index()] += stripe_bytes;
            self.given[target.index()] += 1;
            targets.push(target);
        }
        if targets.is_empty() {
            return Decision::Leave(Refusal::TooFewTargets);
        }
        Decision::Place { targets, reason: Chosen::Central }
    }
}
