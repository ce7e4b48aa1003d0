//! What must outlive the controller: its term, what operators said, and in which order servers were first seen.
//!
//! Owns the form of these records, the rules that they must hold, and how they become durable. A write is all or
//! nothing, and durable when it returns; a term never goes back. It must not decide what is drained or planned, and
//! nothing else of the controller is durable: loads, ledgers and plans are rebuilt from agents and nodes.

mod codec;
#[cfg(test)]
mod memory;
mod redb_store;
mod state;
#[cfg(test)]
mod tests;
mod thread;

use std::path::PathBuf;

#[cfg(test)]
pub(crate) use memory::MemoryStore;
pub(crate) use redb_store::RedbStore;
pub(crate) use state::{FsState, State};
// What is kept came over the wire: one limit for both.
pub(crate) use tarazu_proto::limits::{
    FILE_SYSTEM_NAME_MAX as FS_NAME_BYTES_MAX, FILE_SYSTEMS_MAX, HOST_NAME_MAX as SERVER_NAME_BYTES_MAX,
    OST_INDEX_MAX, REASON_MAX as REASON_BYTES_MAX, WORD_MAX as BY_BYTES_MAX,
};
pub(crate) use thread::StoreThread;

/// Targets of one file system, known or drained: what one table can hold.
pub(crate) const TARGETS_MAX: usize = tarazu_layout::limits::TARGETS_MAX;
/// Records of one write: the whole state of a file system and as much again.
pub(crate) const RECORDS_MAX: usize = 2 * TARGETS_MAX;

/// One thing that is to be durable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Record {
    /// The controller's term; never lower than the one before.
    Term { fs: String, term: u64 },
    /// A target is drained, or (`None`) given back.
    Drain { fs: String, ost: u32, drain: Option<DrainIntent> },
    /// What an operator wants of the whole file system.
    Policy { fs: String, policy: PolicyIntent },
    /// All servers and targets that were ever seen; servers of the one before keep their places.
    Inventory { fs: String, inventory: Vec<ServerEntry> },
}

impl Record {
    /// The file system that it is about.
    pub(crate) fn fs(&self) -> &str {
        match self {
            Self::Term { fs, .. }
            | Self::Drain { fs, .. }
            | Self::Policy { fs, .. }
            | Self::Inventory { fs, .. } => fs,
        }
    }
}

/// Why a target is drained, and until when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DrainIntent {
    /// At most [`REASON_BYTES_MAX`].
    pub(crate) reason: String,
    /// When it ends by itself, nanoseconds since 1970; `None` = never.
    pub(crate) until_unix_ns: Option<u64>,
    /// Who said so, at most [`BY_BYTES_MAX`].
    pub(crate) by: String,
    /// When it was said, nanoseconds since 1970.
    pub(crate) since_unix_ns: u64,
}

/// What an operator wants beyond single targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyIntent {
    /// Files are steered; otherwise plans are only made and explained.
    pub(crate) apply: bool,
    /// Agents write canaries.
    pub(crate) canary: bool,
    /// Slow targets are found from samples and left out.
    pub(crate) detect: bool,
}

/// A server that was seen. Its place in the inventory is its id, so the order never changes.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerEntry {
    /// Its name, at most [`SERVER_NAME_BYTES_MAX`].
    pub(crate) server: String,
    /// Bandwidth of its network link, bytes/s, above 0.
    pub(crate) link_bps: f64,
    /// Number of its enclosure, if it shares one.
    pub(crate) enclosure: Option<u32>,
    /// Its targets, in the order in which they were first seen.
    pub(crate) targets: Vec<TargetEntry>,
}

/// A target that was seen.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetEntry {
    /// Index as the file system knows it, at most [`OST_INDEX_MAX`].
    pub(crate) ost: u32,
    /// Its size, bytes.
    pub(crate) capacity_bytes: u64,
    /// Prior bandwidth of its hardware class, bytes/s, above 0.
    pub(crate) read_bps: f64,
    /// The same for writes.
    pub(crate) write_bps: f64,
}

/// Where records become durable.
pub(crate) trait Store: Send {
    /// All that is durable.
    fn load(&mut self) -> Result<State, StoreError>;

    /// Makes all records durable, or none. When it returns an error none of them may be relied on: those of a failed
    /// write may or may not be there after the next start, but then all of them.
    fn write(&mut self, records: &[Record]) -> Result<(), StoreError>;
}

/// Why something could not be made durable or read back.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum StoreError {
    /// The state directory cannot be made or used.
    #[error("cannot use {} as state directory: {reason}; name another with state_dir", path.display())]
    Folder { path: PathBuf, reason: String },
    /// Another process holds the file.
    #[error("{place} is held by another controller: stop it first, or give this one a state_dir of its own")]
    InUse { place: String },
    /// The file cannot be opened, for reasons that are not its content's.
    #[error("cannot open {place}: {reason}")]
    Open { place: String, reason: String },
    /// The content makes no sense.
    #[error(
        "{place} is damaged ({reason}): move it away and start again. Terms come back from the nodes; \
         DRAINS AND POLICIES IN IT ARE LOST and have to be said again"
    )]
    Damaged { place: String, reason: String },
    /// Another release wrote it.
    #[error(
        "{place} has format {found}, this controller knows only {known}: start the release that wrote it"
    )]
    Format { place: String, found: String, known: u64 },
    /// The disk failed or is full.
    #[error("cannot write to {place}: {reason}; nothing of it is acknowledged")]
    Write { place: String, reason: String },
    /// A term that is lower than the durable one.
    #[error("the term of {fs:?} cannot go back from {stored} to {asked}")]
    TermBack { fs: String, stored: u64, asked: u64 },
    /// An inventory in which a server is gone or has another place.
    #[error("the inventory of {fs:?} must keep {server:?} at place {place}: ids are places")]
    Reordered { fs: String, server: String, place: usize },
    /// A record is too large or is not a value.
    #[error("{what} in a record of {fs:?}: {given}, allowed is {allowed}")]
    Limit { fs: String, what: &'static str, given: String, allowed: String },
    /// Too many records wait.
    #[error("{waiting} records wait for the disk already: try again later")]
    Busy { waiting: usize },
    /// The thread that owns the store could not be started or has ended.
    #[error("the store's thread is gone ({reason}): restart the controller")]
    Gone { reason: String },
}

impl StoreError {
    /// Whether the records are to blame, and not the disk: others in the same batch can still be written.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(self, Self::TermBack { .. } | Self::Reordered { .. } | Self::Limit { .. })
    }
}
