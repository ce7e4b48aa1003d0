//! `tarazu sim regret`: thousands of drawn situations, and in how many of them tarazu does harm. Draws, runs and verdicts
//! belong to `tarazu_sim::regret`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tarazu_sim::regret::{
    CASES_MAX, DISTRIBUTION, FLOOR_S, Named, SEEDS_EACH, Situation, Summary, Tally, WORST, summarise, sweep,
};

use super::THREADS_MAX;
use crate::cli::logs;
use crate::cli::output::{self, CANNOT_WRITE};
use crate::cli::words::{counted, whole, whole_u32};

/// The schema of the JSON printed here.
const SCHEMA: &str = "tarazu.regret/1";

/// Options of `tarazu sim regret`.
#[derive(Debug, clap::Args)]
pub(crate) struct RegretArgs {
    /// Situations to draw; each is run with both stock allocators and tarazu, and with four seeds
    #[arg(long, value_name = "N", default_value_t = 2000, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 1, CASES_MAX))]
    runs: u64,

    /// Seed of the draws
    #[arg(long, value_name = "SEED", default_value_t = 1, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 0, u64::MAX))]
    seed: u64,

    /// Number of the first situation: each is the same whichever others are drawn
    #[arg(long, value_name = "K", default_value_t = 0, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 0, u64::MAX))]
    from: u64,

    /// Run named situations instead, a file or a folder of them such as traces/adversarial, and hold them to their limits;
    /// exit code 1 where one does not
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with_all = ["runs", "seed", "from", "output"])]
    named: Option<PathBuf>,

    /// Threads to use, 0 for one a core; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = |text: &str| whole_u32(text, 0, THREADS_MAX))]
    threads: u32,

    /// Form of the results
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people
    Text,
    /// Schema tarazu.regret/1
    Json,
}

/// The whole result file.
#[derive(Debug, Serialize)]
struct Report<'a> {
    schema: &'static str,
    version: &'static str,
    seed: u64,
    from: u64,
    runs: u64,
    seeds_each: u64,
    floor_s: f64,
    #[serde(flatten)]
    summary: &'a Summary,
}

