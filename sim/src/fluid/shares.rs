//! Who shares what, and at which level each resource is full. Owns the max-min allocation; knows no time and
//! no bytes.
//!
//! # Levels
//!
//! The *level* of a resource is the rate above which it cuts: a flow's rate is the smallest level on its path,
//! and the level of resource `r` is the largest `x` with
//!
//! > sum over flows `f` on `r` of `weight(f, r) * min(x, levels of f's other two resources) <= capacity(r)`
//!
//! (infinite when `r` is not full). Whenever this holds for every resource the allocation is feasible, and each
//! flow has a full resource on which no flow is faster: that is the max-min fair allocation, and it is unique
//! (Bertsekas and Gallager, Data Networks, 6.5.2). So nothing but these equations has to be restored after a
//! change, and only where they are broken: a resource is looked at again when a level on a path through it moved in
//! the range below its own level, because a level does not depend on anything above itself. Influence thus runs from
//! low levels to high ones, and taking the lowest first settles most resources in one look.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Relative change of a level that counts as none: some ten roundings. Without it two resources with equal levels
/// could pass the last bit to and fro.
const LEVEL_TOLERANCE: f64 = 1e-14;

/// Looks per resource in one settling before all levels are computed afresh. Rounding could in principle keep ties
/// moving for ever; real changes need about one look each.
const LOOKS_PER_RESOURCE_MAX: usize = 32;

/// Share of the capacity that must be left for a resource to be called not full without looking. What is left is kept
/// by additions, each off by at most 1e-16 of the capacity.
const SLACK_MIN: f64 = 1e-9;

/// Settlings after which every resource is looked at, so that those errors cannot add up to `SLACK_MIN`.
const RECOUNT_EVERY: u64 = 1 << 16;

/// Number of resources of one flow: NIC, link, disk.
pub(super) const HOPS: usize = 3;

/// One flow on one resource, with what the level of this resource depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) flow: u32,
    /// The flow's other two resources.
    pub(super) others: [u32; 2],
    /// Capacity of this resource that one byte/s of the flow takes, and of the other two.
    weight: f64,
    other_weights: [f64; 2],
}

/// Resources, the flows on them, and their levels.
#[derive(Debug)]
pub(super) struct Shares {
    capacity: Vec<f64>,
    level: Vec<f64>,
    /// What flows may use more of a resource before it must be looked at: most resources are never full and need no
    /// look for most changes. Plus infinity while queued (nothing need be noticed), minus infinity when full
    /// (everything must), so that the frequent question is one subtraction and one comparison.
    slack: Vec<f64>,
    on: Vec<Vec<Share>>,
    /// Per flow slot: its resources, and where it stands in their lists.
    path: Vec<[u32; HOPS]>,
    place: Vec<[u32; HOPS]>,
    /// Resources to look at, by the level they had when they were queued; the bits of positive floats sort like
    /// the floats.
    queue: BinaryHeap<Reverse<(u64, u32)>>,
    queued: Vec<bool>,
    /// Resources whose level moved in the present settling.
    moved: Vec<u32>,
    has_moved: Vec<bool>,
    settlings: u64,
}

impl Shares {
    /// Resources with these capacities (> 0) and no flows.
    pub(super) fn new(capacity: Vec<f64>) -> Self {
        let resources = capacity.len();
        Self {
            slack: capacity.iter().map(|capacity| capacity * (1.0 - SLACK_MIN)).collect(),
            capacity,
            level: vec![f64::INFINITY; resources],
            on: vec![Vec::new(); resources],
            path: Vec::new(),
            place: Vec::new(),
            queue: BinaryHeap::new(),
            queued: vec![false; resources],
            moved: Vec::new(),
            has_moved: vec![false; resources],
            settlings: 0,
        }
    }

    /// Flows on a resource.
    pub(super) fn on(&self, resource: usize) -> &[Share] {
        &self.on[resource]
    }

    /// The rate above which the resource cuts.
    pub(super) fn level(&self, resource: u32) -> f64 {
        self.level[resource as usize]
    }

    /// The resources of a flow.
    pub(super) fn path(&self, flow: u32) -> [u32; HOPS] {
        self.path[flow as usize]
    }

