//! The placement problem: what it says, its limits, and what its checks make of it.
//!
//! This module owns the check of everything foreign; behind it indices exist, sums fit and costs are convex. It solves
//! nothing.

use std::collections::BTreeMap;

use thiserror::Error;

use super::curves::Curves;
use super::network::ARCS_MAX;

/// Most targets, servers or routers: thirty times the largest file systems of today.
pub const PLACES_MAX: usize = 1 << 16;

/// Most stripes asked for, and most requests: their lists must fit into memory (64 MiB of target numbers).
pub const UNITS_MAX: u64 = 1 << 24;

/// Most request groups as given; equal ones are merged.
pub const GROUPS_MAX: usize = 1 << 16;

/// Largest worst case of the total cost, so that it and the sums on the way to it fit 64 bits.
pub const COST_MAX: i64 = i64::MAX / 16;

/// A convex cost as segments: so many units at a unit cost each, with unit costs that do not fall.
pub type Segments = Vec<(i64, i64)>;

/// A problem as it is given, unchecked. Targets, servers and routers are numbered from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// Whether a request may have at most one stripe on a target.
    pub distinct: bool,
    /// Server of each target.
    pub server_of: Vec<u32>,
    /// Router of each server.
    pub router_of: Vec<u32>,
    /// Most stripes through each server.
    pub server_capacities: Vec<i64>,
    /// Most stripes through each router.
    pub router_capacities: Vec<i64>,
    /// What stripes on each target cost; the units of its segments are its capacity.
    pub target_costs: Vec<Segments>,
    /// What stripes through each server cost on top; `None` costs nothing. Their units bound the server as well.
    /// Empty where no server costs anything.
    pub server_costs: Vec<Option<Segments>>,
    /// Groups of equal requests.
    pub groups: Vec<Group>,
}

/// Equal requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// How many.
    pub requests: u64,
    /// Stripes that each wants.
    pub stripes: u64,
    /// Targets that may be used; `None` for all.
    pub pool: Option<Vec<u32>>,
}

/// Why a problem was refused. Places are named as in the JSON schema `tarazu-flow/1`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProblemError {
    /// A list that is longer or shorter than what it describes.
    #[error("{list} has {length} entries, but there are {wanted} {of}: give one for each")]
    Length {
        /// Name of the list.
        list: &'static str,
        /// Its entries.
        length: usize,
        /// Entries it should have.
        wanted: usize,
        /// What each entry stands for.
        of: &'static str,
    },
    /// A number of something that does not exist.
    #[error("{place} is {index}, but there are {count} {of}, numbered from 0")]
    NoSuch {
        /// Where it stands.
        place: String,
        /// The number.
        index: u32,
        /// How many there are.
        count: usize,
        /// Of what.
        of: &'static str,
    },
    /// An amount or cost below 0.
    #[error("{place} is {value}: {remedy}")]
    Negative {
        /// Where it stands.
        place: String,
        /// The value.
        value: i64,
        /// What to do.
        remedy: &'static str,
    },
    /// A unit cost below the one before it.
    #[error(
        "{place} has unit cost {cost} after {before}: unit costs must not fall, sort or merge the segments"
    )]
    NotConvex {
        /// Where it stands.
        place: String,
        /// The cost.
        cost: i64,
        /// That of the segment before.
        before: i64,
    },
    /// A target that stands twice in one pool.
    #[error("{place} names target {target} a second time: name each target of a pool once")]
    Twice {
        /// Where it stands.
        place: String,
        /// The target.
        target: u32,
    },
    /// More of something than is supported.
    #[error("{count} {what}, but at most {limit} are supported: split the problem")]
    TooMany {
        /// What.
        what: &'static str,
        /// How many.
        count: u64,
        /// Limit.
        limit: u64,
    },
    /// Costs whose sums could leave 64 bits.
    #[error("{demand} stripes at up to {cost} each may cost more than {COST_MAX}: scale the costs down")]
    CostTooLarge {
        /// Stripes asked for.
        demand: u64,
        /// Largest cost of one stripe.
        cost: i64,
    },
}

