//! `tarazu trace compose`: logs, workload files and generators as one day of a machine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use tarazu_layout::{Bytes, Time};
use tarazu_workload::compose::{Composed, Day, PRESETS, compose, load, preset};

use super::logs;
use super::output::{message, note};
use super::trace::write_csv;
use super::words::{counted, whole_u32};

/// Nodes of a machine, as a workload may have.
const NODES_MAX: u32 = tarazu_workload::limits::NODES_MAX;

/// A year.
const HOURS_MAX: f64 = 366.0 * 24.0;

#[derive(Debug, clap::Args)]
pub(crate) struct ComposeArgs {
    /// The day in the format tarazu.day/1 (docs/machine-day.md); paths in it are relative to its folder
    #[arg(required_unless_present = "preset", conflicts_with = "preset", value_name = "DAY.toml")]
    day: Option<PathBuf>,
    /// A day that comes with the program: top-heavy
    #[arg(long, value_name = "NAME", value_parser = known_preset)]
    preset: Option<String>,
    /// Where the CSV is written, - for standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Seed of everything that is drawn, instead of the day's own
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Nodes of the machine, instead of the day's own
    #[arg(long, value_name = "N", value_parser = |text: &str| whole_u32(text, 1, NODES_MAX))]
    nodes: Option<u32>,
    /// Hours in which jobs arrive, instead of the day's own
    #[arg(long, value_name = "HOURS", value_parser = parse_hours)]
    hours: Option<Duration>,
}

fn known_preset(name: &str) -> Result<String, String> {
    match preset(name) {
        Some(_) => Ok(name.to_owned()),
        None => {
            let known = PRESETS.iter().map(|preset| format!("{} ({})", preset.name, preset.about));
            Err(format!("the presets are: {}", known.collect::<Vec<_>>().join(", ")))
        }
    }
}

fn parse_hours(text: &str) -> Result<Duration, String> {
    let hours = text.parse().ok().filter(|hours| *hours > 0.0 && *hours <= HOURS_MAX);
    let hours: f64 = hours.ok_or_else(|| format!("use a number of hours above 0, up to {HOURS_MAX}"))?;
    Ok(Duration::from_nanos(Time::from_secs_f64(hours * 3600.0).0))
}

pub(crate) fn run(args: &ComposeArgs) -> anyhow::Result<ExitCode> {
    let mut day = read(args)?;
    day.seed = args.seed.unwrap_or(day.seed);
    day.machine.nodes = args.nodes.unwrap_or(day.machine.nodes);
    day.machine.span = args.hours.or(day.machine.span);
    let folder = args.day.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let loaded = load(&day, folder)?;
    loaded.notes.iter().for_each(note);
    let composed = compose(&day.machine, &loaded.parts, day.seed)?;
    logs::ensure_something_left(&composed.workload, loaded.left_out_bytes)?;
    write_csv(&composed.workload, &args.out)?;
    summarise(&composed, day.seed);
    Ok(ExitCode::SUCCESS)
}

fn read(args: &ComposeArgs) -> anyhow::Result<Day> {
    if let Some(name) = &args.preset {
        let preset = preset(name).ok_or_else(|| anyhow!("there is no preset {name}"))?;
        return Ok(Day::parse(preset.text, &format!("the preset {name}"))?);
    }
    let path = args.day.as_deref().ok_or_else(|| anyhow!("name a day file or a preset"))?;
    Ok(Day::read(path)?)
}

/// What the day is made of, on standard error.
fn summarise(composed: &Composed, seed: u64) {
    let workload = &composed.workload;
    let totals = workload.totals();
    let busy = composed.allocations.iter().map(|job| job.nodes.len() as u64).sum::<u64>();
    message(format_args!(
        "seed {seed}: {} on {} of {}, {}, {}, {}, {} read, {} written",
        counted(workload.jobs.len() as u64, "job"),
        workload.nodes(),
        counted(composed.nodes.into(), "node"),
        counted(totals.ranks, "rank"),
        counted(workload.files.len() as u64, "file"),
        counted(totals.ops, "operation"),
        Bytes(totals.read_bytes),
        Bytes(totals.written_bytes),
    ));
    let waits = match composed.waits().filter(|wait| !wait.is_zero()).count() as u64 {
        0 => "no job waited".to_owned(),
        waited => {
            let longest = composed.waits().max().unwrap_or_default();
            format!("{} waited, the longest {:.0} s", counted(waited, "job"), longest.as_secs_f64())
        }
    };
    message(format_args!(
        "{:.1} hours, {:.1} nodes per job on average, nodes held {:.1} % of the time as planned, {waits}",
        composed.span.as_secs_f64() / 3600.0,
        busy as f64 / composed.allocations.len().max(1) as f64,
        100.0 * composed.utilisation(),
    ));
    if composed.left_out > 0 {
        note(format_args!("{} of the record start after the day's end", counted(composed.left_out, "job")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_hours_are_named_in_errors() {
        assert_eq!(known_preset("top-heavy").as_deref(), Ok("top-heavy"));
        assert!(known_preset("top").unwrap_err().contains("top-heavy (1,000 nodes"));
        assert_eq!(parse_hours("1.5"), Ok(Duration::from_secs(5400)));
        for wrong in ["0", "-1", "nan", "inf", "9000", "x", ""] {
            assert!(parse_hours(wrong).unwrap_err().contains("hours above 0"), "{wrong}");
        }
    }
}
