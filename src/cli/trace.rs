//! `tarazu trace`: shows what Darshan logs say and converts them into the workload format.
//!
//! A log that cannot be read is named on standard error and does not keep the others from being shown;
//! the exit code then is 1.

mod json;
mod text;

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tarazu_workload::csv_format;
use tarazu_workload::darshan::{ConvertOptions, DarshanError, Log, Mounts, RANKS_PER_NODE, to_workload};

/// Logs that are read side by side, so that showing thousands needs the memory of these only.
const LOGS_AT_ONCE: usize = 32;

#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    /// Show jobs, modules, bytes, striping and the largest files of Darshan logs
    Show(ShowArgs),
    /// Convert Darshan logs into one workload in the CSV format tarazu.workload/1
    Convert(ConvertArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Darshan 3.x logs
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// A summary to read, or the schema tarazu.trace/1 with all counters
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
struct ConvertArgs {
    /// Darshan 3.x logs; each becomes a job, at its time relative to the earliest
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Where the CSV is written, - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Files to keep: those on Lustre if the log has any, all, or those on any parallel file system
    #[arg(long, value_enum, default_value_t = Keep::Auto)]
    mounts: Keep,
    /// Keep only files under this folder; may be repeated
    #[arg(long, value_name = "FOLDER", conflicts_with = "mounts")]
    under: Vec<String>,
    /// Ranks on a node where the log has no host names
    #[arg(long, value_name = "COUNT", default_value_t = RANKS_PER_NODE, value_parser = clap::value_parser!(u32).range(1..))]
    ranks_per_node: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Keep {
    Auto,
    All,
    Parallel,
}

pub(crate) fn run(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    match &args.tool {
        Tool::Show(args) => show(args),
        Tool::Convert(args) => convert(args),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let mut whole = true;
    let mut shown = String::new();
    let mut entries = 0u64;
    let mut out = std::io::stdout().lock();
    for paths in args.logs.chunks(LOGS_AT_ONCE) {
        for outcome in Log::open_all(paths) {
            let log = match outcome {
                Ok(log) => log,
                Err(error) => {
                    complain(&error);
                    whole = false;
                    continue;
                }
            };
            log.faults.iter().for_each(complain);
            whole &= log.faults.is_empty();
            match args.output {
                Output::Text => shown.push_str(&text::summary(&log)),
                Output::Json => {
                    shown.push_str(if entries == 0 { json::OPENING } else { ",\n" });
                    shown.push_str(&json::entry(&log)?);
                }
            }
            entries += 1;
        }
        if !print(&mut out, &shown)? {
            return Ok(ExitCode::SUCCESS);
        }
        shown.clear();
    }
    if args.output == Output::Json {
        let opening = if entries == 0 { json::OPENING } else { "" };
        print(&mut out, &format!("{opening}{}", json::CLOSING))?;
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes; `false` where the reader has gone, as `head` does.
fn print(out: &mut impl Write, text: &str) -> anyhow::Result<bool> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to standard output"),
    }
}

fn convert(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let mut logs = Vec::with_capacity(args.logs.len());
    let mut whole = true;
    for outcome in Log::open_all(&args.logs) {
        match outcome {
            Ok(log) => {
                whole &= log.faults.is_empty();
                logs.push(log);
            }
            Err(error) => {
                complain(&error);
                whole = false;
            }
        }
    }
    anyhow::ensure!(!logs.is_empty(), "no log could be read, so nothing was written");
    let mounts = match args.mounts {
        _ if !args.under.is_empty() => Mounts::Prefixes(args.under.clone()),
        Keep::Auto => Mounts::Auto,
        Keep::All => Mounts::All,
        Keep::Parallel => Mounts::Parallel,
    };
    let options = ConvertOptions { ranks_per_node: args.ranks_per_node, mounts };
    let converted = to_workload(&logs.iter().collect::<Vec<_>>(), &options)?;
    for note in &converted.notes {
        eprintln!("tarazu: note: {note}");
    }
    if args.out == Path::new("-") {
        csv_format::write(&converted.workload, std::io::stdout().lock())?;
    } else {
        let name = args.out.display();
        let file = File::create(&args.out).with_context(|| format!("cannot create {name}"))?;
        let mut file = BufWriter::new(file);
        csv_format::write(&converted.workload, &mut file).with_context(|| format!("cannot write {name}"))?;
        file.flush().with_context(|| format!("cannot write {name}"))?;
    }
    let totals = converted.workload.totals();
    eprintln!(
        "tarazu: {} jobs, {} ranks, {} files, {} operations, {} read, {} written",
        converted.workload.jobs.len(),
        totals.ranks,
        converted.workload.files.len(),
        totals.ops,
        tarazu_layout::Bytes(totals.read_bytes),
        tarazu_layout::Bytes(totals.written_bytes),
    );
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An error of one log on standard error, with its cause.
fn complain(error: &DarshanError) {
    match std::error::Error::source(&error.fault) {
        Some(cause) => eprintln!("tarazu: {error}: {cause}"),
        None => eprintln!("tarazu: {error}"),
    }
}
