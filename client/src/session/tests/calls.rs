//! What a create costs in system calls: nothing is asked that the answer before has made needless, or twice.

use super::*;
use crate::testing::list;
use std::time::Duration;
use tarazu_layout::lov::{self, Request, Wanted};

const SECOND: Duration = Duration::from_secs(1);

fn lustre() -> (Place, Fake) {
    let place = Place::new().with_lustre();
    std::fs::create_dir(place.at("fs/sub")).unwrap();
    let fake = Fake::new(&place, true);
    (place, fake)
}

/// Makes a file and says with which calls.
fn calls(session: &Session, place: &Place, fake: &Fake, name: &str) -> Vec<&'static str> {
    let path = place.at("fs").join(name);
    fake.take_calls();
    drop(session.create(&path, NEW | libc::O_EXCL, 0o600).unwrap());
    fake.take_calls()
}

fn count(calls: &[&str], call: &str) -> usize {
    calls.iter().filter(|made| **made == call).count()
}

#[test]
fn without_a_table_it_is_a_look_at_the_folder_and_the_open() {
    for (is_lustre, mode) in [
        (true, Mode::Off),
        (true, Mode::Observe),
        (true, Mode::Advise),
        (true, Mode::Apply),
        (false, Mode::Off),
        (false, Mode::Observe),
        (false, Mode::Apply),
    ] {
        let (place, _) = lustre();
        std::fs::remove_dir(place.at("run/scratch")).unwrap();
        let fake = Fake::new(&place, is_lustre);
        let session = place.session_with(Options { mode, ..place.options() }, fake.clone());
        let first = calls(&session, &place, &fake, "a");
        let usual: &[&str] = if mode == Mode::Off { &["open_at"] } else { &["status_at", "open_at"] };
        assert_eq!(calls(&session, &place, &fake, "b"), usual, "{is_lustre} {mode:?}, first {first:?}");
        // A second later the table is looked for again, and nothing else.
        fake.pass(SECOND);
        let later = calls(&session, &place, &fake, "c");
        let looks = usize::from(is_lustre && mode != Mode::Off);
        assert_eq!(later.len(), usual.len() + looks, "{is_lustre} {mode:?}: {later:?}");
        assert_eq!(count(&later, "open_at"), 1 + looks, "{is_lustre} {mode:?}: {later:?}");
        session.close();
        assert!(place.told().records.is_empty());
    }
}

#[test]
fn a_folder_is_asked_only_for_files_that_may_be_steered() {
    let unsure = |spec: &mut tarazu_table::TableSpec| spec.jobs[0].confidence_percent = 10;
    let worthless = |spec: &mut tarazu_table::TableSpec| spec.jobs[0].worthwhile = false;
    let unknown = |spec: &mut tarazu_table::TableSpec| spec.jobs.clear();
    type Change = fn(&mut tarazu_table::TableSpec);
    let cases: [(Change, Reason); 3] =
        [(unsure, Reason::LowConfidence), (worthless, Reason::NotWorthwhile), (unknown, Reason::UnknownJob)];
    for (change, reason) in cases {
        let (place, fake) = lustre();
        let mut spec = spec(2);
        change(&mut spec);
        place.publish(&spec);
        let session = place.session(fake.clone());
        let made = calls(&session, &place, &fake, "a");
        assert_eq!(count(&made, "get_xattr_at") + count(&made, "set_xattr"), 0, "{reason:?}: {made:?}");
        assert_eq!(session.counts(), (0, vec![(Why::Table(reason), 1)]));
    }
}

#[test]
fn what_was_found_out_is_not_asked_again() {
    let (place, fake) = lustre();
    place.publish(&spec(2));
    let session = place.session(fake.clone());
    let first = calls(&session, &place, &fake, "a");
    // The folder and the root, neither with a default.
    assert_eq!((count(&first, "kind_of"), count(&first, "get_xattr_at")), (1, 2), "{first:?}");
    let second = calls(&session, &place, &fake, "b");
    assert_eq!((count(&second, "kind_of"), count(&second, "get_xattr_at")), (0, 0), "{second:?}");
    let open_at = count(&second, "open_at");
    assert_eq!(open_at, 2, "the file and the spool: {second:?}");
    // Another folder of the same file system, and the first one when it is long ago.
    let other = calls(&session, &place, &fake, "sub/a");
    assert_eq!((count(&other, "kind_of"), count(&other, "get_xattr_at")), (0, 2), "{other:?}");
    assert_eq!(count(&other, "open_at"), open_at, "no list of mounts is read: {other:?}");
    fake.pass(SECOND);
    let later = calls(&session, &place, &fake, "c");
    assert_eq!((count(&later, "kind_of"), count(&later, "get_xattr_at")), (0, 2), "{later:?}");
    assert_eq!(session.counts(), (4, vec![]));
}

/// Files that are left, for whatever reason, take no place on the ring from those that are not.
#[test]
fn the_cursor_moves_for_steered_files_only() {
    let targets = |with_others: bool| -> Vec<Vec<OstIndex>> {
        let (place, fake) = lustre();
        place.publish(&spec(2));
        fake.set_layout(&place.at("fs/sub"), &list(&[OstIndex(1)]));
        let options = Options { rank: Some(tarazu_table::Rank { rank: 0, world: 1 }), ..place.options() };
        let session = place.session_with(options, fake);
        let mut steered = Vec::new();
        for number in 0..6 {
            if with_others {
                assert_eq!(make(&session, &place, &format!("sub/{number}")).0, Some(Why::UserStriped));
                session.create(&place.at(&format!("fs/r{number}")), NEW, 0o400).unwrap();
            }
            let (why, got) = make(&session, &place, &format!("{number}"));
            assert_eq!(why, None);
            steered.push(got);
        }
        steered
    };
    assert_eq!(targets(true), targets(false));
}

/// A folder's default that changes is seen, although the folder is known.
#[test]
fn a_new_default_is_seen_within_a_second() {
    let (place, fake) = lustre();
    place.publish(&spec(2));
    let session = place.session(fake.clone());
    assert_eq!(make(&session, &place, "a").1.len(), 2);
    let four = Request::plain(Wanted { stripe_count: 4, ..Wanted::anything() });
    fake.set_layout(&place.at("fs"), &lov::encode(&four).unwrap());
    fake.pass(SECOND);
    assert_eq!(make(&session, &place, "b").1.len(), 4);
}
