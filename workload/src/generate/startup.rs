//! Containers that start on many nodes at once: each reads the image, or the small files of a program tree.

use serde::Deserialize;

use super::GenerateError;
use super::builder::{Builder, Draws, Shape, Volume, varied_bytes};
use crate::{Action, FileId, Workload};

/// Smallest read of a compressed image, and what its offsets are multiples of: a page.
const PAGE_BYTES: u64 = 4 << 10;

/// Pages of the largest random read: 128 KiB, the default block of `mksquashfs` and of readahead.
const PAGES_MAX: u64 = 32;

/// Who reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Readers {
    /// The first rank of each node, as where the image is mounted once or its pages are cached.
    #[default]
    Node,
    /// Every rank by itself.
    Rank,
}

/// Parameters of [`startup`](super::startup).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StartupParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise.
    pub ranks_per_node: u32,
    /// Who reads; the other ranks only wait until all have started.
    pub readers: Readers,
    /// Size of the one image that all read, from 4 KiB; unused with `files`.
    pub image_bytes: u64,
    /// The part of the image that each reads, above 0 up to 1: few programs need all of their image.
    pub fraction: f64,
    /// Bytes of one read, from 1; the last may be shorter.
    pub transfer_bytes: u64,
    /// Random reads of 4 to 128 KiB at multiples of 4 KiB, as page faults of a mounted image make them, instead
    /// of its first part in order.
    pub random: bool,
    /// Small files that each reads instead of an image, such as the modules of a Python program; 0 for the image.
    pub files: u32,
    /// Mean size of a small file, from 1 byte.
    pub file_bytes: u64,
    /// How much their sizes vary: uniform in `[1 - spread, 1 + spread)` times the mean, 0 to 1.
    pub spread: f64,
    /// Whether all nodes read the same small files; otherwise each has a tree of its own.
    pub shared: bool,
    /// All begin within this time, in seconds.
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

impl Default for StartupParams {
    /// 64 nodes read an image of 512 MiB in order, all within a second.
    fn default() -> Self {
        Self {
            nodes: 64,
            ranks_per_node: 1,
            readers: Readers::Node,
            image_bytes: 512 << 20,
            fraction: 1.0,
            transfer_bytes: 1 << 20,
            random: false,
            files: 0,
            file_bytes: 16 << 10,
            spread: 0.5,
            shared: true,
            skew_s: 1.0,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/startup".into(),
        }
    }
}

impl StartupParams {
    fn check(&self, shape: &Shape) -> Result<(), GenerateError> {
        let refuse = |rule| Err(GenerateError::Range { kind: "startup", rule });
        if self.transfer_bytes == 0 || self.file_bytes == 0 {
            return refuse("transfer and file_bytes must be at least 1 byte");
        }
        if self.image_bytes < PAGE_BYTES {
            return refuse("image must be at least 4K");
        }
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            return refuse("fraction must be above 0, up to 1");
        }
        if !(0.0..=1.0).contains(&self.spread) {
            return refuse("spread must be 0 to 1");
        }
        if self.files > 0 && self.random {
            return refuse("random reads are of an image: leave out files or random");
        }
        let readers = match self.readers {
            Readers::Node => u64::from(self.nodes),
            Readers::Rank => shape.world(),
        };
        let largest_file = u128::from(self.file_bytes) * 2;
        let files = u128::from(self.files);
        let (count, ops, bytes, largest) = if self.files > 0 {
            let trees = if self.shared { 1 } else { u128::from(self.nodes) };
            let reads = largest_file.div_ceil(self.transfer_bytes.into());
            (files * trees, files * (reads + 2), files * largest_file, largest_file)
        } else {
            let wanted = self.wanted_bytes();
            let read = if self.random { PAGE_BYTES } else { self.transfer_bytes };
            (1, u128::from(wanted.div_ceil(read)) + 2, wanted.into(), self.image_bytes.into())
        };
        // Ranks that only wait have their three barriers; the limit is of the mean of all ranks.
        let waiting = u128::from(shape.world().max(1));
        shape.check(&Volume {
            files: count,
            ops_per_rank: ops.saturating_mul(readers.into()).div_ceil(waiting) + 3,
            largest_file_bytes: largest,
            moved_bytes: bytes.saturating_mul(readers.into()),
        })
    }

    /// Bytes of the image that each reader wants, at least a page, at most the image.
    fn wanted_bytes(&self) -> u64 {
        ((self.image_bytes as f64 * self.fraction) as u64).clamp(PAGE_BYTES, self.image_bytes)
    }

    fn reads(&self, rank: u32) -> bool {
        self.readers == Readers::Rank || rank.is_multiple_of(self.ranks_per_node)
    }
}

pub(super) fn generate(params: &StartupParams, seed: u64) -> Result<Workload, GenerateError> {
    let shape = Shape {
        kind: "startup",
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
    builder.begin_phase();
    if params.files > 0 {
        read_trees(&mut builder, params, seed);
    } else {
        read_image(&mut builder, params, seed);
    }
    builder.barrier();
    let mut workload = builder.finish();
    workload.files.iter_mut().for_each(|file| file.exists = true);
    Ok(workload)
}

fn read_image(builder: &mut Builder, params: &StartupParams, seed: u64) {
    let file = builder.file("image.sif");
    for rank in builder.ranks().filter(|rank| params.reads(*rank)) {
        builder.push(rank, Action::Open { file });
        if params.random {
            read_at_random(builder, params, seed, rank, file);
        } else {
            let (wanted, transfer) = (params.wanted_bytes(), params.transfer_bytes);
            builder.transfer(rank, 0, wanted, transfer, &|offset, bytes| Action::Read {
                file,
                offset,
                bytes,
            });
        }
        builder.push(rank, Action::Close { file });
    }
}

/// Reads until as many bytes are moved as wanted; pages may be read twice.
fn read_at_random(builder: &mut Builder, params: &StartupParams, seed: u64, rank: u32, file: FileId) {
    let mut draws = Draws::new(seed, "generate pages", rank.into());
    let pages = params.image_bytes / PAGE_BYTES;
    let mut left = params.wanted_bytes();
    while left > 0 {
        let offset = draws.below(pages) * PAGE_BYTES;
        let bytes = (1 + draws.below(PAGES_MAX)) * PAGE_BYTES;
        let bytes = bytes.min(params.image_bytes - offset).min(left);
        builder.push(rank, Action::Read { file, offset, bytes });
        left -= bytes;
    }
}

fn read_trees(builder: &mut Builder, params: &StartupParams, seed: u64) {
    let sizes: Vec<u64> = (0..params.files)
        .map(|number| varied_bytes(seed, number.into(), params.file_bytes, params.spread))
        .collect();
    let mut tree: Vec<FileId> = Vec::new();
    for rank in builder.ranks() {
        let node = rank / params.ranks_per_node;
        let is_new = rank.is_multiple_of(params.ranks_per_node) && !params.shared;
        if is_new || tree.is_empty() {
            let folder = if params.shared { "tree".into() } else { format!("tree.{node:06}") };
            tree = (0..params.files)
                .map(|number| builder.file(&format!("{folder}/module_{number:06}.py")))
                .collect();
        }
        if !params.reads(rank) {
            continue;
        }
        for (&file, &bytes) in tree.iter().zip(&sizes) {
            builder.push(rank, Action::Open { file });
            let transfer = params.transfer_bytes;
            builder.transfer(rank, 0, bytes, transfer, &|offset, bytes| Action::Read { file, offset, bytes });
            builder.push(rank, Action::Close { file });
        }
    }
}
