//! The null case: where nothing differs but chance, the paired statistics find nothing more often than they say.

mod common;

use common::*;
use tarazu_sim::stats::paired_change;
use tarazu_sim::{Metric, Policy, run};
use tarazu_workload::Workload;

/// Seeds of one comparison.
const SEEDS: u64 = 8;

/// Comparisons of a policy with itself under other seeds.
const COMPARISONS: u64 = 100;

#[test]
fn a_policy_under_other_seeds_is_rarely_called_different() {
    let ranks = (0..12).map(|file| vec![create(file), write(file, 0, 64 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(12) };
    let system = system(&["servers.count=4"]);
    let values = |first: u64| -> Vec<Vec<Option<f64>>> {
        let outcomes: Vec<_> = (first..first + SEEDS)
            .map(|seed| run(&workload, &system, &scenario(), Policy::Random, seed).expect("a run"))
            .collect();
        let of = |metric: Metric| outcomes.iter().map(|outcome| outcome.value(metric)).collect();
        [Metric::JobIo, Metric::FileIoP99, Metric::StoredCov].map(of).to_vec()
    };
    let mut clear = [0u32; 3];
    for number in 0..COMPARISONS {
        let (one, other) = (values(2 * number * SEEDS + 1), values((2 * number + 1) * SEEDS + 1));
        for (place, count) in clear.iter_mut().enumerate() {
            let change = paired_change(&one[place], &other[place]).expect("a change");
            *count += u32::from(change.is_clear);
        }
    }
    // One in twenty by design; more than 13 of 100 would happen once in 1,500 times. Ratios of few values are skewed.
    assert!(clear.iter().all(|count| *count <= 13), "{clear:?} of {COMPARISONS}");
    assert!(clear.iter().any(|count| *count > 0), "nothing is ever clear, so the test shows nothing");
}

#[test]
fn a_policy_against_itself_finds_exactly_nothing() {
    let ranks = (0..12).map(|file| vec![create(file), write(file, 0, 64 * MIB)]).collect();
    let workload = Workload { jobs: vec![job(ranks)], files: files(12) };
    let system = system(&["servers.count=4"]);
    for policy in Policy::ALL {
        let values = || -> Vec<_> {
            (1..=5)
                .map(|seed| run(&workload, &system, &scenario(), policy, seed).expect("a run").values)
                .collect()
        };
        let (one, other) = (values(), values());
        for metric in Metric::ALL {
            let of = |values: &[[Option<f64>; Metric::ALL.len()]]| -> Vec<Option<f64>> {
                values.iter().map(|values| values[metric as usize]).collect()
            };
            if let Some(change) = paired_change(&of(&one), &of(&other)) {
                assert!(!change.is_clear && change.percent.mean == 0.0, "{policy} {metric:?}");
            }
        }
    }
}
