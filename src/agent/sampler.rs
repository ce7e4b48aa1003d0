//! Rounds of readings: asks every source once an interval, waits until the deadline, and makes a sample of what came.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tarazu_proto::v1;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{info, warn};

use super::clock;
use super::collector::{Collector, Found, Source, TARGETS_MAX};
use super::diff::{self, Priors, Tally};
use super::error::AgentError;
use super::reading::{Reading, Snapshot};
use super::worker::{Answer, Worker};

/// A source that has not answered by then is stale for this round. Half the interval where that is shorter.
const READ_DEADLINE: Duration = Duration::from_secs(2);

/// How often sources are looked for: targets come and go with fail-over, which takes minutes.
const FIND_EVERY_NS: u64 = 60_000_000_000;

/// How soon after a failed search.
const FIND_AGAIN_NS: u64 = 10_000_000_000;

/// A changed size of less than this share is no news: ZFS's sizes drift with what is stored.
const CAPACITY_DRIFT: f64 = 0.05;

/// What is known of one target by its first reading.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Target {
    /// Its index.
    pub(super) ost_index: u32,
    /// Its size, bytes.
    pub(super) capacity_bytes: u64,
}

/// One round.
#[derive(Clone, Debug, Default)]
pub(super) struct Round {
    /// What rose since the round before; `None` where nothing can be compared.
    pub(super) sample: Option<v1::Sample>,
}

type FindResult = Result<Found, AgentError>;
type ReadResult = Result<Reading, AgentError>;

/// A source with its worker.
struct Slot {
    worker: Worker,
    /// What it gave last, for its targets stay while it hangs.
    targets: Vec<Target>,
    /// It was not found any more; it goes when its worker answers.
    gone: bool,
    /// Its last trouble was said already.
    troubled: bool,
}

/// Asks sources and compares rounds.
pub(super) struct Sampler {
    finder: Result<Worker, AgentError>,
    finder_answers: UnboundedReceiver<Answer<FindResult>>,
    find_at_ns: u64,
    slots: BTreeMap<String, Slot>,
    answers: UnboundedReceiver<Answer<ReadResult>>,
    answer_to: UnboundedSender<Answer<ReadResult>>,
    workers: u64,
    before: Snapshot,
    priors: Priors,
    sequence: u64,
    version: String,
    tally: Tally,
    stale: u64,
}

impl Sampler {
    /// A sampler that has not read yet.
    pub(super) fn new(mut collector: Box<dyn Collector>, priors: Priors) -> Self {
        let (answer_to, answers) = unbounded_channel();
        let (found_to, finder_answers) = unbounded_channel();
        Self {
            finder: Worker::start(0, "finding targets", found_to, move || collector.find()),
            finder_answers,
            find_at_ns: 0,
            slots: BTreeMap::new(),
            answers,
            answer_to,
            workers: 0,
            before: Snapshot::default(),
            priors,
            sequence: 0,
            version: String::new(),
            tally: Tally::default(),
            stale: 0,
        }
    }

    /// Version of the file system's software, empty where there is none.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Targets that were read at least once and are still found, by index.
    pub(super) fn targets(&self) -> Vec<Target> {
        let mut targets: Vec<Target> =
            self.slots.values().filter(|slot| !slot.gone).flat_map(|slot| slot.targets.clone()).collect();
        targets.sort_by_key(|target| target.ost_index);
        targets.dedup_by_key(|target| target.ost_index);
        targets.truncate(TARGETS_MAX);
        targets
    }

    /// Drops so far, and rounds in which a source was late.
    pub(super) fn troubles(&self) -> (Tally, u64) {
        (self.tally, self.stale)
    }

    /// Reads everything once.
    pub(super) async fn round(&mut self, interval: Duration) -> Round {
        let deadline = READ_DEADLINE.min(interval / 2);
        self.find(deadline).await;
        let at_ns = clock::monotonic_ns();
        let readings = self.read(deadline).await;
        let after = Snapshot::join(at_ns, readings);
        let sample = diff::sample(&self.before, &after, self.priors, self.sequence + 1, &mut self.tally);
        if sample.is_some() {
            self.sequence += 1;
        }
        self.before = after;
        Round { sample }
    }

    /// Looks for sources when it is time. Only the first finding is waited for longer than for the others' answers.
    async fn find(&mut self, deadline: Duration) {
        let now_ns = clock::monotonic_ns();
        let finder = match &mut self.finder {
            Ok(finder) => finder,
            Err(error) => return warn!("{error}"),
        };
        if now_ns >= self.find_at_ns && finder.ask() {
            self.find_at_ns = now_ns + FIND_EVERY_NS;
        }
        if !finder.is_busy() {
            return;
        }
        match tokio::time::timeout(deadline, self.finder_answers.recv()).await {
            Ok(Some(answer)) => {
                finder.answered();
                match answer.value {
                    Some(Ok(found)) => self.take_over(found),
                    Some(Err(error)) => {
                        warn!("{}", chain(&error));
                        self.find_at_ns = now_ns + FIND_AGAIN_NS;
                    }
                    None => warn!(
                        "looking for targets failed within the agent: the targets known so far are kept"
                    ),
                }
            }
            Ok(None) => {}
            Err(_) => warn!("looking for targets takes long: the targets known so far are kept"),
        }
    }

