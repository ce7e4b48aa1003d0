//! The table of metrics and policies, in the widest form that fits.

use comfy_table::{CellAlignment, LineStyle, Table, presets};
use tarazu_sim::Metric;
use tarazu_sim::experiment::{PolicyResult, Results};
use tarazu_sim::stats::Change;

/// Changes below this print as `=`, percent: the table shows one decimal.
const SHOWN_PERCENT: f64 = 0.05;

/// Where a cell has its change against the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// After the mean.
    Beside,
    /// In a line below the mean.
    Below,
}

/// The table as one block, or as several with fewer policies each where one does not fit into `width`. The
/// baseline is in every block.
pub(super) fn blocks(results: &Results, width: usize) -> Vec<String> {
    let Some((baseline, others)) = results.policies.split_first() else { return Vec::new() };
    let split = |form: Form, others_at_once: usize| -> Vec<String> {
        if others.is_empty() {
            return vec![block(&[baseline], form)];
        }
        let chunks = others.chunks(others_at_once);
        chunks
            .map(|others| block(&[&[baseline][..], &others.iter().collect::<Vec<_>>()].concat(), form))
            .collect()
    };
    let most = others.len().max(1);
    let forms =
        std::iter::once((Form::Beside, most)).chain((1..=most).rev().map(|count| (Form::Below, count)));
    let mut narrowest = Vec::new();
    for (form, others_at_once) in forms {
        narrowest = split(form, others_at_once);
        if narrowest.iter().all(|block| columns(block) <= width) {
            break;
        }
    }
    narrowest
}

/// Columns that a text takes; all its characters are one wide.
fn columns(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

fn block(policies: &[&PolicyResult], form: Form) -> String {
    let mut table = Table::new();
    // One line a row: separators between all rows would double the height.
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    let names = policies.iter().map(|result| result.policy.as_str().to_string());
    table.set_header(std::iter::once(String::new()).chain(names));
    for metric in Metric::ALL {
        let row = policies.iter().map(|result| cell(result, metric, form));
        table.add_row(std::iter::once(metric.title().to_string()).chain(row));
    }
    let share = |value: Option<f64>| value.map_or_else(dash, |share| format!("{:.1} %", share * 100.0));
    let files = policies.iter().map(|result| share(result.files_steered_share()));
    table.add_row(std::iter::once("files steered".to_string()).chain(files));
    let bytes = policies.iter().map(|result| share(result.bytes_steered_share()));
    table.add_row(std::iter::once("bytes steered".to_string()).chain(bytes));
    for (number, column) in table.column_iter_mut().enumerate() {
        // A gap of two between columns, of one where room is short.
        let gap = if form == Form::Beside { 2 } else { 1 };
        column.set_padding((if number == 0 { 0 } else { gap }, 0));
        if number > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    lines
}

fn dash() -> String {
    "-".to_string()
}

/// Mean, and the paired change against the baseline.
fn cell(result: &PolicyResult, metric: Metric, form: Form) -> String {
    let Some(interval) = result.intervals[metric as usize] else { return dash() };
    let mean = number(interval.mean);
    match (result.changes[metric as usize], form) {
        (None, _) => mean,
        (Some(shown), Form::Beside) => format!("{mean}  {}", change(&shown)),
        (Some(shown), Form::Below) => format!("{mean}\n{}", change(&shown)),
    }
}

/// The mean change with half its interval; `~` before it where it is not clear, `=` where it is too small
/// to be shown.
fn change(change: &Change) -> String {
    let percent = change.percent;
    let half = percent.ends.map(|(low, high)| (high - low) / 2.0);
    let is_small = percent.mean.abs() < SHOWN_PERCENT;
    // A small mean of widely scattered changes is not "the same".
    if is_small && (change.is_clear || half.is_none_or(|half| half < SHOWN_PERCENT)) {
        return "=".to_string();
    }
    // Not "-0.0".
    let mean = if is_small { 0.0 } else { percent.mean };
    match half {
        None => format!("{mean:+.1} %"),
        Some(half) if change.is_clear => format!("{mean:+.1} ±{half:.1} %"),
        Some(half) => format!("~ {mean:+.1} ±{half:.1} %"),
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use tarazu_sim::Policy;
    use tarazu_sim::stats::Interval;

    fn changed(mean: f64, half: Option<f64>, is_clear: bool) -> String {
        let ends = half.map(|half| (mean - half, mean + half));
        change(&Change { percent: Interval { mean, ends }, is_clear })
    }

    #[test]
    fn changes_always_show_their_mean_or_that_there_is_none() {
        assert_eq!(changed(-77.12, Some(1.5), true), "-77.1 ±1.5 %");
        assert_eq!(changed(0.1, Some(0.8), false), "~ +0.1 ±0.8 %");
        assert_eq!(changed(-0.01, Some(5.0), false), "~ +0.0 ±5.0 %");
        assert_eq!(changed(0.04, Some(0.01), true), "=");
        assert_eq!(changed(0.0, Some(0.0), false), "=");
        assert_eq!(changed(3.0, None, false), "+3.0 %");
        assert_eq!(changed(-0.04, None, false), "=");
    }

    const SHOWN: [Policy; 4] = [Policy::LustreRr, Policy::Random, Policy::Tarazu, Policy::TarazuCentral];

    fn results(mean: f64) -> Results {
        let value = Some(Interval { mean, ends: None });
        let change = Change { percent: Interval { mean, ends: Some((mean, mean + 100.0)) }, is_clear: true };
        let result = |policy: Policy| PolicyResult {
            policy,
            outcomes: Vec::new(),
            intervals: vec![value; Metric::ALL.len()],
            changes: vec![(policy != Policy::LustreRr).then_some(change); Metric::ALL.len()],
        };
        Results { policies: SHOWN.into_iter().map(result).collect(), seeds: vec![1] }
    }

    #[test]
    fn the_table_fits_where_it_can() {
        let wide = blocks(&results(12.0), 200);
        assert_eq!((wide.len(), wide[0].lines().count()), (1, 4 + Metric::ALL.len() + 2));
        let below = blocks(&results(12.0), 80);
        assert!(below.iter().all(|block| columns(block) <= 80), "{}", below.join("\n"));
        assert_eq!(below.len(), 1);
        let several = blocks(&results(123_456.0), 60);
        assert!(several.len() > 1 && several.iter().all(|block| columns(block) <= 60));
        assert!(several.iter().all(|block| block.contains("lustre-rr")), "the baseline is in each");
        let hopeless = blocks(&results(12.0), 1);
        assert_eq!(hopeless.len(), 3, "as narrow as can be");
        let names: BTreeMap<&str, usize> = SHOWN
            .into_iter()
            .map(|policy| (policy.as_str(), several.concat().matches(policy.as_str()).count()))
            .collect();
        assert!(names.values().all(|count| *count >= 1), "{names:?}");
    }
}
