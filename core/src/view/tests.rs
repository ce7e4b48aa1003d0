//! The view against samples, good and bad.

use super::*;
use crate::topology::tests::uniform;

pub(crate) fn sample(view: &View, server: u32, sequence: u64, written: u64) -> LoadSample {
    let row = |target: &TargetId| TargetSample {
        target: *target,
        read: Bytes::ZERO,
        written: Bytes(written),
        ops: Some(1),
        latency_s: None,
        busy_s: None,
        depth: None,
        free: Bytes(1 << 43),
        state: TargetFlags::default(),
    };
    let targets = view.topology.by_server()[server as usize].iter().map(row).collect();
    LoadSample {
        server: ServerId(server),
        agent_start: Time::ZERO,
        sequence,
        interval_s: 5.0,
        queued_requests: None,
        cpu_share: None,
        targets,
    }
}

#[test]
fn samples_are_taken_once_and_in_order() {
    let mut view = View::new(uniform(2, 2));
    let first = sample(&view, 0, 1, 500);
    assert_eq!(view.take_sample(&first, Time(1)), Ok(true));
    let again = view.take_sample(&first, Time(2));
    assert_eq!(again, Err(SampleError::Repeated { server: ServerId(0), sequence: 1 }));
    assert_eq!(view.targets[0].load.map(|load| load.write_bps), Some(100.0));
    // A restarted agent counts from the beginning again.
    let mut restarted = first.clone();
    restarted.agent_start = Time(9);
    assert_eq!(view.take_sample(&restarted, Time(10)), Ok(false), "the same load says nothing new");
    assert_eq!(view.fresh_targets(Time(10), std::time::Duration::from_secs(1)), 2);
}

#[test]
fn a_bad_sample_changes_nothing() {
    let mut view = View::new(uniform(2, 2));
    let mut bad = sample(&view, 0, 1, 500);
    bad.targets[1].target = TargetId(3);
    let before = view.targets.clone();
    assert!(matches!(view.take_sample(&bad, Time(1)), Err(SampleError::ForeignTarget { .. })));
    let mut bad = sample(&view, 0, 1, 500);
    bad.targets[1].target = TargetId(0);
    assert!(matches!(view.take_sample(&bad, Time(1)), Err(SampleError::RepeatedTarget { .. })));
    let mut bad = sample(&view, 0, 1, 500);
    bad.interval_s = f64::NAN;
    assert_eq!(view.take_sample(&bad, Time(1)), Err(SampleError::Interval(ServerId(0))));
    bad.server = ServerId(7);
    assert_eq!(view.take_sample(&bad, Time(1)), Err(SampleError::UnknownServer(ServerId(7))));
    assert_eq!(view.targets, before);
}

#[test]
fn written_bytes_lower_the_ledger_and_the_rest_is_foreign() {
    let mut view = View::new(uniform(1, 1));
    view.ledger.place(JobId(1), TargetId(0), Bytes(300), Time::ZERO);
    let written = sample(&view, 0, 1, 500);
    assert_eq!(view.take_sample(&written, Time(1)), Ok(true));
    assert_eq!(view.ledger.outstanding(TargetId(0)), Bytes::ZERO);
    assert_eq!(view.targets[0].load.map(|load| load.foreign_write_bps), Some(40.0));
}

#[test]
fn what_others_wrote_before_is_not_taken_for_placed_work() {
    let mut view = View::new(uniform(1, 1));
    let first = sample(&view, 0, 1, 500);
    assert_eq!(view.take_sample(&first, Time(1)), Ok(true));
    view.ledger.place(JobId(1), TargetId(0), Bytes(10_000), Time(1));
    let second = sample(&view, 0, 2, 800);
    assert_eq!(view.take_sample(&second, Time(2)), Ok(true));
    assert_eq!(view.ledger.outstanding(TargetId(0)), Bytes(9_700));
    assert_eq!(view.targets[0].load.map(|load| load.foreign_write_bps), Some(100.0));
}

#[test]
fn what_cannot_have_been_measured_is_refused_whole() {
    let mut view = View::new(uniform(2, 2));
    let before = view.targets.clone();
    for wrong in [f64::NAN, -1.0, 1e30, f64::INFINITY] {
        let fields: [fn(&mut TargetSample, f64); 3] = [
            |row, value| row.busy_s = Some(value),
            |row, value| row.depth = Some(value),
            |row, value| row.latency_s = Some(value),
        ];
        for set in fields {
            let mut bad = sample(&view, 0, 1, 500);
            set(&mut bad.targets[1], wrong);
            assert!(
                matches!(view.take_sample(&bad, Time(1)), Err(SampleError::Impossible { .. })),
                "{wrong}"
            );
        }
    }
    assert_eq!(view.targets, before);
    let mut late = sample(&view, 0, 1, 500);
    late.targets[1].busy_s = Some(5.2);
    assert!(view.take_sample(&late, Time(1)).is_ok(), "two clocks are never read at one moment");
}

