//! The no-regret harness and the lower bound through the crate's public face.

use tarazu_sim::regret::{Built, Case, DISTRIBUTION, sample};
use tarazu_sim::{Metric, Policy, Timing, bound, run};

/// Makespan and bound of one seed of a case by each policy; nothing where the case cannot be run.
fn against_bound(case: &Case, timing: Timing) -> Vec<(Policy, f64, f64)> {
    let Built { system, workload, mut scenario, seeds } = case.build().expect("a case");
    scenario.timing = timing;
    let seed = seeds[0];
    let laid_out = scenario.striping.lay_out(&workload, &system);
    let least_s = bound::makespan_s(&laid_out, &system, &scenario, seed).expect("operations");
    let policies =
        [Policy::LustreRr, Policy::LustreQos, Policy::Random, Policy::Tarazu, Policy::TarazuCentral];
    let took = |policy| {
        let outcome = run(&workload, &system, &scenario, policy, seed).ok()?;
        Some((policy, outcome.value(Metric::Makespan)?, least_s))
    };
    policies.into_iter().filter_map(took).collect()
}

fn holds(case: &Case, timing: Timing) -> Vec<f64> {
    let mut looseness = Vec::new();
    for (policy, took_s, least_s) in against_bound(case, timing) {
        assert!(took_s >= least_s, "{policy} took {took_s} s, the bound is {least_s} s: {}", case.command());
        looseness.push(took_s / least_s);
    }
    looseness
}

#[test]
fn no_policy_beats_the_bound() {
    let mut looseness = Vec::new();
    for number in 0..60 {
        let case = sample(&DISTRIBUTION, 77, number).expect("a case");
        looseness.extend(holds(&case, Timing::Closed));
    }
    // A bound of next to nothing would hold as well.
    looseness.sort_by(f64::total_cmp);
    assert!(
        looseness[looseness.len() / 2] < 2.0,
        "the median run takes {} bounds",
        looseness[looseness.len() / 2]
    );
}

#[test]
fn no_policy_beats_the_bound_with_caches_shared_disks_and_recorded_times() {
    for number in 0..20 {
        let mut case = sample(&DISTRIBUTION, 78, number).expect("a case");
        let changes: &[&str] = match number % 3 {
            0 => &["client.dirty_MiB=32", "client.memory_MiBps=4000"],
            1 => &["client.window_MiB=0"],
            // Spider II says nothing of requests.
            _ if case.system == "spider2" => &["client.window_MiB=4"],
            _ => &["client.request_ms=5", "client.window_MiB=4"],
        };
        case.set.extend(changes.iter().map(ToString::to_string));
        holds(&case, Timing::Closed);
        holds(&case, Timing::Open);
    }
}

#[test]
fn one_file_on_one_target_takes_its_bound() {
    let case = Case {
        generate: vec!["ior:nodes=1,ranks_per_node=1,block=1000MiB,transfer=10MiB,skew=0".into()],
        start_jitter: 0.0,
        ..Case::default()
    };
    for (policy, took_s, least_s) in against_bound(&case, Timing::Closed) {
        // 1000 MiB at 500 MiB/s behind one create of half a millisecond.
        assert!(
            (least_s - 2.0005).abs() < 1e-4 && took_s < least_s * 1.01,
            "{policy}: {took_s} s for {least_s} s"
        );
    }
}
