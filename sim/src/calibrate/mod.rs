//! How far the simulator may be believed: benchmark jobs of a site are replayed, some set the free numbers of the
//! system, the others are predicted, and the error is written beside every later result.
//!
//! Free numbers are the targets' write and read bandwidth, the exponent of what sharing a file costs, and the time of
//! a request. They are set to the least sum of squared logarithms of simulated over recorded run time, over the
//! jobs that were named for that; one number after the other, again and again.

mod fit;
mod jobs;
mod loads;

pub use fit::{Fitted, Free, first_of_each, fit};
pub use jobs::{BenchJob, Manner, read_jobs};
pub use loads::{Loads, rank_correlation};

use crate::replay::ReplayError;

/// Why nothing could be calibrated.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The text is no CSV.
    #[error("{file} is no sound CSV")]
    Csv {
        /// The file.
        file: String,
        /// Where and why.
        source: csv::Error,
    },
    /// A column is missing.
    #[error(
        "{file} has no column {column}; give a job summary or a load series as docs/calibration.md describes them"
    )]
    Column {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
    },
    /// A cell is no number.
    #[error("{file}, line {line}: {column} is {found:?}, not a number from 0 to 1e18")]
    Cell {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// The column.
        column: &'static str,
        /// What is there.
        found: String,
    },
    /// A job is impossible.
    #[error("{file}, line {line}: the job cannot be replayed: {why}")]
    Job {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// Why.
        why: &'static str,
    },
    /// No job is left.
    #[error("{file} has no job of that file system")]
    NoJobs {
        /// The file.
        file: String,
    },
    /// A job was named that is not there.
    #[error("there is no job {wanted:?}; the jobs are {known}")]
    UnknownJob {
        /// What was asked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// A replay failed.
    #[error("the job {job} cannot be replayed")]
    Replay {
        /// The job.
        job: String,
        /// Why.
        source: ReplayError,
    },
    /// Recorded targets and those of the system differ in number.
    #[error("{file} has {found} targets and the system {wanted}")]
    Targets {
        /// The file.
        file: String,
        /// Columns of the file.
        found: usize,
        /// Targets of the system.
        wanted: usize,
    },
}
