//! What can go wrong in an agent, with the place and the remedy.

use std::path::PathBuf;

use super::lustre::text::TextError;

/// A failed operation of the agent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// A file or folder could not be read.
    #[error("{}: cannot be read; {remedy}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What to do.
        remedy: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A file is longer than what is read of it.
    #[error("{}: longer than {limit} bytes; is it the file that was meant?", path.display())]
    Long {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// Statistics that could not be understood.
    #[error("{place}: {error}; report the file to the maintainers with the file system's version")]
    Text {
        /// The parameter.
        place: String,
        /// Why.
        error: TextError,
    },
    /// A target lacks a statistic without which it cannot be reported.
    #[error("{target}: no {what}; the agent needs root for debugfs, or the target is just being mounted")]
    Missing {
        /// The target.
        target: String,
        /// What is missing.
        what: &'static str,
    },
    /// A recording's folder holds nothing that is known.
    #[error("{}: neither a file tree (proc/, sys/) nor a folder of `lctl get_param` outputs (obdfilter.stats.txt)", root.display())]
    Root {
        /// The folder.
        root: PathBuf,
    },
    /// The targets on the command line do not fit the collector.
    #[error("--target: {fault}")]
    Targets {
        /// What is wrong.
        fault: String,
    },
    /// Nothing was read twice.
    #[error("{}: no target could be read twice; see the warnings above", root.display())]
    Nothing {
        /// The root that was read.
        root: PathBuf,
    },
    /// The counters' file of an emulated target is not as it must be.
    #[error("{}: line {line}: {fault}; `tarazu-counters 1` and one `key value` a line are needed", path.display())]
    Counters {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        fault: &'static str,
    },
    /// A file could not be written.
    #[error("{}: cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("a thread for {name} could not be started; raise the limit of processes of this user")]
    Thread {
        /// The source that it was for.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The controller's address is none.
    #[error("{address}: no address of a controller; write HOST:PORT")]
    Address {
        /// What was given.
        address: String,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The controller's address lacks its port.
    #[error("{address}: the port is missing; write HOST:PORT")]
    Port {
        /// What was given.
        address: String,
    },
    /// No handler for signals.
    #[error("signals cannot be waited for")]
    Signals {
        /// Why.
        source: std::io::Error,
    },
}
