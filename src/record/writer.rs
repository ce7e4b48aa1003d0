//! Writes an event log on a thread of its own.
//!
//! A log with a hole would replay to other decisions, so whatever does not fit (a full disk, a slow one, the limit of
//! bytes) ends it, and a message on standard error and [`Recorder::state`] say so.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use prost::Message;
use tarazu_proto::v1::{Head, Recorded, recorded::What};

use super::{MESSAGE_BYTES_MAX, VERSION};

/// Messages that wait for the disk. A large system has a few hundred a second; this is some ten seconds of them.
const QUEUE_MAX: usize = 4096;

/// Bytes that wait for the disk: an eighth of what a controller may use.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Why recording cannot begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// The file cannot be made. An existing one is never overwritten.
    #[error("cannot make the event log {}: {source}; name another folder with record", path.display())]
    Create { path: PathBuf, source: std::io::Error },
    /// The head cannot be written.
    #[error("cannot write to the event log {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// It is not whole.
    #[error("the event log {} ended early: {reason}", path.display())]
    Ended { path: PathBuf, reason: String },
    /// No thread.
    #[error("cannot start the thread that records: {0}")]
    Thread(std::io::Error),
}

/// How recording goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recording {
    /// So many bytes are written.
    Going { bytes: u64 },
    /// It ended early, for this reason.
    Ended { bytes: u64, reason: String },
}

/// The handle of a log. Dropping it waits until what is queued is written.
#[derive(Debug)]
pub(crate) struct Recorder {
    queue: Option<SyncSender<Vec<u8>>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    state: Mutex<Recording>,
    /// Bytes that wait.
    queued: AtomicUsize,
}

impl Shared {
    fn state(&self) -> Recording {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wrote(&self, more: u64) {
        if let Recording::Going { bytes } = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            *bytes += more;
        }
    }

    /// The first reason counts, and is said once.
    fn end(&self, why: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Recording::Going { bytes } = *state else { return };
        *state = Recording::Ended { bytes, reason: why.to_owned() };
        tracing::error!(
            log = %self.path.display(), bytes,
            "events are NOT RECORDED any more: {why}; the controller goes on, and what was written before can be replayed"
        );
    }
}

impl Recorder {
    /// Makes the file and writes its head. At most `bytes_max` bytes are written, the head included.
    pub(crate) fn start(path: &Path, now_ns: u64, head: Head, bytes_max: u64) -> Result<Self, RecordError> {
        // It has job and server names, so it is its owner's business only.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| RecordError::Create { path: path.to_owned(), source })?;
        Self::with_output(BufWriter::new(file), path, now_ns, head, bytes_max)
    }

    fn with_output(
        mut output: impl Write + Send + 'static,
        path: &Path,
        now_ns: u64,
        head: Head,
        bytes_max: u64,
    ) -> Result<Self, RecordError> {
        let head = Head { version: VERSION, ..head };
        let first = Recorded { now_ns, what: Some(What::Head(head)) }.encode_length_delimited_to_vec();
        let written = output.write_all(&first).and_then(|()| output.flush());
        written.map_err(|source| RecordError::Write { path: path.to_owned(), source })?;
        let state = Mutex::new(Recording::Going { bytes: first.len() as u64 });
        let shared = Arc::new(Shared { path: path.to_owned(), state, queued: AtomicUsize::new(0) });
        let (queue, messages) = sync_channel(QUEUE_MAX);
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(String::from("record"))
            .spawn(move || write_all(output, &messages, &theirs, bytes_max))
            .map_err(RecordError::Thread)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), shared })
    }

    /// Records one message if the log still goes on. Never waits.
    pub(crate) fn push(&mut self, message: &Recorded) {
        let Some(queue) = &self.queue else { return };
        let length = message.encoded_len();
        if length > MESSAGE_BYTES_MAX {
            self.shared.end(&format!("a message of {length} bytes"));
            self.queue = None;
            return;
        }
        // Encoded here, so that what waits is as small as it can be and its size is known.
        let bytes = message.encode_length_delimited_to_vec();
        let waiting = self.shared.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        let sent =
            if waiting > QUEUE_BYTES_MAX { Err(TrySendError::Full(bytes)) } else { queue.try_send(bytes) };
        match sent {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.end("the disk is too slow for them");
                self.queue = None;
            }
            // The thread has ended and has said why.
            Err(TrySendError::Disconnected(_)) => self.queue = None,
        }
    }

    /// Records one message and waits for room: for whoever has a whole log to write, and nothing else to do.
    pub(crate) fn push_waiting(&mut self, message: &Recorded) {
        let Some(queue) = &self.queue else { return };
        let bytes = message.encode_length_delimited_to_vec();
        self.shared.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        if queue.send(bytes).is_err() {
            self.queue = None;
        }
    }

    /// Waits until everything is written. An error where the log ended early.
    pub(crate) fn finish(mut self) -> Result<(), RecordError> {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it happened.
            let _ = thread.join();
        }
        match self.shared.state() {
            Recording::Going { .. } => Ok(()),
            Recording::Ended { reason, .. } => {
                Err(RecordError::Ended { path: self.shared.path.clone(), reason })
            }
        }
    }

    /// How it goes.
    #[cfg(test)]
    pub(crate) fn state(&self) -> Recording {
        self.shared.state()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it was told when it happened.
            let _ = thread.join();
        }
    }
}

