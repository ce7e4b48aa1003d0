//! Lustre's round-robin allocator as its metadata server runs it (`lod_qos.c`, `lu_tgt_descs.c`,
//! master of August 2026): order array, cursor with random restarts, three passes.
//!
//! It looks at state flags and its own cursor only. One instance is the state of one metadata target and one set
//! of targets: the whole file system, or a pool.

use rand::RngExt;
use tarazu_layout::{ServerId, TargetId};

use super::Generation;
use super::wish::Wish;
use crate::rng::Rng;

/// Allocations after which the cursor restarts at random: `(RESEED_TOTAL / N + RESEED_EACH) × N`
/// (`LOV_CREATE_RESEED_MIN` and `LOV_CREATE_RESEED_MULT` in Lustre).
const RESEED_TOTAL: u64 = 2000;
/// See [`RESEED_TOTAL`].
const RESEED_EACH: u64 = 30;

/// How hard a pass tries. Later passes run only while too few stripes were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Pass {
    /// Only targets with ready objects, not degraded, not used by the file's other components.
    Quick,
    /// Targets without ready objects and siblings' targets too.
    Patient,
    /// Degraded targets too.
    Desperate,
}

/// The cursor of one set of targets.
#[derive(Clone, Debug)]
pub(super) struct RoundRobin {
    generation: Generation,
    order: Vec<TargetId>,
    start_index: u64,
    start_count: i64,
    offset_index: u64,
}

/// The order array: servers by falling number of targets (equal ones as given), the k-th of a server's
/// t targets in slot `k × N / t` or the next free one.
#[must_use]
pub fn interleave(servers: &[Vec<TargetId>]) -> Vec<TargetId> {
    let total: usize = servers.iter().map(Vec::len).sum();
    let mut by_size: Vec<&Vec<TargetId>> = servers.iter().collect();
    by_size.sort_by_key(|targets| std::cmp::Reverse(targets.len()));
    let mut slots: Vec<Option<TargetId>> = vec![None; total];
    for targets in by_size {
        for (number, target) in targets.iter().enumerate() {
            let wanted = number * total / targets.len();
            let free = (0..total).map(|step| (wanted + step) % total).find(|slot| slots[*slot].is_none());
            if let Some(slot) = free {
                slots[slot] = Some(*target);
            }
        }
    }
    slots.into_iter().flatten().collect()
}

impl RoundRobin {
    /// Round robin over a set, given in order of index with the server of each.
    pub(super) fn new(generation: Generation, set: &[(TargetId, ServerId)]) -> Self {
        let mut servers: Vec<(ServerId, Vec<TargetId>)> = Vec::new();
        for (target, server) in set {
            match servers.iter_mut().find(|(known, _)| known == server) {
                Some((_, targets)) => targets.push(*target),
                None => servers.push((*server, vec![*target])),
            }
        }
        let servers: Vec<_> = servers.into_iter().map(|(_, targets)| targets).collect();
        let order = interleave(&servers);
        Self { generation, order, start_index: 0, start_count: 0, offset_index: 0 }
    }

    /// Moves the cursor before an allocation of `count` stripes.
    fn seed_cursor(&mut self, count: u64, rng: &mut Rng) {
        let n = self.order.len() as u64;
        self.start_count -= 1;
        if self.start_count <= 0 {
            self.start_index = rng.random_range(0..n);
            self.start_count = i64::try_from((RESEED_TOTAL / n + RESEED_EACH) * n).unwrap_or(i64::MAX);
            return;
        }
        if self.start_index >= n {
            self.start_index -= n;
            // Slow precession, so that a stripe count dividing N does not pin files to the same sets.
            if count > 1 && n % count != 1 {
                self.offset_index += 1;
            }
        }
    }

    /// Allocates up to the wanted number of targets; fewer where too few can be used, which is success with a
    /// reduced stripe count as long as one is found.
    pub(super) fn allocate(&mut self, wish: &Wish<'_>, rng: &mut Rng) -> Vec<TargetId> {
        let n = self.order.len() as u64;
        if n == 0 || wish.count == 0 {
            return Vec::new();
        }
        self.seed_cursor(wish.count as u64, rng);
        let first = self.start_index;
        let mut found = Vec::with_capacity(wish.count);
        for pass in [Pass::Quick, Pass::Patient, Pass::Desperate] {
            if self.generation == Generation::V212 {
                // The cursor is put back before each further pass.
                self.start_index = first;
            }
            self.walk(wish, pass, &mut found);
            if found.len() >= wish.enough() {
                break;
            }
        }
        found
    }

