//! Minimum-cost flow with linear arcs (Wadhwa et al., Big Data 2017): every target costs its server's load plus
//! its used space, however many stripes it already gets.
//!
//! Arcs from a request to targets have capacity 1, arcs behind targets the stripes that free space allows. That
//! bound does not bind before a file system is full, and without it the flow of a batch falls apart into
//! the k cheapest targets of each request: what is computed here. Costs are those of the newest samples, so all
//! files between two samples get the same targets. The text adds percentages, counters and kibibytes as they
//! are; the percentage here is the load of the server's link, as processors are not simulated.

use tarazu_layout::TargetId;

use super::{decide, open_targets};
use crate::policy::{Allocator, Decision, Knows, Refusal, Request};
use crate::rng::Rng;
use crate::view::View;

/// The published linear cost rule.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinearFlow;

/// Used KiB, and hundredths of the server's load percentage to order targets of equal use; then the id.
type Cost = (u64, u64, TargetId);

fn cost(view: &View, loads: &[f64], target: TargetId) -> Cost {
    let spec = &view.topology.targets()[target.index()];
    let used_kib = spec.capacity.saturating_sub(view.targets[target.index()].free).0 >> 10;
    let load_pct = 100.0 * loads[spec.server.index()];
    // One sum, as published; the fraction of a percent only breaks ties.
    (used_kib + load_pct as u64, (load_pct.fract() * 100.0) as u64, target)
}

/// Load of each server's link, 0 to 1.
fn loads(view: &View) -> Vec<f64> {
    let server = |(spec, targets): (&crate::topology::ServerSpec, &Vec<TargetId>)| {
        let rate = |target: &TargetId| {
            view.targets[target.index()].load.map_or(0.0, |load| load.read_bps + load.write_bps)
        };
        (targets.iter().map(rate).sum::<f64>() / spec.link_bps).min(1.0)
    };
    view.topology.servers().iter().zip(view.topology.by_server()).map(server).collect()
}

impl Allocator for LinearFlow {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, _rng: &mut Rng) -> Decision {
        let Some(view) = knows.view else { return Decision::Leave(Refusal::NoView) };
        let wanted = request.inherited.components[request.component].stripe_count as usize;
        let loads = loads(view);
        let mut open = open_targets(knows);
        let wanted = wanted.min(open.len());
        open.sort_by_cached_key(|target| cost(view, &loads, *target));
        open.truncate(wanted);
        decide(open, wanted)
    }
}