/// Writes until nobody sends any more or the log has ended.
fn write_all(mut output: impl Write, messages: &Receiver<Vec<u8>>, shared: &Shared, bytes_max: u64) {
    let Recording::Going { bytes: mut written } = shared.state() else { return };
    loop {
        let next = match messages.try_recv() {
            Ok(bytes) => Ok(bytes),
            Err(TryRecvError::Disconnected) => Err(()),
            Err(TryRecvError::Empty) => {
                // Nothing waits: what was written can be read by others now.
                if let Err(error) = output.flush() {
                    return shared.end(&error.to_string());
                }
                messages.recv().map_err(drop)
            }
        };
        let Ok(bytes) = next else { break };
        shared.queued.fetch_sub(bytes.len(), Ordering::Relaxed);
        if written + bytes.len() as u64 > bytes_max {
            shared.end(&format!("the log has its {bytes_max} bytes"));
            break;
        }
        if let Err(error) = output.write_all(&bytes) {
            return shared.end(&error.to_string());
        }
        written += bytes.len() as u64;
        shared.wrote(bytes.len() as u64);
    }
    if let Err(error) = output.flush() {
        shared.end(&error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tarazu_proto::v1;

    use super::super::LogReader;
    use super::*;

    fn tick(now_ns: u64) -> Recorded {
        Recorded { now_ns, what: Some(What::Tick(true)) }
    }

    fn wait_for_end(recorder: &mut Recorder) -> String {
        loop {
            recorder.push(&tick(9));
            if let Recording::Ended { reason, .. } = recorder.state() {
                return reason;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_limit_ends_the_log_behind_a_whole_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut recorder = Recorder::start(&path, 5, Head::default(), 100).unwrap();
        assert_eq!(wait_for_end(&mut recorder), "the log has its 100 bytes");
        let Recording::Ended { bytes, .. } = recorder.state() else { panic!("it had ended") };
        drop(recorder);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
        assert!(bytes > 90, "{bytes}");
        let mut reader = LogReader::open(&path).unwrap();
        let mut ticks = 0;
        while reader.read().unwrap().is_some() {
            ticks += 1;
        }
        assert!(ticks > 5 && reader.truncated_at().is_none(), "{ticks}");
        let again = Recorder::start(&path, 5, Head::default(), 100).err().unwrap().to_string();
        assert!(again.contains("log") && again.contains("exists"), "{again}");
    }

    /// A disk that fails after the head, or waits for leave.
    struct Bad {
        wait: Option<std::sync::mpsc::Receiver<()>>,
        writes: u32,
    }

    impl Write for Bad {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.writes += 1;
            if self.writes > 1 {
                match &self.wait {
                    None => return Err(std::io::ErrorKind::StorageFull.into()),
                    // Until the test has seen enough.
                    Some(wait) => drop(wait.recv()),
                }
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn many_large_messages_do_not_pile_up() {
        let (leave, wait) = channel();
        let bad = Bad { wait: Some(wait), writes: 0 };
        let mut recorder = Recorder::with_output(bad, Path::new("x"), 0, Head::default(), 1 << 40).unwrap();
        let drain = v1::DrainInfo { reason: "r".repeat(3 << 20), ..Default::default() };
        let event = v1::DrainEvent { ost_index: 1, drain: Some(drain) };
        let large = Recorded { now_ns: 1, what: Some(What::Drain(event)) };
        let pushed = (0..QUEUE_MAX).take_while(|_| {
            recorder.push(&large);
            matches!(recorder.state(), Recording::Going { .. })
        });
        let pushed = pushed.count();
        assert!((20..30).contains(&pushed), "{pushed} messages of 3 MiB waited");
        drop(leave);

        let mut recorder =
            Recorder::with_output(std::io::sink(), Path::new("x"), 0, Head::default(), 1 << 40).unwrap();
        let drain = v1::DrainInfo { reason: "r".repeat(MESSAGE_BYTES_MAX), ..Default::default() };
        let event = v1::DrainEvent { ost_index: 1, drain: Some(drain) };
        recorder.push(&Recorded { now_ns: 1, what: Some(What::Drain(event)) });
        let Recording::Ended { reason, .. } = recorder.state() else { panic!("it goes on") };
        assert!(reason.contains("a message of 41943"), "{reason}");
    }

    #[test]
    fn a_full_disk_ends_the_log_and_a_slow_one_holds_nobody_up() {
        let bad = Bad { wait: None, writes: 0 };
        let mut recorder = Recorder::with_output(bad, Path::new("x"), 0, Head::default(), 1 << 20).unwrap();
        assert!(wait_for_end(&mut recorder).contains("no storage space"));

        let (leave, wait) = channel();
        let bad = Bad { wait: Some(wait), writes: 0 };
        let mut recorder = Recorder::with_output(bad, Path::new("x"), 0, Head::default(), 1 << 20).unwrap();
        assert!(wait_for_end(&mut recorder).contains("too slow"));
        recorder.push(&tick(10));
        drop(leave);
    }
}
