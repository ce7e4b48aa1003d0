//! How long to wait before the controller is tried again. Pure.

/// First wait, nanoseconds.
const FIRST_NS: u64 = 500_000_000;

/// Longest wait, nanoseconds: after a long pause of the controller all agents are back within half a minute.
const LONGEST_NS: u64 = 30_000_000_000;

/// Wait of an agent whose name another one took, nanoseconds: two that take turns would never give a whole sample.
pub(super) const SUPERSEDED_NS: u64 = 60_000_000_000;

/// A session that lived so long was a good one: the next wait is a first one. Shorter ones, such as those of a
/// controller that refuses, add up.
pub(super) const GOOD_NS: u64 = 10_000_000_000;

/// Doubling waits with jitter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The last session was a good one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Nanoseconds to wait now: from half of the doubled wait to the whole, by `random`.
    pub(super) fn next_ns(&mut self, random: u64) -> u64 {
        let whole_ns = FIRST_NS.saturating_mul(1 << self.failures.min(10)).min(LONGEST_NS);
        self.failures = self.failures.saturating_add(1);
        jittered_ns(whole_ns / 2, random)
    }
}

/// From the time to twice the time, by `random`: agents that lost their controller together come back apart.
pub(super) fn jittered_ns(least_ns: u64, random: u64) -> u64 {
    least_ns + random % least_ns.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn waits_double_and_are_bounded(randoms in proptest::collection::vec(proptest::prelude::any::<u64>(), 1..60)) {
            let mut backoff = Backoff::default();
            for (place, random) in randoms.iter().enumerate() {
                let whole = (FIRST_NS << place.min(10)).min(LONGEST_NS);
                let wait = backoff.next_ns(*random);
                proptest::prop_assert!((whole / 2..whole).contains(&wait), "{wait} of {whole}");
            }
            backoff.reset();
            proptest::prop_assert!(backoff.next_ns(randoms[0]) < FIRST_NS);
            proptest::prop_assert!(jittered_ns(SUPERSEDED_NS, randoms[0]) >= 60_000_000_000);
        }
    }
}
