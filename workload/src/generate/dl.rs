//! Training of a neural network: shuffled reads of samples, computing, and a model written now and then.

use std::time::Duration;

use serde::Deserialize;

use super::GenerateError;
use super::builder::{Builder, Draws, Shape, Volume, varied_bytes};
use crate::{Action, FileId, Workload};

/// How samples lie in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Storage {
    /// A file for each sample, of varying size.
    #[default]
    Files,
    /// Samples of equal size in shard files: sample i is the (i / shards)-th of shard i mod shards.
    Packed,
}

/// Parameters of [`dl`](super::dl).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DlParams {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1, placed block-wise; often one for each accelerator.
    pub ranks_per_node: u32,
    /// A file for each sample, or shards.
    pub storage: Storage,
    /// Samples of the data set, at least `batch` for each rank.
    pub samples: u32,
    /// Mean size of a sample, from 1 byte.
    pub sample_bytes: u64,
    /// How much sizes vary in [`Storage::Files`]: uniform in `[1 - spread, 1 + spread)` times the mean, 0 to 1.
    pub spread: f64,
    /// Shard files in [`Storage::Packed`], from 1.
    pub shards: u32,
    /// Passes over all samples, from 1, each in a random order of its own.
    pub epochs: u32,
    /// Samples that each rank reads between two meetings, from 1.
    pub batch: u32,
    /// Compute time behind each batch, in seconds.
    pub compute_s: f64,
    /// Bytes of one read, from 1; the last of a sample may be shorter.
    pub transfer_bytes: u64,
    /// Bytes of the model that rank 0 writes; 0 for none.
    pub checkpoint_bytes: u64,
    /// Batches between two models; 0 for one at the end of each epoch.
    pub checkpoint_every: u32,
    /// Bytes of one write of the model, from 1.
    pub checkpoint_transfer_bytes: u64,
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

impl Default for DlParams {
    /// 8 nodes of 4 accelerators read 8,192 pictures of about 128 KiB twice, in batches of 32.
    fn default() -> Self {
        Self {
            nodes: 8,
            ranks_per_node: 4,
            storage: Storage::Files,
            samples: 8192,
            sample_bytes: 128 << 10,
            spread: 0.5,
            shards: 16,
            epochs: 2,
            batch: 32,
            compute_s: 0.2,
            transfer_bytes: 64 << 10,
            checkpoint_bytes: 0,
            checkpoint_every: 0,
            checkpoint_transfer_bytes: 4 << 20,
            skew_s: 0.01,
            start_s: 0.0,
            job: 1,
            uid: 1000,
            dir: "/dl".into(),
        }
    }
}

/// Batches of one epoch. Samples that do not fill a batch of all ranks are left out, as data loaders do.
fn steps(params: &DlParams, shape: &Shape) -> u64 {
    let all_ranks = u128::from(params.batch) * u128::from(shape.world());
    u128::from(params.samples).checked_div(all_ranks).unwrap_or(0) as u64
}

/// Models that are written in one epoch of so many batches.
fn checkpoints_of_epoch(params: &DlParams, steps: u64) -> u64 {
    if params.checkpoint_bytes == 0 {
        return 0;
    }
    steps.checked_div(u64::from(params.checkpoint_every)).unwrap_or(1)
}

impl DlParams {
    fn check(&self, shape: &Shape) -> Result<(), GenerateError> {
        let refuse = |rule| Err(GenerateError::Range { kind: "dl", rule });
        if self.sample_bytes == 0 || self.transfer_bytes == 0 || self.checkpoint_transfer_bytes == 0 {
            return refuse("sample, transfer and checkpoint_transfer must be at least 1 byte");
        }
        if self.epochs == 0 || self.batch == 0 || self.shards == 0 {
            return refuse("epochs, batch and shards must be at least 1");
        }
        if !(0.0..=1.0).contains(&self.spread) {
            return refuse("spread must be 0 to 1");
        }
        let steps = steps(self, shape);
        if shape.world() > 0 && steps == 0 {
            return refuse("samples must be at least batch for each rank");
        }
        let data_files = match self.storage {
            Storage::Files => self.samples,
            Storage::Packed => self.shards,
        };
        let largest = match self.storage {
            Storage::Files => u128::from(self.sample_bytes) * 2,
            Storage::Packed => u128::from(self.sample_bytes) * u128::from(self.samples.div_ceil(self.shards)),
        };
        let epochs = u128::from(self.epochs);
        let models = epochs * u128::from(checkpoints_of_epoch(self, steps));
        // The largest samples are of twice the mean.
        let reads = (u128::from(self.sample_bytes) * 2).div_ceil(self.transfer_bytes.into());
        let batches = epochs * u128::from(steps);
        let read_ops = (batches * u128::from(self.batch)).saturating_mul(reads + 2);
        let model_ops = u128::from(self.checkpoint_bytes.div_ceil(self.checkpoint_transfer_bytes)) + 2;
        let world = u128::from(shape.world().max(1));
        shape.check(&Volume {
            files: u128::from(data_files) + models,
            // Rank 0 alone writes models. An open and a close of each shard, a barrier behind each batch.
            ops_per_rank: read_ops
                .saturating_add(batches + epochs + 2 + 2 * u128::from(self.shards))
                .saturating_add(models.saturating_mul(model_ops).div_ceil(world)),
            largest_file_bytes: largest.max(self.checkpoint_bytes.into()),
            moved_bytes: (batches * u128::from(self.batch) * world)
                .saturating_mul(u128::from(self.sample_bytes) * 2)
                .saturating_add(models.saturating_mul(self.checkpoint_bytes.into())),
        })
    }
}

