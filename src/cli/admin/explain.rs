//! `tarazu explain FILE`: asked, decided, got, and why. Without a file: why the plan in force is as it is.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use tarazu::{Mode, Options, Session};
use tarazu_layout::{Bytes, OstIndex};
use tarazu_proto::v1::{ExplainRequest, ExplainResponse, JobName, TargetWhy};

use super::connect::{ControllerAddress, ask};
use super::tables::{Column, ago, lines, mib, percent};
use super::{Form, print_json};
use crate::cli::node::run_dir;
use crate::cli::output::{Output, note};
use crate::controller::json;
use crate::node::decisions;

/// The answer is only a part: the controller did not answer.
const EXIT_PARTIAL: u8 = 4;

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// A file that was made on this node; without one, the plan in force is explained
    file: Option<PathBuf>,
    /// The file system, where the controller has several
    #[arg(long = "file-system", value_name = "NAME", default_value = "")]
    file_system: String,
    /// A job, by its number: say whether its files are steered, and why
    #[arg(long, value_name = "ID")]
    job: Option<u64>,
    /// The job's user [default: who asks]
    #[arg(long, value_name = "UID", requires = "job")]
    uid: Option<u32>,
    /// The job's program, without its path
    #[arg(long, value_name = "NAME", requires = "job", default_value = "")]
    executable: String,
    /// A file name with the ending that is meant, such as x.h5
    #[arg(long, value_name = "NAME", requires = "job", default_value = "")]
    ending: String,
    /// Run directory of this node's daemon [default: $TARAZU_RUN_DIR, else /run/tarazu]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Lines to read, or the schema tarazu.plan/1 of the targets' part
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let mut osts = Vec::new();
    if let Some(file) = &args.file {
        let stored = layout(file)?;
        if args.output == Form::Text {
            Output::print(&of_file(args, file, &stored)?)?;
        }
        osts = stored.iter().map(|ost| ost.0).collect();
        if osts.is_empty() {
            note("the file has no objects on targets yet, so no target is explained");
            return Ok(ExitCode::SUCCESS);
        }
    }
    let request =
        ExplainRequest { file_system: args.file_system.clone(), ost_indices: osts, name: args.name() };
    let question = async {
        let mut placement = args.controller.placement().await?;
        Ok(placement.explain(request).await?.into_inner())
    };
    let explained = match ask(question)? {
        Ok(explained) => explained,
        // The file's own part was printed.
        Err(_) if args.file.is_some() && args.output == Form::Text => {
            return Ok(ExitCode::from(EXIT_PARTIAL));
        }
        Err(code) => return Ok(code),
    };
    match args.output {
        Form::Json => print_json(&json::explain(&args.file_system, &explained))?,
        Form::Text => {
            let job = args.job.map_or_else(String::new, |job| format!("\n{}", of_job(&explained, job)));
            Output::print(&format!("{}{job}", of_plan(&explained)))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl ExplainArgs {
    fn name(&self) -> Option<JobName> {
        let uid = self.uid.unwrap_or_else(|| rustix::process::getuid().as_raw());
        let executable_hash = tarazu_layout::hash::bytes(self.executable.as_bytes());
        let ending = self.ending.clone();
        self.job.map(|job| JobName { uid, job, executable_hash, ending })
    }
}

/// What the plan says of a job.
fn of_job(explained: &ExplainResponse, job: u64) -> String {
    let Some(why) = &explained.job else {
        return format!(
            "job {job}: the plan does not know it; it is left to the file system (unknown_job)\n"
        );
    };
    let done = if why.steered { "steered" } else { "left to the file system" };
    format!(
        "job {job}: {done} ({}); its last stripe is expected after {:.2} s as planned, {:.2} s without; worth it from {:.2} s \
         on; files of {}\n",
        why.why,
        why.planned_s,
        why.stock_s,
        why.cost_s,
        Bytes(why.expected_bytes)
    )
}

/// Targets of the file's first component that has any.
fn layout(file: &Path) -> anyhow::Result<Vec<OstIndex>> {
    let session = Session::open(Options { mode: Mode::Observe, ..Options::from_environment() });
    let stored =
        session.layout_of(file).with_context(|| format!("cannot read the layout of {}", file.display()))?;
    Ok(stored.first_list().to_vec())
}

fn of_file(args: &ExplainArgs, file: &Path, got: &[OstIndex]) -> anyhow::Result<String> {
    let run_dir = run_dir(args.run_dir.as_deref());
    let uid = rustix::process::getuid().as_raw();
    // The daemon knows paths as applications gave them: as typed, or absolute.
    let absolute = std::path::absolute(file)?;
    let find = |path: &Path| decisions::latest(&run_dir, uid, path.as_os_str().as_bytes());
    let decision =
        match find(file).with_context(|| format!("cannot read decisions in {}", run_dir.display()))? {
            Some(decision) => Some(decision),
            None => find(&absolute).ok().flatten(),
        };
    let names = |osts: &[OstIndex]| osts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    // Writing to a string cannot fail.
    let mut text = format!("{}\n", file.display());
    match decision {
        Some(decision) => {
            let at = json::rfc3339(decision.at.0);
            let _ =
                writeln!(text, "decided  {} (file system {}, {at})", decision.words, decision.file_system);
        }
        None => {
            let place = run_dir.display();
            let _ = writeln!(
                text,
                "decided  nothing that this node's daemon still knows of (run directory {place})"
            );
        }
    }
    let got = if got.is_empty() { "no targets".into() } else { names(got) };
    let _ = writeln!(text, "got      {got}\n");
    Ok(text)
}

const COLUMNS: [Column; 7] = [
    ("TARGET", false),
    ("WHY", false),
    ("HEALTH", true),
    ("RAMP", true),
    ("LEFT MiB/s", true),
    ("WAITING s", true),
    ("TICKETS", true),
];

fn of_plan(explained: &ExplainResponse) -> String {
    let Some(order) = explained.order else { return "no plan yet\n".into() };
    let rings = if explained.steady_only { ", steady rings only" } else { "" };
    let mut text =
        format!("plan ({}, {}), made {} ago{rings}\n\n", order.term, order.seq, ago(explained.age_s));
    let row = |why: &TargetWhy| {
        let tickets = why.ticket_shares.iter().sum::<f64>() / why.ticket_shares.len().max(1) as f64;
        vec![
            format!("OST{:04x}", why.ost_index),
            why.reason.clone(),
            percent(why.health),
            percent(why.ramp),
            mib(why.write_bps),
            format!("{:.2}", why.waiting_s),
            format!("{:.1} %", tickets * 100.0),
        ]
    };
    text.push_str(&lines(&COLUMNS, explained.targets.iter().map(row).collect(), true));
    for why in explained.targets.iter().filter(|why| !why.judged.is_empty()) {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "OST{:04x}: {}", why.ost_index, why.judged);
    }
    text
}
