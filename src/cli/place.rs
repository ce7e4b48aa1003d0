//! `tarazu place`: one placement problem, its optimum, and a list of targets for every request.

mod problem;
mod result;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use tarazu_core::mincost::placement::{Choice, place};

use super::output::{self, CANNOT_WRITE};

#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// The problem: JSON of schema tarazu-flow/1 (docs/place.md), - for standard input
    #[arg(value_name = "PROBLEM.json")]
    problem: PathBuf,
    /// A summary to read, or the schema tarazu.place/1 with the targets of every request
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
    /// How it is solved: fill (cheapest first; refused where that is not exact), exact (network simplex), or auto,
    /// which fills where that is proven optimal
    #[arg(long, value_enum, default_value_t = Way::Auto)]
    solver: Way,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    Auto,
    Fill,
    Exact,
}

pub(crate) fn run(args: &PlaceArgs) -> anyhow::Result<ExitCode> {
    let (name, problem) = problem::read(&args.problem)?;
    let choice = match args.solver {
        Way::Auto => Choice::Auto,
        Way::Fill => Choice::Fill,
        Way::Exact => Choice::Exact,
    };
    let started = now();
    let placement = place(&problem, choice).with_context(|| name)?;
    let time_s = started.elapsed().as_secs_f64();
    let mut out = output::Output::open();
    let written = match args.output {
        Form::Text => result::write_text(&mut out, &problem, &placement, time_s),
        Form::Json => result::write_json(&mut out, &placement, time_s),
    };
    written.context(CANNOT_WRITE)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::disallowed_methods, reason = "the command may read the clock, to say how long solving took")]
fn now() -> Instant {
    Instant::now()
}
