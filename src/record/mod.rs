//! A controller's event log: what its decisions rest on, so that they can be made again.
//!
//! Owns the file's frame (`proto/tarazu/v1/record.proto`): length-delimited messages, the first a head, each not earlier
//! than the one before. It must not decide anything, and recording must never hold up or fail the controller: a log that
//! cannot go on ends, loudly, and the controller goes on without.

mod reader;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use reader::{LogReader, ReadError};
pub(crate) use writer::{RecordError, Recorder};

/// Version of the log that is written and read.
pub(crate) const VERSION: u32 = 1;

/// Bytes of one message. The largest that a service takes is a node's report of 1 MiB; a topology of 8192 targets has less.
pub(crate) const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Bytes of one log: at 2,000 targets and one sample in 5 s, about two days.
pub(crate) const LOG_BYTES_MAX: u64 = 4 << 30;

/// Where the log of a file system goes that a controller began at this time (nanoseconds since 1970).
pub(crate) fn log_path(folder: &Path, file_system: &str, started_unix_ns: u64) -> PathBuf {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    // A name comes from a server and must not lead out of the folder.
    let name: String = file_system.chars().map(|letter| if plain(letter) { letter } else { '_' }).collect();
    folder.join(format!("events-{name}-{started_unix_ns}.tarazu"))
}
