//! Every error at every step: the file is made, or the application sees what its own open() would have said.

use super::*;
use crate::testing::Step;
use tarazu_layout::Extent;
use tarazu_layout::lov::{self, Request, Wanted};

/// All error numbers that Linux has.
const ERRNOS: std::ops::RangeInclusive<i32> = 1..=133;

/// Every set of steps, as bits.
fn steps(bits: usize) -> Vec<Step> {
    Step::ALL
        .into_iter()
        .enumerate()
        .filter(|(number, _)| bits >> number & 1 == 1)
        .map(|(_, step)| step)
        .collect()
}

fn pfl() -> Vec<u8> {
    let part = |start, end| Wanted { extent: Extent { start, end }, stripe_count: 2, ..Wanted::anything() };
    let components = vec![part(0, Some(1 << 20)), part(1 << 20, None)];
    lov::encode(&Request { components }).unwrap()
}

/// Makes one file under these failures and says what came of it.
fn try_one(
    session: &Session,
    fake: &Fake,
    place: &Place,
    failing: &[Step],
    errno: i32,
    flags: i32,
) -> &'static str {
    let path = place.at("fs/file");
    fake.fail(failing, errno);
    let made = session.create(&path, flags, 0o644);
    fake.fail(&[], 0);
    let case = format!("{failing:?} {errno}");
    let outcome = match made {
        Ok(fd) => {
            assert!(fake.layout(fd.as_fd()).is_some(), "{case}: cannot be written to");
            assert_eq!(session.system.write(fd.as_fd(), b"x"), Ok(1), "{case}");
            // The name leads to this very file.
            let [own, there] = [
                session.system.status(fd.as_fd()),
                crate::sys::Kernel.status_at(libc::AT_FDCWD, &c_path(&path).unwrap(), true),
            ];
            assert_eq!(own.map(|status| status.ino), there.map(|status| status.ino), "{case}");
            "made"
        }
        Err(error) => {
            assert!(failing.contains(&Step::OpenPlain), "{case}: {error}");
            assert_eq!(error.raw_os_error(), Some(errno), "{case}");
            "refused"
        }
    };
    let _ = std::fs::remove_file(&path);
    outcome
}

#[test]
fn every_error_at_every_step_of_lustre() {
    for layout in [None, Some(pfl())] {
        let place = Place::new().with_lustre();
        place.publish(&spec(2));
        let fake = Fake::new(&place, true);
        if let Some(layout) = &layout {
            fake.set_layout(&place.at("fs"), layout);
        }
        let session = place.session(fake.clone());
        let (mut made, mut refused) = (0, 0);
        for flags in [NEW, NEW | libc::O_EXCL] {
            // All errors one step at a time, and some at every set of steps.
            let single = ERRNOS.flat_map(|errno| (0..Step::ALL.len()).map(move |step| (errno, 1 << step)));
            let usual = [libc::ENOSPC, libc::EREMOTEIO, libc::EINVAL, libc::EIO, libc::ENODATA];
            let sets =
                usual.into_iter().flat_map(|errno| (0..1 << Step::ALL.len()).map(move |set| (errno, set)));
            for (errno, set) in single.chain(sets) {
                match try_one(&session, &fake, &place, &steps(set), errno, flags) {
                    "made" => made += 1,
                    _ => refused += 1,
                }
            }
        }
        let (steered, left) = session.counts();
        let left: u64 = left.iter().map(|(_, count)| count).sum();
        assert!(
            steered > 100 && left > 1000 && refused > 100,
            "{steered} steered, {left} left, {refused} refused"
        );
        assert_eq!(made, steered + left);
    }
}

#[test]
fn every_error_at_every_step_of_directory_targets() {
    let place = Place::new().with_directory_targets();
    place.publish(&spec(1));
    let fake = Fake::new(&place, false);
    let session = place.session(fake.clone());
    let path = place.at("fs/file");
    for errno in ERRNOS {
        for set in 0..8 {
            let mut failing = vec![];
            failing.extend((set & 1 != 0).then_some(Step::Symlink));
            failing.extend((set & 2 != 0).then_some(Step::Unlink));
            failing.extend((set & 4 != 0).then_some(Step::OpenPlain));
            fake.fail(&failing, errno);
            let made = session.create(&path, NEW | libc::O_EXCL, 0o644);
            fake.fail(&[], 0);
            match made {
                Ok(fd) => assert_eq!(session.system.write(fd.as_fd(), b"x"), Ok(1)),
                Err(error) => {
                    assert!(failing.contains(&Step::OpenPlain), "{failing:?} {error}");
                    assert_eq!(error.raw_os_error(), Some(errno));
                }
            }
            assert_eq!(path.symlink_metadata().is_ok(), path.exists(), "no link leads nowhere");
            let _ = std::fs::remove_file(&path);
        }
    }
    let (steered, left) = session.counts();
    assert!(steered >= 133 && !left.is_empty(), "{steered} {left:?}");
}

