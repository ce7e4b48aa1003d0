//! How Darshan logs become a workload: the options that `tarazu sim` and `tarazu trace convert` share, and what
//! is said when nothing of the logs is left.

use anyhow::{Result, bail};
use tarazu_darshan::Log;
use tarazu_layout::Bytes;
use tarazu_workload::darshan::{ConvertOptions, Converted, Mounts, RANKS_PER_NODE, to_workload};
use tarazu_workload::{Action, Workload};

use super::words::whole_u32;

/// Which files of a log are kept, and on how many nodes its ranks ran.
#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    /// Files of a log to keep: those on Lustre if the log has any, all, or those on any parallel file system
    #[arg(long, value_enum, default_value_t = Keep::Auto)]
    mounts: Keep,

    /// Keep only files of a log under this folder (repeatable)
    #[arg(long, value_name = "FOLDER", conflicts_with = "mounts")]
    under: Vec<String>,

    /// Ranks on a node where the log has no host names
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

/// Converts logs with these options.
pub(crate) fn convert(logs: &[Log], args: &LogArgs) -> Result<Converted> {
    let mounts = match args.mounts {
        _ if !args.under.is_empty() => Mounts::Prefixes(args.under.clone()),
        Keep::Auto => Mounts::Auto,
        Keep::All => Mounts::All,
        Keep::Parallel => Mounts::Parallel,
    };
    let options = ConvertOptions { ranks_per_node: args.ranks_per_node, mounts };
    Ok(to_workload(&logs.iter().collect::<Vec<_>>(), &options)?)
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
