//! Lustre, by its extended attribute alone: no library of Lustre's comes into the process.
//!
//! A file is made without a layout (`O_LOV_DELAY_CREATE`), gets the list, and is read back. A list is strict: where one
//! of its targets cannot be had, nothing is made, and the descriptor cannot be written to. So every refusal goes down
//! the chain: the inherited layout without a list, the file system's default, and last the application's own `open()`
//! behind the end of that descriptor.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use tarazu_layout::lov::{self, Request, Stored, Wanted};
use tarazu_layout::{OstIndex, Pattern};
use tarazu_table::Inherited;

use super::mounts::Mount;
use super::{Backend, Context, Keep, Made, Open, c_path, unlink_own};
use crate::Why;
use crate::lock::Short;
use crate::options::{Options, Striping};
use crate::sys::{Errno, Sys, System, small_file};

const ATTRIBUTE: &CStr = c"lustre.lov";

/// `O_LOV_DELAY_CREATE`: two flags that mean nothing together on a regular file.
const DELAY_CREATE: i32 = libc::O_NOCTTY | libc::O_ASYNC;

/// The stripe size of a Lustre where nobody set one; only how many stripes a file fills depends on it.
const STRIPE_SIZE: u32 = 4 << 20;

/// Counts from here on are multiples of all targets.
const ALL_TARGETS_MIN: u16 = 0xFFE0;
const ALL_TARGETS: u16 = 0xFFFF;

/// Nanoseconds for which a folder's default layout is remembered: it may change under us, but seldom within a burst.
const REMEMBER_NS: u64 = 1_000_000_000;

/// Mounted instances of one Lustre that are looked at for the site's policy; a node has one, seldom two.
const INSTANCES_MAX: usize = 64;

/// Bytes of a parameter's file.
const PARAMETER_BYTES_MAX: usize = 64;

/// What new files of a folder inherit, `None` where nobody said anything; or why they are left alone.
type Inheritance = Result<Option<Arc<Request>>, Why>;

/// A folder on Lustre.
#[derive(Debug)]
pub(super) struct Lustre {
    mount: Arc<Mount>,
    /// What files inherit here, from when it was last needed.
    inherited: Short<Option<(u64, Inheritance)>>,
}

impl Lustre {
    /// A folder of this Lustre. Nobody is asked yet.
    pub(super) const fn new(mount: Arc<Mount>) -> Self {
        Self { mount, inherited: Short::new(None) }
    }

    /// What files inherit, from the folder or else from the root; asked again when it is old.
    fn inherited(&self, system: &dyn System, options: &Options, folder: &CStr) -> Inheritance {
        let now_ns = system.boot_ns();
        let known = self.inherited.with(|known| known.clone()).flatten();
        if let Some((at_ns, known)) = known
            && now_ns >= at_ns
            && now_ns - at_ns < REMEMBER_NS
        {
            return known;
        }
        let found = if may_stripe(system, &options.sys_root, &self.mount.fs_name) {
            inherited(system, folder, &self.mount.point).map(|request| request.map(Arc::new))
        } else {
            Err(Why::SitePolicy)
        };
        let old = self.inherited.with(|known| known.replace((now_ns, found.clone())));
        drop(old);
        found
    }
}

impl Backend for Lustre {
    fn keep(&self, system: &dyn System, options: &Options, folder: &CStr) -> Result<Keep, Why> {
        let Some(request) = self.inherited(system, options, folder)? else {
            let default = Inherited { stripe_count: 1, stripe_size: STRIPE_SIZE };
            let striping = (options.striping == Striping::Inherit).then_some(default);
            return Ok(Keep { striping, inherited: None });
        };
        let first = request.first_on_targets().and_then(|at| request.components.get(at));
        let first = first.ok_or(Why::InheritedKind)?;
        let striping = Some(Inherited {
            // 0 is the default, which is one stripe unless the site says otherwise.
            stripe_count: first.stripe_count.max(1),
            stripe_size: if first.stripe_size == 0 { STRIPE_SIZE } else { first.stripe_size },
        });
        Ok(Keep { striping, inherited: Some(request) })
    }

