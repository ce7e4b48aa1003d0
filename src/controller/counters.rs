//! What happened on one file system, counted by reason: for `status`, metrics and the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tarazu_core::sample::{Placed, PlacedOutcome};

/// Warnings that are kept: an operator reads the first ones.
const WARNINGS_MAX: usize = 16;

/// Counters of one file system. Reasons are names from the code, so their number is bounded.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    refused: Mutex<BTreeMap<&'static str, u64>>,
    warnings: Mutex<Vec<String>>,
    plans: AtomicU64,
    samples_shed: AtomicU64,
    files_placed: AtomicU64,
    records_lost: AtomicU64,
    judged: AtomicU64,
}

impl Counters {
    /// Something was refused, or not believed.
    pub(crate) fn refuse(&self, reason: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_insert(0) += 1;
    }

    /// All refusals by reason.
    pub(crate) fn refused(&self) -> HashMap<String, u64> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
    }

    /// The state directory was lost: said to whoever asks.
    pub(crate) fn warn_lost_state(&self, file_system: &str, term: u64) {
        let text = format!(
            "{file_system}: nodes have seen term {term}, but the state directory was empty at the start: drains and \
             policies in it are lost and have to be said again"
        );
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < WARNINGS_MAX && warnings.is_empty() {
            warnings.push(text);
        }
    }

    /// What an operator must know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A table was published.
    pub(crate) fn publish(&self) {
        self.plans.fetch_add(1, Ordering::Relaxed);
    }

    /// Tables published.
    pub(crate) fn plans(&self) -> u64 {
        self.plans.load(Ordering::Relaxed)
    }

    /// A sample found no room in the queue.
    pub(crate) fn shed_sample(&self) {
        self.samples_shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Samples that found no room.
    pub(crate) fn samples_shed(&self) -> u64 {
        self.samples_shed.load(Ordering::Relaxed)
    }

    /// Clients told of files.
    pub(crate) fn place(&self, files: &[Placed]) {
        let made = files.iter().filter(|file| matches!(file.outcome, PlacedOutcome::Created { .. })).count();
        self.files_placed.fetch_add(made as u64, Ordering::Relaxed);
    }

    /// Files that clients placed.
    pub(crate) fn files_placed(&self) -> u64 {
        self.files_placed.load(Ordering::Relaxed)
    }

    /// Records of clients were lost on a node.
    pub(crate) fn lose_records(&self, lost: u64) {
        self.records_lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Records of clients that were lost on nodes.
    pub(crate) fn records_lost(&self) -> u64 {
        self.records_lost.load(Ordering::Relaxed)
    }

    /// A target was judged anew.
    pub(crate) fn judge(&self) {
        self.judged.fetch_add(1, Ordering::Relaxed);
    }

    /// Judgements so far.
    pub(crate) fn judged(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }
}