/// Equal requests, merged from all groups that want the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) requests: u32,
    /// All stripes that they want together.
    pub(super) units: u32,
    /// Most stripes of them on one target.
    pub(super) per_target: u32,
    /// Positions of the targets that may be used, ascending; `None` for all that any request may use.
    pub(super) pool: Option<Vec<u32>>,
    /// Groups as given.
    pub(super) members: Vec<u32>,
}

/// A problem that has been checked.
///
/// Servers are held in order of their routers and targets in order of their servers, so that whatever lies below
/// a router or server is one range; `*_at` leads from such a position to the number in the problem. Unit counts
/// beyond what can be asked for are cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(super) distinct: bool,
    pub(super) target_at: Vec<u32>,
    pub(super) server_at: Vec<u32>,
    /// First target position of each server position, and the end.
    pub(super) targets_from: Vec<u32>,
    /// First server position of each router, and the end.
    pub(super) servers_from: Vec<u32>,
    pub(super) target_curves: Curves,
    /// Curves of servers with a cost of their own; empty for others.
    pub(super) server_curves: Curves,
    /// Whether a server position has a cost of its own; empty where none has.
    pub(super) priced: Vec<bool>,
    /// Those costs alone, by server position.
    pub(super) own_costs: Vec<Option<Segments>>,
    pub(super) server_caps: Vec<u32>,
    pub(super) router_caps: Vec<u32>,
    /// As given, by number: what is reported.
    pub(super) target_capacities: Vec<i64>,
    pub(super) server_capacities: Vec<i64>,
    pub(super) router_capacities: Vec<i64>,
    pub(super) groups: Vec<Merged>,
    /// Requests and stripes of each group as given.
    pub(super) given: Vec<(u32, u32)>,
    pub(super) requests: u32,
    pub(super) demand: u32,
}

impl Problem {
    /// Checks a problem.
    ///
    /// # Errors
    /// The first thing found wrong, with its place and what to do.
    pub fn new(spec: &Spec) -> Result<Self, ProblemError> {
        check_places(spec)?;
        check_costs(spec)?;
        let (requests, demand) = check_groups(spec)?;
        check_sums(spec, demand)?;
        Ok(arrange(spec, requests, demand))
    }

    /// Stripes that all requests want together.
    #[must_use]
    pub fn demand(&self) -> u32 {
        self.demand
    }

    /// Number of requests.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Number of targets.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.target_at.len()
    }

    /// Whether a server position has a cost of its own.
    pub(super) fn is_priced(&self, server: usize) -> bool {
        self.priced.get(server).copied().unwrap_or(false)
    }

    /// Target positions below a server position.
    pub(super) fn targets_of(&self, server: usize) -> std::ops::Range<usize> {
        self.targets_from[server] as usize..self.targets_from[server + 1] as usize
    }

    /// Server positions below a router.
    pub(super) fn servers_of(&self, router: usize) -> std::ops::Range<usize> {
        self.servers_from[router] as usize..self.servers_from[router + 1] as usize
    }
}

fn check_places(spec: &Spec) -> Result<(), ProblemError> {
    let (targets, servers) = (spec.target_costs.len(), spec.router_of.len());
    let routers = spec.router_capacities.len();
    for (what, count) in [("targets", targets), ("servers", servers), ("routers", routers)] {
        within(what, count as u64, PLACES_MAX as u64)?;
    }
    length("oss_of", spec.server_of.len(), targets, "targets (segments)")?;
    length("oss_cap", spec.server_capacities.len(), servers, "servers (router_of)")?;
    if !spec.server_costs.is_empty() {
        length("oss_segments", spec.server_costs.len(), servers, "servers (router_of)")?;
    }
    exist("oss_of", &spec.server_of, servers, "servers")?;
    exist("router_of", &spec.router_of, routers, "routers")?;
    for (list, values) in [("oss_cap", &spec.server_capacities), ("router_cap", &spec.router_capacities)] {
        if let Some(index) = values.iter().position(|capacity| *capacity < 0) {
            let place = format!("{list}[{index}]");
            return Err(ProblemError::Negative {
                place,
                value: values[index],
                remedy: "a capacity is at least 0",
            });
        }
    }
    Ok(())
}

