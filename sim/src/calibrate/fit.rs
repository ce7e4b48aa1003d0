//! Finding the free numbers: each in turn by golden section on a logarithmic scale.

use rayon::prelude::*;
use tarazu_core::topology::{TargetSpec, Topology};

use super::CalibrateError;
use super::jobs::{BenchJob, Manner};
use crate::outcome::Metric;
use crate::runs::run_recorded;
use crate::scenario::{Policy, Scenario};
use crate::system::System;

/// Rounds over all free numbers; the second only corrects what the first could not know.
const ROUNDS: [f64; 2] = [8.0, 1.5];

/// Golden sections of one search: eleven narrow a factor of 64 to one of 1.02.
const SECTIONS: usize = 11;

/// The seed of every replay: nothing but the file system's own start is drawn.
const SEED: u64 = 1;

/// The free numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Free {
    /// Write bandwidth of a target, bytes/s.
    pub write_bps: f64,
    /// Read bandwidth of a target, bytes/s.
    pub read_bps: f64,
    /// Exponent of what sharing a file costs, writing and reading alike.
    pub shared_exponent: f64,
    /// Time of a request, seconds.
    pub request_s: f64,
}

/// What came of one job.
#[derive(Clone, Debug, PartialEq)]
pub struct Fitted {
    /// The job.
    pub job: BenchJob,
    /// Whether it set the free numbers; else it was predicted.
    pub is_fit: bool,
    /// Simulated run time, seconds.
    pub simulated_s: f64,
    /// Simulated bytes on each target.
    pub target_bytes: Vec<f64>,
}

impl Fitted {
    /// Simulated over recorded run time, less one.
    #[must_use]
    pub fn error(&self) -> f64 {
        self.simulated_s / self.job.run_s() - 1.0
    }
}

/// One of the free numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    Write,
    Read,
    Shared,
    Request,
}

impl Knob {
    const ALL: [Self; 4] = [Self::Write, Self::Read, Self::Shared, Self::Request];

    fn of(self, free: &mut Free) -> &mut f64 {
        match self {
            Self::Write => &mut free.write_bps,
            Self::Read => &mut free.read_bps,
            Self::Shared => &mut free.shared_exponent,
            Self::Request => &mut free.request_s,
        }
    }

    /// Whether a job tells anything about it.
    fn is_told_by(self, job: &BenchJob) -> bool {
        match self {
            // Files of their own wait for nothing but targets.
            Self::Write => !job.reads && job.manner() == Manner::FilePerProcess,
            Self::Read => job.reads && job.manner() == Manner::FilePerProcess,
            Self::Shared => job.manner() == Manner::Shared,
            // Writes are buffered; a read waits for its answer.
            Self::Request => job.reads && job.manner() == Manner::Aggregated,
        }
    }

    /// What it may be at most.
    fn most(self) -> f64 {
        match self {
            Self::Write | Self::Read => 1e12,
            Self::Shared => 1.0,
            Self::Request => 1.0,
        }
    }
}

