//! Lustre's weighted random allocator (QOS): weights by free space, less a memory of its own recent choices
//! (`lod_qos.c`, `lu_tgt_descs.c`).
//!
//! It knows free space and what it chose itself; of I/O load it knows nothing.

use rand::RngExt;
use tarazu_layout::{TargetId, Time};

use super::Generation;
use super::wish::Wish;
use crate::policy::TargetFacts;
use crate::rng::Rng;

/// Tunables, with the names they have below `lod.*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `qos_prio_free`, percent: 100 remembers no choices.
    pub prio_free_pct: u64,
    /// `qos_threshold_rr`, percent: 100 is round robin only, 0 weighted always.
    pub threshold_rr_pct: u64,
    /// `qos_maxage`, seconds: state is read anew when older than twice this.
    pub maxage_s: u64,
}

impl Default for Settings {
    /// Lustre's defaults.
    fn default() -> Self {
        Self { prio_free_pct: 90, threshold_rr_pct: 17, maxage_s: 5 }
    }
}

impl Settings {
    /// Weights are 256ths; percents are stored rounded down.
    const fn prio_wide(self) -> u64 {
        256 - self.prio_free_pct * 256 / 100
    }

    const fn threshold(self) -> u64 {
        self.threshold_rr_pct * 256 / 100
    }
}

/// Penalties are halved once in this many multiples of `qos_maxage` of 8-second steps, and forgotten above.
const FORGET_AFTER_AGES: u64 = 32;

/// Why the weighted allocator declines, so that round robin runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declined {
    /// It is switched off by `qos_threshold_rr` of 100.
    Off,
    /// Free space is alike on all targets.
    SameSpace,
    /// Fewer than two targets are active.
    TooFewActive,
    /// Fewer stripes could be found than are enough.
    TooFewFound,
}

/// What is remembered of a target or a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Memory {
    /// Added when chosen, taken off at each choice of another.
    per_object: u64,
    penalty: u64,
    last_used_s: u64,
}

impl Memory {
    /// Forgets with age; called when the base of the penalties is computed.
    fn decay(&mut self, now_s: u64, maxage_s: u64, reset: bool) {
        let age = now_s.saturating_sub(self.last_used_s) >> 3;
        if reset || age > FORGET_AFTER_AGES * maxage_s {
            self.penalty = 0;
        } else if age > maxage_s {
            // `age / maxage` is at most 32 here.
            self.penalty >>= age / maxage_s.max(1);
        }
    }

    fn chosen(&mut self, peers: u64, now_s: u64) {
        self.penalty = (self.penalty >> 1) + self.per_object * peers;
        self.last_used_s = now_s;
    }

    fn other_chosen(&mut self) {
        self.penalty = self.penalty.saturating_sub(self.per_object);
    }
}

/// The state of one metadata target's weighted allocator.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    generation: Generation,
    settings: Settings,
    targets: Vec<Memory>,
    servers: Vec<Memory>,
    /// Free space or a state changed since the base of the penalties was computed.
    dirty: bool,
    same_space: bool,
    reset: bool,
}

/// Same-space answers of a pool are kept for `qos_maxage`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PoolMark {
    same_space_since_s: Option<u64>,
}

impl Weights {
    pub(super) fn new(generation: Generation, settings: Settings) -> Self {
        Self {
            generation,
            settings,
            targets: Vec::new(),
            servers: Vec::new(),
            dirty: true,
            same_space: false,
            reset: false,
        }
    }

    /// The metadata server has read other free space or state than before.
    pub(super) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    /// Bytes of a unit in which penalties are counted.
    const fn unit_shift(&self) -> u32 {
        match self.generation {
            Generation::V216 => 8,
            Generation::V212 | Generation::V213 => 0,
        }
    }

    fn free(&self, facts: &TargetFacts) -> u64 {
        facts.free.0 >> self.unit_shift()
    }

