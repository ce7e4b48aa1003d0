//! The invariants of rings, with obvious checkers.

use super::*;
use proptest::prelude::*;

fn servers(targets: usize, per_server: usize) -> Vec<ServerId> {
    (0..targets).map(|target| ServerId((target / per_server) as u32)).collect()
}

fn ring(weights: &[u32], servers: &[ServerId], stripes: usize) -> Ring {
    build(&RingRequest { weights, servers, stripes, order: &[] }).unwrap()
}

/// The obvious check of distinctness: every window at every place.
fn is_distinct(tickets: &[TargetId], window: usize) -> bool {
    (0..tickets.len()).all(|place| {
        let mut seen: Vec<_> = (place..place + window).map(|at| tickets[at % tickets.len()]).collect();
        seen.sort_unstable();
        seen.windows(2).all(|pair| pair[0] != pair[1])
    })
}

fn counts(ring: &Ring, targets: usize) -> Vec<usize> {
    let mut counts = vec![0; targets];
    for ticket in &ring.tickets {
        counts[ticket.index()] += 1;
    }
    counts
}

/// The largest excess of any window over `window × share`, over all owners (targets or servers): the
/// difference of the highest and an earlier lowest prefix, twice around for windows across the end.
fn window_excess(owners: &[usize]) -> f64 {
    let length = owners.len();
    let kinds = owners.iter().max().map_or(0, |most| most + 1);
    let mut worst = 0.0f64;
    for kind in 0..kinds {
        let share = owners.iter().filter(|owner| **owner == kind).count() as f64 / length as f64;
        let (mut lag, mut lowest) = (0.0f64, 0.0f64);
        for owner in owners.iter().chain(owners) {
            lag += f64::from(u8::from(*owner == kind)) - share;
            worst = worst.max(lag - lowest);
            lowest = lowest.min(lag);
        }
    }
    worst
}

/// The obvious twin of [`apportion`]: no cap, each remainder looked at.
fn hamilton(weights: &[u32], length: usize) -> Vec<usize> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let share = |weight: u32| u64::from(weight) * length as u64;
    let mut counts: Vec<usize> = weights.iter().map(|weight| (share(*weight) / sum) as usize).collect();
    let mut given = vec![false; weights.len()];
    while counts.iter().sum::<usize>() < length {
        let free = (0..weights.len()).filter(|place| !given[*place]);
        let best = free.max_by_key(|place| (share(weights[*place]) % sum, Reverse(*place))).unwrap();
        given[best] = true;
        counts[best] += 1;
    }
    counts
}

/// The obvious twin of [`sequence`]: each slot looks at every server and at every ticket of its targets.
fn sequence_twin(
    members: &[Member],
    counts: &[usize],
    length: usize,
    distinct: usize,
    windows: Windows,
) -> Option<Vec<TargetId>> {
    let mut servers = Servers::new(server_sizes(members, counts), length, windows);
    let spacings = Spacing::of(members, counts);
    let mut queues: Vec<Vec<Turn>> = vec![Vec::new(); servers.sizes.len()];
    for (place, (member, count)) in members.iter().zip(counts).enumerate() {
        let turn = |turn| Turn { ideal: spacings[place].ideal(turn), member: place };
        queues[member.server].extend((0..*count as u64).map(turn));
    }
    queues.iter_mut().for_each(|queue| queue.sort_unstable());
    let mut order: Vec<usize> = Vec::new();
    for slot in 0..length {
        let is_free = |member: usize| {
            let places = || order.iter().enumerate().filter(|(_, other)| **other == member);
            places().all(|(place, _)| place + distinct <= slot && slot + distinct <= place + length)
        };
        let urgency = |server: &usize| {
            let released = servers.release(*server) <= slot;
            let due = if released { servers.deadline(*server) } else { servers.release(*server) };
            (!released, due, *server)
        };
        let mut by_urgency: Vec<usize> =
            (0..queues.len()).filter(|server| !queues[*server].is_empty()).collect();
        by_urgency.sort_by_key(urgency);
        let (server, place) = by_urgency.into_iter().find_map(|server| {
            let place = queues[server].iter().position(|turn| is_free(turn.member))?;
            Some((server, place))
        })?;
        order.push(queues[server].remove(place).member);
        servers.turns[server] += 1;
    }
    Some(order.into_iter().map(|member| members[member].target).collect())
}

fn server_of_tickets(ring: &Ring, servers: &[ServerId]) -> Vec<usize> {
    ring.tickets.iter().map(|ticket| servers[ticket.index()].index()).collect()
}

