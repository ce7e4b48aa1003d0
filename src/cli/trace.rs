//! `tarazu trace`: shows what Darshan logs say, and makes workload files of traces of all kinds.
//!
//! A log that cannot be used is named on standard error and does not keep the others from being shown;
//! the exit code then is 1, or 4 where the user was tolerant.

mod json;
mod text;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tarazu_workload::{Workload, csv_format};

use super::compose;
use super::input::{self, Trace};
use super::logs::{self, LogArgs, Tolerance};
use super::output::{self, message, note};
use super::words::counted;

#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, clap::Subcommand)]
enum Tool {
    /// Show jobs, modules, bytes, striping and the largest files of Darshan logs
    Show(ShowArgs),
    /// Convert traces into one workload in the CSV format tarazu.workload/1
    Convert(ConvertArgs),
    /// Compose logs, workload files and generators into a day of a machine
    Compose(compose::ComposeArgs),
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// Darshan 3.x logs, or folders with *.darshan files
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,
    #[command(flatten)]
    tolerance: Tolerance,
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
    /// Darshan 3.x logs or folders of them, each log a job at its time relative to the earliest; Recorder traces;
    /// outputs of IOR, mdtest and HACC-IO (which needs --nodes); workload files
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    #[command(flatten)]
    tolerance: Tolerance,
    /// Seed of what a benchmark's output leaves open
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
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
        Tool::Compose(args) => compose::run(args),
    }
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let paths = input::logs(&args.logs)?;
    let mut entries = 0u64;
    let mut out = output::Output::open();
    let condition = args.tolerance.open_each(&paths, |log| {
        match args.output {
            Output::Text => out.put(&text::summary(&log))?,
            Output::Json => {
                out.put(if entries == 0 { json::OPENING } else { ",\n" })?;
                out.put(&json::entry(&log)?)?;
            }
        }
        entries += 1;
        // Nobody reads any more, as after `| head`: the remaining logs need not be opened.
        out.hand_over()
    })?;
    if args.output == Output::Json {
        let opening = if entries == 0 { json::OPENING } else { "" };
        out.put(&format!("{opening}{}", json::CLOSING))?;
    }
    out.finish()?;
    Ok(condition.exit_code(args.tolerance))
}

fn convert(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let joined = input::read(&Trace::of_all(&args.traces)?, &args.select, args.tolerance, args.seed)?;
    joined.notes.iter().for_each(note);
    let (left_out_bytes, condition) = (joined.left_out_bytes, joined.condition);
    let workload = joined.workload()?;
    logs::ensure_something_left(&workload, left_out_bytes)?;
    write_csv(&workload, &args.out)?;
    let totals = workload.totals();
    message(format_args!(
        "{}, {}, {}, {}, {} read, {} written",
        counted(workload.jobs.len() as u64, "job"),
        counted(totals.ranks, "rank"),
        counted(workload.files.len() as u64, "file"),
        counted(totals.ops, "operation"),
        tarazu_layout::Bytes(totals.read_bytes),
        tarazu_layout::Bytes(totals.written_bytes),
    ));
    Ok(condition.exit_code(args.tolerance))
}

/// Writes a workload to a file, or to standard output for `-`.
pub(super) fn write_csv(workload: &Workload, out: &Path) -> anyhow::Result<()> {
    if out == Path::new("-") {
        let mut out = output::Output::open();
        csv_format::write(workload, &mut out)?;
        return out.finish();
    }
    let name = out.display();
    let file = File::create(out).with_context(|| format!("cannot create {name}"))?;
    let mut file = BufWriter::new(file);
    csv_format::write(workload, &mut file).with_context(|| format!("cannot write {name}"))?;
    file.flush().with_context(|| format!("cannot write {name}"))
}
