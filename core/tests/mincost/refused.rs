//! Problems that are refused, with their place and a remedy.

use tarazu_core::mincost::placement::{Group, Problem, Spec};

fn sound() -> Spec {
    Spec {
        distinct: true,
        server_of: vec![0, 1],
        router_of: vec![0, 0],
        server_capacities: vec![5, 5],
        router_capacities: vec![9],
        target_costs: vec![vec![(2, 1), (2, 3)], vec![(4, 2)]],
        server_costs: Vec::new(),
        groups: vec![Group { requests: 2, stripes: 1, pool: Some(vec![0, 1]) }],
    }
}

#[test]
fn each_fault_is_named_with_its_place() {
    assert!(Problem::new(&sound()).is_ok());
    type Change = fn(&mut Spec);
    let rows: [(Change, &str); 16] = [
        (|spec| spec.server_of.push(0), "oss_of has 3 entries, but there are 2 targets"),
        (|spec| spec.server_of[1] = 2, "oss_of[1] is 2, but there are 2 servers"),
        (|spec| spec.router_of[1] = 1, "router_of[1] is 1, but there are 1 routers"),
        (|spec| spec.server_capacities.truncate(1), "oss_cap has 1 entries"),
        (|spec| spec.server_capacities[0] = -3, "oss_cap[0] is -3: a capacity is at least 0"),
        (|spec| spec.router_capacities[0] = -1, "router_cap[0] is -1"),
        (|spec| spec.server_costs = vec![None], "oss_segments has 1 entries"),
        (
            |spec| spec.server_costs = vec![None, Some(vec![(1, 2), (1, 1)])],
            "oss_segments[1][1] has unit cost 1 after 2",
        ),
        (
            |spec| spec.target_costs[0][1].1 = 0,
            "segments[0][1] has unit cost 0 after 1: unit costs must not fall",
        ),
        (|spec| spec.target_costs[1][0].0 = -4, "segments[1][0][0] is -4"),
        (|spec| spec.target_costs[1][0].1 = -4, "segments[1][0][1] is -4: add one constant"),
        (|spec| spec.groups[0].pool = Some(vec![1, 2]), "classes[0].pool[1] is 2, but there are 2 targets"),
        (|spec| spec.groups[0].pool = Some(vec![1, 1]), "classes[0].pool[1] names target 1 a second time"),
        (|spec| spec.groups[0].requests = u64::MAX, "requests, but at most"),
        (
            |spec| (spec.groups[0].requests, spec.groups[0].stripes) = (1 << 20, 1 << 20),
            "stripes of all requests, but at most",
        ),
        (|spec| spec.target_costs[1][0].1 = i64::MAX, "scale the costs down"),
    ];
    for (change, said) in rows {
        let mut spec = sound();
        change(&mut spec);
        let error = Problem::new(&spec).unwrap_err().to_string();
        assert!(error.contains(said), "wanted {said}, got {error}");
    }
}

#[test]
fn capacities_beyond_all_demand_are_fine() {
    let mut spec = sound();
    spec.server_capacities = vec![i64::MAX; 2];
    spec.router_capacities = vec![i64::MAX];
    spec.target_costs[0] = vec![(i64::MAX, 1), (i64::MAX, 2)];
    let problem = Problem::new(&spec).unwrap();
    assert_eq!((problem.demand(), problem.requests(), problem.targets()), (2, 2, 2));
}

#[test]
fn stripes_of_no_request_are_bounded_too() {
    let mut spec = sound();
    spec.groups[0] = Group { requests: 0, stripes: u64::MAX, pool: None };
    assert!(Problem::new(&spec).unwrap_err().to_string().contains("stripes of one request"));
}
