//! What the controller's detector said in a run, against what was true.

use tarazu_core::health::Verdict;
use tarazu_core::view::SICK_BELOW;
use tarazu_layout::{TargetId, Time};

use crate::replay::Replay;

/// All judgements of one run, in order of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What was said and when.
    pub verdicts: Vec<(Time, Verdict)>,
    /// Rows that agents reported: one for each target and interval. Where nothing is to be done for long the simulator
    /// leaves intervals out, so this and not the length of the run is what was watched.
    pub rows: u64,
    /// When the first operation began.
    pub began: Time,
    /// How long the run was.
    pub until: Time,
}

impl Judged {
    pub(crate) fn of(replay: &mut Replay<'_>) -> Self {
        let verdicts =
            replay.plane.as_mut().map(|plane| std::mem::take(&mut plane.verdicts)).unwrap_or_default();
        let rows = replay.plane.as_ref().map_or(0, |plane| plane.rows);
        Self { verdicts, rows, began: replay.first_start(), until: replay.now }
    }

    /// When a target was first judged sick, and so excluded.
    #[must_use]
    pub fn excluded_at(&self, target: TargetId) -> Option<Time> {
        self.exclusions().find(|(_, other)| *other == target).map(|(at, _)| at)
    }

    /// Every exclusion with its time.
    pub fn exclusions(&self) -> impl Iterator<Item = (Time, TargetId)> {
        let is_sick = |verdict: &Verdict| verdict.health.write < SICK_BELOW;
        self.verdicts
            .iter()
            .filter(move |(_, verdict)| is_sick(verdict))
            .map(|(at, verdict)| (*at, verdict.target))
    }

    /// When a target was first judged slower than its class, excluded or not.
    #[must_use]
    pub fn slowed_at(&self, target: TargetId) -> Option<Time> {
        let is_slow = |verdict: &&(Time, Verdict)| verdict.1.target == target && verdict.1.health.write < 1.0;
        self.verdicts.iter().find(is_slow).map(|(at, _)| *at)
    }
}
