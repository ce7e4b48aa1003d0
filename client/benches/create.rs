//! What a create costs with tarazu on directory targets, beside the plain `open()` of the same file system.
//!
//! usage: cargo bench -p tarazu-client --bench create [-- FOLDER]     FOLDER on a file system in memory: /dev/shm
//!
//! Both make new empty files, in turn, in rounds; the medians of the rounds are compared. The table is real and read
//! anew every second, every file is told to the daemon's folder.
#![allow(clippy::disallowed_methods, reason = "measures")]
#![allow(clippy::unwrap_used, reason = "a measurement may stop at the first surprise")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::ffi::CString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tarazu::{Mode, Options, Session};
use tarazu_layout::JobId;

const FILES: usize = 500;
const ROUNDS: usize = 41;
const FLAGS: i32 = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;

fn session(root: &Path, mode: Mode) -> Session {
    Session::open(Options {
        mode,
        run_dir: root.join("run"),
        job: Some(JobId(common::JOB)),
        executable: Some(b"bench".to_vec()),
        budget: Duration::from_secs(3600),
        ..Options::default()
    })
}

/// Nanoseconds a file.
fn round(folder: &Path, mut create: impl FnMut(&Path)) -> f64 {
    std::fs::create_dir(folder).unwrap();
    let paths: Vec<PathBuf> = (0..FILES).map(|number| folder.join(format!("file{number}"))).collect();
    let start = Instant::now();
    paths.iter().for_each(|path| create(path));
    let took = start.elapsed();
    std::fs::remove_dir_all(folder).unwrap();
    took.as_nanos() as f64 / FILES as f64
}

fn plain(path: &Path) {
    let path = CString::new(path.to_str().unwrap()).unwrap();
    #[allow(unsafe_code, reason = "the call that is measured")]
    // SAFETY: the path is a C string that outlives the call, and the descriptor is this call's own.
    unsafe {
        let fd = libc::open(path.as_ptr(), FLAGS, 0o600);
        assert!(fd >= 0);
        libc::close(fd);
    }
}

fn main() {
    let parent = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let parent = parent.unwrap_or_else(|| "/dev/shm".to_owned());
    let place = tempfile::tempdir_in(&parent).unwrap();
    let root = place.path();
    common::make(root, "bench", std::fs::metadata(root).unwrap().uid());
    let (apply, observe) = (session(root, Mode::Apply), session(root, Mode::Observe));
    let mut took: [Vec<f64>; 4] = Default::default();
    let target = root.join("targets/0");
    for number in 0..ROUNDS {
        let folder = |name: &str| root.join(format!("fs/{name}{number}"));
        took[0].push(round(&root.join(format!("plain{number}")), plain));
        // The least that a file on another folder's target takes: made there, linked here.
        let mut number_in_round = 0;
        took[1].push(round(&folder("by_hand"), |path| {
            number_in_round += 1;
            let file = target.join(format!("by_hand{number}-{number_in_round}"));
            plain(&file);
            std::os::unix::fs::symlink(&file, path).unwrap();
        }));
        let with = |session: &Session, path: &Path| drop(session.create(path, FLAGS, 0o600).unwrap());
        took[2].push(round(&folder("observe"), |path| with(&observe, path)));
        took[3].push(round(&folder("apply"), |path| with(&apply, path)));
        // What a daemon and a sweep would do between two bursts.
        let targets = (0..common::TARGETS).map(|target| format!("targets/{target}"));
        for emptied in targets.chain(["run/placed".to_owned()]) {
            for file in std::fs::read_dir(root.join(emptied)).unwrap() {
                std::fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
    }
    let (steered, left) = apply.counts();
    println!("{steered} files steered, left: {left:?}");
    let medians = took.map(|mut rounds| {
        rounds.sort_by(f64::total_cmp);
        rounds[ROUNDS / 2] / 1000.0
    });
    for (name, median) in [
        "plain open()",
        "open() and symlink() by hand",
        "observe (made on a target, not steered)",
        "apply (steered and told)",
    ]
    .iter()
    .zip(medians)
    {
        println!("{name:42} {median:7.2} us a file, {:.2} x plain", median / medians[0]);
    }
}
