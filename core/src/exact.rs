//! Filling's problem solved by minimum-cost flow, to see what filling leaves.
//!
//! This module turns the targets and links of one size class, as [`mod@crate::fill`] takes them, and the files
//! of the class into a placement problem of [`crate::mincost`]. It decides nothing else: where no exact answer
//! is to be had it fills, and says why.
//!
//! What is exact beyond filling: no file may have two stripes on one target, counted for each stripe count by
//! itself. Filling knows only one bound for all files, that of those with most stripes. With one stripe count
//! both are the same, and filling is optimal already.
//!
//! A unit finishes when its target and its server's link are both done, so its cost is the later of the two
//! midpoints and not separable by target. Here the m-th cheapest unit of a server's targets is charged the later
//! of its own midpoint and that of the link's m-th unit. That is convex on every target, and it adds up to
//! just what the server's units cost ([`finish_sum_us`]) whenever they are its cheapest ones. Where
//! distinctness keeps a unit from a server's cheapest target, the next one is charged a little too much.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::fill::{Bin, Filled, Link, fill, last_finish_us, midpoint_us};
use crate::mincost::placement::{
    Choice, Group, PlaceError, Problem, ProblemError, Segments, Solver, Spec, place,
};

/// Most units with a cost of their own: those of 2,016 targets with a thousand each, within what the flow
/// network takes.
pub const SEGMENTS_MAX: u64 = 1 << 21;

/// Files that have equally many stripes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Files {
    /// How many.
    pub files: u64,
    /// Stripes of each, on different targets.
    pub stripes: u32,
}

/// Why there is no exact answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ExactError {
    /// More units than the flow network would take.
    #[error("{units} units on all targets, but at most {SEGMENTS_MAX} are supported: use filling")]
    TooManyUnits {
        /// Units that would need a cost.
        units: u64,
    },
    /// The problem was refused.
    #[error("the placement problem of the class: {0}")]
    Problem(#[from] ProblemError),
    /// The solver gave up.
    #[error("solving the placement problem of the class: {0}")]
    Place(#[from] PlaceError),
    /// Not all stripes found a target.
    #[error("only {placed} of {wanted} stripes find a target: use filling, which shares what there is")]
    Partial {
        /// Stripes placed.
        placed: u32,
        /// Stripes wanted.
        wanted: u32,
    },
}

/// What spread the units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The optimum of the flow problem, and the solver that found it.
    Exact(Solver),
    /// Filling, as there was no exact answer.
    Filling(ExactError),
}

/// Adds up stripes to come by stripe count, from pairs of both.
#[must_use]
pub fn kinds(rows: impl Iterator<Item = (u32, u64)>) -> BTreeMap<u32, u64> {
    let mut kinds = BTreeMap::<u32, u64>::new();
    for (stripes, to_come) in rows.filter(|(_, to_come)| *to_come > 0) {
        let sum = kinds.entry(stripes.max(1)).or_default();
        *sum = sum.saturating_add(to_come);
    }
    kinds
}

