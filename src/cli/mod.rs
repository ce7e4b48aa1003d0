//! The command line: what was typed, and which tool it goes to. Tools print data on standard output and
//! messages on standard error.

mod admin;
mod agent;
mod analyze;
mod calibrate;
mod compose;
mod config;
mod controller;
mod demo;
mod flows;
mod input;
mod logs;
mod merge;
mod node;
mod output;
mod place;
mod services;
mod sim;
mod trace;
mod whole_file;
pub(crate) mod words;

pub(crate) use demo::verdict as demo_verdict;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Balances the I/O load of HPC parallel file systems.
#[derive(Debug, Parser)]
#[command(name = "tarazu", version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    tool: Tool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Show the whole control plane at work on this machine: no root, no network, emulated targets
    Demo(demo::DemoArgs),
    /// Serve agents, nodes and tools: the control plane of one or several file systems
    Controller(Box<controller::ControllerArgs>),
    /// How the controller and its file systems stand
    Status(admin::StatusArgs),
    /// Targets: list them, take them out, give them back
    Ost(admin::OstArgs),
    /// What is wanted of the controller: observe or apply, canaries, detection
    Policy(admin::PolicyArgs),
    /// Where a file lies and why, or why the plan in force is as it is
    Explain(admin::ExplainArgs),
    /// Make a recorded controller's decisions again, and compare the tables
    Replay(controller::ReplayArgs),
    /// Replay workloads against placement policies on a simulated file system
    Sim(Box<SimArgs>),
    /// Say what Darshan logs show about a job's I/O, with codes and a fix
    Analyze(analyze::AnalyzeArgs),
    /// Look into traces and convert them
    Trace(Box<trace::TraceArgs>),
    /// Put the stripes of requests onto targets at the least cost
    Place(place::PlaceArgs),
    /// Settings of the controller: what holds, where it comes from, and whether a file is sound
    Config(config::ConfigArgs),
    /// Report the load of an I/O server to the controller
    Agent(Box<agent::AgentArgs>),
    /// Run the node daemon: tables for this node's clients, their reports for the controller
    Node(node::NodeArgs),
}

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
struct SimArgs {
    #[command(subcommand)]
    tool: Option<SimTool>,
    #[command(flatten)]
    replay: sim::ReplayArgs,
}

#[derive(Debug, Subcommand)]
enum SimTool {
    /// Finish times of transfers under max-min fair sharing, on the schema of tarazu-fluid/1
    Flows(flows::FlowsArgs),
    /// Join the shares of one sweep that were simulated apart
    Merge(merge::MergeArgs),
    /// Set a system's free numbers by recorded benchmark jobs, predict others, and show the errors
    Calibrate(calibrate::CalibrateArgs),
    /// Draw thousands of situations and show in how many of them tarazu does harm
    Regret(sim::regret::RegretArgs),
}

/// Exit code of an error in the input or while working; wrong usage exits with 2 (clap's).
const EXIT_FAILURE: u8 = 1;

/// Parses the command line and runs the tool.
pub(crate) fn run() -> ExitCode {
    // A child of a demonstration ends with it.
    crate::demo::end_with_parent();
    let outcome = match Cli::parse().tool {
        Tool::Demo(args) => demo::run(&args),
        Tool::Controller(args) => controller::run(&args),
        Tool::Status(args) => admin::status(&args),
        Tool::Ost(args) => admin::ost(&args),
        Tool::Policy(args) => admin::policy(&args),
        Tool::Explain(args) => admin::explain(&args),
        Tool::Replay(args) => controller::run_replay(&args),
        Tool::Sim(args) => match args.tool {
            Some(SimTool::Flows(args)) => flows::run(&args),
            Some(SimTool::Merge(args)) => merge::run(&args),
            Some(SimTool::Calibrate(args)) => calibrate::run(&args),
            Some(SimTool::Regret(args)) => sim::regret::run(&args),
            None => sim::run(&args.replay),
        },
        Tool::Analyze(args) => analyze::run(&args),
        Tool::Trace(args) => trace::run(&args),
        Tool::Place(args) => place::run(&args),
        Tool::Config(args) => config::run(&args),
        Tool::Agent(args) => agent::run(&args),
        Tool::Node(args) => node::run(args),
    };
    outcome.unwrap_or_else(|error| {
        output::message(format_args!("{error:#}"));
        ExitCode::from(EXIT_FAILURE)
    })
}
