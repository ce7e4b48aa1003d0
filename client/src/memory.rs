//! The files that a session made, as long as it remembers them: for `explain` and for what is told at the close.

use std::collections::BTreeMap;

use tarazu_layout::OstIndex;
use tarazu_table::{FileClass, JobKey, Order, Tier};

use crate::Why;
use crate::lock::Short;

/// Files that are remembered; the oldest goes first. A process seldom has more open.
const FILES_MAX: usize = 1024;

/// Targets in all remembered lists, so that wide files do not make the memory large: 256 KiB.
const TARGETS_MAX: usize = 65_536;

/// What was decided for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The targets in stripe order.
    pub targets: Vec<OstIndex>,
    /// Bytes of one stripe unit.
    pub stripe_size: u32,
    /// The plan that it follows.
    pub order: Order,
    /// The ring its targets came from.
    pub tier: Tier,
    /// Bytes that the file is expected to hold.
    pub expected_bytes: u64,
    /// How sure that is, percent.
    pub confidence_percent: u8,
}

/// What a file is found by again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Id {
    /// The file itself.
    Inode { dev: u64, ino: u64 },
    /// Its name in the folder of these numbers: spares a look at files of which nothing was decided.
    Name { dev: u64, ino: u64, name_hash: u64 },
}

/// A file that this session made or opened.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) id: Id,
    pub(crate) fs_name: String,
    pub(crate) fs_name_hash: u64,
    pub(crate) class: FileClass,
    pub(crate) key: JobKey,
    pub(crate) decided: Option<Decided>,
    /// The targets that were read back; empty where it was not steered.
    pub(crate) got: Vec<OstIndex>,
    pub(crate) why: Option<Why>,
    pub(crate) is_closed: bool,
}

impl File {
    fn targets(&self) -> usize {
        self.got.len() + self.decided.as_ref().map_or(0, |decided| decided.targets.len())
    }
}

/// The files, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Memory(Short<Files>);

#[derive(Debug, Default)]
struct Files {
    /// By the order in which they came.
    files: BTreeMap<u64, File>,
    /// Their places in that order.
    places: BTreeMap<Id, u64>,
    next: u64,
    targets: usize,
}

impl Memory {
    /// Remembers a file, and forgets what there is no room for. Where another thread holds the memory it is not kept.
    pub(crate) fn keep(&self, file: File) {
        self.0.with(|memory| {
            // Numbers of removed files come again.
            if let Some(old) = memory.places.get(&file.id).copied() {
                memory.forget(old);
            }
            memory.targets += file.targets();
            memory.places.insert(file.id, memory.next);
            memory.files.insert(memory.next, file);
            memory.next += 1;
            while memory.files.len() > FILES_MAX || memory.targets > TARGETS_MAX {
                let Some(oldest) = memory.files.keys().next().copied() else { break };
                memory.forget(oldest);
            }
        });
    }

    /// The file with one of these ids, the one that came last where there are several.
    pub(crate) fn find(&self, ids: &[Id]) -> Option<File> {
        self.0.with(|memory| {
            let place = ids.iter().filter_map(|id| memory.places.get(id)).max()?;
            memory.files.get(place).cloned()
        })?
    }

    /// The file, the first time that it is said to be closed.
    pub(crate) fn close(&self, id: Id) -> Option<File> {
        self.0.with(|memory| {
            let file = memory.files.get_mut(memory.places.get(&id)?)?;
            (!std::mem::replace(&mut file.is_closed, true)).then(|| file.clone())
        })?
    }
}

impl Files {
    fn forget(&mut self, place: u64) {
        if let Some(old) = self.files.remove(&place) {
            self.targets -= old.targets();
            self.places.remove(&old.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ino: u64) -> Id {
        Id::Inode { dev: 1, ino }
    }

    fn file(ino: u64, targets: usize) -> File {
        File {
            id: id(ino),
            fs_name: String::new(),
            fs_name_hash: 0,
            class: FileClass::Other,
            key: JobKey(0),
            decided: None,
            got: vec![OstIndex(0); targets],
            why: None,
            is_closed: false,
        }
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let memory = Memory::default();
        (0..=FILES_MAX as u64).for_each(|ino| memory.keep(file(ino, 1)));
        assert!(memory.find(&[id(0)]).is_none() && memory.find(&[id(1)]).is_some());
        memory.keep(file(5000, TARGETS_MAX));
        assert!(memory.find(&[id(5000)]).is_some() && memory.find(&[id(1000)]).is_none());
        memory.keep(file(5000, 2));
        assert_eq!(memory.find(&[id(5000)]).unwrap().got.len(), 2);
        assert!(memory.close(id(5000)).is_some() && memory.close(id(5000)).is_none());
    }

    #[test]
    fn of_two_files_at_one_place_the_later_counts() {
        let memory = Memory::default();
        let named = Id::Name { dev: 1, ino: 2, name_hash: 3 };
        memory.keep(file(7, 1));
        memory.keep(File { id: named, ..file(7, 2) });
        let targets = |memory: &Memory| memory.find(&[id(7), named]).map(|file| file.got.len());
        assert_eq!(targets(&memory), Some(2));
        memory.keep(file(7, 3));
        assert_eq!(targets(&memory), Some(3));
    }
}
