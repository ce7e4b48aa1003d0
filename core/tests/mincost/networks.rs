//! The network simplex against its twin.

use proptest::prelude::*;
use tarazu_core::mincost::network::{Network, NetworkError};

use crate::twin::{self, Arc};

fn network(nodes: usize, arcs: &[Arc]) -> Network {
    let mut network = Network::new(nodes as u32).unwrap();
    for (tail, head, capacity, cost) in arcs {
        network.add_arc(*tail as u32, *head as u32, *capacity, *cost).unwrap();
    }
    network
}

/// Anything may lead anywhere: parallel arcs, loops, arcs into the source, arcs that carry or cost nothing.
fn arcs(nodes: usize) -> impl Strategy<Value = Vec<Arc>> {
    let arc = (
        0..nodes,
        0..nodes,
        prop_oneof![Just(0), 1..4i64, 1..40i64],
        prop_oneof![Just(0), 0..6i64, 0..1000i64],
    );
    prop::collection::vec(arc, 0..40)
}

fn any_network() -> impl Strategy<Value = (usize, Vec<Arc>, i64)> {
    (2usize..10).prop_flat_map(|nodes| (Just(nodes), arcs(nodes), 0i64..60))
}

/// Panics where a flow is no flow, or its cut no proof that it is the largest.
fn check(nodes: usize, arcs: &[Arc], wanted: i64) -> (i64, i64) {
    let flow = network(nodes, arcs).solve(0, nodes as u32 - 1, wanted).unwrap();
    let mut net = vec![0; nodes];
    for ((tail, head, capacity, _), units) in arcs.iter().zip(&flow.by_arc) {
        assert!((0..=*capacity).contains(units));
        net[*tail] += units;
        net[*head] -= units;
    }
    assert_eq!(net[0], flow.value);
    assert_eq!(net[nodes - 1], -flow.value);
    assert!(net[1..nodes - 1].iter().all(|net| *net == 0));
    let cost: i64 = arcs.iter().zip(&flow.by_arc).map(|((.., cost), units)| cost * units).sum();
    assert_eq!(cost, flow.cost);
    if flow.value == wanted {
        assert!(flow.cut.is_empty());
    } else {
        let cut: i64 = flow.cut.iter().map(|arc| arcs[*arc as usize].2).sum();
        assert_eq!(cut, flow.value);
        let left: Vec<Arc> = arcs
            .iter()
            .enumerate()
            .filter(|(arc, _)| !flow.cut.contains(&(*arc as u32)))
            .map(|(_, arc)| *arc)
            .collect();
        assert_eq!(twin::solve(nodes, &left, 0, nodes - 1, 1).0, 0, "nothing passes a cut");
    }
    (flow.value, flow.cost)
}

proptest! {
    #![proptest_config(crate::cases())]

    #[test]
    fn finds_what_successive_shortest_paths_find((nodes, arcs, wanted) in any_network()) {
        prop_assert_eq!(check(nodes, &arcs, wanted), twin::solve(nodes, &arcs, 0, nodes - 1, wanted));
    }
}

#[test]
fn an_unreachable_sink_gets_nothing() {
    assert_eq!(check(3, &[(0, 1, 5, 1), (2, 1, 5, 1)], 4), (0, 0));
    assert_eq!(check(2, &[], 4), (0, 0));
    assert_eq!(check(2, &[(0, 1, 9, 3)], 0), (0, 0));
}

#[test]
fn a_longer_way_is_taken_where_it_makes_room() {
    // The cheapest single path 0-1-2-3 blocks both others; two units must part.
    let arcs = [(0, 1, 1, 1), (0, 2, 1, 5), (1, 2, 1, 0), (1, 3, 1, 5), (2, 3, 1, 1)];
    assert_eq!(check(4, &arcs, 1), (1, 2));
    assert_eq!(check(4, &arcs, 2), (2, 12));
    assert_eq!(check(4, &arcs, 3), (2, 12));
}

#[test]
fn what_does_not_fit_64_bits_is_refused_and_what_fits_is_solved() {
    let large = |capacity, cost| network(2, &[(0, 1, capacity, cost)]).solve(0, 1, capacity);
    assert_eq!(large(1 << 30, 1 << 32).unwrap().cost, 1 << 62);
    assert!(matches!(large(1 << 31, 1 << 32), Err(NetworkError::CostTooLarge { .. })));
    assert!(matches!(large(1, i64::MAX), Err(NetworkError::CostTooLarge { .. })));
    assert_eq!(large(1 << 61, 0).unwrap().value, 1 << 61);
    // Not all that could flow is wanted.
    assert_eq!(network(2, &[(0, 1, i64::MAX, 1 << 40)]).solve(0, 1, 3).unwrap().cost, 3 << 40);
}

#[test]
fn errors_say_what_is_wrong() {
    let mut network = Network::new(2).unwrap();
    assert_eq!(network.add_arc(0, 2, 1, 1), Err(NetworkError::NoSuchNode { node: 2, nodes: 2 }));
    assert_eq!(network.add_arc(0, 1, -1, 1), Err(NetworkError::NegativeCapacity { arc: 0, capacity: -1 }));
    assert_eq!(network.add_arc(0, 1, 1, -1), Err(NetworkError::NegativeCost { arc: 0, cost: -1 }));
    assert_eq!(network.add_arc(0, 1, 1, 1), Ok(0));
    for (sink, wanted) in [(0, 1), (1, -1), (1, i64::MAX)] {
        assert!(
            matches!(network.solve(0, sink, wanted), Err(NetworkError::NoErrand { .. })),
            "{sink} {wanted}"
        );
    }
    assert!(matches!(network.solve(0, 9, 1), Err(NetworkError::NoSuchNode { node: 9, .. })));
    let error = network.solve(0, 0, 1).unwrap_err().to_string();
    assert!(error.contains("two nodes"), "{error}");
    assert!(matches!(Network::new(u32::MAX), Err(NetworkError::TooManyNodes { .. })));
}
