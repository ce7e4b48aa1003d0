//! `tarazu analyze`: what Darshan logs say about a job's I/O, as coded findings with a fix.
//!
//! Findings go to standard output, one sentence about a healthy run to standard error. A log that cannot be
//! read is named, does not keep the others from being judged, and makes the exit code 1.

mod json;
mod text;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tarazu_darshan::Log;
use tarazu_workload::analyze::{Analyzer, Code, DEFAULTS_TOML, Finding, Severity, Thresholds};

use super::output::{Output, message};
use super::words::counted;
use super::{input, logs};

/// Bytes of a thresholds file: the one with all keys and comments has about 3 KiB.
const THRESHOLDS_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(crate) struct AnalyzeArgs {
    /// Darshan 3.x logs, or folders with *.darshan files
    #[arg(required_unless_present = "print_thresholds", value_name = "LOG")]
    logs: Vec<PathBuf>,

    /// Sentences to read, or the schema tarazu.analyze/1
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,

    /// TOML file with thresholds; what it leaves out keeps its default
    #[arg(long, value_name = "FILE")]
    thresholds: Option<PathBuf>,

    /// Print all thresholds with their defaults and meaning as TOML, and stop
    #[arg(long)]
    print_thresholds: bool,

    /// Exit with 1 where a finding is at least this severe
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    Info,
    Advice,
    Warning,
}

impl FailOn {
    const fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Advice => Severity::Advice,
            Self::Warning => Severity::Warning,
        }
    }
}

/// What all logs gave.
#[derive(Debug, Default)]
struct Report {
    /// Logs that were judged.
    logs: u64,
    /// Logs that were not, and why.
    unreadable: Vec<(String, String)>,
    findings: Vec<Finding>,
}

pub(crate) fn run(args: &AnalyzeArgs) -> anyhow::Result<ExitCode> {
    if args.print_thresholds {
        Output::print(DEFAULTS_TOML)?;
        return Ok(ExitCode::SUCCESS);
    }
    let thresholds = args.thresholds.as_deref().map(read_thresholds).transpose()?.unwrap_or_default();
    let report = judge(&input::logs(&args.logs)?, thresholds);
    for (_, why) in &report.unreadable {
        message(why);
    }
    match args.output {
        Form::Text => Output::print(&text::report(&report))?,
        Form::Json => Output::print(&json::report(&report)?)?,
    }
    if report.logs > 0 && report.findings.is_empty() {
        message(format_args!("{} read, nothing found", counted(report.logs, "log")));
    }
    Ok(exit_code(&report, args.fail_on))
}

fn judge(paths: &[PathBuf], thresholds: Thresholds) -> Report {
    let mut analyzer = Analyzer::new(thresholds);
    let mut report = Report::default();
    let bar = logs::progress(paths.len() as u64, "logs");
    let all = paths.chunks(logs::LOGS_AT_ONCE).flat_map(|paths| paths.iter().zip(Log::open_all(paths)));
    for (path, outcome) in all {
        bar.inc(1);
        match outcome {
            Ok(log) => {
                report.logs += 1;
                report.findings.extend(analyzer.add(&log));
            }
            Err(error) => report.unreadable.push((path.display().to_string(), logs::why(&error))),
        }
    }
    bar.finish_and_clear();
    report.findings.extend(analyzer.finish());
    report
}

fn read_thresholds(path: &Path) -> anyhow::Result<Thresholds> {
    let name = path.display();
    let cannot = || format!("cannot read the thresholds {name}");
    // The size in the directory says nothing of a device or a pipe.
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot)?;
    file.take(THRESHOLDS_BYTES_MAX + 1).read_to_end(&mut bytes).with_context(cannot)?;
    anyhow::ensure!(
        bytes.len() as u64 <= THRESHOLDS_BYTES_MAX,
        "the thresholds {name} have more than {THRESHOLDS_BYTES_MAX} bytes, and are refused; is it the right \
         file?"
    );
    let text = String::from_utf8(bytes).with_context(cannot)?;
    Thresholds::from_toml(&text).with_context(|| format!("thresholds {name}"))
}

fn exit_code(report: &Report, fail_on: Option<FailOn>) -> ExitCode {
    let is_bad = |finding: &Finding| fail_on.is_some_and(|fail_on| finding.severity >= fail_on.severity());
    if !report.unreadable.is_empty() || report.findings.iter().any(is_bad) {
        return ExitCode::FAILURE;
    }
    let is_damaged = report.findings.iter().any(|finding| finding.code == Code::DamagedData);
    if is_damaged { ExitCode::from(logs::EXIT_TOLERATED) } else { ExitCode::SUCCESS }
}
