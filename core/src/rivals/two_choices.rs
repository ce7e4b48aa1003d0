//! The power of two choices: of two targets drawn at random the one that did less in its newest sample.
//!
//! The simplest rule that looks at load; a client could run it with nothing but the samples of the last interval.

use rand::RngExt;
use tarazu_layout::TargetId;

use super::{decide, open_targets};
use crate::policy::{Allocator, Decision, Knows, Refusal, Request};
use crate::rng::Rng;
use crate::view::View;

/// Two random targets for each stripe, the less busy one is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct TwoChoices;

/// Disk time a second that the newest sample explains, 0 without one.
fn busy(view: &View, target: TargetId) -> f64 {
    let spec = &view.topology.targets()[target.index()];
    view.targets[target.index()]
        .load
        .map_or(0.0, |load| load.read_bps / spec.read_bps + load.write_bps / spec.write_bps)
}

impl Allocator for TwoChoices {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision {
        let Some(view) = knows.view else { return Decision::Leave(Refusal::NoView) };
        let mut open = open_targets(knows);
        let wanted = request.inherited.components[request.component].stripe_count as usize;
        let wanted = wanted.min(open.len());
        let mut targets = Vec::with_capacity(wanted);
        while targets.len() < wanted {
            let (one, other) = (rng.random_range(0..open.len()), rng.random_range(0..open.len()));
            let place = if busy(view, open[other]) < busy(view, open[one]) { other } else { one };
            targets.push(open.swap_remove(place));
        }
        decide(targets, wanted)
    }
}
