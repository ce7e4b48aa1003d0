//! What stands below the table: how to read it, what the controller did, and why files were left alone.

use std::fmt::Write;

use tarazu_layout::Bytes;
use tarazu_sim::experiment::{PolicyResult, Results};
use tarazu_sim::report::Subject;
use tarazu_sim::{Background, Forecast, Policy};

use crate::cli::words::{average, cause, counted, reason};

pub(super) fn write(subject: &Subject<'_>, results: &Results, out: &mut String) -> std::fmt::Result {
    changes(results, out)?;
    bound(results, out)?;
    for result in &results.policies {
        steered(result, out)?;
        left_alone(result, out)?;
    }
    notes(subject, results, out)
}

/// All but the table's signs and the files left alone.
pub(super) fn notes(subject: &Subject<'_>, results: &Results, out: &mut String) -> std::fmt::Result {
    for result in &results.policies {
        controller(result, out)?;
    }
    off_target(results, out)?;
    overfilled(results, out)?;
    hint(subject, results, out)?;
    if !results.policies.iter().any(|result| result.policy.has_controller()) {
        return Ok(());
    }
    if results.policies.iter().any(|result| result.policy == Policy::TarazuCentral) {
        let what = "steers every file at once with a perfect view of placements; sees no load of others";
        writeln!(out, "{} is a reference: {what}", Policy::TarazuCentral)?;
    }
    let forecast = subject.scenario.forecast;
    let meaning = match forecast {
        Forecast::Perfect => "sizes and numbers of files are known when a job starts, an upper bound",
        Forecast::Nothing => "no job is known, so nothing can be steered by size",
        Forecast::Errs(_) => {
            "numbers of files are known when a job starts, sizes err by a factor for each job"
        }
    };
    writeln!(out, "forecast {forecast}: {meaning}")
}

/// What the signs of changes mean.
pub(super) fn changes(results: &Results, out: &mut String) -> std::fmt::Result {
    let Some((baseline, [_, ..])) = results.policies.split_first() else { return Ok(()) };
    let baseline = baseline.policy;
    if results.seeds.len() < 2 {
        writeln!(out, "changes: against {baseline}; = below 0.05 %; one seed says nothing about chance")?;
        return Ok(());
    }
    writeln!(out, "changes: mean against {baseline}, seed by seed, ± half of the 95 % interval")?;
    writeln!(out, "         ~ not clear: the interval has 0 in it; = below 0.05 %")?;
    writeln!(out, "         not corrected for many comparisons: one in twenty is clear by chance alone")
}

/// How far each policy's makespan is from what no placement can beat.
fn bound(results: &Results, out: &mut String) -> std::fmt::Result {
    let over =
        |result: &PolicyResult| Some(format!("{} {:.2}", result.policy, result.makespan_over_bound()?));
    let all: Vec<String> = results.policies.iter().filter_map(over).collect();
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "makespan over a lower bound for every placement: {} times", all.join(", "))
}

/// Files that the policy steered, a seed, with the plan's reason in plain words.
fn steered(result: &PolicyResult, out: &mut String) -> std::fmt::Result {
    let seeds = result.outcomes.len() as u64;
    let causes: Vec<String> = result
        .steered()
        .into_iter()
        .filter_map(|(name, count)| Some(format!("{} {}", average(count, seeds), cause(name)?)))
        .collect();
    if causes.is_empty() {
        return Ok(());
    }
    let files = if seeds > 1 { "files a seed" } else { "files" };
    writeln!(out, "{} steered because: {} ({files})", result.policy, causes.join(", "))
}

/// Files that the policy left to the file system, a seed, with the reason in plain words.
fn left_alone(result: &PolicyResult, out: &mut String) -> std::fmt::Result {
    let policy = result.policy;
    let seeds = result.outcomes.len() as u64;
    let made: u64 = result.outcomes.iter().map(|outcome| outcome.files_made).sum();
    for (name, count) in result.refusals() {
        let words = reason(name);
        // The same in every seed, as the files of a workload are.
        let is_all = count == made;
        let each = average(count, seeds);
        if is_all {
            let files = if each == "1" { "file" } else { "files" };
            let in_seeds = if seeds > 1 { " in every seed" } else { "" };
            writeln!(out, "{policy} left all {each} {files} to the file system{in_seeds}: {words}")?;
        } else {
            let of = average(made, seeds);
            let a_seed = if seeds > 1 { " a seed" } else { "" };
            writeln!(out, "{policy} left {each} of {of} files{a_seed} to the file system: {words}")?;
        }
    }
    Ok(())
}

/// What a reader would otherwise take for a decision: a controller that could not decide.
fn controller(result: &PolicyResult, out: &mut String) -> std::fmt::Result {
    let policy = result.policy;
    if !policy.has_controller() {
        return Ok(());
    }
    let seeds = result.outcomes.len() as u64;
    let planless = result.outcomes.iter().filter(|outcome| outcome.plans == 0).count() as u64;
    if planless > 0 {
        let all = counted(seeds, "seed");
        writeln!(out, "{policy}: the controller made no plan in {planless} of {all}")?;
    }
    let refused: u64 = result.outcomes.iter().map(|outcome| outcome.reports_refused).sum();
    if refused > 0 {
        writeln!(
            out,
            "{policy}: the controller refused {} in all seeds together",
            counted(refused, "report")
        )?;
    }
    Ok(())
}

/// Writes that a real file system would have refused.
fn overfilled(results: &Results, out: &mut String) -> std::fmt::Result {
    let outcomes = results.policies.iter().flat_map(|result| &result.outcomes);
    let bytes: u64 = outcomes.map(|outcome| outcome.overfilled_bytes).sum();
    if bytes == 0 {
        return Ok(());
    }
    let what = "had no room on their targets in all seeds and policies together; real applications would have failed";
    writeln!(out, "{} {what}", Bytes(bytes))
}

/// Bytes whose time no target gave: the same for every policy, as placement does not change them.
fn off_target(results: &Results, out: &mut String) -> std::fmt::Result {
    let outcomes = results.policies.first().map(|first| first.outcomes.as_slice()).unwrap_or_default();
    let bytes: u64 = outcomes.iter().map(|outcome| outcome.off_target_bytes).sum();
    if bytes == 0 {
        return Ok(());
    }
    let a_seed = Bytes(bytes / outcomes.len().max(1) as u64);
    let what = "lie on no target (data on the metadata target, ranges that nobody wrote) and take no time";
    writeln!(out, "{a_seed} a seed {what}")
}

/// Where nothing was steered because nothing is wrong: how to see something wrong.
fn hint(subject: &Subject<'_>, results: &Results, out: &mut String) -> std::fmt::Result {
    let Some(tarazu) = results.policies.iter().find(|result| result.policy == Policy::Tarazu) else {
        return Ok(());
    };
    let scenario = subject.scenario;
    let is_healthy = scenario.sick.is_none() && scenario.faults.is_empty();
    let is_quiet = is_healthy && scenario.background == Background::None;
    let steered: u64 = tarazu.outcomes.iter().map(|outcome| outcome.files_steered).sum();
    let last = subject.system.topology.targets().len().saturating_sub(1);
    if steered == 0 && is_quiet && scenario.forecast == Forecast::Perfect {
        writeln!(out, "to see it act: --sick {} (a slow target)", SICK_SHOWN.min(last))?;
    }
    Ok(())
}

/// The target that the hint proposes, on systems that have so many.
const SICK_SHOWN: usize = 3;