    /// Starts workers for what is new, and lets go of what is gone.
    fn take_over(&mut self, found: Found) {
        self.version = found.version;
        for slot in self.slots.values_mut() {
            slot.gone = true;
        }
        for source in found.sources {
            let name = source.name().to_owned();
            let is_full = self.slots.len() > TARGETS_MAX;
            match self.slots.get_mut(&name) {
                // A second thread would hang beside the first.
                Some(slot) if slot.worker.is_busy() => slot.gone = false,
                None if is_full => {
                    warn!("{name}: not read, for an agent reads at most {TARGETS_MAX} targets");
                }
                _ => self.start(name, source),
            }
        }
        self.slots.retain(|name, slot| {
            let keep = !slot.gone || slot.worker.is_busy();
            if !keep {
                info!("{name}: gone");
            }
            keep
        });
    }

    /// Gives a source a new worker; an old one was idle and ends.
    fn start(&mut self, name: String, mut source: Box<dyn Source>) {
        self.workers += 1;
        match Worker::start(self.workers, &name, self.answer_to.clone(), move || source.read()) {
            Ok(worker) => match self.slots.get_mut(&name) {
                Some(slot) => (slot.worker, slot.gone) = (worker, false),
                None => {
                    info!("{name}: found");
                    self.slots
                        .insert(name, Slot { worker, targets: Vec::new(), gone: false, troubled: false });
                }
            },
            Err(error) => warn!("{}", chain(&error)),
        }
    }

    /// Asks all idle sources and takes what comes until the deadline. What was asked earlier and comes now is too old
    /// to be compared with the others, and only makes its source idle again.
    async fn read(&mut self, deadline: Duration) -> Vec<Reading> {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer, true);
        }
        let mut late = BTreeSet::new();
        let mut waiting = 0_usize;
        for slot in self.slots.values_mut() {
            if slot.worker.ask() {
                waiting += 1;
            } else {
                late.insert(slot.worker.number());
            }
        }
        let mut readings = Vec::with_capacity(waiting);
        let until = tokio::time::sleep(deadline);
        tokio::pin!(until);
        while waiting > 0 {
            let answer = tokio::select! {
                answer = self.answers.recv() => answer,
                () = &mut until => break,
            };
            let Some(answer) = answer else { break };
            let is_late = late.remove(&answer.number);
            waiting -= usize::from(!is_late);
            readings.extend(self.take(answer, is_late));
        }
        for (name, slot) in &mut self.slots {
            if slot.worker.is_busy() {
                self.stale += 1;
                if !std::mem::replace(&mut slot.troubled, true) {
                    warn!("{name}: no answer in time; it has no row until it answers, the others go on");
                }
            }
        }
        readings
    }

    /// One answer; its reading unless it is late.
    fn take(&mut self, answer: Answer<ReadResult>, is_late: bool) -> Option<Reading> {
        let (name, slot) = self.slots.iter_mut().find(|(_, slot)| slot.worker.number() == answer.number)?;
        slot.worker.answered();
        let reading = match answer.value {
            Some(Ok(reading)) => reading,
            Some(Err(error)) => {
                if !std::mem::replace(&mut slot.troubled, true) {
                    warn!("{name}: {}", chain(&error));
                }
                return None;
            }
            None => {
                // Its thread has ended; the next finding starts another.
                warn!("{name}: reading it failed within the agent; it is tried again in a minute");
                return None;
            }
        };
        if std::mem::take(&mut slot.troubled) {
            info!("{name}: answers again");
        }
        if is_late {
            return None;
        }
        remember(&mut slot.targets, &reading);
        Some(reading)
    }
}

/// Keeps the slow facts of what was read. Sizes change only where they change by much.
fn remember(targets: &mut Vec<Target>, reading: &Reading) {
    let facts = reading.targets.iter().map(|read| {
        let known = targets.iter().find(|known| known.ost_index == read.ost_index).copied();
        let drifted = |known: &Target| {
            (known.capacity_bytes as f64 - read.capacity_bytes as f64).abs()
                <= CAPACITY_DRIFT * read.capacity_bytes as f64
        };
        known
            .filter(drifted)
            .unwrap_or(Target { ost_index: read.ost_index, capacity_bytes: read.capacity_bytes })
    });
    *targets = facts.collect();
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
