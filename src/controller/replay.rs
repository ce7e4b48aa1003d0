//! Makes a recorded controller's decisions again, by the very code that made them.

use std::collections::BTreeMap;
use std::path::Path;

use tarazu_core::control::{Effect, Event};
use tarazu_core::plan::Plan;
use tarazu_proto::v1::{PublishedTable, recorded::What};
use tarazu_proto::{Invalid, event_from};

use super::brain::{Brain, BrainSettings, published};
use crate::record::{LogReader, ReadError};

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entry.
    #[error("entry {number} of the log makes no sense: {source}")]
    Entry {
        /// Its number, from 1 behind the head.
        number: u64,
        /// What is wrong.
        source: Invalid,
    },
    /// The first entry is no topology.
    #[error("the log does not begin with what the file system is built of")]
    NoTopology,
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Tables that the replay published.
    pub(crate) made: Vec<PublishedTable>,
    /// Tables that the log says were published.
    pub(crate) recorded: Vec<PublishedTable>,
    /// Entries read.
    pub(crate) entries: u64,
    /// The log ends in the middle of an entry.
    pub(crate) truncated_at: Option<u64>,
}

impl Replayed {
    /// The first table, from 0, that is another than the recorded one.
    pub(crate) fn first_difference(&self) -> Option<usize> {
        let longest = self.made.len().max(self.recorded.len());
        (0..longest).find(|number| self.made.get(*number) != self.recorded.get(*number))
    }
}

/// Replays a whole log.
pub(crate) fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let mut log = LogReader::open(path)?;
    let entry = |number: u64| move |source: Invalid| ReplayError::Entry { number, source };
    let settings = BrainSettings::of_head(log.head()).map_err(entry(0))?;
    let mut brain: Option<Brain> = None;
    let mut solved: BTreeMap<u64, Box<Plan>> = BTreeMap::new();
    let mut replayed = Replayed::default();
    let mut effects = Vec::new();
    while let Some(recorded) = log.read()? {
        replayed.entries += 1;
        let number = replayed.entries;
        let Some(what) = &recorded.what else { continue };
        if let What::Published(table) = what {
            replayed.recorded.push(*table);
            continue;
        }
        let topology = brain.as_ref().map(|brain| &brain.control().view().topology);
        let event = match (what, event_from(what, topology).map_err(entry(number))?) {
            (What::Solved(seq), _) => {
                let Some(plan) = solved.remove(seq) else { continue };
                Event::Solved { seq: *seq, plan }
            }
            (_, Some(event)) => event,
            (_, None) => continue,
        };
        let Some(brain) = &mut brain else {
            let Event::Grown { topology, .. } = event else { return Err(ReplayError::NoTopology) };
            brain = Some(Brain::new(&settings, topology, None, recorded.now()));
            continue;
        };
        brain.step(recorded.now(), event, &mut effects);
        for effect in effects.drain(..) {
            replayed.made.extend(published(&effect));
            if let Effect::Solve(problem) = effect {
                solved.insert(problem.seq, Box::new(settings.solve(&problem)));
            }
        }
    }
    replayed.truncated_at = log.truncated_at();
    Ok(replayed)
}
