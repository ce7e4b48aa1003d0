//! `tarazu sim`: reads workload, system and scenario, runs the experiment, shows the results.

mod input;
mod text;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tarazu_sim::experiment::{Plan, SEEDS_MAX, experiment};
use tarazu_sim::report::{Report, Subject, write_csv};
use tarazu_sim::{BUNDLED, Background, Forecast, Policy, Scenario, Sick, Striping, System, Timing};

use super::logs::{self, LogArgs, Tolerance};
use super::output::{self, CANNOT_WRITE, note};
use super::words::{whole, whole_u32};

/// Options of `tarazu sim`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Darshan logs or folders of them, workload files (*.csv), Recorder traces, outputs of IOR and mdtest; without any,
    /// a bundled Darshan log
    #[arg(value_name = "TRACE")]
    traces: Vec<PathBuf>,

    #[command(flatten)]
    tolerance: Tolerance,

    #[command(flatten)]
    select: LogArgs,

    /// Add a generated workload, such as ior:nodes=16,ranks=8,block=64MiB (repeatable; see --list-generators)
    #[arg(long, value_name = "SPEC")]
    generate: Vec<String>,

    /// Show the generators with their parameters
    #[arg(long)]
    list_generators: bool,

    /// The file system, as TOML; without it, the bundled one of 35 targets on 7 servers
    #[arg(long, value_name = "FILE")]
    system: Option<PathBuf>,

    /// Change one key of the system, such as servers.count=8 (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Policies to compare; the first is the baseline
    #[arg(
        long,
        value_name = "A,B",
        default_value = "lustre-rr,random,tarazu,tarazu-central",
        value_parser = parse_policies
    )]
    policy: Policies,

    /// Seeds 1 to N: start times, allocator restarts, background and delays, alike for all policies
    #[arg(long, value_name = "N", default_value_t = 10, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 1, SEEDS_MAX))]
    seeds: u64,

    /// Stripes of every file: as-logged, or count=K
    #[arg(long, value_name = "RULE", default_value = "as-logged")]
    striping: Striping,

    /// Load of others on each target: none, constant=SHARE, or uniform=SHARE (drawn from 0 to SHARE per target)
    #[arg(long, value_name = "KIND", default_value = "none")]
    background: Background,

    /// A slow target from the start of the run: TARGET (a twentieth of its speed) or TARGET:SPEED
    #[arg(long, value_name = "TARGET[:SPEED]", allow_negative_numbers = true)]
    sick: Option<Sick>,

    /// Reporting intervals after which the controller is told of the slow target; "never" for not at all
    #[arg(long, value_name = "N", default_value = "3", allow_negative_numbers = true, value_parser = parse_intervals)]
    sick_known_after: KnownAfter,

    /// What the controller knows of a job before it writes: perfect (from the workload itself) or none
    #[arg(long, value_name = "WHAT", default_value = "perfect", value_parser = parse_forecast)]
    forecast: Forecast,

    /// Let tarazu steer every known job, also where nothing is to be gained: shows what steering costs
    #[arg(long)]
    steer_always: bool,

    /// Start operations at their recorded times instead of after their predecessors
    #[arg(long)]
    open_loop: bool,

    /// Delay each job's start by a draw from 0 to S seconds
    #[arg(long, value_name = "S", default_value_t = 5.0, allow_negative_numbers = true, value_parser = parse_seconds)]
    start_jitter: f64,

    /// Run the workload N times at once, each copy on nodes and files of its own
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true, value_parser = |text: &str| whole_u32(text, 1, u32::MAX))]
    copies: u32,

    /// Start the copies over S seconds
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true, value_parser = parse_seconds)]
    stagger: f64,

    /// Multiply all sizes and offsets by K
    #[arg(long, value_name = "K", default_value_t = 1, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 1, u64::MAX))]
    scale_bytes: u64,

    /// Seed of generated workloads and of the copies' start times
    #[arg(long, value_name = "SEED", default_value_t = 1, allow_negative_numbers = true, value_parser = |text: &str| whole(text, 0, u64::MAX))]
    workload_seed: u64,

    /// Threads to use, 0 for one a core; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = |text: &str| whole_u32(text, 0, THREADS_MAX))]
    threads: u32,

    /// Form of the results
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A table for people
    Text,
    /// Schema tarazu.sim/1
    Json,
    /// One row per policy, seed and metric
    Csv,
}

