//! The newest table of one file system, shared between everybody who asks for it.
//!
//! Owns what is handed out to nodes: the newest table, those before it as bases of deltas, and how long ago the
//! controller last stood by it. It must not decide what a table says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tarazu_core::control::Publication;
use tarazu_layout::Time;
use tarazu_proto::v1::{self, table_update::Update};
use tarazu_table::{Order, Published, Reason, Stamp, Table, delta};

/// Tables that deltas can start from: nodes that miss two minutes of plans get a whole one.
const BASES_MAX: usize = 24;

/// A table with what belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Newest {
    /// The plan and the table's bytes.
    pub(crate) publication: Arc<Publication>,
    /// The table's checksum.
    pub(crate) checksum: u32,
    /// When the controller last stood by it.
    pub(crate) last_word_at: Time,
}

impl Newest {
    /// Its number.
    pub(crate) fn order(&self) -> Order {
        self.publication.plan.order
    }

    /// As a client on a node without any delay would hold it.
    pub(crate) fn published(&self) -> Result<Published<'_>, Reason> {
        let table = Table::reopen(&self.publication.table, self.checksum).map_err(|_| Reason::Refused)?;
        Ok(Published { stamp: Stamp { boot_hash: 0, received: self.last_word_at }, table })
    }
}

/// A table that deltas can start from.
#[derive(Debug)]
struct Base {
    checksum: u32,
    table: Arc<[u8]>,
}

/// What a node said that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its number.
    pub(crate) order: Order,
    /// Its checksum.
    pub(crate) checksum: u32,
}

/// The tables of one file system.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    newest: RwLock<Option<Newest>>,
    bases: RwLock<Vec<Base>>,
    /// Deltas to the newest table, by the base's checksum: thousands of nodes hold the same one.
    deltas: Mutex<BTreeMap<u32, Arc<[u8]>>>,
}

impl Tables {
    /// The newest table.
    pub(crate) fn newest(&self) -> Option<Newest> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A table of an earlier life, as a base of deltas only.
    pub(crate) fn remember(&self, table: &[u8]) {
        let Ok(verified) = Table::verify(table) else { return };
        let mut bases = self.bases.write().unwrap_or_else(PoisonError::into_inner);
        if bases.len() >= BASES_MAX {
            bases.remove(0);
        }
        bases.push(Base { checksum: verified.checksum(), table: table.into() });
    }

    /// A new table takes the place of the newest.
    pub(crate) fn publish(&self, publication: &Arc<Publication>, now: Time) {
        let Ok(checksum) = Table::verify(&publication.table).map(|table| table.checksum()) else {
            // `encode` made it: a table that its own reader refuses is never handed out.
            tracing::error!(order = %publication.plan.order, "a table does not verify and is not handed out");
            return;
        };
        self.remember(&publication.table);
        let next = Newest { publication: Arc::clone(publication), checksum, last_word_at: now };
        let mut newest = self.newest.write().unwrap_or_else(PoisonError::into_inner);
        self.deltas.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *newest = Some(next);
    }

    /// The controller stands by the newest table.
    pub(crate) fn confirm(&self, now: Time) {
        if let Some(newest) = &mut *self.newest.write().unwrap_or_else(PoisonError::into_inner) {
            newest.last_word_at = now;
        }
    }

    /// What a node gets that holds this; `None` where there is nothing to say to it.
    pub(crate) fn update_for(&self, name: &str, held: Option<Held>, now: Time) -> Option<v1::TableUpdate> {
        let newest = self.newest()?;
        let order = newest.order();
        let update = match held {
            // It has heard a later controller; ours will be above that one when its own term is.
            Some(held) if held.order > order => return None,
            Some(held) if held.order == order && held.checksum == newest.checksum => Update::Confirmed(true),
            Some(held) => self.delta_from(held.checksum, &newest).map_or_else(
                || Update::Table(newest.publication.table.clone()),
                |delta| Update::Delta(delta.to_vec()),
            ),
            None => Update::Table(newest.publication.table.clone()),
        };
        Some(v1::TableUpdate {
            file_system: name.to_owned(),
            order: Some(v1::Order { term: order.term, seq: order.seq }),
            age_ms: millis(now.since(newest.last_word_at)),
            checksum: newest.checksum,
            update: Some(update),
        })
    }

    /// The delta from a base to the newest table, where it is known and worth it.
    fn delta_from(&self, base: u32, newest: &Newest) -> Option<Arc<[u8]>> {
        let known = |checksum: u32| {
            let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
            bases.iter().find(|known| known.checksum == checksum).map(|known| Arc::clone(&known.table))
        };
        let cached = |deltas: &BTreeMap<u32, Arc<[u8]>>| deltas.get(&base).cloned();
        let found = cached(&self.deltas.lock().unwrap_or_else(PoisonError::into_inner));
        let delta = match found {
            Some(delta) => delta,
            None => {
                let delta: Arc<[u8]> = delta::encode(&known(base)?, &newest.publication.table).into();
                let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
                // A newer table may have come meanwhile; the node refuses a delta that leads elsewhere.
                deltas.insert(base, Arc::clone(&delta));
                delta
            }
        };
        (delta.len() < newest.publication.table.len()).then_some(delta)
    }
}

fn millis(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}

/// Bytes of an update that are not a frame.
pub(crate) fn payload_bytes(update: &v1::TableUpdate) -> usize {
    match &update.update {
        Some(Update::Table(bytes) | Update::Delta(bytes)) => bytes.len(),
        _ => 0,
    }
}