    /// Puts a flow on its resources. `flow` is a free slot, at most one past the highest ever used.
    pub(super) fn insert(&mut self, flow: u32, path: [u32; HOPS], weight: [f64; HOPS]) {
        let slot = flow as usize;
        if slot == self.path.len() {
            self.path.push(path);
            self.place.push([0; HOPS]);
        }
        self.path[slot] = path;
        for hop in 0..HOPS {
            let (next, last) = ((hop + 1) % HOPS, (hop + 2) % HOPS);
            let others = [path[next], path[last]];
            let list = &mut self.on[path[hop] as usize];
            self.place[slot][hop] = list.len() as u32;
            list.push(Share {
                flow,
                others,
                weight: weight[hop],
                other_weights: [weight[next], weight[last]],
            });
            self.notice(path[hop], weight[hop] * self.lowest(others));
        }
    }

    /// Takes a flow off its resources; its slot is free.
    pub(super) fn remove(&mut self, flow: u32) {
        let path = self.path[flow as usize];
        let place = self.place[flow as usize];
        for hop in 0..HOPS {
            let list = &mut self.on[path[hop] as usize];
            let share = list.swap_remove(place[hop] as usize);
            if let Some(filler) = list.get(place[hop] as usize) {
                self.place[filler.flow as usize][hop] = place[hop];
            }
            self.notice(path[hop], -share.weight * self.lowest(share.others));
        }
    }

    /// Changes a capacity (> 0).
    pub(super) fn set_capacity(&mut self, resource: u32, capacity: f64) {
        self.capacity[resource as usize] = capacity;
        self.enqueue(resource);
    }

    /// Is there anything to settle?
    pub(super) fn is_settled(&self) -> bool {
        self.queue.is_empty()
    }

    /// Restores the allocation after any number of changes. `moved` receives each resource whose level is now
    /// another, once, in an order that depends on nothing but the changes.
    pub(super) fn settle(&mut self, moved: &mut Vec<u32>) {
        self.settlings += 1;
        if self.settlings.is_multiple_of(RECOUNT_EVERY) {
            self.queue_all();
        }
        let mut looks_left = LOOKS_PER_RESOURCE_MAX * self.level.len();
        while let Some(Reverse((_, resource))) = self.queue.pop() {
            self.queued[resource as usize] = false;
            if looks_left == 0 {
                self.refill();
                break;
            }
            looks_left -= 1;
            self.look(resource);
        }
        moved.clear();
        moved.append(&mut self.moved);
        for &resource in &*moved {
            self.has_moved[resource as usize] = false;
        }
    }

    /// Computes the level of one resource from its neighbours' and queues those that this may move.
    fn look(&mut self, resource: u32) {
        let index = resource as usize;
        let old = self.level[index];
        let (new, left) = self.fair_level(index);
        self.set_slack(index, new, left);
        if old == new || (old - new).abs() <= LEVEL_TOLERANCE * lower(old, new) {
            return;
        }
        self.set_level(resource, new);
        let lowest = lower(old, new);
        let shares = std::mem::take(&mut self.on[index]);
        for share in &shares {
            let [a, b] = share.others;
            let (level_a, level_b) = (self.level[a as usize], self.level[b as usize]);
            // With a level at or below both the old and the new one on its path, the flow does not notice.
            if lower(level_a, level_b) > lowest {
                self.notice(a, share.other_weights[0] * (lower(new, level_b) - lower(old, level_b)));
                self.notice(b, share.other_weights[1] * (lower(new, level_a) - lower(old, level_a)));
            }
        }
        self.on[index] = shares;
    }

    /// The flows of a resource, stopped only elsewhere, would use so much more of it: queues it if that may move its
    /// level. A resource that is neither full nor queued has only flows that are stopped elsewhere; `more` is infinite
    /// when one is not any longer.
    #[inline]
    fn notice(&mut self, resource: u32, more: f64) {
        let slack = self.slack[resource as usize] - more;
        self.slack[resource as usize] = slack;
        if slack > 0.0 {
            return;
        }
        self.enqueue(resource);
    }

    fn set_slack(&mut self, index: usize, level: f64, left: f64) {
        let is_full = level < f64::INFINITY;
        self.slack[index] = if is_full { f64::NEG_INFINITY } else { left - SLACK_MIN * self.capacity[index] };
    }

    fn lowest(&self, [a, b]: [u32; 2]) -> f64 {
        lower(self.level[a as usize], self.level[b as usize])
    }

    fn set_level(&mut self, resource: u32, level: f64) {
        self.level[resource as usize] = level;
        if !self.has_moved[resource as usize] {
            self.has_moved[resource as usize] = true;
            self.moved.push(resource);
        }
    }

    fn enqueue(&mut self, resource: u32) {
        let index = resource as usize;
        self.slack[index] = f64::INFINITY;
        if std::mem::replace(&mut self.queued[index], true) {
            return;
        }
        // A resource that was not full has no level to be sorted by; its fair share is a lower bound.
        let key = self.level[index].min(self.capacity[index] / self.on[index].len() as f64);
        self.queue.push(Reverse((key.to_bits(), resource)));
    }

