//! Which targets are slow, found from what their agents see.
//!
//! Owns the judgement: from samples and canaries to a share of the speed of a target's hardware class. It
//! sees what a real agent sees (bytes, time with requests in flight, their number and size) and nothing
//! else. It must not place, exclude or publish anything: [`crate::control`] writes its verdicts into the
//! view, and the planner decides what they mean.
//!
//! The way of the evidence:
//!
//! 1. [`observe`]: a row of a sample becomes a speed: work done per second in which the target had
//!    something to do, as a share of its class's prior. A target that others load heavily serves much in
//!    that time; a sick one serves little and is never idle. A target without work says nothing.
//! 2. [`peers`]: the speed is compared with the median of targets of the same class at the same depth,
//!    request size and kind over the same interval; where there are too few, with the class, then with
//!    what the class usually reaches.
//! 3. [`track`]: the differences add up (a one-sided cumulative sum, Page 1954), so that one odd interval
//!    proves nothing, a target at a twentieth is found within three and one at half within a dozen.
//! 4. [`Detector::judge`]: hysteresis, at most one new exclusion a minute, nothing while too many look bad.
//!
//! The comparison with peers under equal load is that of fail-slow detection in storage fleets (Panda et
//! al., IASO, ATC 2019; Lu et al., Perseus, FAST 2023).

mod canary;
mod observe;
mod peers;
mod ramp;
#[cfg(test)]
mod tests;
mod track;

use std::time::Duration;

use rand::RngExt;
use tarazu_layout::{TargetId, Time};

use crate::rng::Rng;
use crate::sample::LoadSample;
use crate::topology::Topology;
use crate::view::{Health, SICK_BELOW, is_full};
use canary::Canaries;
pub use canary::{CANARIES_MAX, CANARY_BYTES, CANARY_EVERY};
use observe::{Observation, observe};
use peers::Peers;
pub use ramp::{RAMP_IN, RAMP_IN_NEW, RAMP_OUT_FROM, Ramp, ramp_out};
use track::{Standing, Track};

/// Between two new exclusions of the whole file system: judgements that come in a row are more often one
/// cause somewhere else than many sick targets.
pub const EXCLUSION_EVERY: Duration = Duration::from_secs(60);

/// Share of the targets that may be judged sick or slow at a time. Beyond it the measure of speed is more
/// likely broken than a third of the machine.
pub const JUDGED_MAX: f64 = 0.3;

/// How long a passive suspicion waits for a canary's answer before it decides alone.
const CONFIRM_WITHIN: Duration = Duration::from_secs(30);

/// A target that is judged sick and of which nothing was heard for so long gets a little work again:
/// without canaries, or where they are lost, there is no other way to learn that it was repaired.
pub const PROBATION_AFTER: Duration = Duration::from_secs(1800);

/// What may be used to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// Judge targets by samples and canaries.
    pub detect: bool,
    /// Ask for canaries: a write of [`CANARY_BYTES`] per target and [`CANARY_EVERY`].
    pub canary: bool,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self { detect: true, canary: false }
    }
}

/// Where evidence comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Served bytes against peers of the same class, depth, request size and kind.
    Peers,
    /// Served bytes against busy targets of the same class, at any depth.
    Class,
    /// Served bytes against what the class usually reaches: nobody else was busy.
    Usual,
    /// The time of a canary against other targets' canaries.
    Canary,
}

impl Source {
    /// A short stable name for counters and explanations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Peers => "peers",
            Self::Class => "class",
            Self::Usual => "usual",
            Self::Canary => "canary",
        }
    }
}

/// What a judgement rests on: the newest of the observations that led to it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Bytes a second that the target served while it had something to do, in terms of writes.
    pub served_bps: f64,
    /// The same of those it was compared with, scaled to this target's class.
    pub peers_bps: f64,
    /// Mean number of requests in flight while it had something to do.
    pub depth: f64,
    /// Observations that the judgement rests on.
    pub intervals: u32,
    /// What it was compared with.
    pub source: Source,
}

/// Who judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Judge {
    /// An operator, or whoever says so from outside; the detector keeps silent until it is lifted.
    Operator,
    /// The detector.
    Detector(Evidence),
}

/// A judgement in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// When it was made.
    pub at: Time,
    /// By whom, and on what grounds.
    pub by: Judge,
}

/// A judgement that changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The target.
    pub target: TargetId,
    /// Its speed from now on.
    pub health: Health,
    /// What it rests on.
    pub evidence: Evidence,
    /// Whether it was excluded until now and gets work again, little at first.
    pub returns: bool,
}