fn check(weights: &[u32], servers: &[ServerId], stripes: usize) {
    let ring = ring(weights, servers, stripes);
    let members = weights.iter().filter(|weight| **weight > 0).count();
    assert_eq!(ring.tickets.len(), members * passes(members));
    let wanted = if members >= 2 * DISTINCT_TICKETS { DISTINCT_TICKETS } else { members.div_ceil(4) };
    assert!(ring.distinct >= stripes.min(DISTINCT_TICKETS).max(wanted).min(members));
    assert!(is_distinct(&ring.tickets, ring.distinct));
    let counts = counts(&ring, weights.len());
    assert!(counts.iter().all(|count| *count <= ring.cap));
    assert!(counts.iter().zip(weights).all(|(count, weight)| *weight > 0 || *count == 0));
    let uncapped = hamilton(weights, ring.tickets.len());
    if uncapped.iter().all(|count| *count < ring.cap) {
        assert_eq!(counts, uncapped);
    }
    let excess = window_excess(&server_of_tickets(&ring, servers));
    assert!(excess < SERVER_EXCESS as f64, "a window holds {excess} tickets of a server above its share");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn invariants_hold_for_any_weights(
        weights in proptest::collection::vec(prop_oneof![1 => Just(0u32), 4 => 1u32..100, 1 => any::<u32>()], 1..120),
        per_server in 1usize..20,
        stripes in 1usize..80,
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        check(&weights, &servers(weights.len(), per_server), stripes);
    }

    #[test]
    fn equal_weights_repeat_with_the_number_of_targets(
        targets in 1usize..300,
        owners in proptest::collection::vec(0u32..12, 300),
        weight in 1u32..,
    ) {
        let servers: Vec<_> = owners[..targets].iter().map(|owner| ServerId(*owner)).collect();
        let ring = ring(&vec![weight; targets], &servers, 4);
        prop_assert!(ring.tickets.iter().zip(&ring.tickets[targets..]).all(|(a, b)| a == b));
        prop_assert_eq!(ring.distinct, targets.min(DISTINCT_TICKETS));
        prop_assert_eq!(counts(&ring, targets), vec![passes(targets); targets]);
        prop_assert!(window_excess(&server_of_tickets(&ring, &servers)) < 2.0);
    }
}

/// Compares [`sequence`] with its twin where `part` quarters of the targets must be distinct.
fn agrees_with_twin(weights: &[u32], owners: &[u32], passes: usize, part: usize) {
    let servers: Vec<_> = owners.iter().map(|owner| ServerId(*owner)).collect();
    let members = members(&RingRequest { weights, servers: &servers, stripes: 1, order: &[] }).unwrap();
    let length = members.len() * passes;
    let distinct = (members.len() * part / 4).max(1);
    let counts = apportion(&members, length, length / distinct);
    for windows in [Windows::Together, Windows::Staggered] {
        assert_eq!(
            sequence(&members, &counts, length, distinct, windows),
            sequence_twin(&members, &counts, length, distinct, windows)
        );
    }
}

/// All servers whose windows are open are blocked, and one goes before its release.
#[test]
fn a_server_goes_early_where_the_others_are_blocked() {
    agrees_with_twin(&[13, 1000, 8, 12, 1, 14], &[0, 2, 1, 1, 0, 3], 5, 3);
    agrees_with_twin(&[1, 2, 1000, 1, 6, 5, 1, 5, 1, 5, 1], &[0, 1, 2, 0, 1, 3, 0, 2, 0, 2, 0], 1, 2);
}

proptest! {
    // Cheap cases, and some of the paths are rare.
    #![proptest_config(ProptestConfig::with_cases(1500))]
    /// Few passes and wide windows, so that targets and servers are often blocked.
    #[test]
    fn sequences_agree_with_looking_at_every_ticket(
        weights in proptest::collection::vec(prop_oneof![Just(1u32), 1u32..20, Just(1000)], 1..24),
        owners in proptest::collection::vec(0u32..5, 24),
        passes in 1usize..6,
        part in 1usize..=4,
    ) {
        agrees_with_twin(&weights, &owners[..weights.len()], passes, part);
    }
}

#[test]
fn bad_requests_are_named() {
    let refused = |weights: &[u32], servers: &[ServerId]| {
        build(&RingRequest { weights, servers, stripes: 1, order: &[] }).unwrap_err()
    };
    assert_eq!(refused(&[], &[]), RingError::NoTarget);
    assert_eq!(refused(&[0, 0], &servers(2, 1)), RingError::NoTarget);
    assert_eq!(refused(&[1], &[]), RingError::Lengths { weights: 1, servers: 0 });
    let found = TARGETS_MAX + 1;
    assert_eq!(refused(&vec![1; found], &servers(found, 8)), RingError::TooMany { found });
}

#[test]
fn the_extremes_build() {
    for targets in [1, 2, 63, 64, 65, 127, 128, 129] {
        check(&vec![1; targets], &servers(targets, 3), 1);
        check(&vec![u32::MAX; targets], &servers(targets, 1), 2000);
        let one_heavy: Vec<u32> = (0..targets).map(|target| if target == 0 { u32::MAX } else { 1 }).collect();
        check(&one_heavy, &servers(targets, 3), 1);
    }
    let most = TARGETS_MAX;
    assert_eq!(ring(&vec![1; most], &servers(most, 8), 1).tickets.len(), most);
}

