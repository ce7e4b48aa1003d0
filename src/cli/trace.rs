//! `tarazu trace`.
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct TraceArgs {}

pub(crate) fn run(_args: &TraceArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
