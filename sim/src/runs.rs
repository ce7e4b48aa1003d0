//! Single runs as others start them: the scenario's striping is laid on the files first.

use tarazu_workload::Workload;

use crate::outcome::Outcome;
use crate::replay::ReplayError;
/// For many runs of one workload: its striping has been laid by [`Striping::lay_out`](crate::Striping::lay_out).
pub use crate::replay::{run as run_laid_out, run_recorded as run_laid_out_recorded};
use crate::scenario::{Policy, Scenario};
use crate::system::System;

/// Replays a workload once.
///
/// # Errors
/// The workload contradicts itself or the system, or the file system has no target for a file.
pub fn run(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
) -> Result<Outcome, ReplayError> {
    run_laid_out(&scenario.striping.lay_out(workload, system), system, scenario, policy, seed)
}

/// As [`run`], with [`Outcome::series`]; all other results are the same.
///
/// # Errors
/// As [`run`].
pub fn run_recorded(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
) -> Result<Outcome, ReplayError> {
    run_laid_out_recorded(&scenario.striping.lay_out(workload, system), system, scenario, policy, seed)
}
