//! What was written to each target lately: bytes that are likely to be read from it again.
//!
//! A counter with a half-life, fed by everything that agents see written, by whomever. It must not say
//! what that means for placement; that is the planner's.

use std::time::Duration;

use tarazu_layout::{Bytes, TargetId, Time};

/// Time after which written bytes count half. Scratch data are read back by the job that wrote them,
/// the next one of its chain or the analysis of the same day, or not at all.
pub const HALF_LIFE: Duration = Duration::from_secs(6 * 3600);

/// A value of that moment, now that it counts half after each half-life.
#[must_use]
pub(crate) fn faded((value, at): (f64, Time), now: Time) -> f64 {
    value * (-now.since(at).as_secs_f64() / HALF_LIFE.as_secs_f64()).exp2()
}

/// Bytes written to each target, fading.
#[derive(Clone, Debug, Default)]
pub struct Recent {
    /// By target: faded bytes, and the moment that they are of.
    bytes: Vec<(f64, Time)>,
}

impl Recent {
    /// Nothing written yet to targets `0..targets`.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self { bytes: vec![(0.0, Time::ZERO); targets] }
    }

    /// Goes on with more targets.
    pub(crate) fn grow(&mut self, targets: usize) {
        self.bytes.resize(targets.max(self.bytes.len()), (0.0, Time::ZERO));
    }

    /// Counts bytes written by now. Targets that do not exist are ignored.
    pub fn add(&mut self, target: TargetId, written: Bytes, now: Time) {
        let faded = self.bytes(target, now);
        if let Some(entry) = self.bytes.get_mut(target.index()) {
            *entry = (faded + written.0 as f64, now);
        }
    }

    /// Bytes written to a target, faded by their age; 0 for one that does not exist.
    #[must_use]
    pub fn bytes(&self, target: TargetId, now: Time) -> f64 {
        self.bytes.get(target.index()).map_or(0.0, |entry| faded(*entry, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_fade_by_half_in_a_half_life() {
        let (target, later) = (TargetId(1), Time::ZERO + HALF_LIFE);
        let mut recent = Recent::new(2);
        recent.add(target, Bytes(800), Time::ZERO);
        assert_eq!(recent.bytes(target, Time::ZERO), 800.0);
        recent.add(target, Bytes(100), later);
        assert_eq!(recent.bytes(target, later), 500.0);
        assert_eq!(recent.bytes(TargetId(0), later), 0.0);
        recent.add(TargetId(9), Bytes(1), later);
        assert_eq!(recent.bytes(TargetId(9), later), 0.0);
    }
}
