//! Random placement problems: both solvers against single requests and successive shortest paths.

use proptest::prelude::*;
use tarazu_core::mincost::fill::fill;
use tarazu_core::mincost::placement::{Binding, Choice, Group, Problem, Segments, Solver, Spec, place};

use crate::check::{check, dense};
use crate::twin;

fn segments(cost_max: i64) -> impl Strategy<Value = Segments> {
    let segment = (0i64..4, 0..cost_max);
    prop::collection::vec(segment, 0..5).prop_map(|mut segments| {
        segments.sort_by_key(|(_, cost)| *cost);
        segments
    })
}

fn group(targets: usize) -> impl Strategy<Value = Group> {
    let pool = prop::sample::subsequence((0..targets as u32).collect::<Vec<_>>(), 0..=targets).prop_shuffle();
    let pool = prop_oneof![3 => Just(None), 2 => pool.prop_map(Some)];
    (0u64..6, 0u64..5, pool).prop_map(|(requests, stripes, pool)| Group { requests, stripes, pool })
}

/// With few costs there are many ties, with wide capacities all is placed, and without pools filling is tried.
pub(crate) fn specs() -> impl Strategy<Value = Spec> {
    let sizes = (
        1usize..8,
        1usize..4,
        1usize..3,
        prop_oneof![Just(3i64), Just(1000i64)],
        prop_oneof![Just(12i64), Just(100i64)],
    );
    sizes.prop_flat_map(|(targets, servers, routers, cost_max, capacity_max)| {
        let places = (
            prop::collection::vec(0..servers as u32, targets),
            prop::collection::vec(0..routers as u32, servers),
            prop::collection::vec(0..capacity_max, servers),
            prop::collection::vec(0..2 * capacity_max, routers),
        );
        let own = prop::option::of(segments(cost_max));
        let own = prop_oneof![2 => Just(Vec::new()), 1 => prop::collection::vec(own, servers)];
        let costs = (prop::collection::vec(segments(cost_max), targets), own);
        let groups = (prop::collection::vec(group(targets), 0..5), any::<bool>(), any::<bool>());
        (places, costs, groups).prop_map(
            |(places, (target_costs, server_costs), (mut groups, no_pools, distinct))| {
                if no_pools {
                    groups.iter_mut().for_each(|group| group.pool = None);
                }
                let (server_of, router_of, server_capacities, router_capacities) = places;
                Spec {
                    distinct,
                    server_of,
                    router_of,
                    server_capacities,
                    router_capacities,
                    target_costs,
                    server_costs,
                    groups,
                }
            },
        )
    })
}

proptest! {
    #![proptest_config(crate::cases())]

    #[test]
    fn both_solvers_find_the_optimum_of_single_requests(spec in specs()) {
        let problem = Problem::new(&spec).unwrap();
        let (nodes, arcs) = dense(&spec);
        let optimum = twin::solve(nodes, &arcs, 0, nodes - 1, problem.demand().into());
        for choice in [Choice::Auto, Choice::Exact] {
            let placement = place(&problem, choice).unwrap();
            prop_assert_eq!((i64::from(placement.flow), placement.cost), optimum);
            check(&spec, &placement);
        }
        // Filling is never worse than the optimum, which is what makes its valid results optimal.
        let filled = fill(&problem);
        prop_assert!(i64::from(filled.flow) >= optimum.0);
        prop_assert!(i64::from(filled.flow) > optimum.0 || filled.cost <= optimum.1);
        // Where the literature says that filling is exact, it is chosen.
        let wanting = || spec.groups.iter().filter(|group| group.requests * group.stripes > 0);
        let pools = wanting().any(|group| group.pool.is_some());
        let one_count = wanting().all(|group| Some(group.stripes) == wanting().next().map(|first| first.stripes));
        if !pools && (one_count || !spec.distinct) {
            prop_assert_eq!(place(&problem, Choice::Auto).unwrap().solver, Solver::Fill);
        }
    }

    /// Numbers of places carry no meaning: renumbered, a problem costs the same.
    #[test]
    fn numbering_changes_no_cost(spec in specs()) {
        let mut turned = spec.clone();
        let last = spec.target_costs.len() as u32 - 1;
        turned.server_of.reverse();
        turned.target_costs.reverse();
        for target in turned.groups.iter_mut().filter_map(|group| group.pool.as_mut()).flatten() {
            *target = last - *target;
        }
        let solve = |spec: &Spec| place(&Problem::new(spec).unwrap(), Choice::Auto).unwrap();
        let (first, second) = (solve(&spec), solve(&turned));
        prop_assert_eq!((first.flow, first.cost), (second.flow, second.cost));
    }
}

fn one_server(target_costs: Vec<Segments>, groups: Vec<Group>) -> Spec {
    Spec {
        distinct: true,
        server_of: vec![0; target_costs.len()],
        router_of: vec![0],
        server_capacities: vec![1000],
        router_capacities: vec![1000],
        target_costs,
        server_costs: Vec::new(),
        groups,
    }
}

#[test]
fn a_request_has_a_target_once_even_where_it_is_free() {
    let spec =
        one_server(vec![vec![(9, 0)], vec![(9, 5)]], vec![Group { requests: 2, stripes: 2, pool: None }]);
    let placement = place(&Problem::new(&spec).unwrap(), Choice::Auto).unwrap();
    check(&spec, &placement);
    assert_eq!((placement.units_by_target.as_slice(), placement.cost), ([2, 2].as_slice(), 10));
    let more = Spec { groups: vec![Group { requests: 2, stripes: 3, pool: None }], ..spec };
    for choice in [Choice::Auto, Choice::Exact] {
        let placement = place(&Problem::new(&more).unwrap(), choice).unwrap();
        check(&more, &placement);
        assert_eq!(placement.flow, 4);
        assert!(
            placement.binding.iter().all(|binding| matches!(binding, Binding::Distinct { capacity: 2, .. }))
        );
    }
}

#[test]
fn a_servers_own_cost_counts() {
    let mut spec =
        one_server(vec![vec![(9, 1)], vec![(9, 2)]], vec![Group { requests: 4, stripes: 1, pool: None }]);
    spec.server_of = vec![0, 1];
    spec.router_of = vec![0, 0];
    spec.server_capacities = vec![1000, 1000];
    spec.server_costs = vec![Some(vec![(1, 0), (1, 1), (9, 10)]), None];
    for choice in [Choice::Fill, Choice::Exact] {
        let placement = place(&Problem::new(&spec).unwrap(), choice).unwrap();
        check(&spec, &placement);
        // Units cost 1, 2, 11 on the first target and 2 on the second.
        assert_eq!((placement.cost, placement.units_by_target[1] >= 2), (7, true));
    }
}

#[test]
fn nothing_wanted_and_nothing_there_are_no_errors() {
    let empty = Problem::new(&Spec::default()).unwrap();
    assert_eq!(
        (place(&empty, Choice::Auto).unwrap().flow, place(&empty, Choice::Exact).unwrap().flow),
        (0, 0)
    );
    let spec = one_server(vec![Vec::new()], vec![Group { requests: 2, stripes: 1, pool: Some(Vec::new()) }]);
    let placement = place(&Problem::new(&spec).unwrap(), Choice::Exact).unwrap();
    assert_eq!((placement.flow, placement.lists.len()), (0, 2));
}
