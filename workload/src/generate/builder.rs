//! What all generators share: the shape of a job, its planned clocks, and random draws.

use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tarazu_layout::{JobId, NodeId, Time, hash};

use super::{GenerateError, at_most};
use crate::limits::{FILE_BYTES_MAX, FILES_MAX, MOVED_BYTES_MAX, NODES_MAX, OPS_MAX, RANKS_MAX};
use crate::{Action, File, FileId, GroupId, Job, Op, Rank, RankId, Workload};

/// Longest time that a parameter may name: 30 years, far from where nanoseconds overflow.
const SPAN_MAX_S: f64 = 1e9;

/// Bytes of a directory name; paths end at 4,096.
const DIR_BYTES_MAX: usize = 3072;

/// The parameters that all generators have.
pub(super) struct Shape<'a> {
    pub(super) kind: &'static str,
    pub(super) seed: u64,
    pub(super) nodes: u32,
    pub(super) ranks_per_node: u32,
    pub(super) job: u64,
    pub(super) uid: u32,
    pub(super) start_s: f64,
    pub(super) skew_s: f64,
    pub(super) dir: &'a str,
}

/// How much a generator is about to make, counted before anything is allocated.
pub(super) struct Volume {
    pub(super) files: u128,
    pub(super) ops_per_rank: u128,
    pub(super) largest_file_bytes: u128,
    pub(super) moved_bytes: u128,
}

impl Shape<'_> {
    /// Ranks of the job, 0 to 2^64 - 2^33 + 1; [`Shape::check`] bounds them.
    pub(super) fn world(&self) -> u64 {
        u64::from(self.nodes) * u64::from(self.ranks_per_node)
    }

    /// Refuses what is out of range before it is built.
    pub(super) fn check(&self, volume: &Volume) -> Result<(), GenerateError> {
        let kind = self.kind;
        if self.world() == 0 {
            return Err(GenerateError::Range { kind, rule: "nodes and ranks_per_node must be at least 1" });
        }
        let dir_ok = self.dir.starts_with('/') && self.dir.len() <= DIR_BYTES_MAX;
        if !dir_ok || self.dir.ends_with('/') {
            let rule = "dir must begin with a slash, not end with one, and have at most 3072 bytes";
            return Err(GenerateError::Range { kind, rule });
        }
        self.seconds(self.start_s, "start must be 0 to 1e9 seconds")?;
        self.seconds(self.skew_s, "skew must be 0 to 1e9 seconds")?;
        at_most(kind, "nodes", u128::from(self.nodes), u64::from(NODES_MAX))?;
        at_most(kind, "ranks", u128::from(self.world()), RANKS_MAX)?;
        at_most(kind, "files", volume.files, FILES_MAX)?;
        let ops = volume.ops_per_rank.saturating_mul(u128::from(self.world()));
        at_most(kind, "operations", ops, OPS_MAX)?;
        at_most(kind, "bytes to move", volume.moved_bytes, MOVED_BYTES_MAX)?;
        at_most(kind, "bytes in a file", volume.largest_file_bytes, FILE_BYTES_MAX)
    }

    /// A time that a parameter gives, in its range.
    pub(super) fn seconds(&self, value: f64, rule: &'static str) -> Result<Duration, GenerateError> {
        if (0.0..=SPAN_MAX_S).contains(&value) {
            return Ok(Duration::from_nanos(Time::from_secs_f64(value).0));
        }
        Err(GenerateError::Range { kind: self.kind, rule })
    }
}

/// Builds one job whose ranks all meet at each barrier.
pub(super) struct Builder<'a> {
    shape: &'a Shape<'a>,
    files: Vec<File>,
    ops: Vec<Vec<Op>>,
    /// When each rank ends its last operation in the planned run.
    clocks: Vec<Time>,
    /// Time that each rank has spent since then.
    thinks: Vec<Duration>,
    phases: u64,
}

