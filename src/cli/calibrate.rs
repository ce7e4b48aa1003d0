//! `tarazu sim calibrate`: recorded benchmark jobs of a site set the free numbers of its system, others are predicted,
//! and the errors are shown.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use comfy_table::{CellAlignment, Table, presets};
use flate2::read::GzDecoder;
use serde_json::json;
use tarazu_sim::System;
use tarazu_sim::calibrate::{
    BenchJob, Fitted, Free, Loads, Manner, first_of_each, fit, numbers_set, rank_correlation, read_jobs,
};

use super::output::{Output, note};
use super::words::whole_u32;

const MIB: f64 = 1024.0 * 1024.0;

/// Rank correlation from which one may say that the simulator knows where the bytes of a job go.
const CORRELATED: f64 = 0.9;

#[derive(Debug, clap::Args)]
pub(crate) struct CalibrateArgs {
    /// Job summary as CSV, packed with gzip or not (docs/calibration.md)
    #[arg(long, value_name = "FILE")]
    jobs: PathBuf,
    /// Take only jobs of this file system (column _file_system)
    #[arg(long, value_name = "NAME")]
    file_system: Option<String>,
    /// Recorded bytes written to each target a second, as CSV; compares where bytes went
    #[arg(long, value_name = "FILE")]
    written: Option<PathBuf>,
    /// The same of bytes read
    #[arg(long, value_name = "FILE")]
    read: Option<PathBuf>,
    /// The system to calibrate: a preset's name or a TOML file
    #[arg(long, value_name = "NAME|FILE", default_value = "edison")]
    system: PathBuf,
    /// Numbers of the jobs that set the free numbers, as 1,4; the others are predicted. By default, for each
    /// number the first job that tells of it
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    fit: Vec<usize>,
    /// Processes on a node
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = |text: &str| whole_u32(text, 1, 65_536))]
    ranks_per_node: u32,
    /// A table to read, or everything as JSON
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
}

/// Everything that was found.
struct Found<'a> {
    system: &'a System,
    free: Free,
    /// How many of the free numbers jobs have set.
    numbers_set: usize,
    results: Vec<Fitted>,
    /// Most that all targets did together, as their mean, bytes/s: writing, then reading, where recorded loads are there.
    best_bps: [Option<f64>; 2],
    /// Numbers of the jobs whose time the recorded loads do not cover.
    uncovered: Vec<usize>,
    /// For each job, where recorded loads are there: the correlation over targets.
    correlations: Vec<Option<f64>>,
    /// The same over all targets of all predicted jobs at once.
    pooled: Option<f64>,
}

pub(crate) fn run(args: &CalibrateArgs) -> Result<ExitCode> {
    let system = System::named_or_read(&args.system, &[])?;
    let name = args.jobs.display().to_string();
    let jobs = read_jobs(open(&args.jobs)?, &name, args.file_system.as_deref())?;
    let by = chosen(&args.fit, &jobs)?;
    ensure!(
        by.len() < jobs.len(),
        "all {} jobs set the numbers, so none is left to be predicted",
        jobs.len()
    );
    let bar = indicatif::ProgressBar::new_spinner();
    let (free, results) = fit(&system, &jobs, &by, args.ranks_per_node, |what| {
        bar.set_message(what.to_owned());
        bar.tick();
    })?;
    bar.finish_and_clear();
    let found = compare(args, &system, (free, numbers_set(&jobs, &by)), results)?;
    match args.output {
        Form::Text => Output::print(&text(&found, &name)?)?,
        Form::Json => Output::print(&format!("{:#}\n", json(&found, &name)))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A file, unpacked where its name says that it is packed.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let file = BufReader::new(file);
    let packed = path.extension().is_some_and(|extension| extension == "gz");
    Ok(if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) })
}

fn chosen(numbers: &[usize], jobs: &[BenchJob]) -> Result<Vec<usize>> {
    if numbers.is_empty() {
        return Ok(first_of_each(jobs));
    }
    for number in numbers {
        if !(1..=jobs.len()).contains(number) {
            bail!("there is no job {number}; the jobs are numbered 1 to {} by their start", jobs.len());
        }
    }
    let mut places: Vec<usize> = numbers.iter().map(|number| number - 1).collect();
    // A job that is named twice counts once.
    places.sort_unstable();
    places.dedup();
    Ok(places)
}

