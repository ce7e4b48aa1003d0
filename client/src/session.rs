//! A session: what one process does with tarazu from its start to its end.
//!
//! It owns the order of things inside a create: whose folder it is, what the table says, what the folder wants kept; make
//! the file, tell the daemon. It must not let any of them keep a file from being made.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::lov::Stored;
use tarazu_layout::{OstIndex, TargetId, Time, hash};
use tarazu_table::{Ask, Choice, Cursor, FileClass, JobKey, JobName, Reader, Reason, choose, consider};

use crate::Why;
use crate::backend::{Context, Folders, Here, Keep, Made, Open, c_path};
use crate::counts::Counts;
use crate::explain::Explanation;
use crate::memory::{Decided, File, Id, Memory};
use crate::options::{Mode, Options, Report, Striping, is_disabled, say};
use crate::process::Process;
use crate::spool::{self, Advice, Body, Created, Record};
use crate::sys::{Errno, Kernel, System, random};
use crate::tables::{Name, Tables};

/// Nanoseconds for which nothing is told after the spool could not be written for another reason than being full.
const SPOOL_PAUSE_NS: u64 = 30_000_000_000;

/// Numbers sessions of a process, so that two of them have files of their own.
static SESSIONS: AtomicU32 = AtomicU32::new(0);

/// Which files an [`Expect`] speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files<'a> {
    /// Those of this program whose name ends like this one's.
    Like(&'a str),
    /// All of this program.
    OfProgram,
    /// All of the job.
    OfJob,
}

/// What a job expects of the files that it is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expect<'a> {
    /// Which files.
    pub files: Files<'a>,
    /// Bytes that one file will hold.
    pub expected_bytes: u64,
    /// Most of them that one process makes in a burst.
    pub files_per_process: u32,
    /// All of them in a burst; 0 where every process makes its own.
    pub files_per_burst: u32,
    /// Stripes of a file; 0 takes what the folder says, if it does.
    pub stripe_count: u16,
    /// Bytes of one stripe unit; 0 as above.
    pub stripe_size: u64,
    /// How sure all this is, percent, 0 to 100; more counts as 100.
    pub confidence_percent: u8,
}

/// A process's use of tarazu. Shared by its threads; nothing in it waits.
pub struct Session {
    options: Options,
    system: Box<dyn System>,
    process: Process,
    cursor: Cursor,
    tables: Tables,
    folders: Folders,
    memory: Memory,
    counts: Counts,
    spool: spool::Place,
    /// Records that found no room since the last one that did.
    lost: AtomicU32,
    spool_paused_until_ns: AtomicU64,
    has_told: AtomicBool,
    turn: AtomicU64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("options", &self.options)
            .field("process", &self.process)
            .finish_non_exhaustive()
    }
}

/// What came of asking for one file.
struct Asked {
    key: JobKey,
    decided: Result<(Decided, Keep), Why>,
}

impl Session {
    /// Begins a session. It cannot fail: without a daemon, a table or anything else every create is a plain `open()`.
    ///
    /// `TARAZU_DISABLE=1` in the environment wins over the options.
    #[must_use]
    pub fn open(mut options: Options) -> Self {
        if is_disabled() {
            options.mode = Mode::Off;
        }
        Self::with_system(options, Box::new(Kernel), &|name| std::env::var_os(name))
    }

    pub(crate) fn with_system(
        options: Options,
        system: Box<dyn System>,
        environment: crate::process::Lookup<'_>,
    ) -> Self {
        let process = Process::look(&*system, &options, environment);
        let identity = process.identity;
        let number = SESSIONS.fetch_add(1, Ordering::Relaxed);
        let begin =
            hash::combine(identity.host_hash, hash::combine(u64::from(identity.pid), identity.process_start));
        Self {
            spool: spool::Place::new(&options.run_dir, identity.process_start, random(), number),
            cursor: Cursor::new(identity),
            turn: AtomicU64::new(begin),
            options,
            system,
            process,
            tables: Tables::default(),
            folders: Folders::default(),
            memory: Memory::default(),
            counts: Counts::default(),
            lost: AtomicU32::new(0),
            spool_paused_until_ns: AtomicU64::new(0),
            has_told: AtomicBool::new(false),
        }
    }

