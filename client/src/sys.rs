//! The system calls of the client, behind one trait so that tests can make every call fail with every `errno`.
//!
//! It owns the unsafe calls and what turns their results into values. It must not retry, decide or allocate behind a
//! caller's back.

#![allow(unsafe_code, reason = "the one module that calls the kernel")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use tarazu_layout::hash;

/// An error number of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("errno {0}")]
pub(crate) struct Errno(pub(crate) i32);

impl Errno {
    /// As it stands in records.
    pub(crate) fn short(self) -> u16 {
        u16::try_from(self.0).unwrap_or(0)
    }
}

/// What the client asks of a file's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) size: u64,
}

impl Status {
    pub(crate) const fn is(&self, kind: u32) -> bool {
        self.mode & libc::S_IFMT == kind
    }

    /// Whether what lies here was put here by root or by this user, and nobody else can change it.
    pub(crate) const fn is_trusted(&self, euid: u32) -> bool {
        (self.uid == 0 || self.uid == euid) && self.mode & (libc::S_IWGRP | libc::S_IWOTH) == 0
    }
}

pub(crate) type Sys<T> = Result<T, Errno>;

/// The calls. A path is as in the call of that name; `dir` may be `AT_FDCWD`.
pub(crate) trait System: Send + Sync {
    fn open_at(&self, dir: RawFd, path: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd>;
    fn read_at(&self, fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Sys<usize>;
    fn write(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Sys<usize>;
    fn status(&self, fd: BorrowedFd<'_>) -> Sys<Status>;
    /// Follows links where `follow` says so.
    fn status_at(&self, dir: RawFd, path: &CStr, follow: bool) -> Sys<Status>;
    /// The kind of file system (`f_type`).
    fn kind_of(&self, path: &CStr) -> Sys<i64>;
    fn get_xattr(&self, fd: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Sys<usize>;
    fn get_xattr_at(&self, path: &CStr, name: &CStr, buffer: &mut [u8]) -> Sys<usize>;
    fn set_xattr(&self, fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Sys<()>;
    fn unlink(&self, path: &CStr) -> Sys<()>;
    fn symlink(&self, target: &CStr, path: &CStr) -> Sys<()>;
    fn read_link(&self, path: &CStr, buffer: &mut [u8]) -> Sys<usize>;
    /// Nanoseconds on the boot clock, 0 where there is none.
    fn boot_ns(&self) -> u64;
    fn pid(&self) -> u32;
    fn euid(&self) -> u32;
    /// Whether the process belongs to a group.
    fn in_group(&self, gid: u32) -> bool;
}

/// Groups of a process that are looked at; with more the kernel's answer is an error and counts as none.
const GROUPS_MAX: usize = 256;

/// The kernel itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel;

/// The number of the last error of this thread.
pub(crate) fn errno() -> i32 {
    // SAFETY: returns a pointer to this thread's own error number, always valid.
    unsafe { *libc::__errno_location() }
}

/// Sets the number of the last error of this thread, for callers in C.
pub(crate) fn set_errno(value: i32) {
    // SAFETY: as above; nobody else writes this thread's number.
    unsafe { *libc::__errno_location() = value }
}

fn unit(result: i32) -> Sys<()> {
    if result < 0 { Err(Errno(errno())) } else { Ok(()) }
}

fn length(result: isize) -> Sys<usize> {
    usize::try_from(result).map_err(|_| Errno(errno()))
}

fn from_stat(stat: &libc::stat) -> Status {
    Status {
        dev: stat.st_dev,
        ino: stat.st_ino,
        mode: stat.st_mode,
        uid: stat.st_uid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
    }
}

/// An all-zero structure for the kernel to fill.
fn zeroed_stat() -> libc::stat {
    // SAFETY: `stat` is made of numbers only, for which all bits zero are a value.
    unsafe { std::mem::zeroed() }
}

impl System for Kernel {
    fn open_at(&self, dir: RawFd, path: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd> {
        // SAFETY: the path is a C string that outlives the call; the mode is read only where the flags need it.
        let fd = unsafe { libc::openat(dir, path.as_ptr(), flags, mode) };
        unit(fd)?;
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    fn read_at(&self, fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Sys<usize> {
        let offset = i64::try_from(offset).map_err(|_| Errno(libc::EINVAL))?;
        // SAFETY: the kernel writes at most the buffer's length into it.
        length(unsafe { libc::pread(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), offset) })
    }

    fn write(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Sys<usize> {
        // SAFETY: the kernel reads at most the slice's length from it.
        length(unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) })
    }

    fn status(&self, fd: BorrowedFd<'_>) -> Sys<Status> {
        let mut stat = zeroed_stat();
        // SAFETY: the structure is the kernel's own and lives until the call is over.
        unit(unsafe { libc::fstat(fd.as_raw_fd(), &mut stat) })?;
        Ok(from_stat(&stat))
    }

    fn status_at(&self, dir: RawFd, path: &CStr, follow: bool) -> Sys<Status> {
        let mut stat = zeroed_stat();
        let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
        // SAFETY: path and structure outlive the call.
        unit(unsafe { libc::fstatat(dir, path.as_ptr(), &mut stat, flags) })?;
        Ok(from_stat(&stat))
    }

    fn kind_of(&self, path: &CStr) -> Sys<i64> {
        // SAFETY: `statfs` is made of numbers only, for which all bits zero are a value.
        let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
        // SAFETY: path and structure outlive the call.
        unit(unsafe { libc::statfs(path.as_ptr(), &mut stat) })?;
        #[allow(clippy::unnecessary_cast, reason = "the type differs between C libraries")]
        Ok(stat.f_type as i64)
    }

    fn get_xattr(&self, fd: BorrowedFd<'_>, name: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        let (room, bytes) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the kernel writes at most the buffer's length into it; the name outlives the call.
        length(unsafe { libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), room, bytes) })
    }

    fn get_xattr_at(&self, path: &CStr, name: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        let (room, bytes) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: the kernel writes at most the buffer's length into it; path and name outlive the call.
        length(unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), room, bytes) })
    }

    fn set_xattr(&self, fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Sys<()> {
        let (bytes, count) = (value.as_ptr().cast(), value.len());
        // SAFETY: the kernel reads at most the slice's length from it; the name outlives the call.
        unit(unsafe { libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), bytes, count, 0) })
    }

    fn unlink(&self, path: &CStr) -> Sys<()> {
        // SAFETY: the path outlives the call.
        unit(unsafe { libc::unlink(path.as_ptr()) })
    }

    fn symlink(&self, target: &CStr, path: &CStr) -> Sys<()> {
        // SAFETY: both paths outlive the call.
        unit(unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) })
    }

    fn read_link(&self, path: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        // SAFETY: the kernel writes at most the buffer's length into it; the path outlives the call.
        length(unsafe { libc::readlink(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) })
    }

    fn boot_ns(&self) -> u64 {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the structure is the kernel's own and lives until the call is over.
        if unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut now) } < 0 {
            return 0;
        }
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn euid(&self) -> u32 {
        // SAFETY: takes nothing and cannot fail.
        unsafe { libc::geteuid() }
    }

    fn in_group(&self, gid: u32) -> bool {
        // SAFETY: takes nothing and cannot fail.
        if unsafe { libc::getegid() } == gid {
            return true;
        }
        let mut groups = [0; GROUPS_MAX];
        // SAFETY: the kernel writes at most as many ids as it is told there is room for.
        let count = unsafe { libc::getgroups(GROUPS_MAX as i32, groups.as_mut_ptr()) };
        let count = usize::try_from(count).unwrap_or(0);
        groups.iter().take(count).any(|group| *group == gid)
    }
}