/// The files that a ring of `units` tickets is for: those of a class in their proportions.
///
/// A ring holds shares, not files, so the stripes of each kind are scaled to `units` by largest remainder, and
/// what does not make a whole file is one with fewer stripes. A file with more stripes than targets take
/// part has one on each. Without any the units are files of one stripe.
#[must_use]
pub fn files(kinds: &BTreeMap<u32, u64>, bins: &[Bin], units: u32) -> Vec<Files> {
    let open = bins.iter().filter(|bin| bin.cap > 0).count().max(1) as u32;
    let mut clamped = BTreeMap::<u32, u128>::new();
    for (stripes, to_come) in kinds {
        *clamped.entry((*stripes).clamp(1, open)).or_default() += u128::from(*to_come);
    }
    let all: u128 = clamped.values().sum();
    if all == 0 {
        return vec![Files { files: units.into(), stripes: 1 }];
    }
    let mut shares: Vec<(u32, u64, u128)> = Vec::with_capacity(clamped.len());
    for (stripes, to_come) in clamped {
        // Rows are fewer than 2^32, so the product has at most 128 bits.
        let product = to_come * u128::from(units);
        shares.push((stripes, (product / all) as u64, product % all));
    }
    let dealt: u64 = shares.iter().map(|(_, share, _)| share).sum();
    shares.sort_by_key(|(stripes, _, remainder)| (Reverse(*remainder), *stripes));
    for (_, share, _) in shares.iter_mut().take((u64::from(units) - dealt) as usize) {
        *share += 1;
    }
    let whole = |(stripes, share, _): &(u32, u64, u128)| {
        let (files, rest) = (share / u64::from(*stripes), (share % u64::from(*stripes)) as u32);
        [Files { files, stripes: *stripes }, Files { files: 1, stripes: rest }]
    };
    let files = shares.iter().flat_map(whole);
    files.filter(|group| group.files > 0 && group.stripes > 0).collect()
}

/// Units by target from the exact solver; by filling where there is no exact answer.
#[must_use]
pub fn spread(bins: &[Bin], links: &[Link], files: &[Files], units: u32) -> (Filled, By) {
    match solve(bins, links, files, Choice::Exact) {
        Ok((filled, solver)) => (filled, By::Exact(solver)),
        Err(error) => (fill(bins, links, units), By::Filling(error)),
    }
}

/// Units by target at the least sum of finish times, no file with two stripes on one target.
///
/// # Errors
/// [`ExactError`] where the problem is too large, is refused or not all stripes find a target.
pub fn solve(
    bins: &[Bin],
    links: &[Link],
    files: &[Files],
    choice: Choice,
) -> Result<(Filled, Solver), ExactError> {
    let problem = Problem::new(&spec(bins, links, files)?)?;
    let placement = place(&problem, choice)?;
    if placement.flow < problem.demand() {
        return Err(ExactError::Partial { placed: placement.flow, wanted: problem.demand() });
    }
    let last_finish_us = last_finish_us(bins, links, &placement.units_by_target);
    let filled = Filled { units: placement.units_by_target, left_over: 0, last_finish_us };
    Ok((filled, placement.solver))
}

/// The sum of the finish times of all units, each at its midpoint and not before its server's link is done
/// with as many: what filling and the exact solver make small. Microseconds.
#[must_use]
pub fn finish_sum_us(bins: &[Bin], links: &[Link], units: &[u32]) -> i64 {
    let mut own_us = vec![Vec::new(); links.len()];
    for (bin, units) in bins.iter().zip(units) {
        let Some(own_us) = own_us.get_mut(bin.server as usize) else { continue };
        own_us.extend((0..*units).map(|unit| midpoint_us(bin.base_us, bin.unit_us, unit)));
    }
    let mut sum_us = 0i64;
    for (own_us, link) in own_us.iter_mut().zip(links) {
        own_us.sort_unstable();
        for (unit, own_us) in (0u32..).zip(own_us) {
            let link_us = midpoint_us(link.base_us, link.unit_us, unit);
            sum_us = sum_us.saturating_add((*own_us).max(link_us));
        }
    }
    sum_us
}

/// The class as a placement problem.
fn spec(bins: &[Bin], links: &[Link], files: &[Files]) -> Result<Spec, ExactError> {
    let group = |group: &Files| Group { requests: group.files, stripes: group.stripes.into(), pool: None };
    let groups: Vec<Group> = files.iter().map(group).collect();
    let wanted = |group: &Group| group.requests.saturating_mul(group.stripes);
    let demand = groups.iter().fold(0u64, |sum, group| sum.saturating_add(wanted(group)));
    let all = i64::try_from(demand).unwrap_or(i64::MAX);
    Ok(Spec {
        distinct: true,
        server_of: bins.iter().map(|bin| bin.server).collect(),
        router_of: vec![0; links.len()],
        server_capacities: vec![all; links.len()],
        router_capacities: vec![all],
        target_costs: target_costs(bins, links, files, demand)?,
        server_costs: Vec::new(),
        groups,
    })
}

