//! How a choice of targets reaches a file system: one trait, two ways of doing it.
//!
//! Whatever goes wrong inside, the caller gets what a plain `open()` would have given, and the reason beside it. A back
//! end must not decide which targets are good.

mod folder;
mod lustre;
mod mounts;
mod targets;

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use tarazu_layout::OstIndex;
use tarazu_layout::lov::{Request, Stored};
use tarazu_table::Inherited;

use crate::Why;
use crate::options::{DefaultTarget, Options};
use crate::sys::{Errno, Sys, System};

pub(crate) use folder::{Folders, Here};

/// An `open()` as the application asked for it.
#[derive(Debug)]
pub(crate) struct Open<'a> {
    pub(crate) path: &'a CStr,
    pub(crate) flags: i32,
    pub(crate) mode: u32,
    /// Whether this call put something new at the path: then that is no other's file, whatever happens later.
    has_made: Cell<bool>,
}

impl<'a> Open<'a> {
    pub(crate) const fn new(path: &'a CStr, flags: i32, mode: u32) -> Self {
        Self { path, flags, mode, has_made: Cell::new(false) }
    }

    /// Exactly what the application asked for.
    pub(crate) fn plain(&self, system: &dyn System) -> Sys<OwnedFd> {
        self.with_flags(system, self.flags)
    }

    /// The application's open with other flags.
    fn with_flags(&self, system: &dyn System, flags: i32) -> Sys<OwnedFd> {
        let fd = system.open_at(libc::AT_FDCWD, self.path, flags, self.mode)?;
        if flags & libc::O_EXCL != 0 {
            self.has_made.set(true);
        }
        Ok(fd)
    }

    /// Goes on after a slip of ours, which may have left a file at the path.
    ///
    /// The application's own open takes such a file as it is, but for an exclusive one, to which it would be somebody
    /// else's. There is no honest descriptor then, since nobody knows how far the slip had come: the call failed.
    ///
    /// # Errors
    /// `EIO` where an exclusive open had made the file, else what the plain `open()` gives.
    pub(crate) fn after_slip(&self, system: &dyn System) -> Sys<OwnedFd> {
        if self.flags & libc::O_EXCL != 0 && self.has_made.get() {
            return Err(Errno(libc::EIO));
        }
        self.plain(system)
    }

    /// Whether it may make a file with a name of its own.
    pub(crate) const fn creates(&self) -> bool {
        let temporary = self.flags & libc::O_TMPFILE == libc::O_TMPFILE;
        self.flags & libc::O_CREAT != 0 && self.flags & (libc::O_DIRECTORY | libc::O_PATH) == 0 && !temporary
    }
}

/// What became of a file that was to be steered.
#[derive(Debug)]
pub(crate) enum Made {
    /// It has a layout that was asked for: its targets as read back.
    Steered(OwnedFd, Vec<OstIndex>),
    /// It was made, or was there, as without tarazu.
    Left(OwnedFd, Why),
}

/// What new files of a folder must keep.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// Their striping; `None` leaves it to the table.
    pub(crate) striping: Option<Inherited>,
    /// All of the layout that they would inherit, where there is one; back ends without layouts have none.
    pub(crate) inherited: Option<Arc<Request>>,
}

/// A kind of file system.
pub(crate) trait Backend: Send + Sync {
    /// What new files of this folder must keep, or why they are left alone. It may ask a server, so it is the last
    /// question before a choice.
    fn keep(&self, system: &dyn System, options: &Options, folder: &CStr) -> Result<Keep, Why>;

    /// Whether a file that is opened so can be steered at all, or why not. Asks nobody.
    fn may_steer(&self, _: &Open<'_>) -> Result<(), Why> {
        Ok(())
    }

    /// Makes a file on these targets, in stripe order and at least one, with stripes of this size.
    ///
    /// # Errors
    /// What a plain `open()` gives.
    fn create(
        &self,
        with: &Context<'_>,
        open: &Open<'_>,
        keep: &Keep,
        osts: &[OstIndex],
        stripe_size: u32,
    ) -> Sys<Made>;

    /// Makes or opens a file of which nothing was decided.
    ///
    /// # Errors
    /// What a plain `open()` gives.
    fn plain(&self, with: &Context<'_>, open: &Open<'_>) -> Sys<OwnedFd>;

    /// The layout of a file that exists.
    ///
    /// # Errors
    /// What the system says; `EPROTO` where its answer is not understood.
    fn layout_of(&self, system: &dyn System, path: &CStr) -> Sys<Stored>;
}

/// What back ends use of their session.
pub(crate) struct Context<'a> {
    pub(crate) system: &'a dyn System,
    pub(crate) default_target: Option<&'a DefaultTarget>,
    /// Files made so far without a choice, begun at a hash so that processes part their ways.
    pub(crate) turn: &'a std::sync::atomic::AtomicU64,
    /// Tells this process from others of other hosts.
    pub(crate) host_hash: u64,
}

/// The path as the kernel takes it.
pub(crate) fn c_path(path: &Path) -> Sys<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))
}

/// Removes what this process has just made, unless something else lies there now. Whether it is gone.
fn unlink_own(system: &dyn System, path: &CStr, fd: BorrowedFd<'_>) -> bool {
    let own = system.status(fd.as_fd());
    let there = system.status_at(libc::AT_FDCWD, path, false);
    match (own, there) {
        (Ok(own), Ok(there)) if own.dev == there.dev && own.ino == there.ino => system.unlink(path).is_ok(),
        _ => false,
    }
}
