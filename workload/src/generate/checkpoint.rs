//! Periodic checkpoints: what most long-running applications do to a file system.

use std::time::Duration;

use serde::Deserialize;
use tarazu_layout::Time;

use super::builder::{Builder, Draws, Shape, Volume};
use super::{Access, GenerateError};
use crate::{Action, FileId, Workload};

/// Parameters of [`checkpoint`](super::checkpoint).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise.
    pub ranks_per_node: u32,
    /// File per process or single shared file, in which the ranks' blocks lie in order.
    pub access: Access,
    /// Bytes that each rank writes to a checkpoint, from 1.
    pub bytes: u64,
    /// Bytes of one operation, from 1; the last of a block may be shorter.
    pub transfer_bytes: u64,
    /// Checkpoints, each in new files, from 1.
    pub count: u32,
    /// Compute time before each checkpoint, in seconds.
    pub period_s: f64,
    /// How much the compute time varies: it is `period × (1 + jitter × u)` with `u` uniform in `[-1, 1)`,
    /// the same on all ranks and drawn anew for each checkpoint. From 0 to 1.
    pub jitter: f64,
    /// Whether each rank syncs its file before it closes it.
    pub fsync: bool,
    /// Whether the job begins by reading a checkpoint that an earlier run left.
    pub restart: bool,
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

impl Default for CheckpointParams {
    /// 8 nodes of 8 ranks write 512 MiB each every 5 minutes, 4 times, with a tenth of variation.
    fn default() -> Self {
        Self {
            nodes: 8,
            ranks_per_node: 8,
            access: Access::Fpp,
            bytes: 512 << 20,
            transfer_bytes: 4 << 20,
            count: 4,
            period_s: 300.0,
            jitter: 0.1,
            fsync: true,
            restart: false,
            skew_s: 0.01,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/checkpoint".into(),
        }
    }
}

impl CheckpointParams {
    fn check(&self, shape: &Shape) -> Result<(), GenerateError> {
        let refuse = |rule| Err(GenerateError::Range { kind: "checkpoint", rule });
        if self.bytes == 0 || self.transfer_bytes == 0 || self.count == 0 {
            return refuse("bytes, transfer and count must be at least 1");
        }
        if !(0.0..=1.0).contains(&self.jitter) {
            return refuse("jitter must be 0 to 1");
        }
        shape.seconds(self.period_s, "period must be 0 to 1e9 seconds")?;
        let (files_each, sharing) = match self.access {
            Access::Fpp => (shape.world(), 1),
            Access::Ssf => (1, shape.world()),
        };
        let phases = u128::from(self.count) + u128::from(self.restart);
        let transfers = u128::from(self.bytes.div_ceil(self.transfer_bytes));
        shape.check(&Volume {
            files: u128::from(files_each) * phases,
            // Two barriers, open, fsync and close besides the transfers.
            ops_per_rank: phases * (transfers + 5),
            largest_file_bytes: u128::from(self.bytes) * u128::from(sharing),
            moved_bytes: (phases * u128::from(shape.world())).saturating_mul(self.bytes.into()),
        })
    }

    fn files(&self, builder: &mut Builder, name: &str) -> Vec<FileId> {
        match self.access {
            Access::Fpp => builder.ranks().map(|rank| builder.file(&format!("{name}.{rank:08}"))).collect(),
            Access::Ssf => vec![builder.file(name)],
        }
    }
}

pub(super) fn generate(params: &CheckpointParams, seed: u64) -> Result<Workload, GenerateError> {
    let shape = Shape {
        kind: "checkpoint",
        seed,
        nodes: params.nodes,
        ranks_per_node: params.ranks_per_node,
        job: params.job,
        uid: params.uid,
        start_s: params.start_s,
        skew_s: params.skew_s,
        dir: &params.dir,
    };
    params.check(&shape)?;
    let mut builder = Builder::new(&shape);
    let mut left_behind = 0;
    if params.restart {
        let files = params.files(&mut builder, "before");
        left_behind = files.len();
        phase(&mut builder, params, &files, false);
    }
    for number in 0..params.count {
        let draw = Draws::new(seed, "generate compute", u64::from(number)).unit();
        let compute_s = params.period_s * (1.0 + params.jitter * (2.0 * draw - 1.0));
        builder.think(Duration::from_nanos(Time::from_secs_f64(compute_s).0));
        let files = params.files(&mut builder, &format!("step.{number:04}"));
        phase(&mut builder, params, &files, true);
    }
    let mut workload = builder.finish();
    for file in workload.files.iter_mut().take(left_behind) {
        file.exists = true;
    }
    Ok(workload)
}

/// All ranks write a checkpoint, or read one.
fn phase(builder: &mut Builder, params: &CheckpointParams, files: &[FileId], writes: bool) {
    builder.begin_phase();
    for rank in builder.ranks() {
        let (file, place) = match params.access {
            Access::Fpp => (files[rank as usize], 0),
            Access::Ssf => (files[0], u64::from(rank)),
        };
        builder.push(rank, if writes { Action::Create { file } } else { Action::Open { file } });
        let offset = place * params.bytes;
        builder.transfer(rank, offset, params.bytes, params.transfer_bytes, &|offset, bytes| {
            if writes { Action::Write { file, offset, bytes } } else { Action::Read { file, offset, bytes } }
        });
        if writes && params.fsync {
            builder.push(rank, Action::Fsync { file });
        }
        builder.push(rank, Action::Close { file });
    }
    builder.barrier();
}