    /// What free space weighs before penalties.
    fn gross(&self, facts: &TargetFacts) -> u128 {
        match self.generation {
            Generation::V213 => u128::from(facts.free.0 >> 16) * u128::from(facts.inodes_free >> 8),
            Generation::V212 | Generation::V216 => u128::from(self.free(facts)),
        }
    }

    fn weight(&self, target: TargetId, facts: &TargetFacts) -> u128 {
        let own = self.targets[target.index()].penalty;
        let server = self.servers[facts.server.index()].penalty;
        self.gross(facts).saturating_sub(u128::from(own) + u128::from(server))
    }

    /// Draws stripes for a wish from a set, or declines.
    ///
    /// `pool` is the mark of the pool that the set is, `None` for the whole file system.
    pub(super) fn allocate(
        &mut self,
        wish: &Wish<'_>,
        set: &[TargetId],
        pool: Option<&mut PoolMark>,
        now: Time,
        rng: &mut Rng,
    ) -> Result<Vec<TargetId>, Declined> {
        if self.settings.threshold() == 256 {
            return Err(Declined::Off);
        }
        self.grow(wish.facts);
        let active = set.iter().filter(|target| wish.usable(**target)).count() as u64;
        if active < 2 {
            return Err(Declined::TooFewActive);
        }
        let now_s = now.0 / 1_000_000_000;
        match pool {
            None => self.prepare_all(wish.facts, set, active, now_s)?,
            Some(mark) => self.prepare_pool(wish.facts, set, active, mark, now_s)?,
        }
        let found = self.draw(wish, set, active, now_s, rng);
        if found.len() < wish.enough() {
            self.dirty = true;
            self.same_space = false;
            return Err(Declined::TooFewFound);
        }
        Ok(found)
    }

    fn grow(&mut self, facts: &[TargetFacts]) {
        let servers = facts.iter().map(|facts| facts.server.index() + 1).max().unwrap_or(0);
        self.targets.resize(facts.len().max(self.targets.len()), Memory::default());
        self.servers.resize(servers.max(self.servers.len()), Memory::default());
    }

    /// Computes the base of all penalties, where something changed.
    fn prepare_all(
        &mut self,
        facts: &[TargetFacts],
        set: &[TargetId],
        active: u64,
        now_s: u64,
    ) -> Result<(), Declined> {
        if !self.dirty {
            return if self.same_space { Err(Declined::SameSpace) } else { Ok(()) };
        }
        let (wide, maxage_s, reset) = (self.settings.prio_wide(), self.settings.maxage_s, self.reset);
        let mut space = vec![(0u64, 0u64); self.servers.len()];
        for target in active_of(facts, set) {
            let facts = &facts[target.index()];
            let free = self.free(facts);
            if free > 0 {
                let (sum, targets) = &mut space[facts.server.index()];
                *sum = sum.saturating_add(free);
                *targets += 1;
            }
        }
        let serving = space.iter().filter(|(_, targets)| *targets > 0).count() as u64;
        // One server has nobody to be compared with: its targets' penalties count double instead.
        let others = serving.saturating_sub(1).max(1);
        for target in set {
            let free = u128::from(self.free(&facts[target.index()]));
            let share = ((u128::from(wide) * free) >> 9) as u64 / (active - 1);
            let per_object = if serving < 2 { share * 2 } else { share };
            let memory = &mut self.targets[target.index()];
            memory.per_object = per_object;
            memory.decay(now_s, maxage_s, reset);
        }
        for (memory, (sum, targets)) in self.servers.iter_mut().zip(space) {
            if targets > 0 {
                memory.per_object =
                    (((u128::from(wide) * u128::from(sum)) >> 8) as u64 / (targets * others)) >> 1;
                memory.decay(now_s, maxage_s, reset);
            }
        }
        self.dirty = false;
        let alike = self.is_same_space(facts, set);
        (self.same_space, self.reset) = (alike, alike);
        if alike { Err(Declined::SameSpace) } else { Ok(()) }
    }

