//! The results of `tarazu sim` as a table for people.

use comfy_table::{CellAlignment, LineStyle, Table, presets};
use tarazu_layout::Bytes;
use tarazu_sim::experiment::{PolicyResult, Results};
use tarazu_sim::report::{Subject, compares, forecast_name};
use tarazu_sim::{Metric, Policy};

/// Prints head, table and footnotes.
pub(super) fn show(subject: &Subject<'_>, results: &Results) {
    head(subject, results);
    println!("{}", table(results));
    foot(subject, results);
}

fn head(subject: &Subject<'_>, results: &Results) {
    let totals = subject.workload.totals();
    let system = subject.system;
    println!(
        "system    {}: {} targets on {} servers",
        system.name,
        system.topology.targets().len(),
        system.topology.servers().len()
    );
    println!("workload  {}", subject.source);
    println!(
        "          {}, {}, {} written, {} read",
        counted(subject.workload.jobs.len() as u64, "job"),
        counted(totals.ranks, "rank"),
        Bytes(totals.written_bytes),
        Bytes(totals.read_bytes)
    );
    let scenario = subject.scenario;
    let sick = scenario.sick.map_or_else(String::new, |sick| {
        let known = scenario.sick_known_after.map_or_else(
            || "never told to the controller".to_string(),
            |intervals| format!("told to the controller after {intervals} intervals"),
        );
        format!(", target {} at {} of its speed ({known})", sick.target.0, sick.speed)
    });
    println!(
        "scenario  background {}{sick}, forecast {}",
        scenario.background,
        forecast_name(scenario.forecast)
    );
    println!("compares  {}", compares(scenario));
    println!("seeds     {}\n", counted(results.seeds.len() as u64, "seed"));
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn table(results: &Results) -> Table {
    let mut table = Table::new();
    // One line a row: separators between all rows would double the height.
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    let names = results.policies.iter().map(|result| result.policy.as_str().to_string());
    table.set_header(std::iter::once(String::new()).chain(names));
    for metric in Metric::ALL {
        let row = results.policies.iter().map(|result| cell(result, metric));
        table.add_row(std::iter::once(metric.title().to_string()).chain(row));
    }
    let share = |value: Option<f64>| value.map_or_else(dash, |share| format!("{:.1} %", share * 100.0));
    let files = results.policies.iter().map(|result| share(result.files_steered_share()));
    table.add_row(std::iter::once("files steered".to_string()).chain(files));
    let bytes = results.policies.iter().map(|result| share(result.bytes_steered_share()));
    table.add_row(std::iter::once("bytes steered".to_string()).chain(bytes));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn dash() -> String {
    "-".to_string()
}

/// Mean, and the paired change against the baseline with half its interval; `~` where it is not clear.
fn cell(result: &PolicyResult, metric: Metric) -> String {
    let Some(interval) = result.intervals[metric as usize] else { return dash() };
    let mean = number(interval.mean);
    let Some(change) = result.changes[metric as usize] else { return mean };
    let percent = change.percent;
    match percent.ends {
        None => format!("{mean}  {:+.1} %", percent.mean),
        Some((low, high)) if change.is_clear => {
            format!("{mean}  {:+.1} ±{:.1} %", percent.mean, (high - low) / 2.0)
        }
        Some((low, high)) => format!("{mean}  ~ ±{:.1} %", (high - low) / 2.0),
    }
}

/// Four significant digits at most, fewer for large numbers.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn foot(subject: &Subject<'_>, results: &Results) {
    let baseline = results.policies.first().map_or(Policy::LustreRr, |first| first.policy);
    println!(
        "changes: paired against {baseline}, seed by seed, ± half of the 95 % interval; ~ no clear change"
    );
    for result in &results.policies {
        let refusals = result.refusals();
        if !refusals.is_empty() {
            let listed: Vec<String> =
                refusals.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
            println!("{}: left to the file system: {}", result.policy, listed.join(", "));
        }
    }
    if results.policies.iter().any(|result| result.policy.has_controller()) {
        println!(
            "forecast {}: {}",
            forecast_name(subject.scenario.forecast),
            match subject.scenario.forecast {
                tarazu_sim::Forecast::Perfect =>
                    "sizes and numbers of files are known when a job starts, an upper bound",
                tarazu_sim::Forecast::Nothing => "no job is known, so nothing can be steered by size",
            }
        );
    }
}
