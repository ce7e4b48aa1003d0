//! The detector against fleets whose truth is known.

use proptest::prelude::*;
use tarazu_layout::{Bytes, ServerId};

use super::*;
use crate::rng::{Rng, stream};
use crate::sample::{TargetFlags, TargetSample};
use crate::topology::tests::uniform;
use crate::topology::{ServerSpec, TargetSpec};

const INTERVAL_S: f64 = 5.0;

/// What a target is and does.
#[derive(Clone, Copy, Debug)]
struct Truth {
    /// Share of its class's speed.
    speed: f64,
    /// Share of the time with requests in flight.
    busy: f64,
    /// Requests in flight in that time.
    depth: f64,
}

/// Busy all the time with a few requests.
const AT_WORK: Truth = Truth { speed: 1.0, busy: 1.0, depth: 3.0 };
const IDLE: Truth = Truth { speed: 1.0, busy: 0.0, depth: 0.0 };

struct Fleet {
    topology: Topology,
    detector: Detector,
    truth: Vec<Truth>,
    /// Standard deviation of the logarithm of measured speeds.
    noise: f64,
    /// Canaries get lost.
    lost: bool,
    /// Canaries to this target fail.
    absent: Option<TargetId>,
    rng: Rng,
    now: Time,
    said: Vec<(Time, Verdict)>,
}

impl Fleet {
    fn new(servers: u32, each: u32, truth: Truth) -> Self {
        Self::of(uniform(servers, each), truth, HealthConfig::default())
    }

    fn of(topology: Topology, truth: Truth, config: HealthConfig) -> Self {
        let targets = topology.targets().len();
        let detector = Detector::new(&topology, Duration::from_secs_f64(INTERVAL_S), config);
        let (truth, rng) = (vec![truth; targets], stream(1, "health test", 0));
        let (noise, lost, absent, now, said) = (0.0, false, None, Time::ZERO, Vec::new());
        Self { topology, detector, truth, noise, lost, absent, rng, now, said }
    }

    fn with_canaries(servers: u32, each: u32, truth: Truth) -> Self {
        Self::of(uniform(servers, each), truth, HealthConfig { detect: true, canary: true })
    }

    fn sick(mut self, target: usize, speed: f64) -> Self {
        self.truth[target].speed = speed;
        self
    }

    fn row(&mut self, target: TargetId) -> TargetSample {
        let (truth, spec) = (self.truth[target.index()], &self.topology.targets()[target.index()]);
        let normal: f64 = (0..12).map(|_| self.rng.random_range(-0.5..0.5)).sum();
        let bytes = spec.write_bps * truth.speed * truth.busy * INTERVAL_S * (self.noise * normal).exp();
        TargetSample {
            target,
            read: Bytes::ZERO,
            written: Bytes(bytes as u64),
            ops: Some(bytes as u64 / CANARY_BYTES),
            latency_s: None,
            busy_s: Some(truth.busy * INTERVAL_S),
            depth: Some(truth.depth * truth.busy),
            free: Bytes(1 << 43),
            state: TargetFlags::default(),
        }
    }

    fn sample(&mut self, server: usize) -> LoadSample {
        let below = self.topology.by_server()[server].clone();
        LoadSample {
            server: ServerId(server as u32),
            agent_start: Time::ZERO,
            sequence: self.now.0,
            interval_s: INTERVAL_S,
            queued_requests: None,
            cpu_share: None,
            targets: below.into_iter().map(|target| self.row(target)).collect(),
        }
    }

    /// One interval: every agent reports, canaries come back at once, and the detector judges.
    fn interval(&mut self) {
        self.interval_with(|_| {});
    }