#[test]
fn bytes_that_no_target_can_have_served_are_refused_and_leave_no_trace() {
    let mut view = View::new(uniform(1, 2));
    // 100 GB/s of a target of 1 GB/s, and a byte more.
    for (interval_s, written) in [(5.0, u64::MAX), (5.0, 500_000_000_001), (0.1, 10_000_000_001)] {
        let mut bad = sample(&view, 0, 1, written);
        bad.interval_s = interval_s;
        let impossible =
            SampleError::Impossible { server: ServerId(0), target: TargetId(0), what: "number of bytes" };
        assert_eq!(view.take_sample(&bad, Time(1)), Err(impossible), "{written} in {interval_s} s");
    }
    for interval_s in [1e-300, 0.0999, 0.0, -5.0, f64::INFINITY] {
        let mut bad = sample(&view, 0, 1, 1);
        bad.interval_s = interval_s;
        assert_eq!(view.take_sample(&bad, Time(1)), Err(SampleError::Interval(ServerId(0))), "{interval_s}");
    }
    assert_eq!(view.recent.bytes(TargetId(0), Time(1)), 0.0);
    assert_eq!(view.proved_share(TargetId(0), Time(1)), 0.0);
    let most = sample(&view, 0, 1, 500_000_000_000);
    assert!(view.take_sample(&most, Time(1)).is_ok());
    assert_eq!(
        view.proved_share(TargetId(0), Time(1)),
        DELIVERED_MAX,
        "a cache proves no more than the disks"
    );
    assert_eq!(view.proved_share(TargetId(0), Time(1) + crate::recent::HALF_LIFE * 2), DELIVERED_MAX / 4.0);
}

#[test]
fn a_target_that_is_new_among_used_ones_is_ramped_in() {
    let mut view = View::new(uniform(3, 2));
    let with_free = |view: &View, server, percent: [u64; 2]| {
        let mut row = sample(view, server, 1, 0);
        for (row, percent) in row.targets.iter_mut().zip(percent) {
            row.free = Bytes(view.topology.targets()[0].capacity.0 / 100 * percent);
        }
        row
    };
    let ramps = |view: &View| [0, 1, 2, 3, 4, 5].map(|target| view.ramp(TargetId(target), Time(1)));
    let mut young = view.clone();
    for server in 0..3 {
        assert!(young.take_sample(&with_free(&young, server, [99, 99]), Time(1)).is_ok());
    }
    assert_eq!(ramps(&young), [1.0; 6], "a new file system has no old targets to spare");
    for (server, percent) in [(0, [60, 97]), (1, [99, 60]), (2, [99, 60])] {
        assert!(view.take_sample(&with_free(&view, server, percent), Time(1)).is_ok());
    }
    let new = 1.0 / 16.0;
    assert_eq!(ramps(&view), [1.0, 1.0, new, 1.0, new, 1.0]);
    assert_eq!(view.ramp(TargetId(2), Time(1) + RAMP_IN_NEW), 1.0);
}

#[test]
fn a_target_that_was_away_is_ramped_in_a_new_one_more_slowly() {
    let mut view = View::new(uniform(1, 2));
    let second = Time::from_secs_f64;
    let mut away = sample(&view, 0, 1, 0);
    away.targets.iter_mut().for_each(|row| row.state.inactive = true);
    assert!(view.take_sample(&away, second(5.0)).is_ok());
    let mut back = sample(&view, 0, 2, 0);
    back.targets[1].free = view.topology.targets()[1].capacity;
    assert!(view.take_sample(&back, second(10.0)).is_ok());
    let ramps = |at: f64| [0, 1].map(|target| view.ramp(TargetId(target), second(at)));
    assert_eq!(ramps(10.0), [1.0 / 16.0; 2]);
    assert_eq!(ramps(70.0), [0.5, 1.0 / 16.0]);
    assert_eq!(ramps(310.0), [1.0, 0.5]);
    assert_eq!(ramps(610.0), [1.0, 1.0]);
}

#[test]
fn a_target_that_fills_up_is_ramped_out_and_plans_hear_of_it() {
    let mut view = View::new(uniform(1, 1));
    let mut with_free = |sequence, percent: u64| {
        let mut row = sample(&view, 0, sequence, 0);
        row.targets[0].free = Bytes(view.topology.targets()[0].capacity.0 / 100 * percent);
        let material = view.take_sample(&row, Time(sequence)).expect("a good sample");
        (material, view.ramp(TargetId(0), Time(sequence)))
    };
    assert_eq!(with_free(1, 50).1, 1.0);
    assert_eq!(with_free(2, 40), (false, 1.0));
    assert_eq!(with_free(3, 3), (true, 0.5));
    assert_eq!(with_free(4, 0), (true, 0.0));
}

