//! A target's load of others as a Markov process of three states with lognormal levels.
//!
//! The numbers and where each comes from are in `noise/spider2.toml`, which is part of the program: nobody tunes
//! them to a comparison.

use std::sync::Arc;

use rand::RngExt;
use serde::Deserialize;
use tarazu_core::rng::{Rng, stream};
use tarazu_layout::{TargetId, Time};

use super::{BACKGROUND_MAX, Load, LoadError};

/// The frozen parameters.
const FROZEN: &str = include_str!("../../noise/spider2.toml");

/// States of the process.
const STATES: usize = 3;

/// Where the scale of a mean load is looked for. At its lower end others hardly exist, at its upper end every
/// target is at [`BACKGROUND_MAX`].
const SCALE: std::ops::RangeInclusive<f64> = 1e-9..=1e12;

/// Halvings of the search for it, in logarithms: far below the rounding of the mean.
const HALVINGS: u32 = 100;

/// Points of the integral over the normal distribution, from -6 to 6.
const NORMAL_POINTS: i32 = 600;

/// Shortest dwell and time between two draws, seconds: below it a run consists of nothing but background.
const SPAN_MIN_S: f64 = 1e-3;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameters {
    frozen: String,
    probe: Probe,
    state: [State; STATES],
    level: Level,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Probe {
    /// A write of 1 MB on a target that serves nobody else.
    alone_ms: f64,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    name: String,
    median_ms: f64,
    dwell_s: f64,
    /// Chances of the state that comes next.
    then: [f64; STATES],
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    sigma: f64,
    redraw_s: f64,
}

/// The process, ready to be played on any target.
#[derive(Clone, Debug, PartialEq)]
pub struct Markov {
    /// Long-run mean load that was asked for.
    mean: Option<f64>,
    /// All times of the parameters are multiplied by this.
    dwell: f64,
    /// Streams of others are multiplied by this.
    scale: f64,
    parameters: Parameters,
    /// Long-run share of time in each state.
    stationary: [f64; STATES],
}

impl Markov {
    /// The frozen process. With `mean`, from 0 to [`BACKGROUND_MAX`], streams of others are multiplied such that
    /// their long-run mean load is that. All times are multiplied by `dwell`, above 0: how long a load lasts decides
    /// what looking at it is worth.
    ///
    /// # Errors
    /// The frozen parameters cannot be: no such program passes this crate's tests.
    pub fn new(mean: Option<f64>, dwell: f64) -> Result<Self, LoadError> {
        let frozen = |reason: String| LoadError::Frozen { reason };
        let parameters: Parameters = toml::from_str(FROZEN).map_err(|error| frozen(error.to_string()))?;
        let stationary =
            stationary(&parameters.state).ok_or_else(|| frozen("states that are never left".into()))?;
        let mut process = Self { mean, dwell, scale: 1.0, parameters, stationary };
        if let Some(mean) = mean {
            process.scale = process.scale_of(mean);
        }
        Ok(process)
    }

    /// When the parameters were fixed, as `YYYY-MM-DD`.
    #[must_use]
    pub fn frozen(&self) -> &str {
        &self.parameters.frozen
    }

    /// Names of the states with their long-run shares of time.
    pub fn states(&self) -> impl Iterator<Item = (&str, f64)> {
        self.parameters.state.iter().map(|state| state.name.as_str()).zip(self.stationary)
    }

    /// Long-run mean load, by integration.
    #[must_use]
    pub fn mean_load(&self) -> f64 {
        self.mean_at(self.scale)
    }

    pub(super) fn typed(&self) -> (Option<f64>, f64) {
        (self.mean, self.dwell)
    }

    /// The process on one target in the run of one seed.
    pub(super) fn play(self: &Arc<Self>, seed: u64, target: TargetId) -> Playing {
        Playing::new(self, stream(seed, "background", u64::from(target.0)))
    }

    fn scale_of(&self, mean: f64) -> f64 {
        let (mut low, mut high) = (SCALE.start().ln(), SCALE.end().ln());
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if self.mean_at(middle.exp()) < mean {
                low = middle;
            } else {
                high = middle;
            }
        }
        if mean > 0.0 { high.exp() } else { 0.0 }
    }

    fn mean_at(&self, scale: f64) -> f64 {
        let states = self.parameters.state.iter().zip(self.stationary);
        states.map(|(state, share)| share * self.mean_of(state, scale)).sum()
    }

    /// Mean load in one state: the integral of the level over a normal distribution.
    fn mean_of(&self, state: &State, scale: f64) -> f64 {
        let (mut sum, mut weights) = (0.0, 0.0);
        for point in -NORMAL_POINTS..=NORMAL_POINTS {
            let normal = 6.0 * f64::from(point) / f64::from(NORMAL_POINTS);
            let weight = (-normal * normal / 2.0).exp();
            sum += weight * self.load(state, normal, scale);
            weights += weight;
        }
        sum / weights
    }

    /// The load that a standard normal draw stands for.
    fn load(&self, state: &State, normal: f64, scale: f64) -> f64 {
        let median = state.median_ms / self.parameters.probe.alone_ms - 1.0;
        let streams = scale * median * (self.parameters.level.sigma * normal).exp();
        (streams / (1.0 + streams)).min(BACKGROUND_MAX)
    }
}