    fn may_steer(&self, open: &Open<'_>) -> Result<(), Why> {
        // A layout is an attribute, and attributes of a file that its owner may not write to cannot be set.
        if open.mode & libc::S_IWUSR == 0 {
            return Err(Why::Refused { errno: Errno(libc::EACCES).short() });
        }
        Ok(())
    }

    fn create(
        &self,
        with: &Context<'_>,
        open: &Open<'_>,
        keep: &Keep,
        osts: &[OstIndex],
        stripe_size: u32,
    ) -> Sys<Made> {
        let system = with.system;
        let list = match &keep.inherited {
            Some(request) => request.with_list(osts),
            None => Request::plain(Wanted { stripe_size, ..Wanted::anything() }).with_list(osts),
        };
        let Some(blob) = list.and_then(|request| lov::encode(&request).ok()) else {
            return Ok(Made::Left(open.plain(system)?, Why::InheritedKind));
        };
        let exclusive = open.flags | libc::O_EXCL | DELAY_CREATE;
        let fd = match open.with_flags(system, exclusive) {
            Ok(fd) => fd,
            // Whatever it was, the plain open says it in its own words.
            Err(Errno(libc::EEXIST)) => return Ok(Made::Left(open.plain(system)?, Why::Exists)),
            Err(errno) => {
                return Ok(Made::Left(after_no(system, open, errno)?, Why::Refused { errno: errno.short() }));
            }
        };
        let errno = match system.set_xattr(fd.as_fd(), ATTRIBUTE, &blob) {
            Ok(()) => match read_back(system, fd.as_fd()) {
                Ok(stored) if stored.first_list() == osts => {
                    return Ok(Made::Steered(fd, stored.first_list().to_vec()));
                }
                // It has a layout, so it can be written to, but not the one that was asked for.
                Ok(_) => return Ok(Made::Left(fd, Why::NotApplied)),
                Err(errno) => errno,
            },
            Err(errno) => errno,
        };
        let why = Why::Refused { errno: errno.short() };
        if fall_back(system, fd.as_fd(), keep) {
            return Ok(Made::Left(fd, why));
        }
        again(system, open, fd).map(|fd| Made::Left(fd, why))
    }

    fn plain(&self, with: &Context<'_>, open: &Open<'_>) -> Sys<OwnedFd> {
        open.plain(with.system)
    }

    fn layout_of(&self, system: &dyn System, path: &CStr) -> Sys<Stored> {
        let mut room = vec![0; lov::XATTR_BYTES_MAX];
        let length = system.get_xattr_at(path, ATTRIBUTE, &mut room)?;
        lov::read_file(room.get(..length).unwrap_or_default()).map_err(|_| Errno(libc::EPROTO))
    }
}

/// Gives the descriptor a layout that leaves the targets to the file system. Whether it has one.
fn fall_back(system: &dyn System, fd: BorrowedFd<'_>, keep: &Keep) -> bool {
    // What would be inherited is tried first where it has several components: it may be lost otherwise.
    let several = keep.inherited.as_ref().filter(|request| request.components.len() > 1);
    let composite = several.and_then(|request| lov::encode(request).ok());
    composite.is_some_and(|blob| system.set_xattr(fd, ATTRIBUTE, &blob).is_ok())
        || system.set_xattr(fd, ATTRIBUTE, &lov::DEFAULT).is_ok()
}

/// The application's open where the exclusive one failed.
///
/// An open that was interrupted, or whose answer was lost, may have made the file all the same. An exclusive open of the
/// application's must not take that for somebody else's: it failed as the first one did.
fn after_no(system: &dyn System, open: &Open<'_>, first: Errno) -> Sys<OwnedFd> {
    match open.plain(system) {
        Err(Errno(libc::EEXIST)) if open.flags & libc::O_EXCL != 0 => Err(first),
        other => other,
    }
}