fn compare<'a>(
    args: &CalibrateArgs,
    system: &'a System,
    (free, numbers_set): (Free, usize),
    results: Vec<Fitted>,
) -> Result<Found<'a>> {
    let loads = |path: &Option<PathBuf>| -> Result<Option<Loads>> {
        let Some(path) = path else { return Ok(None) };
        let name = path.display().to_string();
        let loads = Loads::read(open(path)?, &name)?;
        let (found, wanted) = (loads.targets(), system.topology.targets().len());
        ensure!(found == wanted, "{name} has {found} targets and the system {} has {wanted}", system.name);
        Ok(Some(loads))
    };
    let (written, read) = (loads(&args.written)?, loads(&args.read)?);
    if written.is_none() && read.is_none() {
        note("without --written and --read nothing is said about where bytes went");
    }
    let mut correlations = Vec::with_capacity(results.len());
    let (mut simulated, mut recorded) = (Vec::new(), Vec::new());
    let mut uncovered = Vec::new();
    for (number, result) in results.iter().enumerate() {
        let side = if result.job.reads { &read } else { &written };
        let Some(loads) = side else {
            correlations.push(None);
            continue;
        };
        let Some(bytes) = loads.bytes_between(result.job.start_s as f64, result.job.end_s as f64) else {
            uncovered.push(number + 1);
            correlations.push(None);
            continue;
        };
        correlations.push(rank_correlation(&result.target_bytes, &bytes));
        if !result.is_fit {
            simulated.extend_from_slice(&result.target_bytes);
            recorded.extend(bytes);
        }
    }
    let pooled = rank_correlation(&simulated, &recorded);
    let best_bps = [&written, &read].map(|loads| loads.as_ref().and_then(Loads::best_mean_bps));
    Ok(Found { system, free, numbers_set, results, best_bps, uncovered, correlations, pooled })
}

impl Found<'_> {
    /// Sizes of the predicted jobs' errors, in percent, in rising order.
    fn errors_pct(&self) -> Vec<f64> {
        let predicted = self.results.iter().filter(|result| !result.is_fit);
        let mut errors: Vec<f64> = predicted.map(|result| 100.0 * result.error().abs()).collect();
        errors.sort_by(f64::total_cmp);
        errors
    }

    /// Lowest and highest correlation within single jobs.
    fn within_jobs(&self) -> Option<(f64, f64)> {
        let found = self.correlations.iter().flatten().copied();
        found.fold(None, |ends, one| {
            let (low, high) = ends.unwrap_or((one, one));
            Some((one.min(low), one.max(high)))
        })
    }

    /// Rate of file per process over that of an aggregated shared file, recorded and simulated, for reads or writes.
    fn gap(&self, reads: bool) -> Option<(f64, f64)> {
        let rate = |manner: Manner, time: fn(&Fitted) -> f64| {
            let of =
                self.results.iter().find(|result| result.job.reads == reads && result.job.manner() == manner);
            of.map(|result| result.job.bytes as f64 / time(result))
        };
        let ratio = |time: fn(&Fitted) -> f64| {
            Some(rate(Manner::FilePerProcess, time)? / rate(Manner::Aggregated, time)?)
        };
        Some((ratio(|result| result.job.run_s())?, ratio(|result| result.simulated_s)?))
    }
}

/// The middle one of rising values, the mean of the two in the middle where their number is even.
fn median(rising: &[f64]) -> Option<f64> {
    let upper = rising.get(rising.len() / 2)?;
    match rising.len() % 2 {
        0 => Some(f64::midpoint(rising[rising.len() / 2 - 1], *upper)),
        _ => Some(*upper),
    }
}

fn text(found: &Found<'_>, source: &str) -> Result<String> {
    let mut out = format!("{}: {}\n\n{}\n\n", found.system.name, found.system.description, table(found));
    say_errors(found, &mut out)?;
    say_file(found, source, &mut out)?;
    Ok(out)
}

/// A row for each job.
fn table(found: &Found<'_>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([
        "job",
        "program",
        "manner",
        "",
        "recorded [s]",
        "simulated [s]",
        "error",
        "rank corr.",
    ]);
    for (number, (result, correlation)) in found.results.iter().zip(&found.correlations).enumerate() {
        let job = &result.job;
        let direction = if job.reads { "reads" } else { "writes" };
        table.add_row([
            (number + 1).to_string(),
            job.program.clone(),
            format!("{direction}, {}", job.manner().as_str()),
            if result.is_fit { "fitted" } else { "predicted" }.to_owned(),
            format!("{:.0}", job.run_s()),
            format!("{:.1}", result.simulated_s),
            format!("{:+.1} %", 100.0 * result.error()),
            correlation.map_or_else(|| "-".to_owned(), |correlation| format!("{correlation:.2}")),
        ]);
    }
    for column in 4..8 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What the errors are worth.
