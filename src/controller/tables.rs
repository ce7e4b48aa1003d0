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

/// Deltas by the checksums of both ends.
type Deltas = BTreeMap<(u32, u32), Arc<[u8]>>;

/// The tables of one file system.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    newest: RwLock<Option<Newest>>,
    bases: RwLock<Vec<Base>>,
    /// Thousands of nodes hold the same table, and get the same delta.
    deltas: Mutex<Deltas>,
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

    /// A new table takes the place of the newest. It is as old as the view that it was planned from: solving takes time,
    /// and must not make it look younger.
    pub(crate) fn publish(&self, publication: &Arc<Publication>) {
        let Ok(checksum) = Table::verify(&publication.table).map(|table| table.checksum()) else {
            // `encode` made it: a table that its own reader refuses is never handed out.
            tracing::error!(order = %publication.plan.order, "a table does not verify and is not handed out");
            return;
        };
        self.remember(&publication.table);
        let last_word_at = publication.plan.made_at;
        let next = Newest { publication: Arc::clone(publication), checksum, last_word_at };
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
            // It has heard another life of this controller; ours will be above that one when its own term is.
            Some(held) if is_other(held, &newest) => return None,
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

    /// The term of a table that a node holds, where it is not one of ours although its term is.
    pub(crate) fn other_term(&self, held: Option<Held>) -> Option<u64> {
        let (held, newest) = (held?, self.newest()?);
        (held.order.term == newest.order().term && is_other(held, &newest)).then_some(held.order.term)
    }

    /// The delta from a base to the newest table, where it is known and worth it.
    fn delta_from(&self, base: u32, newest: &Newest) -> Option<Arc<[u8]>> {
        let known = |checksum: u32| {
            let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
            bases.iter().find(|known| known.checksum == checksum).map(|known| Arc::clone(&known.table))
        };
        let ends = (base, newest.checksum);
        let cached = |deltas: &Deltas| deltas.get(&ends).cloned();
        let found = cached(&self.deltas.lock().unwrap_or_else(PoisonError::into_inner));
        let delta = match found {
            Some(delta) => delta,
            None => {
                let delta: Arc<[u8]> = delta::encode(&known(base)?, &newest.publication.table).into();
                let mut deltas = self.deltas.lock().unwrap_or_else(PoisonError::into_inner);
                deltas.insert(ends, Arc::clone(&delta));
                delta
            }
        };
        (delta.len() < newest.publication.table.len()).then_some(delta)
    }
}

