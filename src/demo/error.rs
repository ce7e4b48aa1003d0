//! What can keep the demonstration from ending well.

use std::io;
use std::path::PathBuf;

/// An error of the demonstration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The bundled log could not be used.
    #[error("the bundled log {name} cannot be replayed: {reason}")]
    Log { name: &'static str, reason: String },
    /// A file or folder of the demonstration's own.
    #[error("{}: {what}; the demonstration works below $TMPDIR, so name a folder there that takes files", path.display())]
    Folder { path: PathBuf, what: &'static str, source: io::Error },
    /// A process of the control plane did not start.
    #[error("{name} cannot be started")]
    Spawn { name: String, source: io::Error },
    /// A process of the control plane ended before its time.
    #[error("{name} ended early ({status}); its last words:\n{log}")]
    Died { name: String, status: String, log: String },
    /// The control plane was not ready in time.
    #[error(
        "the control plane was not ready within {seconds:.0} s: {missing}; the controller's last words:\n{log}"
    )]
    Late { seconds: f64, missing: String, log: String },
    /// The controller did not answer.
    #[error("the controller at {address} gave no usable answer: {reason}")]
    Ask { address: String, reason: String },
    /// A rank's file.
    #[error("rank {rank}: {}: no reading or writing", path.display())]
    File { rank: u32, path: PathBuf, source: io::Error },
    /// A file lies on none of the targets.
    #[error("rank {rank}: {}: it lies on no target", path.display())]
    NoTarget { rank: u32, path: PathBuf },
    /// Counters for the agents.
    #[error("the counters of an emulated target cannot be written")]
    Counters(#[from] crate::agent::AgentError),
    /// A thread of the demonstration.
    #[error("a thread of the demonstration failed: {0}")]
    Thread(&'static str),
    /// Somebody asked for the end.
    #[error("stopped")]
    Stopped,
}
