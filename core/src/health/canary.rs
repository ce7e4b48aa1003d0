//! When which target gets a canary: a small direct write that shows what an idle target can do.

use std::time::Duration;

use tarazu_layout::{TargetId, Time};

use super::track::Track;

/// Bytes of a canary: one request of the size that newer releases send.
pub const CANARY_BYTES: u64 = 4 << 20;

/// Between two canaries of a target that nothing is suspected of: 7 kB/s a target.
pub const CANARY_EVERY: Duration = Duration::from_secs(600);

/// Canaries under way at a time. Each waits for one disk; together they are no load.
pub const CANARIES_MAX: usize = 8;

/// The first canaries of all targets are spread over this: what is sick from cold is to be known soon.
const FIRST_WITHIN: Duration = Duration::from_secs(60);

/// Between two canaries of a target that is suspected or judged.
const SUSPECT_EVERY: Duration = Duration::from_secs(15);

/// A canary without an answer for so long counts as lost: its writer may be gone, which says nothing of the target.
const LOST_AFTER: Duration = Duration::from_secs(120);

/// One target's canaries.
#[derive(Clone, Copy, Debug, Default)]
struct Plan {
    /// When the next is due; `None` before the first look.
    next: Option<Time>,
    asked: Option<Time>,
    answered: Option<Time>,
}

/// All canaries.
#[derive(Clone, Debug)]
pub(super) struct Canaries {
    plans: Vec<Plan>,
}

impl Canaries {
    pub(super) fn new(targets: usize) -> Self {
        Self { plans: vec![Plan::default(); targets] }
    }

    /// Goes on with more targets.
    pub(super) fn grow(&mut self, targets: usize) {
        self.plans.resize(targets, Plan::default());
    }

    /// Targets whose canary is due, the longest due first. `draw` spreads the first ones, from [0, 1).
    pub(super) fn due(
        &mut self,
        now: Time,
        is_silent: impl Fn(TargetId) -> bool,
        mut draw: impl FnMut() -> f64,
        due: &mut Vec<TargetId>,
    ) {
        let mut under_way = 0;
        let mut waiting: Vec<(Time, TargetId)> = Vec::new();
        for (plan, number) in self.plans.iter_mut().zip(0..) {
            let first = || now + Duration::from_secs_f64(FIRST_WITHIN.as_secs_f64() * draw());
            let next = *plan.next.get_or_insert_with(first);
            if plan.asked.is_some_and(|asked| now.since(asked) >= LOST_AFTER) {
                plan.asked = None;
                plan.next = Some(now + CANARY_EVERY);
                continue;
            }
            if plan.asked.is_some() {
                under_way += 1;
            } else if next <= now && !is_silent(TargetId(number)) {
                waiting.push((next, TargetId(number)));
            }
        }
        waiting.sort_unstable();
        for (_, target) in waiting.into_iter().take(CANARIES_MAX.saturating_sub(under_way)) {
            self.plans[target.index()].asked = Some(now);
            due.push(target);
        }
    }

    /// Notes an answer. Returns whether one was asked for.
    pub(super) fn answered(&mut self, target: TargetId, now: Time) -> bool {
        let Some(plan) = self.plans.get_mut(target.index()) else { return false };
        plan.answered = Some(now);
        plan.asked.take().is_some()
    }

    /// Notes an answer that says nothing of the target's speed. Returns whether one was asked for.
    pub(super) fn came_to_nothing(&mut self, target: TargetId) -> bool {
        self.plans.get_mut(target.index()).is_some_and(|plan| plan.asked.take().is_some())
    }

    /// Plans the next canary of a target that has answered.
    pub(super) fn plan_next(&mut self, target: TargetId, is_suspect: bool, now: Time) {
        let every = if is_suspect { SUSPECT_EVERY } else { CANARY_EVERY };
        self.plans[target.index()].next = Some(now + every);
    }

    /// Whether a suspicion may become a judgement: a canary has spoken since it arose, or none came in time.
    /// Asks for one otherwise.
    pub(super) fn confirm(&mut self, target: TargetId, track: &Track, now: Time, within: Duration) -> bool {
        let plan = &mut self.plans[target.index()];
        let since = track.alarmed_at.unwrap_or(now);
        if plan.answered.is_some_and(|answered| answered >= since) || now.since(since) >= within {
            return true;
        }
        if plan.asked.is_none() {
            plan.next = Some(plan.next.map_or(now, |next| next.min(now)));
        }
        false
    }
}
