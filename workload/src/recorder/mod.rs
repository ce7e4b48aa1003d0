//! Recorder traces through the text that its own `recorder2text` prints: one file of calls for each rank.
//!
//! Unlike a Darshan log the trace has every call with its arguments, and the collective calls of MPI, so
//! nothing needs to be spread or inferred: offsets come from following each file's position, and barriers are
//! those that the program made. The rules, with reasons and examples in `docs/recorder.md`:
//!
//! 1. **Each byte once.** POSIX and STDIO calls count; an MPI-IO call counts where the trace has no POSIX call below
//!    it that moves bytes of the same file in the same direction.
//! 2. **A collective call in which all wait for all is a meeting** of its communicator's ranks.
//! 3. **Think time** is the gap to the end of the rank's previous operation, or to the meeting's last arrival.
//!
//! Recorder's binary files are not read: their form changes with each version, and Recorder brings the
//! tool that prints them.

mod build;
mod functions;
mod line;
mod meet;
mod mpi;
mod notes;
mod rank;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;
use tarazu_darshan::lies_under;

use self::line::Line;
use self::rank::{Follower, RankTrace};
use crate::limits::{OPS_MAX, RANKS_MAX};
use crate::{Workload, regular};

/// Longest line. Calls that wait for thousands of requests print each of them.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Calls that a rank keeps before it adds them to those of all: a bound on memory need not be exact, and the
/// workload's own is checked when it is built.
const COUNTED_AT_ONCE: u64 = 4096;

/// Folders whose files are not on a parallel file system: the ones that Darshan leaves out by default, and those
/// for temporary files, where MPI libraries keep what the ranks of a node share.
const USUALLY_LEFT_OUT: [&str; 14] = [
    "/dev", "/proc", "/sys", "/etc", "/usr", "/bin", "/sbin", "/boot", "/lib", "/lib64", "/opt", "/var",
    "/run", "/tmp",
];

/// Folders that `recorder2text` and its users print into.
const TEXT_FOLDERS: [&str; 2] = ["_text", "text"];

/// Endings of Recorder's binary files.
const BINARY: [&str; 5] = ["mt", "cst", "cfg", "ts", "itf"];

/// Which files are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// All but those of the operating system and temporary ones; a Recorder trace does not name mounts.
    #[default]
    Usual,
    /// All with an absolute path, except devices.
    All,
    /// Files under one of these folders.
    Under(Vec<String>),
}

impl Keep {
    fn keeps(&self, path: &str) -> bool {
        let under = |folders: &[&str]| folders.iter().any(|folder| lies_under(path, folder));
        match self {
            // Pipes, sockets and files whose folder is unknown have no absolute path.
            Self::Usual => path.starts_with('/') && !under(&USUALLY_LEFT_OUT),
            Self::All => path.starts_with('/') && !under(&["/dev", "/proc", "/sys"]),
            Self::Under(folders) => folders.iter().any(|folder| lies_under(path, folder)),
        }
    }
}

/// How a trace is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Which files are kept.
    pub keep: Keep,
    /// Ranks on a node where the trace does not tell, above 0.
    pub ranks_per_node: u32,
    /// The job's number; a trace has none.
    pub job: u64,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { keep: Keep::default(), ranks_per_node: crate::darshan::RANKS_PER_NODE, job: 1 }
    }
}

