//! What client processes tell the node daemon: records in a file of their own, fetched by the daemon.
//!
//! It owns the format of the records ([`Record`], [`encode`], [`Records`]) and the one way they are appended
//! ([`append`]). It must never wait, keep a descriptor open, or follow a link: the folder is writable by everybody.
//!
//! A session's file is called `<process id>-<start of the process>-<random number>-<number of the session>`, all
//! decimal: the daemon takes the process from it and refuses other names.
//!
//! A record, all numbers little endian:
//!
//! | at | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | `TZR1` |
//! | 4 | 2 | bytes of the record, checksum included |
//! | 6 | 1 | kind: 1 advise, 2 created, 3 left, 4 closed, 5 end |
//! | 7 | 1 | 0 |
//! | 8 | 4 | user id that the process claims |
//! | 12 | 4 | process id |
//! | 16 | 8 | moment on the boot clock, nanoseconds |
//! | 24 | 8 | hash of the file system's name |
//! | 32 | 8 | job |
//! | 40 | 4 | records of this process that were lost before this one |
//! | 44 | | what the kind says, see [`Body`] |
//! | end-4 | 4 | lower half of [`tarazu_layout::hash::bytes`] over everything before |

mod codec;
mod write;

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{JobId, OstIndex, Time};
use tarazu_table::{JobKey, Order, Tier};

pub use codec::{Decoded, Records, decode, encode};
pub(crate) use write::{Place, append};

use crate::Why;

/// Bytes of one spool file. Above it a process appends nothing until the daemon has taken the file: at five seconds
/// between two visits this is more than a thousand files a second.
pub const SPOOL_BYTES_MAX: usize = 1 << 20;

/// Bytes of one record: a list as long as Lustre allows, twice, and what stands around it.
pub const RECORD_BYTES_MAX: usize = 128 + 4 * STRIPES_MAX;

/// Damaged places of one file after which a reader believes none of the rest. An append that was cut short leaves one;
/// a file made to keep the reader busy would have thousands.
pub const DAMAGES_MAX: usize = 16;

/// The folder of spool files inside the run directory.
pub const SPOOL_FOLDER: &str = "placed";

/// One thing that a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Effective user id that the process claims; the daemon believes the file's owner only.
    pub uid: u32,
    /// Process id.
    pub pid: u32,
    /// When, on the boot clock.
    pub at: Time,
    /// Hash of the name of the file system it speaks of, 0 where none ([`Body::End`]).
    pub fs_name_hash: u64,
    /// The job.
    pub job: JobId,
    /// Records of this process that found no room since the last one that did.
    pub lost: u32,
    /// What it says.
    pub body: Body,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A job is about to write.
    Advise(Advice),
    /// A file was made on the targets that were asked for, or on some of them.
    Created(Created),
    /// A file was left to the file system. Not told where there is no table, or the user wants nothing steered.
    Left {
        /// The key that was asked with.
        key: JobKey,
        /// Hash of the path as it was given.
        path_hash: u64,
        /// Why.
        why: Why,
    },
    /// A file that was steered was closed.
    Closed {
        /// The key that was asked with.
        key: JobKey,
        /// Its targets in stripe order.
        osts: Vec<OstIndex>,
        /// Bytes that it was expected to hold.
        expected_bytes: u64,
        /// Bytes written by then.
        written_bytes: u64,
    },
    /// The session is over. Says nothing of other processes of the job.
    End,
}

/// What a job says of one kind of files before it writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The key that will be asked with.
    pub key: JobKey,
    /// Rank of the process that says so.
    pub rank: u32,
    /// Processes of the job, 1 where unknown.
    pub world: u32,
    /// Most files of this kind that one process makes in a burst.
    pub files_per_process: u32,
    /// Files of this kind that the job makes in a burst.
    pub files_per_burst: u32,
    /// Bytes that a file is expected to hold.
    pub expected_bytes: u64,
    /// Bytes of one stripe unit, 0 where the client does not know.
    pub stripe_size: u64,
    /// Stripes of a file, 0 where the client does not know.
    pub stripe_count: u16,
    /// How sure that is, percent, 0 to 100.
    pub confidence_percent: u8,
}

/// A file that was steered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The key that was asked with.
    pub key: JobKey,
    /// Hash of the path as it was given.
    pub path_hash: u64,
    /// The plan it follows.
    pub order: Order,
    /// The ring its targets came from.
    pub tier: Tier,
    /// Bytes that it is expected to hold.
    pub expected_bytes: u64,
    /// The targets that were asked for, in stripe order.
    pub asked: Vec<OstIndex>,
    /// The targets that it has.
    pub got: Vec<OstIndex>,
}

#[cfg(test)]
mod tests;