/// Threads of one experiment: more than any machine has cores, and far fewer than one may start.
const THREADS_MAX: u32 = 1024;

/// The policies in order; a type of its own, so that the list is judged as a whole.
#[derive(Clone, Debug)]
struct Policies(Vec<Policy>);

fn parse_policies(text: &str) -> Result<Policies, String> {
    let mut policies: Vec<Policy> = Vec::new();
    for word in text.split(',') {
        let policy = word.trim().parse().map_err(|error| format!("{error}"))?;
        if policies.contains(&policy) {
            return Err(format!("{policy} is named twice"));
        }
        policies.push(policy);
    }
    Ok(Policies(policies))
}

/// When the controller learns of a slow target; a type of its own, as clap treats `Option` specially.
#[derive(Clone, Copy, Debug)]
struct KnownAfter(Option<u32>);

fn parse_intervals(text: &str) -> Result<KnownAfter, String> {
    if text == "never" {
        return Ok(KnownAfter(None));
    }
    text.parse()
        .map(|count| KnownAfter(Some(count)))
        .map_err(|_| "use a number of intervals, or never".into())
}

fn parse_forecast(text: &str) -> Result<Forecast, String> {
    match text {
        "perfect" => Ok(Forecast::Perfect),
        "none" => Ok(Forecast::Nothing),
        _ => Err("use perfect or none".into()),
    }
}

/// Longest time span of an option: a year, so that no sum of times overflows.
const SECONDS_MAX: f64 = 366.0 * 86400.0;

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.ok_or_else(|| format!("use a number of seconds from 0 to {SECONDS_MAX}"))
}

pub(crate) fn run(args: &ReplayArgs) -> Result<ExitCode> {
    if args.list_generators {
        output::Output::print(&format!("{}\n", tarazu_workload::generate::KINDS))?;
        return Ok(ExitCode::SUCCESS);
    }
    let system = system(args)?;
    let scenario = scenario(args);
    check_sick(&scenario, &system)?;
    let input = input::read(args)?;
    if args.output != Output::Json {
        input.notes.iter().for_each(note);
    }
    logs::ensure_something_left(&input.workload, input.left_out_bytes)?;
    let results = experiment(&input.workload, &system, &scenario, &plan(args))?;
    let subject = Subject {
        source: &input.source,
        notes: &input.notes,
        workload: &input.workload,
        system: &system,
        scenario: &scenario,
    };
    let mut out = output::Output::open();
    match args.output {
        Output::Text => out.put(&text::show(&subject, &results, text::width()))?,
        Output::Json => {
            serde_json::to_writer_pretty(&mut out, &Report::new(&subject, &results)).context(CANNOT_WRITE)?;
            writeln!(out).context(CANNOT_WRITE)?;
        }
        Output::Csv => write_csv(&results, &mut out).context(CANNOT_WRITE)?,
    }
    out.finish()?;
    Ok(input.condition.exit_code(args.tolerance))
}

fn plan(args: &ReplayArgs) -> Plan<'_> {
    let policies = &args.policy.0;
    // More threads than runs would have nothing to do.
    let runs = args.seeds.saturating_mul(policies.len() as u64);
    let threads = u64::from(args.threads).min(runs) as usize;
    Plan { policies, seeds: args.seeds, threads }
}

/// Before traces are read, which may take long.
fn check_sick(scenario: &Scenario, system: &System) -> Result<()> {
    let Some(sick) = scenario.sick else { return Ok(()) };
    let targets = system.topology.targets().len();
    ensure!(
        sick.target.index() < targets,
        "--sick {}: the system {} has targets 0 to {} only",
        sick.target.0,
        system.name,
        targets.saturating_sub(1)
    );
    Ok(())
}

fn system(args: &ReplayArgs) -> Result<System> {
    Ok(match &args.system {
        None => System::parse_with(BUNDLED, "the bundled system", &args.set)?,
        Some(path) => System::read(path, &args.set)?,
    })
}

fn scenario(args: &ReplayArgs) -> Scenario {
    Scenario {
        timing: if args.open_loop { Timing::Open } else { Timing::Closed },
        striping: args.striping,
        background: args.background,
        sick: args.sick,
        sick_known_after: args.sick_known_after.0,
        forecast: args.forecast,
        steer_always: args.steer_always,
        start_jitter_s: args.start_jitter,
    }
}
