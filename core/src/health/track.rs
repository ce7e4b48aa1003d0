//! One target's evidence over time.

use std::collections::VecDeque;
use std::time::Duration;

use tarazu_layout::Time;

use super::observe::Observation;
use super::peers::{Others, median};
use super::{Evidence, Source};
use crate::view::SICK_BELOW;

/// Shortfall against peers that counts as none (a quarter slower), as a logarithm: targets of one class differ by as
/// much for reasons of their own.
const MARGIN: f64 = 0.288;

/// Where peers differ among themselves, so many of their standard deviations count as none.
const MARGIN_SIGMAS: f64 = 2.5;

/// Most that one observation adds: a single interval, however bad, proves nothing.
const STEP_MAX: f64 = 2.0;

/// Least that an observation without shortfall takes away.
const STEP_BACK: f64 = 0.5;

/// Sum of evidence that is an alarm. At a twentieth of the speed two observations reach it, at a quarter four, at half ten.
const ALARM: f64 = 4.0;

/// Sum of evidence from which on a target is suspected: canaries come more often.
const SUSPECT: f64 = 1.0;

/// Observations that a judgement needs at least.
const OBSERVATIONS_MIN: u32 = 3;

/// Evidence that does not come from equal peers or a canary weighs less.
const WEIGHT_UNEQUAL: f64 = 0.5;

/// Observations in a row that must be better for a judgement to be eased.
const BETTER_MIN: u32 = 6;

/// Share of its peers' speed from which on a sick target is on its way back: twice what excluded it.
const RETURN_ABOVE: f64 = 2.0 * SICK_BELOW;

/// Share above which a speed counts as the whole.
const WELL_ABOVE: f64 = 0.75;

/// Lowest speed of a target that is slow and not excluded.
const SLOW_MIN: f64 = 0.3;

/// Observations whose median is the level.
const LEVEL_OF: usize = 6;

/// How a target stands with the detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    #[default]
    Well,
    Slow,
    Sick,
}

/// What is held of one target.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    pub(super) standing: Standing,
    /// An operator has judged.
    pub(super) pinned: bool,
    /// Logarithm of the announced share of speed.
    announced_ln: f64,
    /// Cumulative sum of shortfall below what is announced.
    sum: f64,
    /// Observations since the sum was last 0.
    count: u32,
    /// When the sum became an alarm.
    pub(super) alarmed_at: Option<Time>,
    /// Observations in a row that were better than announced.
    better: u32,
    /// The newest differences to peers: to all of the class, and less what slows down the whole server.
    recent: VecDeque<(f64, f64)>,
    newest: Option<Evidence>,
    /// Canaries that failed since the sum was last 0.
    failures: u32,
    /// The judgement in force rests on such canaries, at least partly.
    rests_on_failures: bool,
    /// It is to be taken back: they failed because the target was not there.
    is_void: bool,
    heard_at: Option<Time>,
}

impl Track {
    /// Adds an observation with its difference to its peers, and that less what its server's other targets share.
    pub(super) fn add(&mut self, seen: &Observation, residual: f64, own: f64, others: Others) {
        if self.pinned {
            return;
        }
        let weight = match others.source {
            Source::Peers | Source::Canary => 1.0,
            Source::Class | Source::Usual => WEIGHT_UNEQUAL,
        };
        self.heard_at = Some(seen.at);
        self.recent.push_back((residual, own));
        if self.recent.len() > LEVEL_OF {
            self.recent.pop_front();
        }
        let margin = MARGIN.max(MARGIN_SIGMAS * others.spread);
        let above = residual - self.announced_ln;
        let short = -above - margin;
        let step = if short > 0.0 { short.min(STEP_MAX) } else { -(-short).clamp(STEP_BACK, STEP_MAX) };
        self.sum = (self.sum + step * weight * seen.weight).clamp(0.0, 2.0 * ALARM);
        self.count = if self.sum > 0.0 { self.count.saturating_add(1) } else { 0 };
        self.failures = if self.sum > 0.0 { self.failures } else { 0 };
        let is_alarm = self.sum >= ALARM && self.count >= OBSERVATIONS_MIN;
        self.alarmed_at = if is_alarm { self.alarmed_at.or(Some(seen.at)) } else { None };
        let is_better = match self.standing {
            Standing::Well => false,
            Standing::Slow => above > margin.min(MARGIN),
            Standing::Sick => residual > RETURN_ABOVE.ln(),
        };
        self.better = if is_better { self.better.saturating_add(1) } else { 0 };
        self.newest = Some(Evidence {
            served_bps: seen.speed_ln.exp() * seen.prior_bps,
            peers_bps: others.speed_ln.exp() * seen.prior_bps,
            depth: seen.depth,
            intervals: self.count.max(self.better),
            source: others.source,
        });
    }

