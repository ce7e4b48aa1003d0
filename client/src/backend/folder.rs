//! What is known of the folder that a file is made in, kept for a moment: a burst makes its files in one or a few.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lustre::Lustre;
use super::targets::Targets;
use super::{Backend, c_path};
use crate::Why;
use crate::lock::Short;
use crate::options::Options;
use crate::sys::System;
use crate::tables::Name;

/// Folders that are remembered.
const FOLDERS_MAX: usize = 8;

/// Nanoseconds for which a folder is remembered: its default layout may change under us, but seldom within a burst.
const REMEMBER_NS: u64 = 1_000_000_000;

/// `f_type` of a Lustre client (`LL_SUPER_MAGIC`).
const LUSTRE_KIND: i64 = 0x0BD0_0BD0;

/// A folder on a file system that a back end knows.
pub(crate) struct Folder {
    pub(crate) fs: Name,
    pub(crate) backend: Box<dyn Backend>,
}

struct Seen {
    dev: u64,
    ino: u64,
    at_ns: u64,
    folder: Result<Arc<Folder>, Why>,
}

/// The folders of a process.
#[derive(Default)]
pub(crate) struct Folders(Short<Vec<Seen>>);

impl Folders {
    /// The folder that a path's file lies in, or why there is nothing to do.
    pub(crate) fn of(&self, system: &dyn System, options: &Options, path: &Path) -> Result<Arc<Folder>, Why> {
        let parent = parent(path);
        let c_parent = c_path(&parent).map_err(|_| Why::Path)?;
        let status = system.status_at(libc::AT_FDCWD, &c_parent, true).map_err(|_| Why::Path)?;
        let now_ns = system.boot_ns();
        let same = |seen: &&Seen| {
            let is_young = now_ns.saturating_sub(seen.at_ns) < REMEMBER_NS && now_ns >= seen.at_ns;
            (seen.dev, seen.ino) == (status.dev, status.ino) && is_young
        };
        let known = self.0.with(|seen| seen.iter().find(same).map(|seen| seen.folder.clone()));
        if let Some(Some(folder)) = known {
            return folder;
        }
        let folder = look(system, options, &parent, status.dev).map(Arc::new);
        let seen = Seen { dev: status.dev, ino: status.ino, at_ns: now_ns, folder: folder.clone() };
        // Where another thread holds the list, the next file looks again.
        let old = self.0.with(|list| {
            list.retain(|old| (old.dev, old.ino) != (seen.dev, seen.ino));
            let old = (list.len() >= FOLDERS_MAX).then(|| list.remove(0));
            list.push(seen);
            old
        });
        drop(old);
        folder
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

fn look(system: &dyn System, options: &Options, parent: &Path, dev: u64) -> Result<Folder, Why> {
    let named = options.fs_name.as_deref();
    let c_parent = c_path(parent).map_err(|_| Why::Path)?;
    if system.kind_of(&c_parent).map_err(|_| Why::Path)? == LUSTRE_KIND {
        let (name, lustre) = Lustre::look(system, options, &c_parent, dev)?;
        let fs = Name::new(named.unwrap_or(&name)).ok_or(Why::OtherKind)?;
        return Ok(Folder { fs, backend: Box::new(lustre) });
    }
    let (name, targets) = Targets::look(system, parent, dev).ok_or(Why::OtherKind)?;
    let fs = Name::new(named.unwrap_or(&name)).ok_or(Why::OtherKind)?;
    Ok(Folder { fs, backend: Box::new(targets) })
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
