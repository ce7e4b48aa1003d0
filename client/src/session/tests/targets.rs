//! On directory targets.

use super::*;
use crate::testing::TARGETS;

fn place() -> (Place, Fake) {
    let place = Place::new().with_directory_targets();
    place.publish(&spec(1));
    let fake = Fake::new(&place, false);
    (place, fake)
}

/// Files in a target's folder.
fn count(place: &Place, target: u32) -> usize {
    std::fs::read_dir(place.at(&format!("targets/{target}"))).unwrap().count()
}

#[test]
fn files_lie_whole_on_their_target_and_read_as_ever() {
    let (place, fake) = place();
    std::fs::create_dir_all(place.at("fs/deep/er")).unwrap();
    let options = Options { rank: Some(tarazu_table::Rank { rank: 0, world: 1 }), ..place.options() };
    let session = place.session_with(options, fake);
    for number in 0..TARGETS * 2 {
        let (why, got) = make(&session, &place, &format!("deep/er/{number}"));
        assert_eq!((why, got.len()), (None, 1));
        let link = std::fs::read_link(place.at(&format!("fs/deep/er/{number}"))).unwrap();
        assert!(link.starts_with(place.at(&format!("targets/{}", got[0].0 / 10))), "{}", link.display());
    }
    // One after the other around the ring.
    assert!((0..TARGETS).all(|target| count(&place, target) == 2));
}

#[test]
fn what_nobody_steers_goes_round_or_where_the_caller_says() {
    let (place, fake) = place();
    std::fs::remove_file(place.table()).unwrap();
    let session = place.session(fake.clone());
    for number in 0..TARGETS {
        let (why, got) = make(&session, &place, &format!("a{number}"));
        assert_eq!((why, got.len()), (Some(Why::Table(Reason::NoTable)), 1));
    }
    assert!((0..TARGETS).all(|target| count(&place, target) == 1));
    let third: crate::DefaultTarget = Box::new(|osts| osts[3]);
    let session = place.session_with(Options { default_target: Some(third), ..place.options() }, fake);
    assert_eq!(make(&session, &place, "b").1, [OstIndex(30)]);
}

#[test]
fn exclusive_and_existing_opens_are_as_ever() {
    let (place, fake) = place();
    let session = place.session(fake);
    make(&session, &place, "file");
    let opened = |name: &str, flags| {
        let path = place.at("fs").join(name);
        session.create(&path, flags, 0o600).map(drop).map_err(|error| error.raw_os_error().unwrap())
    };
    assert_eq!(opened("file", NEW | libc::O_EXCL), Err(libc::EEXIST));
    assert_eq!(opened("file", NEW), Ok(()));
    assert_eq!(std::fs::read(place.at("fs/file")).unwrap(), b"data");
    assert_eq!(opened("absent/file", NEW), Err(libc::ENOENT));
    assert_eq!(opened("file/file", NEW), Err(libc::ENOTDIR));
    assert_eq!(opened("absent", libc::O_RDONLY), Err(libc::ENOENT));
    std::fs::create_dir(place.at("fs/folder")).unwrap();
    assert_eq!(opened("folder", NEW), Err(libc::EISDIR));
    assert_eq!(opened("new/", NEW), Err(libc::EISDIR));
    // One file was made in all targets together.
    assert_eq!((0..TARGETS).map(|target| count(&place, target)).sum::<usize>(), 1);
}

#[test]
fn many_threads_make_one_file() {
    let (place, fake) = place();
    let session = place.session(fake);
    for round in 0..20 {
        let path = place.at(&format!("fs/shared{round}"));
        let made = std::thread::scope(|scope| {
            let one = || session.create(&path, NEW | libc::O_EXCL, 0o600).is_ok();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum::<usize>()
        });
        assert_eq!(made, 1);
    }
    assert_eq!((0..TARGETS).map(|target| count(&place, target)).sum::<usize>(), 20);
}

#[test]
fn a_target_that_is_gone_costs_nothing() {
    let (place, fake) = place();
    std::fs::remove_dir_all(place.at("targets")).unwrap();
    let session = place.session(fake);
    let (why, got) = make(&session, &place, "file");
    assert_eq!((why, got), (Some(Why::Refused { errno: libc::ENOENT as u16 }), vec![]));
    assert!(std::fs::symlink_metadata(place.at("fs/file")).unwrap().is_file());
}

#[test]
fn a_mark_that_others_can_change_is_not_believed() {
    use std::os::unix::fs::PermissionsExt;
    let (place, fake) = place();
    let mark = place.at("fs/.tarazu-targets");
    std::fs::set_permissions(&mark, std::fs::Permissions::from_mode(0o666)).unwrap();
    let session = place.session(fake);
    make(&session, &place, "file");
    assert_eq!(session.counts(), (0, vec![(Why::OtherKind, 1)]));
}
