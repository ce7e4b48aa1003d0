//! Cheapest-first filling: units of work onto targets below servers, always where the next unit
//! finishes first.
//!
//! The cost of work on a target is convex (`φ(x) = (q + x)² / 2`), so its marginal is the finish time of
//! the next unit at its midpoint. With one unit size and nested capacities this greedy is exactly
//! optimal (Federgruen and Groenevelt, Operations Research 1986). A server's link is charged only
//! where it, not the target, is the bottleneck: finish time is set by the later of the two, not by
//! their sum.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A target as filling sees it. Times are microseconds of the target's own work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// Work it has already.
    pub base_us: i64,
    /// Work that one more unit is.
    pub unit_us: i64,
    /// The server it stands in.
    pub server: u32,
    /// Units it may take; 0 excludes it.
    pub cap: u32,
}

/// A server's link as filling sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Work that it has already, microseconds.
    pub base_us: i64,
    /// Work that one more unit below it is, microseconds.
    pub unit_us: i64,
}

/// Where the next unit goes first: by finish time, then by the target's own, then by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    finish_us: i64,
    own_us: i64,
    target: u32,
}

/// Units by target after filling, and the last finish time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Units by target.
    pub units: Vec<u32>,
    /// Units that no target could take.
    pub left_over: u32,
    /// Midpoint finish time of the latest unit, microseconds; 0 without units.
    pub last_finish_us: i64,
}

fn score(bins: &[Bin], links: &[Link], units: &[u32], below: &[u32], target: u32) -> Score {
    let bin = &bins[target as usize];
    let own_us = midpoint_us(bin.base_us, bin.unit_us, units[target as usize]);
    let link = &links[bin.server as usize];
    let link_us = midpoint_us(link.base_us, link.unit_us, below[bin.server as usize]);
    Score { finish_us: own_us.max(link_us), own_us, target }
}

pub(crate) fn midpoint_us(base_us: i64, unit_us: i64, units: u32) -> i64 {
    base_us.saturating_add(unit_us.saturating_mul(i64::from(units))).saturating_add(unit_us / 2)
}

/// Puts `units` units one after the other where each finishes first.
///
/// `links` is indexed by [`Bin::server`]. Costs `O(bins + units × log bins)`: all targets of a server wait
/// for the same link, so the server's best is always its target with the earliest finish of its own, and
/// a unit changes the score of one server only.
#[must_use]
pub fn fill(bins: &[Bin], links: &[Link], units: u32) -> Filled {
    let mut filled = Filled { units: vec![0; bins.len()], left_over: units, last_finish_us: 0 };
    let mut below = vec![0u32; links.len()];
    let mut firsts: Vec<Vec<Reverse<(i64, u32)>>> = vec![Vec::new(); links.len()];
    for (target, bin) in (0..).zip(bins).filter(|(_, bin)| bin.cap > 0) {
        let own_us = midpoint_us(bin.base_us, bin.unit_us, 0);
        firsts[bin.server as usize].push(Reverse((own_us, target)));
    }
    let mut queues: Vec<BinaryHeap<_>> = firsts.into_iter().map(BinaryHeap::from).collect();
    let bests = queues.iter().filter_map(BinaryHeap::peek);
    let mut heap: BinaryHeap<Reverse<Score>> = bests
        .map(|Reverse((_, target))| Reverse(score(bins, links, &filled.units, &below, *target)))
        .collect();
    while filled.left_over > 0 {
        let Some(Reverse(best)) = heap.pop() else { break };
        let bin = &bins[best.target as usize];
        let taken = &mut filled.units[best.target as usize];
        *taken += 1;
        below[bin.server as usize] += 1;
        filled.left_over -= 1;
        filled.last_finish_us = filled.last_finish_us.max(best.finish_us);
        let queue = &mut queues[bin.server as usize];
        queue.pop();
        if *taken < bin.cap {
            queue.push(Reverse((midpoint_us(bin.base_us, bin.unit_us, *taken), best.target)));
        }
        if let Some(Reverse((_, target))) = queue.peek() {
            heap.push(Reverse(score(bins, links, &filled.units, &below, *target)));
        }
    }
    filled
}