    /// Opens a file as `open(path, flags, mode)` does, and where that makes a new one, on targets of tarazu's choice.
    ///
    /// # Errors
    /// What the plain `open()` gives, and nothing else.
    pub fn create(&self, path: &Path, flags: i32, mode: u32) -> io::Result<OwnedFd> {
        let c_path = c_path(path).map_err(to_io)?;
        self.create_at(&Open::new(&c_path, flags, mode), path).map_err(to_io)
    }

    /// [`Session::create`] for callers in C.
    pub(crate) fn create_c(&self, open: &Open<'_>) -> Result<OwnedFd, Errno> {
        self.create_at(open, Path::new(OsStr::from_bytes(open.path.to_bytes())))
    }

    fn create_at(&self, open: &Open<'_>, path: &Path) -> Result<OwnedFd, Errno> {
        let here = match self.here(open, path) {
            Ok(here) => here,
            Err(why) => {
                self.counts.count(Some(why));
                return open.plain(&*self.system);
            }
        };
        let name = self.name(FileClass::of_name(open.path.to_bytes()));
        let asked = self.ask(open, &here, &name);
        let with = self.context();
        let backend = &here.folder.backend;
        let made = match &asked.decided {
            Ok((decided, keep)) if self.options.mode >= Mode::Apply => {
                backend.create(&with, open, keep, &decided.targets, decided.stripe_size)?
            }
            Ok(_) => Made::Left(backend.plain(&with, open)?, Why::ObserveOnly),
            Err(why) => Made::Left(backend.plain(&with, open)?, *why),
        };
        let (fd, got, why) = match made {
            Made::Steered(fd, got) => (fd, got, None),
            Made::Left(fd, why) => (fd, Vec::new(), Some(why)),
        };
        self.counts.count(why);
        let path_hash = hash::bytes(open.path.to_bytes());
        let Asked { key, decided } = asked;
        let decided = decided.ok().map(|(decided, _)| decided);
        self.tell_of(&here, path_hash, key, decided.as_ref(), &got, why);
        // What nothing was decided of is not worth a look at it.
        let id = if decided.is_some() { self.id(fd.as_fd()) } else { Some(here.id_of(path)) };
        if let Some(id) = id {
            let Name { text: fs_name, hash: fs_name_hash } = here.folder.fs.clone();
            let (class, is_closed) = (name.file, false);
            self.memory.keep(File { id, fs_name, fs_name_hash, class, key, decided, got, why, is_closed });
        }
        Ok(fd)
    }

    /// Tells what became of a file.
    fn tell_of(
        &self,
        here: &Here,
        path_hash: u64,
        key: JobKey,
        decided: Option<&Decided>,
        got: &[OstIndex],
        why: Option<Why>,
    ) {
        let body = match (why, decided) {
            // Without a table, or where the user wants nothing steered, a file costs what it costs without tarazu.
            (Some(Why::Table(Reason::NoTable) | Why::StripingOff), _) | (None, None) => return,
            (Some(why), _) => Body::Left { key, path_hash, why },
            (None, Some(decided)) => Body::Created(Created {
                key,
                path_hash,
                order: decided.order,
                tier: decided.tier,
                expected_bytes: decided.expected_bytes,
                asked: decided.targets.clone(),
                got: got.to_vec(),
            }),
        };
        self.tell(here.folder.fs.hash, body);
    }

    /// What an open file is remembered by.
    fn id(&self, fd: BorrowedFd<'_>) -> Option<Id> {
        let status = self.system.status(fd).ok()?;
        Some(Id::Inode { dev: status.dev, ino: status.ino })
    }

    /// The folder of a file that may be steered.
    fn here(&self, open: &Open<'_>, path: &Path) -> Result<Here, Why> {
        if self.options.mode == Mode::Off {
            return Err(Why::Off);
        }
        if !open.creates() {
            return Err(Why::NotCreating);
        }
        if self.options.leaves(path) {
            return Err(Why::OtherKind);
        }
        self.folders.of(&*self.system, &self.options, path)
    }

    fn name(&self, file: FileClass) -> JobName {
        let Process { uid, job, executable_hash, .. } = self.process;
        JobName { uid, job, executable_hash, file }
    }