/// What of a training is random.
struct Chance<'a> {
    /// Orders the samples of an epoch, given the order of the epoch before.
    shuffle: &'a mut dyn FnMut(u32, &mut [u32]),
    /// The size of a sample in a file of its own.
    bytes: &'a dyn Fn(u32) -> u64,
}

pub(super) fn generate(params: &DlParams, seed: u64) -> Result<Workload, GenerateError> {
    let mut shuffle = |epoch: u32, order: &mut [u32]| {
        // From the same order each time, so that an epoch does not depend on the one before it.
        order.sort_unstable();
        Draws::new(seed, "generate epoch", u64::from(epoch)).shuffle(order);
    };
    let bytes = |sample: u32| varied_bytes(seed, sample.into(), params.sample_bytes, params.spread);
    generate_with(params, seed, Chance { shuffle: &mut shuffle, bytes: &bytes })
}

fn generate_with(params: &DlParams, seed: u64, chance: Chance) -> Result<Workload, GenerateError> {
    let shape = Shape {
        kind: "dl",
        seed,
        nodes: params.nodes,
        ranks_per_node: params.ranks_per_node,
        job: params.job,
        uid: params.uid,
        start_s: params.start_s,
        skew_s: params.skew_s,
        dir: &params.dir,
    };
    let compute = shape.seconds(params.compute_s, "compute must be 0 to 1e9 seconds")?;
    params.check(&shape)?;
    let data_files = match params.storage {
        Storage::Files => params.samples,
        Storage::Packed => params.shards,
    };
    let mut training = Training {
        params,
        chance,
        builder: Builder::new(&shape),
        data: vec![None; data_files as usize],
        open: vec![vec![]; shape.world() as usize],
        models: Vec::new(),
    };
    training.run(steps(params, &shape), compute);
    let Training { builder, models, .. } = training;
    let mut workload = builder.finish();
    workload.files.iter_mut().for_each(|file| file.exists = true);
    for model in models {
        if let Some(file) = workload.files.get_mut(model.0 as usize) {
            file.exists = false;
        }
    }
    Ok(workload)
}

/// A training while it is built.
struct Training<'a, 'b> {
    params: &'a DlParams,
    chance: Chance<'b>,
    builder: Builder<'a>,
    /// The file of each sample or shard once it is read.
    data: Vec<Option<FileId>>,
    /// The shards that each rank has opened; each stays open.
    open: Vec<Vec<FileId>>,
    models: Vec<FileId>,
}

impl Training<'_, '_> {
    fn run(&mut self, steps: u64, compute: Duration) {
        let mut order: Vec<u32> = (0..self.params.samples).collect();
        let mut batches = 0;
        self.builder.begin_phase();
        for epoch in 0..self.params.epochs {
            (self.chance.shuffle)(epoch, &mut order);
            for step in 0..steps {
                self.read_batch(&order, step);
                self.builder.think(compute);
                batches += 1;
                let every = u64::from(self.params.checkpoint_every);
                if every > 0 && batches % every == 0 {
                    self.write_model();
                }
                self.builder.begin_phase();
            }
            if self.params.checkpoint_every == 0 {
                self.write_model();
            }
        }
        for rank in self.builder.ranks() {
            for file in std::mem::take(&mut self.open[rank as usize]) {
                self.builder.push(rank, Action::Close { file });
            }
        }
        self.builder.barrier();
    }

    /// Rank r of n reads the samples r, r + n, r + 2n and so on of the batch.
    fn read_batch(&mut self, order: &[u32], step: u64) {
        let world = self.builder.ranks().len();
        for rank in self.builder.ranks() {
            let first = step as usize * self.params.batch as usize * world + rank as usize;
            let own = order.iter().skip(first).step_by(world).take(self.params.batch as usize);
            for &sample in own {
                self.read_sample(rank, sample);
            }
        }
    }