/// Long-run shares of time: the balance of the jumps, weighted by how long each state lasts.
fn stationary(states: &[State; STATES]) -> Option<[f64; STATES]> {
    let mut visits = [1.0 / STATES as f64; STATES];
    // The jumps mix within a few steps; averaging two of them also ends a chain that only swings.
    for _ in 0..10_000 {
        let mut next = [0.0; STATES];
        for (state, visit) in states.iter().zip(visits) {
            for (place, chance) in next.iter_mut().zip(state.then) {
                *place += visit * chance;
            }
        }
        for (visit, next) in visits.iter_mut().zip(next) {
            *visit = f64::midpoint(*visit, next);
        }
    }
    let mut times = visits;
    times.iter_mut().zip(states).for_each(|(time, state)| *time *= state.dwell_s);
    let sum: f64 = times.iter().sum();
    (sum.is_finite() && sum > 0.0).then(|| times.map(|time| time / sum))
}

/// The process on one target: endless, a new load at every change.
#[derive(Clone, Debug)]
pub(crate) struct Playing {
    process: Arc<Markov>,
    rng: Rng,
    state: usize,
    /// When the state ends, seconds.
    leaves_s: f64,
    /// When the level is drawn anew, seconds.
    redraws_s: f64,
}

impl Playing {
    fn new(process: &Arc<Markov>, mut rng: Rng) -> Self {
        let state = pick(&process.stationary, &mut rng);
        // What is left of an exponential dwell is distributed like the whole; a redraw may come at any moment.
        let leaves_s = dwell_s(process, state, &mut rng);
        let redraws_s = rng.random_range(0.0..1.0) * redraw_s(process);
        Self { process: Arc::clone(process), rng, state, leaves_s, redraws_s }
    }

    /// The load at the start.
    pub(super) fn first(&mut self) -> Load {
        self.draw()
    }

    /// The next change.
    pub(super) fn next(&mut self) -> (Time, Load) {
        let at_s = self.leaves_s.min(self.redraws_s);
        if self.leaves_s <= self.redraws_s {
            self.state = pick(&self.process.parameters.state[self.state].then, &mut self.rng);
            self.leaves_s = at_s + dwell_s(&self.process, self.state, &mut self.rng);
        }
        self.redraws_s = at_s + redraw_s(&self.process);
        (Time::from_secs_f64(at_s), self.draw())
    }

    fn draw(&mut self) -> Load {
        let normal = normal(&mut self.rng);
        let state = &self.process.parameters.state[self.state];
        Load::writing(self.process.load(state, normal, self.process.scale))
    }

    #[cfg(test)]
    fn state(&self) -> usize {
        self.state
    }
}

fn redraw_s(process: &Markov) -> f64 {
    (process.parameters.level.redraw_s * process.dwell).max(SPAN_MIN_S)
}

fn dwell_s(process: &Markov, state: usize, rng: &mut Rng) -> f64 {
    let mean_s = process.parameters.state[state].dwell_s * process.dwell;
    let draw: f64 = rng.random_range(0.0..1.0);
    (-(1.0 - draw).ln() * mean_s).max(SPAN_MIN_S)
}

/// A draw from the states by their chances.
fn pick(chances: &[f64; STATES], rng: &mut Rng) -> usize {
    let mut left: f64 = rng.random_range(0.0..1.0);
    for (state, chance) in chances.iter().enumerate() {
        left -= chance;
        if left < 0.0 {
            return state;
        }
    }
    // Rounding may leave a rest above the last chance that is not 0.
    chances.iter().rposition(|chance| *chance > 0.0).unwrap_or(0)
}

