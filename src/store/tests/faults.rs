//! The disk fails at every call: what was acknowledged is there, nothing is half there, and no term goes back.

use std::path::Path;

use super::super::StoreError;
use super::disk::{Disk, Fault, Left};
use super::{Record, RedbStore, State, Store, inventory, script, states, written};

/// Runs the script on the disk as far as it goes; how many of its writes were acknowledged. `None` where the store could not
/// even be made.
fn acknowledged(disk: &Disk) -> Option<usize> {
    let mut store = RedbStore::with_backend(disk.clone()).ok()?;
    let states = states();
    let mut acknowledged = 0;
    let mut failed = false;
    for records in script() {
        match store.write(&records) {
            Ok(()) => {
                assert!(
                    !failed,
                    "a write after a failed one was acknowledged on a disk that nobody can trust"
                );
                acknowledged += 1;
            }
            Err(StoreError::Write { .. }) => failed = true,
            Err(other) => panic!("a failing disk gives {other}"),
        }
        // What is in force can always be read, and is what was acknowledged.
        assert_eq!(store.load().unwrap(), states[acknowledged]);
    }
    Some(acknowledged)
}

/// What is left of a store that could not be made. In a folder it has not got its name yet, and is thrown away.
fn check_unmade(image: Vec<u8>, what: &str) {
    match RedbStore::with_backend(Disk::with(image)) {
        Ok(mut store) => assert!(store.load().unwrap().fresh(), "{what}"),
        Err(error) => assert!(matches!(error, StoreError::Damaged { .. }), "{what}: {error}"),
    }
}

/// Opens what is left, and writes once more.
fn check_left(image: Vec<u8>, acknowledged: usize, states: &[State], what: &str) {
    let disk = Disk::with(image);
    let mut store = RedbStore::with_backend(disk.clone())
        .unwrap_or_else(|error| panic!("{what}: what is left cannot be opened: {error}"));
    let state = store.load().unwrap();
    // The write that failed may be there, but then all of it.
    let allowed = &states[acknowledged..states.len().min(acknowledged + 2)];
    let found = allowed.contains(&state);
    assert!(found, "{what}: after {acknowledged} acknowledged writes there is {state:?}");
    let term = state.file_systems.get("scratch").map_or(0, |fs| fs.term);
    store.write(&[Record::Term { fs: "scratch".into(), term: term + 1 }]).unwrap();
    drop(store);
    let state = RedbStore::with_backend(Disk::with(disk.image(Left::Nothing))).unwrap().load().unwrap();
    assert_eq!(state.file_systems["scratch"].term, term + 1, "{what}");
}

/// Calls that the script makes with a sound disk, closing included.
fn calls() -> u64 {
    let disk = Disk::default();
    drop(written(RedbStore::with_backend(disk.clone()).unwrap()));
    let state = RedbStore::with_backend(Disk::with(disk.image(Left::Nothing))).unwrap().load().unwrap();
    assert_eq!(Some(&state), states().last(), "with nothing failing, everything is synced");
    disk.calls()
}

#[test]
fn the_power_may_go_at_every_call() {
    let states = states();
    let calls = calls();
    assert!(calls > 100, "only {calls} calls: too few to mean anything");
    let mut outcomes = vec![0_u32; states.len()];
    for at in 0..calls {
        for fault in [Fault::PowerOff, Fault::Midway] {
            let disk = Disk::failing(at, fault);
            let acknowledged = acknowledged(&disk);
            outcomes[acknowledged.unwrap_or(0)] += 1;
            for (number, left) in Left::ALL.into_iter().enumerate() {
                // The quick tier takes two of the six at each call, and all six over three calls.
                if super::full() || number as u64 % 3 == at % 3 {
                    let what = format!("{fault:?} at call {at} of {calls}, {left:?} left");
                    match acknowledged {
                        Some(acknowledged) => check_left(disk.image(left), acknowledged, &states, &what),
                        None => check_unmade(disk.image(left), &what),
                    }
                }
            }
        }
    }
    assert!(outcomes.iter().all(|times| *times > 0), "the power went after every write: {outcomes:?}");
}

#[test]
fn every_call_may_fail_and_nothing_is_acknowledged_in_vain() {
    let states = states();
    let calls = calls();
    let mut failures = 0;
    for at in 0..calls {
        let disk = Disk::failing(at, Fault::Error);
        let acknowledged = acknowledged(&disk);
        let what = format!("call {at} of {calls} failed");
        let Some(acknowledged) = acknowledged else {
            failures += 1;
            check_unmade(disk.seen(), &what);
            continue;
        };
        failures += u32::from(acknowledged + 1 < states.len());
        // The controller starts again, or the machine does.
        check_left(disk.seen(), acknowledged, &states, &what);
        check_left(disk.image(Left::Nothing), acknowledged, &states, &what);
    }
    // Calls that only read before the first write, and those of closing, hurt nobody.
    assert!(failures > 50, "only {failures} of {calls} failed calls were noticed");
}

#[test]
fn a_full_disk_refuses_and_what_was_said_stays() {
    let disk = Disk::default();
    let mut store = written(RedbStore::with_backend(disk.clone()).unwrap());
    let before = store.load().unwrap();
    disk.limit(Some(disk.bytes()));
    // Until there is no room in the file either.
    let large = |servers| vec![Record::Inventory { fs: "scratch".into(), inventory: inventory(servers) }];
    let mut kept = before.clone();
    let refused = (100..1000).step_by(100).find_map(|servers| match store.write(&large(servers)) {
        Ok(()) => {
            kept.apply(&large(servers));
            None
        }
        Err(error) => Some(error),
    });
    let refused = refused.expect("a disk that does not grow is full at last").to_string();
    assert!(refused.contains("nothing of it is acknowledged"), "{refused}");
    assert_eq!(store.load().unwrap(), kept);
    drop(store);
    disk.limit(None);
    check_left(disk.seen(), 0, &[kept], "full disk");
}

#[test]
fn a_store_in_a_folder_goes_on_in_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("not-there-yet");
    let states = states();
    let disk = Disk::default();
    let mut store = RedbStore::with_backend_at(disk.clone(), Some(missing.join("intent.redb"))).unwrap();
    for (number, records) in script().iter().enumerate() {
        if number == 4 {
            disk.fail_at(disk.calls() + 3, Fault::Error);
            assert!(matches!(store.write(records), Err(StoreError::Write { .. })));
            assert_eq!(store.load().unwrap(), states[number]);
            let still = store.write(records).unwrap_err().to_string();
            assert!(still.contains("told to fail"), "the first reason is told too: {still}");
            std::fs::create_dir(&missing).unwrap();
        }
        store.write(records).unwrap();
        assert_eq!(store.load().unwrap(), states[number + 1]);
    }
    assert!(matches!(RedbStore::open(&missing), Err(StoreError::InUse { .. })), "the new file is locked");
    drop(store);
    assert_eq!(RedbStore::open(&missing).unwrap().load().unwrap(), states[states.len() - 1]);
    assert_eq!(names(&missing), ["intent.redb", "lock"]);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_file_that_was_not_finished_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("intent.redb.new"), "half a").unwrap();
    std::fs::write(folder.path().join("intent.redb"), "").unwrap();
    drop(written(RedbStore::open(folder.path()).unwrap()));
    assert_eq!(names(folder.path()), ["intent.redb", "lock"]);
    assert_eq!(Some(&RedbStore::open(folder.path()).unwrap().load().unwrap()), states().last());
}
