//! The network of a placement problem, with one node for each group of equal requests instead of one for each request.
//!
//! Group → target arcs carry at most as many units as the group has requests: exactly the totals that can be dealt
//! cyclically into lists without a target twice. So nothing is lost, and arcs are fewer by the size of the groups.

use std::ops::Range;

use super::deal::{Hand, Lists, deal_hands};
use super::network::{Network, NetworkError};
use super::placement::Binding;
use super::problem::Problem;

/// The network, and what its arcs stand for.
pub(super) struct Compact<'a> {
    problem: &'a Problem,
    network: Network,
    /// Arcs from groups to targets, group after group.
    pairs: Range<u32>,
    /// First arc of each group's, and the end.
    pairs_from: Vec<u32>,
    /// First arc of each target position's, and the end.
    targets_from: Vec<u32>,
    servers_from: Vec<u32>,
    /// Server and router position of each target position.
    places: Vec<(u32, u32)>,
    /// Group and arc of each pair, target after target.
    pairs_by_target: Vec<(u32, u32)>,
    pairs_by_target_from: Vec<u32>,
}

/// An optimum of the network.
pub(super) struct Optimum {
    pub(super) flow: u32,
    pub(super) cost: i64,
    pub(super) units_by_target: Vec<u32>,
    pub(super) lists: Lists,
    pub(super) binding: Vec<Binding>,
}

impl<'a> Compact<'a> {
    pub(super) fn new(problem: &'a Problem) -> Result<Self, NetworkError> {
        let groups = problem.groups.len() as u32;
        let (targets, servers) = (problem.target_at.len() as u32, problem.server_at.len() as u32);
        let target_node = 1 + groups;
        let server_node = target_node + targets;
        let router_node = server_node + servers;
        let sink = router_node + problem.router_caps.len() as u32;
        let mut network = Network::new(sink + 1)?;
        for (group, merged) in (0u32..).zip(&problem.groups) {
            network.add_arc(0, 1 + group, merged.units.into(), 0)?;
        }
        let mut pairs_from = Vec::with_capacity(problem.groups.len() + 1);
        for (group, merged) in (0u32..).zip(&problem.groups) {
            pairs_from.push(network.arcs().len() as u32);
            let capacity = merged.per_target.into();
            for target in pool(problem, merged.pool.as_deref()) {
                network.add_arc(1 + group, target_node + target, capacity, 0)?;
            }
        }
        pairs_from.push(network.arcs().len() as u32);
        let targets_from = add_targets(&mut network, problem, target_node, server_node)?;
        let mut servers_from = Vec::with_capacity(problem.server_at.len() + 1);
        let router_of =
            (0..problem.router_caps.len()).flat_map(|router| problem.servers_of(router).map(move |_| router));
        for (server, router) in router_of.enumerate() {
            servers_from.push(network.arcs().len() as u32);
            let (tail, head) = (server_node + server as u32, router_node + router as u32);
            add_server(&mut network, problem, server, tail, head)?;
        }
        servers_from.push(network.arcs().len() as u32);
        for (router, cap) in (0u32..).zip(&problem.router_caps) {
            network.add_arc(router_node + router, sink, (*cap).into(), 0)?;
        }
        let pairs = groups..pairs_from.last().copied().unwrap_or(groups);
        let (pairs_by_target, pairs_by_target_from) = by_target(problem, &pairs_from);
        let places = places(problem);
        Ok(Self {
            problem,
            network,
            pairs,
            pairs_from,
            targets_from,
            servers_from,
            places,
            pairs_by_target,
            pairs_by_target_from,
        })
    }

    pub(super) fn solve(&self) -> Result<Optimum, NetworkError> {
        let problem = self.problem;
        let sink = self.network.nodes() - 1;
        let flow = self.network.solve_from(0, sink, problem.demand.into(), self.start())?;
        let mut units_by_target = vec![0u32; problem.target_at.len()];
        let mut hands = Vec::with_capacity(problem.groups.len());
        for (group, merged) in problem.groups.iter().enumerate() {
            let from = self.pairs_from[group] as usize;
            let by_target = pool(problem, merged.pool.as_deref()).zip(&flow.by_arc[from..]);
            let by_target = by_target.map(|(target, units)| (target, *units as u32));
            for (target, units) in by_target.clone() {
                units_by_target[problem.target_at[target as usize] as usize] += units;
            }
            hands.push(Hand::new(problem, merged, by_target));
        }
        Ok(Optimum {
            flow: flow.value as u32,
            cost: flow.cost,
            units_by_target,
            lists: deal_hands(problem, &hands),
            binding: self.binding(&flow.cut),
        })
    }

