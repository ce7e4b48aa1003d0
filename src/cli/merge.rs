//! `tarazu sim merge`: the shares of one sweep, simulated apart, as one result.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::Value;
use tarazu_sim::merge::{Merged, Part, merge};
use tarazu_sim::report::write_csv;

use super::output::{self, CANNOT_WRITE};
use super::sim::text;

#[derive(Debug, clap::Args)]
pub(crate) struct MergeArgs {
    /// What `tarazu sim --shard N/COUNT --output json` wrote, all of it
    #[arg(required = true, value_name = "PART.json")]
    parts: Vec<PathBuf>,
    /// A table to read, the schema tarazu.sim/1, or a row for each run
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
    Csv,
}

pub(crate) fn run(args: &MergeArgs) -> Result<ExitCode> {
    let mut parts = Vec::with_capacity(args.parts.len());
    for path in &args.parts {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        parts.push(Part::read(&text, &name)?);
    }
    let merged = merge(parts)?;
    let mut out = output::Output::open();
    match args.output {
        Form::Text => out.put(&show(&merged))?,
        Form::Json => {
            serde_json::to_writer_pretty(&mut out, &merged.report()).context(CANNOT_WRITE)?;
            writeln!(out).context(CANNOT_WRITE)?;
        }
        Form::Csv => write_csv(&merged.results, &mut out).context(CANNOT_WRITE)?,
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Head and table; what a run says below its table needs the workload, which only the shares had.
fn show(merged: &Merged) -> String {
    let said = |table: &str, key: &str| match &merged.head[table][key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(out, "system    {}: {}", said("system", "name"), said("system", "description"));
    let _ = writeln!(out, "workload  {}", said("workload", "source"));
    let _ = writeln!(
        out,
        "scenario  striping {}, background {}, forecast {}",
        said("scenario", "striping"),
        said("scenario", "background"),
        said("scenario", "forecast")
    );
    let _ = writeln!(out, "seeds     {} seeds of all shares\n", merged.results.seeds.len());
    out.push_str(&text::table(&merged.results, text::width()));
    out
}