#[test]
fn the_persistence_of_load_is_learned_from_samples() {
    let mut view = View::new(uniform(2, 5));
    assert_eq!(view.load_persistence(), crate::persistence::PRIOR);
    for round in 1..=2_000 {
        for server in 0..2 {
            // The targets of one server are always busier than those of the other.
            let busy = sample(&view, server, round, u64::from(server) * 2_000_000_000);
            assert!(view.take_sample(&busy, Time::from_secs_f64(5.0 * round as f64)).is_ok());
        }
    }
    assert!(view.load_persistence() > 0.8, "{}", view.load_persistence());
}

#[test]
fn every_exclusion_has_its_cause() {
    let mut view = View::new(uniform(1, 1));
    let target = TargetId(0);
    assert_eq!(view.standing(target), None);
    view.targets[0].health.write = 0.05;
    assert_eq!(view.standing(target), Some(Exclusion::Sick));
    view.targets[0].flags.degraded = true;
    assert_eq!(view.standing(target), Some(Exclusion::Degraded));
    view.targets[0].free = Bytes(1);
    assert_eq!(view.standing(target), Some(Exclusion::Full));
    let said = crate::control::Drain {
        reason: "test".into(),
        until: None,
        by: "operator".into(),
        since: Time::ZERO,
    };
    view.targets[0].drained = Some(said);
    assert_eq!(view.standing(target), Some(Exclusion::Drained));
    view.targets[0].flags.no_create = true;
    assert_eq!(view.standing(target), Some(Exclusion::Unusable));
}

#[test]
fn a_target_nobody_speaks_of_any_more_is_left_out_and_comes_back_on_a_ramp() {
    let topology = crate::topology::tests::uniform(2, 2);
    let mut view = View::new(topology);
    let max_age = std::time::Duration::from_secs(15);
    let row = |target: u32| TargetSample {
        target: TargetId(target),
        read: Bytes::ZERO,
        written: Bytes::ZERO,
        ops: None,
        latency_s: None,
        busy_s: None,
        depth: None,
        free: Bytes(1 << 43),
        state: TargetFlags::default(),
    };
    let sample = |sequence: u64| LoadSample {
        server: ServerId(0),
        agent_start: Time::ZERO,
        sequence,
        interval_s: 5.0,
        queued_requests: None,
        cpu_share: None,
        targets: vec![row(0), row(1)],
    };
    view.take_sample(&sample(1), Time::ZERO).expect("a good sample");
    assert!(!view.note_silence(Time::from_secs_f64(15.0), max_age));
    assert!(view.note_silence(Time::from_secs_f64(15.1), max_age));
    assert!(!view.note_silence(Time::from_secs_f64(16.0), max_age), "said once");
    assert_eq!(view.standing(TargetId(0)), Some(Exclusion::Silent));
    assert_eq!(view.standing(TargetId(2)), None, "nothing was ever heard of it: the start is not silence");
    let back = Time::from_secs_f64(20.0);
    assert_eq!(view.take_sample(&sample(2), back), Ok(true));
    assert_eq!(view.standing(TargetId(0)), None);
    assert!(view.ramp(TargetId(0), back) < 0.1);
}

#[test]
fn what_nodes_know_of_a_job_adds_up() {
    let mut view = View::new(crate::topology::tests::uniform(2, 2));
    let profile = |key: u64, expected: u64| crate::sample::FileProfile {
        key: JobKey(key),
        files_per_burst: 4,
        files_per_process: 1,
        stripes_per_burst: 4,
        expected: Bytes(expected),
        placed: Bytes(expected),
        stripe_count: 1,
        stripe_size: 1 << 20,
        confidence: 90,
    };
    let start = |files: Vec<crate::sample::FileProfile>| JobStart { job: JobId(7), world: 4, files };
    assert!(view.take_job_start(start(vec![profile(1, 10)])));
    assert!(view.take_job_start(start(vec![profile(2, 20)])));
    assert!(view.take_job_start(start(vec![profile(1, 30)])));
    let known: Vec<_> = view.jobs[&JobId(7)].files.iter().map(|file| (file.key.0, file.expected.0)).collect();
    assert_eq!(known, [(1, 30), (2, 20)]);
    let many = (0..100).map(|key| profile(key, 1)).collect();
    assert!(!view.take_job_start(start(many)), "no program has so many kinds of files");
    assert_eq!(view.jobs[&JobId(7)].files.len(), JOB_FILES_MAX);
}