    /// A pool shares penalties with the whole file system but has a base and a mark of its own.
    fn prepare_pool(
        &mut self,
        facts: &[TargetFacts],
        set: &[TargetId],
        active: u64,
        mark: &mut PoolMark,
        now_s: u64,
    ) -> Result<(), Declined> {
        let fresh = |since: u64| now_s.saturating_sub(since) <= self.settings.maxage_s;
        if mark.same_space_since_s.is_some_and(fresh) {
            return Err(Declined::SameSpace);
        }
        let alike = self.is_same_space(facts, set);
        mark.same_space_since_s = alike.then_some(now_s);
        if alike {
            return Err(Declined::SameSpace);
        }
        let wide = u128::from(self.settings.prio_wide());
        for target in set {
            let free = u128::from(self.free(&facts[target.index()]));
            self.targets[target.index()].per_object = ((wide * free) >> 9) as u64 / (active - 1);
        }
        Ok(())
    }

    /// Whether the roomiest and the fullest target differ by less than the threshold.
    fn is_same_space(&self, facts: &[TargetFacts], set: &[TargetId]) -> bool {
        let free =
            || active_of(facts, set).map(|target| self.free(&facts[target.index()])).filter(|free| *free > 0);
        let (most, least) = (free().max().unwrap_or(0), free().min().unwrap_or(0));
        let bound = u128::from(most) * u128::from(256 - self.settings.threshold()) / 256;
        bound < u128::from(least)
    }

    /// Draws stripe by stripe, each target once.
    fn draw(
        &mut self,
        wish: &Wish<'_>,
        set: &[TargetId],
        active: u64,
        now_s: u64,
        rng: &mut Rng,
    ) -> Vec<TargetId> {
        let mut open: Vec<TargetId> = set.to_vec();
        open.retain(|target| wish.usable(*target) && !wish.facts[target.index()].degraded);
        if open.len() < wish.enough() {
            return Vec::new();
        }
        let count = wish.count.min(open.len() * wish.rounds(set.len()));
        let mut found = Vec::with_capacity(count);
        let mut may_wait = false;
        while found.len() < count {
            let total: u128 =
                open.iter().map(|target| self.weight(*target, &wish.facts[target.index()])).sum();
            let drawn = if total == 0 { 0 } else { rng.random_range(0..total) };
            let Some(place) = self.candidate(wish, &open, drawn, may_wait) else {
                if may_wait {
                    break;
                }
                may_wait = true;
                continue;
            };
            let target = open.remove(place);
            self.remember(target, wish.facts, set, active, now_s);
            found.push(target);
        }
        found
    }

    /// The first open target at which the sum of weights reaches what was drawn; one that cannot be had
    /// leaves the stripe to those behind it.
    fn candidate(&self, wish: &Wish<'_>, open: &[TargetId], drawn: u128, may_wait: bool) -> Option<usize> {
        let mut sum = 0;
        open.iter().position(|target| {
            let facts = &wish.facts[target.index()];
            sum += self.weight(*target, facts);
            sum >= drawn && (facts.precreated || may_wait)
        })
    }

    /// The chosen target and its server are penalised, all recover a little.
    fn remember(
        &mut self,
        target: TargetId,
        facts: &[TargetFacts],
        set: &[TargetId],
        active: u64,
        now_s: u64,
    ) {
        let serving = self.servers.iter().filter(|server| server.per_object > 0).count() as u64;
        self.targets[target.index()].chosen(active, now_s);
        self.servers[facts[target.index()].server.index()].chosen(serving, now_s);
        self.servers.iter_mut().for_each(Memory::other_chosen);
        for target in set.iter().filter(|target| facts[target.index()].usable) {
            self.targets[target.index()].other_chosen();
        }
    }
}

/// Targets that take part: an inactive one's space counts for nothing.
fn active_of<'a>(facts: &'a [TargetFacts], set: &'a [TargetId]) -> impl Iterator<Item = &'a TargetId> {
    set.iter().filter(|target| facts[target.index()].usable)
}

