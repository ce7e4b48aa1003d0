//! What a sample says of two snapshots, and what it leaves out.

use proptest::prelude::*;

use super::*;
use crate::agent::reading::{Host, Latency, Reading, State};

const PRIORS: Priors = Priors { read_bps: 1e9, write_bps: 1e9 };

/// A target that served something in its first `at_s` seconds.
fn target(ost_index: u32, at_s: u64) -> Counters {
    Counters {
        ost_index,
        at_ns: at_s * 1_000_000_000,
        start_ns: Some(7),
        snapshot_ns: None,
        read_bytes: at_s << 20,
        written_bytes: at_s << 21,
        ops: Some(3 * at_s),
        latency: Some(Latency { count: 3 * at_s, sum_us: 30_000 * at_s }),
        busy_us: Some(500_000 * at_s),
        in_flight_us: Some(2_000_000 * at_s),
        free_bytes: 1 << 40,
        capacity_bytes: 1 << 41,
        state: State { degraded: true, ..State::default() },
    }
}

fn snapshot(targets: Vec<Counters>) -> Snapshot {
    Snapshot::join(0, [Reading { targets, host: None }])
}

fn one(then: Counters, now: Counters) -> (Option<v1::Sample>, Tally) {
    let mut tally = Tally::default();
    let sample = sample(&snapshot(vec![then]), &snapshot(vec![now]), PRIORS, 1, &mut tally);
    (sample, tally)
}

#[test]
fn a_row_is_what_rose() {
    let (sample, tally) = one(target(3, 10), target(3, 15));
    let sample = sample.unwrap();
    assert!((sample.interval_s - 5.0).abs() < 1e-9);
    let row = &sample.targets[0];
    assert_eq!((row.ost_index, row.read_bytes, row.written_bytes, row.ops), (3, 5 << 20, 10 << 20, Some(15)));
    assert_eq!((row.latency_s, row.busy_s, row.depth), (Some(0.01), Some(2.5), Some(2.0)));
    assert!(row.degraded && !row.read_only);
    assert_eq!(tally, Tally::default());
}

#[test]
fn a_target_is_compared_with_itself_only() {
    let mut tally = Tally::default();
    let before = snapshot(vec![target(1, 10), target(2, 10)]);
    let after = snapshot(vec![target(2, 15), target(9, 15)]);
    let sample = sample(&before, &after, PRIORS, 4, &mut tally).unwrap();
    assert_eq!((sample.sequence, sample.targets.len(), sample.targets[0].ost_index), (4, 1, 2));
    assert_eq!(tally, Tally { first: 1, ..Tally::default() });
}

#[test]
fn counters_that_begin_again_cost_one_row_and_make_no_spike() {
    let mut reset = target(0, 15);
    reset.start_ns = Some(8);
    assert_eq!(one(target(0, 10), reset).1.reset, 1);
    for spoil in [
        (|now: &mut Counters| now.read_bytes = 0) as fn(&mut Counters),
        |now| now.written_bytes = 5,
        |now| now.ops = Some(0),
        |now| now.latency = Some(Latency::default()),
        |now| now.busy_us = Some(0),
        |now| now.in_flight_us = Some(3),
    ] {
        let mut now = target(0, 15);
        spoil(&mut now);
        let (sample, tally) = one(target(0, 10), now.clone());
        assert_eq!((sample.unwrap().targets.len(), tally.reset), (0, 1));
        // The next interval is whole again.
        let mut next = now.clone();
        next.at_ns += 5_000_000_000;
        next.read_bytes += 77;
        assert_eq!(one(now, next).0.unwrap().targets[0].read_bytes, 77);
    }
}

#[test]
fn time_that_goes_back_and_rows_of_another_time_are_left_out() {
    assert_eq!(one(target(0, 10), target(0, 9)).1.time_back, 1);
    let told =
        |at_s: u64, told_s: u64| Counters { snapshot_ns: Some(told_s * 1_000_000_000), ..target(0, at_s) };
    assert_eq!(one(told(10, 1000), told(15, 900)).1.time_back, 1);
    // A wall clock that is set forward is not believed.
    let sample = one(told(10, 1000), told(15, 4600)).0.unwrap();
    assert!((sample.interval_s - 5.0).abs() < 1e-9);
    let mut tally = Tally::default();
    let before = snapshot(vec![target(0, 10), target(1, 10), target(2, 1)]);
    let after = snapshot(vec![target(0, 15), target(1, 15), target(2, 15)]);
    let sample = super::sample(&before, &after, PRIORS, 1, &mut tally).unwrap();
    assert_eq!((sample.targets.len(), tally.uneven), (2, 1));
}