/// Convex costs by target: of every unit that can be part of an optimum.
fn target_costs(
    bins: &[Bin],
    links: &[Link],
    files: &[Files],
    demand: u64,
) -> Result<Vec<Segments>, ExactError> {
    let distinct = files.iter().fold(0u64, |sum, group| sum.saturating_add(group.files));
    let most = |bin: &Bin| u64::from(bin.cap).min(distinct).min(demand);
    let level_us = level_us(bins, links, demand, most);
    let units: Vec<u64> = bins.iter().map(|bin| most(bin).min(units_until(bin, level_us))).collect();
    let all: u64 = units.iter().sum();
    if all > SEGMENTS_MAX {
        return Err(ExactError::TooManyUnits { units: all });
    }
    let mut costs: Vec<Segments> = vec![Vec::new(); bins.len()];
    let mut of_server: Vec<Vec<(i64, usize)>> = vec![Vec::new(); links.len()];
    for (target, (bin, units)) in bins.iter().zip(&units).enumerate() {
        // A server that does not exist is found by the problem's own check.
        let Some(of_server) = of_server.get_mut(bin.server as usize) else { continue };
        let own_us = |unit: u64| midpoint_us(bin.base_us, bin.unit_us, unit as u32);
        of_server.extend((0..*units).map(|unit| (own_us(unit), target)));
    }
    for (own, link) in of_server.iter_mut().zip(links) {
        own.sort_unstable();
        for (rank, (own_us, target)) in (0u32..).zip(own) {
            let link_us = midpoint_us(link.base_us, link.unit_us, rank);
            costs[*target].push((1, (*own_us).max(link_us)));
        }
    }
    Ok(costs)
}

/// A cost that no unit of an optimum exceeds: that of the dearest unit where all targets get equal shares,
/// reckoned high.
///
/// Equal shares can be dealt to any files, and allowed totals are the bases of a polymatroid: a unit that costs
/// more than all units of equal shares could be exchanged for one of these. Without the bound a target
/// with a long queue would make every other one look as if it could take all units.
fn level_us(bins: &[Bin], links: &[Link], demand: u64, most: impl Fn(&Bin) -> u64) -> i64 {
    let open = || bins.iter().filter(|bin| bin.cap > 0);
    let share = demand.div_ceil(open().count().max(1) as u64);
    if open().any(|bin| most(bin) < share) {
        return i64::MAX;
    }
    let last = u32::try_from(share.saturating_sub(1)).unwrap_or(u32::MAX);
    let own_us = open().map(|bin| midpoint_us(bin.base_us, bin.unit_us, last)).max().unwrap_or(0);
    let mut below = vec![0u64; links.len()];
    for bin in open() {
        if let Some(below) = below.get_mut(bin.server as usize) {
            *below = below.saturating_add(most(bin).min(units_until(bin, own_us)));
        }
    }
    let link_us = |(link, below): (&Link, &u64)| {
        let last = u32::try_from(below.saturating_sub(1)).unwrap_or(u32::MAX);
        midpoint_us(link.base_us, link.unit_us, last)
    };
    links.iter().zip(&below).map(link_us).max().unwrap_or(0).max(own_us)
}

/// How many units of a target finish until then.
fn units_until(bin: &Bin, level_us: i64) -> u64 {
    let first_us = midpoint_us(bin.base_us, bin.unit_us, 0);
    if first_us > level_us {
        return 0;
    }
    // Without work per unit, there is no end to what it takes.
    let more = level_us.saturating_sub(first_us).checked_div(bin.unit_us);
    more.map_or(u64::MAX, |more| more.unsigned_abs().saturating_add(1))
}

#[cfg(test)]
mod tests;