/// Few servers with many targets, and servers of very different size.
#[test]
fn uneven_shapes_build() {
    let first_of = |targets: usize, first: usize| -> Vec<ServerId> {
        (0..targets).map(|target| ServerId(u32::from(target >= first))).collect()
    };
    let shapes = [
        servers(2016, 288),
        servers(2016, 36),
        servers(2016, 8),
        servers(2016, 2016),
        servers(7 * 1170, 1170),
        servers(2000, 2000),
        first_of(1000, 1),
        first_of(1000, 999),
    ];
    for servers in shapes {
        let targets = servers.len();
        let weights = |weight: fn(usize) -> u32| (0..targets).map(weight).collect::<Vec<_>>();
        check(&weights(|target| 300 + (target as u32 * 7919) % 1500), &servers, 8);
        check(&weights(|target| 1 << (target * 7 % 16)), &servers, 8);
        check(&weights(|target| (target * 31 % 10) as u32), &servers, 8);
        check(&weights(|target| if target == 0 { u32::MAX } else { 1 }), &servers, 8);
        // So many that all targets of one server are often blocked at once.
        check(&weights(|target| if target < 60 { u32::MAX } else { 1 }), &servers, 8);
    }
}

/// A sick target keeps its small share, also where every server has one target only.
#[test]
fn a_sick_target_gets_its_small_share() {
    for per_server in [1, 7, 35] {
        let weights: Vec<u32> = (0..35).map(|target| if target == 3 { 50 } else { 1000 }).collect();
        let ring = ring(&weights, &servers(35, per_server), 4);
        let counts = counts(&ring, 35);
        // 560 tickets × 50 / 34,050 is 0.8.
        assert_eq!(counts[3], 1, "{per_server} targets per server");
        assert!(counts.iter().enumerate().all(|(target, count)| target == 3 || (16..=17).contains(count)));
    }
}

/// Heavy targets, up to the cap, keep their weight where the class needs few stripes.
#[test]
fn weights_up_to_twice_the_mean_are_kept() {
    for per_server in [1, 7, 12] {
        let weights: Vec<u32> = (0..35).map(|target| 500 + (target * 397) % 1000).collect();
        let ring = ring(&weights, &servers(35, per_server), 4);
        assert_eq!(ring.cap, 560 / 18);
        assert_eq!(counts(&ring, 35), hamilton(&weights, 560), "{per_server} targets per server");
    }
}

/// The ranks of a job on a weighted ring, through the encoded table as a client reads it: with
/// gaps in neither ranks nor files, a target gets its share and little more (2.4 tickets where this was
/// written).
#[test]
fn a_job_sees_the_weights_through_the_table() {
    use tarazu_table::{Flags, FsIdentity, Order, Position, RingSpec, Table, TableSpec, encode};
    let mut worst = 0.0f64;
    for (targets, per_server) in [(35usize, 7), (35, 1), (248, 8), (2016, 8)] {
        let weights: Vec<u32> = (0..targets as u32).map(|target| 300 + (target * 7919) % 1500).collect();
        let ring = ring(&weights, &servers(targets, per_server), 4);
        let shares: Vec<f64> =
            counts(&ring, targets).iter().map(|count| *count as f64 / ring.tickets.len() as f64).collect();
        let spec = TableSpec {
            fs: FsIdentity::default(),
            order: Order::default(),
            interval: std::time::Duration::from_secs(5),
            flags: Flags::default(),
            targets: (0..targets as u32).map(tarazu_layout::OstIndex).collect(),
            classes: Vec::new(),
            rings: vec![RingSpec { seed: 1, tickets: ring.tickets }],
            jobs: Vec::new(),
        };
        let bytes = encode(&spec).unwrap();
        let ring = Table::verify(&bytes).unwrap().ring(0).unwrap();
        for (begin, files, stripes) in [(0u64, 100usize, 1usize), (12_345, 3000, 1), (777, 500, 4), (5, 7, 8)]
        {
            let mut load = vec![0.0f64; targets];
            let mut out = [TargetId(0); 8];
            for file in 0..files {
                let position = Position { begin, within: (file * stripes) as u64 };
                ring.pick(position, stripes, stripes, &mut out);
                out[..stripes].iter().for_each(|target| load[target.index()] += 1.0);
            }
            let tickets = (files * stripes) as f64;
            let excess = load.iter().zip(&shares).map(|(load, share)| load - share * tickets);
            worst = worst.max(excess.fold(0.0, f64::max));
        }
    }
    assert!(worst <= 4.0, "{worst} tickets above a target's share");
}