/// A standard normal draw (Box and Muller 1958), one of the two: streams stay in step with the changes.
fn normal(rng: &mut Rng) -> f64 {
    let radius: f64 = rng.random_range(0.0..1.0);
    let angle: f64 = rng.random_range(0.0..1.0);
    (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(mean: Option<f64>, dwell: f64) -> Arc<Markov> {
        Arc::new(Markov::new(mean, dwell).expect("the frozen process"))
    }

    /// Targets × samples every 5 s of the process; states beside loads.
    fn sampled(process: &Arc<Markov>, targets: u32, samples: usize) -> Vec<Vec<(usize, f64)>> {
        let one = |target| {
            let mut playing = process.play(7, TargetId(target));
            let (mut load, mut state) = (playing.first(), playing.state());
            let mut next = playing.next();
            let mut series = Vec::new();
            for sample in 0..samples {
                while next.0 <= Time::from_secs_f64(5.0 * sample as f64) {
                    (load, state) = (next.1, playing.state());
                    next = playing.next();
                }
                series.push((state, load.total()));
            }
            series
        };
        (0..targets).map(one).collect()
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    }

    fn correlation(series: &[Vec<(usize, f64)>], lag: usize) -> f64 {
        let all = mean(series.iter().flatten().map(|(_, load)| *load));
        let product = |one: &Vec<(usize, f64)>| {
            mean(one.windows(lag + 1).map(|pair| (pair[0].1 - all) * (pair[lag].1 - all)))
        };
        let variance = mean(series.iter().flatten().map(|(_, load)| (load - all).powi(2)));
        mean(series.iter().map(product)) / variance
    }

    #[test]
    fn the_parameters_are_frozen() {
        // Whoever changes them gives them a new date here: results under others cannot be compared with these.
        let process = process(None, 1.0);
        let hash = tarazu_layout::hash::bytes(FROZEN.as_bytes());
        assert_eq!((process.frozen(), hash), ("2026-11-22", HASH));
    }

    const HASH: u64 = 434_828_569_824_297_001;

    #[test]
    fn simulated_series_show_the_evidence() {
        let process = process(None, 1.0);
        let series = sampled(&process, 200, 4000);
        for (state, expected) in [0.6, 0.1, 0.3].into_iter().enumerate() {
            let share = mean(series.iter().flatten().map(|(in_state, _)| f64::from(*in_state == state)));
            assert!((share - expected).abs() < 0.015, "state {state} has {share} of the time");
        }
        let load = mean(series.iter().flatten().map(|(_, load)| *load));
        assert!((load - process.mean_load()).abs() < 0.01, "{load} against {}", process.mean_load());
        // Edison: 0.31 after 15 s, 0.13 after 60 s.
        for (lag, expected) in [(3, 0.31), (12, 0.13)] {
            let found = correlation(&series, lag);
            assert!((found - expected).abs() < 0.03, "{found} after {} s", lag * 5);
        }
        // Spider II: at one moment the fastest target is about 20 times as fast as the slowest.
        let free: Vec<f64> = series.iter().map(|one| 1.0 - one[1000].1).collect();
        let spread = free.iter().copied().fold(0.0, f64::max) / free.iter().copied().fold(1.0, f64::min);
        assert!((15.0..=20.1).contains(&spread), "{spread}");
    }

    #[test]
    fn dwell_times_are_exponential() {
        let process = process(None, 1.0);
        let mut playing = process.play(1, TargetId(0));
        let (mut dwells, mut since, mut state) = (Vec::new(), 0.0, playing.state());
        while dwells.len() < 20_000 {
            let (at, _) = playing.next();
            if playing.state() != state {
                if state == 2 {
                    dwells.push(at.as_secs_f64() - since);
                }
                (since, state) = (at.as_secs_f64(), playing.state());
            }
        }
        let mean_s = mean(dwells.iter().copied());
        let deviation_s = mean(dwells.iter().map(|dwell| (dwell - mean_s).powi(2))).sqrt();
        assert!((mean_s / 70.0 - 1.0).abs() < 0.03, "{mean_s}");
        assert!((deviation_s / mean_s - 1.0).abs() < 0.03, "{deviation_s} against {mean_s}");
    }

    #[test]
    fn a_mean_load_is_reached_and_dwell_stretches_time() {
        for wanted in [0.0, 0.1, 0.5, 0.8, BACKGROUND_MAX] {
            let process = process(Some(wanted), 1.0);
            assert!((process.mean_load() - wanted).abs() < 1e-6, "{wanted}: {}", process.mean_load());
            let load = mean(sampled(&process, 100, 2000).iter().flatten().map(|(_, load)| *load));
            assert!((load - wanted).abs() < 0.02, "{wanted}: {load}");
        }
        let slow = process(None, 10.0);
        let found = correlation(&sampled(&slow, 100, 8000), 30);
        assert!((found - 0.31).abs() < 0.04, "{found} after 150 s");
    }

    #[test]
    fn targets_and_seeds_differ_and_the_same_ones_do_not() {
        let process = process(None, 1.0);
        let changes = |seed, target| {
            let mut playing = process.play(seed, TargetId(target));
            (playing.first(), [playing.next(), playing.next(), playing.next()])
        };
        assert_eq!(changes(1, 2), changes(1, 2));
        assert_ne!(changes(1, 2), changes(1, 3));
        assert_ne!(changes(1, 2), changes(2, 2));
    }
}
