//! Appending a record to the process's own spool file.

use std::ffi::{CString, OsStr};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{RECORD_BYTES_MAX, SPOOL_BYTES_MAX, SPOOL_FOLDER};
use crate::sys::{Errno, System};

/// Where a process appends.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    folder: PathBuf,
    /// What stands behind the process id: start of the process, a random number, number of the session.
    suffix: String,
}

impl Place {
    /// The place of one session. `start` tells processes apart that get the same id one after the other. `random`
    /// keeps others from making a file of that name first and so shutting this process out: names in the folder
    /// cannot be listed, and everything else in this one is public.
    pub(crate) fn new(run_dir: &Path, start: u64, random: u32, session: u32) -> Self {
        Self { folder: run_dir.join(SPOOL_FOLDER), suffix: format!("{start}-{random}-{session}") }
    }

    /// The file of the process that this is now: a forked child has its own.
    pub(crate) fn path(&self, pid: u32) -> PathBuf {
        self.folder.join(OsStr::from_bytes(format!("{pid}-{}", self.suffix).as_bytes()))
    }
}

/// Appends one record: open, look, write, close.
///
/// The folder is everybody's. So no link is followed, a pipe is not waited for, and a file that is not this user's own
/// is not written to.
///
/// # Errors
/// Why it was not appended; `ENOSPC` where the file is full, `EPERM` where it is not ours.
pub(crate) fn append(system: &dyn System, place: &Place, bytes: &[u8]) -> Result<(), Errno> {
    let path =
        CString::new(place.path(system.pid()).as_os_str().as_bytes()).map_err(|_| Errno(libc::EINVAL))?;
    let flags = libc::O_WRONLY
        | libc::O_APPEND
        | libc::O_CREAT
        | libc::O_NOFOLLOW
        | libc::O_CLOEXEC
        | libc::O_NONBLOCK
        | libc::O_NOCTTY;
    let fd = system.open_at(libc::AT_FDCWD, &path, flags, 0o600)?;
    let status = system.status(fd.as_fd())?;
    if !status.is(libc::S_IFREG) || status.uid != system.euid() {
        return Err(Errno(libc::EPERM));
    }
    if bytes.len() > RECORD_BYTES_MAX || status.size + bytes.len() as u64 > SPOOL_BYTES_MAX as u64 {
        return Err(Errno(libc::ENOSPC));
    }
    // Where only a part was written the reader steps over it.
    let written = system.write(fd.as_fd(), bytes)?;
    if written < bytes.len() { Err(Errno(libc::ENOSPC)) } else { Ok(()) }
}
