//! Logs into a [`Workload`]: which bytes each rank moved, in which order, and how long it thought.
//!
//! The rules, in the order of their use (`docs/darshan.md` gives reasons and examples):
//!
//! 1. **Each byte once.** POSIX is the layer that is replayed. MPI-IO records only say which files
//!    were used collectively. STDIO bytes are added where POSIX has none in that direction for the file.
//! 2. **Traced accesses where they are complete.** Per record and direction, DXT segments are used if
//!    their bytes add up to the counter, else the counter is spread evenly over the record's window.
//! 3. **Shared records without traces** are split evenly over the ranks that opened the file.
//! 4. **One open and one close** per rank, file and record; the file is created where it was written
//!    before it was read.
//! 5. **Think time** is the gap to the end of the rank's previous operation, or to the last barrier.
//! 6. **Barriers** are inferred around collective accesses and between phases that most ranks share.

mod access;
mod build;
mod files;
mod layout;
mod nodes;
mod phases;
mod sync;

use std::collections::BTreeSet;

use tarazu_layout::{JobId, Time};

use self::build::Builder;
use self::files::FileTable;
use crate::{Job, Rank, Workload, limits};
use tarazu_darshan::{Job as Record, Log};

/// Ranks on a node where the log does not say. The public logs of many ranks come from machines whose
/// nodes ran 24 to 36 processes; the number only decides how many ranks share a node's link.
pub const RANKS_PER_NODE: u32 = 32;

/// Ranks of one converted job. The largest runs have about ten million processes; a damaged record
/// may claim any number, and each costs memory even when it does no I/O.
const RANKS_MAX: i64 = 1 << 20;

/// Which files are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mounts {
    /// Files on Lustre where the log names a Lustre mount or has layouts, otherwise all files.
    #[default]
    Auto,
    /// All files, without the standard streams.
    All,
    /// Files on any parallel file system: lustre, gpfs, beegfs and others.
    Parallel,
    /// Files under one of these folders.
    Prefixes(Vec<String>),
}

/// How logs are converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Ranks on a node where the log has no host names, above 0.
    pub ranks_per_node: u32,
    /// Which files are kept.
    pub mounts: Mounts,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self { ranks_per_node: RANKS_PER_NODE, mounts: Mounts::default() }
    }
}

/// A workload, and what had to be assumed, left out or guessed for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Converted {
    /// One job per log.
    pub workload: Workload,
    /// One sentence each, beginning with the log's name.
    pub notes: Vec<String>,
    /// Bytes read and written in files outside the kept mounts, over all logs; standard streams never
    /// count. A workload without bytes beside a number above 0 here means that the wrong mounts were kept.
    pub left_out_bytes: u64,
}