/// The last finish time of a given distribution, for comparing an old one with a new one.
#[must_use]
pub fn last_finish_us(bins: &[Bin], links: &[Link], units: &[u32]) -> i64 {
    let mut below = vec![0u32; links.len()];
    for (bin, units) in bins.iter().zip(units) {
        below[bin.server as usize] += units;
    }
    let last = |(bin, units): (&Bin, &u32)| {
        let link = &links[bin.server as usize];
        let own = midpoint_us(bin.base_us, bin.unit_us, units.saturating_sub(1));
        let shared = midpoint_us(link.base_us, link.unit_us, below[bin.server as usize].saturating_sub(1));
        if *units == 0 { 0 } else { own.max(shared) }
    };
    bins.iter().zip(units).map(last).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The obvious twin: look at every target for every unit.
    fn twin(bins: &[Bin], links: &[Link], units: u32) -> Filled {
        let mut filled = Filled { units: vec![0; bins.len()], left_over: units, last_finish_us: 0 };
        let mut below = vec![0u32; links.len()];
        while filled.left_over > 0 {
            let open = |target: &u32| filled.units[*target as usize] < bins[*target as usize].cap;
            let scores = (0..bins.len() as u32).filter(open);
            let best = scores.map(|target| score(bins, links, &filled.units, &below, target)).min();
            let Some(best) = best else { break };
            filled.units[best.target as usize] += 1;
            below[bins[best.target as usize].server as usize] += 1;
            filled.left_over -= 1;
            filled.last_finish_us = filled.last_finish_us.max(best.finish_us);
        }
        filled
    }

    fn bins() -> impl Strategy<Value = Vec<Bin>> {
        let bin = (0i64..1000, 1i64..50, 0u32..4, 0u32..9);
        let make = |(base_us, unit_us, server, cap)| Bin { base_us, unit_us, server, cap };
        prop::collection::vec(bin.prop_map(make), 1..12)
    }

    fn links() -> impl Strategy<Value = Vec<Link>> {
        let link = (0i64..1000, 0i64..30).prop_map(|(base_us, unit_us)| Link { base_us, unit_us });
        prop::collection::vec(link, 4)
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_every_target(bins in bins(), links in links(), units in 0u32..80) {
            let fast = fill(&bins, &links, units);
            prop_assert_eq!(&fast, &twin(&bins, &links, units));
            prop_assert_eq!(fast.units.iter().sum::<u32>() + fast.left_over, units);
        }

        /// Without link terms no move of one unit lowers the total convex cost: the filling is optimal.
        #[test]
        fn no_single_move_is_better(bins in bins(), units in 0u32..60) {
            let links = [Link::default(); 4];
            let filled = fill(&bins, &links, units);
            for (from, source) in bins.iter().enumerate().filter(|(from, _)| filled.units[*from] > 0) {
                let saved = midpoint_us(source.base_us, source.unit_us, filled.units[from] - 1);
                for (to, sink) in bins.iter().enumerate().filter(|(to, _)| *to != from) {
                    let room = filled.units[to] < sink.cap;
                    let added = midpoint_us(sink.base_us, sink.unit_us, filled.units[to]);
                    prop_assert!(!room || added >= saved);
                }
            }
        }
    }

    #[test]
    fn equal_targets_get_equal_units() {
        let bins = [Bin { base_us: 0, unit_us: 10, server: 0, cap: 100 }; 5];
        assert_eq!(fill(&bins, &[Link::default()], 15).units, [3; 5]);
    }

    #[test]
    fn a_slow_target_gets_few() {
        let mut bins = [Bin { base_us: 0, unit_us: 10, server: 0, cap: 100 }; 5];
        bins[2].unit_us = 200;
        assert_eq!(fill(&bins, &[Link::default()], 40).units, [10, 10, 0, 10, 10]);
    }

    #[test]
    fn a_narrow_link_counts_only_where_it_is_the_bottleneck() {
        let mut bins = [Bin { base_us: 0, unit_us: 10, server: 0, cap: 100 }; 4];
        bins[2].server = 1;
        bins[3].server = 1;
        // Server 1's link takes 20 µs a unit for two targets that could take 5 µs a unit together.
        let links = [Link { base_us: 0, unit_us: 5 }, Link { base_us: 0, unit_us: 20 }];
        assert_eq!(fill(&bins, &links, 30).units, [12, 12, 3, 3]);
    }

    #[test]
    fn full_bins_leave_units_over() {
        let bins = [Bin { base_us: 0, unit_us: 10, server: 0, cap: 2 }];
        let filled = fill(&bins, &[Link::default()], 5);
        assert_eq!((filled.units[0], filled.left_over), (2, 3));
    }
}
