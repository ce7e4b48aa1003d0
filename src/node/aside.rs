//! Taking away what is no file of records: anybody may leave folders, links and pipes in the folder of records.
//!
//! Folders that are not empty are moved into a folder of the daemon's own and emptied there, some at a time. It must never
//! follow what it finds: their owner may still change them from within.

use std::ffi::{CStr, CString};
use std::fs::{self, FileType};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, open, openat, renameat, unlinkat};

use super::host;

/// The folder for them, inside the run directory.
pub(crate) const ASIDE_FOLDER: &str = "aside";

/// Things that one visit takes away or empties: some milliseconds' worth.
const REMOVALS_MAX: usize = 4096;

/// The folder, and what this visit may still do.
#[derive(Debug)]
pub(crate) struct Aside {
    folder: PathBuf,
    left: usize,
    /// The folder holds more than the last visit could clear: nothing more is moved there, which bounds it.
    is_full: bool,
    /// Names of moved folders: a random number that no earlier daemon used, and a counter.
    names: (u64, u64),
}

impl Aside {
    pub(crate) fn new(run_dir: &Path) -> Self {
        Self { folder: run_dir.join(ASIDE_FOLDER), left: 0, is_full: false, names: (host::random(), 0) }
    }

    /// Takes something away, unless this visit did enough. True where it is gone.
    pub(crate) fn take_away(&mut self, path: &Path, kind: Option<FileType>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let kind = kind.or_else(|| fs::symlink_metadata(path).ok().map(|found| found.file_type()));
        if !kind.is_some_and(|kind| kind.is_dir()) {
            return fs::remove_file(path).is_ok();
        }
        // A folder of another user can be moved by root only.
        fs::remove_dir(path).is_ok() || (!self.is_full && fs::rename(path, self.fresh()).is_ok())
    }

    fn fresh(&mut self) -> PathBuf {
        self.names.1 += 1;
        self.folder.join(format!("{:016x}-{}", self.names.0, self.names.1))
    }

    /// Empties some of the folders that were moved here; begins a visit.
    pub(crate) fn clear(&mut self) {
        self.left = REMOVALS_MAX;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(here) = open(&self.folder, flags, Mode::empty()) else {
            self.is_full = true;
            return;
        };
        for name in names(here.as_fd(), REMOVALS_MAX) {
            if self.left == 0 {
                break;
            }
            self.empty(here.as_fd(), &name);
        }
        self.is_full = self.left == 0;
        // What comes in now is to be taken away too.
        self.left = REMOVALS_MAX;
    }

    /// Removes what a folder holds, and the folder where that was all. Folders in it are moved beside it, so that
    /// no depth of theirs matters.
    fn empty(&mut self, here: BorrowedFd<'_>, name: &CStr) {
        self.left = self.left.saturating_sub(1);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(folder) = openat(here, name, flags, Mode::empty()) else {
            let _ = unlinkat(here, name, AtFlags::empty());
            return;
        };
        for inner in names(folder.as_fd(), self.left) {
            self.left = self.left.saturating_sub(1);
            let gone = unlinkat(&folder, &inner, AtFlags::empty()).is_ok()
                || unlinkat(&folder, &inner, AtFlags::REMOVEDIR).is_ok();
            if !gone {
                let fresh = self.fresh();
                let fresh = fresh.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
                let _ = fresh.map(|fresh| renameat(&folder, &inner, here, fresh));
            }
        }
        let _ = unlinkat(here, name, AtFlags::REMOVEDIR);
    }
}

/// The first names in a folder.
fn names(folder: BorrowedFd<'_>, limit: usize) -> Vec<CString> {
    let Ok(entries) = Dir::read_from(folder) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name().to_owned());
    names.filter(|name| !matches!(name.to_bytes(), b"." | b"..")).take(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_folders_go_bit_by_bit_and_what_they_point_to_stays() {
        let place = tempfile::tempdir().expect("a folder");
        fs::create_dir(place.path().join(ASIDE_FOLDER)).expect("made");
        let (other, junk) = (place.path().join("other"), place.path().join("junk"));
        fs::create_dir(&other).expect("made");
        fs::write(other.join("kept"), "x").expect("written");
        let deep = (0..200).fold(junk.clone(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).expect("made");
        std::os::unix::fs::symlink(&other, deep.join("link")).expect("a link");
        fs::write(deep.join("file"), "x").expect("written");
        let mut aside = Aside::new(place.path());
        assert!(!aside.take_away(&junk, None), "nothing before the visit has begun");
        aside.clear();
        assert!(aside.take_away(&junk, None) && !junk.exists());
        let mut visits = 0;
        while fs::read_dir(place.path().join(ASIDE_FOLDER)).expect("read").count() > 0 && visits < 1000 {
            aside.clear();
            visits += 1;
        }
        assert!((1..1000).contains(&visits), "{visits}");
        assert!(other.join("kept").exists());
    }
}
