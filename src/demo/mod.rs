//! The demonstration: the whole control plane as real processes on this machine, with a job that writes real files.
//!
//! What is real: the processes, their sockets and files, the client library, every decision. What is emulated: how fast
//! targets are ([`emulate`]), and who else uses them. Each run has a control plane of its own that knows nothing
//! beforehand. It must not leave a process or a file behind.

mod clock;
mod emulate;
mod error;
mod folder;
mod job;
mod meeting;
mod pattern;
mod plane;
mod report;
mod run;
mod stock;
mod watch;

use std::time::Duration;

pub(crate) use clock::Stop;
pub(crate) use error::DemoError;
pub(crate) use job::DISK_DIVISOR;
pub(crate) use pattern::LOG_NAME;
pub(crate) use plane::end_with_parent;
pub(crate) use report::{Report, Run};
pub(crate) use run::{Addresses, Live, Show, all};

/// Name of the demonstration's file system.
pub(crate) const FILE_SYSTEM: &str = "demo";
/// Its servers, each with an agent.
pub(crate) const SERVERS: u32 = 7;
/// Targets of a server.
pub(crate) const TARGETS_PER_SERVER: u32 = 5;
/// All targets.
pub(crate) const TARGETS: u32 = SERVERS * TARGETS_PER_SERVER;
/// Nodes with a daemon each.
pub(crate) const NODES: u32 = 4;
/// What an emulated target reads or writes in a second, bytes. Any rate would do: sizes are scaled to it.
pub(crate) const TARGET_BPS: f64 = 200.0 * 1_048_576.0;
/// Share of its rate that a sick target has: what fail-slow disks in the field are found with.
pub(crate) const SICK_SPEED: f64 = 0.05;
/// Endless writes of others on a busy target: a file of the job has a quarter of its rate.
pub(crate) const BUSY_STREAMS: u32 = 3;

/// What is wrong with one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Nothing.
    Well,
    /// Others write to it all the time.
    Busy,
    /// It has a twentieth of its rate.
    Sick,
}

impl Situation {
    /// In the order in which they are run.
    pub(crate) const ALL: [Self; 3] = [Self::Well, Self::Busy, Self::Sick];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Well => "none",
            Self::Busy => "busy",
            Self::Sick => "sick",
        }
    }
}

/// Who chooses targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chooser {
    /// Round robin as on Lustre.
    Stock,
    /// tarazu, with the same round robin beneath for files that it leaves.
    Tarazu,
}

impl Chooser {
    /// Baseline first.
    pub(crate) const ALL: [Self; 2] = [Self::Stock, Self::Tarazu];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "lustre-rr",
            Self::Tarazu => "tarazu",
        }
    }
}

/// How long everything takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Between two samples and two plans.
    pub(crate) interval: Duration,
    /// Pauses of the log are multiplied by this.
    pub(crate) think_factor: f64,
    /// Seconds that one file takes on a target that is well and idle.
    pub(crate) file_s: f64,
    /// Files of each rank; the rest of the log is left out.
    pub(crate) files_max: usize,
    /// Seconds of others' writes to all targets before the job announces itself.
    pub(crate) warm_up_s: f64,
    /// Seconds between the announcement and the first file.
    pub(crate) lead_s: f64,
}

impl Pace {
    /// Six runs take less than two minutes. Between two checkpoints lie three intervals, so that a plan may
    /// follow what was placed; in production it is minutes and intervals of 5 s.
    pub(crate) const WHOLE: Self = Self {
        interval: Duration::from_millis(500),
        think_factor: 0.52,
        file_s: 0.25,
        files_max: 5,
        warm_up_s: 2.5,
        lead_s: 3.0,
    };

    /// Shows that everything works; too short for what the controller has to learn.
    pub(crate) const QUICK: Self = Self {
        interval: Duration::from_millis(500),
        think_factor: 0.05,
        file_s: 0.1,
        files_max: 3,
        warm_up_s: 2.0,
        lead_s: 1.5,
    };
}

/// What is to be shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long everything takes.
    pub(crate) pace: Pace,
    /// Chooses the odd target and the allocator's restarts.
    pub(crate) seed: u64,
    /// Leaves the folder.
    pub(crate) keeps: bool,
    /// Keeps the last control plane until somebody ends it.
    pub(crate) holds: bool,
}

impl Settings {
    /// The target that is busy or sick.
    pub(crate) fn odd_target(&self) -> u32 {
        // 17 and 35 have no common divisor: following seeds are on other servers.
        (self.seed.wrapping_mul(17).wrapping_add(11) % u64::from(TARGETS)) as u32
    }
}
