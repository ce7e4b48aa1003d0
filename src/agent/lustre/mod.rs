//! Lustre object storage servers: `obdfilter.*` of each target, `ost.OSS.ost_io.stats` of the server.
//!
//! Owns where the files are. Names are stable, places are not: 2.17 moved `obdfilter.*.stats` from procfs to debugfs,
//! which only root may read. Each parameter is looked for in sysfs, debugfs and procfs, and the first hit is read.

mod captured;
mod live;
pub(super) mod target;
pub(crate) mod text;

use std::path::{Path, PathBuf};

use super::collector::{Collector, Found};
use super::error::AgentError;

/// The collector.
pub(super) struct Lustre {
    root: PathBuf,
    file_system: String,
    captured: bool,
}

impl Lustre {
    /// A server whose files begin at `root`: a file tree, or a folder of `lctl get_param` outputs.
    pub(super) fn new(root: &Path, file_system: &str) -> Result<Self, AgentError> {
        let is_tree = ["proc", "sys"].iter().any(|folder| root.join(folder).is_dir());
        let captured = !is_tree && root.join("obdfilter.stats.txt").exists();
        if !is_tree && !captured {
            return Err(AgentError::Root { root: root.to_owned() });
        }
        Ok(Self { root: root.to_owned(), file_system: file_system.to_owned(), captured })
    }
}

impl Collector for Lustre {
    fn find(&mut self) -> Result<Found, AgentError> {
        if self.captured {
            captured::find(&self.root, &self.file_system)
        } else {
            live::find(&self.root, &self.file_system)
        }
    }
}

#[cfg(test)]
mod tests;