    /// A flow to begin with: segments of targets in order of their cost, each to the group that may have it and has
    /// the largest share of its units still to place. Near the optimum, and the optimum where groups hardly matter.
    fn start(&self) -> Vec<i64> {
        let problem = self.problem;
        let mut flows = vec![0i64; self.network.capacities().len()];
        let mut placed = vec![0u32; problem.target_at.len()];
        let mut left: Vec<u32> = problem.groups.iter().map(|group| group.units).collect();
        let mut of_servers = problem.server_caps.clone();
        let mut of_routers = problem.router_caps.clone();
        let mut total = problem.demand;
        for (_, target, units) in self.segments_by_cost() {
            let (server, router) = self.places[target as usize];
            let mut room = units.min(of_servers[server as usize]).min(of_routers[router as usize]);
            while room > 0 {
                let Some((group, arc)) = self.best_pair(target, &left, &flows) else { break };
                let most = problem.groups[group].per_target - flows[arc] as u32;
                let taken = room.min(left[group]).min(most);
                flows[arc] += i64::from(taken);
                flows[group] += i64::from(taken);
                left[group] -= taken;
                placed[target as usize] += taken;
                of_servers[server as usize] -= taken;
                of_routers[router as usize] -= taken;
                room -= taken;
                total -= taken;
            }
            if total == 0 {
                break;
            }
        }
        self.pass_on(&placed, &mut flows);
        flows
    }

