//! What carrying out any bytes as a delta must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use std::sync::OnceLock;
use std::time::Duration;

use tarazu_layout::{FsId, JobId, OstIndex, TargetId};
use tarazu_table::delta::{apply, encode as write};
use tarazu_table::{
    Class, FileClass, Flags, FsIdentity, JobEntry, JobName, Order, RingSpec, Table, TableSpec, encode,
};

/// Bytes of an input that stand for the checksum at the end: the input states none, so that a fuzzer reaches
/// what lies behind it.
const CHECKSUM_BYTES: usize = 4;

/// A table with something in every section.
fn base() -> &'static [u8] {
    static BASE: OnceLock<Vec<u8>> = OnceLock::new();
    BASE.get_or_init(|| {
        let ring = |seed| RingSpec { seed, tickets: (0..24).map(|ticket| TargetId(ticket % 12)).collect() };
        let class = Class {
            smallest_bytes: 0,
            largest_bytes: u64::MAX,
            stripe_size: 1 << 20,
            stripe_count: 1,
            ring_now: 0,
            ring_steady: 1,
        };
        let entry = |job| JobEntry {
            key: JobName { uid: 1000, job: JobId(job), executable_hash: 5, file: FileClass::Hdf5 }.any_file(),
            expected_bytes: 1 << 30,
            stripe_size: 0,
            stripe_count: 0,
            class: 0,
            confidence_percent: 90,
            worthwhile: true,
            place: None,
        };
        let spec = TableSpec {
            fs: FsIdentity::new(FsId(3), "scratch"),
            order: Order { term: 2, seq: 40 },
            interval: Duration::from_secs(5),
            flags: Flags::default(),
            targets: (0..12).map(OstIndex).collect(),
            classes: vec![class],
            rings: vec![ring(0), ring(1)],
            jobs: (0..4).map(entry).collect(),
        };
        encode(&spec).expect("a table within its limits")
    })
}

/// A delta that leads somewhere leads to a table that verifies, and a delta to it can be written again. Whether
/// it led somewhere. The input is a delta without its closing checksum.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let mut delta = Vec::with_capacity(bytes.len() + CHECKSUM_BYTES);
    delta.extend_from_slice(bytes);
    delta.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    let Ok(table) = apply(base(), &delta) else { return false };
    Table::verify(&table).expect("a result is verified");
    let again = write(base(), &table);
    assert_eq!(apply(base(), &again).as_ref(), Ok(&table), "a delta to a sound table can be written");
    true
}

/// First inputs: deltas to tables that differ from the base in every section, and their beginnings.
#[allow(dead_code, reason = "only the maker of the corpus needs it")]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let base = base();
    let reseal = |mut table: Vec<u8>| {
        let content = table.len() - CHECKSUM_BYTES;
        let checksum = crc32fast::hash(&table[..content]);
        table[content..].copy_from_slice(&checksum.to_le_bytes());
        table
    };
    // One byte of every third place of the table raised by one; those that verify are the next tables.
    let changed = (0..base.len() - CHECKSUM_BYTES).step_by(3).map(|at| {
        let mut table = base.to_vec();
        table[at] = table[at].wrapping_add(1);
        reseal(table)
    });
    let tables: Vec<_> =
        changed.filter(|table| Table::verify(table).is_ok()).chain([base.to_vec()]).collect();
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for table in tables {
        for from in [base, &[]] {
            let mut delta = write(from, &table);
            delta.truncate(delta.len() - CHECKSUM_BYTES);
            seeds.push(delta[..delta.len() * 3 / 4].to_vec());
            seeds.push(delta);
        }
    }
    seeds
}
