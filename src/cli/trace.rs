//! `tarazu trace`: shows what Darshan logs say and converts them into the workload format.
//!
//! A log that cannot be read is named on standard error and does not keep the others from being shown;
//! the exit code then is 1.

mod json;
mod text;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tarazu_darshan::{DarshanError, Log};
use tarazu_workload::csv_format;

use super::logs::{self, LogArgs};
use super::output::{self, message, note};
use super::words::counted;

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
    #[command(flatten)]
    select: LogArgs,
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
    let mut out = output::Output::open();
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
        out.put(&shown)?;
        // Nobody reads any more, as after `| head`: the remaining logs need not be opened.
        if !out.hand_over()? {
            return Ok(ExitCode::SUCCESS);
        }
        shown.clear();
    }
    if args.output == Output::Json {
        let opening = if entries == 0 { json::OPENING } else { "" };
        out.put(&format!("{opening}{}", json::CLOSING))?;
    }
    out.finish()?;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
    let converted = logs::convert(&logs, &args.select)?;
    converted.notes.iter().for_each(note);
    logs::ensure_something_left(&converted.workload, Some(converted.left_out_bytes))?;
    if args.out == Path::new("-") {
        let mut out = output::Output::open();
        csv_format::write(&converted.workload, &mut out)?;
        out.finish()?;
    } else {
        let name = args.out.display();
        let file = File::create(&args.out).with_context(|| format!("cannot create {name}"))?;
        let mut file = BufWriter::new(file);
        csv_format::write(&converted.workload, &mut file).with_context(|| format!("cannot write {name}"))?;
        file.flush().with_context(|| format!("cannot write {name}"))?;
    }
    let totals = converted.workload.totals();
    let workload = &converted.workload;
    message(format_args!(
        "{}, {}, {}, {}, {} read, {} written",
        counted(workload.jobs.len() as u64, "job"),
        counted(totals.ranks, "rank"),
        counted(workload.files.len() as u64, "file"),
        counted(totals.ops, "operation"),
        tarazu_layout::Bytes(totals.read_bytes),
        tarazu_layout::Bytes(totals.written_bytes),
    ));
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// An error of one log on standard error, with its cause.
fn complain(error: &DarshanError) {
    match std::error::Error::source(&error.fault) {
        Some(cause) => message(format_args!("{error}: {cause}")),
        None => message(error),
    }
}
