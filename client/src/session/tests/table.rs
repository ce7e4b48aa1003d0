//! Tables that are not there, or not to be trusted: creates go on, with the right reason.

use super::*;
use crate::testing::{FS, START_NS, chmod, published};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn lustre() -> (Place, Fake) {
    let place = Place::new().with_lustre();
    let fake = Fake::new(&place, true);
    (place, fake)
}

/// The reason for a file in this place.
fn why(place: &Place, fake: &Fake) -> Option<Why> {
    make(&place.session(fake.clone()), place, "file").0
}

fn remake(place: &Place) {
    let _ = std::fs::remove_file(place.at("fs/file"));
}

#[test]
fn no_table() {
    let (place, fake) = lustre();
    let none = Some(Why::Table(Reason::NoTable));
    assert_eq!(why(&place, &fake), none);
    remake(&place);
    std::fs::remove_dir_all(place.at("run")).unwrap();
    assert_eq!(why(&place, &fake), none);
}

#[test]
fn files_that_may_not_be_trusted() {
    let refused = Some(Why::Table(Reason::Refused));
    type Case = (&'static str, fn(&Place));
    let change: [Case; 8] = [
        ("link", |place| {
            std::fs::rename(place.table(), place.at("elsewhere")).unwrap();
            std::os::unix::fs::symlink(place.at("elsewhere"), place.table()).unwrap();
        }),
        ("pipe", |place| {
            std::fs::remove_file(place.table()).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(place.table()).status().unwrap().success());
        }),
        ("folder", |place| {
            std::fs::remove_file(place.table()).unwrap();
            std::fs::create_dir(place.table()).unwrap();
        }),
        ("writable by all", |place| chmod(&place.table(), 0o646)),
        ("writable by the group", |place| chmod(&place.table(), 0o664)),
        ("folder writable by all", |place| chmod(&place.at("run/scratch"), 0o777)),
        ("too large", |place| std::fs::write(place.table(), vec![0; 128 * 1024 + 1]).unwrap()),
        ("folder is a link", |place| {
            std::fs::rename(place.at("run/scratch"), place.at("run/other")).unwrap();
            std::os::unix::fs::symlink("other", place.at("run/scratch")).unwrap();
        }),
    ];
    for (name, change) in change {
        let (place, fake) = lustre();
        place.publish(&spec(2));
        change(&place);
        assert_eq!(why(&place, &fake), refused, "{name}");
    }
}

#[test]
fn a_foreign_owner() {
    let (place, fake) = lustre();
    place.publish(&spec(2));
    if Kernel.euid() == 0 {
        std::os::unix::fs::chown(place.table(), Some(12345), None).unwrap();
    } else {
        fake.set_euid(12345);
    }
    assert_eq!(why(&place, &fake), Some(Why::Table(Reason::Refused)));
}

#[test]
fn damaged_tables() {
    let (place, fake) = lustre();
    let sound = place.publish(&spec(2));
    let mut cases: Vec<(String, Vec<u8>)> = (0..sound.len())
        .step_by(7)
        .map(|length| (format!("{length} bytes"), sound[..length].to_vec()))
        .collect();
    for at in (0..sound.len()).step_by(5) {
        let mut flipped = sound.clone();
        flipped[at] ^= 0x41;
        cases.push((format!("byte {at} flipped"), flipped));
    }
    cases.push(("one byte more".into(), [sound.as_slice(), &[0]].concat()));
    cases.push(("another table's stamp".into(), {
        let other = published(&tarazu_table::TableSpec { jobs: vec![], ..spec(2) }, START_NS);
        [&other[..32], &sound[32..]].concat()
    }));
    for (case, bytes) in cases {
        place.write_table(&bytes);
        assert_eq!(why(&place, &fake), Some(Why::Table(Reason::Refused)), "{case}");
        remake(&place);
    }
    place.write_table(&sound);
    assert_eq!(why(&place, &fake), None);
}

#[test]
fn tables_of_another_time_or_place() {
    let minute_ns = 60_000_000_000;
    for (received_ns, expected) in [
        (START_NS, None),
        (START_NS - 14 * minute_ns, None),
        (START_NS - 16 * minute_ns, Some(Reason::Stale)),
        (START_NS + 1, Some(Reason::ClockBackwards)),
    ] {
        let (place, fake) = lustre();
        place.write_table(&published(&spec(2), received_ns));
        assert_eq!(why(&place, &fake), expected.map(Why::Table), "{received_ns}");
    }
    let (place, fake) = lustre();
    place.publish(&spec(2));
    std::fs::write(place.at("proc/sys/kernel/random/boot_id"), "another\n").unwrap();
    assert_eq!(why(&place, &fake), Some(Why::Table(Reason::OtherBoot)));

    let (place, fake) = lustre();
    let fs = tarazu_table::FsIdentity::new(tarazu_layout::FsId(1), "home");
    place.publish(&tarazu_table::TableSpec { fs, ..spec(2) });
    assert_eq!(why(&place, &fake), Some(Why::Table(Reason::OtherFileSystem)));

    let (place, fake) = lustre();
    place.publish(&tarazu_table::TableSpec { jobs: vec![], ..spec(2) });
    assert_eq!(why(&place, &fake), Some(Why::Table(Reason::UnknownJob)));
}