    /// Adds a canary. One that is as fast as others' takes back what was only suspected.
    pub(super) fn add_canary(&mut self, seen: &Observation, residual: f64, others: Others, failed: bool) {
        let was_only_suspected = self.standing == Standing::Well && residual > -MARGIN;
        self.add(seen, residual, residual, others);
        self.failures = self.failures.saturating_add(u32::from(failed));
        if was_only_suspected {
            self.forget_suspicion();
        }
    }

    /// The target takes writes again: canaries that failed around that time show its absence, not its speed.
    pub(super) fn comes_back(&mut self) {
        if self.failures > 0 {
            self.forget_suspicion();
        }
        self.is_void = self.rests_on_failures;
    }

    fn forget_suspicion(&mut self) {
        (self.sum, self.count, self.failures, self.alarmed_at) = (0.0, 0, 0, None);
        self.recent.clear();
    }

    /// Whether canaries should come more often.
    pub(super) fn is_suspect(&self) -> bool {
        self.standing != Standing::Well || self.sum >= SUSPECT
    }

    /// Time since anything was observed.
    pub(super) fn silent_for(&self, now: Time) -> Duration {
        self.heard_at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// Logarithm of the target's own share of speed where the evidence is an alarm.
    pub(super) fn alarm(&self) -> Option<f64> {
        if self.alarmed_at.is_none() || self.standing == Standing::Sick {
            return None;
        }
        self.level(|(_, own)| own)
    }

    fn level(&self, which: impl Fn((f64, f64)) -> f64) -> Option<f64> {
        // Those that raised the alarm, or ease it, and none from before.
        let of = (self.count.max(self.better) as usize).clamp(1, LEVEL_OF);
        let mut values: Vec<f64> = self.recent.iter().rev().take(of).map(|row| which(*row)).collect();
        median(&mut values)
    }

    /// Judges it sick.
    pub(super) fn exclude(&mut self) -> Option<(f64, Evidence)> {
        let speed = step_of(self.level(|(_, own)| own)?.exp()).min(SICK_BELOW / 2.0);
        Some((self.announce(Standing::Sick, speed), self.newest?))
    }

    /// Judges it slow, but fit for some work.
    pub(super) fn slow_down(&mut self) -> Option<(f64, Evidence)> {
        let speed = step_of(self.level(|(residual, _)| residual)?.exp()).max(SLOW_MIN);
        if speed > WELL_ABOVE || speed.ln() >= self.announced_ln {
            // Too little to be worth a word; the evidence has been weighed.
            (self.sum, self.count, self.alarmed_at) = (0.0, 0, None);
            return None;
        }
        let evidence = self.newest?;
        Some((self.announce(Standing::Slow, speed), evidence))
    }

    /// Eases a judgement after enough better observations, and takes back a void one.
    pub(super) fn recovers(&mut self) -> Option<(f64, Evidence)> {
        if self.is_void {
            let evidence = self.newest?;
            return Some((self.announce(Standing::Well, 1.0), evidence));
        }
        if self.better < BETTER_MIN {
            return None;
        }
        let (evidence, speed) = (self.newest?, step_of(self.level(|(residual, _)| residual)?.exp()));
        let speed = if speed > WELL_ABOVE { 1.0 } else { speed.max(SLOW_MIN) };
        let standing = if speed < 1.0 { Standing::Slow } else { Standing::Well };
        Some((self.announce(standing, speed), evidence))
    }

    /// Lets a sick target that nothing was heard of have a little work. Its suspicion is half there.
    pub(super) fn probation(&mut self, now: Time) -> Option<(f64, Evidence)> {
        let evidence = self.newest?;
        let speed = self.announce(Standing::Slow, SLOW_MIN);
        (self.sum, self.heard_at) = (ALARM / 2.0, Some(now));
        Some((speed, evidence))
    }

    fn announce(&mut self, standing: Standing, speed: f64) -> f64 {
        self.standing = standing;
        self.announced_ln = speed.ln();
        self.rests_on_failures = standing != Standing::Well && (self.failures > 0 || self.rests_on_failures);
        self.is_void = false;
        (self.sum, self.count, self.failures, self.better, self.alarmed_at) = (0.0, 0, 0, 0, None);
        speed
    }
}

/// The nearest of the steps 1, 0.7, 0.5, 0.35, 0.25, … in which speeds are announced.
fn step_of(speed: f64) -> f64 {
    let half_octaves = (-2.0 * speed.max(super::observe::SPEED_MIN).log2()).round().max(0.0);
    (-half_octaves / 2.0).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_announced_in_steps() {
        let steps: Vec<f64> = [1.3, 1.0, 0.9, 0.6, 0.5, 0.26, 0.0].into_iter().map(step_of).collect();
        let root = 0.5f64.sqrt();
        let expected = [1.0, 1.0, 1.0, root, 0.5, 0.25, 2f64.powi(-10)];
        assert!(
            steps.iter().zip(expected).all(|(step, expected)| (step - expected).abs() < 1e-9),
            "{steps:?}"
        );
    }
}
