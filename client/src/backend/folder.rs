//! Which file system a folder is on. What was found out is kept: a burst makes its files in one or a few folders.
//!
//! For a folder that is known it costs one look at the folder's status. It must not ask what files inherit there.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tarazu_layout::hash;

use super::lustre::Lustre;
use super::mounts::{self, Mount};
use super::targets::Targets;
use super::{Backend, c_path};
use crate::Why;
use crate::lock::Short;
use crate::memory::Id;
use crate::options::Options;
use crate::sys::System;
use crate::tables::Name;

/// Folders that are remembered.
const FOLDERS_MAX: usize = 8;

/// Mounted file systems that are remembered, as long as the process lives; a job writes to few.
const DEVICES_MAX: usize = 16;

/// Nanoseconds for which it is remembered what a folder that is not on Lustre belongs to. Its device does not say it,
/// numbers of removed folders come again, and to find it out takes a walk to the root.
const REMEMBER_NS: u64 = 10_000_000_000;

/// `f_type` of a Lustre client (`LL_SUPER_MAGIC`).
const LUSTRE_KIND: i64 = 0x0BD0_0BD0;

/// A folder on a file system that a back end knows.
pub(crate) struct Folder {
    pub(crate) fs: Name,
    pub(crate) backend: Box<dyn Backend>,
}

/// The folder of one path, as one call found it.
pub(crate) struct Here {
    pub(crate) folder: Arc<Folder>,
    /// Its path, as good as the one it was asked with.
    pub(crate) path: CString,
    dev: u64,
    ino: u64,
}

impl Here {
    /// What a file of this folder is remembered by where nobody has looked at the file itself.
    pub(crate) fn id_of(&self, path: &Path) -> Id {
        let name = path.file_name().unwrap_or_default();
        Id::Name { dev: self.dev, ino: self.ino, name_hash: hash::bytes(name.as_bytes()) }
    }
}

struct Seen {
    dev: u64,
    ino: u64,
    at_ns: u64,
    folder: Result<Arc<Folder>, Why>,
}

/// What a device number stands for.
#[derive(Clone, Debug)]
enum Device {
    /// `None` where it is not known which one.
    Lustre(Option<Arc<Mount>>),
    Other,
}

/// The folders of a process.
#[derive(Default)]
pub(crate) struct Folders {
    seen: Short<Vec<Seen>>,
    devices: Short<Vec<(u64, Device)>>,
}

impl Folders {
    /// The folder that a path's file lies in, or why there is nothing to do.
    pub(crate) fn of(&self, system: &dyn System, options: &Options, path: &Path) -> Result<Here, Why> {
        let parent = parent(path);
        let path = c_path(&parent).map_err(|_| Why::Path)?;
        let status = system.status_at(libc::AT_FDCWD, &path, true).map_err(|_| Why::Path)?;
        let (dev, ino) = (status.dev, status.ino);
        let now_ns = system.boot_ns();
        let same = |seen: &&Seen| {
            let is_young = now_ns.saturating_sub(seen.at_ns) < REMEMBER_NS && now_ns >= seen.at_ns;
            (seen.dev, seen.ino) == (dev, ino) && is_young
        };
        let known = self.seen.with(|seen| seen.iter().find(same).map(|seen| seen.folder.clone())).flatten();
        if let Some(folder) = known {
            return Ok(Here { folder: folder?, path, dev, ino });
        }
        let device = self.device(system, options, &path, dev)?;
        let folder = look(system, options, &parent, dev, device).map(Arc::new);
        let seen = Seen { dev, ino, at_ns: now_ns, folder: folder.clone() };
        // Where another thread holds the list, the next file looks again.
        let old = self.seen.with(|list| {
            list.retain(|old| (old.dev, old.ino) != (dev, ino));
            let old = (list.len() >= FOLDERS_MAX).then(|| list.remove(0));
            list.push(seen);
            old
        });
        drop(old);
        Ok(Here { folder: folder?, path, dev, ino })
    }

    /// What the device of a folder is. It is asked once; a number that came to stand for something else would cost its
    /// files a refused layout each.
    fn device(&self, system: &dyn System, options: &Options, folder: &CStr, dev: u64) -> Result<Device, Why> {
        let find = |list: &mut Vec<(u64, Device)>| {
            list.iter().find(|(known, _)| *known == dev).map(|(_, device)| device.clone())
        };
        if let Some(device) = self.devices.with(find).flatten() {
            return Ok(device);
        }
        let is_lustre = system.kind_of(folder).map_err(|_| Why::Path)? == LUSTRE_KIND;
        let device = if is_lustre {
            Device::Lustre(mounts::find(system, &options.proc_root, dev).map(Arc::new))
        } else {
            Device::Other
        };
        let old = self.devices.with(|list| {
            let old = (list.len() >= DEVICES_MAX).then(|| list.remove(0));
            list.push((dev, device.clone()));
            old
        });
        drop(old);
        Ok(device)
    }
}

/// The folder of a path; that of `/` and of a bare name is where the process stands.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => PathBuf::from("."),
        Some(parent) => parent.to_owned(),
        None => PathBuf::from("."),
    }
}

fn look(
    system: &dyn System,
    options: &Options,
    parent: &Path,
    dev: u64,
    device: Device,
) -> Result<Folder, Why> {
    let (name, backend): (String, Box<dyn Backend>) = match device {
        Device::Lustre(mount) => {
            let mount = mount.ok_or(Why::OtherKind)?;
            (mount.fs_name.clone(), Box::new(Lustre::new(mount)))
        }
        Device::Other => {
            let (name, targets) = Targets::look(system, parent, dev).ok_or(Why::OtherKind)?;
            (name, Box::new(targets))
        }
    };
    let fs = Name::new(options.fs_name.as_deref().unwrap_or(&name)).ok_or(Why::OtherKind)?;
    Ok(Folder { fs, backend })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_folder() {
        for (path, folder) in
            [("a", "."), ("/a", "/"), ("b/a", "b"), ("/", "."), ("", "."), ("..", "."), ("b/a/", "b")]
        {
            assert_eq!(parent(Path::new(path)), Path::new(folder), "{path}");
        }
    }
}
