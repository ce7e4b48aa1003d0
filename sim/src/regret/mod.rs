//! No regret: in how many of thousands of drawn situations tarazu is worse than the stock allocator that would have
//! been the better choice there.
//!
//! Owns the distribution of situations ([`sample`]), the runs, the verdicts ([`verdict`]) and their sums
//! ([`summary`]). It must not know of any policy's insides: it sees outcomes alone.

mod case;
mod named;
mod sample;
mod summary;
mod verdict;

use rayon::prelude::*;

pub use case::{Built, Case, CaseError};
pub use named::{Kept, Limits, Named, NamedError};
pub use sample::{
    DISTRIBUTION, Distribution, Kind, Machine, Others, SEEDS_EACH, Space, Stripes, Trouble, Weighted, sample,
};
pub use summary::{FELT, Failed, GRAVE, Label, Measured, Situation, Summary, Tally, WORST, summarise};
pub use verdict::{FLOOR_S, MEASURES, Verdict, above_better, is_weighted_better, judge, judge_means};

use crate::experiment::ExperimentError;
use crate::outcome::Outcome;
use crate::replay::{self, ReplayError, Watch};
use crate::scenario::{Policy, Scenario};

/// Cases of one sweep: more narrow no share that a decision hangs on.
pub const CASES_MAX: u64 = 1_000_000;

/// The outcomes of one case.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Its number in the sweep.
    pub number: u64,
    /// The case.
    pub case: Case,
    /// Outcomes by [`RUNS`], then seed; or why there are none.
    pub outcomes: Result<Vec<Vec<Outcome>>, String>,
}

/// Runs all policies of a case with all its seeds.
///
/// # Errors
/// The case cannot be built, or a run ends early.
pub fn run_case(case: &Case) -> Result<Vec<Vec<Outcome>>, RunError> {
    let Built { system, workload, scenario, seeds } = case.build()?;
    let laid_out = scenario.striping.lay_out(&workload, &system);
    let of_run = |run: Run| -> Result<Vec<Outcome>, ReplayError> {
        let scenario = Scenario { beneath: run.beneath, redraw: run.redraw, ..scenario.clone() };
        let one = |seed: &u64| replay::run(&laid_out, &system, &scenario, run.policy, *seed, Watch::NOTHING);
        seeds.iter().map(one).collect()
    };
    let all: Result<Vec<Vec<Outcome>>, ReplayError> = RUNS.into_iter().map(of_run).collect();
    Ok(all?)
}

/// One of the runs that a case is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Who decides.
    pub policy: Policy,
    /// Who places what it leaves alone.
    pub beneath: Policy,
    /// Whether the stock allocator draws anew.
    pub redraw: bool,
}

/// The runs of a case: both stock allocators, both again with other draws, tarazu above each.
pub const RUNS: [Run; 6] = {
    use Policy::{LustreQos, LustreRr, Tarazu};
    [
        Run { policy: LustreRr, beneath: LustreRr, redraw: false },
        Run { policy: LustreQos, beneath: LustreQos, redraw: false },
        Run { policy: LustreRr, beneath: LustreRr, redraw: true },
        Run { policy: LustreQos, beneath: LustreQos, redraw: true },
        Run { policy: Tarazu, beneath: LustreRr, redraw: false },
        Run { policy: Tarazu, beneath: LustreQos, redraw: false },
    ]
};

/// Why a case has no outcomes.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its words mean nothing.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// A run ended early.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

/// Draws and runs the cases `from..from + count` of a sweep, in parallel; `case_ended` is told of each, from any thread.
/// Results are in the order of their numbers, whatever the number of threads.
/// `threads` is 0 for one a core.
///
/// # Errors
/// The threads cannot be started.
pub fn sweep(
    of: &Distribution,
    seed: u64,
    (from, count): (u64, u64),
    threads: usize,
    case_ended: &(dyn Fn() + Sync),
) -> Result<Vec<Trial>, ExperimentError> {
    let one = |number: u64| {
        let judged = match sample(of, seed, number) {
            Ok(case) => {
                let outcomes = run_case(&case).map_err(|error| with_causes(&error));
                Trial { number, case, outcomes }
            }
            Err(error) => Trial { number, case: Case::default(), outcomes: Err(with_causes(&error)) },
        };
        case_ended();
        judged
    };
    let last = from.saturating_add(count.min(CASES_MAX));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|source| ExperimentError::Threads { threads, source })?;
    let numbers: Vec<u64> = (from..last).collect();
    // One at a time: cases differ in length by a hundred times.
    Ok(pool.install(|| numbers.into_par_iter().with_max_len(1).map(one).collect()))
}

/// An error with its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
