//! The job: one thread for each rank, each with a session of the client library of its own.
//!
//! Real files are made through the library, and some real bytes are written to them. How long a transfer takes is the
//! emulation's word. It must not choose targets.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::OFlags;
use tarazu::{Expect, Files, Session, Why};

use super::clock::{Clock, Stop};
use super::emulate::{Emulation, Way};
use super::error::DemoError;
use super::meeting::Meeting;
use super::pattern::{Pattern, Step};

/// Real bytes on disk are the log's divided by this: the demonstration must not measure this machine's disk.
pub(crate) const DISK_DIVISOR: u64 = 16;

/// How sure the job is of what it announces, percent: it knows its own checkpoint.
const CONFIDENCE_PERCENT: u8 = 90;

/// What the ranks of one run share.
pub(super) struct Job<'a> {
    pub(super) pattern: &'a Pattern,
    pub(super) emulation: &'a Emulation,
    pub(super) stop: &'a Stop,
    pub(super) clock: Clock,
    /// The folder that files are made in.
    pub(super) folder: &'a Path,
    /// Emulated bytes for one byte of the log.
    pub(super) scale: u64,
    /// Seconds between the announcement and the first operation.
    pub(super) lead_s: f64,
    /// All ranks before the first operation, and the groups of the log.
    pub(super) start: Meeting,
    pub(super) groups: Vec<Meeting>,
    pub(super) progress: &'a Progress,
}

/// What a job has done so far, to look at.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Emulated bytes, both ways.
    pub(crate) moved_bytes: AtomicU64,
    /// Files that are ready.
    pub(crate) files: AtomicU64,
    /// Whether the job's first operation has begun.
    pub(crate) began: Stop,
}

/// What one rank did.
#[derive(Clone, Debug, Default)]
pub(super) struct RankOutcome {
    /// When it did I/O, seconds on the run's clock.
    pub(super) spans: Vec<(f64, f64)>,
    /// Of each file that it made: seconds of I/O, target, emulated bytes.
    pub(super) files: Vec<(f64, usize, u64)>,
    /// Files that were steered, and those that were left with the reasons.
    pub(super) steered: u64,
    pub(super) left: Vec<(String, u64)>,
    /// Why the announcement was not told; nothing where it was, or where nothing is to be announced.
    pub(super) not_told: Option<String>,
}

/// A file that a rank has open.
struct Held {
    file: File,
    target: usize,
    /// Seconds of its making, writing and reading; waiting for other ranks does not count.
    io_s: f64,
    written_bytes: u64,
    is_new: bool,
}

