//! When the daemon wakes next. Pure.

use std::time::Duration;

use tarazu_table::{INTERVAL_MS_MAX, INTERVAL_MS_MIN};

/// Shortest time between two exchanges of a production system: the node's cores belong to its job.
pub(crate) const INTERVAL_MIN_MS: u32 = 5_000;

/// Doublings of the interval while the controller does not answer: eight intervals, 40 s, so that nodes are back
/// within three table ages of a controller that was away for long.
const DOUBLINGS_MAX: u32 = 3;

/// What the last exchange said about the next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Milliseconds that the controller stated, where it has answered yet.
    next_ms: Option<u32>,
    /// Exchanges without an answer since then.
    failures: u32,
}

impl Pace {
    pub(crate) fn answered(&mut self, next_ms: u32) {
        *self = Self { next_ms: Some(next_ms.clamp(INTERVAL_MS_MIN, INTERVAL_MS_MAX)), failures: 0 };
    }

    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Time from the last exchange to the next. `plan_ms` is the shortest interval of the controller's plans that is
    /// known from tables: only a controller that plans more often (in tests and demonstrations) is asked more often.
    /// `random` is any number; waits after failures are spread over half their length, so that the nodes of a
    /// controller that was away do not come back together.
    pub(crate) fn wait(&self, plan_ms: Option<u32>, random: u64) -> Duration {
        let stated = self.next_ms.unwrap_or(INTERVAL_MIN_MS);
        let floor = plan_ms.unwrap_or(stated).min(INTERVAL_MIN_MS);
        let wait_ms = u64::from(stated.max(floor));
        if self.failures == 0 {
            return Duration::from_millis(wait_ms);
        }
        let longest = wait_ms << (self.failures - 1).min(DOUBLINGS_MAX);
        Duration::from_millis(longest - random % (longest / 2 + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_ms(pace: &Pace, plan_ms: Option<u32>, random: u64) -> u64 {
        u64::try_from(pace.wait(plan_ms, random).as_millis()).expect("a short time")
    }

    #[test]
    fn no_controller_makes_a_node_wake_more_often_than_its_plans() {
        let mut pace = Pace::default();
        assert_eq!(wait_ms(&pace, None, 9), 5_000);
        pace.answered(100);
        assert_eq!(wait_ms(&pace, Some(5_000), 9), 5_000, "a plan in 5 s needs no exchange in 0.1 s");
        assert_eq!(wait_ms(&pace, Some(30_000), 9), 5_000);
        assert_eq!(wait_ms(&pace, Some(500), 9), 500, "a demonstration");
        assert_eq!(wait_ms(&pace, None, 9), 100, "nothing else is known");
        pace.answered(0);
        assert_eq!(wait_ms(&pace, None, 9), 100);
        pace.answered(u32::MAX);
        assert_eq!(wait_ms(&pace, Some(500), 9), 300_000, "the controller may ask for less");
    }

    #[test]
    fn failures_wait_longer_within_bounds_and_spread() {
        let mut pace = Pace::default();
        pace.answered(5_000);
        for (failures, longest) in [(1, 5_000), (2, 10_000), (3, 20_000), (4, 40_000), (5, 40_000)] {
            pace.failed();
            let waits: Vec<u64> = (0..1000).map(|step| wait_ms(&pace, Some(5_000), step * 7919)).collect();
            assert!(waits.iter().all(|wait| (longest / 2..=longest).contains(wait)), "{failures}: {waits:?}");
            let (least, most) = (waits.iter().min(), waits.iter().max());
            assert!(least < Some(&(longest * 6 / 10)) && most > Some(&(longest * 9 / 10)));
        }
        pace.failures = u32::MAX;
        assert!(wait_ms(&pace, Some(5_000), 0) == 40_000);
        pace.answered(5_000);
        assert_eq!(wait_ms(&pace, Some(5_000), 3), 5_000);
    }
}