    fn interval_with(&mut self, lie: impl Fn(&mut LoadSample)) {
        self.now += Duration::from_secs_f64(INTERVAL_S);
        for server in 0..self.topology.servers().len() {
            let mut sample = self.sample(server);
            lie(&mut sample);
            self.detector.take_sample(&self.topology, &sample, self.now);
        }
        let mut due = Vec::new();
        self.detector.canaries_due(self.now, &mut self.rng, &mut due);
        assert!(due.len() <= CANARIES_MAX, "{} canaries at once", due.len());
        for target in due.into_iter().filter(|_| !self.lost) {
            let truth = self.truth[target.index()];
            let bps = self.topology.targets()[target.index()].write_bps * truth.speed;
            let seconds = CANARY_BYTES as f64 / bps * (1.0 + truth.depth * truth.busy);
            let seconds = (self.absent != Some(target)).then_some(seconds);
            assert!(self.detector.take_canary(&self.topology, target, seconds, self.now));
        }
        let mut verdicts = Vec::new();
        self.detector.judge(&self.topology, self.now, &mut verdicts);
        self.said.extend(verdicts.into_iter().map(|verdict| (self.now, verdict)));
    }

    fn run(mut self, intervals: u32) -> Self {
        (0..intervals).for_each(|_| self.interval());
        self
    }

    /// Intervals after which a target was first called slower than its class, and how slow.
    fn first(&self, target: u32) -> Option<(u32, f64)> {
        let (at, verdict) = self.said.iter().find(|(_, verdict)| verdict.target == TargetId(target))?;
        Some(((at.as_secs_f64() / INTERVAL_S) as u32, verdict.health.write))
    }

    fn excluded(&self) -> Vec<(f64, u32)> {
        let sick = self.said.iter().filter(|(_, verdict)| verdict.health.write < SICK_BELOW);
        sick.map(|(at, verdict)| (at.as_secs_f64(), verdict.target.0)).collect()
    }
}

#[test]
fn the_slower_a_target_the_sooner_it_is_found_and_nobody_else_is() {
    for noise in [0.0, 0.1] {
        let mut found = Vec::new();
        for speed in [0.05, 0.2, 0.5, 0.6] {
            let mut fleet = Fleet::new(7, 5, AT_WORK).sick(3, speed);
            fleet.noise = noise;
            let fleet = fleet.run(100);
            let (intervals, announced) = fleet.first(3).unwrap_or_else(|| panic!("{speed} is not found"));
            assert!((announced / speed).ln().abs() < 0.5, "{speed} is announced as {announced}");
            assert!(fleet.said.iter().all(|(_, verdict)| verdict.target == TargetId(3)), "{:?}", fleet.said);
            found.push(intervals);
        }
        assert!(
            found.is_sorted() && found[0] <= 3 && found[1] <= 5 && found[2] <= 20,
            "{found:?} with {noise}"
        );
    }
}

#[test]
fn a_target_that_others_load_heavily_is_not_sick() {
    let mut fleet = Fleet::new(7, 5, AT_WORK);
    for target in [0, 9, 17] {
        fleet.truth[target] = Truth { depth: 40.0, ..AT_WORK };
    }
    fleet.truth[20] = Truth { busy: 0.1, depth: 1.0, ..AT_WORK };
    fleet.noise = 0.15;
    assert_eq!(fleet.run(500).said, []);
}

#[test]
fn without_evidence_there_is_no_judgement() {
    assert_eq!(Fleet::new(2, 5, IDLE).sick(3, 0.05).run(500).said, []);
    // An agent that knows bytes and nothing else.
    let mut blind = Fleet::new(2, 5, AT_WORK).sick(3, 0.05);
    for _ in 0..100 {
        blind.interval_with(|sample| {
            sample
                .targets
                .iter_mut()
                .for_each(|row| (row.busy_s, row.depth, row.latency_s) = (None, None, None));
        });
    }
    assert_eq!(blind.said, []);
    let off = HealthConfig { detect: false, canary: false };
    assert_eq!(Fleet::of(uniform(2, 5), AT_WORK, off).sick(3, 0.05).run(100).said, []);
}

#[test]
fn latency_alone_is_enough() {
    let mut fleet = Fleet::new(2, 5, AT_WORK).sick(3, 0.05);
    for _ in 0..10 {
        fleet.interval_with(|sample| {
            for row in &mut sample.targets {
                // What all requests took together is their mean number times the interval.
                row.latency_s = row.depth.zip(row.ops).map(|(depth, ops)| depth * INTERVAL_S / ops as f64);
                (row.busy_s, row.depth) = (None, None);
            }
        });
    }
    assert_eq!(fleet.excluded().iter().map(|(_, target)| *target).collect::<Vec<_>>(), [3]);
}

