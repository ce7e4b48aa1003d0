//! Shares of a target's speed that the planner may count on while it comes back, is new, or fills up.

use std::time::Duration;

use tarazu_layout::Time;

use crate::view::FULL_BELOW;

/// Time in which a target that comes back gets from little to all of its work: had the judgement been
/// wrong, little is lost.
pub const RAMP_IN: Duration = Duration::from_secs(120);

/// The same for one that is new and empty. Every new file of a day on it would make it the hottest one to
/// read from tomorrow.
pub const RAMP_IN_NEW: Duration = Duration::from_secs(600);

/// Share of its size that is free below which a target gets less work, down to none at
/// [`FULL_BELOW`].
pub const RAMP_OUT_FROM: f64 = 0.05;

/// Ramps move in so many steps: plans that change with every second explain badly.
const STEPS: f64 = 16.0;

/// A target's way back to all of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// When it began.
    pub from: Time,
    /// How long it takes.
    pub takes: Duration,
}

impl Ramp {
    /// Share of the target's speed to count on, above 0 up to 1.
    #[must_use]
    pub fn share(&self, now: Time) -> f64 {
        let passed = now.since(self.from).as_secs_f64() / self.takes.as_secs_f64().max(1.0);
        ((passed.clamp(0.0, 1.0) * STEPS).floor().max(1.0) / STEPS).min(1.0)
    }
}

/// Share of a target's speed to count on with that share of its size free: 1 down to
/// [`RAMP_OUT_FROM`], 0 below [`FULL_BELOW`].
#[must_use]
pub fn ramp_out(free_share: f64) -> f64 {
    if free_share.is_nan() || free_share < FULL_BELOW {
        return 0.0;
    }
    let share = (free_share - FULL_BELOW) / (RAMP_OUT_FROM - FULL_BELOW);
    ((share.min(1.0) * STEPS).ceil().max(1.0) / STEPS).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_comes_back_by_and_by() {
        let ramp = Ramp { from: Time::from_secs_f64(100.0), takes: RAMP_IN };
        let share = |seconds| ramp.share(Time::from_secs_f64(seconds));
        assert_eq!(
            [share(0.0), share(100.0), share(160.0), share(220.0), share(1e6)],
            [0.0625, 0.0625, 0.5, 1.0, 1.0]
        );
        assert!((100..220).all(|second| share(f64::from(second)) <= share(f64::from(second) + 1.0)));
    }

    #[test]
    fn a_target_that_fills_up_gets_less_and_less() {
        assert_eq!([ramp_out(1.0), ramp_out(0.05), ramp_out(0.03), ramp_out(0.0099)], [1.0, 1.0, 0.5, 0.0]);
        assert_eq!(ramp_out(FULL_BELOW), 1.0 / STEPS, "not excluded yet, so a little is left");
        assert_eq!(ramp_out(f64::NAN), 0.0);
        assert!(
            (0..100)
                .all(|percent| ramp_out(f64::from(percent) / 100.0)
                    <= ramp_out(f64::from(percent + 1) / 100.0))
        );
    }
}
