//! Health inside the controller: samples and canaries in, judgements, effects and a changed view out.

mod common;

use std::time::Duration;

use common::*;
use tarazu_core::control::{Control, ControlConfig, Effect, Event, Refused};
use tarazu_core::health::{CANARIES_MAX, HealthConfig, Judge, Source};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::view::{Exclusion, Health, SICK_BELOW};
use tarazu_layout::{Bytes, FsId, TargetId, Time};
use tarazu_table::FsIdentity;

const SERVERS: u32 = 7;
const EACH: u32 = 5;
const SICK: TargetId = TargetId(3);

struct Site {
    control: Control,
    rng: Rng,
    servers: u32,
    round: u64,
    effects: Vec<Effect>,
}

impl Site {
    fn new(health: HealthConfig) -> Self {
        Self::of(SERVERS, health)
    }

    fn of(servers: u32, health: HealthConfig) -> Self {
        let config = ControlConfig { fs: FsIdentity::new(FsId(0), "test"), interval: INTERVAL };
        let control = Control::new(config, topology(servers, EACH)).with_health(health);
        let mut site = Self { control, rng: stream(1, "control", 0), servers, round: 0, effects: Vec::new() };
        site.step(Event::Started { stored_term: 0, drained: Vec::new(), policy: None });
        site
    }

    fn now(&self) -> Time {
        Time::ZERO + INTERVAL * self.round as u32
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        self.control.step(now, event, &mut self.rng, &mut self.effects);
    }

    /// One interval in which all targets are at work and one has this share of their speed.
    fn interval(&mut self, speed: f64) {
        self.round += 1;
        for server in 0..self.servers {
            let mut sample = sample(&self.control.view().topology, server, self.round, 0);
            for row in &mut sample.targets {
                let share = if row.target == SICK { speed } else { 1.0 };
                row.written = Bytes((5e9 * share) as u64);
                (row.ops, row.busy_s, row.depth) = (Some(row.written.0 >> 22), Some(5.0), Some(4.0));
            }
            self.step(Event::Sample(sample));
        }
        self.step(Event::Tick);
    }

    fn judged(&self) -> Vec<(TargetId, f64)> {
        let verdict = |effect: &Effect| match effect {
            Effect::Judged(verdict) => Some((verdict.target, verdict.health.write)),
            _ => None,
        };
        self.effects.iter().filter_map(verdict).collect()
    }
}

#[test]
fn a_sick_target_is_excluded_with_its_evidence_and_let_back_on_a_ramp() {
    let mut site = Site::new(HealthConfig::default());
    (0..4).for_each(|_| site.interval(0.05));
    let view = site.control.view();
    assert_eq!(view.standing(SICK), Some(Exclusion::Sick));
    assert!(
        view.topology.ids().filter(|target| *target != SICK).all(|target| view.standing(target).is_none())
    );
    let judged = view.targets[SICK.index()].judged.expect("a judgement");
    let Judge::Detector(evidence) = judged.by else { panic!("{judged:?}") };
    assert!((evidence.served_bps / 5e7 - 1.0).abs() < 1e-6, "{evidence:?}");
    assert!((evidence.peers_bps / 1e9 - 1.0).abs() < 1e-6, "{evidence:?}");
    assert_eq!((evidence.depth, evidence.intervals, evidence.source), (4.0, 3, Source::Peers));
    assert_eq!(site.judged().len(), 1);

    (0..6).for_each(|_| site.interval(1.0));
    let (view, now) = (site.control.view(), site.now());
    assert_eq!((view.standing(SICK), view.targets[SICK.index()].judged), (None, None));
    assert_eq!(view.ramp(SICK, now), 1.0 / 16.0);
    assert_eq!(view.ramp(SICK, now + Duration::from_secs(120)), 1.0);
    assert_eq!(view.ramp(TargetId(4), now), 1.0);
}

#[test]
fn a_ramp_asks_for_plans_while_it_rises() {
    let mut site = Site::new(HealthConfig::default());
    (0..4).for_each(|_| site.interval(0.05));
    (0..6).for_each(|_| site.interval(1.0));
    // Its term was never made durable here, so nothing is solved; steps of the ramp alone are looked at.
    let steps: Vec<f64> = (0..30)
        .map(|_| {
            site.interval(1.0);
            site.control.view().ramp(SICK, site.now())
        })
        .collect();
    assert!(steps.is_sorted() && steps[0] < 0.2 && steps[29] == 1.0, "{steps:?}");
}