/// A panic inside costs an exclusive open the file that it had made, and no other open anything.
#[test]
fn after_a_slip_an_open_is_plain_or_says_that_it_failed() {
    let exclusive = NEW | libc::O_EXCL;
    for (step, flags, expected) in [
        (Step::OpenDelayed, NEW, Ok(())),
        (Step::ReadBack, NEW, Ok(())),
        // Nothing was made yet.
        (Step::OpenDelayed, exclusive, Ok(())),
        (Step::ReadBack, exclusive, Err(Errno(libc::EIO))),
    ] {
        let place = Place::new().with_lustre();
        place.publish(&spec(2));
        let fake = Fake::new(&place, true);
        let session = place.session(fake.clone());
        let path = c_path(&place.at("fs/file")).unwrap();
        fake.fail(&[step], crate::testing::SLIP);
        let open = Open::new(&path, flags, 0o600);
        let slip = std::panic::AssertUnwindSafe(|| session.create_c(&open));
        assert!(std::panic::catch_unwind(slip).is_err());
        fake.fail(&[], 0);
        assert_eq!(open.after_slip(&fake).map(drop), expected, "{step:?} {flags:o}");
        // Somebody else's file is there, as ever.
        let later = Open::new(&path, exclusive, 0o600);
        assert_eq!(later.after_slip(&fake).map(drop), Err(Errno(libc::EEXIST)));
    }
}

fn on_lustre() -> (Place, Fake, Session) {
    let place = Place::new().with_lustre();
    place.publish(&spec(2));
    let fake = Fake::new(&place, true);
    let session = place.session(fake.clone());
    (place, fake, session)
}

/// No layout can be had for what was made.
const NO_LAYOUT: [Step; 3] = [Step::SetList, Step::SetComposite, Step::SetDefault];

/// Others may have opened a file as soon as it has its name: it is not taken away under them.
#[test]
fn a_file_without_a_layout_keeps_its_name() {
    let (place, fake, session) = on_lustre();
    let path = place.at("fs/file");
    let (sender, receiver) = std::sync::mpsc::channel();
    let opened = path.clone();
    fake.fail(&NO_LAYOUT, libc::EINVAL);
    fake.meanwhile(Step::SetDefault, move || sender.send(std::fs::File::open(opened).unwrap()).unwrap());
    let fd = session.create(&path, NEW, 0o600).unwrap();
    assert_eq!(session.system.write(fd.as_fd(), b"data"), Ok(4));
    assert_eq!(fake.layout(fd.as_fd()), Some(crate::testing::list(&[OWN_CHOICE])));
    assert_eq!(std::io::read_to_string(receiver.recv().unwrap()).unwrap(), "data");
    assert_eq!(session.counts().1, [(Why::Refused { errno: 0 }, 1)]);
}

#[test]
fn an_exclusive_open_gets_a_new_file_or_the_error_of_its_own() {
    let exclusive = NEW | libc::O_EXCL;
    let (place, fake, session) = on_lustre();
    let path = place.at("fs/file");
    let create = || session.create(&path, exclusive, 0o600).map_err(|error| error.raw_os_error().unwrap());
    fake.fail(&NO_LAYOUT, libc::EINVAL);
    let fd = create().unwrap();
    assert_eq!(fake.layout(fd.as_fd()), Some(crate::testing::list(&[OWN_CHOICE])));
    std::fs::remove_file(&path).unwrap();

    fake.fail(&[&NO_LAYOUT[..], &[Step::OpenPlain]].concat(), libc::EDQUOT);
    assert_eq!(create().map(drop), Err(libc::EDQUOT));
    assert!(!path.exists(), "what was made is gone");

    // Somebody puts a file of theirs there, which is not removed, cut, or taken for ours.
    fake.fail(&NO_LAYOUT, libc::EINVAL);
    let theirs = path.clone();
    fake.meanwhile(Step::SetDefault, move || {
        std::fs::remove_file(&theirs).unwrap();
        std::fs::write(&theirs, b"theirs").unwrap();
    });
    assert_eq!(create().map(drop), Err(libc::EEXIST));
    assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
}

/// An open that was interrupted may have made the file all the same.
#[test]
fn an_exclusive_open_does_not_meet_its_own_file() {
    for errno in [libc::EINTR, libc::EIO, libc::ETIMEDOUT] {
        for (flags, expected) in [(NEW | libc::O_EXCL, Err(errno)), (NEW, Ok(()))] {
            let (place, fake, session) = on_lustre();
            let path = place.at("fs/file");
            fake.fail(&[Step::OpenDelayedLate], errno);
            let made = session.create(&path, flags, 0o600);
            let made = made.map(drop).map_err(|error| error.raw_os_error().unwrap());
            assert_eq!(made, expected, "{errno} {flags:o}");
            assert!(path.exists());
        }
    }
}

/// Nobody can set an attribute of such a file, so it is not begun with, and takes no place on the ring.
#[test]
fn files_that_their_owner_may_not_write_to_are_plain() {
    let (place, fake, session) = on_lustre();
    fake.fail(&[Step::OpenDelayed], crate::testing::SLIP);
    for mode in [0o400, 0o444, 0o022] {
        let fd = session.create(&place.at(&format!("fs/{mode:o}")), NEW | libc::O_EXCL, mode).unwrap();
        assert_eq!(session.system.write(fd.as_fd(), b"data"), Ok(4));
    }
    assert_eq!(session.counts(), (0, vec![(Why::Refused { errno: 0 }, 3)]));
}

/// The process's mask can take the owner's right to write, which only the file that was made shows. No other open than
/// the one that makes it may write to it.
#[test]
fn a_file_that_the_mask_made_read_only_is_made_again() {
    for (umask, unlinks) in [(0o022, 0), (0o222, 1)] {
        let (place, fake, session) = on_lustre();
        fake.fail(&NO_LAYOUT, libc::EACCES);
        fake.set_umask(umask);
        let fd = session.create(&place.at("fs/file"), NEW, 0o644).unwrap();
        assert_eq!(session.system.write(fd.as_fd(), b"data"), Ok(4));
        assert_eq!(fake.take_calls().iter().filter(|call| **call == "unlink").count(), unlinks, "{umask:o}");
    }
}
