//! What waits to be told to the controller, and what is on its way. Pure.
//!
//! An exchange without an answer is repeated with its number and its reports, so that a controller that had heard it
//! counts it once.

use std::collections::VecDeque;

use prost::Message;
use tarazu_proto::limits::{ENDS_MAX, PLACED_MAX, STARTS_MAX};
use tarazu_proto::v1;

/// Reports of one file system that wait: an hour of a controller that is away, at four files a second. Above it
/// the oldest go.
pub(crate) const WAITING_MAX: usize = 16_384;

/// Bytes of waiting reports of one file system: files with two thousand stripes must not fill the node's memory.
pub(crate) const WAITING_BYTES_MAX: usize = 2 << 20;

/// Bytes of reports in one exchange: a message has at most 1 MiB, and names and orders need room too.
const BATCH_BYTES_MAX: usize = 900 << 10;

/// Bytes of tag and length before a record in a message.
const TAG_BYTES: usize = 6;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Report {
    Placed(v1::Placed),
    Start(v1::JobStart),
    End(v1::JobEnd),
}

impl Report {
    fn bytes(&self) -> usize {
        TAG_BYTES
            + match self {
                Self::Placed(placed) => placed.encoded_len(),
                Self::Start(start) => start.encoded_len(),
                Self::End(end) => end.encoded_len(),
            }
    }
}

/// The reports of one exchange about one file system.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) placed: Vec<v1::Placed>,
    pub(crate) starts: Vec<v1::JobStart>,
    pub(crate) ends: Vec<v1::JobEnd>,
    pub(crate) records_lost: u64,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.placed.is_empty() && self.starts.is_empty() && self.ends.is_empty() && self.records_lost == 0
    }

    fn put(&mut self, report: Report) {
        match report {
            Report::Placed(placed) => self.placed.push(placed),
            Report::Start(start) => self.starts.push(start),
            Report::End(end) => self.ends.push(end),
        }
    }

    fn has_room(&self, report: &Report) -> bool {
        match report {
            // A message is read as starts, then placed records, then ends. A start that comes before the records of
            // others does no harm; what follows the end of a job has to wait for the next message.
            Report::Placed(_) => self.placed.len() < PLACED_MAX && self.ends.is_empty(),
            Report::Start(_) => self.starts.len() < STARTS_MAX && self.ends.is_empty(),
            Report::End(_) => self.ends.len() < ENDS_MAX,
        }
    }
}

/// The reports of one file system in the order in which they happened.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Report>,
    bytes: usize,
    lost: u64,
}

impl Queue {
    fn push(&mut self, report: Report) {
        self.bytes += report.bytes();
        self.waiting.push_back(report);
        while self.waiting.len() > WAITING_MAX || self.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.bytes -= oldest.bytes();
            self.lost += 1;
        }
    }

    fn batch(&mut self, limit: usize) -> Batch {
        let mut batch = Batch { records_lost: std::mem::take(&mut self.lost), ..Batch::default() };
        let mut bytes = 0;
        while let Some(report) = self.waiting.front() {
            bytes += report.bytes();
            if bytes > limit || !batch.has_room(report) {
                break;
            }
            let Some(report) = self.waiting.pop_front() else { break };
            self.bytes -= report.bytes();
            batch.put(report);
        }
        batch
    }
}

/// What waits and what is under way, one queue a file system.
#[derive(Debug)]
pub(crate) struct Outbox {
    queues: Vec<Queue>,
    sequence: u64,
    under_way: Option<Vec<Batch>>,
    lost: u64,
}

impl Outbox {
    pub(crate) fn new(file_systems: usize) -> Self {
        let queues = (0..file_systems).map(|_| Queue::default()).collect();
        Self { queues, sequence: 0, under_way: None, lost: 0 }
    }

    /// Adds a report of the file system at that place.
    pub(crate) fn push(&mut self, file_system: usize, report: Report) {
        if let Some(queue) = self.queues.get_mut(file_system) {
            let before = queue.lost;
            queue.push(report);
            self.lost += queue.lost - before;
        }
    }

    /// Counts records that never became reports.
    pub(crate) fn lose(&mut self, file_system: usize, records: u64) {
        if let Some(queue) = self.queues.get_mut(file_system) {
            queue.lost = queue.lost.saturating_add(records);
            self.lost = self.lost.saturating_add(records);
        }
    }

    /// All records lost since the start.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether nothing waits and nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        let silent = |queue: &Queue| queue.waiting.is_empty() && queue.lost == 0;
        self.queues.iter().all(silent)
            && self.under_way.as_ref().is_none_or(|batches| batches.iter().all(Batch::is_empty))
    }

    /// Number and reports of the next exchange: those of the last one as long as it has no answer.
    pub(crate) fn next(&mut self) -> (u64, Vec<Batch>) {
        if self.under_way.is_none() {
            self.sequence += 1;
            // Each file system has its share, so that one with many files does not hold up the others.
            let share = BATCH_BYTES_MAX / self.queues.len().max(1);
            self.under_way = Some(self.queues.iter_mut().map(|queue| queue.batch(share)).collect());
        }
        (self.sequence, self.under_way.clone().unwrap_or_default())
    }

    /// The exchange was answered: its reports have arrived.
    pub(crate) fn answered(&mut self) {
        self.under_way = None;
    }
}
