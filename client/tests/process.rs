//! A session in a real process: nothing is left behind in it, threads and children get on, and a spool of somebody
//! else's harms nobody.
#![allow(unsafe_code, reason = "forks")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use common::{JOB, TARGETS, make};
use tarazu::spool::{Body, Decoded, decode};
use tarazu::{Mode, Options, Session};
use tarazu_layout::JobId;

const NEW: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;

fn session(root: &Path) -> Session {
    Session::open(Options {
        mode: Mode::Apply,
        run_dir: root.join("run"),
        job: Some(JobId(JOB)),
        executable: Some(b"program".to_vec()),
        budget: Duration::from_secs(3600),
        ..Options::default()
    })
}

fn place() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    make(place.path(), "program", std::fs::metadata(place.path()).unwrap().uid());
    place
}

fn told(root: &Path) -> Decoded {
    let files = std::fs::read_dir(root.join("run/placed")).unwrap();
    decode(&files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect::<Vec<_>>())
}

/// Open descriptors that lead below a folder.
fn descriptors(root: &Path) -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok())
        .filter(|path| path.starts_with(root))
        .count()
}

#[test]
fn no_descriptor_stays_and_all_threads_get_their_files() {
    const THREADS: usize = 8;
    const FILES: usize = 100;
    let place = place();
    let root = place.path();
    let session = session(root);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let session = &session;
            scope.spawn(move || {
                for number in 0..FILES {
                    let path = root.join(format!("fs/{thread}-{number}"));
                    let mut file = std::fs::File::from(session.create(&path, NEW, 0o600).unwrap());
                    file.write_all(b"data").unwrap();
                }
            });
        }
    });
    assert_eq!(descriptors(root), 0);
    let (steered, left) = session.counts();
    let all = steered + left.iter().map(|(_, count)| count).sum::<u64>();
    // A thread that meets another at a lock goes on without: few do.
    assert_eq!(all, (THREADS * FILES) as u64);
    assert!(steered >= all / 2, "{steered} of {all} steered, left: {left:?}");
    let made: usize = (0..TARGETS)
        .map(|target| std::fs::read_dir(common::target_folder(root, target)).unwrap().count())
        .sum();
    assert_eq!(made, THREADS * FILES);
    session.close();
    let told = told(root);
    assert_eq!((told.damaged, told.records.len() as u64), (0, all + 1));
}

/// A child has a spool file of its own, places its files elsewhere than its parent, and does not end its parent's
/// session.
#[test]
fn a_forked_child_goes_on_by_itself() {
    let place = place();
    let root = place.path();
    let session = session(root);
    session.create(&root.join("fs/before"), NEW, 0o600).unwrap();
    // SAFETY: the child makes files through the session and ends without returning into the test.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let made =
            (0..10).all(|number| session.create(&root.join(format!("fs/child{number}")), NEW, 0o600).is_ok());
        drop(session);
        // SAFETY: ends the child at once, without what the test harness would do.
        unsafe { libc::_exit(i32::from(!made)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child of this test; the status lives until the call is over.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
    session.create(&root.join("fs/after"), NEW, 0o600).unwrap();
    session.close();
    let mut by_process: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for record in told(root).records {
        let counts = by_process.entry(record.pid).or_default();
        match record.body {
            Body::End => counts.1 += 1,
            _ => counts.0 += 1,
        }
    }
    assert_eq!(by_process.get(&std::process::id()), Some(&(2, 1)));
    assert_eq!(by_process.get(&(child as u32)), Some(&(10, 0)));
}

/// With two descriptors left a create that needs one succeeds, as `open()` would.
#[test]
fn few_descriptors_are_enough() {
    let place = place();
    let root = place.path();
    let session = session(root);
    let mut held = Vec::new();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure lives until the call is over.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
    // In a child, so that other tests keep theirs.
    // SAFETY: the child opens files and ends without returning into the test.
    let child = unsafe { libc::fork() };
    if child == 0 {
        limit.rlim_cur = 64;
        // SAFETY: lowers this child's own limit.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        let none = session.create(&root.join("fs/none"), NEW, 0o600);
        let refused = none.is_err_and(|error| error.raw_os_error() == Some(libc::EMFILE));
        held.pop();
        let one = session.create(&root.join("fs/one"), NEW, 0o600).is_ok();
        // SAFETY: ends the child at once.
        unsafe { libc::_exit(i32::from(!(refused && one))) };
    }
    let mut status = 0;
    // SAFETY: as above.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
}

/// `TARAZU_DISABLE=1` wins over what the program says. The test starts itself again with it, since the environment is
/// the whole process's.
#[test]
fn the_user_can_switch_it_off() {
    let is_inside = std::env::var_os("TARAZU_DISABLE").is_some();
    if !is_inside {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "the_user_can_switch_it_off"]).env("TARAZU_DISABLE", "1");
        let output = again.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let place = place();
    let root = place.path();
    let session = session(root);
    let path = root.join("fs/file");
    session.create(&path, NEW, 0o600).unwrap();
    let is_link = std::fs::symlink_metadata(&path).unwrap().is_symlink();
    assert_eq!((is_link, session.counts().0), (!is_inside, u64::from(!is_inside)));
}

#[test]
fn without_anything_around_it_is_open() {
    let place = tempfile::tempdir().unwrap();
    let session = Session::open(Options { run_dir: place.path().join("absent"), ..Options::default() });
    let path = place.path().join("file");
    session.create(&path, NEW, 0o600).unwrap();
    let again = session.create(&path, NEW, 0o600).unwrap_err();
    assert_eq!(again.raw_os_error(), Some(libc::EEXIST));
    assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    assert!(session.explain(&path).unwrap().to_string().contains("not by this session"));
}