#[cfg(test)]
impl Weights {
    /// Penalties per object of targets and servers.
    pub(super) fn per_object(&self) -> (Vec<u64>, Vec<u64>) {
        let all = |of: &[Memory]| of.iter().map(|memory| memory.per_object).collect();
        (all(&self.targets), all(&self.servers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_layout::{Bytes, ServerId};

    fn facts(free_gib: &[u64], servers: &[u32]) -> Vec<TargetFacts> {
        let one = |(free, server): (&u64, &u32)| TargetFacts {
            server: ServerId(*server),
            free: Bytes(free << 30),
            ..TargetFacts::WELL
        };
        free_gib.iter().zip(servers).map(one).collect()
    }

    fn ids(count: usize) -> Vec<TargetId> {
        (0..count as u32).map(TargetId).collect()
    }

    fn weights(weights: &Weights, facts: &[TargetFacts]) -> Vec<u128> {
        ids(facts.len()).iter().map(|target| weights.weight(*target, &facts[target.index()])).collect()
    }

    fn penalties(of: &[Memory]) -> Vec<u64> {
        of.iter().map(|memory| memory.penalty).collect()
    }

    /// The worked example of two servers with two targets each.
    #[test]
    fn golden_two_servers() {
        let facts = facts(&[1024, 512, 1024, 256], &[0, 0, 1, 1]);
        let set = ids(4);
        let mut state = Weights::new(Generation::V216, Settings::default());
        state.grow(&facts);
        state.prepare_all(&facts, &set, 4, 0).expect("space differs");
        let per_object = |of: &[Memory]| of.iter().map(|memory| memory.per_object).collect::<Vec<_>>();
        assert_eq!(per_object(&state.targets), [72_701_269, 36_350_634, 72_701_269, 18_175_317]);
        assert_eq!(per_object(&state.servers), [163_577_856, 136_314_880]);
        let gross = [4_294_967_296, 2_147_483_648, 4_294_967_296, 1_073_741_824];
        assert_eq!(weights(&state, &facts), gross);

        state.remember(TargetId(0), &facts, &set, 4, 0);
        assert_eq!(penalties(&state.targets), [218_103_807, 0, 0, 0]);
        assert_eq!(penalties(&state.servers), [163_577_856, 0]);
        assert_eq!(weights(&state, &facts), [3_913_285_633, 1_983_905_792, 4_294_967_296, 1_073_741_824]);

        state.remember(TargetId(2), &facts, &set, 4, 0);
        assert_eq!(penalties(&state.targets), [145_402_538, 0, 218_103_807, 0]);
        assert_eq!(penalties(&state.servers), [0, 136_314_880]);
        assert_eq!(weights(&state, &facts), [4_149_564_758, 2_147_483_648, 3_940_548_609, 937_426_944]);
    }

    #[test]
    fn golden_one_server() {
        let facts = facts(&[1024, 512, 256], &[0, 0, 0]);
        let set = ids(3);
        let mut state = Weights::new(Generation::V216, Settings::default());
        state.grow(&facts);
        state.prepare_all(&facts, &set, 3, 0).expect("space differs");
        let per_object: Vec<_> = state.targets.iter().map(|memory| memory.per_object).collect();
        assert_eq!(per_object, [218_103_808, 109_051_904, 54_525_952]);
        state.remember(TargetId(0), &facts, &set, 3, 0);
        assert_eq!(penalties(&state.targets), [436_207_616, 0, 0]);
        assert_eq!(penalties(&state.servers), [0]);
        assert_eq!(weights(&state, &facts)[0], 3_858_759_680);
    }

    #[test]
    fn penalties_are_forgotten_in_eight_second_steps() {
        let mut memory = Memory { per_object: 1, penalty: 1 << 40, last_used_s: 100 };
        // 47 s are 5 steps, not above `maxage` of 5; 48 s are 6.
        memory.decay(147, 5, false);
        assert_eq!(memory.penalty, 1 << 40);
        memory.decay(148, 5, false);
        assert_eq!(memory.penalty, 1 << 39);
        // Each further base shifts again.
        memory.decay(148, 5, false);
        assert_eq!(memory.penalty, 1 << 38);
        // 161 steps are above 32 × 5.
        memory.decay(100 + 161 * 8, 5, false);
        assert_eq!(memory.penalty, 0);
    }

    #[test]
    fn alike_space_is_left_to_round_robin_and_remembered() {
        // 83 % of the roomiest are 849.9 GiB.
        for (least, alike) in [(880, true), (840, false)] {
            let facts = facts(&[1024, 1024, least], &[0, 1, 2]);
            let mut state = Weights::new(Generation::V216, Settings::default());
            let wish = Wish::plain(1, &facts);
            let mut rng = crate::rng::stream(1, "test", 0);
            for _ in 0..2 {
                let outcome = state.allocate(&wish, &ids(3), None, Time::ZERO, &mut rng);
                assert_eq!(outcome == Err(Declined::SameSpace), alike, "{least}");
            }
        }
    }

    #[test]
    fn an_inactive_target_has_no_space() {
        let mut facts = facts(&[1024, 1024, 256], &[0, 1, 2]);
        facts[2].usable = false;
        let mut state = Weights::new(Generation::V216, Settings::default());
        let mut rng = crate::rng::stream(1, "test", 0);
        let outcome = state.allocate(&Wish::plain(1, &facts), &ids(3), None, Time::ZERO, &mut rng);
        assert_eq!(outcome, Err(Declined::SameSpace));
    }

    #[test]
    fn between_2_13_and_2_15_penalties_vanish() {
        let facts = facts(&[100 << 10, 50 << 10, 100 << 10], &[0, 1, 2]);
        let facts: Vec<_> =
            facts.into_iter().map(|facts| TargetFacts { inodes_free: 100_000_000, ..facts }).collect();
        let lost = |generation| {
            let mut state = Weights::new(generation, Settings::default());
            state.grow(&facts);
            state.prepare_all(&facts, &ids(3), 3, 0).expect("space differs");
            let before = state.weight(TargetId(0), &facts[0]);
            state.remember(TargetId(0), &facts, &ids(3), 3, 0);
            1.0 - state.weight(TargetId(0), &facts[0]) as f64 / before as f64
        };
        assert!(lost(Generation::V213) < 0.03, "{}", lost(Generation::V213));
        let (old, new) = (lost(Generation::V212), lost(Generation::V216));
        assert!(old > 0.08 && (old - new).abs() < 1e-6, "{old} {new}");
    }

    #[test]
    fn draws_follow_the_weights() {
        let facts = facts(&[1000, 500, 1000, 250], &[0, 1, 2, 3]);
        let mut counts = [0u32; 4];
        let mut rng = crate::rng::stream(7, "test", 0);
        for _ in 0..20_000 {
            // A fresh memory each time: weights alone.
            let mut state = Weights::new(Generation::V216, Settings::default());
            let found = state.allocate(&Wish::plain(1, &facts), &ids(4), None, Time::ZERO, &mut rng);
            counts[found.expect("space differs")[0].index()] += 1;
        }
        for (count, weight) in counts.iter().zip([1000.0, 500.0, 1000.0, 250.0]) {
            let share = f64::from(*count) / 20_000.0;
            assert!((share - weight / 2750.0).abs() < 0.012, "{counts:?}");
        }
    }

    #[test]
    fn targets_without_ready_objects_are_waited_for_last() {
        let mut facts = facts(&[1000, 500], &[0, 1]);
        facts[0].precreated = false;
        let mut state = Weights::new(Generation::V216, Settings::default());
        let mut rng = crate::rng::stream(7, "test", 0);
        for _ in 0..50 {
            // Target 1 stands behind target 0, so whatever is drawn ends there.
            let found = state.allocate(&Wish::plain(1, &facts), &ids(2), None, Time::ZERO, &mut rng);
            assert_eq!(found.expect("space differs"), [TargetId(1)]);
        }
        let found = state.allocate(&Wish::plain(2, &facts), &ids(2), None, Time::ZERO, &mut rng);
        assert_eq!(found.expect("space differs").len(), 2);
    }
}
