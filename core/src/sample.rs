//! What agents, nodes and the scheduler report, as values.

use tarazu_layout::{Bytes, JobId, ServerId, TargetId, Time};
use tarazu_table::JobKey;

use crate::policy::Chosen;
use crate::topology::TargetSpec;

/// One agent's report of one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSample {
    /// The server it sits on.
    pub server: ServerId,
    /// When this agent started, in the controller's time: a new start resets the sequence.
    pub agent_start: Time,
    /// Number of the sample since the agent's start.
    pub sequence: u64,
    /// Length of the interval it covers, seconds, at least [`INTERVAL_MIN_S`].
    pub interval_s: f64,
    /// Requests that waited on the server at the end of the interval; `None` where the agent cannot tell.
    pub queued_requests: Option<u32>,
    /// Share of the server's processors that were busy, 0 to 1; `None` where the agent cannot tell.
    pub cpu_share: Option<f64>,
    /// One row a target of that server.
    pub targets: Vec<TargetSample>,
}

/// One target's row of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSample {
    /// The target.
    pub target: TargetId,
    /// Bytes read from it in the interval.
    pub read: Bytes,
    /// Bytes written to it in the interval.
    pub written: Bytes,
    /// Requests served in the interval; `None` where the agent cannot tell.
    pub ops: Option<u64>,
    /// Mean time of the requests that ended in the interval, from their arrival to their answer, seconds;
    /// `None` where the agent cannot tell (`read` and `write` of `obdfilter.*.stats`, sum over samples).
    pub latency_s: Option<f64>,
    /// Seconds of the interval in which at least one request was in flight, 0 to the interval; `None` where
    /// the agent cannot tell (busy time of the target's block device, field 10 of `/proc/diskstats`).
    pub busy_s: Option<f64>,
    /// Mean number of requests in flight over the interval, idle time included; `None` where the agent
    /// cannot tell (field 11 of `/proc/diskstats` over the interval, or `disk I/Os in flight` of `brw_stats`).
    pub depth: Option<f64>,
    /// Free space at the end of the interval.
    pub free: Bytes,
    /// Its state at the end of the interval.
    pub state: TargetFlags,
}

/// Shortest interval that is believed, seconds: below it the moments at which counters are read decide,
/// and bytes a second grow beyond all measure.
pub const INTERVAL_MIN_S: f64 = 0.1;

/// Most that a target is believed to serve in an interval, as a multiple of the prior speed of its class: a
/// server's cache can be some ten times as fast as its disks. A counter that wrapped or went back says more.
pub const SPEEDUP_MAX: f64 = 100.0;

/// Longest time of a request that is believed, seconds: a day. Lustre gives up far earlier.
pub const LATENCY_MAX_S: f64 = 86_400.0;

/// Most requests in flight on one target that are believed: all nodes of the largest machine with 16 each.
pub const DEPTH_MAX: f64 = 1e7;

/// A busy clock may be ahead of the interval by this share: the two are not read at one moment.
pub const BUSY_SLACK: f64 = 0.1;

impl TargetSample {
    /// Seconds that a target of the class needs for what this one served, reading and writing in turn.
    #[must_use]
    pub fn work_s(&self, spec: &TargetSpec) -> f64 {
        self.read.0 as f64 / spec.read_bps + self.written.0 as f64 / spec.write_bps
    }

    /// The first value that cannot be in an interval of so many seconds on such a target, by its name.
    #[must_use]
    pub fn impossible(&self, interval_s: f64, spec: &TargetSpec) -> Option<&'static str> {
        if self.work_s(spec) > SPEEDUP_MAX * interval_s {
            return Some("number of bytes");
        }
        let within = |value: Option<f64>, max: f64| value.is_none_or(|value| (0.0..=max).contains(&value));
        if !within(self.busy_s, interval_s * (1.0 + BUSY_SLACK)) {
            return Some("busy time");
        }
        if !within(self.depth, DEPTH_MAX) {
            return Some("number of requests in flight");
        }
        (!within(self.latency_s, LATENCY_MAX_S)).then_some("latency")
    }
}

/// State flags of a target, as `obdfilter` and `lfs df` give them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetFlags {
    /// Not connected, or set inactive.
    pub inactive: bool,
    /// Marked degraded.
    pub degraded: bool,
    /// Accepts no new objects (`no_create`).
    pub no_create: bool,
    /// Accepts no writes.
    pub read_only: bool,
    /// Below its reserved space.
    pub full: bool,
}

impl TargetFlags {
    /// Whether a new object on it would fail, whatever its free space.
    #[must_use]
    pub fn refuses_objects(self) -> bool {
        self.inactive || self.no_create || self.read_only
    }
}

/// What a client placed, or closed, as it comes back from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The job.
    pub job: JobId,
    /// Its key in the table.
    pub key: JobKey,
    /// The targets, one a stripe.
    pub targets: Vec<TargetId>,
    /// Bytes the file was expected to hold on these targets.
    pub expected: Bytes,
    /// What happened.
    pub outcome: PlacedOutcome,
}

/// What happened to a placed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacedOutcome {
    /// It was made with that layout.
    Created {
        /// Why these targets.
        reason: Chosen,
    },
    /// It was closed; so many bytes had been written to it.
    Closed {
        /// Bytes written by then.
        written: Bytes,
    },
}

/// A job that is about to start, with what its profile says of the files it will make.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStart {
    /// The job.
    pub job: JobId,
    /// Its processes.
    pub world: u32,
    /// One entry a class of files, as the profile knows them.
    pub files: Vec<FileProfile>,
}

/// What is foreseen of one class of a job's files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileProfile {
    /// The key the client will ask with.
    pub key: JobKey,
    /// Files of this class that the job is expected to make at a time.
    pub files_per_burst: u32,
    /// Most of them that one process makes, one after the other.
    pub files_per_process: u32,
    /// Stripes of all of them together.
    pub stripes_per_burst: u64,
    /// Bytes a file is expected to hold.
    pub expected: Bytes,
    /// Of those, bytes on the component that gets its targets from us: a progressive layout's later
    /// components are placed by the file system.
    pub placed: Bytes,
    /// Stripes of a file's first component on targets, at most.
    pub stripe_count: u32,
    /// Bytes of a stripe unit.
    pub stripe_size: u64,
    /// How sure the profile is, percent.
    pub confidence: u8,
}