#[test]
fn one_bad_interval_proves_nothing() {
    let mut fleet = Fleet::new(7, 5, AT_WORK);
    for round in 0..50 {
        fleet.truth[3].speed = if round % 8 == 0 { 0.01 } else { 1.0 };
        fleet.interval();
    }
    assert_eq!(fleet.said, []);
}

#[test]
fn alone_on_an_idle_system_it_is_compared_with_what_is_usual() {
    let mut fleet = Fleet::new(7, 5, IDLE);
    fleet.truth[3] = Truth { speed: 0.05, ..AT_WORK };
    fleet.truth[8] = Truth { speed: 0.8, ..AT_WORK };
    let fleet = fleet.run(20);
    assert_eq!(fleet.excluded().iter().map(|(_, target)| *target).collect::<Vec<_>>(), [3]);
    assert_eq!(fleet.said[0].1.evidence.source, Source::Usual);
    assert_eq!(fleet.first(8), None);
}

#[test]
fn a_target_comes_back_when_it_is_as_fast_as_its_peers_again() {
    let mut fleet = Fleet::new(7, 5, AT_WORK).sick(3, 0.05).run(10);
    assert_eq!(fleet.excluded().len(), 1);
    // At 0.4 it would not be excluded, but is not let back either.
    fleet.truth[3].speed = 0.4;
    let mut fleet = fleet.run(50);
    assert_eq!(fleet.said.len(), 1, "{:?}", fleet.said);
    fleet.truth[3].speed = 1.0;
    let fleet = fleet.run(10);
    let (at, back) = fleet.said[1];
    assert_eq!((back.target, back.health, back.returns), (TargetId(3), Health::WELL, true));
    assert_eq!(at.as_secs_f64(), 66.0 * INTERVAL_S, "after six good intervals");
}

#[test]
fn a_flapping_target_does_not_flap_in_plans() {
    let mut fleet = Fleet::new(7, 5, AT_WORK);
    for round in 0..720 {
        fleet.truth[3].speed = if (round / 4) % 2 == 0 { 0.05 } else { 1.0 };
        fleet.interval();
    }
    assert!((1..=3).contains(&fleet.said.len()), "{} verdicts in an hour", fleet.said.len());
}

#[test]
fn what_slows_down_a_whole_server_excludes_none_of_its_targets() {
    let mut fleet = Fleet::new(7, 5, AT_WORK);
    (5..10).for_each(|target| fleet.truth[target].speed = 0.1);
    let fleet = fleet.run(100);
    assert_eq!(fleet.excluded(), []);
    let slow: Vec<u32> = fleet.said.iter().map(|(_, verdict)| verdict.target.0).collect();
    assert_eq!(slow, [5, 6, 7, 8, 9], "but all of them get less");
}

#[test]
fn where_a_third_of_the_machine_looks_bad_the_measure_is_doubted() {
    let mut fleet = Fleet::new(20, 1, AT_WORK);
    (0..9).for_each(|target| fleet.truth[target].speed = 0.1 + 0.001 * target as f64);
    let fleet = fleet.run(400);
    let mut judged: Vec<u32> = fleet.said.iter().map(|(_, verdict)| verdict.target.0).collect();
    judged.sort_unstable();
    judged.dedup();
    assert_eq!(judged.len(), 6, "{judged:?}");
}

#[test]
fn canaries_find_a_sick_target_that_nobody_uses_and_see_it_recover() {
    let fleet = Fleet::with_canaries(7, 5, IDLE).sick(3, 0.05).run(40);
    assert_eq!(fleet.excluded().iter().map(|(_, target)| *target).collect::<Vec<_>>(), [3]);
    assert!(fleet.excluded()[0].0 <= 120.0, "{:?}", fleet.excluded());
    assert_eq!(fleet.said[0].1.evidence.source, Source::Canary);
    let mut fleet = fleet;
    fleet.truth[3].speed = 1.0;
    let fleet = fleet.run(60);
    assert_eq!(fleet.said.last().map(|(_, verdict)| verdict.health), Some(Health::WELL));
}

