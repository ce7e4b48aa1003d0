//! The one form of a workload: jobs, ranks, files and per-rank sequences of operations.

use std::time::Duration;

use tarazu_layout::{JobId, Layout, NodeId, OstIndex, Time};

/// A file's place in [`Workload::files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A rank's place in its job, `0..world`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RankId(pub u32);

/// A synchronisation group's place in its [`Job::groups`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u32);

/// Jobs, files and operations. Ids are dense: `files[i]` is `FileId(i)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Workload {
    /// In order of their start, then of their id.
    pub jobs: Vec<Job>,
    /// Every file that some operation names, shared by all jobs.
    pub files: Vec<File>,
}

/// One parallel program run.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// As the scheduler numbered it; unique in a workload.
    pub id: JobId,
    /// The executable's name without arguments or path, empty where unknown.
    pub name: String,
    /// The owner's numeric user id.
    pub uid: u32,
    /// When the application begins, in the workload's time.
    pub start: Time,
    /// Its ranks, `0..world` in order.
    pub ranks: Vec<Rank>,
    /// Sets of ranks that wait for each other, each sorted and without repeats.
    pub groups: Vec<Vec<RankId>>,
}

/// One process of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Rank {
    /// The node it runs on.
    pub node: NodeId,
    /// What it does, in order.
    pub ops: Vec<Op>,
}

/// One operation of a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    /// When it began in the recorded or planned run, since the job's start. Used in open-loop replay.
    pub start: Time,
    /// Time the rank spent elsewhere between the end of its previous operation (or the job's start)
    /// and the beginning of this one. Used in closed-loop replay.
    pub think: Duration,
    /// What it does.
    pub action: Action,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Opens a file and creates it where it does not exist. Of several ranks that create one file the
    /// first makes it, the others open it.
    Create {
        /// The file.
        file: FileId,
    },
    /// Opens a file that exists.
    Open {
        /// The file.
        file: FileId,
    },
    /// Reads `[offset, offset + bytes)`.
    Read {
        /// The file.
        file: FileId,
        /// First byte.
        offset: u64,
        /// Length in bytes, above 0.
        bytes: u64,
    },
    /// Writes `[offset, offset + bytes)`.
    Write {
        /// The file.
        file: FileId,
        /// First byte.
        offset: u64,
        /// Length in bytes, above 0.
        bytes: u64,
    },
    /// Waits until what this rank wrote to the file is on disk.
    Fsync {
        /// The file.
        file: FileId,
    },
    /// Closes the file.
    Close {
        /// The file.
        file: FileId,
    },
    /// Waits until every member of the group is at its corresponding `Sync`: the n-th `Sync` of a group
    /// by one rank meets the n-th of the others.
    Sync {
        /// The group, of the rank's own job.
        group: GroupId,
    },
}

