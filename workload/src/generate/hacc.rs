//! HACC-IO: the checkpoint of the HACC cosmology code (CORAL benchmark suite).
//!
//! Nine arrays of 38 bytes a particle; a file begins with a header of 24 MiB. In a shared file the arrays
//! of one rank lie together, rank after rank. As in the traces of the real program, the first rank of a
//! file writes the header last, when it has written its arrays, and reads it first.

use serde::Deserialize;

use super::builder::{Builder, Shape, Volume};
use super::{Access, GenerateError};
use crate::{Action, FileId, Workload};

/// Bytes of a particle in each array: positions, velocities and potential as `float`, the id as `int64`,
/// the mask as `int16`.
const ARRAY_BYTES: [u64; 9] = [4, 4, 4, 4, 4, 4, 4, 8, 2];

/// Bytes of a particle in all arrays.
const PARTICLE_BYTES: u64 = 38;

/// Bytes of the header of every file.
const HEADER_BYTES: u64 = 24 << 20;

/// Parameters of [`hacc`](super::hacc).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HaccParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise.
    pub ranks_per_node: u32,
    /// File per process or single shared file.
    pub access: Access,
    /// Particles of each rank, from 1.
    pub particles: u64,
    /// Checkpoints, each in new files, from 1.
    pub steps: u32,
    /// Time between two checkpoints, in seconds.
    pub gap_s: f64,
    /// Whether the ranks read the last checkpoint back at the end, as HACC-IO does.
    pub restart: bool,
    /// Time between the last checkpoint and reading it back, in seconds.
    pub wait_s: f64,
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

impl Default for HaccParams {
    /// 8 nodes of 8 ranks with 4 Mi particles each: 152 MiB and the header a rank.
    fn default() -> Self {
        Self {
            nodes: 8,
            ranks_per_node: 8,
            access: Access::Fpp,
            particles: 4 << 20,
            steps: 1,
            gap_s: 60.0,
            restart: true,
            wait_s: 0.0,
            skew_s: 0.01,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/hacc".into(),
        }
    }
}

pub(super) fn generate(params: &HaccParams, seed: u64) -> Result<Workload, GenerateError> {
    let shape = Shape {
        kind: "hacc",
        seed,
        nodes: params.nodes,
        ranks_per_node: params.ranks_per_node,
        job: params.job,
        uid: params.uid,
        start_s: params.start_s,
        skew_s: params.skew_s,
        dir: &params.dir,
    };
    if params.particles == 0 || params.steps == 0 {
        let rule = "particles and steps must be at least 1";
        return Err(GenerateError::Range { kind: "hacc", rule });
    }
    let gap = shape.seconds(params.gap_s, "gap must be 0 to 1e9 seconds")?;
    let wait = shape.seconds(params.wait_s, "wait must be 0 to 1e9 seconds")?;
    let (files_each, sharing) = match params.access {
        Access::Fpp => (shape.world(), 1),
        Access::Ssf => (1, shape.world()),
    };
    let rank_bytes = u128::from(params.particles) * u128::from(PARTICLE_BYTES);
    let phases = u128::from(params.steps) + u128::from(params.restart);
    shape.check(&Volume {
        files: u128::from(files_each) * u128::from(params.steps),
        // Two barriers, open, header, arrays and close.
        ops_per_rank: phases * (ARRAY_BYTES.len() as u128 + 5),
        largest_file_bytes: rank_bytes.saturating_mul(sharing.into()).saturating_add(HEADER_BYTES.into()),
        moved_bytes: (phases * u128::from(shape.world()))
            .saturating_mul(rank_bytes + u128::from(HEADER_BYTES)),
    })?;
    let mut builder = Builder::new(&shape);
    let mut files = Vec::new();
    for step in 0..params.steps {
        if step > 0 {
            builder.think(gap);
        }
        files = (0..files_each)
            .map(|number| match params.access {
                Access::Fpp => builder.file(&format!("restart.{step:04}.{number:08}")),
                Access::Ssf => builder.file(&format!("restart.{step:04}")),
            })
            .collect();
        phase(&mut builder, params, &files, &|file, offset, bytes| Action::Write { file, offset, bytes });
    }
    if params.restart {
        builder.think(wait);
        phase(&mut builder, params, &files, &|file, offset, bytes| Action::Read { file, offset, bytes });
    }
    Ok(builder.finish())
}

/// One checkpoint or restart of all ranks.
fn phase(
    builder: &mut Builder,
    params: &HaccParams,
    files: &[FileId],
    transfer: &dyn Fn(FileId, u64, u64) -> Action,
) {
    builder.begin_phase();
    for rank in builder.ranks() {
        let (file, place) = match params.access {
            Access::Fpp => (files[rank as usize], 0),
            Access::Ssf => (files[0], u64::from(rank)),
        };
        let writes = matches!(transfer(file, 0, 1), Action::Write { .. });
        builder.push(rank, if writes { Action::Create { file } } else { Action::Open { file } });
        // The first rank of a file has its header.
        let header = (place == 0).then(|| transfer(file, 0, HEADER_BYTES));
        if let Some(read) = header.filter(|_| !writes) {
            builder.push(rank, read);
        }
        let mut offset = HEADER_BYTES + place * params.particles * PARTICLE_BYTES;
        for bytes in ARRAY_BYTES.map(|bytes| bytes * params.particles) {
            builder.push(rank, transfer(file, offset, bytes));
            offset += bytes;
        }
        if let Some(write) = header.filter(|_| writes) {
            builder.push(rank, write);
        }
        builder.push(rank, Action::Close { file });
    }
    builder.barrier();
}