    /// The group, with its arc, that gets the next units of a target.
    fn best_pair(&self, target: u32, left: &[u32], flows: &[i64]) -> Option<(usize, usize)> {
        let groups = &self.problem.groups;
        let open = self
            .pairs_of_target(target)
            .filter(|(group, arc)| left[*group] > 0 && flows[*arc] < groups[*group].per_target.into());
        // Few groups on a target leave few arcs between empty and full, which a tree has to hold.
        let rank = |(group, arc): &(usize, usize)| {
            (flows[*arc] > 0, f64::from(left[*group]) / f64::from(groups[*group].units))
        };
        open.max_by(|a, b| {
            let (a, b) = (rank(a), rank(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    }

    fn segments_by_cost(&self) -> Vec<(i64, u32, u32)> {
        let targets = (0u32..).take(self.places.len());
        let curves = &self.problem.target_curves;
        let segments = targets
            .flat_map(|target| curves.each(target as usize).map(move |(units, cost)| (cost, target, units)));
        let mut segments: Vec<_> = segments.collect();
        segments.sort_unstable();
        segments
    }

    /// Groups that may use a target position, with their arcs.
    fn pairs_of_target(&self, target: u32) -> impl Iterator<Item = (usize, usize)> {
        let (from, to) =
            (self.pairs_by_target_from[target as usize], self.pairs_by_target_from[target as usize + 1]);
        let pairs = &self.pairs_by_target[from as usize..to as usize];
        pairs.iter().map(|(group, arc)| (*group as usize, *arc as usize))
    }

    /// Units by target position on their way from there to the sink.
    fn pass_on(&self, placed: &[u32], flows: &mut [i64]) {
        let problem = self.problem;
        let first_router = self.servers_from[problem.server_at.len()] as usize;
        for router in 0..problem.router_caps.len() {
            let mut through_router = 0;
            for server in problem.servers_of(router) {
                let mut through = 0;
                for target in problem.targets_of(server) {
                    let units = i64::from(placed[target]);
                    self.put(flows, self.targets_from[target]..self.targets_from[target + 1], units);
                    through += units;
                }
                self.put(flows, self.servers_from[server]..self.servers_from[server + 1], through);
                through_router += through;
            }
            flows[first_router + router] = through_router;
        }
    }

    /// Spreads units over parallel arcs, the cheapest first.
    fn put(&self, flows: &mut [i64], arcs: Range<u32>, units: i64) {
        let mut left = units;
        let arcs = arcs.start as usize..arcs.end as usize;
        let capacities = &self.network.capacities()[arcs.clone()];
        for (flow, capacity) in flows[arcs].iter_mut().zip(capacities) {
            *flow = left.min(*capacity);
            left -= *flow;
        }
    }

    /// What the arcs of a cut stand for, each once. Arcs from the source are no capacity: their requests are served.
    fn binding(&self, cut: &[u32]) -> Vec<Binding> {
        let mut binding: Vec<Binding> = Vec::new();
        for arc in cut {
            let found = self.meaning(*arc);
            if found.is_some() && binding.last() != found.as_ref() {
                binding.extend(found);
            }
        }
        binding
    }

    fn meaning(&self, arc: u32) -> Option<Binding> {
        let place = |from: &[u32]| from.partition_point(|first| *first <= arc) - 1;
        let (first_of_targets, first_of_servers) = (self.pairs.end, self.targets_from.last().copied()?);
        let first_of_routers = self.servers_from.last().copied()?;
        if arc < self.pairs.start {
            return None;
        }
        if arc < first_of_targets {
            let group = place(&self.pairs_from);
            let merged = self.problem.groups.get(group)?;
            let number = arc - self.pairs_from[group];
            let target =
                merged.pool.as_ref().map_or(Some(number), |pool| pool.get(number as usize).copied())?;
            let target = self.problem.target_at[target as usize];
            let capacity = merged.per_target.into();
            return Some(Binding::Distinct { target, class: merged.members.first().copied(), capacity });
        }
        if arc < first_of_servers {
            return Some(Binding::of_target(self.problem, place(&self.targets_from)));
        }
        if arc < first_of_routers {
            return Some(Binding::of_server(self.problem, place(&self.servers_from)));
        }
        let router = arc - first_of_routers;
        Some(Binding::Router { router, capacity: *self.problem.router_capacities.get(router as usize)? })
    }
}

/// Adds the segments of all targets; the first arc of each, and the end.
fn add_targets(
    network: &mut Network,
    problem: &Problem,
    target_node: u32,
    server_node: u32,
) -> Result<Vec<u32>, NetworkError> {
    let mut from = Vec::with_capacity(problem.target_at.len() + 1);
    for (target, (server, _)) in places(problem).into_iter().enumerate() {
        from.push(network.arcs().len() as u32);
        let (tail, head) = (target_node + target as u32, server_node + server);
        for (units, cost) in problem.target_curves.each(target) {
            network.add_arc(tail, head, units.into(), cost)?;
        }
        if problem.target_curves.segments(target) == 0 {
            // So that it can stand in a cut.
            network.add_arc(tail, head, 0, 0)?;
        }
    }
    from.push(network.arcs().len() as u32);
    Ok(from)
}

fn add_server(
    network: &mut Network,
    problem: &Problem,
    server: usize,
    tail: u32,
    head: u32,
) -> Result<(), NetworkError> {
    let Some(own) = problem.own_costs.get(server).and_then(Option::as_ref) else {
        return network.add_arc(tail, head, problem.server_caps[server].into(), 0).map(|_| ());
    };
    let mut left = i64::from(problem.server_caps[server]);
    if own.is_empty() {
        network.add_arc(tail, head, 0, 0)?;
    }
    for (units, cost) in own {
        network.add_arc(tail, head, left.min(*units), *cost)?;
        left -= left.min(*units);
    }
    Ok(())
}

/// Target positions that a group may use.
fn pool<'a>(problem: &Problem, pool: Option<&'a [u32]>) -> impl Iterator<Item = u32> + Clone + use<'a> {
    let all = 0..if pool.is_none() { problem.target_at.len() as u32 } else { 0 };
    all.chain(pool.unwrap_or(&[]).iter().copied())
}

fn places(problem: &Problem) -> Vec<(u32, u32)> {
    let mut places = Vec::with_capacity(problem.target_at.len());
    for router in 0..problem.router_caps.len() {
        for server in problem.servers_of(router) {
            places.extend(problem.targets_of(server).map(|_| (server as u32, router as u32)));
        }
    }
    places
}

/// Group and arc of each pair, target after target, and where those of each target begin.
fn by_target(problem: &Problem, pairs_from: &[u32]) -> (Vec<(u32, u32)>, Vec<u32>) {
    let mut from = vec![0u32; problem.target_at.len() + 1];
    let pairs = || {
        (0u32..).zip(&problem.groups).zip(pairs_from).flat_map(|((group, merged), first)| {
            pool(problem, merged.pool.as_deref())
                .zip(*first..)
                .map(move |(target, arc)| (target, (group, arc)))
        })
    };
    for (target, _) in pairs() {
        from[target as usize + 1] += 1;
    }
    for target in 0..problem.target_at.len() {
        from[target + 1] += from[target];
    }
    let mut places = from.clone();
    let mut sorted = vec![(0, 0); from.last().copied().unwrap_or(0) as usize];
    for (target, pair) in pairs() {
        let place = &mut places[target as usize];
        sorted[*place as usize] = pair;
        *place += 1;
    }
    (sorted, from)
}
