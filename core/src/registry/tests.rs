use super::*;

const WITHIN: Duration = Duration::from_secs(15);

fn claim(server: &str, instance: u64, started: u64, osts: &[u32]) -> Claim {
    let target = |ost: &u32| ClaimedTarget {
        ost: OstIndex(*ost),
        capacity: Bytes(1 << 40),
        read_bps: 1e9,
        write_bps: 1e9,
    };
    Claim {
        server: server.into(),
        instance,
        started_unix_ns: started,
        link_bps: 1e10,
        enclosure: None,
        targets: osts.iter().map(target).collect(),
    }
}

fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

#[test]
fn numbers_stay_whoever_comes_first() {
    let mut registry = Registry::new();
    let second = registry.claim(&claim("b", 1, 1, &[4, 5]), at(0), WITHIN).expect("admitted");
    let first = registry.claim(&claim("a", 2, 1, &[0, 1]), at(0), WITHIN).expect("admitted");
    assert_eq!((second.server, first.server), (ServerId(0), ServerId(1)));
    assert_eq!(first.grown.expect("new targets").targets().len(), 4);
    let again = registry.claim(&claim("b", 1, 1, &[4, 5]), at(1), WITHIN).expect("admitted");
    assert!(again.grown.is_none(), "nothing is new");
    assert_eq!(again.session, second.session, "the same process goes on with its session");
    assert_eq!(registry.target(OstIndex(5)), Some(TargetId(1)));
    assert_eq!(registry.target(OstIndex(9)), None);
    let more = registry.claim(&claim("b", 1, 1, &[4, 5, 7]), at(2), WITHIN).expect("admitted");
    assert_eq!(more.grown.expect("one more").targets()[4].ost, OstIndex(7));
}

#[test]
fn of_two_live_agents_the_later_one_speaks() {
    let mut registry = Registry::new();
    let old = registry.claim(&claim("a", 1, 100, &[0]), at(0), WITHIN).expect("admitted");
    let new = registry.claim(&claim("a", 2, 200, &[0]), at(1), WITHIN).expect("admitted");
    assert_eq!(new.supersedes, Some(1));
    assert!(new.session > old.session);
    assert!(!registry.heard(old.server, old.session, at(2)), "two sources are never mixed");
    assert!(registry.heard(new.server, new.session, at(2)));
    let back = registry.claim(&claim("a", 1, 100, &[0]), at(3), WITHIN);
    assert_eq!(back.expect_err("refused"), ClaimRefused::Superseded { server: "a".into(), by: 2 });
    // The later one is gone: an earlier start is no reason to refuse, a clock may have been put back.
    registry.closed(new.server, new.session);
    let back = registry.claim(&claim("a", 1, 100, &[0]), at(4), WITHIN).expect("admitted");
    assert!(back.session > new.session);
}

#[test]
fn a_frozen_agent_does_not_keep_its_name() {
    let mut registry = Registry::new();
    registry.claim(&claim("a", 1, 200, &[0]), at(0), WITHIN).expect("admitted");
    assert!(registry.claim(&claim("a", 2, 100, &[0]), at(15), WITHIN).is_err());
    assert!(registry.claim(&claim("a", 2, 100, &[0]), at(16), WITHIN).is_ok());
}

#[test]
fn a_target_moves_when_its_server_lets_go_or_is_gone() {
    let mut registry = Registry::new();
    let one = registry.claim(&claim("a", 1, 1, &[0, 1]), at(0), WITHIN).expect("admitted");
    let both = registry.claim(&claim("b", 2, 1, &[1, 2]), at(0), WITHIN).expect("admitted");
    assert_eq!(both.contested, [OstIndex(1)], "a live server keeps its targets");
    registry.claim(&claim("a", 1, 1, &[0]), at(1), WITHIN).expect("admitted");
    let moved = registry.claim(&claim("b", 2, 1, &[1, 2]), at(1), WITHIN).expect("admitted");
    assert!(moved.contested.is_empty());
    let topology = moved.grown.expect("a target has moved");
    assert_eq!(topology.targets()[1].server, both.server);
    // Fail-over of all that a dead server has.
    registry.closed(one.server, one.session);
    let all = registry.claim(&claim("b", 2, 1, &[0, 1, 2]), at(2), WITHIN).expect("admitted");
    assert!(all.contested.is_empty() && all.grown.is_some());
}

#[test]
fn a_next_life_goes_on_with_the_same_numbers() {
    let mut registry = Registry::new();
    registry.claim(&claim("b", 1, 1, &[4]), at(0), WITHIN).expect("admitted");
    registry.claim(&claim("a", 2, 1, &[0, 1]), at(0), WITHIN).expect("admitted");
    let (next, topology) = Registry::restored(&registry.inventory()).expect("restored");
    assert_eq!(topology.expect("a topology").targets().len(), 3);
    assert_eq!(next.inventory(), registry.inventory());
    assert_eq!((next.servers(), next.connected()), (2, 0));
    assert_eq!(next.server_name(ServerId(0)), "b");
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let mut registry = Registry::new();
    registry.claim(&claim("a", 1, 1, &[0]), at(0), WITHIN).expect("admitted");
    let mut bad = claim("b", 1, 1, &[1]);
    bad.targets[0].write_bps = f64::NAN;
    assert!(matches!(registry.claim(&bad, at(0), WITHIN), Err(ClaimRefused::Topology { .. })));
    assert_eq!((registry.servers(), registry.target(OstIndex(1))), (1, None));
}

#[test]
fn a_stream_that_ends_late_does_not_close_its_successor() {
    let mut registry = Registry::new();
    let first = registry.claim(&claim("a", 1, 1, &[0]), at(0), WITHIN).expect("admitted");
    let again = registry.claim(&claim("a", 1, 1, &[0]), at(1), WITHIN).expect("admitted");
    registry.closed(first.server, first.session);
    assert_eq!(registry.connected(), 0);
    assert!(registry.heard(again.server, again.session, at(2)));
    assert_eq!(registry.connected(), 1);
}
