//! mdtest: what its options `-F -w -e -u -i -N` do to a file system with real files behind them.

use serde::Deserialize;

use super::GenerateError;
use super::builder::{Builder, Shape, Volume};
use crate::{Action, FileId, Workload};

/// Parameters of [`mdtest`](super::mdtest), with mdtest's own options.
///
/// Phases that move no data and open no file (stat, removal, the trees) are not modelled: a workload has no
/// operation for them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MdtestParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise.
    pub ranks_per_node: u32,
    /// Files of each rank (`-n`), from 1.
    pub files: u32,
    /// Bytes written to each file behind its creation (`-w`); 0 leaves it empty.
    pub write_bytes: u64,
    /// Bytes read from each file (`-e`), at most `write_bytes` where the files are created here. With 0 the
    /// phase of reading only opens and closes.
    pub read_bytes: u64,
    /// A directory for each rank (`-u`), otherwise one for all.
    pub unique_dir: bool,
    /// Repetitions, each with new files (`-i`), from 1.
    pub iterations: u32,
    /// Whether files are created and written (`-C`); without it they exist beforehand.
    pub create: bool,
    /// Whether there is a phase of reading (`-E`).
    pub read: bool,
    /// Ranks by which the phase of reading is shifted (`-N`), so that no page cache helps: rank r reads the
    /// files of rank r + shift.
    pub shift: u32,
    /// Whether each file is synced before it is closed (`-y`).
    pub fsync: bool,
    /// Time between two repetitions, in seconds.
    pub gap_s: f64,
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

impl Default for MdtestParams {
    /// The hard test of IO500 in small: files of 3,901 bytes in one directory.
    fn default() -> Self {
        Self {
            nodes: 8,
            ranks_per_node: 8,
            files: 64,
            write_bytes: 3901,
            read_bytes: 3901,
            unique_dir: false,
            iterations: 1,
            create: true,
            read: true,
            shift: 0,
            fsync: false,
            gap_s: 0.0,
            skew_s: 0.01,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/mdtest".into(),
        }
    }
}

impl MdtestParams {
    fn check(&self, shape: &Shape) -> Result<(), GenerateError> {
        let refuse = |rule| Err(GenerateError::Range { kind: "mdtest", rule });
        if self.files == 0 || self.iterations == 0 {
            return refuse("files and iterations must be at least 1");
        }
        if !self.create && !self.read {
            return refuse("create and read are both off: nothing is left to do");
        }
        if self.create && self.read && self.read_bytes > self.write_bytes {
            return refuse("read_bytes must be at most write_bytes: no more is in the files");
        }
        let phases = u128::from(self.create) + u128::from(self.read);
        let each = u128::from(self.files) * u128::from(self.iterations);
        let moved = if self.create { u128::from(self.write_bytes) } else { 0 }
            + if self.read { u128::from(self.read_bytes) } else { 0 };
        shape.check(&Volume {
            files: each.saturating_mul(shape.world().into()),
            // Open, transfer, sync and close of each file; two barriers a phase.
            ops_per_rank: phases * (each * 4 + u128::from(self.iterations) * 2),
            largest_file_bytes: u128::from(self.write_bytes.max(self.read_bytes)),
            moved_bytes: each.saturating_mul(shape.world().into()).saturating_mul(moved),
        })
    }

    /// The files of one repetition, those of a rank together, under the names that mdtest gives them.
    fn names(&self, builder: &mut Builder, iteration: u32) -> Vec<FileId> {
        let mut ids = Vec::with_capacity(builder.ranks().len() * self.files as usize);
        for rank in builder.ranks() {
            let tree = if self.unique_dir { format!("mdtest_tree.{rank}.0") } else { "mdtest_tree.0".into() };
            for number in 0..self.files {
                let name = format!("test-dir.{iteration}-0/{tree}/file.mdtest.{rank}.{number}");
                ids.push(builder.file(&name));
            }
        }
        ids
    }
}

pub(super) fn generate(params: &MdtestParams, seed: u64) -> Result<Workload, GenerateError> {
    let shape = Shape {
        kind: "mdtest",
        seed,
        nodes: params.nodes,
        ranks_per_node: params.ranks_per_node,
        job: params.job,
        uid: params.uid,
        start_s: params.start_s,
        skew_s: params.skew_s,
        dir: &params.dir,
    };
    let gap = shape.seconds(params.gap_s, "gap must be 0 to 1e9 seconds")?;
    params.check(&shape)?;
    let mut builder = Builder::new(&shape);
    for iteration in 0..params.iterations {
        if iteration > 0 {
            builder.think(gap);
        }
        let files = params.names(&mut builder, iteration);
        if params.create {
            create(&mut builder, params, &files);
        }
        if params.read {
            read(&mut builder, params, &files);
        }
    }
    let mut workload = builder.finish();
    for file in &mut workload.files {
        file.exists = !params.create;
    }
    Ok(workload)
}

fn create(builder: &mut Builder, params: &MdtestParams, files: &[FileId]) {
    builder.begin_phase();
    for (rank, own) in builder.ranks().zip(files.chunks(params.files as usize)) {
        for &file in own {
            builder.push(rank, Action::Create { file });
            if params.write_bytes > 0 {
                builder.push(rank, Action::Write { file, offset: 0, bytes: params.write_bytes });
            }
            if params.fsync {
                builder.push(rank, Action::Fsync { file });
            }
            builder.push(rank, Action::Close { file });
        }
    }
    builder.barrier();
}

fn read(builder: &mut Builder, params: &MdtestParams, files: &[FileId]) {
    builder.begin_phase();
    let world = builder.ranks().len();
    // At most one turn through all ranks.
    let others = files.chunks(params.files as usize).cycle().skip(params.shift as usize % world);
    for (rank, theirs) in builder.ranks().zip(others) {
        for &file in theirs {
            builder.push(rank, Action::Open { file });
            if params.read_bytes > 0 {
                builder.push(rank, Action::Read { file, offset: 0, bytes: params.read_bytes });
            }
            builder.push(rank, Action::Close { file });
        }
    }
    builder.barrier();
}
