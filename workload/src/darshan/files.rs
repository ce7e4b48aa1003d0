//! Which files a workload has: one per name over all logs, kept or left out by mount.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use tarazu_layout::{Bytes, Layout, OstIndex};

use super::Mounts;
use super::layout::layout;
use crate::limits::FILES_MAX;
use crate::text::counted;
use crate::{File, FileId};
use tarazu_darshan::Log;
use tarazu_darshan::Module;
use tarazu_darshan::lies_under;

/// Names that stand for the standard streams.
const STREAMS: [&str; 3] = ["<STDIN>", "<STDOUT>", "<STDERR>"];

/// Types of mounts that are parallel file systems.
const PARALLEL: [&str; 10] =
    ["lustre", "gpfs", "beegfs", "beegfs_nodev", "orangefs", "pvfs2", "ceph", "panfs", "wekafs", "daos"];

/// Places named in the note about left-out bytes: enough to see where they went.
const PLACES_SHOWN: usize = 3;

/// The files of all logs converted so far.
#[derive(Debug, Default)]
pub(super) struct FileTable {
    files: Vec<File>,
    by_name: BTreeMap<String, FileId>,
    refused: bool,
    /// Bytes of files outside the kept mounts.
    pub(super) left_out_bytes: u64,
}

impl FileTable {
    pub(super) fn into_files(self) -> Vec<File> {
        self.files
    }

    /// Files that all logs together name, as far as they were counted: one more than [`FILES_MAX`] at most.
    pub(super) fn wanted(&self) -> u64 {
        self.files.len() as u64 + u64::from(self.refused)
    }

    /// The file of a name, and whether it is new. `None` beyond [`FILES_MAX`].
    fn entry(&mut self, name: String) -> Option<(FileId, bool)> {
        if let Some(id) = self.by_name.get(&name) {
            return Some((*id, false));
        }
        if self.files.len() as u64 >= FILES_MAX {
            self.refused = true;
            return None;
        }
        // Below the limit, so it fits.
        let id = FileId(self.files.len() as u32);
        // Until some job is seen to create it.
        self.files.push(File { name: name.clone(), exists: true, logged: None });
        self.by_name.insert(name, id);
        Some((id, true))
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
    /// Files outside the kept mounts, and where their bytes lie.
    left_out: u64,
    left_out_bytes: BTreeMap<String, u64>,
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
                *place = layout(records, record);
                odd += u64::from(place.is_none());
            }
        }
        if odd > 0 {
            let why = "breaks the rules of layouts (gaps, mirrors, impossible striping)";
            let records = counted(odd, "record", "records");
            notes.push(format!("the {} layout of {records} {why} and was left out", Module::Lustre));
        }
        Self {
            log,
            table,
            keep,
            layouts,
            known: HashMap::new(),
            fresh: Vec::new(),
            left_out: 0,
            left_out_bytes: BTreeMap::new(),
            nameless: 0,
        }
    }

    /// The file of a record id, `None` where it is left out.
    pub(super) fn get(&mut self, id: u64) -> Option<FileId> {
        if let Some(known) = self.known.get(&id) {
            return *known;
        }
        let name = self.log.names.get(id).map(Cow::into_owned);
        let file = if self.keeps(id, name.as_deref()) {
            self.add(id, name)
        } else {
            self.left_out += u64::from(!name.as_deref().is_some_and(is_stream));
            None
        };
        self.known.insert(id, file);
        file
    }

    fn add(&mut self, id: u64, name: Option<String>) -> Option<FileId> {
        self.nameless += u64::from(name.is_none());
        // Ids are hashes of names, so a file without name still is the same file everywhere.
        let (file, fresh) = self.table.entry(name.unwrap_or_else(|| format!("darshan:{id:016x}")))?;
        if fresh {
            self.fresh.push(file);
        }
        let layout = self.layouts.remove(&id).flatten();
        if let (Some(entry), Some(layout)) = (self.table.files.get_mut(file.0 as usize), layout) {
            // The layout of the first job that used it: later ones find the file as it is.
            entry.logged.get_or_insert(layout);
        }
        Some(file)
    }

    /// Counts bytes of a file that [`LogFiles::get`] left out.
    pub(super) fn left_out(&mut self, id: u64, bytes: u64) {
        let name = self.log.names.get(id);
        if bytes == 0 || name.as_deref().is_some_and(is_stream) {
            return;
        }
        let place = self.place(name.as_deref());
        let sum = self.left_out_bytes.entry(place).or_default();
        *sum = sum.saturating_add(bytes);
        self.table.left_out_bytes = self.table.left_out_bytes.saturating_add(bytes);
    }

    /// Where a file lies, in words: its mount, else its first folder.
    fn place(&self, name: Option<&str>) -> String {
        let Some(name) = name else { return "files without name".to_owned() };
        if let Some(mount) = self.log.job.mount_of(name) {
            return format!("{} ({})", mount.path, mount.fs_type);
        }
        let Some(path) = name.strip_prefix('/') else { return "relative paths".to_owned() };
        format!("/{}", path.split_once('/').map_or("", |(folder, _)| folder))
    }

    /// The file of a record id that has been asked for before.
    pub(super) fn seen(&self, id: u64) -> Option<FileId> {
        self.known.get(&id).copied().flatten()
    }

    fn keeps(&self, id: u64, name: Option<&str>) -> bool {
        if name.is_some_and(is_stream) {
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
            notes.push(self.left_out_note());
        }
        if self.nameless > 0 {
            let files = counted(self.nameless, "file has", "files have");
            notes.push(format!("{files} no name in the log and the id instead"));
        }
    }

    fn left_out_note(&self) -> String {
        let files = counted(self.left_out, "file", "files");
        let mut places: Vec<(&str, u64)> =
            self.left_out_bytes.iter().map(|(place, bytes)| (place.as_str(), *bytes)).collect();
        if places.is_empty() {
            return format!("{files} outside the kept mounts left out, no bytes");
        }
        let bytes = places.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        places.sort_by_key(|(_, bytes)| Reverse(*bytes));
        let shown =
            places.iter().take(PLACES_SHOWN).map(|(place, bytes)| format!("{place} {}", Bytes(*bytes)));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let rest = if places.len() > PLACES_SHOWN { " and less in others" } else { "" };
        let what = format!("outside the kept mounts left out, and with them {}", Bytes(bytes));
        format!("{files} {what}: {shown}{rest}; keep these mounts to replay them")
    }
}

fn is_stream(name: &str) -> bool {
    STREAMS.contains(&name)
}
