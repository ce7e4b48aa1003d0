//! What the job does: the operations of a bundled Darshan log, with sizes and pauses scaled.

use std::collections::BTreeMap;

use tarazu_darshan::Log;
use tarazu_workload::darshan::{ConvertOptions, to_workload};
use tarazu_workload::{Action, Workload};

use super::error::DemoError;

/// A real run of a checkpointing program: 16 ranks, 8 checkpoints of a file each, one restart.
const LOG: &[u8] = include_bytes!("../../traces/darshan/ckpt-fpp-n16-lustre.darshan");
/// Its name.
pub(crate) const LOG_NAME: &str = "ckpt-fpp-n16-lustre.darshan";

/// Pauses below this are left out: the emulation does not move in finer steps.
const PAUSE_MIN_S: f64 = 0.005;

/// What one rank does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Elsewhere for so many seconds.
    Think(f64),
    /// Opens a file of this name, which is made where it does not exist.
    Open(String),
    /// Moves bytes; as recorded, to be scaled.
    Write(u64),
    /// As [`Step::Write`].
    Read(u64),
    /// Ends the open file.
    Close,
    /// Meets the other members of a group.
    Meet(usize),
}

/// A job's operations.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pattern {
    /// By rank.
    pub(super) ranks: Vec<Vec<Step>>,
    /// Number of members of each group.
    pub(super) groups: Vec<usize>,
    /// Files that the job makes.
    pub(super) files: u64,
    /// Bytes of the largest of them, as recorded.
    pub(super) file_bytes: u64,
}

impl Pattern {
    /// The bundled log's, with pauses multiplied by `think_factor` and the first `files_max` files of each rank.
    pub(super) fn bundled(think_factor: f64, files_max: usize) -> Result<Self, DemoError> {
        let bad = |reason: String| DemoError::Log { name: LOG_NAME, reason };
        let log = Log::from_bytes(LOG_NAME, LOG).map_err(|error| bad(error.to_string()))?;
        let converted =
            to_workload(&[&log], &ConvertOptions::default()).map_err(|error| bad(error.to_string()))?;
        Self::of(&converted.workload, think_factor, files_max).ok_or_else(|| bad("it holds no job".into()))
    }

    fn of(workload: &Workload, think_factor: f64, files_max: usize) -> Option<Self> {
        let job = workload.jobs.first()?;
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ranks = Vec::with_capacity(job.ranks.len());
        for rank in &job.ranks {
            let mut made: Vec<u32> = Vec::new();
            let mut steps = Vec::new();
            for op in &rank.ops {
                if let Action::Create { file } = op.action
                    && made.len() < files_max
                    && !made.contains(&file.0)
                {
                    made.push(file.0);
                }
                let think_s = op.think.as_secs_f64() * think_factor;
                // Files beyond the limit are left out with the pauses before them; meetings are kept, for the others.
                let kept = op.action.file().is_none_or(|file| made.contains(&file.0));
                if think_s >= PAUSE_MIN_S && kept {
                    steps.push(Step::Think(think_s));
                }
                match op.action {
                    Action::Create { file } | Action::Open { file } if kept => {
                        let name = &workload.files.get(file.0 as usize)?.name;
                        steps.push(Step::Open(name.rsplit('/').next()?.to_owned()));
                    }
                    Action::Write { file, bytes, .. } if kept => {
                        *sizes.entry(file.0).or_default() += bytes;
                        match steps.last_mut() {
                            // Writes that follow each other at once are one transfer.
                            Some(Step::Write(sum)) => *sum += bytes,
                            _ => steps.push(Step::Write(bytes)),
                        }
                    }
                    Action::Read { bytes, .. } if kept => match steps.last_mut() {
                        Some(Step::Read(sum)) => *sum += bytes,
                        _ => steps.push(Step::Read(bytes)),
                    },
                    Action::Close { .. } if kept => steps.push(Step::Close),
                    Action::Sync { group } => steps.push(Step::Meet(group.0 as usize)),
                    _ => {}
                }
            }
            ranks.push(steps);
        }
        let file_bytes = sizes.values().copied().max()?;
        let groups = job.groups.iter().map(Vec::len).collect();
        Some(Self { ranks, groups, files: sizes.len() as u64, file_bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_log_is_a_checkpointing_job() {
        let pattern = Pattern::bundled(0.1, usize::MAX).unwrap();
        assert_eq!((pattern.ranks.len(), pattern.files, pattern.file_bytes), (16, 128, 1 << 20));
        let short = Pattern::bundled(0.1, 2).unwrap();
        assert_eq!((short.ranks.len(), short.files), (16, 32));
        let meetings = |pattern: &Pattern| {
            let of = |steps: &Vec<Step>| steps.iter().filter(|step| matches!(step, Step::Meet(_))).count();
            pattern.ranks.iter().map(of).collect::<Vec<_>>()
        };
        assert_eq!(meetings(&pattern), meetings(&short));
    }
}
