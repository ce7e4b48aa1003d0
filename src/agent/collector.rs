//! What a collector is: it finds sources, and each source can be read.
//!
//! A source is what may hang by itself: one target's files. It is read on a thread of its own (`worker`); listing
//! sources may hang too and has another. What the files mean is decided in pure functions beside each collector.

use std::path::PathBuf;

use super::Sources;
use super::clock;
use super::error::AgentError;
use super::files;
use super::host;
use super::reading::{Host, Reading, Snapshot};

/// Which collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A Lustre object storage server.
    Lustre,
    /// Directories, with the block devices below them.
    Directory,
    /// Counters that another program writes.
    Synthetic,
}

/// A target that is named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its index.
    pub(crate) ost_index: u32,
    /// Its directory, or the file with its counters.
    pub(crate) path: PathBuf,
}

/// Finds the sources of one server.
pub(super) trait Collector: Send {
    /// What there is to read now. It may block: it lists folders.
    fn find(&mut self) -> Result<Found, AgentError>;
}

/// What there is to read.
pub(super) struct Found {
    /// The sources.
    pub(super) sources: Vec<Box<dyn Source>>,
    /// Version of the file system's software, empty where there is none.
    pub(super) version: String,
}

/// One thing that is read at a time, and may hang alone.
pub(super) trait Source: Send {
    /// Its name: the same source has the same in every finding.
    fn name(&self) -> &str;
    /// Reads it. It may block.
    fn read(&mut self) -> Result<Reading, AgentError>;
}

/// The processors of the server, for collectors without a queue of their own.
pub(super) struct Processors {
    /// Where the server's files begin.
    pub(super) root: PathBuf,
}

impl Source for Processors {
    fn name(&self) -> &str {
        "the server's processors"
    }

    fn read(&mut self) -> Result<Reading, AgentError> {
        let text = files::read(&self.root.join("proc/stat"))?;
        let cpu = text.as_deref().and_then(host::cpu);
        Ok(Reading { targets: Vec::new(), host: Some(Host { queue: None, cpu }) })
    }
}

/// Reads all sources once, in turn and without deadlines: for recordings.
pub(super) fn read_all(sources: &Sources) -> Result<Snapshot, AgentError> {
    let found = sources.collector()?.find()?;
    let mut readings = Vec::with_capacity(found.sources.len());
    for mut source in found.sources {
        readings.push(source.read()?);
    }
    let mut snapshot = Snapshot::join(clock::monotonic_ns(), readings);
    // A recording was taken when it says, not when it is read.
    for target in &mut snapshot.targets {
        target.at_ns = target.snapshot_ns.unwrap_or(target.at_ns);
    }
    Ok(snapshot)
}

/// Refuses lists of targets that no server can have.
pub(super) fn check(targets: &[Place]) -> Result<(), AgentError> {
    let fault = |fault: String| Err(AgentError::Targets { fault });
    if targets.is_empty() {
        return fault("none given; write one --target INDEX=PATH for each target".to_owned());
    }
    if targets.len() > TARGETS_MAX {
        return fault(format!("{} given; a server has at most {TARGETS_MAX}", targets.len()));
    }
    let mut indices: Vec<u32> = targets.iter().map(|target| target.ost_index).collect();
    indices.sort_unstable();
    match indices.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => fault(format!("index {} is given twice", pair[0])),
        None => Ok(()),
    }
}

/// Targets of one server: the controller takes no more (`tarazu.v1.Register`).
pub(super) const TARGETS_MAX: usize = 256;
