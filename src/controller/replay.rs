//! Makes a recorded controller's decisions again, by the very code that made them.

use std::collections::BTreeMap;
use std::path::Path;

use tarazu_core::control::{Effect, Event, LogEntry};
use tarazu_core::plan::Plan;
use tarazu_core::topology::Topology;
use tarazu_layout::Time;
use tarazu_proto::v1::{PublishedTable, Recorded, recorded::What};
use tarazu_proto::{Invalid, event_from, event_to};
use tarazu_sim::control_log::{Heard, LogHead, Player};

use super::brain::{Brain, BrainSettings, published};
use crate::record::{LOG_BYTES_MAX, LogReader, ReadError, RecordError, Recorder};

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
    /// Tables that the controller's own code makes of the log.
    pub(crate) made: Vec<PublishedTable>,
    /// Tables that the simulator's makes of it.
    pub(crate) simulated: Vec<PublishedTable>,
    /// Tables that the log says were published.
    pub(crate) recorded: Vec<PublishedTable>,
    /// Entries read.
    pub(crate) entries: u64,
    /// The log ends in the middle of an entry.
    pub(crate) truncated_at: Option<u64>,
}

impl Replayed {
    /// The first table, from 0, that is not the same everywhere. A log that was cut may lack the last ones.
    pub(crate) fn first_difference(&self) -> Option<usize> {
        let is_cut = self.truncated_at.is_some();
        let longest = self.made.len().max(self.recorded.len()).max(self.simulated.len());
        (0..longest).find(|number| {
            let (made, recorded) = (self.made.get(*number), self.recorded.get(*number));
            self.simulated.get(*number) != made || made != recorded && !(is_cut && recorded.is_none())
        })
    }
}

/// Replays a whole log, once as the controller and once as the simulator.
pub(crate) fn replay(path: &Path) -> Result<Replayed, ReplayError> {
    let mut log = LogReader::open(path)?;
    let entry = |number: u64| move |source: Invalid| ReplayError::Entry { number, source };
    let settings = BrainSettings::of_head(log.head()).map_err(entry(0))?;
    let mut both: Option<Both> = None;
    let mut replayed = Replayed::default();
    while let Some(recorded) = log.read()? {
        replayed.entries += 1;
        let number = replayed.entries;
        let now = recorded.now();
        let Some(what) = &recorded.what else { continue };
        if let What::Published(table) = what {
            replayed.recorded.push(*table);
            continue;
        }
        let topology = both.as_ref().map(|both| both.player.topology());
        let logged = match (what, event_from(what, topology).map_err(entry(number))?) {
            (What::Solved(seq), _) => LogEntry::Solved(*seq),
            (_, Some(event)) => LogEntry::Event(event),
            (_, None) => continue,
        };
        match (&mut both, logged) {
            (Some(both), logged) => both.step(&settings, now, logged, &mut replayed),
            (None, LogEntry::Event(Event::Grown { topology, .. })) => {
                both = Some(Both::new(&settings, topology, now));
            }
            (None, _) => return Err(ReplayError::NoTopology),
        }
    }
    replayed.truncated_at = log.truncated_at();
    Ok(replayed)
}

/// The controller's code and the simulator's, side by side.
struct Both {
    brain: Brain,
    player: Player,
    /// Plans of the controller's code that the log has not brought back yet.
    solved: BTreeMap<u64, Box<Plan>>,
    effects: Vec<Effect>,
}

impl Both {
    fn new(settings: &BrainSettings, topology: Topology, now: Time) -> Self {
        let head = LogHead {
            file_system: settings.file_system.clone(),
            id: settings.id,
            interval: settings.interval,
            layout_cost: settings.layout_cost,
            layout_service: settings.layout_service,
            seed: settings.seed,
            policy: settings.policy,
        };
        Self {
            player: Player::new(&head, topology.clone()),
            brain: Brain::new(settings, topology, None, now),
            solved: BTreeMap::new(),
            effects: Vec::new(),
        }
    }

    fn step(&mut self, settings: &BrainSettings, now: Time, logged: LogEntry, replayed: &mut Replayed) {
        let simulated = self.player.step(now, logged.clone());
        replayed.simulated.extend(simulated.iter().filter_map(|table| published(table)));
        let event = match logged {
            LogEntry::Event(event) => event,
            LogEntry::Solved(seq) => match self.solved.remove(&seq) {
                Some(plan) => Event::Solved { seq, plan },
                None => return,
            },
        };
        self.brain.step(now, event, &mut self.effects);
        for effect in self.effects.drain(..) {
            match effect {
                Effect::Publish(table) => replayed.made.extend(published(&table)),
                Effect::Solve(problem) => {
                    self.solved.insert(problem.seq, Box::new(settings.solve(&problem)));
                }
                _ => {}
            }
        }
    }
}

/// Writes what a simulated controller heard as a log that the service can be held against.
pub(crate) fn write_heard(path: &Path, heard: &Heard) -> Result<(), RecordError> {
    let head = &heard.head;
    let settings = BrainSettings {
        file_system: head.file_system.clone(),
        id: head.id,
        interval: head.interval,
        layout_cost: head.layout_cost,
        layout_service: head.layout_service,
        seed: head.seed,
        policy: head.policy,
    };
    let mut log = Recorder::start(path, 0, settings.head(), LOG_BYTES_MAX)?;
    let put = |log: &mut Recorder, now: Time, what: What| {
        log.push_waiting(&Recorded { now_ns: now.0, what: Some(what) });
    };
    let built = Event::Grown { topology: heard.topology.clone(), drained: Vec::new() };
    put(&mut log, Time::ZERO, event_to(&built, &heard.topology));
    for (now, entry) in &heard.entries {
        let what = match entry {
            LogEntry::Event(event) => event_to(event, &heard.topology),
            LogEntry::Solved(seq) => What::Solved(*seq),
        };
        put(&mut log, *now, what);
    }
    let end = heard.entries.last().map_or(Time::ZERO, |(now, _)| *now);
    for table in heard.tables.iter().filter_map(|table| published(table)) {
        put(&mut log, end, What::Published(table));
    }
    log.finish()
}