pub(crate) fn run(args: &RegretArgs) -> Result<ExitCode> {
    if let Some(path) = &args.named {
        return run_named(path);
    }
    let bar = logs::progress(args.runs, "situations");
    let judged =
        sweep(&DISTRIBUTION, args.seed, (args.from, args.runs), args.threads as usize, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let summary = summarise(&judged);
    let mut out = output::Output::open();
    match args.output {
        Form::Text => out.put(&show(args, &summary))?,
        Form::Json => {
            let report = Report {
                schema: SCHEMA,
                version: env!("CARGO_PKG_VERSION"),
                seed: args.seed,
                from: args.from,
                runs: args.runs,
                seeds_each: SEEDS_EACH,
                floor_s: FLOOR_S,
                summary: &summary,
            };
            serde_json::to_writer_pretty(&mut out, &report).context(CANNOT_WRITE)?;
            writeln!(out).context(CANNOT_WRITE)?;
        }
    }
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Runs named situations; says of each what it gave.
fn run_named(path: &Path) -> Result<ExitCode> {
    let mut out = output::Output::open();
    let mut broken = 0;
    out.put(&format!("{:<32}{:>13}{:>9}{:>10}\n", "", "tarazu/better", "at most", "steered"))?;
    for named in Named::read(path)? {
        let kept = named.check().with_context(|| named.name.clone())?;
        let Some(kept) = kept else { bail!("{}: nothing to measure", named.name) };
        broken += u32::from(!kept.holds);
        out.put(&format!(
            "{:<32}{:>13.3}{:>9}{:>8.1} %{}\n",
            named.name,
            kept.over_better,
            named.limits.over_better,
            100.0 * kept.bytes_steered_share,
            if kept.holds { "" } else { "  BROKEN" }
        ))?;
    }
    out.finish()?;
    if broken > 0 {
        output::message(format_args!("{} broken", counted(broken.into(), "limit")));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &RegretArgs, summary: &Summary) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(args, summary, &mut out);
    out
}

fn write_all(args: &RegretArgs, summary: &Summary, out: &mut String) -> std::fmt::Result {
    let last = args.from.saturating_add(args.runs - 1);
    writeln!(
        out,
        "situations {} to {last} of seed {}, each with {} and lustre-rr, lustre-qos, tarazu",
        args.from,
        args.seed,
        counted(SEEDS_EACH, "seed")
    )?;
    writeln!(
        out,
        "tarazu above the stock allocator of the better mean in each situation, against that one alone; chance alone: that one\nwith other draws, against itself; differences below {} ms are none\n",
        FLOOR_S * 1e3
    )?;
    writeln!(
        out,
        "{:<34}{:>7}{:>9}{:>10}{:>10}{:>11}{:>9}{:>9}",
        "", "runs", "worse 2%", "worse 10%", "better 2%", "better 10%", "mean", "worst"
    )?;
    for measured in &summary.measures {
        let rows: [(&str, &Tally); 7] = [
            ("tarazu", &measured.tarazu),
            ("tarazu where it steered", &measured.tarazu_where_steered),
            ("chance alone", &measured.luck),
            ("by situation: tarazu", &measured.tarazu_by_situation),
            ("by situation: chance alone", &measured.luck_by_situation),
            ("tarazu, best of each seed", &measured.tarazu_strict),
            ("stock, best of each seed", &measured.stock_strict),
        ];
        writeln!(out, "{}", measured.metric)?;
        for (name, tally) in rows {
            row(&format!("  {name}"), tally, out)?;
        }
    }
    writeln!(
        out,
        "\nsteered: {:.1} % of files, {:.1} % of bytes, in {:.1} % of runs",
        100.0 * summary.files_steered_share,
        100.0 * summary.bytes_steered_share,
        100.0 * summary.runs_steered_share
    )?;
    for (reason, files) in &summary.refusals {
        writeln!(out, "  left: {files} files, {}", crate::cli::words::reason(reason))?;
    }
    writeln!(
        out,
        "\n{:<34}{:>7}{:>9}{:>10}{:>10}{:>11}{:>9}{:>9}{:>10}  steered",
        "by kind", "runs", "worse 2%", "worse 10%", "better 2%", "better 10%", "mean", "luck 2%", "luck 10%"
    )?;
    for label in &summary.labels {
        let tally = &label.tarazu;
        writeln!(
            out,
            "{:<34}{:>7}{:>8.2}%{:>9.2}%{:>9.1}%{:>10.1}%{:>9.4}{:>8.2}%{:>9.2}%{:>7.1} %",
            label.label,
            tally.runs,
            100.0 * tally.worse_felt,
            100.0 * tally.worse_grave,
            100.0 * tally.better_felt,
            100.0 * tally.better_grave,
            tally.geometric_mean,
            100.0 * label.luck.worse_felt,
            100.0 * label.luck.worse_grave,
            100.0 * label.bytes_steered_share
        )?;
    }
    writeln!(out, "\nworst against the better stock allocator:")?;
    for situation in summary.situations.iter().filter(|one| one.worst() > 1.0).take(WORST) {
        write_situation(situation, out)?;
    }
    for failed in &summary.failed {
        writeln!(out, "\n{} could not be run: {}\n  {}", failed.number, failed.reason, failed.command)?;
    }
    Ok(())
}

fn write_situation(one: &Situation, out: &mut String) -> std::fmt::Result {
    let (ours, luck) = (ratios(&one.ratios), ratios(&one.luck));
    let means: Vec<String> = one.means_s.iter().map(|mean| format!("{mean:.3}")).collect();
    writeln!(out, "\n{}  tarazu {ours} | chance alone {luck}", one.number)?;
    writeln!(
        out,
        "  means {} s; {} of {} files, {:.1} % of bytes steered",
        means.join(" "),
        one.files_steered,
        one.files_made,
        100.0 * one.bytes_steered_share
    )?;
    let left: Vec<String> = one.refusals.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if !left.is_empty() {
        writeln!(out, "  left: {}", left.join(", "))?;
    }
    writeln!(out, "  {}", one.command)
}

fn ratios(values: &[f64]) -> String {
    values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ")
}

fn row(name: &str, tally: &Tally, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "{name:<34}{:>7}{:>8.2}%{:>9.2}%{:>9.1}%{:>10.1}%{:>9.4}{:>9.3}",
        tally.runs,
        100.0 * tally.worse_felt,
        100.0 * tally.worse_grave,
        100.0 * tally.better_felt,
        100.0 * tally.better_grave,
        tally.geometric_mean,
        tally.worst
    )
}