impl Action {
    /// The file it is about, `None` for a `Sync`.
    #[must_use]
    pub const fn file(self) -> Option<FileId> {
        match self {
            Self::Create { file }
            | Self::Open { file }
            | Self::Read { file, .. }
            | Self::Write { file, .. }
            | Self::Fsync { file }
            | Self::Close { file } => Some(file),
            Self::Sync { .. } => None,
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Its path as recorded or generated; unique in a workload.
    pub name: String,
    /// Whether it exists, with all bytes that will be read, before the first job starts.
    pub exists: bool,
    /// The layout that it had when it was recorded, kept beside the one a policy chooses.
    pub logged: Option<Layout<OstIndex>>,
}

/// Sums over a workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Ranks of all jobs.
    pub ranks: u64,
    /// Operations of all ranks.
    pub ops: u64,
    /// Bytes of all reads.
    pub read_bytes: u64,
    /// Bytes of all writes.
    pub written_bytes: u64,
}

impl Workload {
    /// Sums over all operations.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for rank in self.jobs.iter().flat_map(|job| &job.ranks) {
            totals.ranks += 1;
            totals.ops += rank.ops.len() as u64;
            for op in &rank.ops {
                match op.action {
                    // A hostile trace may claim more bytes than 64 bits count.
                    Action::Read { bytes, .. } => {
                        totals.read_bytes = totals.read_bytes.saturating_add(bytes);
                    }
                    Action::Write { bytes, .. } => {
                        totals.written_bytes = totals.written_bytes.saturating_add(bytes);
                    }
                    _ => {}
                }
            }
        }
        totals
    }

    /// One more than the highest node number, 0 without ranks.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        let ranks = self.jobs.iter().flat_map(|job| &job.ranks);
        ranks.map(|rank| rank.node.0.saturating_add(1)).max().unwrap_or(0)
    }

    /// Checks what every user of a workload relies on: ids in range, ranges that do not overflow, and
    /// every synchronisation met equally often by all members of its group.
    ///
    /// # Errors
    /// The first problem, with job, rank and operation number.
    pub fn check(&self) -> Result<(), WorkloadError> {
        for job in &self.jobs {
            for (number, group) in job.groups.iter().enumerate() {
                let in_order = group.windows(2).all(|pair| pair[0] < pair[1]);
                let in_range = group.iter().all(|rank| (rank.0 as usize) < job.ranks.len());
                if group.is_empty() || !in_order || !in_range {
                    return Err(WorkloadError::Group { job: job.id, group: number as u32 });
                }
            }
            for (number, rank) in job.ranks.iter().enumerate() {
                for (op_number, op) in rank.ops.iter().enumerate() {
                    self.check_op(job, RankId(number as u32), op).map_err(|what| WorkloadError::Op {
                        job: job.id,
                        rank: number as u32,
                        op: op_number as u64,
                        what,
                    })?;
                }
            }
            check_meetings(job)?;
        }
        Ok(())
    }

    fn check_op(&self, job: &Job, rank: RankId, op: &Op) -> Result<(), Problem> {
        if let Some(file) = op.action.file()
            && file.0 as usize >= self.files.len()
        {
            return Err(Problem::UnknownFile);
        }
        match op.action {
            Action::Read { offset, bytes, .. } | Action::Write { offset, bytes, .. } => {
                if bytes == 0 {
                    return Err(Problem::NoBytes);
                }
                offset.checked_add(bytes).map(|_| ()).ok_or(Problem::PastTheEnd)
            }
            Action::Sync { group } => {
                let members = job.groups.get(group.0 as usize).ok_or(Problem::UnknownGroup)?;
                members.binary_search(&rank).map(|_| ()).map_err(|_| Problem::NotAMember)
            }
            _ => Ok(()),
        }
    }
}

/// A group whose members synchronise unequally often would wait for ever. Members and ranks of the
/// operations have been checked.
fn check_meetings(job: &Job) -> Result<(), WorkloadError> {
    // One counter for each member, not for each pair of group and rank.
    let mut meetings: Vec<Vec<u64>> = job.groups.iter().map(|group| vec![0; group.len()]).collect();
    for (rank, number) in job.ranks.iter().zip(0u32..) {
        for op in &rank.ops {
            let Action::Sync { group } = op.action else { continue };
            let members = job.groups.get(group.0 as usize);
            let place = members.and_then(|members| members.binary_search(&RankId(number)).ok());
            let counts = meetings.get_mut(group.0 as usize);
            if let Some(count) = place.zip(counts).and_then(|(place, counts)| counts.get_mut(place)) {
                *count += 1;
            }
        }
    }
    let unequal = |counts: &Vec<u64>| counts.windows(2).any(|pair| pair[0] != pair[1]);
    match meetings.iter().zip(0u32..).find(|(counts, _)| unequal(counts)) {
        Some((_, group)) => Err(WorkloadError::Meetings { job: job.id, group }),
        None => Ok(()),
    }
}

/// What is wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A file id beyond the workload's files.
    #[error("names a file that the workload does not have")]
    UnknownFile,
    /// A group id beyond the job's groups.
    #[error("names a group that the job does not have")]
    UnknownGroup,
    /// A `Sync` of a group that the rank is not in.
    #[error("synchronises a group that the rank is not in")]
    NotAMember,
    /// A read or write of nothing.
    #[error("moves 0 bytes")]
    NoBytes,
    /// Offset plus length exceeds 64 bits.
    #[error("ends beyond 2^64 bytes")]
    PastTheEnd,
}

/// What makes a workload unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WorkloadError {
    /// An operation is wrong.
    #[error("{job}, rank {rank}, operation {op} {what}")]
    Op {
        /// The job.
        job: JobId,
        /// The rank.
        rank: u32,
        /// The operation's number from 0.
        op: u64,
        /// The problem.
        what: Problem,
    },
    /// A group is empty, unsorted or names a rank that the job does not have.
    #[error("{job}, group {group}: members must be existing ranks in rising order, at least one")]
    Group {
        /// The job.
        job: JobId,
        /// The group's number.
        group: u32,
    },
    /// Members of a group synchronise unequally often.
    #[error("{job}, group {group}: its members synchronise unequally often, so some would wait for ever")]
    Meetings {
        /// The job.
        job: JobId,
        /// The group's number.
        group: u32,
    },
}