    /// Goes round once (with overstriping more often) and takes what the pass accepts.
    fn walk(&mut self, wish: &Wish<'_>, pass: Pass, found: &mut Vec<TargetId>) {
        let n = self.order.len();
        // Before 2.13 the slot of the cursor itself was used, then the next.
        let ahead = u64::from(self.generation != Generation::V212);
        // The last pass reads the shared cursor once and steps locally.
        let shared = pass < Pass::Desperate || self.generation == Generation::V212;
        let mut cursor = self.start_index;
        for _ in 0..n * wish.rounds(n) {
            let slot = (cursor + ahead + self.offset_index) % n as u64;
            cursor += 1;
            if shared {
                self.start_index = cursor;
            }
            let target = self.order[slot as usize];
            if accepts(wish, target, pass, found) {
                found.push(target);
            }
            if found.len() == wish.count {
                return;
            }
        }
    }
}

#[cfg(test)]
impl RoundRobin {
    /// Puts the cursor where a recording may have had it, with no restart ahead.
    pub(super) fn set_cursor(&mut self, start_index: u64, offset_index: u64) {
        (self.start_index, self.offset_index, self.start_count) = (start_index, offset_index, i64::MAX);
    }
}

fn accepts(wish: &Wish<'_>, target: TargetId, pass: Pass, found: &[TargetId]) -> bool {
    let Some(facts) = wish.facts.get(target.index()) else { return false };
    let repeated = found.contains(&target) && !wish.overstriped;
    let unready = pass == Pass::Quick && !facts.precreated;
    let degraded = pass < Pass::Desperate && facts.degraded;
    let sibling = pass == Pass::Quick && wish.siblings.contains(&target);
    facts.usable && !repeated && !unready && !degraded && !sibling
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::TargetFacts;
    use crate::rng::stream;

    /// Servers with these numbers of targets, indexed server after server.
    fn servers(sizes: &[u32]) -> Vec<Vec<TargetId>> {
        let mut next = 0;
        let server = |size: &u32| {
            let targets = (next..next + size).map(TargetId).collect();
            next += size;
            targets
        };
        sizes.iter().map(server).collect()
    }

    /// Facts of all targets, all well.
    fn facts(sizes: &[u32]) -> Vec<TargetFacts> {
        let of_server = |(number, size): (usize, &u32)| {
            vec![TargetFacts { server: ServerId(number as u32), ..TargetFacts::WELL }; *size as usize]
        };
        sizes.iter().enumerate().flat_map(of_server).collect()
    }

    fn round_robin(sizes: &[u32]) -> RoundRobin {
        let set: Vec<_> =
            facts(sizes).iter().enumerate().map(|(n, facts)| (TargetId(n as u32), facts.server)).collect();
        RoundRobin::new(Generation::V216, &set)
    }

    fn indices(targets: &[TargetId]) -> Vec<u32> {
        targets.iter().map(|target| target.0).collect()
    }

    #[test]
    fn golden_orders() {
        // The server letters of the unequal cases also stand in the Lustre manual.
        let golden: [(&[u32], &[u32]); 9] = [
            (&[3], &[0, 1, 2]),
            (&[3, 3], &[0, 3, 1, 4, 2, 5]),
            (&[3, 4], &[3, 4, 0, 5, 1, 6, 2]),
            (&[3, 5], &[3, 4, 0, 5, 6, 1, 7, 2]),
            (&[3, 5, 1], &[3, 4, 0, 5, 1, 6, 2, 7, 8]),
            (&[3, 5, 2], &[3, 0, 4, 1, 5, 8, 6, 2, 7, 9]),
            (&[4, 6, 2], &[4, 0, 5, 1, 6, 10, 7, 2, 8, 3, 9, 11]),
            (&[2, 2, 2, 2], &[0, 2, 4, 6, 1, 3, 5, 7]),
            (&[4, 4, 4, 4], &[0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15]),
        ];
        for (sizes, order) in golden {
            assert_eq!(indices(&interleave(&servers(sizes))), order, "targets per server {sizes:?}");
        }
    }

    #[test]
    fn single_stripes_take_successive_slots() {
        let sizes = [2, 2, 2, 2];
        let mut allocator = round_robin(&sizes);
        let (facts, mut rng) = (facts(&sizes), stream(1, "test", 0));
        let order = allocator.order.clone();
        let first = allocator.allocate(&Wish::plain(1, &facts), &mut rng)[0];
        let at = order.iter().position(|target| *target == first).expect("in the order");
        for step in 1..40 {
            let next = allocator.allocate(&Wish::plain(1, &facts), &mut rng);
            assert_eq!(next, [order[(at + step) % order.len()]]);
        }
    }

    #[test]
    fn the_slot_after_the_seed_is_used_first_and_a_restart_comes_in_time() {
        let sizes = [3, 3];
        let mut allocator = round_robin(&sizes);
        let (facts, mut rng) = (facts(&sizes), stream(5, "test", 0));
        let mut twin = stream(5, "test", 0);
        let seed: u64 = twin.random_range(0..6);
        let first = allocator.allocate(&Wish::plain(1, &facts), &mut rng)[0];
        assert_eq!(first, allocator.order[((seed + 1) % 6) as usize]);
        // The restart uses the second draw, after (2000 / 6 + 30) × 6 allocations in all.
        for _ in 0..(2000 / 6 + 30) * 6 - 1 {
            allocator.allocate(&Wish::plain(1, &facts), &mut rng);
        }
        let seed: u64 = twin.random_range(0..6);
        let restarted = allocator.allocate(&Wish::plain(1, &facts), &mut rng)[0];
        assert_eq!(restarted, allocator.order[((seed + 1) % 6) as usize]);
    }

    #[test]
    fn precession_moves_sets_whose_count_divides_the_targets() {
        let sizes = [4, 4];
        let mut allocator = round_robin(&sizes);
        let (facts, mut rng) = (facts(&sizes), stream(2, "test", 0));
        let mut sets = std::collections::BTreeSet::new();
        for _ in 0..200 {
            let mut set = indices(&allocator.allocate(&Wish::plain(4, &facts), &mut rng));
            set.sort_unstable();
            sets.insert(set);
        }
        assert!(sets.len() > 2, "without precession only two sets of 4 of 8 would occur");
    }

    #[test]
    fn states_are_honoured_pass_by_pass() {
        let sizes = [4];
        let mut allocator = round_robin(&sizes);
        let mut rng = stream(3, "test", 0);
        let mut facts = facts(&sizes);
        facts[0].usable = false;
        facts[1].degraded = true;
        facts[2].precreated = false;
        let siblings = [TargetId(3)];
        let one = |allocator: &mut RoundRobin, count, rng: &mut Rng| {
            let wish = Wish { count, soft: false, overstriped: false, siblings: &siblings, facts: &facts };
            let mut found = indices(&allocator.allocate(&wish, rng));
            found.sort_unstable();
            found
        };
        // Nothing passes the quick pass; the patient one takes 2 or 3, whichever comes first.
        let single = one(&mut allocator, 1, &mut rng);
        assert!(single == [2] || single == [3], "{single:?}");
        assert_eq!(one(&mut allocator, 2, &mut rng), [2, 3]);
        assert_eq!(one(&mut allocator, 3, &mut rng), [1, 2, 3]);
        // A hard count that cannot be had is success with fewer stripes.
        assert_eq!(one(&mut allocator, 4, &mut rng), [1, 2, 3]);
    }

    #[test]
    fn soft_counts_are_content_with_three_quarters() {
        let sizes = [8];
        let mut allocator = round_robin(&sizes);
        let mut rng = stream(3, "test", 0);
        let mut facts = facts(&sizes);
        facts[0].degraded = true;
        facts[1].degraded = true;
        let wish = Wish { soft: true, ..Wish::plain(8, &facts) };
        assert_eq!(allocator.allocate(&wish, &mut rng).len(), 6);
        let wish = Wish { soft: false, ..Wish::plain(8, &facts) };
        assert_eq!(allocator.allocate(&wish, &mut rng).len(), 8);
    }

    #[test]
    fn overstriping_repeats_targets() {
        let sizes = [3];
        let mut allocator = round_robin(&sizes);
        let (facts, mut rng) = (facts(&sizes), stream(3, "test", 0));
        let wish = Wish { overstriped: true, ..Wish::plain(7, &facts) };
        assert_eq!(allocator.allocate(&wish, &mut rng).len(), 7);
        // A target that cannot be used leaves its stripes to the others.
        let mut facts = facts.clone();
        facts[1].usable = false;
        let wish = Wish { overstriped: true, ..Wish::plain(3, &facts) };
        assert_eq!(allocator.allocate(&wish, &mut rng).len(), 3);
    }
}
