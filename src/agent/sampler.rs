//! Rounds of readings: asks every source once an interval, waits until the deadline, and makes a sample of what came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
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

type SharedSource = Arc<Mutex<Box<dyn Source>>>;
type FindResult = Result<Found, AgentError>;
type ReadResult = Result<Reading, AgentError>;

/// A source with its worker.
struct Slot {
    worker: Worker,
    /// Shared with the worker, so that a reading that panicked can be given another thread.
    source: SharedSource,
    /// When a source that panicked gets another thread.
    revive_at_ns: Option<u64>,
    /// What it gave last, for its targets stay while it hangs.
    targets: Vec<Target>,
    /// It was not found any more; it goes when its worker answers.
    gone: bool,
    /// Its last trouble was said already.
    troubled: bool,
}

/// Asks sources and compares rounds.
pub(super) struct Sampler {
    /// Shared with its worker, so that a search that panicked can be given another thread.
    collector: Arc<Mutex<Box<dyn Collector>>>,
    /// None where it could not be started, or panicked; a hung one stays.
    finder: Option<Worker>,
    found_to: UnboundedSender<Answer<FindResult>>,
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
    pub(super) fn new(collector: Box<dyn Collector>, priors: Priors) -> Self {
        let (answer_to, answers) = unbounded_channel();
        let (found_to, finder_answers) = unbounded_channel();
        Self {
            collector: Arc::new(Mutex::new(collector)),
            finder: None,
            found_to,
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
        if now_ns >= self.find_at_ns {
            self.search(now_ns);
        }
        let Some(finder) = self.finder.as_mut().filter(|finder| finder.is_busy()) else { return };
        match tokio::time::timeout(deadline, self.finder_answers.recv()).await {
            Ok(Some(answer)) => {
                finder.answered(&answer);
                match answer.value {
                    Some(Ok(found)) => self.take_over(found),
                    Some(Err(error)) => {
                        warn!("{}", chain(&error));
                        self.find_at_ns = now_ns + FIND_AGAIN_NS;
                    }
                    None => {
                        // Its thread has ended. The next search, a minute after this one, has another.
                        self.finder = None;
                        warn!(
                            "looking for targets failed within the agent: the targets known so far are kept; it is \
                             tried again in a minute"
                        );
                    }
                }
            }
            Ok(None) => {}
            Err(_) => warn!("looking for targets takes long: the targets known so far are kept"),
        }
    }

    /// Asks the finder, with a new thread where it has none. One that hangs is left alone.
    fn search(&mut self, now_ns: u64) {
        if self.finder.is_none() {
            let collector = Arc::clone(&self.collector);
            // A search that panicked has left nothing half done that the next could trip over more than once a minute.
            let find = move || collector.lock().unwrap_or_else(PoisonError::into_inner).find();
            match Worker::start(0, "finding targets", self.found_to.clone(), find) {
                Ok(worker) => self.finder = Some(worker),
                Err(error) => {
                    warn!("{}", chain(&error));
                    self.find_at_ns = now_ns + FIND_AGAIN_NS;
                }
            }
        }
        if self.finder.as_mut().is_some_and(Worker::ask) {
            self.find_at_ns = now_ns + FIND_EVERY_NS;
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
    fn start(&mut self, name: String, source: Box<dyn Source>) {
        let source = Arc::new(Mutex::new(source));
        let worker = match self.worker(&name, &source) {
            Ok(worker) => worker,
            Err(error) => return warn!("{}", chain(&error)),
        };
        if let Some(slot) = self.slots.get_mut(&name) {
            (slot.worker, slot.source, slot.gone, slot.revive_at_ns) = (worker, source, false, None);
            return;
        }
        info!("{name}: found");
        let slot =
            Slot { worker, source, revive_at_ns: None, targets: Vec::new(), gone: false, troubled: false };
        self.slots.insert(name, slot);
    }

    fn worker(&mut self, name: &str, source: &SharedSource) -> Result<Worker, AgentError> {
        self.workers += 1;
        let source = Arc::clone(source);
        let read = move || source.lock().unwrap_or_else(PoisonError::into_inner).read();
        Worker::start(self.workers, name, self.answer_to.clone(), read)
    }

    /// Gives sources that panicked a while ago another thread, also while looking for targets hangs.
    fn revive(&mut self, now_ns: u64) {
        let due = |slot: &Slot| slot.revive_at_ns.is_some_and(|at_ns| now_ns >= at_ns);
        let due = self.slots.iter().filter(|(_, slot)| due(slot));
        let due: Vec<_> = due.map(|(name, slot)| (name.clone(), Arc::clone(&slot.source))).collect();
        for (name, source) in due {
            let started = self.worker(&name, &source);
            let Some(slot) = self.slots.get_mut(&name) else { continue };
            match started {
                Ok(worker) => (slot.worker, slot.revive_at_ns) = (worker, None),
                Err(error) => {
                    slot.revive_at_ns = Some(now_ns + FIND_EVERY_NS);
                    warn!("{}", chain(&error));
                }
            }
        }
    }

    /// Asks all idle sources and takes what comes until the deadline. What was asked earlier and comes now is too old
    /// to be compared with the others, and only makes its source idle again.
    async fn read(&mut self, deadline: Duration) -> Vec<Reading> {
        while let Ok(answer) = self.answers.try_recv() {
            self.take(answer, true);
        }
        self.revive(clock::monotonic_ns());
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
        slot.worker.answered(&answer);
        let reading = match answer.value {
            Some(Ok(reading)) => reading,
            Some(Err(error)) => {
                if !std::mem::replace(&mut slot.troubled, true) {
                    warn!("{name}: {}", chain(&error));
                }
                return None;
            }
            None => {
                // Its thread has ended.
                slot.troubled = true;
                slot.revive_at_ns = Some(clock::monotonic_ns() + FIND_EVERY_NS);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const PRIORS: Priors = Priors { read_bps: 1e9, write_bps: 1e9 };

    /// Panics at its first search and at its source's first reading.
    struct Fragile {
        finds: Arc<AtomicU32>,
        reads: Arc<AtomicU32>,
    }

    impl Collector for Fragile {
        fn find(&mut self) -> FindResult {
            assert!(self.finds.fetch_add(1, Ordering::SeqCst) > 0, "the first search panics");
            let source = FragileSource { reads: Arc::clone(&self.reads) };
            Ok(Found { sources: vec![Box::new(source)], version: String::new() })
        }
    }

    struct FragileSource {
        reads: Arc<AtomicU32>,
    }

    impl Source for FragileSource {
        fn name(&self) -> &'static str {
            "fragile"
        }

        fn read(&mut self) -> ReadResult {
            assert!(self.reads.fetch_add(1, Ordering::SeqCst) > 0, "the first reading panics");
            Ok(Reading { targets: Vec::new(), host: None })
        }
    }

    #[tokio::test]
    async fn what_panicked_is_tried_again_after_a_minute_and_not_before() {
        let (finds, reads) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let collector = Fragile { finds: Arc::clone(&finds), reads: Arc::clone(&reads) };
        let mut sampler = Sampler::new(Box::new(collector), PRIORS);
        let calls = || (finds.load(Ordering::SeqCst), reads.load(Ordering::SeqCst));
        let interval = Duration::from_secs(4);
        for _ in 0..2 {
            sampler.round(interval).await;
            assert_eq!(calls(), (1, 0), "the search panicked and is not repeated at once");
        }
        sampler.find_at_ns = 0;
        for _ in 0..2 {
            sampler.round(interval).await;
            assert_eq!(calls(), (2, 1), "the reading panicked and is not repeated at once");
        }
        let slot = sampler.slots.get_mut("fragile").expect("found");
        assert!(slot.revive_at_ns.is_some_and(|at_ns| at_ns > FIND_EVERY_NS / 2));
        slot.revive_at_ns = Some(0);
        for round in 2..4 {
            sampler.round(interval).await;
            assert_eq!(calls(), (2, round), "the source is read without another search");
        }
    }
}
