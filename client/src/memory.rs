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

/// A file that this session made or opened.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
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
    /// Device and number of a file to its place in the order.
    places: BTreeMap<(u64, u64), u64>,
    next: u64,
    targets: usize,
}

impl Memory {
    /// Remembers a file, and forgets what there is no room for. Where another thread holds the memory it is not kept.
    pub(crate) fn keep(&self, file: File) {
        self.0.with(|memory| {
            let name = (file.dev, file.ino);
            // Numbers of removed files come again.
            if let Some(old) = memory.places.get(&name).copied() {
                memory.forget(old);
            }
            memory.targets += file.targets();
            memory.places.insert(name, memory.next);
            memory.files.insert(memory.next, file);
            memory.next += 1;
            while memory.files.len() > FILES_MAX || memory.targets > TARGETS_MAX {
                let Some(oldest) = memory.files.keys().next().copied() else { break };
                memory.forget(oldest);
            }
        });
    }

    pub(crate) fn find(&self, dev: u64, ino: u64) -> Option<File> {
        self.0.with(|memory| memory.files.get(memory.places.get(&(dev, ino))?).cloned())?
    }

    /// The file, the first time that it is said to be closed.
    pub(crate) fn close(&self, dev: u64, ino: u64) -> Option<File> {
        self.0.with(|memory| {
            let file = memory.files.get_mut(memory.places.get(&(dev, ino))?)?;
            (!std::mem::replace(&mut file.is_closed, true)).then(|| file.clone())
        })?
    }
}

impl Files {
    fn forget(&mut self, place: u64) {
        if let Some(old) = self.files.remove(&place) {
            self.targets -= old.targets();
            self.places.remove(&(old.dev, old.ino));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(ino: u64, targets: usize) -> File {
        File {
            dev: 1,
            ino,
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
        assert!(memory.find(1, 0).is_none() && memory.find(1, 1).is_some());
        memory.keep(file(5000, TARGETS_MAX));
        assert!(memory.find(1, 5000).is_some() && memory.find(1, 1000).is_none());
        memory.keep(file(5000, 2));
        assert_eq!(memory.find(1, 5000).unwrap().got.len(), 2);
        assert!(memory.close(1, 5000).is_some() && memory.close(1, 5000).is_none());
    }
}
