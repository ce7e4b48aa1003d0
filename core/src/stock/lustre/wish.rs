//! One component's wish, as all of Lustre's allocators take it.

use tarazu_layout::TargetId;

use crate::policy::TargetFacts;

/// How many stripes of which kind, and what the metadata server knows.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Stripes wanted.
    pub(super) count: usize,
    /// The count was clamped to the active targets: three quarters of it are enough.
    pub(super) soft: bool,
    /// A target may hold several stripes of the component.
    pub(super) overstriped: bool,
    /// Targets of the file's other components.
    pub(super) siblings: &'a [TargetId],
    /// State by target.
    pub(super) facts: &'a [TargetFacts],
}

impl Wish<'_> {
    /// Stripes that are enough.
    pub(super) const fn enough(&self) -> usize {
        if self.soft { self.count - self.count / 4 } else { self.count }
    }

    /// How often the walk may go round a set: with overstriping as often as there are stripes for each target.
    pub(super) const fn rounds(&self, targets: usize) -> usize {
        if self.overstriped && self.count > 0 && targets > 0 { (self.count - 1) / targets + 1 } else { 1 }
    }

    /// Whether a target accepts new objects.
    pub(super) fn usable(&self, target: TargetId) -> bool {
        self.facts.get(target.index()).is_some_and(|facts| facts.usable)
    }
}

#[cfg(test)]
impl<'a> Wish<'a> {
    /// `count` stripes and nothing special.
    pub(super) fn plain(count: usize, facts: &'a [TargetFacts]) -> Self {
        Self { count, soft: false, overstriped: false, siblings: &[], facts }
    }
}