/// Judges the targets of one file system.
#[derive(Clone, Debug)]
pub struct Detector {
    config: HealthConfig,
    interval: Duration,
    /// Number of each target's hardware class: those of equal speeds are one.
    classes: Vec<u32>,
    tracks: Vec<Track>,
    /// Observations that have not been judged yet.
    fresh: Vec<Option<Observation>>,
    /// What each target's newest row said of requests in flight, for canaries.
    depth: Vec<f64>,
    peers: Peers,
    canaries: Canaries,
    /// Whether each target's newest row said that it takes no writes: a canary would fail and say nothing.
    takes_no_writes: Vec<bool>,
    last_exclusion_at: Option<Time>,
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(topology: &Topology, interval: Duration, config: HealthConfig) -> Self {
        let targets = topology.targets().len();
        let classes = observe::classes(topology);
        let kinds = classes.iter().max().map_or(0, |last| *last as usize + 1);
        Self {
            config,
            interval,
            classes,
            tracks: vec![Track::default(); targets],
            fresh: vec![None; targets],
            depth: vec![0.0; targets],
            peers: Peers::new(kinds),
            canaries: Canaries::new(targets),
            takes_no_writes: vec![false; targets],
            last_exclusion_at: None,
        }
    }

    /// Goes on with another topology that continues the one it has.
    pub fn grow(&mut self, topology: &Topology) {
        let targets = topology.targets().len();
        let classes = observe::classes(topology);
        let kinds = |classes: &[u32]| classes.iter().max().map_or(0, |last| *last as usize + 1);
        // Classes are numbered by speed: a new kind moves the others, and what was learned of them is no longer theirs.
        if kinds(&classes) != kinds(&self.classes) || !classes.starts_with(&self.classes) {
            self.peers = Peers::new(kinds(&classes));
        }
        self.classes = classes;
        self.tracks.resize(targets, Track::default());
        self.fresh.resize(targets, None);
        self.depth.resize(targets, 0.0);
        self.takes_no_writes.resize(targets, false);
        self.canaries.grow(targets);
    }

    /// Judges by other means from now on.
    pub fn configure(&mut self, config: HealthConfig) {
        self.config = config;
    }

    /// Takes in the rows of a sample that the view has accepted.
    pub fn take_sample(&mut self, topology: &Topology, sample: &LoadSample, now: Time) {
        if !self.config.detect {
            return;
        }
        for row in &sample.targets {
            let place = row.target.index();
            let Some(spec) = topology.targets().get(place) else { continue };
            let refuses = row.state.refuses_objects() || is_full(row.state, row.free, spec.capacity);
            if std::mem::replace(&mut self.takes_no_writes[place], refuses) && !refuses {
                self.tracks[place].comes_back();
                self.peers.forget_canary(place, self.classes[place]);
            }
            self.depth[place] = observe::depth_of(row, sample.interval_s).unwrap_or(0.0);
            let seen = observe(row, sample.interval_s, spec, self.classes[place], now);
            if seen.is_some() {
                self.fresh[place] = seen;
            }
        }
    }

    /// Takes in the outcome of a canary: the seconds that it took, `None` where it failed. One that was
    /// not asked for is ignored, and so is the failure of one on a target that takes no writes; returns
    /// whether it was asked for.
    pub fn take_canary(
        &mut self,
        topology: &Topology,
        target: TargetId,
        seconds: Option<f64>,
        now: Time,
    ) -> bool {
        let Some(spec) = topology.targets().get(target.index()) else { return false };
        if seconds.is_none() && self.takes_no_writes[target.index()] {
            return self.canaries.came_to_nothing(target);
        }
        if !self.canaries.answered(target, now) {
            return false;
        }
        let (place, class) = (target.index(), self.classes[target.index()]);
        let seen = observe::canary(seconds, self.depth[place], spec, class, now);
        let (residual, others) = self.peers.against_canaries(place, &seen);
        let track = &mut self.tracks[place];
        track.add_canary(&seen, residual, others, seconds.is_none());
        let is_suspect = track.is_suspect();
        self.canaries.plan_next(target, is_suspect, now);
        true
    }

    /// An operator's word: the detector keeps silent on this target until [`Self::release`].
    pub fn pin(&mut self, target: TargetId) {
        if let Some(track) = self.tracks.get_mut(target.index()) {
            *track = Track::default();
            track.pinned = true;
        }
    }

