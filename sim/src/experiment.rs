//! Policies × seeds on one workload, system and scenario: runs in parallel, results in a fixed order.

use std::collections::BTreeMap;

use rayon::prelude::*;
use tarazu_workload::Workload;

use crate::bound;
use crate::counters;
use crate::outcome::{Metric, Outcome};
use crate::replay::{ReplayError, Watch, run};
use crate::scenario::{Policy, Scenario};
use crate::stats::{Change, Interval, interval, paired_change};
use crate::system::System;

/// Seeds of one experiment: more narrow no interval that a decision hangs on.
pub const SEEDS_MAX: u64 = 100_000;

/// One policy's results over all seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyResult {
    /// The policy.
    pub policy: Policy,
    /// One outcome a seed, in order.
    pub outcomes: Vec<Outcome>,
    /// By [`Metric::ALL`]: mean and interval over seeds that have a value.
    pub intervals: Vec<Option<Interval>>,
    /// By [`Metric::ALL`]: paired change against the baseline; `None` for the baseline itself.
    pub changes: Vec<Option<Change>>,
}

/// Results of all policies; the first is the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    /// In the order asked for.
    pub policies: Vec<PolicyResult>,
    /// The seeds.
    pub seeds: Vec<u64>,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// No policy was named.
    #[error("no policy to simulate; name at least one")]
    NoPolicy,
    /// A policy was named twice.
    #[error("policy {0} is named twice")]
    Twice(Policy),
    /// The threads cannot be started.
    #[error("cannot start {threads} threads")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
    /// No seed, or too many.
    #[error("an experiment has 1 to {SEEDS_MAX} seeds, not {found}")]
    Seeds {
        /// Seeds asked for.
        found: u64,
    },
    /// More shares than seeds.
    #[error("share {} of {} has no seed; use more seeds or fewer shares", shard.number, shard.count)]
    EmptyShard {
        /// The share.
        shard: Shard,
    },
    /// A run ended early.
    #[error("policy {policy}, seed {seed}")]
    Run {
        /// The policy.
        policy: Policy,
        /// The seed.
        seed: u64,
        /// The cause.
        source: ReplayError,
    },
}

impl PolicyResult {
    /// Share of the files made whose targets the policy chose; `None` where no file was made.
    #[must_use]
    pub fn files_steered_share(&self) -> Option<f64> {
        self.share(|outcome| (outcome.files_steered, outcome.files_made))
    }

    /// Share of the bytes written to stripes that the policy chose; `None` where nothing was written.
    #[must_use]
    pub fn bytes_steered_share(&self) -> Option<f64> {
        self.share(|outcome| (outcome.steered_bytes, outcome.written_bytes))
    }

    fn share(&self, part_of: impl Fn(&Outcome) -> (u64, u64)) -> Option<f64> {
        // In 128 bits, as outcomes may come from a file and be as large as they like.
        let sum = |(part, whole): (u128, u128), more: (u64, u64)| {
            (part + u128::from(more.0), whole + u128::from(more.1))
        };
        let (part, whole) = self.outcomes.iter().map(part_of).fold((0, 0), sum);
        (whole > 0).then(|| part as f64 / whole as f64)
    }

    /// Makespan over its lower bound, mean over the seeds that have both; `None` where none has.
    #[must_use]
    pub fn makespan_over_bound(&self) -> Option<f64> {
        let over = |outcome: &Outcome| {
            let bound_s = outcome.bound_s.filter(|bound_s| *bound_s > 0.0)?;
            Some(outcome.value(Metric::Makespan)? / bound_s)
        };
        let all: Vec<f64> = self.outcomes.iter().filter_map(over).collect();
        interval(&all).map(|interval| interval.mean)
    }

    /// A count over all seeds; at most `u64::MAX`, as outcomes may come from a file.
    #[must_use]
    pub fn sum(&self, of: impl Fn(&Outcome) -> u64) -> u64 {
        self.outcomes.iter().map(of).fold(0, u64::saturating_add)
    }

