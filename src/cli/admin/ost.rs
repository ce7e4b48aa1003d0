//! `tarazu ost`: targets, and taking them out and back in.

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Subcommand;
use tarazu_proto::v1::{DrainRequest, ListTargetsRequest, ResumeRequest, Target};

use super::connect::{ControllerAddress, ask};
use super::osts::{Named, parse};
use super::tables::{Column, ago, lines, mib, percent};
use super::{Form, print_json};
use crate::cli::output::{Output, note};
use crate::cli::words::counted;
use crate::controller::json;

#[derive(Debug, clap::Args)]
pub(crate) struct OstArgs {
    #[command(subcommand)]
    tool: OstTool,
}

#[derive(Debug, Subcommand)]
enum OstTool {
    /// One line a target: state, load, health, and who took it out
    List(ListArgs),
    /// Take targets out of new layouts; files that are there stay
    Drain(DrainArgs),
    /// Give targets back
    Resume(ResumeArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// One file system only
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// Only targets that are not ok, with reasons in full
    #[arg(long)]
    reasons: bool,
    /// Sort by this column
    #[arg(long, value_enum, default_value_t = Sort::Index)]
    sort: Sort,
    /// Print at most so many
    #[arg(short, long, value_name = "COUNT")]
    limit: Option<usize>,
    /// No header
    #[arg(long)]
    no_header: bool,
    /// Lines to read, or the schema tarazu.targets/1
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sort {
    /// File system and index
    Index,
    /// Bytes read and written a second, the most first
    Load,
    /// Speed against the hardware class, the slowest first
    Health,
    /// Free space, the least first
    Free,
}

#[derive(Debug, clap::Args)]
struct DrainArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// Targets: OST0007, 7, 0x7, scratch-OST0007, or lists such as 1,2-4
    #[arg(required = true, value_name = "OST")]
    osts: Vec<String>,
    /// Why, for whoever looks
    #[arg(long)]
    reason: String,
    /// When it ends by itself: a time such as 2027-01-31T08:00:00Z, or a span such as 2h
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The file system, where the controller has several and the names do not say it
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
struct ResumeArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// Targets, as for drain
    #[arg(required = true, value_name = "OST")]
    osts: Vec<String>,
    /// The file system, where the controller has several and the names do not say it
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(args: &OstArgs) -> anyhow::Result<ExitCode> {
    match &args.tool {
        OstTool::List(args) => list(args),
        OstTool::Drain(args) => drain(args),
        OstTool::Resume(args) => resume(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let question = async {
        let mut admin = args.controller.admin().await?;
        let request = ListTargetsRequest { file_system: args.file_system.clone() };
        Ok(admin.list_targets(request).await?.into_inner().targets)
    };
    let mut targets = match ask(question)? {
        Ok(targets) => targets,
        Err(code) => return Ok(code),
    };
    sort(&mut targets, args.sort);
    if args.reasons {
        targets.retain(|target| target.state != "ok");
    }
    targets.truncate(args.limit.unwrap_or(usize::MAX));
    match args.output {
        Form::Json => print_json(&json::targets(&targets))?,
        Form::Text if args.reasons => Output::print(&reasons(&targets, !args.no_header))?,
        Form::Text => Output::print(&table(&targets, !args.no_header))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn sort(targets: &mut [Target], by: Sort) {
    match by {
        // As it came.
        Sort::Index => {}
        Sort::Load => targets.sort_by(|one, other| {
            (other.read_bps + other.write_bps).total_cmp(&(one.read_bps + one.write_bps))
        }),
        Sort::Health => targets.sort_by(|one, other| one.health.total_cmp(&other.health)),
        Sort::Free => targets.sort_by_key(|target| target.free_bytes),
    }
}

const COLUMNS: [Column; 11] = [
    ("FILE SYSTEM", false),
    ("TARGET", false),
    ("SERVER", false),
    ("STATE", false),
    ("READ MiB/s", true),
    ("WRITE MiB/s", true),
    ("HEALTH", true),
    ("FREE", true),
    ("TICKETS", true),
    ("OPEN FILES", true),
    ("SAMPLE AGE", true),
];

fn table(targets: &[Target], with_header: bool) -> String {
    let row = |target: &Target| {
        let free = target.free_bytes as f64 / target.capacity_bytes.max(1) as f64;
        let state = match target.reason.as_str() {
            "" => target.state.clone(),
            reason if reason == target.state => target.state.clone(),
            reason => format!("{}: {reason}", target.state),
        };
        vec![
            target.file_system.clone(),
            format!("OST{:04x}", target.ost_index),
            target.server.clone(),
            state,
            mib(target.read_bps),
            mib(target.write_bps),
            percent(target.health),
            percent(free),
            format!("{:.1} %", target.ticket_share * 100.0),
            target.open_files.to_string(),
            target.sample_age_s.map_or_else(|| "none yet".into(), ago),
        ]
    };
    lines(&COLUMNS, targets.iter().map(row).collect(), with_header)
}

fn reasons(targets: &[Target], with_header: bool) -> String {
    const COLUMNS: [Column; 7] = [
        ("FILE SYSTEM", false),
        ("TARGET", false),
        ("STATE", false),
        ("REASON", false),
        ("BY", false),
        ("SINCE", false),
        ("UNTIL", false),
    ];
    let row = |target: &Target| {
        let drain = target.drain.as_ref();
        vec![
            target.file_system.clone(),
            format!("OST{:04x}", target.ost_index),
            target.state.clone(),
            drain.map_or_else(|| target.reason.clone(), |drain| drain.reason.clone()),
            drain.map_or_else(|| "tarazu".into(), |drain| drain.by.clone()),
            drain.map_or_else(String::new, |drain| json::rfc3339(drain.since_unix_ns)),
            drain.and_then(|drain| drain.until_unix_ns).map_or_else(|| "-".into(), json::rfc3339),
        ]
    };
    lines(&COLUMNS, targets.iter().map(row).collect(), with_header)
}

/// The file system that names and flag agree on.
fn of_file_system(named: &Named, flag: &str) -> anyhow::Result<String> {
    match &named.file_system {
        Some(name) if !flag.is_empty() && name != flag => {
            anyhow::bail!("the targets are of file system {name}, not of {flag}")
        }
        Some(name) => Ok(name.clone()),
        None => Ok(flag.to_owned()),
    }
}

fn drain(args: &DrainArgs) -> anyhow::Result<ExitCode> {
    let named = parse(&args.osts)?;
    ensure!(!args.reason.trim().is_empty(), "give a reason: whoever finds the target drained needs it");
    let file_system = of_file_system(&named, &args.file_system)?;
    let until_unix_ns = args.until.as_deref().map(|text| moment(text, now())).transpose()?;
    let said = format!(
        "{}{}",
        list_of(&named.indices),
        until_unix_ns.map_or_else(String::new, |until| format!(", until {}", json::rfc3339(until)))
    );
    if args.dry_run {
        note(format_args!("would drain {said}; nothing was done"));
        return Ok(ExitCode::SUCCESS);
    }
    let request = DrainRequest {
        file_system,
        ost_indices: named.indices,
        reason: args.reason.clone(),
        until_unix_ns,
        by: who(),
    };
    let question = async {
        let mut admin = args.controller.admin().await?;
        Ok(admin.drain(request).await?.into_inner())
    };
    if let Err(code) = ask(question)? {
        return Ok(code);
    }
    note(format_args!("drained and durable: {said}"));
    Ok(ExitCode::SUCCESS)
}

fn resume(args: &ResumeArgs) -> anyhow::Result<ExitCode> {
    let named = parse(&args.osts)?;
    let file_system = of_file_system(&named, &args.file_system)?;
    let said = list_of(&named.indices);
    if args.dry_run {
        note(format_args!("would give back {said}; nothing was done"));
        return Ok(ExitCode::SUCCESS);
    }
    let request = ResumeRequest { file_system, ost_indices: named.indices, by: who() };
    let question = async {
        let mut admin = args.controller.admin().await?;
        Ok(admin.resume(request).await?.into_inner())
    };
    if let Err(code) = ask(question)? {
        return Ok(code);
    }
    note(format_args!("given back and durable: {said}"));
    Ok(ExitCode::SUCCESS)
}

fn list_of(indices: &[u32]) -> String {
    const SHOWN_MAX: usize = 16;
    let shown: Vec<String> = indices.iter().take(SHOWN_MAX).map(|index| format!("OST{index:04x}")).collect();
    let more = indices.len().saturating_sub(SHOWN_MAX);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} {}{rest}", counted(indices.len() as u64, "target"), shown.join(" "))
}

/// Who types, for the record: nobody proves it.
fn who() -> String {
    let name = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    name.unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()))
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A moment, or a span from now on, as nanoseconds since 1970.
fn moment(text: &str, now: jiff::Timestamp) -> anyhow::Result<u64> {
    let moment = match humantime::parse_duration(text) {
        Ok(span) => now.checked_add(span).context("that is beyond all dates")?,
        Err(_) => text.parse::<jiff::Timestamp>().with_context(|| {
            format!("{text:?} is no time: write 2027-01-31T08:00:00Z, or a span such as 2h or 3days")
        })?,
    };
    ensure!(moment > now, "{text:?} is over already");
    // Times before 1970 were refused with the past.
    Ok(u64::try_from(moment.as_nanosecond()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_moments_or_spans() {
        let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(moment("2h", now).unwrap(), moment("2026-01-01T02:00:00Z", now).unwrap());
        assert_eq!(json::rfc3339(moment("90s", now).unwrap()), "2026-01-01T00:01:30Z");
        for wrong in ["", "yesterday", "2025-12-31T00:00:00Z", "0s"] {
            assert!(moment(wrong, now).is_err(), "{wrong}");
        }
    }
}