fn check_costs(spec: &Spec) -> Result<(), ProblemError> {
    let mut count = 0;
    for (target, segments) in spec.target_costs.iter().enumerate() {
        count += segments.len();
        check_segments("segments", target, segments)?;
    }
    for (server, segments) in spec.server_costs.iter().enumerate() {
        let Some(segments) = segments else { continue };
        count += segments.len();
        check_segments("oss_segments", server, segments)?;
    }
    within("cost segments", count as u64, ARCS_MAX as u64 / 4)
}

fn check_segments(list: &str, thing: usize, segments: &[(i64, i64)]) -> Result<(), ProblemError> {
    let mut before = 0;
    for (number, (units, cost)) in segments.iter().enumerate() {
        if *units < 0 {
            let place = format!("{list}[{thing}][{number}][0]");
            return Err(ProblemError::Negative { place, value: *units, remedy: "units are at least 0" });
        }
        if *cost < 0 {
            let remedy = "add one constant to all unit costs so that none is below 0";
            return Err(ProblemError::Negative {
                place: format!("{list}[{thing}][{number}][1]"),
                value: *cost,
                remedy,
            });
        }
        if *cost < before {
            let place = format!("{list}[{thing}][{number}]");
            return Err(ProblemError::NotConvex { place, cost: *cost, before });
        }
        before = *cost;
    }
    Ok(())
}

/// Requests and stripes of all groups.
fn check_groups(spec: &Spec) -> Result<(u32, u32), ProblemError> {
    within("classes", spec.groups.len() as u64, GROUPS_MAX as u64)?;
    let targets = spec.target_costs.len();
    let (mut requests, mut demand, mut arcs) = (0u64, 0u64, 0u64);
    let mut last_pool = vec![u32::MAX; targets];
    for (number, group) in spec.groups.iter().enumerate() {
        requests = requests.saturating_add(group.requests);
        demand = demand.saturating_add(group.requests.saturating_mul(group.stripes));
        arcs += group.pool.as_ref().map_or(targets, Vec::len) as u64;
        for (entry, target) in group.pool.iter().flatten().enumerate() {
            let place = || format!("classes[{number}].pool[{entry}]");
            let Some(last) = last_pool.get_mut(*target as usize) else {
                let (index, count) = (*target, targets);
                return Err(ProblemError::NoSuch { place: place(), index, count, of: "targets" });
            };
            if *last == number as u32 {
                return Err(ProblemError::Twice { place: place(), target: *target });
            }
            *last = number as u32;
        }
    }
    within("requests", requests, UNITS_MAX)?;
    within("stripes of all requests", demand, UNITS_MAX)?;
    // One request may want no stripe; one stripe count alone must fit as well.
    let largest = spec.groups.iter().map(|group| group.stripes).max().unwrap_or(0);
    within("stripes of one request", largest, UNITS_MAX)?;
    within("pairs of class and target", arcs, ARCS_MAX as u64 / 4)?;
    Ok((requests as u32, demand as u32))
}

/// Sums of costs, here and in the network that the exact solver makes, fit 64 bits.
fn check_sums(spec: &Spec, demand: u32) -> Result<(), ProblemError> {
    let last = |segments: &Segments| segments.last().map_or(0, |(_, cost)| *cost);
    let target = spec.target_costs.iter().map(last).max().unwrap_or(0);
    let server = spec.server_costs.iter().flatten().map(last).max().unwrap_or(0);
    let nodes =
        spec.target_costs.len() + spec.router_of.len() + spec.router_capacities.len() + spec.groups.len() + 2;
    let cost = target.saturating_add(server);
    let times = (nodes as i128).max(i128::from(demand)).max(1);
    // No path has more than two arcs that cost.
    if i128::from(cost) * times * 2 > i128::from(COST_MAX) {
        return Err(ProblemError::CostTooLarge { demand: demand.into(), cost });
    }
    Ok(())
}

fn within(what: &'static str, count: u64, limit: u64) -> Result<(), ProblemError> {
    if count > limit { Err(ProblemError::TooMany { what, count, limit }) } else { Ok(()) }
}

