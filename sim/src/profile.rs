//! What the controller is told of each job before it writes: a perfect forecast, or nothing.
//!
//! Sizes and numbers come from the workload itself. That is the upper bound of any forecast, and every
//! result says so.

use std::collections::BTreeMap;

use rand::RngExt;
use tarazu_core::rng::stream;
use tarazu_core::sample::{FileProfile, JobStart};
use tarazu_layout::{Bytes, Time, hash};
use tarazu_table::{FileClass, JobName};
use tarazu_workload::{Action, FileId, Job, RankId, Workload};

use crate::replay::FileState;
use crate::scenario::{Forecast, Scenario};
use crate::system::System;

/// Files made within so many seconds belong to one burst: two reporting intervals.
const BURST_S: f64 = 10.0;

/// Profiles of all jobs, and what every file is expected to hold on the component that is placed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profiles {
    starts: Vec<Option<JobStart>>,
    expected: Vec<Option<Bytes>>,
}

/// Files of one class that a job makes.
#[derive(Default)]
struct Class {
    sizes: Vec<u64>,
    /// Bytes of all files on the component that is placed.
    placed: u64,
    /// When each was made, by the rank that was first to make it.
    made_at: BTreeMap<RankId, Vec<Time>>,
    stripes: u64,
    stripe_count: u32,
    stripe_size: u64,
}

impl Profiles {
    pub(crate) fn of(workload: &Workload, system: &System, scenario: &Scenario) -> Self {
        let mut profiles =
            Self { starts: vec![None; workload.jobs.len()], expected: vec![None; workload.files.len()] };
        if scenario.forecast == Forecast::Nothing {
            return profiles;
        }
        let mut made = vec![false; workload.files.len()];
        for (number, job) in workload.jobs.iter().enumerate() {
            let classes = profiles.classes(workload, system, scenario, job, &mut made);
            let files: Vec<FileProfile> =
                classes.into_iter().map(|(class, files)| profile(job, class, files)).collect();
            profiles.starts[number] =
                (!files.is_empty()).then_some(JobStart { job: job.id, world: job.ranks.len() as u32, files });
        }
        profiles
    }

    /// The files that this job is the first to make, by class.
    fn classes(
        &mut self,
        workload: &Workload,
        system: &System,
        scenario: &Scenario,
        job: &Job,
        made: &mut [bool],
    ) -> BTreeMap<FileClass, Class> {
        let mut written = BTreeMap::<FileId, u64>::new();
        let mut made_at = BTreeMap::<FileId, (Time, RankId)>::new();
        for (number, rank) in job.ranks.iter().enumerate() {
            for op in &rank.ops {
                match op.action {
                    Action::Write { file, bytes, .. } => *written.entry(file).or_default() += bytes,
                    Action::Create { file } if !workload.files[file.0 as usize].exists => {
                        let this = (op.start, RankId(number as u32));
                        let first = made_at.entry(file).or_insert(this);
                        *first = (*first).min(this);
                    }
                    _ => {}
                }
            }
        }
        let mut classes = BTreeMap::<FileClass, Class>::new();
        for (file, (at, rank)) in made_at {
            let place = file.0 as usize;
            if std::mem::replace(&mut made[place], true) {
                continue;
            }
            let kind = FileClass::of_name(workload.files[place].name.as_bytes());
            let size = foreseen(scenario.forecast, job, kind, written.get(&file).copied().unwrap_or(0));
            let class = classes.entry(kind).or_default();
            let state = FileState::new(&workload.files[place], system, scenario.striping);
            if let Some(first) = state.layout.first_on_targets() {
                let component = &state.layout.components[first];
                class.stripe_count = class.stripe_count.max(component.stripe_count);
                class.stripe_size = component.stripe_size;
                let on_it = component.extent.clip(0, size).map_or(0, |(from, to)| to - from);
                class.stripes += on_it
                    .div_ceil(component.stripe_size.max(1))
                    .clamp(1, u64::from(component.stripe_count.max(1)));
                class.placed += on_it;
                self.expected[place] = Some(Bytes(on_it));
            }
            class.sizes.push(size);
            class.made_at.entry(rank).or_default().push(at);
        }
        classes
    }

    /// What the controller hears when a job starts; `None` where nothing is known.
    pub(crate) fn start_of(&self, job: usize) -> Option<JobStart> {
        self.starts.get(job).cloned().flatten()
    }

    /// Bytes that a file is expected to hold on the component that is placed.
    pub(crate) fn expected(&self, file: FileId) -> Option<Bytes> {
        self.expected.get(file.0 as usize).copied().flatten()
    }
}

/// The size that a forecast gives a file of that size: off by one factor for all files of a kind of a job.
fn foreseen(forecast: Forecast, job: &Job, kind: FileClass, size: u64) -> u64 {
    let Forecast::Errs(deviation) = forecast else { return size };
    let mut draws = stream(job_name(job, kind).exact().0, "forecast error", job.id.0);
    // Two uniform draws make a normal one (Box and Muller 1958).
    let (radius, angle): (f64, f64) = (draws.random_range(f64::EPSILON..1.0), draws.random_range(0.0..1.0));
    let normal = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
    (size as f64 * (deviation * normal).exp()) as u64
}

fn profile(job: &Job, class: FileClass, files: Class) -> FileProfile {
    let count = files.sizes.len().max(1) as u64;
    let mean = files.sizes.iter().sum::<u64>() / count;
    let files_per_burst = largest_burst(files.made_at.values().flatten().copied().collect());
    let of_one = files.made_at.into_values().map(largest_burst);
    FileProfile {
        key: job_name(job, class).exact(),
        files_per_burst,
        files_per_process: of_one.max().unwrap_or(0),
        stripes_per_burst: (u64::from(files_per_burst) * files.stripes).div_ceil(count),
        expected: Bytes(mean),
        placed: Bytes(files.placed / count),
        stripe_count: files.stripe_count,
        stripe_size: files.stripe_size,
        confidence: 100,
    }
}

/// Most files that are made within [`BURST_S`].
pub(crate) fn largest_burst(mut made_at: Vec<Time>) -> u32 {
    made_at.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for (last, at) in made_at.iter().enumerate() {
        while at.since(made_at[first]).as_secs_f64() > BURST_S {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most as u32
}

/// How a process of this job names itself to the table.
pub(crate) fn job_name(job: &Job, file: FileClass) -> JobName {
    JobName { uid: job.uid, job: job.id, executable_hash: hash::bytes(job.name.as_bytes()), file }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_burst_is_found() {
        let seconds = |values: &[u64]| values.iter().map(|s| Time(s * 1_000_000_000)).collect();
        assert_eq!(largest_burst(seconds(&[0, 1, 2, 30, 31, 32, 33, 90])), 4);
        assert_eq!(largest_burst(seconds(&[0, 10, 20])), 2);
        assert_eq!(largest_burst(Vec::new()), 0);
    }
}