    fn queue_all(&mut self) {
        for resource in 0..self.level.len() as u32 {
            self.enqueue(resource);
        }
    }

    /// The level of one resource, given the levels of its neighbours, and what is left of it.
    ///
    /// The level is the root of a concave, piecewise linear function, found by Newton's method from the present
    /// level. The first step lands at or below the root, each later one rises and passes at least one kink.
    fn fair_level(&self, resource: usize) -> (f64, f64) {
        let shares = self.on[resource].as_slice();
        let capacity = self.capacity[resource];
        if shares.is_empty() {
            return (f64::INFINITY, capacity);
        }
        let mut guess = self.level[resource];
        let mut rising = false;
        loop {
            let sums = self.sums_below(shares, guess);
            if sums.free == 0.0 {
                if sums.used <= capacity * (1.0 + LEVEL_TOLERANCE) {
                    return (f64::INFINITY, capacity - sums.used);
                }
                guess = sums.highest_below;
                continue;
            }
            let next = (capacity - sums.used) / sums.free;
            let same_side = next > sums.highest_below && next <= sums.lowest_above;
            // Once rising, only rounding can stop the rise.
            if same_side || (rising && next <= guess) {
                return (next, 0.0);
            }
            rising = next >= guess;
            guess = if next > 0.0 { next } else { capacity / sums.weight };
        }
    }

    fn sums_below(&self, shares: &[Share], guess: f64) -> Sums {
        let mut sums =
            Sums { used: 0.0, free: 0.0, weight: 0.0, highest_below: 0.0, lowest_above: f64::INFINITY };
        for share in shares {
            let other = self.lowest(share.others);
            // Without branches: which flows are stopped elsewhere is as good as random.
            let is_below = other < guess;
            sums.weight += share.weight;
            sums.used += if is_below { share.weight * other } else { 0.0 };
            sums.free += if is_below { 0.0 } else { share.weight };
            sums.highest_below = higher(sums.highest_below, if is_below { other } else { 0.0 });
            sums.lowest_above = lower(sums.lowest_above, if is_below { f64::INFINITY } else { other });
        }
        sums
    }

    /// All levels afresh by filling from zero: the way out when settling does not come to rest.
    fn refill(&mut self) {
        while let Some(Reverse((_, resource))) = self.queue.pop() {
            self.queued[resource as usize] = false;
        }
        let mut filling = Filling::new(self);
        while let Some((resource, level)) = filling.next_full() {
            filling.fix(self, resource, level);
        }
        for (resource, (level, left)) in filling.level.into_iter().zip(filling.left).enumerate() {
            self.set_slack(resource, level, left);
            if self.level[resource] != level {
                self.set_level(resource as u32, level);
            }
        }
    }
}

