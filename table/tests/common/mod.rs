//! Tables that several tests need.
#![allow(dead_code, clippy::unwrap_used, reason = "each test binary uses a part; tests may unwrap")]

use std::time::Duration;

use tarazu_layout::{FsId, JobId, OstIndex, TargetId, Time, hash};
use tarazu_table::{
    Class, FileClass, Flags, FsIdentity, JobEntry, JobName, Order, Reader, RingSpec, Stamp, TableSpec,
    encode, publish,
};

pub(crate) const BOOT_HASH: u64 = 77;

/// A job whose entry is for all its files.
pub(crate) fn name(job: u64) -> JobName {
    JobName { uid: 1000, job: JobId(job), executable_hash: 5, file: FileClass::Hdf5 }
}

/// A ring of equal weights: one order of all targets, `passes` times.
pub(crate) fn equal_ring(targets: usize, passes: usize) -> Vec<TargetId> {
    // Servers of eight targets take turns.
    let order = (0..8).flat_map(|place| (place..targets).step_by(8));
    let round: Vec<_> = order.map(|target| TargetId(target as u32)).collect();
    round.repeat(passes)
}

/// Four classes with their own ring *now* and one ring *steady* for all, `jobs` known jobs.
pub(crate) fn spec(targets: usize, passes: usize, jobs: u64) -> TableSpec {
    let ring = |seed| RingSpec { seed, tickets: equal_ring(targets, passes) };
    let class = |number: u16| Class {
        smallest_bytes: if number == 0 { 0 } else { 1 << (10 + 10 * number) },
        largest_bytes: if number == 3 { u64::MAX } else { (1 << (20 + 10 * number)) - 1 },
        stripe_size: 1 << (20 + number),
        stripe_count: 1 << number,
        ring_now: number,
        ring_steady: 4,
    };
    let entry = |job: u64| JobEntry {
        key: name(job).any_file(),
        expected_bytes: 1 << 30,
        stripe_size: 0,
        stripe_count: 0,
        class: (job % 4) as u8,
        confidence_percent: 90,
        worthwhile: true,
        place: None,
    };
    TableSpec {
        fs: FsIdentity::new(FsId(3), "scratch"),
        order: Order { term: 2, seq: 40 },
        interval: Duration::from_secs(5),
        flags: Flags::default(),
        // Gaps where targets were removed.
        targets: (0..targets as u32).map(|target| OstIndex(target + target / 100)).collect(),
        classes: (0..4).map(class).collect(),
        rings: (0..5).map(|seed| ring(hash::mix(seed))).collect(),
        jobs: (0..jobs).map(entry).collect(),
    }
}

/// The published bytes of a specification, received at second 100 after boot.
pub(crate) fn published(spec: &TableSpec) -> Vec<u8> {
    let stamp = Stamp { boot_hash: BOOT_HASH, received: Time::from_secs_f64(100.0) };
    publish(&stamp, &encode(spec).unwrap()).unwrap()
}

/// A reader on the right host and file system, so many seconds after the table was received.
pub(crate) fn reader(age_s: f64) -> Reader {
    let fs_name_hash = FsIdentity::new(FsId(3), "scratch").name_hash;
    Reader { fs_name_hash, boot_hash: BOOT_HASH, now: Time::from_secs_f64(100.0 + age_s) }
}

/// A stream of numbers that is the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = hash::mix(self.0);
        self.0 % limit
    }
}
