//! The plan: which target gets how many tickets, and why. Immutable data with a number.

use std::collections::BTreeMap;

use tarazu_layout::{TargetId, Time};
use tarazu_table::{JobEntry, JobKey, Order, Place};

use crate::deal::{Burden, Score};
use crate::health::Judgement;
use crate::ring::Ring;
use crate::view::{Exclusion, Health, View};
use crate::worth::Verdict;

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

/// What a plan takes a target for: the numbers that its tickets rest on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// Its speed against its hardware class.
    pub health: Health,
    /// Who judged so and why; `None` while nobody has anything against it.
    pub judged: Option<Judgement>,
    /// Share of its speed that new work may count on while it comes back, is new, or fills up; 0 to 1.
    pub ramp: f64,
    /// Bandwidth left for a file that is placed now, bytes/s.
    pub write_bps: f64,
    /// Placed work that waits on it by the time such a file comes, seconds.
    pub waiting_s: f64,
    /// What was written to it lately or waits to be, seconds of reading.
    pub written_s: f64,
    /// Placed files that are open on it.
    pub streams: u32,
}

impl Belief {
    /// One entry a target.
    pub(crate) fn of_all(view: &View, write_bps: &[f64], burden: &Burden, now: Time) -> Vec<Self> {
        let of = |target: TargetId| {
            let (place, seen) = (target.index(), &view.targets[target.index()]);
            Self {
                health: seen.health,
                judged: seen.judged,
                ramp: view.ramp(target, now),
                write_bps: write_bps[place],
                waiting_s: burden.work_s[place],
                written_s: burden.written_s[place],
                streams: view.ledger.streams(target),
            }
        };
        view.topology.ids().map(of).collect()
    }
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
    /// Where jobs begin on the ring, in order of their keys.
    pub placings: BTreeMap<JobKey, Placing>,
}

/// Where one job's next files begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placing {
    /// First ticket of its window.
    pub begin: u32,
    /// As the table says it.
    pub place: Place,
    /// The window's score when it was chosen: why this one.
    pub score: Score,
    /// Bursts that the job had made by then: after each it needs another window.
    pub bursts: u64,
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
    /// An operator wants plans only: the table leaves every file to the file system.
    pub observe_only: bool,
    /// One entry a target.
    pub reasons: Vec<TargetReason>,
    /// One entry a target.
    pub beliefs: Vec<Belief>,
    /// One entry a size class.
    pub classes: Vec<ClassPlan>,
    /// From slow facts only, for all classes.
    pub steady: ClassPlan,
    /// For the table's job section.
    pub jobs: Vec<JobEntry>,
    /// Why the files of each job are steered or left alone, by key.
    pub verdicts: BTreeMap<JobKey, Verdict>,
    /// Job rows that found no room.
    pub jobs_left_out: usize,
}
