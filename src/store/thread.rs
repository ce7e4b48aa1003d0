//! The thread that owns the store: whatever is queued while one commit runs goes into the next.
//!
//! Owns the queue and the answers. An answer comes when the records are durable or when it is sure that they will not be
//! relied on, on this thread, so it must be short. It must not decide anything about the records.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{RECORDS_MAX, Record, Store, StoreError};

/// Writes that wait. Intent comes by hand and terms once a start; more than this is a mistake or an attack, and its
/// senders are told at once.
const QUEUE_MAX: usize = 1024;

/// Records that wait, in all writes: two large ones behind the one that is being written.
const QUEUE_RECORDS_MAX: usize = 3 * RECORDS_MAX;

/// What is called with the outcome.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// One write that waits.
struct Request {
    records: Vec<Record>,
    answer: Answer,
}

/// The handle of the store's thread. Dropping it waits until everything that is queued was answered.
pub(crate) struct StoreThread {
    /// `None` only while it is dropped. The mutex makes the handle shareable between tasks.
    queue: Option<Mutex<SyncSender<Request>>>,
    thread: Option<JoinHandle<()>>,
    /// Records that wait or are being written.
    waiting: Arc<AtomicUsize>,
}

impl StoreThread {
    /// Starts the thread. Whatever is needed of the store's state is to be loaded before.
    pub(crate) fn start(store: impl Store + 'static) -> Result<Self, StoreError> {
        Self::with_queue(store, QUEUE_MAX)
    }

    fn with_queue(store: impl Store + 'static, queue_max: usize) -> Result<Self, StoreError> {
        let (queue, requests) = sync_channel(queue_max);
        let waiting = Arc::new(AtomicUsize::new(0));
        let theirs = Arc::clone(&waiting);
        let thread = std::thread::Builder::new()
            .name(String::from("store"))
            .spawn(move || serve(store, &requests, &theirs))
            .map_err(|error| StoreError::Gone { reason: error.to_string() })?;
        Ok(Self { queue: Some(Mutex::new(queue)), thread: Some(thread), waiting })
    }

    /// Queues a write and returns at once. The answer comes on the store's thread, or here where nothing could be queued.
    pub(crate) fn write(
        &self,
        records: Vec<Record>,
        answer: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) {
        let count = records.len();
        let request = Request { records, answer: Box::new(answer) };
        let waiting = self.waiting.fetch_add(count, Ordering::Relaxed);
        if waiting.saturating_add(count) > QUEUE_RECORDS_MAX {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
            return (request.answer)(Err(StoreError::Busy { waiting }));
        }
        let Some(queue) = &self.queue else { return gone(request) };
        // Poisoned means only that another sender panicked; the sender itself is sound.
        let queue = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match queue.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request)) => {
                drop(queue);
                self.waiting.fetch_sub(count, Ordering::Relaxed);
                (request.answer)(Err(StoreError::Busy { waiting }));
            }
            Err(TrySendError::Disconnected(request)) => {
                drop(queue);
                gone(request);
            }
        }
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        // The thread ends when nobody can send any more and the queue is empty.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it happened.
            let _ = thread.join();
        }
    }
}

fn gone(request: Request) {
    (request.answer)(Err(StoreError::Gone { reason: String::from("it has ended") }));
}

fn serve(store: impl Store, requests: &Receiver<Request>, waiting: &AtomicUsize) {
    let mut store = Contained(Some(store));
    // One that did not fit into the last batch.
    let mut kept: Option<Request> = None;
    loop {
        let Some(first) = kept.take().or_else(|| requests.recv().ok()) else { return };
        let mut records = first.records.len();
        let mut batch = vec![first];
        while let Ok(next) = requests.try_recv() {
            records = records.saturating_add(next.records.len());
            if records > RECORDS_MAX {
                kept = Some(next);
                break;
            }
            batch.push(next);
        }
        let written: usize = batch.iter().map(|request| request.records.len()).sum();
        commit(&mut store, batch);
        waiting.fetch_sub(written, Ordering::Relaxed);
    }
}

/// One commit for all; where a record is refused, one for each, so that nobody pays for another's mistake.
fn commit<S: Store>(store: &mut Contained<S>, batch: Vec<Request>) {
    if batch.len() > 1 {
        let all: Vec<Record> = batch.iter().flat_map(|request| request.records.iter().cloned()).collect();
        let outcome = store.write(&all);
        if !outcome.as_ref().is_err_and(StoreError::is_refusal) {
            for request in batch {
                (request.answer)(outcome.clone());
            }
            return;
        }
    }
    for request in batch {
        let outcome = store.write(&request.records);
        (request.answer)(outcome);
    }
}

/// A store that is not used any more once it panicked: whoever waits is answered nevertheless.
struct Contained<S>(Option<S>);