    /// Files left to the file system, by reason, over all seeds; where the plan refused them, by its verdict, as in
    /// `not_worthwhile.below_cost`.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        counters::sum(self.outcomes.iter().map(|outcome| &outcome.refusals))
    }

    /// Steered files by reason, over all seeds.
    #[must_use]
    pub fn steered(&self) -> BTreeMap<&'static str, u64> {
        counters::sum(self.outcomes.iter().map(|outcome| &outcome.steered))
    }
}

/// One share of several: seeds whose place among all leaves `number` over when divided by `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "ShardPart")]
pub struct Shard {
    /// From 1 to `count`.
    pub number: u64,
    /// Shares of the whole.
    pub count: u64,
}

/// A share as it stands in a file, not yet known to be possible.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardPart {
    number: u64,
    count: u64,
}

impl TryFrom<ShardPart> for Shard {
    type Error = String;

    fn try_from(ShardPart { number, count }: ShardPart) -> Result<Self, String> {
        Self::new(number, count).ok_or_else(|| {
            format!("there is no share {number} of {count}: use 1 to COUNT of at most {SEEDS_MAX}")
        })
    }
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { number: 1, count: 1 };

    /// Share `number` of `count`; `None` unless `1 <= number <= count <= `[`SEEDS_MAX`].
    #[must_use]
    pub fn new(number: u64, count: u64) -> Option<Self> {
        (1 <= number && number <= count && count <= SEEDS_MAX).then_some(Self { number, count })
    }

    /// The seeds of this share of `1..=seeds`.
    #[must_use]
    pub fn seeds(self, seeds: u64) -> Vec<u64> {
        (self.number..=seeds).step_by(self.count.max(1) as usize).collect()
    }
}

/// `NUMBER/COUNT`, such as `2/16`.
impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text
            .split_once('/')
            .and_then(|(number, count)| Self::new(number.parse().ok()?, count.parse().ok()?));
        parsed.ok_or_else(|| {
            format!("use NUMBER/COUNT with NUMBER from 1 to COUNT, such as 2/16, not {text:?}")
        })
    }
}

/// What to run and how.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The policies; the first is the baseline.
    pub policies: &'a [Policy],
    /// Runs with the seeds `1..=seeds`.
    pub seeds: u64,
    /// Only this share of them.
    pub shard: Shard,
    /// Threads to run on, 0 for one a core. Results do not depend on it.
    pub threads: usize,
    /// Whether the first seed's outcomes have their [`Outcome::series`].
    pub record: bool,
    /// Whether that of [`Policy::Tarazu`] among them has its [`Outcome::explanation`].
    pub explain: bool,
}

