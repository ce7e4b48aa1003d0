//! A machine day: many jobs, recorded or generated, that arrive over time and get nodes of one machine.
//!
//! This module owns when jobs arrive, which nodes they get and what their files are called. It makes one
//! [`Workload`]; how long its operations take is not known here, so nodes are held for the *planned* run time
//! of a job (see [`Template::run`]). `docs/machine-day.md` describes the file format and its rules.
//!
//! Everything random is drawn from streams keyed by seed, purpose and number of the job: the same day, parts
//! and seed give the same workload.

mod allocate;
mod arrivals;
mod build;
mod day;
mod error;
mod keys;
mod load;
mod presets;

pub use day::{Day, Often, PartSpec, SourceSpec};
pub use error::{ComposeError, DayError};
pub use load::{Loaded, load};
pub use presets::{PRESETS, Preset, preset};

use std::time::Duration;

use tarazu_layout::{JobId, NodeId, Time};

use crate::{File, Job, Workload};

/// When jobs arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Arrivals {
    /// Each job once (or as often as its part's count says), at its recorded start.
    Recorded,
    /// Gaps between recorded starts, drawn anew with replacement.
    RecordedGaps,
    /// A Poisson process.
    Poisson {
        /// Its rate, jobs per hour, from 0. Parts with a count come on top.
        jobs_per_hour: f64,
    },
}

/// The machine and how its day goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// Its compute nodes, from 1.
    pub nodes: u32,
    /// Jobs arrive before this; `None` for all that are recorded.
    pub span: Option<Duration>,
    /// When they do.
    pub arrivals: Arrivals,
    /// What a node is taken to read and write in the planned run of a generated job, bytes/s.
    pub node_bps: f64,
}

/// One kind of job of a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its name in messages.
    pub name: String,
    /// Where its jobs come from.
    pub source: Source,
    /// How often they run.
    pub often: Often,
    /// Stripe counts of the jobs' files, drawn once for each job; empty for the layouts of the source.
    pub stripes: Vec<StripeShare>,
    /// Stripe size of these, in bytes.
    pub stripe_size: u64,
    /// Files whose name begins so, that exist before the job and that it does not write, are the same for all jobs.
    pub shared: Vec<String>,
}

/// A share of jobs and the stripe count of their files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StripeShare {
    /// The share, above 0 up to 1; those of a part add up to 1.
    pub share: f64,
    /// Stripes of each file.
    pub count: u32,
}

/// Where a part's jobs come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Recorded jobs, at least one.
    Jobs(Vec<Template>),
    /// A generator's specification; each job is generated with a seed of its own.
    Generator {
        /// As [`crate::generate::from_spec`] takes it.
        spec: String,
        /// Factor of all sizes.
        scale_bytes: u64,
    },
}

/// One recorded job with its files.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The job; the file ids of its operations are places in `files`.
    pub job: Job,
    /// The files that it uses.
    pub files: Vec<File>,
    /// When it started, by a clock that other jobs may share: starts of equal clocks can be compared.
    pub clock: u32,
    /// How long it holds its nodes: the recorded run time where there is one, at least up to the start of its
    /// last operation.
    pub run: Duration,
}

/// Which nodes a job got, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The job of the day.
    pub job: JobId,
    /// Its part's place in the list of parts.
    pub part: usize,
    /// When it arrived.
    pub arrival: Time,
    /// When it got its nodes and started.
    pub start: Time,
    /// When it gives them back, as planned.
    pub end: Time,
    /// Its nodes, rising.
    pub nodes: Vec<NodeId>,
}

/// A day's workload and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// All jobs. Their ids are 1, 2, 3, … in the order of arrival.
    pub workload: Workload,
    /// One for each job, in the same order.
    pub allocations: Vec<Allocation>,
    /// Nodes of the machine.
    pub nodes: u32,
    /// From the beginning of the day to its end: the time in which jobs arrive, or the last planned end where
    /// that is not given.
    pub span: Duration,
    /// Recorded jobs that start after the day's end.
    pub left_out: u64,
}

impl Composed {
    /// The share of node time that jobs hold within the span, 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        let end = Time::ZERO + self.span;
        let held = self.allocations.iter().map(|job| {
            let seconds = job.end.min(end).as_secs_f64() - job.start.min(end).as_secs_f64();
            seconds * job.nodes.len() as f64
        });
        let all = self.span.as_secs_f64() * f64::from(self.nodes);
        if all > 0.0 { held.sum::<f64>() / all } else { 0.0 }
    }

    /// How long each job waited for nodes, in the order of the jobs.
    pub fn waits(&self) -> impl Iterator<Item = Duration> + '_ {
        self.allocations.iter().map(|job| Duration::from_nanos(job.start.0.saturating_sub(job.arrival.0)))
    }
}

/// Composes a day from its parts.
///
/// Jobs get nodes in the order of their arrival, none overtakes another. A job whose nodes are not free waits,
/// and its start moves. It gets the lowest free run of nodes that is long enough, or the lowest free nodes
/// where no run is.
///
/// # Errors
/// A job wider than the machine, arrivals that the parts do not allow, a generator that refuses its
/// parameters, and more of anything than [`crate::limits`] allow.
pub fn compose(machine: &Machine, parts: &[Part], seed: u64) -> Result<Composed, ComposeError> {
    build::compose(machine, parts, seed)
}
