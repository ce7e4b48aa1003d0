//! The durable store against its twin, a failing disk, and files that were altered.

mod altered;
mod disk;
mod faults;
mod twin;

use super::{DrainIntent, PolicyIntent, Record, RedbStore, ServerEntry, State, Store, TargetEntry};

/// Whether the long tier runs.
fn full() -> bool {
    std::env::var_os("TARAZU_FULL").is_some()
}

fn drain(reason: &str) -> DrainIntent {
    DrainIntent {
        reason: reason.into(),
        until_unix_ns: Some(u64::MAX),
        by: "ops".into(),
        since_unix_ns: 1_790_000_000_000_000_000,
    }
}

/// So many servers with eight targets each.
fn inventory(servers: u32) -> Vec<ServerEntry> {
    let target = |ost| TargetEntry {
        ost,
        capacity_bytes: u64::MAX - u64::from(ost),
        read_bps: 1.1e9 / f64::from(ost + 3),
        write_bps: 0.1 + f64::from(ost),
    };
    let server = |number: u32| ServerEntry {
        server: format!("oss{number:03}"),
        link_bps: 12.5e9,
        enclosure: number.is_multiple_of(2).then_some(number / 2),
        targets: (number * 8..number * 8 + 8).map(target).collect(),
    };
    (0..servers).map(server).collect()
}

/// Writes as a controller makes them: its terms, drains that come and go, and inventories that grow over pages.
fn script() -> Vec<Vec<Record>> {
    let fs = |name: &str| name.to_owned();
    let mut writes = vec![
        vec![Record::Term { fs: fs("scratch"), term: 1 }],
        vec![Record::Inventory { fs: fs("scratch"), inventory: inventory(3) }],
        (0..20).map(|ost| Record::Drain { fs: fs("scratch"), ost, drain: Some(drain("disks")) }).collect(),
        vec![
            Record::Term { fs: fs("a/b"), term: 7 },
            Record::Policy {
                fs: fs("a/b"),
                policy: PolicyIntent { apply: false, canary: true, detect: true },
            },
        ],
        vec![Record::Inventory { fs: fs("scratch"), inventory: inventory(30) }],
        (5..15).map(|ost| Record::Drain { fs: fs("scratch"), ost, drain: None }).collect(),
        vec![Record::Drain { fs: fs("a/b"), ost: 65_534, drain: Some(drain(&"long ".repeat(50))) }],
        vec![Record::Inventory { fs: fs("a/b"), inventory: inventory(12) }],
    ];
    writes.push(vec![
        Record::Term { fs: fs("scratch"), term: 2 },
        Record::Drain { fs: fs("scratch"), ost: 0, drain: None },
        Record::Inventory { fs: fs("scratch"), inventory: inventory(31) },
    ]);
    writes
}

/// The states before the script and after each of its writes.
fn states() -> Vec<State> {
    let mut states = vec![State::default()];
    for records in script() {
        let mut next = states[states.len() - 1].clone();
        next.check(&records).unwrap();
        next.apply(&records);
        states.push(next);
    }
    states
}

/// A store after the whole script.
fn written(mut store: RedbStore) -> RedbStore {
    for records in script() {
        store.write(&records).unwrap();
    }
    store
}

#[test]
fn records_of_a_state_make_it_again() {
    for state in states() {
        let mut again = State::default();
        again.check(&state.records()).unwrap();
        again.apply(&state.records());
        assert_eq!(again, state);
    }
}

#[test]
fn places_terms_and_limits_hold_within_one_write_too() {
    let fs = || String::from("scratch");
    let term = |term| Record::Term { fs: fs(), term };
    let servers = |inventory| Record::Inventory { fs: fs(), inventory };
    let mut swapped = inventory(3);
    swapped.swap(0, 2);
    let state = states().pop().unwrap();
    let text = |records: &[Record]| state.check(records).unwrap_err().to_string();
    assert_eq!(state.check(&[term(2), term(9), term(9), servers(inventory(40))]), Ok(()));
    assert!(text(&[term(1)]).contains("back from 2 to 1"));
    assert!(text(&[term(9), term(8)]).contains("back from 9 to 8"));
    assert!(text(&[term(0)]).contains("from 1"));
    assert!(text(&[servers(inventory(30))]).contains("keep \"oss030\" at place 30"));
    assert!(text(&[servers(inventory(40)), servers(inventory(39))]).contains("oss039"));
    assert!(State::default().check(&[servers(inventory(3)), servers(swapped)]).is_err());
    let mut twice = inventory(40);
    twice[39].server = "oss031".into();
    assert!(text(&[servers(twice)]).contains("listed twice"));
    let many: Vec<Record> =
        (0..20).map(|number| Record::Term { fs: format!("f{number}"), term: 1 }).collect();
    assert!(text(&many).contains("file systems"));
    assert!(text(&vec![term(3); 20_000]).contains("records of one write"));
}
