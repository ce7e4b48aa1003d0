//! Darshan logs of the command line: how they are opened, what happens with damaged ones, and how they become a
//! workload.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use tarazu_darshan::{DarshanError, Log};
use tarazu_layout::Bytes;
use tarazu_workload::bench_output::Placement;
use tarazu_workload::darshan::{ConvertOptions, Converted, Mounts, RANKS_PER_NODE, to_workload};
use tarazu_workload::{Action, Workload, limits, recorder};

use super::output::message;
use super::words::{counted, whole_u32};

/// Logs that are read side by side: what looks at one log after the other needs the memory of these only.
pub(crate) const LOGS_AT_ONCE: usize = 32;

/// Inflated bytes of the logs that are converted together, which are all in memory until the last is read: their files
/// are shared by name. Ten thousand usual logs have less, and a larger machine than a workstation has more memory.
const HELD_BYTES_MAX: u64 = 8 << 30;

/// Logs that are kept in memory together.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) logs: Vec<Log>,
    bytes: u64,
}

impl Held {
    /// Keeps one more.
    pub(crate) fn add(&mut self, log: Log) -> Result<()> {
        self.add_within(log, HELD_BYTES_MAX)
    }

    fn add_within(&mut self, log: Log, limit: u64) -> Result<()> {
        let inflated = log.inflated.iter().map(|region| region.bytes).fold(0, u64::saturating_add);
        self.bytes = self.bytes.saturating_add(inflated);
        ensure!(
            self.bytes <= limit,
            "{}: with this log, number {}, the inflated logs have {}, and {} are read at once: name fewer logs, or make a \
             day of them with `tarazu trace compose`, which converts one after the other",
            log.file,
            self.logs.len() + 1,
            Bytes(self.bytes),
            Bytes(limit)
        );
        self.logs.push(log);
        Ok(())
    }
}

/// Exit code where something was broken and the rest was used.
pub(crate) const EXIT_TOLERATED: u8 = 4;

/// What is done with damaged logs.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Tolerance {
    /// Use what is intact of a damaged log; what is broken is named, and the exit code is 4
    #[arg(long)]
    tolerant: bool,
}

/// How the logs of one command were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Condition {
    /// Logs that were used.
    pub(crate) used: u64,
    /// Of those, damaged ones.
    damaged: u64,
    /// Logs that were not used.
    refused: u64,
}

impl Condition {
    /// The exit code of a command that did what it could with these logs.
    pub(crate) fn exit_code(self, tolerance: Tolerance) -> ExitCode {
        match self.damaged + self.refused {
            0 => ExitCode::SUCCESS,
            _ if tolerance.tolerant && self.used > 0 => ExitCode::from(EXIT_TOLERATED),
            _ => ExitCode::FAILURE,
        }
    }
}

impl Tolerance {
    /// Reads logs in parallel and hands over those that may be used, in the order of the paths. Whatever is wrong
    /// with one is said on standard error. `take` ends the reading early by `false`.
    pub(crate) fn open_each(
        self,
        paths: &[PathBuf],
        mut take: impl FnMut(Log) -> Result<bool>,
    ) -> Result<Condition> {
        let mut condition = Condition::default();
        let bar = progress(paths.len() as u64, "logs");
        for paths in paths.chunks(LOGS_AT_ONCE) {
            for outcome in Log::open_all(paths) {
                bar.inc(1);
                let Some(log) = bar.suspend(|| self.judge(outcome, &mut condition)) else { continue };
                if !take(log)? {
                    return Ok(condition);
                }
            }
        }
        bar.finish_and_clear();
        Ok(condition)
    }

    /// Decides about one log, and says what is wrong with it.
    fn judge(self, outcome: Result<Log, DarshanError>, condition: &mut Condition) -> Option<Log> {
        let log = match outcome {
            Ok(log) => log,
            Err(error) => {
                complain(&error);
                condition.refused += 1;
                return None;
            }
        };
        if log.faults.is_empty() {
            condition.used += 1;
            return Some(log);
        }
        log.faults.iter().for_each(complain);
        if self.tolerant {
            condition.used += 1;
            condition.damaged += 1;
            return Some(log);
        }
        condition.refused += 1;
        let faults = counted(log.faults.len() as u64, "fault");
        message(format_args!("{}: not used because of {faults}; --tolerant uses what is intact", log.file));
        None
    }
}

/// An error of one log on standard error.
fn complain(error: &DarshanError) {
    message(why(error));
}

