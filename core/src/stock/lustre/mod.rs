//! What a Lustre metadata server does with one component of one new file: the set (file system or pool), the
//! stripe count, and then list, start index, weighted or round robin (`lod_qos.c`, master of August 2026).
//!
//! One [`Lustre`] is the state of one metadata target; several know nothing of each other. It owns no clock:
//! free space is taken over when it is older than twice `qos_maxage`, as the server reads its targets' statfs; that a
//! target is gone it notices at once.

mod precreate;
mod round_robin;
mod weights;
mod wish;

use std::collections::BTreeMap;

use tarazu_layout::{Component, Pattern, PoolName, ServerId, TargetId, Time};

pub use precreate::Precreate;
pub use round_robin::interleave;
pub use weights::Settings;

use self::round_robin::RoundRobin;
use self::weights::{PoolMark, Weights};
use self::wish::Wish;
use crate::policy::{Allocator, Chosen, Decision, Knows, NoTarget, Request, TargetFacts};
use crate::rng::Rng;

/// Releases whose allocators differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// Up to 2.12.
    V212,
    /// 2.13 to 2.15.8: weights of space times inodes, beside which penalties vanish (LU-16501).
    V213,
    /// 2.15.56 and 2.16 on.
    #[default]
    V216,
}

/// The allocator of one metadata target.
#[derive(Clone, Debug)]
pub struct Lustre {
    settings: Settings,
    weights: Weights,
    all: Set,
    pools: BTreeMap<PoolName, Set>,
    /// Facts as last read, and when.
    cached: Vec<TargetFacts>,
    read_at: Option<Time>,
}

/// Targets that are allocated from together, in order of index.
#[derive(Clone, Debug)]
struct Set {
    targets: Vec<TargetId>,
    round_robin: RoundRobin,
    mark: PoolMark,
}

impl Set {
    fn new(generation: Generation, targets: &[TargetId], servers: &[ServerId]) -> Self {
        let mut targets: Vec<_> = targets.iter().copied().filter(|id| id.index() < servers.len()).collect();
        targets.sort_unstable();
        targets.dedup();
        let placed: Vec<_> = targets.iter().map(|target| (*target, servers[target.index()])).collect();
        Self { targets, round_robin: RoundRobin::new(generation, &placed), mark: PoolMark::default() }
    }
}

impl Lustre {
    /// The allocator of a file system whose targets stand on these servers, with its pools.
    ///
    /// Targets of a pool that do not exist are left out, as in Lustre.
    #[must_use]
    pub fn new(
        generation: Generation,
        settings: Settings,
        servers: &[ServerId],
        pools: &BTreeMap<PoolName, Vec<TargetId>>,
    ) -> Self {
        let all: Vec<_> = (0..servers.len() as u32).map(TargetId).collect();
        let set = |targets: &[TargetId]| Set::new(generation, targets, servers);
        Self {
            settings,
            weights: Weights::new(generation, settings),
            all: set(&all),
            pools: pools.iter().map(|(name, targets)| (*name, set(targets))).collect(),
            cached: Vec::new(),
            read_at: None,
        }
    }

    /// Round robin only (`qos_threshold_rr` of 100): what most administrators with unevenly filled targets choose.
    #[must_use]
    pub fn round_robin(servers: &[ServerId], pools: &BTreeMap<PoolName, Vec<TargetId>>) -> Self {
        let settings = Settings { threshold_rr_pct: 100, ..Settings::default() };
        Self::new(Generation::V216, settings, servers, pools)
    }

    /// Takes over facts: whether a target answers and has objects at once, its space when that is due.
    fn read(&mut self, knows: &Knows<'_>) {
        let age_s = self.read_at.map(|at| knows.now.since(at).as_secs());
        let is_due = age_s.is_none_or(|age| age > 2 * self.settings.maxage_s);
        if is_due || self.cached.len() != knows.targets.len() {
            let readied = |facts: &TargetFacts| TargetFacts { precreated: true, ..*facts };
            if !self.cached.iter().map(readied).eq(knows.targets.iter().map(readied)) {
                self.weights.mark_dirty();
            }
            self.cached = knows.targets.to_vec();
            self.read_at = Some(knows.now);
            return;
        }
        for (cached, now) in self.cached.iter_mut().zip(knows.targets) {
            if cached.usable != now.usable {
                self.weights.mark_dirty();
            }
            let known = TargetFacts { free: cached.free, inodes_free: cached.inodes_free, ..*now };
            *cached = known;
        }
    }

