//! Which files a workload has: one per name over all logs, kept or left out by mount.

use std::collections::{BTreeMap, HashMap};

use tarazu_layout::{Layout, OstIndex};

use super::Mounts;
use crate::darshan::header::Module;
use crate::darshan::job::lies_under;
use crate::darshan::log::Log;
use crate::{File, FileId};

/// Names that stand for the standard streams.
const STREAMS: [&str; 3] = ["<STDIN>", "<STDOUT>", "<STDERR>"];

/// Types of mounts that are parallel file systems.
const PARALLEL: [&str; 10] =
    ["lustre", "gpfs", "beegfs", "beegfs_nodev", "orangefs", "pvfs2", "ceph", "panfs", "wekafs", "daos"];

/// The files of all logs converted so far.
#[derive(Debug, Default)]
pub(super) struct FileTable {
    files: Vec<File>,
    by_name: BTreeMap<String, FileId>,
}

impl FileTable {
    pub(super) fn into_files(self) -> Vec<File> {
        self.files
    }

    /// The file of a name, and whether it is new.
    fn entry(&mut self, name: String) -> (FileId, bool) {
        if let Some(id) = self.by_name.get(&name) {
            return (*id, false);
        }
        let id = FileId(self.files.len() as u32);
        // Until some job is seen to create it.
        self.files.push(File { name: name.clone(), exists: true, logged: None });
        self.by_name.insert(name, id);
        (id, true)
    }
}

/// One log's view of the table: record ids to files.
pub(super) struct LogFiles<'a> {
    log: &'a Log,
    table: &'a mut FileTable,
    keep: Keep<'a>,
    layouts: HashMap<u64, Option<Layout<OstIndex>>>,
    known: HashMap<u64, Option<FileId>>,
    /// Files that no earlier log has used: this one decides whether they exist before.
    fresh: Vec<FileId>,
    left_out: u64,
    nameless: u64,
}

enum Keep<'a> {
    All,
    Types(&'static [&'static str]),
    Under(&'a [String]),
}

impl<'a> LogFiles<'a> {
    pub(super) fn new(
        log: &'a Log,
        mounts: &'a Mounts,
        table: &'a mut FileTable,
        notes: &mut Vec<String>,
    ) -> Self {
        let lustre = log.lustre.is_some() || log.job.mounts.iter().any(|mount| mount.fs_type == "lustre");
        let keep = match mounts {
            Mounts::Auto if lustre => Keep::Types(&["lustre"]),
            Mounts::Auto => {
                notes.push("names no Lustre mount: all files are kept, on whatever file system".to_owned());
                Keep::All
            }
            Mounts::All => Keep::All,
            Mounts::Parallel => Keep::Types(&PARALLEL),
            Mounts::Prefixes(prefixes) => Keep::Under(prefixes),
        };
        let mut layouts = HashMap::new();
        let mut odd = 0u64;
        for (records, record) in
            log.lustre.iter().flat_map(|lustre| lustre.records.iter().map(move |r| (lustre, r)))
        {
            let place = layouts.entry(record.id).or_insert(None);
            if place.is_none() {
                *place = records.layout(record);
                odd += u64::from(place.is_none());
            }
        }
        if odd > 0 {
            let why = "breaks the rules of layouts (gaps, mirrors, impossible striping)";
            notes.push(format!("the {} layout of {odd} records {why} and was left out", Module::Lustre));
        }
        let known = HashMap::new();
        Self { log, table, keep, layouts, known, fresh: Vec::new(), left_out: 0, nameless: 0 }
    }

    /// The file of a record id, `None` where it is left out.
    pub(super) fn get(&mut self, id: u64) -> Option<FileId> {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let name = self.log.names.get(id).map(std::borrow::Cow::into_owned);
        let file = self.keeps(id, name.as_deref()).then(|| {
            self.nameless += u64::from(name.is_none());
            // Ids are hashes of names, so a file without name still is the same file everywhere.
            let (file, fresh) = self.table.entry(name.unwrap_or_else(|| format!("darshan:{id:016x}")));
            if fresh {
                self.fresh.push(file);
            }
            let layout = self.layouts.remove(&id).flatten();
            if let (Some(entry), Some(layout)) = (self.table.files.get_mut(file.0 as usize), layout) {
                // The layout of the first job that used it: later ones find the file as it is.
                entry.logged.get_or_insert(layout);
            }
            file
        });
        self.left_out += u64::from(file.is_none());
        self.known.insert(id, file);
        file
    }

    /// The file of a record id that has been asked for before.
    pub(super) fn seen(&self, id: u64) -> Option<FileId> {
        self.known.get(&id).copied().flatten()
    }

    fn keeps(&self, id: u64, name: Option<&str>) -> bool {
        if name.is_some_and(|name| STREAMS.contains(&name)) {
            return false;
        }
        match self.keep {
            Keep::All => true,
            Keep::Under(prefixes) => {
                name.is_some_and(|name| prefixes.iter().any(|prefix| lies_under(name, prefix)))
            }
            Keep::Types(types) => {
                let mount = name.and_then(|name| self.log.job.mount_of(name));
                // Only files on Lustre have a layout record, with or without a name.
                self.layouts.contains_key(&id)
                    || mount.is_some_and(|mount| types.contains(&mount.fs_type.as_str()))
            }
        }
    }

    /// Marks the new files that this log creates, and says what was left out.
    pub(super) fn finish(self, created: &[FileId], notes: &mut Vec<String>) {
        for file in created {
            if self.fresh.binary_search(file).is_ok()
                && let Some(entry) = self.table.files.get_mut(file.0 as usize)
            {
                entry.exists = false;
            }
        }
        if self.left_out > 0 {
            notes.push(format!(
                "{} files outside the kept mounts, or standard streams, were left out",
                self.left_out
            ));
        }
        if self.nameless > 0 {
            notes.push(format!("{} files have no name in the log and are called by their id", self.nameless));
        }
    }
}
