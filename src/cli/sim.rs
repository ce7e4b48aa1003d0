//! `tarazu sim`: reads workload, system and scenario, runs the experiment, shows the results.

mod explain;
mod input;
mod page;
pub(super) mod regret;
pub(super) mod text;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tarazu_core::planner::Parts;
use tarazu_sim::experiment::{Plan, SEEDS_MAX, Shard, experiment};
use tarazu_sim::faults;
use tarazu_sim::parts_without;
use tarazu_sim::report::{Report, Subject, write_csv};
use tarazu_sim::{
    BUNDLED, BackgroundSpec, Fault, Forecast, PRESETS, Policy, Scenario, Sick, Site, Striping, System, Timing,
};

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

    /// Add a generated workload, such as ior:nodes=16,ranks_per_node=8,block=64MiB (repeatable; see --list-generators)
    #[arg(long, value_name = "SPEC")]
    generate: Vec<String>,

    /// Show the generators with their parameters
    #[arg(long)]
    list_generators: bool,

    /// The file system: a bundled one by name (see --list-systems), or a TOML file; without it, ost35
    #[arg(long, value_name = "NAME|FILE")]
    system: Option<PathBuf>,

    /// Show the bundled systems
    #[arg(long)]
    list_systems: bool,

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

    /// Stripes of every file: as-logged, count=K, size-rule (NERSC's, by size and sharing), advised
    /// (tarazu's own rule) or pfl=SITE, the default
    /// layout of a site (see --list-striping)
    #[arg(long, value_name = "RULE", default_value = "as-logged")]
    striping: Striping,

    /// Show the sites of --striping pfl=SITE with their layouts
    #[arg(long)]
    list_striping: bool,

    /// Load of others on each target: none, constant=SHARE, uniform=SHARE (drawn from 0 to SHARE per target),
    /// markov[=MEAN][,dwell=FACTOR] (changing, as measured on Spider II, Titan and Edison) or
    /// recorded=FILE[,KEY=VALUE]... (bytes/s of each target as CSV; see docs/background.md)
    #[arg(long, value_name = "KIND", default_value = "none")]
    background: BackgroundSpec,

    /// What goes wrong: slow:TARGET:SPEED, down:TARGET, rebuild:TARGET[:SPEED] or failover:SERVER>SERVER, each with
    /// @FROM or @FROM-TO in seconds behind it, or expand:N[@TIME] for N new empty targets (repeatable)
    #[arg(long = "fault", value_name = "FAULT")]
    faults: Vec<Fault>,

    /// A slow target from the start of the run: TARGET (a twentieth of its speed) or TARGET:SPEED
    #[arg(long, value_name = "TARGET[:SPEED]", allow_negative_numbers = true)]
    sick: Option<Sick>,

    /// Reporting intervals after which the controller is told of the slow target; "never" for not at all
    #[arg(long, value_name = "N", default_value = "3", allow_negative_numbers = true, value_parser = parse_intervals)]
    sick_known_after: KnownAfter,

    /// The controller does not judge targets by their samples: what a slow one costs where nobody finds it
    #[arg(long)]
    no_health: bool,

    /// The controller has 4 MiB written to every target once in ten minutes: finds slow targets that are idle
    #[arg(long, conflicts_with = "no_health")]
    canary: bool,

    /// What the controller knows of a job before it writes: perfect (from the workload itself), none, or
    /// errs=DEVIATION (sizes off by a factor for each job and kind of file, its logarithm normal)
    #[arg(long, value_name = "WHAT", default_value = "perfect")]
    forecast: Forecast,

    /// The file system's own allocator beneath policies that leave files to it: lustre-rr, lustre-qos,
    /// lustre-qos-2.15, lustre-qos-2.12 or random
    #[arg(long, value_name = "POLICY", default_value = "lustre-rr")]
    beneath: Policy,

    /// Take parts of tarazu's planner away (repeatable), to see what each is worth: ledger, load, servers,
    /// streams, written or places
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    without: Vec<String>,

    /// Let tarazu spread the units of each plan by the exact solver instead of by filling: shows what filling leaves
    #[arg(long)]
    exact: bool,

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

    /// Simulate only this share of the seeds, such as 2/16; join the JSON outputs of all shares with `tarazu sim merge`
    #[arg(long, value_name = "N/COUNT", default_value = "1/1")]
    shard: Shard,

    /// Threads to use, 0 for one a core; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true, value_parser = |text: &str| whole_u32(text, 0, THREADS_MAX))]
    threads: u32,

    /// Also write a report with pictures: one HTML file that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,

    /// Also write why every plan of tarazu in the first seed was as it was: schema tarazu.explain/1
    #[arg(long, value_name = "FILE")]
    explain: Option<PathBuf>,

    /// Also write what the controller heard in the first seed of tarazu, for `tarazu replay`: an event log as a live one's
    #[arg(long, value_name = "FILE")]
    event_log: Option<PathBuf>,

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
    if args.list_systems || args.list_striping {
        output::Output::print(&if args.list_systems { systems()? } else { sites() })?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        args.explain.is_none() || args.policy.0.contains(&Policy::Tarazu),
        "--explain shows the plans of {tarazu}; name it in --policy",
        tarazu = Policy::Tarazu
    );
    ensure!(
        args.event_log.is_none() || !args.steer_always && args.without.is_empty() && !args.exact,
        "--event-log is for a controller as it is: leave out --steer-always, --without and --exact"
    );
    let system = system(args)?;
    let scenario = scenario(args)?;
    check_sick(&scenario, &system)?;
    faults::check(&scenario.faults, &system.topology)?;
    let mut input = input::read(args)?;
    input.notes.extend(scenario.striping.notes(&input.workload, &system));
    input.notes.extend(scenario.background.notes());
    if args.output != Output::Json {
        input.notes.iter().for_each(note);
    }
    logs::ensure_something_left(&input.workload, input.left_out_bytes)?;
    let bar = logs::progress(args.shard.seeds(args.seeds).len() as u64 * args.policy.0.len() as u64, "runs");
    let results = experiment(&input.workload, &system, &scenario, &plan(args), &|| bar.inc(1))?;
    bar.finish_and_clear();
    let subject = Subject {
        source: &input.source,
        notes: &input.notes,
        workload: &input.workload,
        system: &system,
        scenario: &scenario,
        seeds_total: args.seeds,
        shard: args.shard,
    };
    if let Some(path) = &args.html {
        page::write(path, &subject, &results)?;
    }
    let explained = match &args.explain {
        Some(path) => explain::write(path, &subject, &results)?,
        None => String::new(),
    };
    if let Some(path) = &args.event_log {
        let seed = args.shard.seeds(args.seeds).first().copied().unwrap_or(0);
        let heard = tarazu_sim::control_log::hear(&input.workload, &system, &scenario, seed)?;
        crate::controller::replay::write_heard(path, &heard)?;
    }
    let mut out = output::Output::open();
    match args.output {
        Output::Text => {
            out.put(&text::show(&subject, &results, text::width()))?;
            out.put(&explained)?;
        }
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
    Plan {
        policies,
        seeds: args.seeds,
        shard: args.shard,
        threads,
        record: args.html.is_some(),
        explain: args.explain.is_some(),
    }
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
        Some(word) => System::named_or_read(word, &args.set)?,
    })
}

/// One line for each bundled system.
fn systems() -> Result<String> {
    let mut out = String::new();
    for preset in PRESETS {
        let system = System::preset(preset.name)?;
        out.push_str(&format!("{:<11} {}\n", system.name, system.description));
    }
    Ok(out)
}

/// One line for each site with a default layout.
fn sites() -> String {
    Site::ALL.into_iter().map(|site| format!("{:<11} {}\n", site.as_str(), site.describe())).collect()
}

fn scenario(args: &ReplayArgs) -> Result<Scenario> {
    ensure!(
        args.beneath.is_stock(),
        "{} is no allocator of a file system's own; use --beneath lustre-rr or lustre-qos",
        args.beneath
    );
    Ok(Scenario {
        timing: if args.open_loop { Timing::Open } else { Timing::Closed },
        striping: args.striping,
        background: args.background.load()?,
        faults: args.faults.clone(),
        sick: args.sick,
        sick_known_after: args.sick_known_after.0,
        detect: !args.no_health,
        canary: args.canary,
        forecast: args.forecast,
        steer_always: args.steer_always,
        beneath: args.beneath,
        redraw: false,
        parts: Parts { exact: args.exact, ..parts_without(&args.without)? },
        start_jitter_s: args.start_jitter,
    })
}