/// Runs every policy with every seed; `run_ended` is told of each, from any thread.
///
/// # Errors
/// A senseless request, or the first run (by policy, then seed) that ended early.
pub fn experiment(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    plan: &Plan<'_>,
    run_ended: &(dyn Fn() + Sync),
) -> Result<Results, ExperimentError> {
    let Plan { policies, seeds, shard, threads, record, explain } = *plan;
    if policies.is_empty() {
        return Err(ExperimentError::NoPolicy);
    }
    let twice = policies.iter().enumerate().find(|(place, policy)| policies[..*place].contains(policy));
    if let Some((_, policy)) = twice {
        return Err(ExperimentError::Twice(*policy));
    }
    if !(1..=SEEDS_MAX).contains(&seeds) {
        return Err(ExperimentError::Seeds { found: seeds });
    }
    let seeds = shard.seeds(seeds);
    if seeds.is_empty() {
        return Err(ExperimentError::EmptyShard { shard });
    }
    let pairs: Vec<(Policy, u64)> =
        policies.iter().flat_map(|policy| seeds.iter().map(move |seed| (*policy, *seed))).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| ExperimentError::Threads { threads, source })?;
    let laid_out = scenario.striping.lay_out(workload, system);
    let workload = laid_out.as_ref();
    // One for each seed: start times differ, policies do not.
    let bound = |seed: &u64| bound::makespan_s(workload, system, scenario, *seed);
    let bounds_s: Vec<Option<f64>> = pool.install(|| seeds.par_iter().map(bound).collect());
    // Collected in the order of `pairs`, so threads cannot change the result.
    let one = |(place, (policy, seed)): (usize, &(Policy, u64))| {
        let is_first = *seed == seeds[0];
        let watch = Watch {
            series: record && is_first,
            plans: explain && is_first && *policy == Policy::Tarazu,
            events: false,
        };
        let outcome = run(workload, system, scenario, *policy, *seed, watch);
        run_ended();
        outcome.map(|outcome| Outcome { bound_s: bounds_s[place % seeds.len()], ..outcome })
    };
    let outcomes: Vec<Result<Outcome, ReplayError>> =
        pool.install(|| pairs.par_iter().enumerate().map(one).collect());
    let mut all = Vec::with_capacity(pairs.len());
    for ((policy, seed), outcome) in pairs.into_iter().zip(outcomes) {
        all.push(outcome.map_err(|source| ExperimentError::Run { policy, seed, source })?);
    }
    Ok(summarise(policies, seeds, &all))
}

/// Means, intervals and paired changes of outcomes by policy, then by seed.
pub(crate) fn summarise(policies: &[Policy], seeds: Vec<u64>, all: &[Outcome]) -> Results {
    let of_policy: Vec<&[Outcome]> = all.chunks(seeds.len()).collect();
    let values = |outcomes: &[Outcome], metric: Metric| -> Vec<Option<f64>> {
        outcomes.iter().map(|outcome| outcome.value(metric)).collect()
    };
    let result = |(place, policy): (usize, &Policy)| {
        let outcomes = of_policy[place];
        let mean = |metric: Metric| {
            let present: Vec<f64> = values(outcomes, metric).into_iter().flatten().collect();
            interval(&present)
        };
        let change = |metric: Metric| {
            let baseline = values(of_policy[0], metric);
            if place == 0 { None } else { paired_change(&values(outcomes, metric), &baseline) }
        };
        PolicyResult {
            policy: *policy,
            outcomes: outcomes.to_vec(),
            intervals: Metric::ALL.into_iter().map(mean).collect(),
            changes: Metric::ALL.into_iter().map(change).collect(),
        }
    };
    Results { policies: policies.iter().enumerate().map(result).collect(), seeds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_disjoint_and_whole() {
        for count in 1..=7 {
            let share = |number| Shard::new(number, count).expect("a share").seeds(20);
            let mut all: Vec<u64> = (1..=count).flat_map(share).collect();
            all.sort_unstable();
            assert_eq!(all, (1..=20).collect::<Vec<_>>());
            let twin: Vec<u64> = (1..=20).filter(|seed| (seed - 1) % count == count - 1).collect();
            assert_eq!(share(count), twin);
        }
    }

    #[test]
    fn a_share_in_a_file_has_the_limits_of_a_typed_one() {
        let read = |number: u64, count: u64| -> Result<Shard, String> {
            let text = format!(r#"{{"number": {number}, "count": {count}}}"#);
            serde_json::from_str(&text).map_err(|error| error.to_string())
        };
        assert_eq!(read(2, 3), Ok(Shard { number: 2, count: 3 }));
        assert_eq!(read(2, 3).ok(), "2/3".parse().ok());
        for (number, count) in [(0, 3), (4, 3), (1, 0), (1, u64::MAX), (1, SEEDS_MAX + 1)] {
            assert!(read(number, count).is_err_and(|error| error.contains("no share")), "{number}/{count}");
            assert!(format!("{number}/{count}").parse::<Shard>().is_err());
        }
    }
}
