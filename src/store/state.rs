//! The state that records make, and the rules that they must hold.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    BY_BYTES_MAX, DrainIntent, FILE_SYSTEMS_MAX, FS_NAME_BYTES_MAX, OST_INDEX_MAX, PolicyIntent,
    REASON_BYTES_MAX, RECORDS_MAX, Record, SERVER_NAME_BYTES_MAX, ServerEntry, StoreError, TARGETS_MAX,
    TargetEntry,
};

/// All that is durable.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct State {
    /// By name.
    pub(crate) file_systems: BTreeMap<String, FsState>,
}

impl State {
    /// Nothing was ever made durable: a first start, or a lost state directory.
    pub(crate) fn fresh(&self) -> bool {
        self.file_systems.is_empty()
    }

    /// Whether these records may be written, all together.
    pub(crate) fn check(&self, records: &[Record]) -> Result<(), StoreError> {
        if records.len() > RECORDS_MAX {
            let fs = records.first().map_or("", Record::fs);
            return Err(limit(fs, "records of one write", records.len(), RECORDS_MAX));
        }
        // Terms and inventories as they would be, and names that come to be known.
        let mut terms: BTreeMap<&str, u64> = BTreeMap::new();
        let mut inventories: BTreeMap<&str, &[ServerEntry]> = BTreeMap::new();
        let mut names: BTreeSet<&str> = self.file_systems.keys().map(String::as_str).collect();
        for record in records {
            check_record(record)?;
            let fs = record.fs();
            names.insert(fs);
            if names.len() > FILE_SYSTEMS_MAX {
                return Err(limit(fs, "file systems", names.len(), FILE_SYSTEMS_MAX));
            }
            let known = self.file_systems.get(fs);
            match record {
                Record::Term { term, .. } => {
                    let before = terms.insert(fs, *term).or(known.map(|known| known.term));
                    check_term(fs, before.unwrap_or(0), *term)?;
                }
                Record::Inventory { inventory, .. } => {
                    let before = inventories.insert(fs, inventory);
                    let before = before.or(known.map(|known| known.inventory.as_slice()));
                    check_places(fs, before.unwrap_or_default(), inventory)?;
                }
                Record::Drain { .. } | Record::Policy { .. } => {}
            }
        }
        Ok(())
    }

    /// Takes over records that hold the rules and are durable.
    pub(crate) fn apply(&mut self, records: &[Record]) {
        for record in records {
            let fs = self.file_systems.entry(record.fs().to_owned()).or_default();
            match record {
                Record::Term { term, .. } => fs.term = *term,
                Record::Drain { ost, drain: Some(drain), .. } => {
                    fs.drains.insert(*ost, drain.clone());
                }
                Record::Drain { ost, drain: None, .. } => {
                    fs.drains.remove(ost);
                }
                Record::Policy { policy, .. } => fs.policy = Some(*policy),
                Record::Inventory { inventory, .. } => fs.inventory.clone_from(inventory),
            }
            // Of a file system about which nothing is said any more nothing is in the file either.
            if *fs == FsState::default() {
                self.file_systems.remove(record.fs());
            }
        }
    }

    /// The records that make this state out of nothing.
    pub(crate) fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (name, fs) in &self.file_systems {
            let name = || name.clone();
            if fs.term > 0 {
                records.push(Record::Term { fs: name(), term: fs.term });
            }
            for (ost, drain) in &fs.drains {
                records.push(Record::Drain { fs: name(), ost: *ost, drain: Some(drain.clone()) });
            }
            if let Some(policy) = fs.policy {
                records.push(Record::Policy { fs: name(), policy });
            }
            if !fs.inventory.is_empty() {
                records.push(Record::Inventory { fs: name(), inventory: fs.inventory.clone() });
            }
        }
        records
    }
}

/// What is durable of one file system.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FsState {
    /// The highest term; 0 before the first.
    pub(crate) term: u64,
    /// Drains by the target's index. Those that ended by themselves stay until somebody removes them.
    pub(crate) drains: BTreeMap<u32, DrainIntent>,
    /// What an operator said; `None` = nothing yet, the settings hold.
    pub(crate) policy: Option<PolicyIntent>,
    /// Servers in the order in which they were first seen.
    pub(crate) inventory: Vec<ServerEntry>,
}

