//! On Lustre: lists are given where they may be, and what somebody chose is kept.

use super::*;
use crate::testing::list;
use tarazu_layout::lov::{self, Request, Wanted};
use tarazu_layout::{Extent, Pattern, PoolName};

const MIB: u64 = 1 << 20;

fn lustre() -> (Place, Fake) {
    let place = Place::new().with_lustre();
    place.publish(&spec(2));
    let fake = Fake::new(&place, true);
    (place, fake)
}

fn folder_has(place: &Place, fake: &Fake, request: &Request) {
    fake.set_layout(&place.at("fs"), &lov::encode(request).unwrap());
}

#[test]
fn files_get_the_targets_that_the_table_says() {
    let (place, fake) = lustre();
    let session = place.session(fake);
    let mut all = Vec::new();
    for number in 0..4 {
        let (why, got) = make(&session, &place, &format!("f{number}"));
        assert_eq!((why, got.len()), (None, 2));
        all.extend(got);
    }
    // Without a rank files begin anywhere on the ring, each on neighbours.
    assert!(all.chunks(2).all(|pair| pair[0] != pair[1]));
    let text = session.explain(&place.at("fs/f0")).unwrap().to_string();
    assert!(text.contains("plan (2, 9), ring now, 1.0 GiB expected, 90 % sure"), "{text}");
    assert!(text.contains("reason   steered"), "{text}");
    assert_eq!(session.counts(), (4, vec![]));
}

#[test]
fn the_daemon_is_told_of_all_that_matters() {
    let (place, fake) = lustre();
    let options = Options { rank: Some(tarazu_table::Rank { rank: 1, world: 4 }), ..place.options() };
    let session = place.session_with(options, fake.clone());
    let expect = Expect {
        files: Files::OfProgram,
        expected_bytes: 7,
        files_per_process: 3,
        files_per_burst: 0,
        stripe_count: 2,
        stripe_size: MIB,
        confidence_percent: 200,
    };
    session.advise(&place.at("fs"), &expect).unwrap();
    let path = place.at("fs/file");
    let fd = session.create(&path, NEW, 0o600).unwrap();
    session.closed(fd.as_fd(), 99);
    session.closed(fd.as_fd(), 99);
    fake.fail(&[crate::testing::Step::SetList], libc::ENOSPC);
    session.create(&place.at("fs/other"), NEW, 0o600).unwrap();
    session.close();

    let told = place.told();
    assert_eq!(told.damaged, 0);
    let [advise, created, closed, left, end] = told.records.as_slice() else { panic!("{told:?}") };
    assert!(told.records.iter().all(|record| record.job == crate::testing::JOB && record.lost == 0));
    let Body::Advise(advice) = &advise.body else { panic!("{advise:?}") };
    assert_eq!((advice.rank, advice.world, advice.files_per_burst), (1, 4, 12));
    assert_eq!((advice.stripe_count, advice.confidence_percent), (2, 100));
    let Body::Created(made) = &created.body else { panic!("{created:?}") };
    assert_eq!((made.key, made.expected_bytes, made.asked.len()), (advice.key, 1 << 30, 2));
    assert_eq!(made.asked, made.got);
    let expected =
        Body::Closed { key: advice.key, osts: made.got.clone(), expected_bytes: 1 << 30, written_bytes: 99 };
    assert_eq!(closed.body, expected);
    let Body::Left { why, .. } = left.body else { panic!("{left:?}") };
    assert_eq!(why, Why::Refused { errno: libc::ENOSPC as u16 });
    assert_eq!(end.body, Body::End);
}

#[test]
fn what_a_folder_says_is_kept() {
    let (place, fake) = lustre();
    let four = Wanted { stripe_count: 4, stripe_size: 4 << 20, ..Wanted::anything() };
    folder_has(&place, &fake, &Request::plain(four));
    let session = place.session(fake.clone());
    let (why, got) = make(&session, &place, "four");
    assert_eq!((why, got.len()), (None, 4));
    let stored = session.layout_of(&place.at("fs/four")).unwrap();
    assert_eq!(stored.mirrors[0].layout.components[0].stripe_size, 4 << 20);
}

#[test]
fn later_components_and_the_one_on_the_mdt_stay_as_they_are() {
    let (place, fake) = lustre();
    let part = |start: u64, end: Option<u64>| Wanted { extent: Extent { start, end }, ..Wanted::anything() };
    let dom = Wanted { pattern: Pattern::Mdt, stripe_size: 1 << 20, ..part(0, Some(MIB)) };
    let first = Wanted { stripe_count: 3, ..part(MIB, Some(64 * MIB)) };
    let last = Wanted { stripe_count: 0xFFFF, pool: PoolName::new("flash"), ..part(64 * MIB, None) };
    let inherited = Request { components: vec![dom, first, last] };
    folder_has(&place, &fake, &inherited);
    let session = place.session(fake.clone());
    let path = place.at("fs/pfl");
    let fd = session.create(&path, NEW, 0o600).unwrap();
    let (_, reasons) = session.counts();
    assert_eq!(reasons, vec![]);
    let request = lov::read_default(&fake.layout(fd.as_fd()).unwrap()).unwrap();
    assert_eq!(request.components[0], inherited.components[0]);
    assert_eq!(request.components[2], inherited.components[2]);
    assert_eq!((request.components[1].list.len(), request.components[1].stripe_count), (3, 3));
}