#[test]
fn sick_targets_that_answer_often_are_no_measure_for_each_other() {
    let fleet = Fleet::with_canaries(10, 1, IDLE).sick(3, 0.05).sick(7, 0.05).run(720);
    let mut sick: Vec<u32> = fleet.excluded().into_iter().map(|(_, target)| target).collect();
    sick.sort_unstable();
    assert_eq!(sick, [3, 7]);
    assert!(fleet.said.iter().all(|(_, verdict)| !verdict.returns), "{:?}", fleet.said);
}

#[test]
fn a_target_that_takes_no_writes_gets_no_canaries() {
    type Set = fn(&mut TargetSample);
    let causes: [Set; 5] = [
        |row| row.state.inactive = true,
        |row| row.state.read_only = true,
        |row| row.state.no_create = true,
        |row| row.state.full = true,
        |row| row.free = Bytes(1),
    ];
    for cause in causes {
        let mut fleet = Fleet::with_canaries(7, 5, IDLE);
        fleet.absent = Some(TargetId(3));
        let away = |sample: &mut LoadSample| {
            sample.targets.iter_mut().filter(|row| row.target == TargetId(3)).for_each(cause);
        };
        (0..400).for_each(|_| fleet.interval_with(away));
        fleet.absent = None;
        assert_eq!(fleet.run(40).said, []);
    }
}

#[test]
fn canaries_that_failed_before_an_absence_was_known_are_forgotten_with_its_end() {
    let mut fleet = Fleet::with_canaries(7, 5, IDLE);
    fleet.absent = Some(TargetId(3));
    let mut fleet = fleet.run(60);
    assert_eq!(fleet.excluded().len(), 1, "{:?}", fleet.said);
    let away = |sample: &mut LoadSample| {
        sample
            .targets
            .iter_mut()
            .filter(|row| row.target == TargetId(3))
            .for_each(|row| row.state.inactive = true);
    };
    (0..10).for_each(|_| fleet.interval_with(away));
    assert_eq!(fleet.said.len(), 1);
    fleet.absent = None;
    fleet.interval();
    let (at, back) = fleet.said[1];
    assert_eq!((at, back.target, back.health, back.returns), (fleet.now, TargetId(3), Health::WELL, true));
    assert_eq!(fleet.run(100).said.len(), 2);
}

#[test]
fn an_absence_does_not_clear_what_samples_have_shown() {
    let mut fleet = Fleet::new(7, 5, AT_WORK).sick(3, 0.05).run(10);
    fleet.interval_with(|sample| sample.targets.iter_mut().for_each(|row| row.state.inactive = true));
    let fleet = fleet.run(10);
    assert_eq!((fleet.said.len(), fleet.excluded().len()), (1, 1), "{:?}", fleet.said);
}

#[test]
fn a_sick_target_whose_canaries_get_lost_is_not_excluded_for_ever() {
    let mut fleet = Fleet::with_canaries(7, 5, AT_WORK).sick(3, 0.05).run(20);
    assert_eq!(fleet.excluded().len(), 1);
    fleet.truth[3] = Truth { speed: 0.05, ..IDLE };
    let mut fleet = fleet.run(400);
    assert_eq!(fleet.said.len(), 1, "canaries that come back keep it out: {:?}", fleet.said);
    fleet.lost = true;
    let fleet = fleet.run(400);
    assert_eq!(fleet.said.len(), 2, "{:?}", fleet.said);
    assert!(fleet.said[1].1.returns && fleet.said[1].1.health.write >= SICK_BELOW);
}

#[test]
fn a_canary_clears_a_target_whose_clients_are_slow() {
    let mut fleet = Fleet::with_canaries(7, 5, AT_WORK);
    for _ in 0..200 {
        // Its clients send slowly: what it serves says so, its canaries do not.
        fleet.interval_with(|sample| {
            for row in sample.targets.iter_mut().filter(|row| row.target == TargetId(3)) {
                row.written = Bytes(row.written.0 / 20);
            }
        });
    }
    assert_eq!(fleet.excluded(), []);
    assert!(!fleet.detector.take_canary(&fleet.topology, TargetId(3), Some(1.0), fleet.now), "nobody asked");
    assert!(!fleet.detector.take_canary(&fleet.topology, TargetId(99), None, fleet.now));
}

