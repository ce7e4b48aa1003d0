//! IOR: the load generator that most file system tests begin with.
//!
//! Order and offsets as in IOR 4.1 `TestIoSys` and `WriteOrRead`: a barrier, open, transfers, fsync, close,
//! a barrier; segment after segment, and in each the rank's block.

use serde::Deserialize;

use super::builder::{Builder, Shape, Volume};
use super::{Access, GenerateError};
use crate::{Action, FileId, Workload};

/// Parameters of [`ior`](super::ior); IOR's own option in brackets.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IorParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise.
    pub ranks_per_node: u32,
    /// File per process (`-F`) or single shared file. A shared file is *segmented* with one segment, and
    /// *strided* with many segments and a block of one transfer.
    pub access: Access,
    /// Bytes that a rank writes to each segment without a gap (`-b`), a multiple of the transfer.
    pub block_bytes: u64,
    /// Bytes of one operation (`-t`), from 1.
    pub transfer_bytes: u64,
    /// Segments of the file, each with one block of every rank that shares it (`-s`), from 1.
    pub segments: u32,
    /// Repetitions, each with new files (`-i`, `-m`), from 1.
    pub iterations: u32,
    /// Time between the end of one repetition and the next, in seconds (`-d`).
    pub gap_s: f64,
    /// Whether to write (`-w`). Without it the files exist beforehand.
    pub write: bool,
    /// Whether to read back what the ranks of the next node wrote (`-r -C`).
    pub read: bool,
    /// Time between writing and reading, in seconds: what was written may be cold by then.
    pub wait_s: f64,
    /// Whether each rank syncs its file before it closes it (`-e`).
    pub fsync: bool,
    /// Bound of the random delay of each rank after a barrier, in seconds.
    pub skew_s: f64,
    /// When the job starts, in seconds.
    pub start_s: f64,
    /// The job's id.
    pub job: u64,
    /// The owner.
    pub uid: u32,
    /// Directory of the files.
    pub dir: String,
}

impl Default for IorParams {
    /// A checkpoint-like burst: 8 nodes of 8 ranks write 256 MiB each in operations of 1 MiB.
    fn default() -> Self {
        Self {
            nodes: 8,
            ranks_per_node: 8,
            access: Access::Fpp,
            block_bytes: 256 << 20,
            transfer_bytes: 1 << 20,
            segments: 1,
            iterations: 1,
            gap_s: 20.0,
            write: true,
            read: false,
            wait_s: 0.0,
            fsync: true,
            skew_s: 0.01,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/ior".into(),
        }
    }
}

/// What is wrong with a wait.
const WAIT_RULE: &str = "wait must be 0 to 1e9 seconds";

impl IorParams {
    fn shape(&self, seed: u64) -> Shape<'_> {
        Shape {
            kind: "ior",
            seed,
            nodes: self.nodes,
            ranks_per_node: self.ranks_per_node,
            job: self.job,
            uid: self.uid,
            start_s: self.start_s,
            skew_s: self.skew_s,
            dir: &self.dir,
        }
    }

    fn check(&self, shape: &Shape) -> Result<(), GenerateError> {
        let refuse = |rule| Err(GenerateError::Range { kind: "ior", rule });
        if self.transfer_bytes == 0 || self.block_bytes == 0 {
            return refuse("block and transfer must be at least 1 byte");
        }
        if !self.block_bytes.is_multiple_of(self.transfer_bytes) {
            return refuse("block must be a multiple of transfer");
        }
        if self.segments == 0 || self.iterations == 0 {
            return refuse("segments and iterations must be at least 1");
        }
        if !self.write && !self.read {
            return refuse("write and read are both off: nothing is left to do");
        }
        shape.seconds(self.gap_s, "gap must be 0 to 1e9 seconds")?;
        shape.seconds(self.wait_s, WAIT_RULE)?;
        let files_each = self.files_each(shape);
        let phases = u128::from(self.write) + u128::from(self.read);
        let transfers = u128::from(self.block_bytes / self.transfer_bytes) * u128::from(self.segments);
        let sharing = u128::from(shape.world() / files_each.max(1));
        let rank_bytes = u128::from(self.block_bytes) * u128::from(self.segments);
        shape.check(&Volume {
            files: u128::from(files_each) * u128::from(self.iterations),
            // Two barriers, open, fsync and close besides the transfers.
            ops_per_rank: (u128::from(self.iterations) * phases).saturating_mul(transfers + 5),
            largest_file_bytes: rank_bytes.saturating_mul(sharing),
            moved_bytes: (u128::from(self.iterations) * phases)
                .saturating_mul(rank_bytes)
                .saturating_mul(shape.world().into()),
        })
    }

    /// Files of one repetition.
    fn files_each(&self, shape: &Shape) -> u64 {
        match self.access {
            Access::Fpp => shape.world(),
            Access::Ssf => 1,
        }
    }
}

pub(super) fn generate(params: &IorParams, seed: u64) -> Result<Workload, GenerateError> {
    let shape = params.shape(seed);
    params.check(&shape)?;
    let gap = shape.seconds(params.gap_s, "gap must be 0 to 1e9 seconds")?;
    let wait = shape.seconds(params.wait_s, WAIT_RULE)?;
    let mut builder = Builder::new(&shape);
    for iteration in 0..params.iterations {
        if iteration > 0 {
            builder.think(gap);
        }
        let files: Vec<FileId> = (0..params.files_each(&shape))
            .map(|number| match params.access {
                Access::Fpp => builder.file(&format!("data.{iteration:04}.{number:08}")),
                Access::Ssf => builder.file(&format!("data.{iteration:04}")),
            })
            .collect();
        if params.write {
            phase(&mut builder, params, &files, Direction::Write);
        }
        if params.read && params.write {
            builder.think(wait);
        }
        if params.read {
            phase(&mut builder, params, &files, Direction::Read);
        }
    }
    let mut workload = builder.finish();
    for file in &mut workload.files {
        file.exists = !params.write;
    }
    Ok(workload)
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Write,
    Read,
}

fn phase(builder: &mut Builder, params: &IorParams, files: &[FileId], direction: Direction) {
    let world = builder.ranks().len() as u64;
    builder.begin_phase();
    for rank in builder.ranks() {
        // Read what another node wrote, so that no page cache helps.
        let shift = if direction == Direction::Read { u64::from(params.ranks_per_node) } else { 0 };
        let whose = (u64::from(rank) + shift) % world;
        let (file, place, sharing) = match params.access {
            Access::Fpp => (files[whose as usize], 0, 1),
            Access::Ssf => (files[0], whose, world),
        };
        let open = match direction {
            Direction::Write => Action::Create { file },
            Direction::Read => Action::Open { file },
        };
        builder.push(rank, open);
        for segment in 0..u64::from(params.segments) {
            let offset = (segment * sharing + place) * params.block_bytes;
            builder.transfer(rank, offset, params.block_bytes, params.transfer_bytes, &|offset, bytes| {
                match direction {
                    Direction::Write => Action::Write { file, offset, bytes },
                    Direction::Read => Action::Read { file, offset, bytes },
                }
            });
        }
        if direction == Direction::Write && params.fsync {
            builder.push(rank, Action::Fsync { file });
        }
        builder.push(rank, Action::Close { file });
    }
    builder.barrier();
}