fn length(list: &'static str, length: usize, wanted: usize, of: &'static str) -> Result<(), ProblemError> {
    if length == wanted { Ok(()) } else { Err(ProblemError::Length { list, length, wanted, of }) }
}

fn exist(list: &str, indices: &[u32], count: usize, of: &'static str) -> Result<(), ProblemError> {
    match indices.iter().position(|index| *index as usize >= count) {
        Some(at) => {
            Err(ProblemError::NoSuch { place: format!("{list}[{at}]"), index: indices[at], count, of })
        }
        None => Ok(()),
    }
}

/// The checked problem in the order that solving needs.
fn arrange(spec: &Spec, requests: u32, demand: u32) -> Problem {
    let (server_at, servers_from) = by_parent(&spec.router_of, spec.router_capacities.len());
    let server_position = inverse(&server_at);
    let server_of: Vec<u32> = spec.server_of.iter().map(|server| server_position[*server as usize]).collect();
    let (target_at, targets_from) = by_parent(&server_of, server_at.len());
    let target_position = inverse(&target_at);
    let (groups, usable) = merge(spec, &target_position);
    let bounds = bounds(spec.distinct, &groups, &usable, demand);
    let whole = spec.target_costs.iter().map(Vec::len).sum();
    let mut target_curves = Curves::with_capacity(target_at.len(), whole);
    for (target, bound) in target_at.iter().zip(&bounds) {
        target_curves.push(given_segments(&spec.target_costs[*target as usize]), *bound);
    }
    let clamp = |capacity: &i64| u32::try_from(*capacity).map_or(demand, |capacity| capacity.min(demand));
    let capacity =
        |segments: &Segments| segments.iter().fold(0i64, |sum, (units, _)| sum.saturating_add(*units));
    let mut server_capacities = spec.server_capacities.clone();
    for (server, segments) in server_capacities.iter_mut().zip(&spec.server_costs) {
        *server = segments.as_ref().map_or(*server, |segments| capacity(segments).min(*server));
    }
    let mut problem = Problem {
        distinct: spec.distinct,
        server_caps: server_at.iter().map(|server| clamp(&server_capacities[*server as usize])).collect(),
        router_caps: spec.router_capacities.iter().map(clamp).collect(),
        target_capacities: spec.target_costs.iter().map(capacity).collect(),
        router_capacities: spec.router_capacities.clone(),
        given: spec.groups.iter().map(|group| (group.requests as u32, group.stripes as u32)).collect(),
        target_at,
        server_at,
        targets_from,
        servers_from,
        target_curves,
        server_curves: Curves::default(),
        priced: Vec::new(),
        own_costs: Vec::new(),
        server_capacities,
        groups,
        requests,
        demand,
    };
    price_servers(&mut problem, spec);
    problem
}

fn given_segments(segments: &[(i64, i64)]) -> impl Iterator<Item = (u64, i64)> {
    segments.iter().map(|(units, cost)| (units.unsigned_abs(), *cost))
}

/// Children in order of their parents, and where the children of each parent begin.
fn by_parent(parent_of: &[u32], parents: usize) -> (Vec<u32>, Vec<u32>) {
    let mut from = vec![0u32; parents + 1];
    for parent in parent_of {
        from[*parent as usize + 1] += 1;
    }
    for parent in 0..parents {
        from[parent + 1] += from[parent];
    }
    let mut places = from.clone();
    let mut order = vec![0; parent_of.len()];
    for (child, parent) in (0u32..).zip(parent_of) {
        let place = &mut places[*parent as usize];
        order[*place as usize] = child;
        *place += 1;
    }
    (order, from)
}

fn inverse(order: &[u32]) -> Vec<u32> {
    let mut positions = vec![0; order.len()];
    for (position, number) in (0u32..).zip(order) {
        positions[*number as usize] = position;
    }
    positions
}

fn positioned(usable: &[bool], target_position: &[u32]) -> Vec<bool> {
    let mut by_position = vec![false; usable.len()];
    for (position, usable) in target_position.iter().zip(usable) {
        by_position[*position as usize] = *usable;
    }
    by_position
}

