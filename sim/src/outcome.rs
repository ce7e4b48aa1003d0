//! What one run resulted in: a fixed set of metrics, each with its unit and direction.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::explain::Explanation;
use crate::scenario::Policy;
use crate::series::Series;

/// A number that a run is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Wall time during which a job had at least one operation in progress, mean over jobs, seconds.
    JobIo,
    /// Wall time during which a file had at least one operation in progress, median over files, seconds.
    FileIoP50,
    /// The same, 99th percentile.
    FileIoP99,
    /// Time of all operations on a file over their time on the empty, healthy system, median over files.
    StretchP50,
    /// The same, 99th percentile.
    StretchP99,
    /// From the first operation's begin to the last one's end, seconds.
    Makespan,
    /// Bytes read from targets over the wall time in which at least one read was in progress, MiB/s.
    ReadBandwidth,
    /// Bytes written to targets over the wall time in which at least one write was in progress, MiB/s.
    WriteBandwidth,
    /// Coefficient of variation over targets of the bytes in flight, mean over busy moments.
    InFlightCov,
    /// Maximum over mean, less one, of the bytes in flight, mean over busy moments.
    InFlightExcess,
    /// Coefficient of variation over targets of the bytes written in the run.
    StoredCov,
    /// Maximum over mean, less one, of the bytes written in the run.
    StoredExcess,
}

impl Metric {
    /// All metrics in the order that results show them.
    pub const ALL: [Self; 12] = [
        Self::JobIo,
        Self::FileIoP50,
        Self::FileIoP99,
        Self::StretchP50,
        Self::StretchP99,
        Self::Makespan,
        Self::ReadBandwidth,
        Self::WriteBandwidth,
        Self::InFlightCov,
        Self::InFlightExcess,
        Self::StoredCov,
        Self::StoredExcess,
    ];

    /// Its stable name, unit last.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::JobIo => "job_io_s",
            Self::FileIoP50 => "file_io_p50_s",
            Self::FileIoP99 => "file_io_p99_s",
            Self::StretchP50 => "stretch_p50",
            Self::StretchP99 => "stretch_p99",
            Self::Makespan => "makespan_s",
            Self::ReadBandwidth => "read_MiBps",
            Self::WriteBandwidth => "write_MiBps",
            Self::InFlightCov => "in_flight_cov",
            Self::InFlightExcess => "in_flight_max_over_mean_minus_1",
            Self::StoredCov => "stored_cov",
            Self::StoredExcess => "stored_max_over_mean_minus_1",
        }
    }

    /// Its name for people, with its unit.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::JobIo => "job I/O time [s]",
            Self::FileIoP50 => "file I/O time p50 [s]",
            Self::FileIoP99 => "file I/O time p99 [s]",
            Self::StretchP50 => "stretch p50",
            Self::StretchP99 => "stretch p99",
            Self::Makespan => "makespan [s]",
            Self::ReadBandwidth => "read [MiB/s]",
            Self::WriteBandwidth => "write [MiB/s]",
            Self::InFlightCov => "in flight, CoV",
            Self::InFlightExcess => "in flight, max/mean - 1",
            Self::StoredCov => "stored, CoV",
            Self::StoredExcess => "stored, max/mean - 1",
        }
    }

    /// Whether more is better.
    #[must_use]
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::ReadBandwidth | Self::WriteBandwidth)
    }
}

/// One run's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The policy.
    pub policy: Policy,
    /// The seed.
    pub seed: u64,
    /// In the order of [`Metric::ALL`]; `None` where the run had nothing to measure.
    pub values: [Option<f64>; Metric::ALL.len()],
    /// Files made in the run.
    pub files_made: u64,
    /// Of those, files whose targets the policy chose before the file system.
    pub files_steered: u64,
    /// Bytes read from targets.
    pub read_bytes: u64,
    /// Bytes written to targets.
    pub written_bytes: u64,
    /// Bytes read or written that lie on no target and so took no time: data on the metadata target,
    /// ranges that nobody had written.
    pub off_target_bytes: u64,
    /// Bytes written to targets that had no room for them: a real application would have failed.
    pub overfilled_bytes: u64,
    /// Bytes written to stripes that the policy chose.
    pub steered_bytes: u64,
    /// Steered files by reason.
    pub steered: BTreeMap<&'static str, u64>,
    /// Files left to the file system, by reason; where the plan refused them, by its verdict.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Plans that the controller made.
    pub plans: u64,
    /// Reports that the controller refused.
    pub reports_refused: u64,
    /// No placement could have had a shorter makespan than this, seconds ([`crate::bound`]); `None` where that was not
    /// asked for.
    pub bound_s: Option<f64>,
    /// What the run looked like over time, where that was asked for.
    pub series: Option<Box<Series>>,
    /// Why every plan was as it was, where that was asked for.
    pub explanation: Option<Arc<Explanation>>,
}

impl Outcome {
    /// A metric's value.
    #[must_use]
    pub fn value(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }
}