#[test]
fn what_was_excluded_and_is_not_used_gets_a_second_chance() {
    let mut fleet = Fleet::new(7, 5, AT_WORK).sick(3, 0.05).run(10);
    fleet.truth[3] = Truth { speed: 0.05, ..IDLE };
    let mut fleet = fleet.run(400);
    assert_eq!(fleet.said.len(), 2, "{:?}", fleet.said);
    let (at, again) = fleet.said[1];
    assert!(again.returns && again.health.write >= SICK_BELOW);
    assert!(at.as_secs_f64() >= PROBATION_AFTER.as_secs_f64());
    fleet.truth[3] = Truth { speed: 0.05, ..AT_WORK };
    assert_eq!(fleet.run(10).excluded().len(), 2, "and is excluded again when it is still sick");
}

#[test]
fn an_operators_word_stands() {
    let mut fleet = Fleet::new(7, 5, AT_WORK).sick(3, 0.05);
    fleet.detector.pin(TargetId(3));
    let mut fleet = fleet.run(50);
    assert_eq!(fleet.said, []);
    fleet.detector.release(TargetId(3));
    assert_eq!(fleet.run(10).excluded().len(), 1);
}

#[test]
fn classes_are_judged_by_their_own_measure() {
    let spec = |number: u32| TargetSpec {
        ost: tarazu_layout::OstIndex(number),
        server: ServerId(number / 5),
        read_bps: if number < 10 { 1e9 } else { 1e8 },
        write_bps: if number < 10 { 1e9 } else { 1e8 },
        capacity: Bytes(1 << 44),
    };
    let servers = vec![ServerSpec { link_bps: 1e10, enclosure: None }; 4];
    let topology = Topology::new((0..20).map(spec).collect(), servers).expect("a topology");
    let fleet = Fleet::of(topology, AT_WORK, HealthConfig::default()).sick(12, 0.05).run(20);
    assert_eq!(fleet.excluded().iter().map(|(_, target)| *target).collect::<Vec<_>>(), [12]);
}

#[test]
fn targets_with_small_requests_are_compared_among_themselves_only() {
    for few in [3, 7] {
        let mut fleet = Fleet::new(7, 5, AT_WORK);
        for target in 0..few {
            fleet.truth[target * 5].speed = 0.1;
        }
        for _ in 0..100 {
            fleet.interval_with(|sample| {
                let small = sample.targets.iter_mut().filter(|row| row.target.index() % 5 == 0);
                small
                    .filter(|row| row.target.index() / 5 < few)
                    .for_each(|row| row.ops = Some(row.written.0 >> 16));
            });
        }
        assert_eq!(fleet.said, []);
    }
}

#[test]
fn sick_targets_on_which_requests_pile_up_are_no_measure_for_each_other() {
    let mut fleet = Fleet::new(35, 1, AT_WORK);
    (0..7).for_each(|target| fleet.truth[target] = Truth { speed: 0.05, busy: 1.0, depth: 60.0 });
    let fleet = fleet.run(120);
    assert_eq!(fleet.excluded().len(), 7, "{:?}", fleet.excluded());
}

