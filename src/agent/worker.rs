//! Threads that may hang: each does one kind of work, one piece at a time.
//!
//! A worker that has not answered is never asked again and never replaced, so a source that hangs costs one thread for
//! as long as it hangs. Dropping a worker ends its thread as soon as it is idle; the end of the process ends all.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::Builder;

use tokio::sync::mpsc::UnboundedSender;

use super::error::AgentError;

/// Bytes of a worker's stack: reading files and parsing lines takes some 20 KiB, and stacks are not touched beyond
/// what is used.
const STACK_BYTES: usize = 256 << 10;

/// A thread, and whether it owes an answer.
#[derive(Debug)]
pub(super) struct Worker {
    number: u64,
    ask: SyncSender<()>,
    busy: bool,
    /// Its work panicked, and its thread ends.
    ended: bool,
}

/// What a worker found. A panic of the work is an answer without a value.
pub(super) struct Answer<T> {
    /// The worker's number.
    pub(super) number: u64,
    /// What came out.
    pub(super) value: Option<T>,
}

impl Worker {
    /// Starts an idle worker. At most one answer of it is ever on its way, which bounds the channel.
    pub(super) fn start<T: Send + 'static>(
        number: u64,
        name: &str,
        answers: UnboundedSender<Answer<T>>,
        mut work: impl FnMut() -> T + Send + 'static,
    ) -> Result<Self, AgentError> {
        let (ask, asked) = sync_channel::<()>(1);
        let body = move || {
            while asked.recv().is_ok() {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&mut work));
                let panicked = done.is_err();
                if answers.send(Answer { number, value: done.ok() }).is_err() || panicked {
                    break;
                }
            }
        };
        let thread = Builder::new().name("reader".to_owned()).stack_size(STACK_BYTES).spawn(body);
        thread.map_err(|source| AgentError::Thread { name: name.to_owned(), source })?;
        Ok(Self { number, ask, busy: false, ended: false })
    }

    /// Its number.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it still owes an answer.
    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// Asks for a piece of work; `false` where it is busy or gone.
    pub(super) fn ask(&mut self) -> bool {
        if self.busy || self.ended || self.ask.try_send(()).is_err() {
            return false;
        }
        self.busy = true;
        true
    }

    /// Its answer has come. After a panic it is never asked again: its thread may live for a moment longer, and what
    /// it was asked then would never be answered.
    pub(super) fn answered<T>(&mut self, answer: &Answer<T>) {
        self.busy = false;
        self.ended |= answer.value.is_none();
    }
}