/// Whether the process runs with more rights than the user who started it: its environment is then not to be believed.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: reads a number that the kernel gave this process at its start.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A number that nobody outside this process can guess; where the kernel has none ready, one that is hard to guess.
pub(crate) fn random() -> u32 {
    let mut number = 0u64;
    let room: *mut u64 = &mut number;
    let bytes = std::mem::size_of::<u64>();
    // By its number, since C libraries of older systems have no function for it.
    // SAFETY: the kernel writes at most the bytes of `number` into it, and never waits with this flag.
    let got = unsafe { libc::syscall(libc::SYS_getrandom, room, bytes, libc::GRND_NONBLOCK) };
    if got != bytes as libc::c_long {
        let moment = hash::combine(Kernel.boot_ns(), u64::from(Kernel.pid()));
        number = hash::combine(moment, room as u64);
    }
    (number >> 32) as u32
}

/// The bytes of a small file, at most `limit`; longer ones and every failure give nothing.
pub(crate) fn small_file(system: &dyn System, path: &CStr, limit: usize) -> Option<Vec<u8>> {
    use std::os::fd::AsFd;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let fd = system.open_at(libc::AT_FDCWD, path, flags, 0).ok()?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = system.read_at(fd.as_fd(), &mut piece, bytes.len() as u64).ok()?;
        if read == 0 {
            return Some(bytes);
        }
        if bytes.len() + read > limit {
            return None;
        }
        bytes.extend_from_slice(piece.get(..read)?);
    }
}
