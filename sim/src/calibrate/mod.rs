//! How far the simulator may be believed: benchmark jobs of a site are replayed, some set the free numbers of the
//! system, the others are predicted, and the error is written beside every later result.
//!
//! Free numbers are the targets' write and read bandwidth, the exponent of what sharing a file costs, and the time of
//! a request. They are set to the least sum of squared logarithms of simulated over recorded run time, over the
//! jobs that were named for that; one number after the other, again and again.

mod fit;
mod jobs;
mod loads;

pub use fit::{Fitted, Free, first_of_each, fit, numbers_set};
pub use jobs::{BenchJob, Manner, read_jobs};
pub use loads::{Loads, rank_correlation};

use tarazu_core::topology::TopologyError;

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
    /// A replay failed.
    #[error("the job {job} cannot be replayed")]
    Replay {
        /// The job.
        job: String,
        /// Why.
        source: ReplayError,
    },
    /// More rows than are read.
    #[error("{file} has more than {max} rows; keep only those of {of} and give that")]
    TooLong {
        /// The file.
        file: String,
        /// Rows that are read.
        max: usize,
        /// What is needed of it.
        of: &'static str,
    },
    /// A row of a series is not behind the one before.
    #[error("{file}, line {line}: the time is not above that of the row before; sort the rows by their time")]
    Order {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// Free numbers that no target can have.
    #[error(
        "the search came to {free:?}, which no target can have; begin with other bandwidths in the system's file"
    )]
    Topology {
        /// Where the search was.
        free: Free,
        /// Why not.
        source: TopologyError,
    },
}