impl<'a> Builder<'a> {
    /// A job without operations. The shape has passed its check.
    pub(super) fn new(shape: &'a Shape<'a>) -> Self {
        let world = shape.world() as usize;
        Self {
            shape,
            files: Vec::new(),
            ops: vec![Vec::new(); world],
            clocks: vec![Time::ZERO; world],
            thinks: vec![Duration::ZERO; world],
            phases: 0,
        }
    }

    /// The numbers of all ranks.
    pub(super) fn ranks(&self) -> std::ops::Range<u32> {
        0..self.ops.len() as u32
    }

    /// Adds a file below the job's directory; the caller keeps names unique.
    pub(super) fn file(&mut self, name: &str) -> FileId {
        let id = FileId(self.files.len() as u32);
        let name = format!("{}/{name}", self.shape.dir);
        self.files.push(File { name, exists: false, logged: None });
        id
    }

    /// Lets every rank spend time before its next operation.
    pub(super) fn think(&mut self, span: Duration) {
        for think in &mut self.thinks {
            *think = think.saturating_add(span);
        }
    }

    /// Adds an operation to a rank.
    pub(super) fn push(&mut self, rank: u32, action: Action) {
        let place = rank as usize;
        let think = std::mem::take(&mut self.thinks[place]);
        self.clocks[place] += think;
        self.ops[place].push(Op { start: self.clocks[place], think, action });
    }

    /// All ranks meet.
    pub(super) fn barrier(&mut self) {
        for rank in self.ranks() {
            self.push(rank, Action::Sync { group: GroupId(0) });
        }
        let latest = self.clocks.iter().copied().max().unwrap_or_default();
        self.clocks.fill(latest);
    }

    /// All ranks meet, then go on at slightly different moments, as processes do.
    pub(super) fn begin_phase(&mut self) {
        self.barrier();
        let mut draws = Draws::new(self.shape.seed, "generate skew", self.phases);
        self.phases += 1;
        for think in &mut self.thinks {
            *think = Duration::from_nanos(Time::from_secs_f64(self.shape.skew_s * draws.unit()).0);
        }
    }

    /// Reads or writes `[offset, offset + bytes)` in pieces of `transfer` bytes, the last perhaps shorter.
    pub(super) fn transfer(&mut self, rank: u32, offset: u64, bytes: u64, transfer: u64, action: Transfer) {
        let mut done = 0;
        while done < bytes {
            let piece = transfer.min(bytes - done);
            self.push(rank, action(offset + done, piece));
            done += piece;
        }
    }

    /// The workload of this one job.
    pub(super) fn finish(self) -> Workload {
        let shape = self.shape;
        let per_node = shape.ranks_per_node;
        let everyone = (0..self.ops.len() as u32).map(RankId).collect();
        let ranks = (0..).zip(self.ops).map(|(number, ops)| Rank { node: NodeId(number / per_node), ops });
        let job = Job {
            id: JobId(shape.job),
            name: shape.kind.to_owned(),
            uid: shape.uid,
            start: Time::from_secs_f64(shape.start_s),
            ranks: ranks.collect(),
            groups: vec![everyone],
        };
        Workload { jobs: vec![job], files: self.files }
    }
}

/// Makes a read or write from an offset and a length.
pub(super) type Transfer<'a> = &'a dyn Fn(u64, u64) -> Action;

/// A stream of random numbers of its own for each purpose.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    pub(crate) fn new(seed: u64, purpose: &str, id: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(hash::stream_seed(seed, purpose, id)))
    }

    /// Uniform in `[0, 1)`, on the 2^53 values that an `f64` holds evenly.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..bound`, 0 for a bound of 0. One value is favoured by at most one in 2^64 / bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product: the draw as a fraction of 2^64, times the bound.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A random order, each equally likely (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// The size of the `number`-th file or sample of a set: uniform in `[1 - spread, 1 + spread)` times the mean,
/// at least 1 byte.
pub(super) fn varied_bytes(seed: u64, number: u64, mean_bytes: u64, spread: f64) -> u64 {
    let draw = Draws::new(seed, "generate size", number).unit();
    let bytes = mean_bytes as f64 * (1.0 + spread * (2.0 * draw - 1.0));
    (bytes as u64).max(1)
}
