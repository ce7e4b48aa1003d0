//! Where files go that nobody steers: the same allocator as `lustre-rr` of the simulator.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tarazu::DefaultTarget;
use tarazu_core::policy::{Allocator, Decision, Knows, Request, TargetFacts};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::stock::Lustre;
use tarazu_layout::{FsId, JobId, Layout, MdtId, OstIndex, ServerId, TargetId, Time};
use tarazu_table::{Cursor, FileClass, Identity, JobName, Reader, Reason};

/// One metadata server's allocator, shared by all ranks.
pub(super) struct Stock {
    state: Mutex<(Lustre, Rng)>,
    facts: Vec<TargetFacts>,
    cursor: Cursor,
    layout: Layout<TargetId>,
}

impl Stock {
    /// An allocator for targets on these servers.
    pub(super) fn new(servers: &[ServerId], seed: u64) -> Self {
        let lustre = Lustre::round_robin(servers, &BTreeMap::new());
        Self {
            state: Mutex::new((lustre, stream(seed, "demo allocator", 0))),
            facts: servers
                .iter()
                .map(|server| TargetFacts { server: *server, ..TargetFacts::WELL })
                .collect(),
            cursor: Cursor::new(Identity { rank: None, host_hash: 0, pid: 0, process_start: 0 }),
            layout: Layout::plain(1, 1 << 20),
        }
    }

    /// The next target.
    fn next(&self) -> Option<TargetId> {
        let request = Request {
            fs: FsId(0),
            mdt: MdtId(0),
            name: JobName { uid: 0, job: JobId(0), executable_hash: 0, file: FileClass::Other },
            pid: 0,
            expected: None,
            confidence: 0,
            read_share: 0.0,
            writers: 1,
            mirror_domain: None,
            inherited: &self.layout,
            component: 0,
            siblings: &[],
            start: None,
        };
        // Round robin looks at states, which never change here; so its time may stand still.
        let now = Time(0);
        let knows = Knows {
            now,
            targets: &self.facts,
            published: Err(Reason::NoTable),
            reader: Reader { fs_name_hash: 0, boot_hash: 0, now },
            cursor: &self.cursor,
            view: None,
            placed: None,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (lustre, rng) = &mut *state;
        match lustre.place(&request, &knows, rng) {
            Decision::Place { targets, .. } => targets.first().copied(),
            Decision::Leave(_) | Decision::Fail(_) => None,
        }
    }
}

/// The allocator as a session takes it. The demonstration's targets are numbered as their indices.
pub(super) fn default_target(stock: &std::sync::Arc<Stock>) -> DefaultTarget {
    let stock = std::sync::Arc::clone(stock);
    Box::new(move |_| OstIndex(stock.next().unwrap_or(TargetId(0)).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_turn_before_one_has_a_second() {
        let servers: Vec<ServerId> = (0..35).map(|target| ServerId(target / 5)).collect();
        let stock = std::sync::Arc::new(Stock::new(&servers, 1));
        let choose = default_target(&stock);
        let mut chosen: Vec<u32> = (0..35).map(|_| choose(&[]).0).collect();
        chosen.sort_unstable();
        assert_eq!(chosen, (0..35).collect::<Vec<_>>());
    }
}