/// Why a log cannot become a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// The number of processes is impossible or too large.
    #[error(
        "{file}: the job record says {nprocs} processes, and 1 to {RANKS_MAX} can be converted; leave this log out"
    )]
    Processes {
        /// The log.
        file: String,
        /// The number found.
        nprocs: i64,
    },
    /// The workload passes one of the limits of [`crate::limits`] with this log.
    #[error(
        "{file}: with this log the workload has more than {limit} {what}; convert fewer logs at once, or keep \
             fewer files"
    )]
    TooLarge {
        /// The log.
        file: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Turns logs into one workload: a job each, files shared by name, starts relative to the earliest.
///
/// The result does not depend on the order of `logs` unless two have the same start and job number. It
/// passes [`Workload::check`].
///
/// # Errors
/// Where a log's job record or counters are impossible.
pub fn to_workload(logs: &[&Log], options: &ConvertOptions) -> Result<Converted, ConvertError> {
    let mut order: Vec<&Log> = logs.to_vec();
    order.sort_by_key(|log| (start_ns(&log.job), log.job.jobid));
    let epoch = order.first().map_or(0, |log| start_ns(&log.job));
    let mut files = FileTable::default();
    let mut converted = Converted::default();
    let mut size = Size::default();
    let mut ids = JobIds::new(logs);
    for log in order {
        let mut notes = log.notes.clone();
        notes.extend(log.faults.iter().map(|fault| format!("damaged: {}", fault.fault)));
        let mut job = one_job(log, options, &mut files, &mut size, &mut notes)?;
        let first_node = size.nodes;
        for rank in &mut job.ranks {
            size.nodes = size.nodes.max(first_node + u64::from(rank.node.0) + 1);
            size.check(log)?;
            // Below the limit of nodes, so it fits.
            rank.node.0 += first_node as u32;
        }
        job.start = Time(u64::try_from(start_ns(&log.job) - epoch).unwrap_or(u64::MAX));
        let recorded = job.id;
        job.id = ids.take(recorded);
        if job.id != recorded {
            notes.push(format!("{recorded} occurs in another log, too, and became {}", job.id));
        }
        converted.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", log.file)));
        converted.workload.jobs.push(job);
    }
    converted.workload.jobs.sort_by_key(|job| (job.start, job.id));
    converted.left_out_bytes = files.left_out_bytes;
    converted.workload.files = files.into_files();
    Ok(converted)
}

/// Gives each job a number of its own: its recorded one, or one above all that the logs name.
struct JobIds {
    recorded: BTreeSet<u64>,
    taken: BTreeSet<u64>,
    /// Where the search for a free number goes on; it never goes back, so all searches together are short.
    next: u64,
}

impl JobIds {
    fn new(logs: &[&Log]) -> Self {
        let recorded: BTreeSet<u64> = logs.iter().map(|log| log.job.jobid.cast_unsigned()).collect();
        let next = recorded.last().map_or(0, |last| last.wrapping_add(1));
        Self { recorded, taken: BTreeSet::new(), next }
    }

    fn take(&mut self, wanted: JobId) -> JobId {
        if self.taken.insert(wanted.0) {
            return wanted;
        }
        while self.recorded.contains(&self.next) {
            self.next = self.next.wrapping_add(1);
        }
        let id = JobId(self.next);
        self.next = self.next.wrapping_add(1);
        id
    }
}

/// What the workload has so far.
#[derive(Default)]
struct Size {
    jobs: u64,
    files: u64,
    ranks: u64,
    nodes: u64,
    ops: u64,
    bytes: u128,
}

impl Size {
    fn check(&self, log: &Log) -> Result<(), ConvertError> {
        let bytes = u64::try_from(self.bytes).unwrap_or(u64::MAX);
        let limits = [
            ("jobs", self.jobs, limits::JOBS_MAX),
            ("files", self.files, limits::FILES_MAX),
            ("ranks", self.ranks, limits::RANKS_MAX),
            ("nodes", self.nodes, u64::from(limits::NODES_MAX)),
            ("operations", self.ops, limits::OPS_MAX),
            ("bytes to move", bytes, limits::MOVED_BYTES_MAX),
        ];
        for (what, found, limit) in limits {
            if found > limit {
                return Err(ConvertError::TooLarge { file: log.file.clone(), what, limit });
            }
        }
        Ok(())
    }
}

/// Converts one log; node numbers begin at 0, the start is not yet set.
fn one_job(
    log: &Log,
    options: &ConvertOptions,
    files: &mut FileTable,
    size: &mut Size,
    notes: &mut Vec<String>,
) -> Result<Job, ConvertError> {
    let record = &log.job;
    if record.nprocs < 1 || record.nprocs > RANKS_MAX {
        return Err(ConvertError::Processes { file: log.file.clone(), nprocs: record.nprocs });
    }
    size.jobs += 1;
    size.ranks += record.nprocs.unsigned_abs();
    size.check(log)?;
    let mut builder = Builder::new(log, &options.mounts, files, notes);
    builder.posix();
    builder.left_traces();
    builder.stdio();
    size.ops += builder.ops;
    size.bytes += builder.bytes;
    size.check(log)?;
    size.ops -= builder.ops;
    let timeline = builder.finish(notes);
    size.files = files.wanted();
    size.check(log)?;
    let nodes = nodes::of_ranks(log, record.nprocs as usize, options.ranks_per_node.max(1), notes);
    let (ops, groups) = sync::into_ops(timeline, notes);
    size.ops += ops.iter().map(|ops| ops.len() as u64).sum::<u64>();
    size.check(log)?;
    let ranks = nodes.into_iter().zip(ops).map(|(node, ops)| Rank { node, ops }).collect();
    Ok(Job {
        id: JobId(record.jobid.cast_unsigned()),
        name: program(&record.exe),
        uid: u32::try_from(record.uid).unwrap_or(0),
        start: Time::ZERO,
        ranks,
        groups,
    })
}

/// The executable's name without folders and arguments.
fn program(command: &str) -> String {
    let path = command.split_whitespace().next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn start_ns(job: &Record) -> i128 {
    i128::from(job.start_sec) * 1_000_000_000 + i128::from(job.start_nsec)
}