/// A trace as a workload of one job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Read {
    /// Passes [`Workload::check`].
    pub workload: Workload,
    /// What had to be assumed or left out, one sentence each.
    pub notes: Vec<String>,
    /// Bytes read and written in files that were left out.
    pub left_out_bytes: u64,
}

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The folder cannot be listed.
    #[error("{}: cannot list the folder of a Recorder trace: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Recorder's own binary files, without text.
    #[error(
        "{folder}: has Recorder's binary files but no text: run `recorder2text {folder}`, which comes with Recorder and \
         prints 0.txt, 1.txt, … into {folder}/_text",
        folder = path.display()
    )]
    Binary {
        /// The folder.
        path: PathBuf,
    },
    /// No file of any rank.
    #[error(
        "{}: has no 0.txt, 1.txt, … as recorder2text prints them, neither here nor in _text or text: name the folder of a \
         Recorder trace", path.display()
    )]
    NoRanks {
        /// The folder.
        path: PathBuf,
    },
    /// A rank is missing between others.
    #[error("{}: {rank}.txt is missing, but there is {last}.txt: print the whole trace again with recorder2text", path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// The first that is missing.
        rank: u64,
        /// The highest that is there.
        last: u64,
    },
    /// The trace has another number of ranks than the program had.
    #[error(
        "rank {rank} counts {world} ranks in MPI_COMM_WORLD and the trace has {found}: print the whole trace again \
         with recorder2text"
    )]
    World {
        /// The rank that says so.
        rank: u64,
        /// Ranks of the program.
        world: u64,
        /// Ranks of the trace.
        found: u64,
    },
    /// A file cannot be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A line is not as recorder2text prints it.
    #[error(
        "{file}, line {line}: {reason}; a line reads `START END FUNCTION DEPTH LAYER ( ARGUMENTS )`: print the trace again \
         with recorder2text, or remove the line"
    )]
    Line {
        /// The file.
        file: String,
        /// The line from 1.
        line: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The workload passes one of the limits of [`crate::limits`].
    #[error("the trace has more than {limit} {what}: keep fewer files with a list of folders")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}

/// Reads the trace in a folder: the folder of the text files, or the one that holds it.
///
/// Ranks are read in parallel; the result does not depend on how.
///
/// # Errors
/// Where ranks are missing or a line is damaged. The first rank's error is reported.
pub fn read_dir(path: &Path, options: &ReadOptions) -> Result<Read, RecorderError> {
    let files = rank_files(path)?;
    let kept = AtomicU64::new(0);
    let read = |file: &PathBuf| {
        let name = file.display().to_string();
        let open =
            regular::open(file).map_err(|source| RecorderError::Unreadable { file: name.clone(), source })?;
        one_rank(&name, BufReader::new(open), &options.keep, &kept)
    };
    let results: Vec<Result<RankTrace, RecorderError>> = files.par_iter().map(read).collect();
    let ranks: Vec<RankTrace> = results.into_iter().collect::<Result<_, _>>()?;
    build::workload(&ranks, options)
}

/// Reads a trace from the texts of its ranks in memory, rank 0 first. They are called `0.txt`, `1.txt`, … in errors.
///
/// # Errors
/// As [`read_dir`].
pub fn from_texts(texts: &[&[u8]], options: &ReadOptions) -> Result<Read, RecorderError> {
    let kept = AtomicU64::new(0);
    let ranks = texts.iter().enumerate();
    let ranks = ranks.map(|(rank, text)| one_rank(&format!("{rank}.txt"), *text, &options.keep, &kept));
    build::workload(&ranks.collect::<Result<Vec<_>, _>>()?, options)
}

/// One file of text. `kept` counts the calls of all ranks.
fn one_rank(
    name: &str,
    mut text: impl BufRead,
    keep: &Keep,
    kept: &AtomicU64,
) -> Result<RankTrace, RecorderError> {
    let keeps = |path: &str| keep.keeps(path);
    let mut follower = Follower::new(&keeps);
    let mut bytes = Vec::new();
    let mut number = 0;
    let mut calls = 0;
    loop {
        bytes.clear();
        let mut limited = io::Read::take(&mut text, LINE_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| RecorderError::Unreadable { file: name.to_owned(), source })?;
        if read == 0 {
            return Ok(follower.trace);
        }
        number += 1;
        let bad = |reason| RecorderError::Line { file: name.to_owned(), line: number, reason };
        if read > LINE_BYTES_MAX {
            return Err(bad("the line is longer than 1 MiB"));
        }
        // Paths are bytes; what is no UTF-8 in them is replaced.
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() {
            continue;
        }
        Line::parse(&text).and_then(|line| follower.call(&line)).map_err(bad)?;
        let now = follower.trace.calls.len() as u64;
        // Not each by itself: all ranks share the counter.
        if now - calls >= COUNTED_AT_ONCE {
            if kept.fetch_add(now - calls, Ordering::Relaxed) > OPS_MAX {
                return Err(RecorderError::TooLarge { what: "operations", limit: OPS_MAX });
            }
            calls = now;
        }
    }
}

/// The files of all ranks in order.
fn rank_files(path: &Path) -> Result<Vec<PathBuf>, RecorderError> {
    let mut binary = false;
    let candidates = std::iter::once(path.to_owned()).chain(TEXT_FOLDERS.map(|folder| path.join(folder)));
    for (place, folder) in candidates.enumerate() {
        if place > 0 && !folder.is_dir() {
            continue;
        }
        let ranks = ranks_in(&folder, &mut binary)?;
        let Some(last) = ranks.last().copied() else { continue };
        if let Some((expected, _)) = (0u64..).zip(&ranks).find(|(expected, rank)| expected != *rank) {
            return Err(RecorderError::Missing { path: folder, rank: expected, last });
        }
        return Ok(ranks.into_iter().map(|rank| folder.join(format!("{rank}.txt"))).collect());
    }
    let path = path.to_owned();
    Err(if binary { RecorderError::Binary { path } } else { RecorderError::NoRanks { path } })
}

/// The ranks whose text is in a folder, sorted; notes whether it has binary files.
fn ranks_in(folder: &Path, binary: &mut bool) -> Result<Vec<u64>, RecorderError> {
    let unlisted = |source| RecorderError::Folder { path: folder.to_owned(), source };
    let mut ranks = Vec::new();
    for entry in fs::read_dir(folder).map_err(unlisted)? {
        let entry = entry.map_err(unlisted)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let Some((stem, ending)) = name.rsplit_once('.') else { continue };
        *binary |= BINARY.contains(&ending);
        // As printed: 01.txt is no rank.
        let rank = stem.parse::<u64>().ok().filter(|rank| rank.to_string() == stem && ending == "txt");
        if ranks.len() as u64 > RANKS_MAX {
            return Err(RecorderError::TooLarge { what: "ranks", limit: RANKS_MAX });
        }
        if rank.is_some() {
            let file = entry.path();
            let unreadable = |source| RecorderError::Unreadable { file: file.display().to_string(), source };
            regular::check(&file).map_err(unreadable)?;
        }
        ranks.extend(rank);
    }
    ranks.sort_unstable();
    Ok(ranks)
}