/// Groups that want something, equal ones together, and whether each target position may be used by anybody.
/// A pool of all targets that anybody may use is no pool.
fn merge(spec: &Spec, target_position: &[u32]) -> (Vec<Merged>, Vec<bool>) {
    let wanting = || (0u32..).zip(&spec.groups).filter(|(_, group)| group.requests > 0 && group.stripes > 0);
    let mut usable = vec![false; target_position.len()];
    for (_, group) in wanting() {
        match &group.pool {
            None => usable.fill(true),
            Some(pool) => pool.iter().for_each(|target| usable[*target as usize] = true),
        }
    }
    let all = usable.iter().filter(|usable| **usable).count();
    let mut known: BTreeMap<(Option<Vec<u32>>, u64), usize> = BTreeMap::new();
    let mut groups: Vec<Merged> = Vec::new();
    for (number, group) in wanting() {
        let pool = group.pool.as_ref().filter(|pool| pool.len() < all);
        let pool = pool.map(|pool| {
            let mut positions: Vec<u32> =
                pool.iter().map(|target| target_position[*target as usize]).collect();
            positions.sort_unstable();
            positions
        });
        // Without distinctness only the units of a pool matter.
        let stripes = if spec.distinct { group.stripes } else { 0 };
        let (requests, units) = (group.requests as u32, (group.requests * group.stripes) as u32);
        let number_of = *known.entry((pool.clone(), stripes)).or_insert(groups.len());
        if number_of == groups.len() {
            groups.push(Merged { requests: 0, units: 0, per_target: 0, pool, members: Vec::new() });
        }
        let merged = &mut groups[number_of];
        merged.requests += requests;
        merged.units += units;
        merged.per_target = if spec.distinct { merged.requests } else { merged.units };
        merged.members.push(number);
    }
    (groups, positioned(&usable, target_position))
}

/// Most units that any placement puts on each target position, by the requests alone.
fn bounds(distinct: bool, groups: &[Merged], usable: &[bool], demand: u32) -> Vec<u32> {
    let mut bounds = vec![0u32; usable.len()];
    for group in groups {
        let most = if distinct { group.requests } else { group.units };
        match &group.pool {
            None => bounds.iter_mut().for_each(|bound| *bound += most),
            Some(pool) => pool.iter().for_each(|target| bounds[*target as usize] += most),
        }
    }
    for (bound, usable) in bounds.iter_mut().zip(usable) {
        *bound = if *usable { (*bound).min(demand) } else { 0 };
    }
    bounds
}

/// Servers with a cost of their own: what their next unit costs, on the best of their targets and on them together.
fn price_servers(problem: &mut Problem, spec: &Spec) {
    if spec.server_costs.iter().all(Option::is_none) {
        return;
    }
    let servers = problem.server_at.len();
    let mut curves = Curves::with_capacity(servers, 0);
    for server in 0..servers {
        let Some(own) = &spec.server_costs[problem.server_at[server] as usize] else {
            curves.push(std::iter::empty(), 0);
            continue;
        };
        let targets = problem.targets_of(server);
        let mut below: Vec<(i64, u64)> = targets
            .flat_map(|target| problem.target_curves.each(target).map(|(units, cost)| (cost, units.into())))
            .collect();
        below.sort_unstable();
        let cap = problem.server_caps[server];
        curves.push(sum_of_marginals(&below, own).into_iter(), cap);
    }
    let own_costs = problem.server_at.iter().map(|server| spec.server_costs[*server as usize].clone());
    problem.own_costs = own_costs.collect();
    problem.priced = problem.own_costs.iter().map(Option::is_some).collect();
    problem.server_curves = curves;
}

/// Two ascending lists of marginal costs as one of their sums; ends with the shorter.
fn sum_of_marginals(below: &[(i64, u64)], own: &[(i64, i64)]) -> Vec<(u64, i64)> {
    let mut sums = Vec::with_capacity(below.len() + own.len());
    let mut own = given_segments(own);
    let mut left = (0, 0);
    for (cost, units) in below {
        let mut units = *units;
        while units > 0 {
            if left.0 == 0 {
                let Some(next) = own.next() else { return sums };
                left = next;
                continue;
            }
            let both = units.min(left.0);
            sums.push((both, cost + left.1));
            units -= both;
            left.0 -= both;
        }
    }
    sums
}