fn say_errors(found: &Found<'_>, out: &mut String) -> std::fmt::Result {
    let errors = found.errors_pct();
    let within = errors.iter().filter(|error| **error <= 30.0).count();
    writeln!(out, "predicted   {within} of {} run times within 30 %", errors.len())?;
    let fitted = found.results.len() - errors.len();
    let jobs = if fitted == 1 { "job" } else { "jobs" };
    let worth = match fitted <= found.numbers_set {
        true => "near zero by construction and say nothing",
        false => "small by construction and no predictions",
    };
    writeln!(
        out,
        "fitted      {} numbers by {fitted} {jobs}: the errors of these are {worth}",
        found.numbers_set
    )?;
    if let Some(pooled) = found.pooled {
        writeln!(out, "targets     bytes over all predicted jobs: rank correlation {pooled:.2}")?;
    }
    if let Some((low, high)) = found.within_jobs() {
        writeln!(
            out,
            "            within single jobs the rank correlation is between {low:.2} and {high:.2}"
        )?;
        if low < CORRELATED {
            writeln!(out, "            so which targets of a job get more bytes is not predicted")?;
        }
    }
    for number in &found.uncovered {
        writeln!(out, "            job {number} is left out: the recorded loads do not cover its time")?;
    }
    say_bandwidths(found, out)?;
    for (reads, what) in [(false, "writing"), (true, "reading")] {
        if let Some((recorded, simulated)) = found.gap(reads) {
            writeln!(
                out,
                "{what:<11} file per process over aggregated shared file: {recorded:.1} times recorded, {simulated:.1} \
                 times simulated"
            )?;
        }
    }
    Ok(())
}

/// Fitted bandwidths that no target was ever seen to have.
fn say_bandwidths(found: &Found<'_>, out: &mut String) -> std::fmt::Result {
    let fitted = [("write", found.free.write_bps), ("read", found.free.read_bps)];
    for ((what, fitted_bps), best_bps) in fitted.into_iter().zip(found.best_bps) {
        let Some(best_bps) = best_bps.filter(|best_bps| fitted_bps > *best_bps) else { continue };
        let (fitted, best) = (fitted_bps / MIB, best_bps / MIB);
        writeln!(
            out,
            "bandwidth   {what}_MiBps of {fitted:.0} is above the best recorded row ({best:.0} a target):"
        )?;
        writeln!(out, "            it makes up for gaps of the replay and is no measured speed")?;
    }
    Ok(())
}

/// What belongs into the system's file.
fn say_file(found: &Found<'_>, source: &str, out: &mut String) -> std::fmt::Result {
    let free = &found.free;
    writeln!(out, "\nFor the system's file:\n")?;
    writeln!(
        out,
        "[targets]\nwrite_MiBps = {:.0}.0\nread_MiBps = {:.0}.0\n",
        free.write_bps / MIB,
        free.read_bps / MIB
    )?;
    writeln!(out, "[client]\nrequest_ms = {:.2}\n", free.request_s * 1e3)?;
    writeln!(
        out,
        "[disk]\nshared_write_exponent = {0:.3}\nshared_read_exponent = {0:.3}\n",
        free.shared_exponent
    )?;
    let errors = found.errors_pct();
    let (median, largest) = (median(&errors), errors.last().copied());
    let fitted = found.results.len() - errors.len();
    writeln!(
        out,
        "[calibration]\nsource = {:?}\nruns_fitted = {fitted}\nruns_predicted = {}",
        source,
        errors.len()
    )?;
    let percent = |value: Option<f64>| value.map_or(0.0, |value| (value * 10.0).round() / 10.0);
    writeln!(out, "median_error_pct = {:.1}\nlargest_error_pct = {:.1}", percent(median), percent(largest))
}

fn json(found: &Found<'_>, source: &str) -> serde_json::Value {
    let jobs = found.results.iter().zip(&found.correlations).map(|(result, correlation)| {
        json!({
            "label": result.job.label,
            "program": result.job.program,
            "reads": result.job.reads,
            "manner": result.job.manner().as_str(),
            "fitted": result.is_fit,
            "recorded_s": result.job.run_s(),
            "simulated_s": result.simulated_s,
            "rank_correlation": correlation,
        })
    });
    let free = &found.free;
    json!({
        "schema": "tarazu.calibration/1",
        "source": source,
        "system": found.system.name,
        "free": {
            "write_bps": free.write_bps,
            "read_bps": free.read_bps,
            "shared_exponent": free.shared_exponent,
            "request_s": free.request_s,
        },
        "numbers_set": found.numbers_set,
        "median_error_pct": median(&found.errors_pct()),
        "jobs": jobs.collect::<Vec<_>>(),
        "rank_correlation": found.pooled,
        "rank_correlation_within_jobs": found.within_jobs(),
        "jobs_without_loads": found.uncovered,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        let even = median(&[0.6, 7.5, 16.8, 41.2]).expect("four values");
        assert!((even - 12.15).abs() < 1e-9, "{even}");
        assert_eq!(median(&[0.6, 7.5, 41.2]), Some(7.5));
        assert_eq!((median(&[3.0]), median(&[])), (Some(3.0), None));
    }

    #[test]
    fn a_job_named_twice_counts_once() {
        let job = BenchJob {
            label: String::new(),
            program: "ior".into(),
            start_s: 0,
            end_s: 9,
            ranks: 1,
            reads: false,
            bytes: 1,
            requests: 1,
            shared: false,
            busy_s: 9.0,
        };
        let jobs = [job.clone(), job];
        assert_eq!(chosen(&[1, 1], &jobs).expect("there is a first job"), [0]);
        assert_eq!(chosen(&[2, 1, 2], &jobs).expect("both are there"), [0, 1]);
        assert!(chosen(&[3], &jobs).is_err());
    }
}