fn truths(targets: usize) -> impl Strategy<Value = Vec<Truth>> {
    let one = (0.02..1.2f64, 0.0..1.0f64, 1.0..30.0f64);
    let truth = |(speed, busy, depth)| Truth { speed, busy, depth };
    proptest::collection::vec(one.prop_map(truth), targets)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn other_numbers_for_the_same_targets_give_the_same_judgements(truth in truths(20), turn in 1..20usize) {
        // One target a server, so that every order is possible.
        let fleet = |truth: &[Truth]| {
            let mut fleet = Fleet::new(20, 1, AT_WORK);
            fleet.truth.copy_from_slice(truth);
            fleet.run(40)
        };
        let mut turned = truth.clone();
        turned.rotate_left(turn);
        let (one, other) = (fleet(&truth), fleet(&turned));
        let mut expected: Vec<(Time, u32, f64)> = one
            .said
            .iter()
            .map(|(at, verdict)| (*at, (verdict.target.0 + 20 - turn as u32) % 20, verdict.health.write))
            .collect();
        let mut found: Vec<(Time, u32, f64)> =
            other.said.iter().map(|(at, verdict)| (*at, verdict.target.0, verdict.health.write)).collect();
        let order = |a: &(Time, u32, f64), b: &(Time, u32, f64)| (a.0, a.1).cmp(&(b.0, b.1));
        expected.sort_by(order);
        found.sort_by(order);
        prop_assert_eq!(expected, found);
    }

    #[test]
    fn judgements_do_not_depend_on_units(truth in truths(20), octaves in -8..9i32) {
        let scaled = |factor: f64| {
            let small = uniform(4, 5);
            let specs = small.targets().iter().map(|spec| TargetSpec {
                read_bps: spec.read_bps * factor,
                write_bps: spec.write_bps * factor,
                ..spec.clone()
            });
            let topology = Topology::new(specs.collect(), small.servers().to_vec()).expect("a topology");
            let mut fleet = Fleet::of(topology, AT_WORK, HealthConfig::default());
            fleet.truth.copy_from_slice(&truth);
            // The size of requests is told apart in bytes; here nobody knows it.
            for _ in 0..40 {
                fleet.interval_with(|sample| sample.targets.iter_mut().for_each(|row| row.ops = None));
            }
            fleet.said.iter().map(|(at, verdict)| (*at, verdict.target, verdict.health)).collect::<Vec<_>>()
        };
        prop_assert_eq!(scaled(1.0), scaled(2f64.powi(octaves)));
    }

    #[test]
    fn whatever_agents_say_one_target_a_minute_is_excluded_at_most(
        rows in proptest::collection::vec(
            (0..20u32, 0..=u64::MAX, proptest::option::of(proptest::num::f64::ANY), proptest::option::of(proptest::num::f64::ANY)),
            0..400
        ),
        canary: bool,
    ) {
        let mut fleet = Fleet::of(uniform(4, 5), AT_WORK, HealthConfig { detect: true, canary });
        for (target, written, busy_s, depth) in rows {
            fleet.interval_with(|sample| {
                for row in sample.targets.iter_mut().filter(|row| row.target.0 / 3 == target / 3) {
                    (row.written, row.busy_s, row.depth) = (Bytes(written), busy_s, depth);
                    row.latency_s = depth;
                }
            });
        }
        let excluded = fleet.excluded();
        prop_assert!(excluded.windows(2).all(|pair| pair[1].0 - pair[0].0 >= EXCLUSION_EVERY.as_secs_f64()));
        for (_, verdict) in &fleet.said {
            prop_assert!(verdict.health.write > 0.0 && verdict.health.write <= 1.0, "{:?}", verdict);
        }
    }

    #[test]
    fn a_lying_agent_harms_nobody_but_its_own_targets(
        written in proptest::sample::select(vec![0u64, 1, 1 << 30, 1 << 40, u64::MAX]),
        busy_s in proptest::option::of(proptest::sample::select(vec![0.0, 0.3, 5.0, 1e30, -1.0, f64::NAN, f64::INFINITY])),
        depth in proptest::option::of(proptest::sample::select(vec![0.0, 3.0, 1e30, -1e30, f64::NAN, f64::INFINITY])),
    ) {
        let mut fleet = Fleet::new(8, 5, AT_WORK).sick(20, 0.05);
        for _ in 0..60 {
            fleet.interval_with(|sample| {
                if sample.server == ServerId(2) {
                    for row in &mut sample.targets {
                        (row.written, row.busy_s, row.depth) = (Bytes(written), busy_s, depth);
                    }
                }
            });
        }
        let others = fleet.said.iter().filter(|(_, verdict)| !(10..15).contains(&verdict.target.0));
        let others: Vec<u32> = others.map(|(_, verdict)| verdict.target.0).collect();
        prop_assert!(others.contains(&20), "the truly sick one is still found");
        prop_assert!(others.iter().all(|target| *target == 20), "{:?}", others);
    }
}
