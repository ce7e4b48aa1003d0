//! How well a target's load foretells its load when a file placed now is written.
//!
//! Owns one number: the correlation of targets' excess load (over the mean of all targets) with itself
//! after [`LAG`], or the time nearest to it that the reporting interval allows, estimated online and pooled
//! over all targets. Only the excess counts: what all targets have in common tells none of them apart. It
//! must not know what the number is used for.

use std::collections::VecDeque;
use std::time::Duration;

use tarazu_layout::Time;

/// Time between a report and the middle of the writing of a file that is placed on its word: a
/// reporting interval, a plan, its way to the nodes, and the burst itself.
pub const LAG: Duration = Duration::from_secs(15);

/// What holds before anything was measured: the autocorrelation of the excess load after 15 s on 24
/// targets of NERSC's Edison (12 hours, 5 s samples).
pub const PRIOR: f64 = 0.31;

/// The prior weighs as much as so many observed pairs of loads ...
const PRIOR_PAIRS: f64 = 500.0;

/// ... whose excess has this standard deviation, as a share of a target's bandwidth. Pairs of an idle
/// system, where all excess is rounding, thus weigh nothing.
const PRIOR_DEVIATION: f64 = 0.1;

/// Weight that a target's pairs keep from one sample to its next: a memory of some eighty minutes at 5 s.
const KEPT: f64 = 0.999;

/// The estimate stays within these: load that swings against itself is no reason to seek it, and none is certain.
const BOUNDS: std::ops::RangeInclusive<f64> = 0.0..=0.95;

/// A load is compared with the one whose age is nearest to the lag, and off by at most this share of it, or
/// by the interval between samples where that is longer: long intervals have nothing nearer.
const LAG_SLACK: f64 = 0.5;

/// Loads are remembered at least so far apart, seconds: a finer choice of ages would not matter to the lag.
const HISTORY_STEP_S: f64 = 0.5;

/// Longest interval between samples that makes the history longer, seconds: with minutes in between, nothing is
/// learned of a lag of seconds.
const INTERVAL_MAX_S: f64 = 300.0;

/// Loads remembered of one target. The lag with its slack at [`HISTORY_STEP_S`] makes 46; longer intervals
/// need fewer.
const HISTORY_MAX: usize = 64;

/// The estimate with what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Persistence {
    /// Newest load of each target, and their sum.
    newest: Vec<Option<f64>>,
    sum: f64,
    seen: usize,
    /// Excess loads of each target with their times, oldest first.
    history: Vec<VecDeque<(Time, f64)>>,
    /// Weighted sums of squares and products of the pairs.
    earlier: f64,
    later: f64,
    both: f64,
    /// Weight that all pairs keep with each sample of any target.
    keeps: f64,
}

