//! Directory targets: every target is a folder of its own, each file lies whole in one of them and is linked at its
//! logical path. For the demonstration, and for nodes with several mounts.
//!
//! The file `.tarazu-targets` in the root names them:
//!
//! ```text
//! tarazu-targets 1
//! name scratch
//! 0 /mnt/a
//! 1 /mnt/b
//! ```
//!
//! Removing the logical path removes the link only; whoever runs such a file system sweeps its targets.

use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use tarazu_layout::limits::TARGETS_MAX;
use tarazu_layout::lov::{Mirror, Stored};
use tarazu_layout::{Layout, OstIndex, hash};
use tarazu_table::Inherited;

use super::{Backend, Context, Keep, Made, Open, c_path, unlink_own};
use crate::Why;
use crate::options::Options;
use crate::sys::{Errno, Sys, System};

/// The file that makes a folder the root of a file system of directory targets.
const MARK: &str = ".tarazu-targets";

/// Bytes of that file: as many targets as a table may have, with paths of a hundred bytes.
const MARK_BYTES_MAX: usize = TARGETS_MAX * 128;

/// Folders above a file that are searched for a root.
const DEPTH_MAX: usize = 32;

/// Names that are tried in a target; two processes that draw the same one are a slip of the clock.
const NAMES_MAX: u64 = 4;

/// A whole file is one stripe, whatever its size; multiples of 64 KiB are what the table takes.
const STRIPE_SIZE: u32 = 1 << 30;

/// Where the making of a file failed.
enum Failed {
    /// In the target's folder: another target may take it.
    Target(Errno),
    /// At the logical path: no other target helps.
    Link(Errno),
}

/// One file system of directory targets.
#[derive(Debug)]
pub(super) struct Targets {
    osts: Vec<OstIndex>,
    /// Their folders in the same order.
    folders: Vec<PathBuf>,
}

impl Targets {
    /// The file system that a folder lies in, and its name; `None` where it lies in none, or not in one that root or
    /// this user alone can change.
    pub(super) fn look(system: &dyn System, folder: &Path, dev: u64) -> Option<(String, Self)> {
        let mut folder = folder.to_owned();
        let mut below = None;
        for _ in 0..DEPTH_MAX {
            let here = system.status_at(libc::AT_FDCWD, &c_path(&folder).ok()?, true).ok()?;
            let ends = here.dev != dev || below == Some(here.ino);
            if ends {
                return None;
            }
            match mark(system, &folder) {
                Ok(text) => return parse(&text),
                Err(Errno(libc::ENOENT)) => {}
                Err(_) => return None,
            }
            below = Some(here.ino);
            folder.push("..");
        }
        None
    }

    fn folder(&self, ost: OstIndex) -> Option<&Path> {
        let at = self.osts.iter().position(|known| *known == ost)?;
        self.folders.get(at).map(PathBuf::as_path)
    }

    /// Makes the file in a target's folder and links it; where that fails nothing of it is left.
    fn make(&self, with: &Context<'_>, open: &Open<'_>, ost: OstIndex) -> Result<OwnedFd, Failed> {
        let folder = self.folder(ost).ok_or(Failed::Target(Errno(libc::ENODEV)))?;
        let flags = open.flags | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        for _ in 0..NAMES_MAX {
            let path = c_path(&folder.join(unique(with, open))).map_err(Failed::Target)?;
            let fd = match with.system.open_at(libc::AT_FDCWD, &path, flags, open.mode) {
                Ok(fd) => fd,
                Err(Errno(libc::EEXIST)) => continue,
                Err(errno) => return Err(Failed::Target(errno)),
            };
            return match with.system.symlink(&path, open.path) {
                Ok(()) => {
                    open.has_made.set(true);
                    Ok(fd)
                }
                Err(errno) => {
                    unlink_own(with.system, &path, fd.as_fd());
                    Err(Failed::Link(errno))
                }
            };
        }
        Err(Failed::Target(Errno(libc::EEXIST)))
    }

    /// Makes the file on the first of these targets that takes it, else by a plain open.
    fn make_on(
        &self,
        with: &Context<'_>,
        open: &Open<'_>,
        osts: impl Iterator<Item = OstIndex>,
    ) -> Sys<(OwnedFd, Result<OstIndex, Why>)> {
        if with.system.status_at(libc::AT_FDCWD, open.path, false).is_ok() {
            return Ok((open.plain(with.system)?, Err(Why::Exists)));
        }
        let mut why = Why::OtherKind;
        for ost in osts {
            match self.make(with, open, ost) {
                Ok(fd) => return Ok((fd, Ok(ost))),
                Err(Failed::Target(errno)) => why = Why::Refused { errno: errno.short() },
                // Somebody else was first, or there is no way to this path: the plain open says which.
                Err(Failed::Link(errno)) => {
                    let lost = errno.0 == libc::EEXIST;
                    why = if lost { Why::Exists } else { Why::Refused { errno: errno.short() } };
                    break;
                }
            }
        }
        Ok((open.plain(with.system)?, Err(why)))
    }

    /// The target of a file that nobody steers, drawn only when it is taken: where the chosen target does, no turn is
    /// used up.
    fn default_target(&self, with: &Context<'_>) -> impl Iterator<Item = OstIndex> {
        let choose = || {
            if let Some(choose) = with.default_target {
                return Some(choose(&self.osts));
            }
            let turn = with.turn.fetch_add(1, Ordering::Relaxed);
            let at = turn.checked_rem(self.osts.len() as u64)?;
            self.osts.get(at as usize).copied()
        };
        std::iter::once_with(choose).flatten()
    }
}