#[test]
fn the_operators_word_wins_until_it_is_lifted() {
    let mut site = Site::new(HealthConfig::default());
    let half = Health { read: 0.5, write: 0.5 };
    site.step(Event::Judged { target: SICK, health: half });
    (0..50).for_each(|_| site.interval(0.05));
    let seen = site.control.view().targets[SICK.index()].clone();
    assert_eq!(seen.health, half);
    assert!(matches!(seen.judged.map(|judged| judged.by), Some(Judge::Operator)));
    assert_eq!(site.judged(), []);
    site.step(Event::JudgementLifted { target: SICK });
    assert_eq!(site.control.view().targets[SICK.index()].health, Health::WELL);
    (0..4).for_each(|_| site.interval(0.05));
    assert_eq!(site.judged().len(), 1);
    site.step(Event::JudgementLifted { target: TargetId(99) });
    assert!(matches!(site.effects.last(), Some(Effect::Refused(Refused::UnknownTarget(TargetId(99))))));
}

#[test]
fn canaries_leave_and_come_back_and_others_are_refused() {
    let mut site = Site::new(HealthConfig { detect: true, canary: true });
    let mut most = 0;
    for _ in 0..60 {
        site.round += 1;
        site.step(Event::Tick);
        let effects = std::mem::take(&mut site.effects);
        let canary = |effect: &Effect| match effect {
            Effect::Canary { target, bytes } => Some((*target, *bytes)),
            _ => None,
        };
        let asked: Vec<(TargetId, u64)> = effects.iter().filter_map(canary).collect();
        most = most.max(asked.len());
        for (target, bytes) in asked {
            let seconds = bytes as f64 / if target == SICK { 5e7 } else { 1e9 };
            site.step(Event::CanaryDone { target, seconds: Some(seconds) });
        }
    }
    assert!((1..=CANARIES_MAX).contains(&most), "{most}");
    assert_eq!(site.control.view().standing(SICK), Some(Exclusion::Sick));
    site.effects.clear();
    site.step(Event::CanaryDone { target: TargetId(5), seconds: None });
    assert!(
        matches!(site.effects[..], [Effect::Refused(Refused::UnknownCanary(TargetId(5)))]),
        "{:?}",
        site.effects
    );
}

#[test]
fn with_detection_off_nothing_is_judged() {
    let mut site = Site::new(HealthConfig { detect: false, canary: true });
    (0..50).for_each(|_| site.interval(0.05));
    assert_eq!(site.judged(), []);
    assert!(!site.effects.iter().any(|effect| matches!(effect, Effect::Canary { .. })));
}

#[test]
fn equal_events_give_equal_judgements() {
    let run = || {
        let mut site = Site::new(HealthConfig { detect: true, canary: true });
        (0..40).for_each(|round| site.interval(if round < 20 { SICK_BELOW / 3.0 } else { 0.6 }));
        format!("{:?}", site.effects)
    };
    assert_eq!(run(), run());
}

#[test]
#[ignore = "prints a time for docs/health.md; tests judge no times"]
#[allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a measurement that is run by hand")]
fn measure_time_of_an_interval() {
    let mut site = Site::of(2016 / EACH + 1, HealthConfig { detect: true, canary: true });
    let mut tick_us = Vec::new();
    for _ in 0..200 {
        site.interval(0.05);
        site.effects.clear();
        let began = std::time::Instant::now();
        site.round += 1;
        site.step(Event::Tick);
        tick_us.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let began = std::time::Instant::now();
    (0..100).for_each(|_| site.interval(0.05));
    let interval_us = began.elapsed().as_secs_f64() * 1e4;
    tick_us.sort_by(f64::total_cmp);
    println!(
        "{} targets: a whole interval {interval_us:.0} us, a tick without samples {:.0} us (median), {:.0} us (most)",
        site.control.view().targets.len(),
        tick_us[100],
        tick_us[199]
    );
}