impl Job<'_> {
    /// One rank from its announcement to its end.
    pub(super) fn rank(&self, rank: u32, session: &Session) -> Result<RankOutcome, DemoError> {
        let mut outcome = RankOutcome { not_told: self.announce(session), ..RankOutcome::default() };
        if !self.stop.wait(self.lead_s) || !self.start.meet(self.stop) {
            return Err(DemoError::Stopped);
        }
        if rank == 0 {
            self.emulation.end_warm_up();
            self.progress.began.set();
        }
        let steps = self.pattern.ranks.get(rank as usize).map_or(&[][..], Vec::as_slice);
        let mut held: Option<Held> = None;
        for step in steps {
            let began_s = self.clock.seconds();
            let goes_on = match step {
                Step::Think(seconds) => self.stop.wait(*seconds),
                Step::Meet(group) => self.groups.get(*group).is_none_or(|group| group.meet(self.stop)),
                Step::Open(name) => {
                    self.end(session, held.take(), &mut outcome);
                    held = Some(self.open(rank, session, name)?);
                    true
                }
                Step::Write(bytes) => self.write(rank, held.as_mut(), *bytes)?,
                Step::Read(bytes) => self.read(rank, held.as_mut(), *bytes)?,
                Step::Close => {
                    self.end(session, held.take(), &mut outcome);
                    true
                }
            };
            if !goes_on {
                return Err(DemoError::Stopped);
            }
            if !matches!(step, Step::Think(_) | Step::Meet(_)) {
                let ended_s = self.clock.seconds();
                outcome.spans.push((began_s, ended_s));
                if let Some(held) = &mut held {
                    held.io_s += ended_s - began_s;
                }
            }
        }
        self.end(session, held.take(), &mut outcome);
        let (steered, left) = session.counts();
        outcome.steered = steered;
        outcome.left = left
            .into_iter()
            // The restart opens files that it made.
            .filter(|(why, _)| *why != Why::NotCreating)
            .map(|(why, count)| (why.to_string(), count))
            .collect();
        Ok(outcome)
    }

    /// Tells what is to come; why it was not told.
    fn announce(&self, session: &Session) -> Option<String> {
        let expect = Expect {
            files: Files::OfProgram,
            expected_bytes: self.pattern.file_bytes * self.scale,
            files_per_process: 1,
            files_per_burst: 0,
            stripe_count: 0,
            stripe_size: 0,
            confidence_percent: CONFIDENCE_PERCENT,
        };
        session.advise(self.folder, &expect).err().map(|why| why.to_string())
    }

    fn open(&self, rank: u32, session: &Session, name: &str) -> Result<Held, DemoError> {
        let path = self.folder.join(name);
        let cannot = |source| DemoError::File { rank, path: path.clone(), source };
        let is_new = !path.try_exists().map_err(cannot)?;
        let flags = if is_new { OFlags::RDWR | OFlags::CREATE } else { OFlags::RDONLY } | OFlags::CLOEXEC;
        // The flags of `open()` are a C int.
        let made = session.create(&path, flags.bits() as i32, 0o600).map_err(cannot)?;
        let layout = session.layout_of(&path).map_err(cannot)?;
        let target = layout.first_list().first().map(|ost| ost.0 as usize);
        let target = target.ok_or_else(|| DemoError::NoTarget { rank, path: path.clone() })?;
        Ok(Held { file: File::from(made), target, io_s: 0.0, written_bytes: 0, is_new })
    }

    fn write(&self, rank: u32, held: Option<&mut Held>, bytes: u64) -> Result<bool, DemoError> {
        let Some(held) = held else { return Ok(true) };
        // A few KiB, which the page cache takes at once.
        let real = vec![0; (bytes / DISK_DIVISOR) as usize];
        held.file.write_all(&real).map_err(|source| self.failed(rank, source))?;
        held.written_bytes += bytes * self.scale;
        Ok(self.transfer(held.target, bytes, Way::Write))
    }

    fn read(&self, rank: u32, held: Option<&mut Held>, bytes: u64) -> Result<bool, DemoError> {
        let Some(held) = held else { return Ok(true) };
        let mut real = vec![0; (bytes / DISK_DIVISOR) as usize];
        held.file.read_at(&mut real, 0).map_err(|source| self.failed(rank, source))?;
        Ok(self.transfer(held.target, bytes, Way::Read))
    }

    fn failed(&self, rank: u32, source: io::Error) -> DemoError {
        DemoError::File { rank, path: PathBuf::from(self.folder), source }
    }

    fn transfer(&self, target: usize, bytes: u64, way: Way) -> bool {
        let bytes = bytes * self.scale;
        let is_through = self.emulation.transfer(target, bytes, way, self.stop);
        self.progress.moved_bytes.fetch_add(bytes, Ordering::Relaxed);
        is_through
    }

    fn end(&self, session: &Session, held: Option<Held>, outcome: &mut RankOutcome) {
        let Some(held) = held.filter(|held| held.is_new) else { return };
        session.closed(held.file.as_fd(), held.written_bytes);
        outcome.files.push((held.io_s, held.target, held.written_bytes));
        self.progress.files.fetch_add(1, Ordering::Relaxed);
    }
}