/// Places of the jobs that set the free numbers where nobody names them: for each number the first that tells of it.
#[must_use]
pub fn first_of_each(jobs: &[BenchJob]) -> Vec<usize> {
    let mut places: Vec<usize> =
        Knob::ALL.iter().filter_map(|knob| jobs.iter().position(|job| knob.is_told_by(job))).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// How many of the free numbers the jobs at the places `by` set. With no more jobs than this their errors are zero by
/// construction, and say nothing of how well anything is predicted.
#[must_use]
pub fn numbers_set(jobs: &[BenchJob], by: &[usize]) -> usize {
    let is_told = |knob: &&Knob| by.iter().any(|place| knob.is_told_by(&jobs[*place]));
    Knob::ALL.iter().filter(is_told).count()
}

/// Sets the free numbers by the jobs at the places `by`, and replays all jobs with them.
///
/// A number that none of those jobs tells anything about stays as the system has it.
///
/// # Errors
/// A job that cannot be replayed.
pub fn fit(
    system: &System,
    jobs: &[BenchJob],
    by: &[usize],
    ranks_per_node: u32,
    mut watch: impl FnMut(&str),
) -> Result<(Free, Vec<Fitted>), CalibrateError> {
    let bench = Bench { system, ranks_per_node };
    let chosen: Vec<&BenchJob> = by.iter().map(|place| &jobs[*place]).collect();
    let mut free = Free {
        write_bps: mean(system, |spec| spec.write_bps),
        read_bps: mean(system, |spec| spec.read_bps),
        shared_exponent: system.disk.shared_write_exponent.max(0.1),
        request_s: system.client.request_s.max(1e-3),
    };
    if !chosen.iter().any(|job| Knob::Shared.is_told_by(job)) {
        free.shared_exponent = system.disk.shared_write_exponent;
    }
    if !chosen.iter().any(|job| Knob::Request.is_told_by(job)) {
        free.request_s = system.client.request_s;
    }
    for (round, factor) in ROUNDS.into_iter().enumerate() {
        for knob in Knob::ALL {
            let telling: Vec<&BenchJob> = chosen.iter().copied().filter(|job| knob.is_told_by(job)).collect();
            if !telling.is_empty() {
                watch(&format!("round {} of {}, {knob:?}", round + 1, ROUNDS.len()));
                search(&bench, &telling, knob, factor, &mut free)?;
            }
        }
    }
    let results = jobs.par_iter().enumerate().map(|(place, job)| {
        let (simulated_s, target_bytes) = bench.replay(job, &free)?;
        Ok(Fitted { job: job.clone(), is_fit: by.contains(&place), simulated_s, target_bytes })
    });
    Ok((free, results.collect::<Result<_, _>>()?))
}

fn mean(system: &System, of: fn(&TargetSpec) -> f64) -> f64 {
    let targets = system.topology.targets();
    targets.iter().map(of).sum::<f64>() / targets.len() as f64
}

/// Golden section between the present value over and times `factor`.
fn search(
    bench: &Bench<'_>,
    jobs: &[&BenchJob],
    knob: Knob,
    factor: f64,
    free: &mut Free,
) -> Result<(), CalibrateError> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let start = *knob.of(free);
    let misfit = |x: f64| {
        let mut tried = *free;
        *knob.of(&mut tried) = x.exp();
        let each = jobs.par_iter().map(|job| {
            let (simulated_s, _) = bench.replay(job, &tried)?;
            Ok((simulated_s / job.run_s()).ln().powi(2))
        });
        Ok(each.collect::<Result<Vec<f64>, CalibrateError>>()?.iter().sum::<f64>())
    };
    let (mut low, mut high) = ((start / factor).ln(), (start * factor).min(knob.most()).ln());
    let (mut left, mut right) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut at_left, mut at_right) = (misfit(left)?, misfit(right)?);
    for _ in 0..SECTIONS {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - GOLDEN * (high - low);
            at_left = misfit(left)?;
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + GOLDEN * (high - low);
            at_right = misfit(right)?;
        }
    }
    *knob.of(free) = f64::midpoint(low, high).exp();
    Ok(())
}

/// What jobs are replayed on.
struct Bench<'a> {
    system: &'a System,
    ranks_per_node: u32,
}

impl Bench<'_> {
    /// Run time in seconds, and bytes on each target.
    fn replay(&self, job: &BenchJob, free: &Free) -> Result<(f64, Vec<f64>), CalibrateError> {
        let failed = |source| CalibrateError::Replay { job: job.label.clone(), source };
        let system = with(self.system, free)?;
        let targets = system.topology.targets().len() as u32;
        let (workload, part) = job.workload(self.ranks_per_node, targets, system.default_stripe_size);
        let scenario = Scenario { start_jitter_s: 0.0, ..Scenario::default() };
        let outcome = run_recorded(&workload, &system, &scenario, Policy::LustreRr, SEED).map_err(failed)?;
        let simulated_s = outcome.value(Metric::Makespan).unwrap_or(0.0) / part;
        let served = outcome.series.as_ref().map(|series| series.by_target()).unwrap_or_default();
        Ok((simulated_s, served.iter().map(|bytes| bytes / part).collect()))
    }
}

/// A system with other free numbers.
fn with(system: &System, free: &Free) -> Result<System, CalibrateError> {
    let (mean_write, mean_read) = (mean(system, |spec| spec.write_bps), mean(system, |spec| spec.read_bps));
    let target = |spec: &TargetSpec| TargetSpec {
        write_bps: spec.write_bps / mean_write * free.write_bps,
        read_bps: spec.read_bps / mean_read * free.read_bps,
        ..spec.clone()
    };
    let targets = system.topology.targets().iter().map(target).collect();
    let mut changed = system.clone();
    // A search or the spread between targets may drive a bandwidth to where no target is.
    changed.topology = Topology::new(targets, system.topology.servers().to_vec())
        .map_err(|source| CalibrateError::Topology { free: *free, source })?;
    changed.disk.shared_write_exponent = free.shared_exponent;
    changed.disk.shared_read_exponent = free.shared_exponent;
    changed.client.request_s = free.request_s;
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_make_no_system_are_an_error() {
        let system = System::preset("edison").expect("a preset");
        let free = Free { write_bps: 2e9, read_bps: 2e9, shared_exponent: 0.3, request_s: 0.01 };
        let changed = with(&system, &free).expect("a possible system");
        assert!(changed.topology.targets().iter().all(|spec| (spec.write_bps / 2e9 - 1.0).abs() < 1e-9));
        let error = with(&system, &Free { write_bps: f64::INFINITY, ..free }).expect_err("no bandwidth");
        assert!(matches!(error, CalibrateError::Topology { .. }), "{error}");
    }
}
