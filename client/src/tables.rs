//! The published tables that a process holds: reads them when they are due, and believes only what is beyond doubt.
//!
//! It must not wait, map a file (a file cut short under a mapping kills the process), or keep a descriptor.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tarazu_layout::limits::TABLE_BYTES_MAX;
use tarazu_table::{Published, Reason, Refused, STAMP_BYTES, Stamp, Table};

use crate::Why;
use crate::lock::Short;
use crate::sys::{Errno, System};

/// File systems of which one process holds tables. A job writes to one, seldom to two; more would be memory for nothing.
pub(crate) const FILE_SYSTEMS_MAX: usize = 8;

/// Nanoseconds between two looks at a table: a fifth of the usual interval between two tables.
const LOOK_EVERY_NS: u64 = 1_000_000_000;

/// Nanoseconds for which nothing is read after a surprise: what surprised is seldom over sooner.
const PAUSE_NS: u64 = 30_000_000_000;

/// The name of the published file in its file system's folder.
const TABLE_FILE: &std::ffi::CStr = c"table";

/// A table that was verified, in memory that nobody else writes to.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    stamp: Stamp,
    checksum: u32,
}

impl Held {
    /// Opens it for one decision.
    pub(crate) fn published(&self) -> Result<Published<'_>, Refused> {
        let body = self.bytes.get(STAMP_BYTES..).unwrap_or_default();
        Ok(Published { stamp: self.stamp, table: Table::reopen(body, self.checksum)? })
    }
}

/// One file system's table.
#[derive(Debug)]
struct Slot {
    fs_name_hash: u64,
    /// When the file was last looked at.
    looked_ns: AtomicU64,
    held: Short<Result<Arc<Held>, Why>>,
}

/// The tables of a process.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    slots: Short<Vec<Arc<Slot>>>,
    /// Until when nothing is read, on the boot clock.
    paused_until_ns: AtomicU64,
}

impl Tables {
    /// The table of a file system, read again where it is due.
    pub(crate) fn get(
        &self,
        system: &dyn System,
        run_dir: &Path,
        fs: &Name,
        budget: Duration,
    ) -> Result<Arc<Held>, Why> {
        let now_ns = system.boot_ns();
        if now_ns < self.paused_until_ns.load(Ordering::Relaxed) {
            return Err(Why::Paused);
        }
        let slot = self.slot(fs.hash)?;
        let looked_ns = slot.looked_ns.load(Ordering::Relaxed);
        let is_due = looked_ns == 0 || now_ns.saturating_sub(looked_ns) >= LOOK_EVERY_NS;
        // One thread reads, the others go on with what there is.
        let is_ours = is_due
            && slot
                .looked_ns
                .compare_exchange(looked_ns, now_ns.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        let held = slot.held.with(|held| held.clone()).unwrap_or(Err(Why::Busy));
        if !is_ours {
            return held;
        }
        let read = read(system, run_dir, fs, held.as_deref().ok());
        let took_ns = system.boot_ns().saturating_sub(now_ns);
        let surprised = read == Err(Reason::Refused) || u128::from(took_ns) > budget.as_nanos();
        if surprised {
            self.paused_until_ns.store(now_ns.saturating_add(PAUSE_NS), Ordering::Relaxed);
        }
        let fresh = match read {
            Ok(Read::Unchanged) => held,
            Ok(Read::New(bytes)) => self.verify(bytes, now_ns),
            Err(reason) => Err(Why::Table(reason)),
        };
        slot.held.with(|held| *held = fresh.clone());
        fresh
    }

    fn slot(&self, fs_name_hash: u64) -> Result<Arc<Slot>, Why> {
        let found = self.slots.with(|slots| {
            if let Some(slot) = slots.iter().find(|slot| slot.fs_name_hash == fs_name_hash) {
                return Some(Arc::clone(slot));
            }
            if slots.len() >= FILE_SYSTEMS_MAX {
                return None;
            }
            let slot = Slot {
                fs_name_hash,
                looked_ns: AtomicU64::new(0),
                // Until the first read is over.
                held: Short::new(Err(Why::Busy)),
            };
            slots.push(Arc::new(slot));
            slots.last().map(Arc::clone)
        });
        found.ok_or(Why::Busy)?.ok_or(Why::Table(Reason::NoTable))
    }

    fn verify(&self, bytes: Vec<u8>, now_ns: u64) -> Result<Arc<Held>, Why> {
        let verified =
            Published::verify(&bytes).map(|published| (published.stamp, published.table.checksum()));
        if let Ok((stamp, checksum)) = verified {
            return Ok(Arc::new(Held { bytes, stamp, checksum }));
        }
        self.paused_until_ns.store(now_ns.saturating_add(PAUSE_NS), Ordering::Relaxed);
        Err(Why::Table(Reason::Refused))
    }
}

/// A file system's name and its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) hash: u64,
}

/// Bytes of a file system's name: Lustre allows 8, folders of targets get some more.
const NAME_BYTES_MAX: usize = 64;

impl Name {
    /// Checks a name: it becomes part of a path.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let sound = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.starts_with('.')
            && text.bytes().all(plain);
        sound.then(|| Self { text: text.to_owned(), hash: tarazu_layout::hash::bytes(text.as_bytes()) })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    Unchanged,
    New(Vec<u8>),
}

/// Reads the published file if it may be trusted: no link, a regular file of root or this user that nobody else can
/// write to, in a folder of which the same is true.
fn read(system: &dyn System, run_dir: &Path, fs: &Name, held: Option<&Held>) -> Result<Read, Reason> {
    let folder = CString::new(run_dir.join(&fs.text).as_os_str().as_bytes()).map_err(|_| Reason::NoTable)?;
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
    let folder = system.open_at(libc::AT_FDCWD, &folder, flags, 0).map_err(absent)?;
    let euid = system.euid();
    if !system.status(folder.as_fd()).map_err(|_| Reason::NoTable)?.is_trusted(euid) {
        return Err(Reason::Refused);
    }
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = system.open_at(folder.as_raw_fd(), TABLE_FILE, flags, 0).map_err(absent)?;
    let status = system.status(file.as_fd()).map_err(|_| Reason::NoTable)?;
    if !status.is(libc::S_IFREG) || !status.is_trusted(euid) || status.size > TABLE_BYTES_MAX as u64 {
        return Err(Reason::Refused);
    }
    // One byte of room more, so that a file that grew meanwhile is seen.
    let mut bytes = vec![0; status.size as usize + 1];
    let length = system.read_at(file.as_fd(), &mut bytes, 0).map_err(|_| Reason::NoTable)?;
    if length as u64 != status.size {
        return Err(Reason::Refused);
    }
    bytes.truncate(length);
    // The stamp holds the moment and the checksum of what it was put in front of.
    let same = held.is_some_and(|held| held.bytes.get(..STAMP_BYTES) == bytes.get(..STAMP_BYTES));
    Ok(if same { Read::Unchanged } else { Read::New(bytes) })
}

/// What is not there is no surprise; what is there and cannot be opened is one, but for missing rights.
fn absent(errno: Errno) -> Reason {
    match errno.0 {
        libc::ELOOP | libc::ENOTDIR => Reason::Refused,
        _ => Reason::NoTable,
    }
}
