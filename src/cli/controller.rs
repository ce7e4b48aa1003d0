//! `tarazu controller`: the service; and `tarazu replay`: its event log again.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::output::{Output, note};
use super::{services, whole_file};
use crate::config::{SettingArgs, Surroundings, resolve};
use crate::controller::{self, replay};

#[derive(Debug, clap::Args)]
pub(crate) struct ControllerArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Write the served addresses, gRPC then HTTP, one a line, to this file: for ports that are left to the system
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// An event log, as `record` makes it
    log: PathBuf,
}

pub(crate) fn run(args: &ControllerArgs) -> anyhow::Result<ExitCode> {
    let config = resolve(&args.settings, &Surroundings::here())?;
    services::start_log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let stop = services::signal(&runtime)?;
    let address_file = args.address_file.clone();
    runtime.block_on(controller::run(config, stop, move |grpc, http| {
        let Some(path) = address_file else { return };
        if let Err(error) = whole_file::replace(&path, format!("{grpc}\n{http}\n").as_bytes()) {
            tracing::error!(path = %path.display(), %error, "the addresses cannot be written");
        }
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// Exit code 1 where a table is another than the recorded one.
pub(crate) fn run_replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let replayed = replay::replay(&args.log)?;
    let mut text = String::new();
    for (number, table) in replayed.made.iter().enumerate() {
        let order = table.order.unwrap_or_default();
        let by_controller = replayed.recorded.get(number).is_none_or(|recorded| recorded == table);
        let by_simulator = replayed.simulated.get(number) == Some(table);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "plan ({}, {})  {} bytes  checksum {:08x}  {}",
            order.term,
            order.seq,
            table.bytes,
            table.checksum,
            match (by_controller, by_simulator) {
                (true, true) => "as recorded, and as simulated",
                (true, false) => "ANOTHER THAN SIMULATED",
                (false, _) => "ANOTHER THAN RECORDED",
            }
        );
    }
    let _ = writeln!(
        text,
        "{} entries; tables: {} recorded, {} made by the controller's code, {} by the simulator's",
        replayed.entries,
        replayed.recorded.len(),
        replayed.made.len(),
        replayed.simulated.len()
    );
    Output::print(&text)?;
    if let Some(at) = replayed.truncated_at {
        note(format_args!("the log ends in the middle of an entry at byte {at}: its controller was killed"));
    }
    Ok(if replayed.first_difference().is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
