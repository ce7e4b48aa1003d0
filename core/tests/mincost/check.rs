//! What any placement must hold, computed from the problem as given and in the plainest way.

use std::collections::BTreeSet;

use tarazu_core::mincost::placement::{Binding, Placement, Segments, Spec};

use crate::twin::Arc;

/// Cost of so many units; `None` where they do not fit.
pub(crate) fn cost_of(segments: &Segments, units: i64) -> Option<i64> {
    let mut left = units;
    let mut cost = 0;
    for (most, unit_cost) in segments {
        let taken = left.min(*most);
        cost += taken * unit_cost;
        left -= taken;
    }
    (left == 0).then_some(cost)
}

/// Requests of each group: group number and stripes.
fn requests(spec: &Spec) -> Vec<(usize, usize)> {
    let of_group = |(number, group): (usize, &tarazu_core::mincost::placement::Group)| {
        std::iter::repeat_n((number, group.stripes as usize), group.requests as usize)
    };
    spec.groups.iter().enumerate().flat_map(of_group).collect()
}

/// Panics where a placement is not valid or not what it says.
pub(crate) fn check(spec: &Spec, placement: &Placement) {
    let targets = spec.target_costs.len();
    let requests = requests(spec);
    assert_eq!(placement.lists.len(), requests.len(), "a list for each request");
    let mut units = vec![0i64; targets];
    for (list, (group, stripes)) in placement.lists.iter().zip(&requests) {
        assert!(list.len() <= *stripes, "{} targets for {stripes} stripes", list.len());
        let different: BTreeSet<_> = list.iter().collect();
        assert!(!spec.distinct || different.len() == list.len(), "a target twice: {list:?}");
        for target in list {
            let pool = &spec.groups[*group].pool;
            assert!(
                pool.as_ref().is_none_or(|pool| pool.contains(target)),
                "{target} is not in the pool of {group}"
            );
            units[*target as usize] += 1;
        }
    }
    let reported: Vec<i64> = placement.units_by_target.iter().map(|units| i64::from(*units)).collect();
    assert_eq!(units, reported, "units by target");
    assert_eq!(units.iter().sum::<i64>(), i64::from(placement.flow), "flow");
    let mut by_server = vec![0; spec.router_of.len()];
    let mut by_router = vec![0; spec.router_capacities.len()];
    let mut cost = 0;
    for (target, units) in units.iter().enumerate() {
        let server = spec.server_of[target] as usize;
        by_server[server] += units;
        by_router[spec.router_of[server] as usize] += units;
        cost += cost_of(&spec.target_costs[target], *units).expect("within the target's capacity");
    }
    for (server, units) in by_server.iter().enumerate() {
        assert!(*units <= spec.server_capacities[server], "server {server}");
        if let Some(Some(segments)) = spec.server_costs.get(server) {
            cost += cost_of(segments, *units).expect("within the server's segments");
        }
    }
    assert!(
        by_router.iter().zip(&spec.router_capacities).all(|(units, capacity)| units <= capacity),
        "routers"
    );
    assert_eq!(cost, placement.cost, "cost");
    let demand = spec.groups.iter().map(|group| group.requests * group.stripes).sum::<u64>();
    if u64::from(placement.flow) == demand {
        assert!(placement.binding.is_empty(), "all is placed: {:?}", placement.binding);
    } else {
        assert_eq!(
            most_behind(spec, &placement.binding),
            i64::from(placement.flow),
            "{:?}",
            placement.binding
        );
    }
}

/// Most units that any placement can bring past the binding capacities: what they let through, and all that is wanted
/// by groups with a way round them.
fn most_behind(spec: &Spec, binding: &[Binding]) -> i64 {
    let shut = |target: usize, group: usize| {
        let server = spec.server_of[target];
        let router = spec.router_of[server as usize];
        binding.iter().any(|binding| match *binding {
            Binding::Target { target: shut, .. } => shut as usize == target,
            Binding::Server { server: shut, .. } => shut == server,
            Binding::Router { router: shut, .. } => shut == router,
            Binding::Distinct { target: shut, class, .. } => {
                let alike = |class: u32| alike(spec, class as usize, group);
                shut as usize == target && class.is_none_or(alike)
            }
        })
    };
    let through = binding.iter().map(|binding| match binding {
        Binding::Target { capacity, .. }
        | Binding::Server { capacity, .. }
        | Binding::Router { capacity, .. }
        | Binding::Distinct { capacity, .. } => *capacity,
    });
    let all: Vec<u32> = (0..spec.target_costs.len() as u32).collect();
    let round = spec.groups.iter().enumerate().filter(|(number, group)| {
        let pool = group.pool.as_ref().unwrap_or(&all);
        pool.iter().any(|target| !shut(*target as usize, *number))
    });
    through.sum::<i64>() + round.map(|(_, group)| (group.requests * group.stripes) as i64).sum::<i64>()
}

/// Whether two groups want the same: stripes, and a pool that means the same.
fn alike(spec: &Spec, one: usize, other: usize) -> bool {
    let wanting = || spec.groups.iter().filter(|group| group.requests * group.stripes > 0);
    let all: BTreeSet<u32> = if wanting().any(|group| group.pool.is_none()) {
        (0..spec.target_costs.len() as u32).collect()
    } else {
        wanting().flat_map(|group| group.pool.iter().flatten().copied()).collect()
    };
    let pool = |group: usize| -> BTreeSet<u32> {
        spec.groups[group].pool.as_ref().map_or_else(|| all.clone(), |pool| pool.iter().copied().collect())
    };
    spec.groups[one].stripes == spec.groups[other].stripes && pool(one) == pool(other)
}

/// The network with a node for each single request, as the literature draws it; source 0, sink last.
pub(crate) fn dense(spec: &Spec) -> (usize, Vec<Arc>) {
    let requests = requests(spec);
    let (targets, servers) = (spec.target_costs.len(), spec.router_of.len());
    let target_node = 1 + requests.len();
    let server_node = target_node + targets;
    let router_node = server_node + servers;
    let sink = router_node + spec.router_capacities.len();
    let mut arcs = Vec::new();
    for (request, (group, stripes)) in requests.iter().enumerate() {
        let stripes = *stripes as i64;
        arcs.push((0, 1 + request, stripes, 0));
        let pool = &spec.groups[*group].pool;
        for target in
            (0..targets).filter(|target| pool.as_ref().is_none_or(|pool| pool.contains(&(*target as u32))))
        {
            arcs.push((
                1 + request,
                target_node + target,
                if spec.distinct { stripes.min(1) } else { stripes },
                0,
            ));
        }
    }
    for (target, segments) in spec.target_costs.iter().enumerate() {
        let server = server_node + spec.server_of[target] as usize;
        arcs.extend(segments.iter().map(|(units, cost)| (target_node + target, server, *units, *cost)));
    }
    for server in 0..servers {
        let router = router_node + spec.router_of[server] as usize;
        let mut left = spec.server_capacities[server];
        let free = vec![(left, 0)];
        for (units, cost) in spec.server_costs.get(server).cloned().flatten().unwrap_or(free) {
            arcs.push((server_node + server, router, units.min(left), cost));
            left -= units.min(left);
        }
    }
    for (router, capacity) in spec.router_capacities.iter().enumerate() {
        arcs.push((router_node + router, sink, *capacity, 0));
    }
    (sink + 1, arcs)
}