/// `f64::min` for numbers: one instruction, where that of the library also minds NaN.
pub(super) fn lower(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// `f64::max` for numbers, see [`lower`].
fn higher(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// What the flows of one resource use at a guessed level.
struct Sums {
    /// Capacity used by flows that a level below the guess stops elsewhere.
    used: f64,
    /// Weight of the other flows.
    free: f64,
    /// Weight of all flows.
    weight: f64,
    /// Highest level below the guess, and lowest at or above it, where a flow is stopped elsewhere.
    highest_below: f64,
    lowest_above: f64,
}

/// Progressive filling: all rates rise together; a resource that is full stops its flows.
struct Filling {
    level: Vec<f64>,
    left: Vec<f64>,
    free: Vec<f64>,
    free_flows: Vec<u32>,
    stopped: Vec<bool>,
    /// Lower bounds of the level at which a resource is full: levels only rise as others stop flows.
    queue: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Filling {
    fn new(shares: &Shares) -> Self {
        let resources = shares.level.len();
        let free = shares.on.iter().map(|list| list.iter().map(|share| share.weight).sum()).collect();
        let mut filling = Self {
            level: vec![f64::INFINITY; resources],
            left: shares.capacity.clone(),
            free,
            free_flows: shares.on.iter().map(|list| list.len() as u32).collect(),
            stopped: vec![false; shares.path.len()],
            queue: BinaryHeap::with_capacity(resources),
        };
        for resource in 0..resources {
            if filling.free_flows[resource] > 0 {
                filling.queue.push(Reverse((filling.full_at(resource).to_bits(), resource as u32)));
            }
        }
        filling
    }

    fn full_at(&self, resource: usize) -> f64 {
        (self.left[resource] / self.free[resource]).max(0.0)
    }

    fn next_full(&mut self) -> Option<(usize, f64)> {
        while let Some(Reverse((key, resource))) = self.queue.pop() {
            let index = resource as usize;
            if self.free_flows[index] == 0 {
                continue;
            }
            let now = self.full_at(index);
            if now.to_bits() <= key {
                return Some((index, now));
            }
            self.queue.push(Reverse((now.to_bits(), resource)));
        }
        None
    }

    fn fix(&mut self, shares: &Shares, resource: usize, level: f64) {
        self.level[resource] = level;
        for share in &shares.on[resource] {
            if std::mem::replace(&mut self.stopped[share.flow as usize], true) {
                continue;
            }
            let place = shares.place[share.flow as usize];
            for (hop, &at) in shares.path[share.flow as usize].iter().enumerate() {
                let at = at as usize;
                let weight = shares.on[at][place[hop] as usize].weight;
                self.left[at] -= weight * level;
                self.free[at] -= weight;
                self.free_flows[at] -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RESOURCES: u32 = 9;

    fn path() -> impl Strategy<Value = [u32; HOPS]> {
        (0u32..3, 3u32..6, 6u32..RESOURCES).prop_map(|(a, b, c)| [a, b, c])
    }

    fn rates(shares: &Shares, flows: u32) -> Vec<f64> {
        let rate =
            |flow| shares.path(flow).into_iter().map(|r| shares.level(r)).fold(f64::INFINITY, f64::min);
        (0..flows).map(rate).collect()
    }

    fn is_near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-11 * a.min(b)
    }

    proptest! {
        /// The way out gives what settling gives, and leaves a state that can be settled on.
        #[test]
        fn filling_afresh_agrees_with_settling(
            capacities in prop::collection::vec(prop_oneof![Just(100.0), 1.0..1000.0f64], RESOURCES as usize),
            flows in prop::collection::vec((path(), 0.1..10.0f64), 2..40),
        ) {
            let mut shares = Shares::new(capacities);
            let mut moved = Vec::new();
            for (flow, &(path, weight)) in (0..).zip(&flows) {
                shares.insert(flow, path, [1.0, 1.0, weight]);
                if flow % 3 == 0 {
                    shares.settle(&mut moved);
                }
                if flow % 7 == 6 {
                    shares.refill();
                }
                if flow % 5 == 4 {
                    shares.queue_all();
                }
            }
            shares.settle(&mut moved);
            let flows = flows.len() as u32;
            let settled = rates(&shares, flows);
            shares.refill();
            prop_assert!(shares.is_settled());
            let filled = rates(&shares, flows);
            for (flow, (&a, &b)) in settled.iter().zip(&filled).enumerate() {
                prop_assert!(is_near(a, b), "flow {flow}: settled {a}, filled {b}");
            }
        }

        /// Feasible, and every flow has a full resource on which none is faster: the definition.
        #[test]
        fn settled_rates_are_max_min_fair(
            capacities in prop::collection::vec(prop_oneof![Just(100.0), 1.0..1000.0f64], RESOURCES as usize),
            flows in prop::collection::vec((path(), prop_oneof![Just(1.0), 0.1..10.0f64]), 1..40),
        ) {
            let mut shares = Shares::new(capacities.clone());
            let mut moved = Vec::new();
            for (flow, &(path, weight)) in (0..).zip(&flows) {
                shares.insert(flow, path, [1.0, 1.0, weight]);
            }
            shares.settle(&mut moved);
            let rates = rates(&shares, flows.len() as u32);
            let mut used = [0.0; RESOURCES as usize];
            let mut fastest = [0.0f64; RESOURCES as usize];
            for (&(path, weight), &rate) in flows.iter().zip(&rates) {
                for (resource, weight) in path.into_iter().zip([1.0, 1.0, weight]) {
                    used[resource as usize] += weight * rate;
                    fastest[resource as usize] = fastest[resource as usize].max(rate);
                }
            }
            let is_full = |r: usize| used[r] >= capacities[r] * (1.0 - 1e-11);
            for r in 0..RESOURCES as usize {
                prop_assert!(used[r] <= capacities[r] * (1.0 + 1e-11), "resource {r} carries {}", used[r]);
            }
            for (&(path, _), &rate) in flows.iter().zip(&rates) {
                let holds = |r: u32| is_full(r as usize) && rate >= fastest[r as usize] * (1.0 - 1e-11);
                prop_assert!(path.into_iter().any(holds), "a flow at {rate} could be faster");
            }
        }
    }
}
