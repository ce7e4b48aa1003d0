//! A file system of directory targets with a table that knows the job, on this host's real clock.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part; tests may unwrap")]

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tarazu_layout::{FsId, JobId, OstIndex, TargetId, Time, hash};
use tarazu_table::{
    Class, FileClass, Flags, FsIdentity, JobEntry, JobName, Order, RingSpec, Stamp, TableSpec, encode,
    publish,
};

pub(crate) const JOB: u64 = 4711;
pub(crate) const TARGETS: u32 = 5;

/// Makes `root/fs` with its targets and `root/run` with its table; the index of a target is its number.
pub(crate) fn make(root: &Path, program: &str, uid: u32) {
    let mut mark = "tarazu-targets 1\nname demo\n".to_owned();
    for target in 0..TARGETS {
        let folder = target_folder(root, target);
        fs::create_dir_all(&folder).unwrap();
        writeln!(mark, "{target} {}", folder.display()).unwrap();
    }
    for folder in ["fs", "run/demo", "run/placed"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::write(root.join("fs/.tarazu-targets"), mark).unwrap();
    fs::write(root.join("run/demo/table"), table(program, uid)).unwrap();
    // Whatever the mask of whoever runs the tests: what others can change is not believed.
    for (path, mode) in [("fs/.tarazu-targets", 0o644), ("run/demo/table", 0o644), ("run/demo", 0o755)] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
}

pub(crate) fn target_folder(root: &Path, target: u32) -> PathBuf {
    root.join(format!("targets/{target}"))
}

fn table(program: &str, uid: u32) -> Vec<u8> {
    let executable_hash = hash::bytes(program.as_bytes());
    let name = JobName { uid, job: JobId(JOB), executable_hash, file: FileClass::Other };
    let spec = TableSpec {
        fs: FsIdentity::new(FsId(1), "demo"),
        order: Order { term: 1, seq: 1 },
        interval: Duration::from_secs(300),
        flags: Flags::default(),
        targets: (0..TARGETS).map(OstIndex).collect(),
        classes: vec![Class {
            smallest_bytes: 0,
            largest_bytes: u64::MAX,
            stripe_size: 1 << 20,
            stripe_count: 1,
            ring_now: 0,
            ring_steady: 0,
        }],
        rings: vec![RingSpec { seed: 1, tickets: (0..TARGETS).map(TargetId).collect() }],
        jobs: vec![JobEntry {
            key: name.any_file(),
            expected_bytes: 1 << 30,
            stripe_size: 0,
            stripe_count: 0,
            class: 0,
            confidence_percent: 100,
            worthwhile: true,
            place: None,
        }],
    };
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime_s: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let stamp = Stamp {
        boot_hash: hash::bytes(boot_id.trim().as_bytes()),
        received: Time::from_secs_f64(uptime_s - 0.5),
    };
    publish(&stamp, &encode(&spec).unwrap()).unwrap()
}
