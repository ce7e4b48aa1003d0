//! Single runs as others start them: the scenario's striping is laid on the files first.

use tarazu_workload::Workload;

use crate::judged::Judged;
use crate::outcome::Outcome;
use crate::replay::{self, ReplayError, Watch};
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
    let laid_out = scenario.striping.lay_out(workload, system);
    replay::run(&laid_out, system, scenario, policy, seed, Watch::NOTHING)
}

/// As [`run`], with what the controller's detector said in that time.
///
/// # Errors
/// As [`run`].
pub fn run_judged(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
) -> Result<(Outcome, Judged), ReplayError> {
    let laid_out = scenario.striping.lay_out(workload, system);
    replay::run_judged(&laid_out, system, scenario, policy, seed, Watch::NOTHING)
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
    let laid_out = scenario.striping.lay_out(workload, system);
    replay::run(&laid_out, system, scenario, policy, seed, Watch { series: true, ..Watch::NOTHING })
}