    fn read_sample(&mut self, rank: u32, sample: u32) {
        let params = self.params;
        match params.storage {
            Storage::Files => {
                let file = self.data_file(sample, || format!("sample_{sample:06}.npz"));
                let bytes = (self.chance.bytes)(sample);
                self.builder.push(rank, Action::Open { file });
                self.read(rank, file, 0, bytes);
                self.builder.push(rank, Action::Close { file });
            }
            Storage::Packed => {
                let (shard, shards) = (sample % params.shards, params.shards);
                let file = self.data_file(shard, || format!("shard-{shard:05}-of-{shards:05}.rec"));
                let open = &mut self.open[rank as usize];
                if let Err(place) = open.binary_search(&file) {
                    open.insert(place, file);
                    self.builder.push(rank, Action::Open { file });
                }
                let offset = u64::from(sample / shards) * params.sample_bytes;
                self.read(rank, file, offset, params.sample_bytes);
            }
        }
    }

    fn read(&mut self, rank: u32, file: FileId, offset: u64, bytes: u64) {
        let transfer = self.params.transfer_bytes;
        self.builder.transfer(rank, offset, bytes, transfer, &|offset, bytes| Action::Read {
            file,
            offset,
            bytes,
        });
    }

    /// The file of a sample or shard; made at its first use, so that the workload has no unused files.
    fn data_file(&mut self, number: u32, name: impl Fn() -> String) -> FileId {
        let place = &mut self.data[number as usize];
        *place.get_or_insert_with(|| self.builder.file(&name()))
    }

    /// Rank 0 writes the model; the others wait at their next meeting.
    fn write_model(&mut self) {
        let params = self.params;
        if params.checkpoint_bytes == 0 {
            return;
        }
        let file = self.builder.file(&format!("model.{:03}.pt", self.models.len()));
        self.models.push(file);
        self.builder.push(0, Action::Create { file });
        let transfer = params.checkpoint_transfer_bytes;
        self.builder.transfer(0, 0, params.checkpoint_bytes, transfer, &|offset, bytes| Action::Write {
            file,
            offset,
            bytes,
        });
        self.builder.push(0, Action::Close { file });
    }
}

#[cfg(test)]
mod tests {
    use tarazu_darshan::Log;

    use super::*;
    use crate::darshan::{ConvertOptions, to_workload};

    /// The program behind the sample logs: one xorshift stream orders the samples, and each epoch shuffles
    /// the order of the one before.
    fn recorded_shuffle() -> impl FnMut(u32, &mut [u32]) {
        let mut state = 88_172_645_463_325_252u64;
        move |_, order| {
            for last in (1..order.len()).rev() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                order.swap(last, ((state >> 11) as u32 % (last as u32 + 1)) as usize);
            }
        }
    }

    fn recorded_bytes(sample: u32) -> u64 {
        let hash = sample.wrapping_mul(2_654_435_761);
        32_768 + u64::from(hash % 1024) * 65_536 / 1024
    }

    /// What a rank moves, in order: the file's name, whether it writes, offset and length.
    fn moves(workload: &Workload, rank: usize) -> Vec<(&str, bool, u64, u64)> {
        let name = |file: FileId| &*workload.files[file.0 as usize].name;
        let ops = workload.jobs[0].ranks[rank].ops.iter();
        ops.filter_map(|op| match op.action {
            Action::Read { file, offset, bytes } => Some((name(file), false, offset, bytes)),
            Action::Write { file, offset, bytes } => Some((name(file), true, offset, bytes)),
            _ => None,
        })
        .collect()
    }

    #[test]
    fn trainings_move_their_bytes_in_the_recorded_order() {
        let common = DlParams {
            ranks_per_node: 1,
            samples: 512,
            sample_bytes: 65_536,
            checkpoint_transfer_bytes: 65_536,
            dir: "/scratch/d/f".into(),
            ..DlParams::default()
        };
        let runs = [
            ("dl-files-n4", DlParams { nodes: 4, epochs: 3, batch: 4, ..common.clone() }),
            (
                "dl-files-n8-lustre",
                DlParams { nodes: 8, epochs: 4, batch: 8, checkpoint_bytes: 2 << 20, ..common.clone() },
            ),
            (
                "dl-packed-n8",
                DlParams {
                    nodes: 8,
                    storage: Storage::Packed,
                    samples: 4096,
                    sample_bytes: 16_384,
                    shards: 8,
                    epochs: 3,
                    batch: 32,
                    checkpoint_bytes: 1 << 20,
                    dir: "/scratch/d/p".into(),
                    ..common
                },
            ),
        ];
        for (name, params) in runs {
            let path = format!("{}/../traces/darshan/{name}.darshan", env!("CARGO_MANIFEST_DIR"));
            let log = Log::open(path.as_ref()).expect("a sample");
            let recorded = to_workload(&[&log], &ConvertOptions::default()).expect("a sample").workload;
            let chance = Chance { shuffle: &mut recorded_shuffle(), bytes: &recorded_bytes };
            let generated = generate_with(&params, 1, chance).expect("valid");
            assert_eq!(recorded.totals().read_bytes, generated.totals().read_bytes, "{name}");
            for rank in 0..params.nodes as usize {
                assert_eq!(moves(&generated, rank), moves(&recorded, rank), "{name}, rank {rank}");
            }
        }
    }
}