    /// The set of a component; an unknown pool is no pool.
    fn set(&self, pool: Option<PoolName>) -> &Set {
        pool.and_then(|name| self.pools.get(&name)).unwrap_or(&self.all)
    }

    /// Weighted, and where that declines round robin.
    fn spread(
        &mut self,
        component: &Component<TargetId>,
        wish: &Wish<'_>,
        now: Time,
        rng: &mut Rng,
    ) -> Vec<TargetId> {
        let pooled = component.pool.and_then(|name| self.pools.get_mut(&name));
        let (set, is_pool) = match pooled {
            Some(set) => (set, true),
            None => (&mut self.all, false),
        };
        let mark = if is_pool { Some(&mut set.mark) } else { None };
        match self.weights.allocate(wish, &set.targets, mark, now, rng) {
            Ok(targets) => targets,
            Err(_) => set.round_robin.allocate(wish, rng),
        }
    }
}

impl Allocator for Lustre {
    fn place(&mut self, request: &Request<'_>, knows: &Knows<'_>, rng: &mut Rng) -> Decision {
        self.read(knows);
        let component = &request.inherited.components[request.component];
        // Taken for the time of the decision; `spread` needs the rest mutably.
        let facts = std::mem::take(&mut self.cached);
        let set = self.set(component.pool);
        let wish = wish(component, request.siblings, &facts, &set.targets);
        let placed = if component.is_allocated() {
            listed(component, request.start, &facts)
        } else if let Some(start) = request.start {
            from_start(start, &wish, &set.targets)
        } else {
            let targets = self.spread(component, &wish, knows.now, rng);
            if targets.is_empty() { Err(NoTarget::Nothing) } else { Ok(targets) }
        };
        self.cached = facts;
        placed.map_or_else(Decision::Fail, |targets| Decision::Place { targets, reason: Chosen::Stock })
    }
}

/// Resolves the stripe count against the active targets of the set.
fn wish<'a>(
    component: &Component<TargetId>,
    siblings: &'a [TargetId],
    facts: &'a [TargetFacts],
    set: &[TargetId],
) -> Wish<'a> {
    let active =
        set.iter().filter(|target| facts.get(target.index()).is_some_and(|facts| facts.usable)).count();
    let wanted = component.stripe_count as usize;
    let overstriped = component.pattern == Pattern::Overstriped;
    let soft = !overstriped && wanted > active;
    Wish { count: if soft { active } else { wanted }, soft, overstriped, siblings, facts }
}

/// An explicit list: strict, rotated to begin at the start index where one is given.
fn listed(
    component: &Component<TargetId>,
    start: Option<TargetId>,
    facts: &[TargetFacts],
) -> Result<Vec<TargetId>, NoTarget> {
    let mut targets = component.stripes.clone();
    if let Some(start) = start {
        let place = targets.iter().position(|target| *target == start).ok_or(NoTarget::Invalid(start))?;
        targets.rotate_left(place);
    }
    for (place, target) in targets.iter().enumerate() {
        let facts = facts.get(target.index()).ok_or(NoTarget::Invalid(*target))?;
        if component.pattern != Pattern::Overstriped && targets[..place].contains(target) {
            return Err(NoTarget::Invalid(*target));
        }
        if !facts.usable {
            return Err(NoTarget::Listed(*target));
        }
    }
    Ok(targets)
}

/// From a start index in plain order of index; degraded targets are not avoided, and all stripes are needed.
fn from_start(start: TargetId, wish: &Wish<'_>, set: &[TargetId]) -> Result<Vec<TargetId>, NoTarget> {
    let first = set.iter().position(|target| *target == start).ok_or(NoTarget::Invalid(start))?;
    let count = wish.count.min(set.len() * wish.rounds(set.len()));
    let mut found: Vec<TargetId> = Vec::with_capacity(count);
    for patient in [false, true] {
        for step in 0..set.len() * wish.rounds(set.len()) {
            if found.len() == count {
                break;
            }
            let target = set[(first + step) % set.len()];
            let ready =
                target == start || wish.facts[target.index()].precreated && !wish.siblings.contains(&target);
            let repeated = found.contains(&target) && !wish.overstriped;
            if wish.usable(target) && !repeated && (patient || ready) {
                found.push(target);
            }
        }
    }
    match found.len() {
        0 => Err(NoTarget::Nothing),
        all if all == count => Ok(found),
        some => Err(NoTarget::Short { found: some, wanted: count }),
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