    fn context(&self) -> Context<'_> {
        Context {
            system: &*self.system,
            default_target: self.options.default_target.as_ref(),
            turn: &self.turn,
            host_hash: self.process.identity.host_hash,
        }
    }

    fn ask(&self, open: &Open<'_>, here: &Here, name: &JobName) -> Asked {
        let mut key = name.exact();
        let decided = self.decide(open, here, name, &mut key);
        Asked { key, decided }
    }

    /// Asks what is cheap first: the table in memory, then the folder, of which a server may have to be asked. The cursor
    /// moves last, so only for files that are to be steered.
    fn decide(
        &self,
        open: &Open<'_>,
        here: &Here,
        name: &JobName,
        key: &mut JobKey,
    ) -> Result<(Decided, Keep), Why> {
        if self.options.striping == Striping::Off {
            return Err(Why::StripingOff);
        }
        let (system, folder) = (&*self.system, &here.folder);
        let held = self.tables.get(system, &self.options.run_dir, &folder.fs, self.options.budget)?;
        let published = held.published().map_err(|_| Why::Table(Reason::Refused))?;
        if let Some(entry) = published.table.lookup(name) {
            *key = entry.key;
        }
        let reader = Reader {
            fs_name_hash: folder.fs.hash,
            boot_hash: self.process.boot_hash,
            now: Time(system.boot_ns()),
        };
        consider(&published, &reader, name).map_err(Why::Table)?;
        folder.backend.may_steer(open)?;
        let keep = folder.backend.keep(system, &self.options, &here.path)?;
        let ask = Ask { name: *name, pid: system.pid(), keep: keep.striping };
        let mut out = [TargetId(0); STRIPES_MAX];
        let steer = match choose(Ok(&published), &reader, &self.cursor, &ask, &mut out) {
            Choice::Steer(steer) => steer,
            Choice::Leave(reason) => return Err(Why::Table(reason)),
        };
        let chosen = out.iter().take(steer.stripes).map(|target| published.table.ost_index(*target));
        let decided = Decided {
            // A verified table has an index for every target of its rings.
            targets: chosen.collect::<Option<_>>().ok_or(Why::Table(Reason::Refused))?,
            stripe_size: steer.stripe_size,
            order: steer.order,
            tier: steer.tier,
            expected_bytes: steer.expected_bytes,
            confidence_percent: steer.confidence_percent,
        };
        Ok((decided, keep))
    }

    /// Says at the start of a job what its files in a folder will be, so that the plan can count on them.
    ///
    /// # Errors
    /// Why it was not told. Nothing depends on it.
    pub fn advise(&self, folder: &Path, expect: &Expect<'_>) -> Result<(), Why> {
        match self.options.mode {
            Mode::Off => return Err(Why::Off),
            Mode::Observe => return Err(Why::ObserveOnly),
            Mode::Advise | Mode::Apply => {}
        }
        // The folder of any file inside it.
        let here = self.folders.of(&*self.system, &self.options, &folder.join("file"))?;
        let keep = here.folder.backend.keep(&*self.system, &self.options, &here.path);
        let inherited = keep.ok().and_then(|keep| keep.striping);
        let or = |said: u64, inherited: Option<u64>| if said > 0 { said } else { inherited.unwrap_or(0) };
        let count = or(u64::from(expect.stripe_count), inherited.map(|keep| u64::from(keep.stripe_count)));
        let (key, rank) = (self.key(expect.files), self.process.identity.rank);
        let (rank, world) = rank.map_or((0, 1), |rank| (rank.rank, rank.world));
        let all = expect.files_per_process.saturating_mul(world);
        let advice = Advice {
            key,
            rank,
            world,
            files_per_process: expect.files_per_process,
            files_per_burst: if expect.files_per_burst > 0 { expect.files_per_burst } else { all },
            expected_bytes: expect.expected_bytes,
            stripe_size: or(expect.stripe_size, inherited.map(|keep| u64::from(keep.stripe_size))),
            stripe_count: u16::try_from(count).unwrap_or(u16::MAX),
            confidence_percent: expect.confidence_percent.min(100),
        };
        if self.tell(here.folder.fs.hash, Body::Advise(advice)) {
            Ok(())
        } else {
            Err(Why::Table(Reason::NoTable))
        }
    }

    fn key(&self, files: Files<'_>) -> JobKey {
        match files {
            Files::Like(name) => self.name(FileClass::of_name(name.as_bytes())).exact(),
            Files::OfProgram => self.name(FileClass::Other).any_file(),
            Files::OfJob => self.name(FileClass::Other).any_executable(),
        }
    }

    /// Says that a file which this session made is about to be closed, or was read or written for the last time.
    pub fn closed(&self, fd: BorrowedFd<'_>, written_bytes: u64) {
        if self.options.mode < Mode::Advise {
            return;
        }
        let Some(file) = self.id(fd).and_then(|id| self.memory.close(id)) else { return };
        // Only what was steered was counted as placed.
        let (None, Some(decided)) = (file.why, file.decided) else { return };
        let expected_bytes = decided.expected_bytes;
        let body = Body::Closed { key: file.key, osts: file.got, expected_bytes, written_bytes };
        self.tell(file.fs_name_hash, body);
    }

    /// The layout of a file that exists.
    ///
    /// # Errors
    /// What the system says; `EOPNOTSUPP` where no back end knows the file system, `EPROTO` where its answer is not
    /// understood.
    pub fn layout_of(&self, path: &Path) -> io::Result<Stored> {
        let here = self.folders.of(&*self.system, &self.options, path);
        let here = here.map_err(|_| to_io(Errno(libc::EOPNOTSUPP)))?;
        here.folder.backend.layout_of(&*self.system, &c_path(path).map_err(to_io)?).map_err(to_io)
    }

    /// What was asked, decided and got for a file, and why.
    ///
    /// # Errors
    /// The file is not there.
    pub fn explain(&self, path: &Path) -> io::Result<Explanation> {
        let status =
            self.system.status_at(libc::AT_FDCWD, &c_path(path).map_err(to_io)?, true).map_err(to_io)?;
        let named = self.folders.of(&*self.system, &self.options, path).ok().map(|here| here.id_of(path));
        let itself = Id::Inode { dev: status.dev, ino: status.ino };
        Ok(Explanation {
            path: path.to_owned(),
            mode: self.options.mode,
            job: self.process.job,
            made: self.memory.find(&[itself, named.unwrap_or(itself)]).map(Into::into),
            got: self.layout_of(path).ok(),
        })
    }

    /// Files steered so far, and files left, with the reasons.
    #[must_use]
    pub fn counts(&self) -> (u64, Vec<(Why, u64)>) {
        self.counts.read()
    }

    /// Ends the session, as dropping it does.
    pub fn close(self) {
        drop(self);
    }

    /// Appends one record. Whether it was.
    fn tell(&self, fs_name_hash: u64, body: Body) -> bool {
        if self.options.mode < Mode::Advise {
            return false;
        }
        let before_ns = self.system.boot_ns();
        let is_paused = before_ns < self.spool_paused_until_ns.load(Ordering::Relaxed);
        // Taken out, so that no other thread reports the same ones; they come back where this record finds no room.
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let record = Record {
            uid: self.process.uid,
            pid: self.system.pid(),
            at: Time(before_ns),
            fs_name_hash,
            job: self.process.job,
            lost,
            body,
        };
        let appended = match spool::encode(&record) {
            Some(bytes) if !is_paused => spool::append(&*self.system, &self.spool, &bytes),
            _ => Err(Errno(libc::ENOSPC)),
        };
        let took_ns = self.system.boot_ns().saturating_sub(before_ns);
        let surprised = matches!(appended, Err(errno) if errno.0 != libc::ENOSPC);
        if surprised || u128::from(took_ns) > self.options.budget.as_nanos() {
            self.spool_paused_until_ns.store(before_ns.saturating_add(SPOOL_PAUSE_NS), Ordering::Relaxed);
        }
        if appended.is_ok() {
            self.has_told.store(true, Ordering::Relaxed);
        } else {
            self.lost.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
        }
        appended.is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A child that inherited the session by a fork does not end its parent's.
        if self.system.pid() != self.process.identity.pid {
            return;
        }
        if self.has_told.load(Ordering::Relaxed) {
            self.tell(0, Body::End);
        }
        if self.options.report >= Report::Summary {
            say(&self.counts.summary());
        }
    }
}

fn to_io(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.0)
}

#[cfg(test)]
mod tests;