impl Backend for Targets {
    fn keep(&self, _: &dyn System, _: &Options, _: &CStr) -> Result<Keep, Why> {
        let striping = Some(Inherited { stripe_count: 1, stripe_size: STRIPE_SIZE });
        Ok(Keep { striping, inherited: None })
    }

    fn create(&self, with: &Context<'_>, open: &Open<'_>, _: &Keep, osts: &[OstIndex], _: u32) -> Sys<Made> {
        let chosen = osts.first().copied();
        let tried = chosen.into_iter().chain(self.default_target(with));
        let (fd, made) = self.make_on(with, open, tried)?;
        Ok(match made {
            Ok(ost) if Some(ost) == chosen => Made::Steered(fd, vec![ost]),
            Ok(_) => Made::Left(fd, Why::NotApplied),
            Err(why) => Made::Left(fd, why),
        })
    }

    fn plain(&self, with: &Context<'_>, open: &Open<'_>) -> Sys<OwnedFd> {
        Ok(self.make_on(with, open, self.default_target(with))?.0)
    }

    fn layout_of(&self, system: &dyn System, path: &CStr) -> Sys<Stored> {
        let mut room = [0; libc::PATH_MAX as usize];
        let length = system.read_link(path, &mut room)?;
        let link = Path::new(OsStr::from_bytes(room.get(..length).unwrap_or_default()));
        let folder = link.parent().ok_or(Errno(libc::ENODATA))?;
        let at = self.folders.iter().position(|known| known == folder).ok_or(Errno(libc::ENODATA))?;
        let mut layout = Layout::plain(1, u64::from(STRIPE_SIZE));
        if let (Some(component), Some(ost)) = (layout.components.first_mut(), self.osts.get(at)) {
            component.stripes.push(*ost);
        }
        let mirror = Mirror { id: 0, is_stale: false, layout, initialised: vec![true] };
        Ok(Stored { generation: 0, mirrors: vec![mirror] })
    }
}

/// A name that no other process of any host draws: host, process, moment, number.
fn unique(with: &Context<'_>, open: &Open<'_>) -> String {
    static DRAWN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
    let place = hash::combine(with.host_hash, hash::bytes(open.path.to_bytes()));
    let moment = hash::combine(with.system.boot_ns(), drawn);
    format!("{place:016x}-{}-{moment:016x}", with.system.pid())
}

/// The text of the mark in a folder, where it may be believed.
fn mark(system: &dyn System, folder: &Path) -> Sys<Vec<u8>> {
    let path = c_path(&folder.join(MARK))?;
    let flags = libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let fd = system.open_at(libc::AT_FDCWD, &path, flags, 0)?;
    let status = system.status(fd.as_fd())?;
    if !status.is(libc::S_IFREG) || !status.is_trusted(system.euid()) || status.size > MARK_BYTES_MAX as u64 {
        return Err(Errno(libc::EPERM));
    }
    let mut text = vec![0; status.size as usize];
    let length = system.read_at(fd.as_fd(), &mut text, 0)?;
    text.truncate(length);
    Ok(text)
}

/// Name and targets; `None` where a line is not as it must be, an index comes twice, or a folder is not absolute.
fn parse(text: &[u8]) -> Option<(String, Targets)> {
    let mut lines = text.split(|byte| *byte == b'\n');
    if lines.next()? != b"tarazu-targets 1" {
        return None;
    }
    let name = std::str::from_utf8(lines.next()?.strip_prefix(b"name ")?).ok()?.trim().to_owned();
    let mut targets = Targets { osts: Vec::new(), folders: Vec::new() };
    let mut known = vec![false; tarazu_table::OST_INDEX_MAX as usize + 1];
    for line in lines.filter(|line| !line.is_empty()) {
        let blank = line.iter().position(|byte| *byte == b' ')?;
        let index: u32 = std::str::from_utf8(line.get(..blank)?).ok()?.parse().ok()?;
        let folder = Path::new(OsStr::from_bytes(line.get(blank + 1..)?));
        let twice = std::mem::replace(known.get_mut(index as usize)?, true);
        if twice || !folder.is_absolute() || targets.osts.len() >= TARGETS_MAX {
            return None;
        }
        targets.osts.push(OstIndex(index));
        targets.folders.push(folder.to_owned());
    }
    (!targets.osts.is_empty()).then_some((name, targets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_or_refused_whole() {
        let (name, targets) = parse(b"tarazu-targets 1\nname demo\n0 /a\n7 /b c\n").unwrap();
        assert_eq!((name.as_str(), targets.osts.as_slice()), ("demo", [OstIndex(0), OstIndex(7)].as_slice()));
        assert_eq!(targets.folder(OstIndex(7)), Some(Path::new("/b c")));
        for bad in [
            "",
            "tarazu-targets 2\nname demo\n0 /a\n",
            "tarazu-targets 1\n0 /a\n",
            "tarazu-targets 1\nname demo\n",
            "tarazu-targets 1\nname demo\n0 a\n",
            "tarazu-targets 1\nname demo\n0 /a\n0 /b\n",
            "tarazu-targets 1\nname demo\n65535 /a\n",
            "tarazu-targets 1\nname demo\nx /a\n",
            "tarazu-targets 1\nname demo\n0\n",
        ] {
            assert!(parse(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }
}