fn check_term(fs: &str, stored: u64, asked: u64) -> Result<(), StoreError> {
    if asked < stored {
        return Err(StoreError::TermBack { fs: fs.to_owned(), stored, asked });
    }
    Ok(())
}

fn check_places(fs: &str, before: &[ServerEntry], after: &[ServerEntry]) -> Result<(), StoreError> {
    for (place, server) in before.iter().enumerate() {
        if after.get(place).is_none_or(|after| after.server != server.server) {
            let server = server.server.clone();
            return Err(StoreError::Reordered { fs: fs.to_owned(), server, place });
        }
    }
    Ok(())
}

fn check_record(record: &Record) -> Result<(), StoreError> {
    let fs = record.fs();
    if fs.is_empty() || fs.len() > FS_NAME_BYTES_MAX {
        return Err(limit(fs, "bytes of a file system's name", fs.len(), FS_NAME_BYTES_MAX));
    }
    match record {
        Record::Term { term: 0, .. } => Err(limit(fs, "term", 0, "from 1")),
        Record::Term { .. } | Record::Policy { .. } => Ok(()),
        Record::Drain { ost, drain, .. } => {
            check_ost(fs, *ost)?;
            let Some(drain) = drain else { return Ok(()) };
            check_text(fs, "bytes of a drain's reason", &drain.reason, REASON_BYTES_MAX)?;
            check_text(fs, "bytes of who drains", &drain.by, BY_BYTES_MAX)
        }
        Record::Inventory { inventory, .. } => check_inventory(fs, inventory),
    }
}

fn check_inventory(fs: &str, inventory: &[ServerEntry]) -> Result<(), StoreError> {
    // A server without targets is kept too: its place is taken.
    if inventory.len() > TARGETS_MAX {
        return Err(limit(fs, "servers", inventory.len(), TARGETS_MAX));
    }
    let targets: usize = inventory.iter().map(|server| server.targets.len()).sum();
    if targets > TARGETS_MAX {
        return Err(limit(fs, "targets", targets, TARGETS_MAX));
    }
    let mut names = BTreeSet::new();
    for server in inventory {
        check_text(fs, "bytes of a server's name", &server.server, SERVER_NAME_BYTES_MAX)?;
        if !names.insert(&server.server) {
            return Err(limit(fs, "a server that is listed twice", &server.server, "once"));
        }
        check_rate(fs, "bytes/s of a link", server.link_bps)?;
        for target in &server.targets {
            check_target(fs, target)?;
        }
    }
    Ok(())
}

fn check_target(fs: &str, target: &TargetEntry) -> Result<(), StoreError> {
    check_ost(fs, target.ost)?;
    check_rate(fs, "bytes/s read", target.read_bps)?;
    check_rate(fs, "bytes/s written", target.write_bps)
}

fn check_ost(fs: &str, ost: u32) -> Result<(), StoreError> {
    if ost > OST_INDEX_MAX {
        return Err(limit(fs, "index of a target", ost, OST_INDEX_MAX));
    }
    Ok(())
}

fn check_text(fs: &str, what: &'static str, text: &str, bytes_max: usize) -> Result<(), StoreError> {
    if text.len() > bytes_max {
        return Err(limit(fs, what, text.len(), bytes_max));
    }
    Ok(())
}

fn check_rate(fs: &str, what: &'static str, rate: f64) -> Result<(), StoreError> {
    // JSON has neither NaN nor infinity, and a plan could do nothing with them.
    if !(rate.is_finite() && rate > 0.0) {
        return Err(limit(fs, what, rate, "above 0 and finite"));
    }
    Ok(())
}

fn limit(
    fs: &str,
    what: &'static str,
    given: impl std::fmt::Display,
    allowed: impl std::fmt::Display,
) -> StoreError {
    // The name itself may be what is too long.
    let mut fs = fs.to_owned();
    fs.truncate(fs.floor_char_boundary(FS_NAME_BYTES_MAX));
    StoreError::Limit { fs, what, given: given.to_string(), allowed: allowed.to_string() }
}
