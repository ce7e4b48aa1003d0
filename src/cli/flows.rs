//! `tarazu sim flows`.
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct FlowsArgs {}

pub(crate) fn run(_args: &FlowsArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