impl<S: Store> Contained<S> {
    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        let gone = || StoreError::Gone { reason: String::from("it panicked") };
        let mut store = self.0.take().ok_or_else(gone)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| store.write(records))).map_err(|_| gone())?;
        self.0 = Some(store);
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::{MemoryStore, State};
    use super::*;

    /// Waits for leave before each write, counts records, and fails where it is told to.
    struct Slow {
        inner: MemoryStore,
        leave: Receiver<bool>,
        sizes: Sender<usize>,
    }

    impl Store for Slow {
        fn load(&mut self) -> Result<State, StoreError> {
            self.inner.load()
        }

        fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
            self.sizes.send(records.len()).unwrap();
            if !self.leave.recv().unwrap() {
                return Err(StoreError::Write { place: "here".into(), reason: "told so".into() });
            }
            self.inner.write(records)
        }
    }

    fn term(term: u64) -> Vec<Record> {
        vec![Record::Term { fs: "fs".into(), term }]
    }

    #[test]
    fn what_waits_goes_into_one_commit_and_each_is_answered() {
        let ((leave, leaves), (sizes, written), (answers, answered)) = (channel(), channel(), channel());
        let store = Slow { inner: MemoryStore::default(), leave: leaves, sizes };
        let thread = StoreThread::start(store).unwrap();
        let send = |number: u64| {
            let answers = answers.clone();
            thread.write(term(number), move |outcome| answers.send((number, outcome)).unwrap());
        };
        send(1);
        assert_eq!(written.recv(), Ok(1));
        (2..=5).for_each(send);
        leave.send(true).unwrap();
        assert_eq!(answered.recv(), Ok((1, Ok(()))));
        assert_eq!(written.recv(), Ok(4), "one commit for the four that waited");
        leave.send(true).unwrap();
        for number in 2..=5 {
            assert_eq!(answered.recv(), Ok((number, Ok(()))));
        }
    }

    #[test]
    fn a_failed_commit_answers_all_and_a_refused_record_only_its_sender() {
        let ((leave, leaves), (sizes, written), (answers, answered)) = (channel(), channel(), channel());
        let store = Slow { inner: MemoryStore::default(), leave: leaves, sizes };
        let thread = StoreThread::start(store).unwrap();
        let send = |number: u64| {
            let answers = answers.clone();
            thread.write(term(number), move |outcome| answers.send((number, outcome.is_ok())).unwrap());
        };
        send(5);
        written.recv().unwrap();
        (6..=7).for_each(send);
        [true, false].into_iter().for_each(|may| leave.send(may).unwrap());
        let outcomes: Vec<_> = answered.iter().take(3).collect();
        assert_eq!(outcomes, [(5, true), (6, false), (7, false)], "the store failed once for both");

        send(8);
        // Of the failed commit, and of this one.
        assert_eq!(written.iter().take(2).collect::<Vec<_>>(), [2, 1]);
        [4, 9].into_iter().for_each(send);
        [true; 4].into_iter().for_each(|may| leave.send(may).unwrap());
        let outcomes: Vec<_> = answered.iter().take(3).collect();
        assert_eq!(outcomes, [(8, true), (4, false), (9, true)], "one of two would let the term go back");
    }

    #[test]
    fn a_full_queue_is_told_at_once_and_dropping_waits_for_the_rest() {
        let ((leave, leaves), (sizes, written), (answers, answered)) = (channel(), channel(), channel());
        let store = Slow { inner: MemoryStore::default(), leave: leaves, sizes };
        let thread = StoreThread::with_queue(store, 2).unwrap();
        let send = |number: u64| {
            let answers = answers.clone();
            thread.write(term(number), move |outcome| answers.send((number, outcome)).unwrap());
        };
        send(1);
        written.recv().unwrap();
        [2, 3, 4].into_iter().for_each(send);
        assert_eq!(answered.recv(), Ok((4, Err(StoreError::Busy { waiting: 3 }))));
        // However few writes there are, they may not bring too many records.
        let large = vec![term(9).remove(0); QUEUE_RECORDS_MAX];
        let busy = answers.clone();
        thread.write(large, move |outcome| busy.send((5, outcome)).unwrap());
        assert_eq!(answered.recv(), Ok((5, Err(StoreError::Busy { waiting: 3 }))));
        [true; 3].into_iter().for_each(|may| leave.send(may).unwrap());
        drop(thread);
        assert_eq!(answered.try_iter().map(|(number, _)| number).collect::<Vec<_>>(), [1, 2, 3]);
    }

    /// Breaks a promise of the trait.
    struct Panics;

    impl Store for Panics {
        fn load(&mut self) -> Result<State, StoreError> {
            Ok(State::default())
        }

        fn write(&mut self, _: &[Record]) -> Result<(), StoreError> {
            panic!("a bug")
        }
    }

    #[test]
    fn whoever_waits_for_a_store_that_panics_is_answered() {
        let thread = StoreThread::start(Panics).unwrap();
        let (answers, answered) = channel();
        for number in 1..=3 {
            let answers = answers.clone();
            thread.write(term(number), move |outcome| answers.send(outcome).unwrap());
        }
        for outcome in answered.iter().take(3) {
            assert!(matches!(outcome, Err(StoreError::Gone { .. })), "{outcome:?}");
        }
    }
}
