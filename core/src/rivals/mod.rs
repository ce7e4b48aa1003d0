//! Published ways of choosing targets, as they were described, for comparison only.
//!
//! They are steering allocators like tarazu's own: each file that they place pays for an explicit layout.
//! Where a text leaves something open, the friendlier reading was taken; each module says which.

mod libpio;
mod linear_flow;
mod two_choices;

pub use libpio::Libpio;
pub use linear_flow::LinearFlow;
pub use two_choices::TwoChoices;

use tarazu_layout::TargetId;

use crate::policy::{Chosen, Decision, Knows, Refusal};

/// Targets that accept new objects and are not degraded, by the metadata server's facts.
fn open_targets(knows: &Knows<'_>) -> Vec<TargetId> {
    let open = |(number, facts): (usize, &crate::policy::TargetFacts)| {
        (facts.usable && !facts.degraded).then_some(TargetId(number as u32))
    };
    knows.targets.iter().enumerate().filter_map(open).collect()
}

/// A full list or none: placement never changes striping.
fn decide(targets: Vec<TargetId>, wanted: usize) -> Decision {
    if targets.is_empty() || targets.len() < wanted {
        return Decision::Leave(Refusal::TooFewTargets);
    }
    Decision::Place { targets, reason: Chosen::Rival }
}

#[cfg(test)]
mod tests;