    /// Gives a target back to the detector, as one that is well.
    pub fn release(&mut self, target: TargetId) {
        if let Some(track) = self.tracks.get_mut(target.index()) {
            *track = Track::default();
        }
    }

    /// Judges what was observed since the last time; to be called once an interval.
    pub fn judge(&mut self, topology: &Topology, now: Time, verdicts: &mut Vec<Verdict>) {
        if !self.config.detect {
            return;
        }
        self.weigh(topology, now);
        self.say_better(topology, now, verdicts);
        self.say_worse(topology, now, verdicts);
    }

    /// Compares every new observation with its peers and adds the differences up.
    fn weigh(&mut self, topology: &Topology, now: Time) {
        self.peers.settle(&self.fresh, now, self.interval * 2);
        let residuals: Vec<Option<(f64, peers::Others)>> =
            self.fresh.iter().map(|seen| self.peers.against(seen.as_ref()?)).collect();
        for below in topology.by_server() {
            let siblings: Vec<(TargetId, f64)> = below
                .iter()
                .filter_map(|target| residuals[target.index()].map(|(residual, _)| (*target, residual)))
                .collect();
            for &(target, residual) in &siblings {
                let place = target.index();
                let (Some(seen), Some((_, others))) = (&self.fresh[place], residuals[place]) else {
                    continue;
                };
                // What slows down all targets of a server is no fault of any of them.
                let of_server = peers::median_of_others(&siblings, target).unwrap_or(0.0).min(0.0);
                self.tracks[place].add(seen, residual, residual - of_server, others);
            }
        }
        // An observation counts once.
        self.fresh.iter_mut().for_each(|seen| *seen = None);
    }

    fn say_better(&mut self, topology: &Topology, now: Time, verdicts: &mut Vec<Verdict>) {
        for target in topology.ids() {
            let track = &mut self.tracks[target.index()];
            let was_sick = track.standing == Standing::Sick;
            // Canaries that come back keep a target from being silent; those of a writer that is gone do not.
            let on_probation = was_sick && track.silent_for(now) >= PROBATION_AFTER;
            let better = if on_probation { track.probation(now) } else { track.recovers() };
            let Some((speed, evidence)) = better else { continue };
            let health = Health { read: speed, write: speed };
            verdicts.push(Verdict { target, health, evidence, returns: was_sick });
        }
    }

    fn say_worse(&mut self, topology: &Topology, now: Time, verdicts: &mut Vec<Verdict>) {
        let judged = self.tracks.iter().filter(|track| track.standing != Standing::Well).count();
        let mut room = ((self.tracks.len() as f64 * JUDGED_MAX) as usize).saturating_sub(judged);
        // The worst first, since only one a minute may go.
        let mut alarmed: Vec<(f64, TargetId)> = topology
            .ids()
            .filter_map(|target| self.tracks[target.index()].alarm().map(|level| (level, target)))
            .collect();
        alarmed.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        for (level, target) in alarmed {
            let track = &mut self.tracks[target.index()];
            let is_new = track.standing == Standing::Well;
            if is_new && room == 0 {
                continue;
            }
            let is_sick = level.exp() < SICK_BELOW;
            let verdict = if is_sick {
                let confirmed =
                    !self.config.canary || self.canaries.confirm(target, track, now, CONFIRM_WITHIN);
                if !confirmed {
                    continue;
                }
                let waits = self.last_exclusion_at.is_some_and(|at| now.since(at) < EXCLUSION_EVERY);
                if waits {
                    // Until its turn comes it gets as little as one that is not excluded can get.
                    track.slow_down()
                } else {
                    self.last_exclusion_at = Some(now);
                    track.exclude()
                }
            } else {
                track.slow_down()
            };
            let Some((speed, evidence)) = verdict else { continue };
            room -= usize::from(is_new);
            let health = Health { read: speed, write: speed };
            verdicts.push(Verdict { target, health, evidence, returns: false });
        }
    }

    /// Targets that a canary is to be written to now, none of them known to take no writes. At most [`CANARIES_MAX`] are under way.
    pub fn canaries_due(&mut self, now: Time, rng: &mut Rng, due: &mut Vec<TargetId>) {
        if self.config.detect && self.config.canary {
            let (tracks, refuses) = (&self.tracks, &self.takes_no_writes);
            let is_silent = |target: TargetId| tracks[target.index()].pinned || refuses[target.index()];
            self.canaries.due(now, is_silent, || rng.random_range(0.0..1.0), due);
        }
    }
}
