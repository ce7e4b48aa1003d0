//! The results of `tarazu sim` as text for people: head, table, and what to make of it.

mod foot;
mod table;

use std::fmt::Write;
use std::io::IsTerminal;

use tarazu_layout::Bytes;
use tarazu_sim::System;
use tarazu_sim::experiment::{Results, Shard};
use tarazu_sim::report::{Subject, compares};

use crate::cli::words::counted;

/// Columns where standard output is no terminal: the same text wherever it is made.
const PLAIN_WIDTH: usize = 100;

/// Columns of a terminal that does not say: fewer are rare.
const TERMINAL_WIDTH: usize = 80;

/// Narrower than this, nothing is readable, whatever the terminal says.
const WIDTH_MIN: usize = 40;

/// Columns to fit into: of the terminal (`COLUMNS`), or a constant for files and pipes.
pub(crate) fn width() -> usize {
    if !std::io::stdout().is_terminal() {
        return PLAIN_WIDTH;
    }
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    said.unwrap_or(TERMINAL_WIDTH).max(WIDTH_MIN)
}

/// Head, table and footnotes; the table fits into `width` columns if it can.
pub(super) fn show(subject: &Subject<'_>, results: &Results, width: usize) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = head(subject, results, &mut out);
    out.push_str(&table::blocks(results, width).join("\n"));
    let _ = foot::write(subject, results, &mut out);
    out
}

/// The table alone, with what its signs mean.
pub(crate) fn table(results: &Results, width: usize) -> String {
    let mut out = table::blocks(results, width).join("\n");
    // Writing to a string cannot fail.
    let _ = foot::changes(results, &mut out);
    out
}

/// The head as labels with their words, for other forms of the results.
pub(super) fn facts(subject: &Subject<'_>, results: &Results) -> Vec<(String, String)> {
    let mut text = String::new();
    let _ = head(subject, results, &mut text);
    let mut facts: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (label, words) = line.split_at_checked(LABEL_WIDTH).unwrap_or((line, ""));
        match facts.last_mut() {
            // A line without a label goes on with the one before.
            Some((_, before)) if label.trim().is_empty() => {
                before.push_str("; ");
                before.push_str(words);
            }
            _ => facts.push((label.trim().to_string(), words.to_string())),
        }
    }
    facts
}

/// What the footnotes say apart from the table's own signs and from files left alone.
pub(super) fn notes(subject: &Subject<'_>, results: &Results) -> Vec<String> {
    let mut text = String::new();
    let _ = foot::notes(subject, results, &mut text);
    text.lines().map(str::to_string).collect()
}

/// How far the seconds of a system may be believed.
pub(crate) fn calibration(system: &System) -> String {
    match &system.calibration {
        None => "not calibrated against recorded runs: compare policies, do not predict seconds".to_string(),
        Some(found) if found.changed_since => {
            "changed since its calibration: compare policies, do not predict seconds".to_string()
        }
        Some(found) => format!(
            "calibrated: {} of recorded runs predicted to {:.0} % (median), {:.0} % at worst; by {}",
            counted(found.runs_predicted.into(), "run time"),
            found.median_error_pct,
            found.largest_error_pct,
            found.source
        ),
    }
}

/// Columns of the head's labels.
const LABEL_WIDTH: usize = 10;

fn head(subject: &Subject<'_>, results: &Results, out: &mut String) -> std::fmt::Result {
    let totals = subject.workload.totals();
    let system = subject.system;
    writeln!(
        out,
        "system    {}: {} on {}",
        system.name,
        counted(system.topology.targets().len() as u64, "target"),
        counted(system.topology.servers().len() as u64, "server")
    )?;
    writeln!(out, "          {}", calibration(system))?;
    writeln!(out, "workload  {}", subject.source)?;
    writeln!(
        out,
        "          {}, {}, {} written, {} read",
        counted(subject.workload.jobs.len() as u64, "job"),
        counted(totals.ranks, "rank"),
        Bytes(totals.written_bytes),
        Bytes(totals.read_bytes)
    )?;
    let scenario = subject.scenario;
    write!(out, "scenario  background {}, ", scenario.background)?;
    if let Some(sick) = scenario.sick {
        let known = scenario.sick_known_after.map_or_else(
            || "never told to the controller".to_string(),
            |count| format!("told to the controller after {}", counted(count.into(), "interval")),
        );
        write!(out, "target {} at {} of its speed ({known}), ", sick.target.0, sick.speed)?;
    }
    for fault in &scenario.faults {
        write!(out, "fault {fault}, ")?;
    }
    writeln!(out, "forecast {}", scenario.forecast)?;
    writeln!(out, "compares  {}", compares(scenario))?;
    let shard = subject.shard;
    let share = match shard == Shard::WHOLE {
        true => String::new(),
        false => format!(", share {} of {} of {} seeds", shard.number, shard.count, subject.seeds_total),
    };
    writeln!(out, "seeds     {}{share}\n", counted(results.seeds.len() as u64, "seed"))
}