#[test]
fn what_somebody_chose_is_left_alone() {
    let pool = Wanted { pool: PoolName::new("flash"), ..Wanted::anything() };
    let offset = Wanted { offset: Some(3), ..Wanted::anything() };
    let overstriped = Wanted { pattern: Pattern::Overstriped, ..Wanted::anything() };
    let multiple = Wanted { stripe_count: 0xFFFE, ..Wanted::anything() };
    let only_mdt = Wanted { pattern: Pattern::Mdt, ..Wanted::anything() };
    let blob = |wanted: Wanted| lov::encode(&Request::plain(wanted)).unwrap();
    for (layout, expected) in [
        (list(&[OstIndex(1)]), Why::UserStriped),
        (blob(pool), Why::UserStriped),
        (blob(offset), Why::UserStriped),
        (blob(overstriped), Why::InheritedKind),
        (blob(multiple), Why::InheritedKind),
        (blob(only_mdt), Why::InheritedKind),
        (vec![1, 2, 3, 4, 5], Why::InheritedKind),
    ] {
        let (place, fake) = lustre();
        fake.set_layout(&place.at("fs"), &layout);
        let session = place.session(fake);
        assert_eq!(make(&session, &place, "file"), (Some(expected), vec![OWN_CHOICE]), "{layout:?}");
    }
}

#[test]
fn a_folder_without_a_default_inherits_the_roots() {
    let (place, fake) = lustre();
    std::fs::create_dir(place.at("fs/sub")).unwrap();
    let five = Wanted { stripe_count: 5, ..Wanted::anything() };
    folder_has(&place, &fake, &Request::plain(five));
    let session = place.session(fake);
    assert_eq!(make(&session, &place, "sub/file").1.len(), 5);
}

#[test]
fn without_any_default_the_striping_is_the_tables_or_one() {
    for (striping, stripes) in [(Striping::Auto, 2), (Striping::Inherit, 1)] {
        let (place, fake) = lustre();
        let session = place.session_with(Options { striping, ..place.options() }, fake);
        let (why, got) = make(&session, &place, "file");
        assert_eq!((why, got.len()), (None, stripes), "{striping:?}");
    }
    let (place, fake) = lustre();
    let session = place.session_with(Options { striping: Striping::Off, ..place.options() }, fake);
    assert_eq!(make(&session, &place, "file").0, Some(Why::StripingOff));
}

#[test]
fn files_that_exist_and_opens_that_do_not_create_are_plain() {
    let (place, fake) = lustre();
    let session = place.session(fake);
    make(&session, &place, "file");
    let path = place.at("fs/file");
    let opened =
        |flags| session.create(&path, flags, 0o600).map(drop).map_err(|error| error.raw_os_error().unwrap());
    assert_eq!(opened(NEW), Ok(()));
    assert_eq!(opened(NEW | libc::O_EXCL), Err(libc::EEXIST));
    assert_eq!(opened(libc::O_RDONLY), Ok(()));
    assert_eq!(opened(NEW | libc::O_TRUNC), Ok(()));
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    // A link that leads nowhere is followed, as open() does.
    std::os::unix::fs::symlink(place.at("fs/behind"), place.at("fs/link")).unwrap();
    session.create(&place.at("fs/link"), NEW, 0o600).unwrap();
    assert!(place.at("fs/behind").is_file());
    let (steered, left) = session.counts();
    assert_eq!(steered, 1);
    assert_eq!(left, vec![(Why::NotCreating, 1), (Why::Exists, 3)]);
}

#[test]
fn a_layout_that_did_not_come_is_seen() {
    let (place, fake) = lustre();
    fake.give_other();
    let session = place.session(fake);
    assert_eq!(make(&session, &place, "file"), (Some(Why::NotApplied), vec![OWN_CHOICE]));
}

#[test]
fn the_sites_policy_holds() {
    let parameter = |place: &Place, instance: &str, value: &str| {
        let folder = place.at("sys/fs/lustre/llite").join(instance);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("enable_setstripe_gid"), value).unwrap();
    };
    for (instance, value, euid, expected) in [
        ("scratch-ffff", "-1\n", 7, None),
        ("scratch-ffff", "0\n", 7, Some(Why::SitePolicy)),
        ("other-ffff", "0\n", 7, None),
        ("scratch-ffff", "4294967294\n", 7, Some(Why::SitePolicy)),
        ("scratch-ffff", "nonsense\n", 7, None),
    ] {
        let (place, fake) = lustre();
        parameter(&place, instance, value);
        fake.set_euid(euid);
        fake.set_owner(euid);
        let name = JobName {
            uid: euid,
            job: crate::testing::JOB,
            executable_hash: hash::bytes(crate::testing::PROGRAM),
            file: FileClass::Other,
        };
        let mut spec = spec(2);
        spec.jobs[0].key = name.any_file();
        place.publish(&spec);
        let session = place.session(fake);
        assert_eq!(make(&session, &place, "file").0, expected, "{instance} {value:?}");
    }
}

#[test]
fn modes_go_as_far_as_they_say() {
    for (mode, why, told) in [
        (Mode::Off, None, 0),
        (Mode::Observe, Some(Why::ObserveOnly), 0),
        (Mode::Advise, Some(Why::ObserveOnly), 2),
        (Mode::Apply, None, 2),
    ] {
        let (place, fake) = lustre();
        let session = place.session_with(Options { mode, ..place.options() }, fake);
        let (found, got) = make(&session, &place, "file");
        assert_eq!(found, why, "{mode:?}");
        assert_eq!(got == [OWN_CHOICE], mode != Mode::Apply, "{mode:?}");
        session.close();
        assert_eq!(place.told().records.len(), told, "{mode:?}");
    }
}