impl Persistence {
    /// An estimate that has seen nothing, for so many targets.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self {
            newest: vec![None; targets],
            sum: 0.0,
            seen: 0,
            history: vec![VecDeque::new(); targets],
            earlier: 0.0,
            later: 0.0,
            both: 0.0,
            keeps: KEPT.powf(1.0 / targets.max(1) as f64),
        }
    }

    /// Goes on with more targets.
    pub(crate) fn grow(&mut self, targets: usize) {
        self.newest.resize(targets.max(self.newest.len()), None);
        self.history.resize(self.newest.len(), VecDeque::new());
        self.keeps = KEPT.powf(1.0 / self.newest.len().max(1) as f64);
    }

    /// Takes in a target's load over the last `interval_s` seconds, as a share of its bandwidth. Shares
    /// above 1 count as 1, what is no number or negative as 0; targets that do not exist are ignored.
    pub fn observe(&mut self, place: usize, load: f64, interval_s: f64, now: Time) {
        let load = if load > 0.0 { load.min(1.0) } else { 0.0 };
        let Some(newest) = self.newest.get_mut(place) else { return };
        match newest.replace(load) {
            Some(before) => self.sum += load - before,
            None => {
                self.sum += load;
                self.seen += 1;
            }
        }
        let excess = load - self.sum / self.seen as f64;
        let history = &mut self.history[place];
        let lag_s = LAG.as_secs_f64();
        let age_s = |at: Time| now.since(at).as_secs_f64();
        let slack_s = interval_s.min(INTERVAL_MAX_S).max(LAG_SLACK * lag_s);
        while history.front().is_some_and(|(at, _)| age_s(*at) > lag_s + slack_s) {
            history.pop_front();
        }
        let off_s = |at: Time| (age_s(at) - lag_s).abs();
        // Of two that are as near, the older: load that is near in time makes it look more lasting than it is.
        let nearest = history.iter().min_by(|one, other| off_s(one.0).total_cmp(&off_s(other.0)));
        let earlier = nearest.filter(|(at, _)| off_s(*at) <= slack_s).map(|(_, excess)| *excess);
        if history.back().is_none_or(|(at, _)| age_s(*at) >= HISTORY_STEP_S) {
            if history.len() >= HISTORY_MAX {
                history.pop_front();
            }
            history.push_back((now, excess));
        }
        let Some(earlier) = earlier else { return };
        self.earlier = self.keeps * self.earlier + earlier * earlier;
        self.later = self.keeps * self.later + excess * excess;
        self.both = self.keeps * self.both + earlier * excess;
    }

    /// The correlation, 0 to 0.95; [`PRIOR`] until enough was seen.
    #[must_use]
    pub fn get(&self) -> f64 {
        let prior = PRIOR_PAIRS * PRIOR_DEVIATION * PRIOR_DEVIATION;
        let deviations = ((self.earlier + prior) * (self.later + prior)).sqrt();
        ((self.both + PRIOR * prior) / deviations).clamp(*BOUNDS.start(), *BOUNDS.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::RngExt;

    use crate::rng::stream;

    const TARGETS: usize = 50;

    /// Loads around a half that keep a share `rho` of their deviation over three samples.
    fn measured(rho: f64, samples: u32, common: f64) -> Persistence {
        let mut rng = stream(3, "persistence test", 0);
        let mut all = Persistence::new(TARGETS);
        let step = rho.cbrt();
        let mut state = vec![0.0; TARGETS];
        for sample in 0..samples {
            let swing = common * (f64::from(sample) / 7.0).sin();
            for (place, value) in state.iter_mut().enumerate() {
                let noise: f64 = (0..12).map(|_| rng.random_range(-0.5..0.5)).sum();
                *value = step * *value + (1.0 - step * step).sqrt() * 0.1 * noise;
                all.observe(place, 0.5 + *value + swing, 5.0, Time::from_secs_f64(f64::from(sample) * 5.0));
            }
        }
        all
    }

    #[test]
    fn the_estimate_finds_the_correlation_and_ignores_what_all_have_in_common() {
        for rho in [0.0, 0.31, 0.8] {
            for common in [0.0, 0.15] {
                let found = measured(rho, 1000, common).get();
                assert!(
                    (found - rho).abs() < 0.05,
                    "{found} instead of {rho} with a common swing of {common}"
                );
            }
        }
    }

    #[test]
    fn it_is_learned_at_any_interval() {
        for interval_s in [0.1, 0.5, 1.0, 5.0, 7.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 300.0] {
            let mut all = Persistence::new(2);
            for sample in 1..=5_000 {
                // Agents are never quite on time.
                let late_s = 0.1 * interval_s * f64::from(sample % 3);
                let now = Time::from_secs_f64(f64::from(sample) * interval_s + late_s);
                (0..2).for_each(|place| all.observe(place, place as f64, interval_s, now));
            }
            assert!(all.get() > 0.9, "{} at {interval_s} s", all.get());
            assert!(all.history.iter().all(|history| history.len() <= HISTORY_MAX), "{interval_s}");
        }
    }

    #[test]
    fn what_was_before_a_long_silence_is_no_pair() {
        let mut all = Persistence::new(2);
        for sample in 1..=5_000 {
            let now = Time::from_secs_f64(f64::from(sample) * 600.0);
            (0..2).for_each(|place| all.observe(place, place as f64, 5.0, now));
        }
        assert_eq!(all.get(), PRIOR);
    }

    #[test]
    fn without_evidence_the_prior_holds() {
        assert_eq!(Persistence::new(TARGETS).get(), PRIOR);
        let mut idle = Persistence::new(TARGETS);
        for second in 0..10_000 {
            idle.observe(
                second % TARGETS,
                1e-6 * (second % 7) as f64,
                5.0,
                Time::from_secs_f64(second as f64),
            );
        }
        assert!((idle.get() - PRIOR).abs() < 1e-6, "an idle system says nothing: {}", idle.get());
        let little = measured(0.9, 6, 0.0).get();
        assert!((PRIOR..0.6).contains(&little), "a little evidence moves it a little: {little}");
    }

    proptest! {
        #[test]
        fn whatever_is_reported_it_stays_within_its_bounds(
            loads in proptest::collection::vec(
                (0..9usize, proptest::num::f64::ANY, proptest::num::f64::ANY, 0..u64::MAX),
                0..300
            )
        ) {
            let mut all = Persistence::new(8);
            for (place, load, interval_s, at) in loads {
                all.observe(place, load, interval_s, Time(at));
                prop_assert!(all.history.iter().all(|history| history.len() <= HISTORY_MAX));
                prop_assert!(BOUNDS.contains(&all.get()), "{}", all.get());
            }
        }
    }
}