/// An error of one log with its cause.
pub(crate) fn why(error: &DarshanError) -> String {
    match std::error::Error::source(&error.fault) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// A bar on standard error for work of many pieces; nothing where that is no terminal.
pub(crate) fn progress(pieces: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(pieces);
    let template = format!("{{wide_bar}} {{pos}} of {{len}} {what}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// Which files of a trace are kept, and on how many nodes its ranks ran.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Files of a log to keep: those on Lustre if the log has any, all, or those on any parallel file system
    #[arg(long, value_enum, default_value_t = Keep::Auto)]
    mounts: Keep,

    /// Keep only files of a log under this folder (repeatable)
    #[arg(long, value_name = "FOLDER", conflicts_with = "mounts")]
    under: Vec<String>,

    /// Compute nodes of a run whose output does not say how many ranks it had (HACC-IO), with --ranks-per-node
    #[arg(long, value_name = "N", value_parser = |text: &str| whole_u32(text, 1, limits::NODES_MAX))]
    nodes: Option<u32>,

    /// Ranks on a node where the trace does not say
    #[arg(
        long,
        value_name = "N",
        default_value_t = RANKS_PER_NODE,
        allow_negative_numbers = true,
        value_parser = |text: &str| whole_u32(text, 1, RANKS_PER_NODE_MAX)
    )]
    ranks_per_node: u32,
}

/// Ranks of one node: above any machine's hardware threads.
const RANKS_PER_NODE_MAX: u32 = 65_536;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Keep {
    Auto,
    All,
    Parallel,
}

impl LogArgs {
    /// Converts logs with these options.
    pub(crate) fn convert(&self, logs: &[Log]) -> Result<Converted> {
        let mounts = match self.mounts {
            _ if !self.under.is_empty() => Mounts::Prefixes(self.under.clone()),
            Keep::Auto => Mounts::Auto,
            Keep::All => Mounts::All,
            Keep::Parallel => Mounts::Parallel,
        };
        let options = ConvertOptions { ranks_per_node: self.ranks_per_node, mounts };
        Ok(to_workload(&logs.iter().collect::<Vec<_>>(), &options)?)
    }

    /// Where the ranks ran, for outputs of benchmarks that do not say.
    pub(crate) fn placement(&self) -> Option<Placement> {
        self.nodes.map(|nodes| Placement { nodes, ranks_per_node: self.ranks_per_node })
    }

    /// The same options for a Recorder trace, which names no mounts.
    pub(crate) fn for_recorder(&self, job: u64) -> recorder::ReadOptions {
        let keep = match self.mounts {
            _ if !self.under.is_empty() => recorder::Keep::Under(self.under.clone()),
            Keep::Auto | Keep::Parallel => recorder::Keep::Usual,
            Keep::All => recorder::Keep::All,
        };
        recorder::ReadOptions { keep, ranks_per_node: self.ranks_per_node, job }
    }
}

/// Fails where a workload neither moves bytes nor creates files: its replay would be an empty success.
/// `left_out_bytes` is what the logs moved in files that were not kept; `None` without logs.
pub(crate) fn ensure_something_left(workload: &Workload, left_out_bytes: Option<u64>) -> Result<()> {
    let mut ops = workload.jobs.iter().flat_map(|job| &job.ranks).flat_map(|rank| &rank.ops);
    let is_work =
        |action| matches!(action, Action::Create { .. } | Action::Read { .. } | Action::Write { .. });
    if ops.any(|op| is_work(op.action)) {
        return Ok(());
    }
    match left_out_bytes {
        None => bail!("nothing to replay: the workload moves no bytes and creates no files"),
        Some(0) => {
            bail!("nothing left to replay: the logs move no bytes and create no files that can be kept")
        }
        Some(bytes) => bail!(
            "nothing left to replay: all I/O of the logs, {}, is in files that were not kept; keep more with \
             --mounts all or --under FOLDER",
            Bytes(bytes)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_held_up_to_a_limit() {
        let bytes = include_bytes!("../../traces/darshan/ckpt-fpp-n16-lustre.darshan");
        let log = || Log::from_bytes("one.darshan", bytes).unwrap();
        let each: u64 = log().inflated.iter().map(|region| region.bytes).sum();
        assert!(each > bytes.len() as u64);
        let mut held = Held::default();
        for _ in 0..2 {
            held.add_within(log(), 3 * each - 1).unwrap();
        }
        let error = held.add_within(log(), 3 * each - 1).unwrap_err().to_string();
        assert!(error.contains("one.darshan") && error.contains("number 3"), "{error}");
        assert!(error.contains("fewer logs") && error.contains("trace compose"), "{error}");
        assert_eq!(held.logs.len(), 2);
    }
}