/// Whether a table is above ours, or has its number and is another.
fn is_other(held: Held, newest: &Newest) -> bool {
    held.order > newest.order() || held.order == newest.order() && held.checksum != newest.checksum
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

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_core::control::{Control, ControlConfig, Effect, Event};
    use tarazu_core::topology::{ServerSpec, TargetSpec, Topology};
    use tarazu_layout::{Bytes, FsId, OstIndex, ServerId};
    use tarazu_table::FsIdentity;

    use crate::controller::brain::BrainSettings;

    const SECOND: Duration = Duration::from_secs(1);

    /// The first tables of a controller of four targets, one an interval.
    fn publications(count: usize) -> Vec<Arc<Publication>> {
        let target = |number: u32| TargetSpec {
            ost: OstIndex(number),
            server: ServerId(0),
            read_bps: 1e9,
            write_bps: 1e9,
            capacity: Bytes(1 << 40),
        };
        let server = ServerSpec { link_bps: 1e10, enclosure: None };
        let topology = Topology::new((0..4).map(target).collect(), vec![server]).expect("a topology");
        let settings = BrainSettings {
            file_system: "scratch".into(),
            id: FsId(0),
            interval: SECOND,
            layout_cost: Duration::ZERO,
            layout_service: Duration::ZERO,
            seed: 1,
            policy: tarazu_core::control::Policy::default(),
            expected: tarazu_core::control::Expected::Known(0),
        };
        let config = ControlConfig { fs: FsIdentity::new(FsId(0), "scratch"), interval: SECOND };
        let mut control = Control::new(config, topology);
        let mut rng = tarazu_core::rng::stream(1, "test", 0);
        let (mut now, mut made) = (Time(1), Vec::new());
        let started = Event::Started { stored_term: 0, drained: Vec::new(), policy: None };
        let mut events = vec![started];
        while made.len() < count {
            let event = events.pop().unwrap_or_else(|| {
                now += SECOND;
                let targets = vec![tarazu_layout::TargetId(0)];
                Event::Drain { targets, drain: None }
            });
            let mut effects = Vec::new();
            control.step(now, event, &mut rng, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Persist { write, .. } => events.push(Event::Persisted { write }),
                    Effect::Solve(problem) => {
                        let plan = Box::new(settings.solve(&problem));
                        events.push(Event::Solved { seq: problem.seq, plan });
                    }
                    Effect::Publish(publication) => made.push(publication),
                    _ => {}
                }
            }
        }
        made
    }

    fn held(publication: &Publication) -> Held {
        let checksum = Table::verify(&publication.table).expect("a good table").checksum();
        Held { order: publication.plan.order, checksum }
    }

    #[test]
    fn a_node_gets_what_it_lacks() {
        let made = publications(2);
        let tables = Tables::default();
        let now = made[1].plan.made_at + SECOND;
        assert!(tables.update_for("scratch", None, now).is_none(), "there is none yet");
        made.iter().for_each(|publication| tables.publish(publication));
        let update =
            |held: Option<Held>| tables.update_for("scratch", held, now).and_then(|update| update.update);
        assert_eq!(update(None), Some(Update::Table(made[1].table.clone())));
        assert_eq!(update(Some(held(&made[1]))), Some(Update::Confirmed(true)));
        let Some(Update::Delta(bytes)) = update(Some(held(&made[0]))) else { panic!("a base that is known") };
        assert_eq!(delta::apply(&made[0].table, &bytes).as_deref(), Ok(&made[1].table[..]));
        let unknown = Held { checksum: 7, ..held(&made[0]) };
        assert_eq!(update(Some(unknown)), Some(Update::Table(made[1].table.clone())));
    }

    #[test]
    fn a_table_is_as_old_as_the_view_behind_it() {
        let made = publications(1);
        let tables = Tables::default();
        tables.publish(&made[0]);
        let at = made[0].plan.made_at;
        let age = |now: Time| tables.update_for("scratch", None, now).expect("a table").age_ms;
        assert_eq!(age(at + SECOND * 20), 20_000);
        tables.confirm(at + SECOND * 20);
        assert_eq!(age(at + SECOND * 21), 1000);
    }

    #[test]
    fn another_lifes_table_is_noticed_and_never_confirmed() {
        let made = publications(2);
        let tables = Tables::default();
        tables.publish(&made[0]);
        let now = made[0].plan.made_at;
        let term = made[0].plan.order.term;
        let same_number = Held { checksum: 7, ..held(&made[0]) };
        for other in [held(&made[1]), same_number] {
            assert_eq!(tables.update_for("scratch", Some(other), now), None);
            assert_eq!(tables.other_term(Some(other)), Some(term));
        }
        assert_eq!(tables.other_term(Some(held(&made[0]))), None);
        let later = Held { order: Order { term: term + 3, seq: 1 }, checksum: 7 };
        assert_eq!(tables.other_term(Some(later)), None, "its highest term says so already");
        assert_eq!(tables.update_for("scratch", Some(later), now), None);
    }

    #[test]
    fn a_table_of_an_earlier_life_is_a_base() {
        let made = publications(2);
        let tables = Tables::default();
        tables.remember(&made[0].table);
        tables.remember(b"no table");
        tables.publish(&made[1]);
        let update = tables.update_for("scratch", Some(held(&made[0])), made[1].plan.made_at);
        assert!(matches!(update.and_then(|update| update.update), Some(Update::Delta(_))));
    }
}