#[test]
fn a_new_table_is_seen_within_a_second_and_a_same_one_not_read_again() {
    let (place, fake) = lustre();
    let session = place.session(fake.clone());
    let none = Some(Why::Table(Reason::NoTable));
    assert_eq!(make(&session, &place, "a").0, none);
    place.publish(&spec(2));
    assert_eq!(make(&session, &place, "b").0, none);
    fake.pass(SECOND);
    assert_eq!(make(&session, &place, "c").0, None);
    fake.pass(SECOND);
    assert_eq!(make(&session, &place, "d").0, None);
    // Striped otherwise now.
    place.write_table(&published(&spec(3), START_NS + 1));
    fake.pass(SECOND);
    assert_eq!(make(&session, &place, "e").1.len(), 3);
    std::fs::remove_file(place.table()).unwrap();
    fake.pass(SECOND);
    assert_eq!(make(&session, &place, "f").0, none);
}

/// After a surprise nothing is read for half a minute.
#[test]
fn a_surprise_opens_the_circuit() {
    let (place, fake) = lustre();
    place.write_table(b"garbage");
    let session = place.session(fake.clone());
    assert_eq!(make(&session, &place, "a").0, Some(Why::Table(Reason::Refused)));
    place.publish(&spec(2));
    fake.pass(29 * SECOND);
    assert_eq!(make(&session, &place, "b").0, Some(Why::Paused));
    fake.pass(2 * SECOND);
    assert_eq!(make(&session, &place, "c").0, None);
}

/// A look that takes too long is a surprise too: what it read is used, and for half a minute there is no other.
#[test]
fn a_slow_look_opens_the_circuit() {
    let (place, fake) = lustre();
    place.publish(&spec(2));
    let budget = Duration::from_millis(1);
    let session = place.session_with(Options { budget, ..place.options() }, fake.clone());
    fake.slow_down(2 * budget);
    assert_eq!(make(&session, &place, "a").0, None);
    fake.slow_down(Duration::ZERO);
    assert_eq!(make(&session, &place, "b").0, Some(Why::Paused));
    fake.pass(31 * SECOND);
    assert_eq!(make(&session, &place, "c").0, None);
    assert_eq!(make(&session, &place, "d").0, None);
}

#[test]
fn names_of_file_systems_do_not_lead_elsewhere() {
    for name in ["..", "a/b", "", ".hidden", "a b", &"x".repeat(65)] {
        let (place, fake) = lustre();
        place.publish(&spec(2));
        let session = place.session_with(Options { fs_name: Some(name.into()), ..place.options() }, fake);
        make(&session, &place, "file");
        assert_eq!(session.counts(), (0, vec![(Why::OtherKind, 1)]), "{name:?}");
    }
    let (place, fake) = lustre();
    place.publish(&spec(2));
    let session = place.session_with(Options { fs_name: Some(FS.into()), ..place.options() }, fake);
    assert_eq!(make(&session, &place, "file").0, None);
}

/// A record that is told while another one is on its way does not report the same losses.
#[test]
fn losses_are_reported_by_one_of_two_records() {
    let (place, fake) = lustre();
    let session = std::sync::Arc::new(place.session(fake.clone()));
    assert!(session.tell(1, Body::End));
    session.lost.store(5, Ordering::Relaxed);
    let other = std::sync::Arc::clone(&session);
    fake.meanwhile(crate::testing::Step::Spool, move || assert!(other.tell(2, Body::End)));
    assert!(session.tell(3, Body::End));
    let mut lost: Vec<_> =
        place.told().records.iter().map(|record| (record.fs_name_hash, record.lost)).collect();
    lost.sort_unstable();
    assert_eq!(lost, [(1, 0), (2, 0), (3, 5)]);
    assert_eq!(session.lost.load(Ordering::Relaxed), 0);
}

/// Every lost record is reported once, whichever threads lose and report.
#[test]
fn lost_records_are_counted_once_by_many_threads() {
    const THREADS: usize = 4;
    const RECORDS: usize = 500;
    let (place, fake) = lustre();
    let session = place.session(fake.clone());
    fake.fail(&[crate::testing::Step::Spool], libc::ENOSPC);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..RECORDS).filter(|_| session.tell(1, Body::End)).count());
        }
    });
    fake.fail(&[], 0);
    assert!(session.tell(1, Body::End));
    let records = place.told().records;
    let lost: u64 = records.iter().map(|record| u64::from(record.lost)).sum();
    assert!(lost > 0);
    assert_eq!(records.len() as u64 + lost, (THREADS * RECORDS + 1) as u64);
    assert_eq!(session.lost.load(Ordering::Relaxed), 0);
}

#[test]
fn a_spool_that_cannot_be_written_harms_nobody_and_is_counted() {
    let (place, fake) = lustre();
    place.publish(&spec(2));
    std::fs::remove_dir(place.at("run/placed")).unwrap();
    let session = place.session(fake.clone());
    assert_eq!(make(&session, &place, "a").0, None);
    assert_eq!(make(&session, &place, "b").0, None);
    std::fs::create_dir(place.at("run/placed")).unwrap();
    fake.pass(31 * SECOND);
    place.write_table(&published(&spec(2), START_NS));
    assert_eq!(make(&session, &place, "c").0, None);
    let records = place.told().records;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].lost, 2);
}
