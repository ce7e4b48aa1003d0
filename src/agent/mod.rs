//! The agent beside one I/O server: turns its statistics into one sample an interval and reports them to the controller.
//!
//! Owns the collectors (Lustre, directories, counters of an emulated I/O path), the difference of two readings, the
//! readers with their deadlines, canaries and the client of `Agents.Report`. It must not judge a target: what is
//! slow, full or gone is for the controller to say. Pure parts (`reading`, `diff`, `lustre::text`, `lustre::target`,
//! `block`, `synthetic`, `backoff`) take bytes and times; the others read files, clocks and sockets.

mod backoff;
mod block;
mod canary;
mod clock;
mod collector;
mod desk;
mod diff;
mod directory;
mod error;
mod files;
mod host;
mod lustre;
mod outbox;
mod reading;
mod sampler;
mod session;
mod synthetic;
mod worker;

pub(crate) use collector::{Kind, Place};
pub(crate) use diff::Priors;
pub(crate) use error::AgentError;
pub(crate) use session::{Config, run};
pub(crate) use synthetic::SyntheticCounters;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tarazu_proto::v1;

/// What a collector is made of.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Which kind.
    pub(crate) kind: Kind,
    /// Name of the file system: Lustre's targets are found by it.
    pub(crate) file_system: String,
    /// Where the server's files begin: `/`, or a recording.
    pub(crate) root: PathBuf,
    /// Targets of the directory and the synthetic collector.
    pub(crate) targets: Vec<Place>,
}

impl Sources {
    /// The collector of these sources.
    fn collector(&self) -> Result<Box<dyn collector::Collector>, AgentError> {
        match self.kind {
            Kind::Lustre => Ok(Box::new(lustre::Lustre::new(&self.root, &self.file_system)?)),
            Kind::Directory => Ok(Box::new(directory::Directories::new(&self.root, &self.targets)?)),
            Kind::Synthetic => Ok(Box::new(synthetic::Synthetic::new(&self.targets)?)),
        }
    }
}

/// A single sample may wait for its sources as long as one of the usual interval.
const ONCE_PATIENCE: Duration = Duration::from_secs(5);

/// One sample without a controller: what happened between two readings of the same place, `pause` apart.
pub(crate) async fn once(
    sources: &Sources,
    pause: Duration,
    priors: Priors,
) -> Result<v1::Sample, AgentError> {
    let mut sampler = sampler::Sampler::new(sources.collector()?, priors);
    sampler.round(ONCE_PATIENCE).await;
    tokio::time::sleep(pause).await;
    sampler
        .round(ONCE_PATIENCE)
        .await
        .sample
        .ok_or_else(|| AgentError::Nothing { root: sources.root.clone() })
}

/// One sample between two recordings of the same server; nothing is waited for.
pub(crate) fn between(sources: &Sources, earlier: &Path, priors: Priors) -> Result<v1::Sample, AgentError> {
    let mut before = sources.clone();
    earlier.clone_into(&mut before.root);
    let (before, after) = (collector::read_all(&before)?, collector::read_all(sources)?);
    let mut tally = diff::Tally::default();
    diff::sample(&before, &after, priors, 1, &mut tally)
        .ok_or_else(|| AgentError::Nothing { root: sources.root.clone() })
}