#[test]
fn what_no_hardware_does_is_left_out() {
    let mut now = target(0, 15);
    now.written_bytes = u64::MAX;
    assert_eq!(one(target(0, 10), now).1.impossible, 1);
    let mut now = target(0, 15);
    now.busy_us = Some(10_400_000);
    let (sample, tally) = one(target(0, 10), now.clone());
    assert_eq!((sample.unwrap().targets[0].busy_s, tally.clamped), (Some(5.0), 1));
    now.busy_us = Some(u64::MAX);
    now.in_flight_us = Some(u64::MAX);
    now.latency = Some(Latency { count: 31, sum_us: u64::MAX });
    let (sample, tally) = one(target(0, 10), now);
    let row = &sample.unwrap().targets[0];
    assert_eq!((row.busy_s, row.depth, row.latency_s, tally.clamped), (None, None, None, 3));
}

#[test]
fn nothing_served_has_no_mean_time() {
    let mut now = target(0, 10);
    now.at_ns += 5_000_000_000;
    let (sample, _) = one(target(0, 10), now);
    assert_eq!(
        (sample.as_ref().unwrap().targets[0].latency_s, sample.unwrap().targets[0].ops),
        (None, Some(0))
    );
}

#[test]
fn the_servers_queue_and_processors() {
    let host = |arrivals, sum, busy, all| Host {
        queue: Some(Queue { start_ns: Some(1), arrivals, sum }),
        cpu: Some(Cpu { busy, all }),
    };
    let between = |then: Host, now: Host| {
        let mut before = snapshot(vec![target(0, 10)]);
        let mut after = snapshot(vec![target(0, 15)]);
        (before.host, after.host) = (then, now);
        let sample = sample(&before, &after, PRIORS, 1, &mut Tally::default()).unwrap();
        (sample.queued_requests, sample.cpu_share)
    };
    assert_eq!(between(host(10, 5, 100, 1000), host(20, 80, 350, 2000)), (Some(8), Some(0.25)));
    assert_eq!(between(host(10, 5, 100, 1000), host(10, 5, 100, 1000)), (None, None));
    assert_eq!(between(host(10, 5, 100, 1000), host(9, 5, 99, 1001)), (None, None));
}

/// Counters that may be anything.
fn anything() -> impl Strategy<Value = Counters> {
    let number = prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0_u64..1000];
    let times = (proptest::option::of(0_u64..3), proptest::option::of(number.clone()), number.clone());
    let numbers = proptest::array::uniform8(number);
    (times, numbers, any::<bool>()).prop_map(|((start_ns, snapshot_ns, at_ns), numbers, full)| {
        let [read_bytes, written_bytes, ops, count, sum_us, busy_us, in_flight_us, free_bytes] = numbers;
        Counters {
            ost_index: 0,
            at_ns,
            start_ns,
            snapshot_ns,
            read_bytes,
            written_bytes,
            ops: Some(ops),
            latency: Some(Latency { count, sum_us }),
            busy_us: Some(busy_us),
            in_flight_us: Some(in_flight_us),
            free_bytes,
            capacity_bytes: free_bytes,
            state: State { full, ..State::default() },
        }
    })
}

proptest! {
    #[test]
    fn nothing_impossible_leaves_the_agent(then in anything(), now in anything()) {
        let (sample, _) = one(then, now);
        if let Some(sample) = sample {
            prop_assert!(sample.interval_s.is_finite() && sample.interval_s >= INTERVAL_MIN_S);
            for row in sample.targets {
                // Two counters at their ends have no sum as a number of 64 bits.
                let bytes = row.read_bytes as f64 + row.written_bytes as f64;
                prop_assert!(bytes <= 101.0 * 1e9 * sample.interval_s);
                prop_assert!(row.latency_s.is_none_or(|value| (0.0..=LATENCY_MAX_S).contains(&value)));
                prop_assert!(row.busy_s.is_none_or(|value| (0.0..=sample.interval_s).contains(&value)));
                prop_assert!(row.depth.is_none_or(|value| (0.0..=DEPTH_MAX).contains(&value)));
            }
        }
    }

    #[test]
    fn rises_add_up(steps in proptest::collection::vec((0_u64..1 << 30, 0_u64..1 << 30), 1..20)) {
        let mut then = target(0, 10);
        let first = then.clone();
        let mut sum = (0, 0);
        for (read, written) in steps {
            let mut now = then.clone();
            now.at_ns += 5_000_000_000;
            now.read_bytes += read;
            now.written_bytes += written;
            let row = one(then, now.clone()).0.unwrap().targets.remove(0);
            sum = (sum.0 + row.read_bytes, sum.1 + row.written_bytes);
            then = now;
        }
        prop_assert_eq!(sum, (then.read_bytes - first.read_bytes, then.written_bytes - first.written_bytes));
    }
}
