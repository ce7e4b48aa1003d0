//! `tarazu node`: the daemon beside the applications of one compute node.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

use super::services;
use crate::node::{self, Config};

/// The environment's word on the run directory; clients heed it too.
const RUN_DIR_VARIABLE: &str = "TARAZU_RUN_DIR";

/// The run directory where nobody says otherwise.
const RUN_DIR: &str = "/run/tarazu";

#[derive(Debug, clap::Args)]
pub(crate) struct NodeArgs {
    /// Address of the controller
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7480")]
    controller: String,
    /// A file system that is mounted here, as the controller calls it; once for each
    #[arg(long = "file-system", value_name = "NAME", required = true)]
    file_systems: Vec<String>,
    /// Where tables are published and clients leave their records [default: $TARAZU_RUN_DIR, else /run/tarazu]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// The node's name; the host's where it is not given
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

pub(crate) fn run(args: NodeArgs) -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_env("TARAZU_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    services::log_what(filter);
    let NodeArgs { controller, file_systems, run_dir, node } = args;
    let run_dir = self::run_dir(run_dir.as_deref());
    node::run(&Config { controller, file_systems, run_dir, node })?;
    Ok(ExitCode::SUCCESS)
}

/// The run directory: as given, else as the environment says, else the usual one.
pub(crate) fn run_dir(given: Option<&Path>) -> PathBuf {
    let from_environment = || std::env::var_os(RUN_DIR_VARIABLE).map(PathBuf::from);
    given.map(Path::to_owned).or_else(from_environment).unwrap_or_else(|| PathBuf::from(RUN_DIR))
}
