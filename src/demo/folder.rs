//! The demonstration's own folder, which goes when it is dropped.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::clock;
use super::error::DemoError;

/// A folder that nobody else can change.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    keeps: bool,
}

impl Folder {
    /// A new folder below `$TMPDIR`; `keeps` leaves it when the demonstration ends.
    pub(crate) fn new(keeps: bool) -> Result<Self, DemoError> {
        let place = std::env::temp_dir();
        let cannot =
            |source| DemoError::Folder { path: place.clone(), what: "no folder can be made here", source };
        // Files are linked by absolute paths.
        let place = std::path::absolute(&place).map_err(cannot)?;
        let path = place.join(format!("tarazu-demo-{}-{:x}", std::process::id(), clock::unix_ns()));
        // A name that somebody else took first is an error: nothing is shared.
        make(&path)?;
        Ok(Self { path, keeps })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves nothing of a part of it, unless it is to be kept.
    pub(super) fn clear(&self, part: &Path) {
        if !self.keeps {
            let _ = std::fs::remove_dir_all(part);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.clear(&self.path);
    }
}

/// Makes one folder for this user alone.
pub(super) fn make(path: &Path) -> Result<(), DemoError> {
    let made = DirBuilder::new().mode(0o700).create(path);
    made.map_err(|source| DemoError::Folder { path: path.to_owned(), what: "cannot be made", source })
}

/// Writes a small file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), DemoError> {
    let written = std::fs::write(path, text);
    written.map_err(|source| DemoError::Folder { path: path.to_owned(), what: "cannot be written", source })
}
