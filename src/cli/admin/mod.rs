//! What administrators ask a controller: `status`, `ost`, `policy`, `explain`. Data goes to standard output.

mod connect;
mod explain;
mod ost;
mod osts;
mod policy;
mod status;
mod tables;

pub(crate) use explain::{ExplainArgs, run as explain};
pub(crate) use ost::{OstArgs, run as ost};
pub(crate) use policy::{PolicyArgs, run as policy};
pub(crate) use status::{StatusArgs, run as status};

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Prints a value as JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    super::output::Output::print(&text)
}
