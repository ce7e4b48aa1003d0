//! The plan: which target gets how many tickets, and why. Immutable data with a number.

use tarazu_layout::Time;
use tarazu_table::{JobEntry, Order};

use crate::ring::Ring;
use crate::view::Exclusion;

/// Why a target has the tickets that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetReason {
    /// It takes part with its share of the work.
    TakesPart,
    /// It gets nothing.
    Excluded(Exclusion),
    /// It would be excluded automatically, but too many others already are; it takes part by its speed.
    SparedByCap(Exclusion),
}

/// The tickets of one size class, or of the steady ring.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPlan {
    /// Tickets by target.
    pub tickets: Vec<u32>,
    /// Stripes of a file that the ring keeps on distinct targets, at least.
    pub stripes: usize,
    /// The sequence of tickets; `None` where no target takes part.
    pub ring: Option<Ring>,
    /// Predicted finish of the latest ticket's work, microseconds from now.
    pub last_finish_us: i64,
    /// Whether the previous plan's tickets were kept because new ones would gain too little.
    pub kept: bool,
}

/// A whole plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its number.
    pub order: Order,
    /// The moment of the view that it was made from.
    pub made_at: Time,
    /// Fewer than half of the targets were fresh: clients are to use the steady ring only.
    pub steady_only: bool,
    /// One entry a target.
    pub reasons: Vec<TargetReason>,
    /// One entry a size class.
    pub classes: Vec<ClassPlan>,
    /// From slow facts only, for all classes.
    pub steady: ClassPlan,
    /// For the table's job section.
    pub jobs: Vec<JobEntry>,
    /// Job rows that found no room.
    pub jobs_left_out: usize,
}