/// The last step, where the descriptor can be given no layout: the application opens the file again, and the file system
/// gives it one. Only behind the delayed descriptor's end, since beside it a plain one cannot be written to.
///
/// What others may have opened under its name stays there. It is removed, and made again by the application's own open,
/// only where that open would not take it: an exclusive one wants a new file, and one that its owner may not write to
/// can be opened for writing by nobody but who makes it.
fn again(system: &dyn System, open: &Open<'_>, fd: OwnedFd) -> Sys<OwnedFd> {
    let own = system.status(fd.as_fd())?;
    let is_exclusive = open.flags & libc::O_EXCL != 0;
    let stays = !is_exclusive && own.mode & libc::S_IWUSR != 0;
    let is_gone = !stays && unlink_own(system, open.path, fd.as_fd());
    drop(fd);
    if is_gone || !is_exclusive {
        return open.plain(system);
    }
    // It could not be removed. If what lies there is ours it is as good as new; else somebody else was quicker.
    let flags = (open.flags & !(libc::O_CREAT | libc::O_EXCL | libc::O_TRUNC)) | libc::O_NOFOLLOW;
    let fd = open.with_flags(system, flags)?;
    let there = system.status(fd.as_fd())?;
    if (there.dev, there.ino) == (own.dev, own.ino) { Ok(fd) } else { Err(Errno(libc::EEXIST)) }
}

fn read_back(system: &dyn System, fd: BorrowedFd<'_>) -> Sys<Stored> {
    let mut room = vec![0; lov::XATTR_BYTES_MAX];
    let length = system.get_xattr(fd, ATTRIBUTE, &mut room)?;
    lov::read_file(room.get(..length).unwrap_or_default()).map_err(|_| Errno(libc::EPROTO))
}

/// What new files of a folder inherit: the folder's default or else the root's, `None` where neither has one.
fn inherited(system: &dyn System, folder: &CStr, root: &Path) -> Result<Option<Request>, Why> {
    let root = c_path(root).map_err(|_| Why::Path)?;
    for folder in [folder, &root] {
        if let Some(request) = default_of(system, folder)? {
            return judged(request).map(Some);
        }
    }
    Ok(None)
}

fn default_of(system: &dyn System, folder: &CStr) -> Result<Option<Request>, Why> {
    let mut room = vec![0; lov::XATTR_BYTES_MAX];
    match system.get_xattr_at(folder, ATTRIBUTE, &mut room) {
        Ok(length) => {
            let bytes = room.get(..length).unwrap_or_default();
            lov::read_default(bytes).map(Some).map_err(|_| Why::InheritedKind)
        }
        Err(Errno(libc::ENODATA)) => Ok(None),
        // In doubt somebody has striped it.
        Err(_) => Err(Why::UserStriped),
    }
}

/// The request where a list may be put into it.
fn judged(request: Request) -> Result<Request, Why> {
    let first = request.first_on_targets().ok_or(Why::InheritedKind)?;
    for (number, component) in request.components.iter().enumerate() {
        let names_targets = !component.list.is_empty() || component.offset.is_some();
        // A pool of a later component is kept with it.
        if names_targets || (number == first && component.pool.is_some()) {
            return Err(Why::UserStriped);
        }
    }
    let first = request.components.get(first).ok_or(Why::InheritedKind)?;
    let multiple = (ALL_TARGETS_MIN..ALL_TARGETS).contains(&first.stripe_count);
    if first.pattern == Pattern::Overstriped || multiple {
        return Err(Why::InheritedKind);
    }
    Ok(request)
}

/// What the site says of users who set layouts (`llite.*.enable_setstripe_gid`): -1 or unreadable all may, 0 root only,
/// else the members of that group. Lustre itself asks only in one of its two ways; the wish holds for both.
fn may_stripe(system: &dyn System, sys_root: &Path, fs_name: &str) -> bool {
    let Ok(instances) = std::fs::read_dir(sys_root.join("fs/lustre/llite")) else { return true };
    let prefix = format!("{fs_name}-");
    instances.take(INSTANCES_MAX).flatten().all(|instance| {
        if !instance.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            return true;
        }
        let Ok(path) = c_path(&instance.path().join("enable_setstripe_gid")) else { return true };
        let text = small_file(system, &path, PARAMETER_BYTES_MAX).unwrap_or_default();
        let value = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<i64>().ok());
        match value {
            None | Some(..=-1) => true,
            Some(0) => system.euid() == 0,
            Some(gid) => u32::try_from(gid).is_ok_and(|gid| system.euid() == 0 || system.in_group(gid)),
        }
    })
}
