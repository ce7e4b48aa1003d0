//! `tarazu status`: how all file systems stand.

use std::fmt::Write as _;
use std::process::ExitCode;

use tarazu_proto::v1::{FileSystemStatus, StatusRequest, StatusResponse};

use super::connect::{ControllerAddress, ask};
use super::tables::ago;
use super::{Form, print_json};
use crate::cli::output::{Output, note};
use crate::cli::words::counted;
use crate::controller::json;

#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    controller: ControllerAddress,
    /// Lines to read, or the schema tarazu.status/1
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

pub(crate) fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let question = async {
        let mut admin = args.controller.admin().await?;
        Ok(admin.status(StatusRequest {}).await?.into_inner())
    };
    let status = match ask(question)? {
        Ok(status) => status,
        Err(code) => return Ok(code),
    };
    match args.output {
        Form::Json => print_json(&json::status(&status))?,
        Form::Text => Output::print(&text(&status))?,
    }
    for warning in &status.warnings {
        note(warning);
    }
    Ok(ExitCode::SUCCESS)
}

fn text(status: &StatusResponse) -> String {
    let mut text = format!("controller  tarazu {}, up {}\n", status.version, ago(status.uptime_s));
    if status.file_systems.is_empty() {
        text.push_str("no file system yet: no agent has registered\n");
    }
    for fs in &status.file_systems {
        text.push('\n');
        file_system(&mut text, fs);
    }
    text
}

fn file_system(text: &mut String, fs: &FileSystemStatus) {
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<11} {value}");
    };
    line("file system", fs.name.clone());
    let policy = fs.policy.unwrap_or_default();
    let switch = |on: bool| if on { "on" } else { "off" };
    line(
        "policy",
        format!(
            "{}, canary {}, detection of slow targets {}",
            json::mode(Some(&policy)),
            switch(policy.canary),
            switch(policy.detect)
        ),
    );
    let plan = fs.order.map_or_else(
        || "none yet".into(),
        |order| {
            let rings = match (fs.starting, fs.steady_only) {
                (true, _) => "steady rings only: waiting for the agents' first reports",
                (false, true) => "steady rings only: fewer than half of the targets report",
                (false, false) => "load and health are used",
            };
            format!("({}, {}), stood by {} ago; {rings}", order.term, order.seq, ago(fs.order_age_s))
        },
    );
    line("plan", plan);
    line(
        "targets",
        format!(
            "{} ({} report, {} drained, {} get nothing)",
            fs.targets, fs.targets_fresh, fs.targets_drained, fs.targets_excluded
        ),
    );
    line("servers", format!("{} ({} connected)", fs.servers, fs.servers_connected));
    line("nodes", fs.nodes.to_string());
    line("jobs", format!("{} ({} of the table's entries are steered)", fs.jobs, fs.jobs_steered));
    line("files", format!("{} placed since the start", counted(fs.files_placed, "file")));
    if !fs.refused.is_empty() {
        let mut refused: Vec<(&String, &u64)> = fs.refused.iter().collect();
        refused.sort();
        let words: Vec<String> = refused.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        line("refused", words.join(", "));
    }
}
