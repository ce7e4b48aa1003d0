//! Facts of logs made byte by byte, for what no sample has.

use super::*;
use crate::analyze::Thresholds;
use tarazu_darshan::{Counters, DarshanError, Fault, Module};

/// Bytes of the header of format 3.41.
const HEADER: usize = 1328;

/// A record of a counting module: file, rank, and the counters that are not 0.
struct Record(Module, u64, i64, &'static [(&'static str, i64)], &'static [(&'static str, f64)]);

/// Number of a module in format 3.41.
fn number(module: Module) -> usize {
    match module {
        Module::Posix => 1,
        Module::MpiIo => 2,
        Module::Lustre => 8,
        Module::Stdio => 9,
        other => panic!("{other}"),
    }
}

/// A log whose counters tell the shape of a module's records.
fn pattern() -> Log {
    let named = |log: &Log| log.posix.is_some() && log.mpiio.is_some() && log.stdio.is_some();
    samples().into_iter().find(named).unwrap()
}

fn counters(log: &Log, module: Module) -> &Counters {
    let counters = match module {
        Module::Posix => &log.posix,
        Module::MpiIo => &log.mpiio,
        _ => &log.stdio,
    };
    counters.as_ref().unwrap()
}

/// A log of format 3.41, uncompressed, of file 1 named `/scratch/run/one` and so on.
fn log(nprocs: i64, records: &[Record], lustre: &[u8]) -> Log {
    let pattern = pattern();
    let mut regions: Vec<(usize, u32, Vec<u8>)> = Vec::new();
    for module in [Module::Posix, Module::MpiIo, Module::Stdio] {
        let shape = counters(&pattern, module).shape;
        let mut bytes = Vec::new();
        for Record(_, id, rank, ints, floats) in records.iter().filter(|record| record.0 == module) {
            let (mut int, mut float) = (vec![0i64; shape.ints.len()], vec![0f64; shape.floats.len()]);
            ints.iter().for_each(|(name, value)| int[shape.int(name).unwrap()] = *value);
            floats.iter().for_each(|(name, value)| float[shape.float(name).unwrap()] = *value);
            bytes.extend(id.to_le_bytes().into_iter().chain(rank.to_le_bytes()));
            int.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
            float.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        }
        let version = pattern.header.region(module).unwrap().version;
        regions.push((number(module), version, bytes));
    }
    regions.push((number(Module::Lustre), 2, lustre.to_vec()));
    regions.retain(|(_, _, bytes)| !bytes.is_empty());
    assemble(nprocs, &regions)
}

fn assemble(nprocs: i64, regions: &[(usize, u32, Vec<u8>)]) -> Log {
    let mut job: Vec<u8> = [0, 1_700_000_000, 0, 1_700_000_600, 0, nprocs, 7].map(i64::to_le_bytes).concat();
    job.resize(job.len() + 1024, 0);
    job.extend(b"./app\nlustre\t/scratch\n");
    job.resize(56 + 1024 + 4096, 0);
    let mut names = Vec::new();
    for (id, name) in [(1u64, "one"), (2, "two"), (3, "three")] {
        names.extend(id.to_le_bytes());
        names.extend(format!("/scratch/run/{name}\0").as_bytes());
    }
    let mut bytes = vec![0u8; HEADER];
    bytes[..4].copy_from_slice(b"3.41");
    bytes[8..16].copy_from_slice(&6_567_223u64.to_le_bytes());
    bytes[16] = 2;
    bytes.extend(job);
    let mut put = |place: usize, region: &[u8]| {
        let (offset, length) = (bytes.len() as u64, region.len() as u64);
        bytes[place..place + 8].copy_from_slice(&offset.to_le_bytes());
        bytes[place + 8..place + 16].copy_from_slice(&length.to_le_bytes());
        bytes.extend(region);
    };
    put(32, &names);
    regions.iter().for_each(|(id, _, region)| put(48 + 16 * id, region));
    for (id, version, _) in regions {
        bytes[1072 + 4 * id..1076 + 4 * id].copy_from_slice(&version.to_le_bytes());
    }
    Log::from_bytes("made.darshan", &bytes).unwrap()
}

const WRITTEN: &[(&str, i64)] = &[("BYTES_WRITTEN", 4 << 30), ("MAX_BYTE_WRITTEN", (4 << 30) - 1)];
const WRITE_TIME: &[(&str, f64)] = &[("F_WRITE_TIME", 60.0), ("F_META_TIME", 500.0)];

fn codes_of(log: &Log) -> Vec<&'static str> {
    let findings = crate::analyze::analyze(&[log], &Thresholds::default());
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn stdio_counts_where_posix_only_opened_the_file() {
    let opened = || Record(Module::Posix, 1, 0, &[("OPENS", 1)], &[("F_META_TIME", 0.1)]);
    let printed = || Record(Module::Stdio, 1, 0, WRITTEN, WRITE_TIME);
    let log = log(64, &[opened(), printed()], &[]);
    assert!(log.faults.is_empty(), "{:?}", log.faults);
    let file = &Facts::of(&log).files[0];
    assert_eq!(file.by_rank, [RankUse { rank: 0, bytes: 4 * GIB, io_s: 60.0 }], "without metadata");
    assert_eq!(codes_of(&log), ["TZ-RANK-01"]);
}

#[test]
fn each_direction_is_told_by_the_highest_layer_that_moved_bytes() {
    const READ: &[(&str, i64)] = &[("BYTES_READ", 1 << 30)];
    const BOTH: &[(&str, i64)] = &[("BYTES_READ", 1 << 30), ("BYTES_WRITTEN", 4 << 30)];
    const TIMES: &[(&str, f64)] = &[("F_READ_TIME", 5.0), ("F_WRITE_TIME", 60.0)];
    let mpi = || Record(Module::MpiIo, 1, 2, READ, &[("F_READ_TIME", 6.0)]);
    let made = log(64, &[mpi(), Record(Module::Posix, 1, 2, BOTH, TIMES)], &[]);
    let used = |bytes, io_s| RankUse { rank: 2, bytes, io_s };
    assert_eq!(Facts::of(&made).files[0].by_rank, [used(GIB, 6.0), used(4 * GIB, 60.0)]);
    // The same as records of all ranks: what POSIX did behind MPI-IO is known, too.
    let shared = |module, ints, floats| Record(module, 1, -1, ints, floats);
    let records = [shared(Module::MpiIo, READ, &[("F_READ_TIME", 6.0)]), shared(Module::Posix, BOTH, TIMES)];
    let file = Facts::of(&log(64, &records, &[])).files.remove(0);
    let sums = |all: SharedUse| (all.bytes, all.io_s);
    assert_eq!(file.by_all.map(sums), Some((5 * GIB, 66.0)));
    assert_eq!(file.behind.map(sums), Some((5 * GIB, 65.0)));
}

#[test]
fn ranks_that_the_job_does_not_have_are_not_blamed() {
    let slowest = |rank: i64| {
        // Leaked, since the counters of a record are static elsewhere.
        let ints = Box::leak(Box::new([WRITTEN[0], WRITTEN[1], ("SLOWEST_RANK", rank), ("FSYNCS", 1)]));
        let times: &[(&str, f64)] = &[("F_WRITE_TIME", 64.0), ("F_SLOWEST_RANK_TIME", 60.0)];
        codes_of(&log(64, &[Record(Module::Posix, 1, -1, ints, times)], &[]))
    };
    assert_eq!(slowest(63), ["TZ-RANK-01"]);
    assert!(slowest(64).is_empty());
    assert!(slowest(-1).is_empty());
    let own = |rank| log(64, &[Record(Module::Posix, 1, rank, WRITTEN, WRITE_TIME)], &[]);
    assert_eq!(codes_of(&own(63)), ["TZ-RANK-01"]);
    assert_eq!(codes_of(&own(64)), ["TZ-DATA-02"]);
}

#[test]
fn without_a_number_of_processes_no_rank_and_no_count_is_named() {
    let records = || [Record(Module::Posix, 1, 0, WRITTEN, WRITE_TIME)];
    assert_eq!(Facts::of(&log(64, &records(), &[])).ranks, Some(64));
    for nprocs in [0, -5, i64::MAX] {
        let made = log(nprocs, &records(), &[]);
        assert_eq!(Facts::of(&made).ranks, None);
        assert_eq!(codes_of(&made), ["TZ-DATA-02"], "{nprocs}");
    }
}

#[test]
fn times_beyond_ten_years_are_damage() {
    let with = |s: f64| {
        let times = Box::leak(Box::new([("F_WRITE_TIME", s)]));
        Facts::of(&log(64, &[Record(Module::Posix, 1, 0, WRITTEN, times)], &[])).files.remove(0).io_s
    };
    assert_eq!((with(3e8), with(3.3e8), with(f64::NAN), with(-1.0)), (3e8, 0.0, 0.0, 0.0));
    // 64 ranks together may take longer.
    let all = Record(Module::Posix, 1, -1, WRITTEN, &[("F_WRITE_TIME", 3.3e8)]);
    assert_eq!(Facts::of(&log(64, &[all], &[])).files[0].io_s, 3.3e8);
}

/// A record of version 2: flags, begin, end and targets of each component.
fn layout(id: u64, components: &[(i64, i64, i64, &[i64])]) -> Vec<u8> {
    let targets: i64 = components.iter().map(|component| component.3.len() as i64).sum();
    let mut bytes = [id.cast_signed(), -1, components.len() as i64, targets].map(i64::to_le_bytes).concat();
    for (flags, start, end, osts) in components {
        let words = [1 << 20, osts.len() as i64, 0, *flags, *start, *end, 0];
        bytes.extend(words.map(i64::to_le_bytes).concat());
        bytes.extend([0u8; 16]);
    }
    let all = components.iter().flat_map(|component| component.3);
    all.for_each(|ost| bytes.extend(ost.to_le_bytes()));
    bytes
}

#[test]
fn components_that_were_never_made_are_no_stripes() {
    let pieces = |components: &[(i64, i64, i64, &[i64])]| {
        let records = [Record(Module::Posix, 1, 0, WRITTEN, WRITE_TIME)];
        let made = log(64, &records, &layout(1, components));
        assert!(made.faults.is_empty(), "{:?}", made.faults);
        Facts::of(&made).files.remove(0).layout.into_iter().map(|piece| piece.osts).collect::<Vec<_>>()
    };
    let (near, far) = (1 << 20, -1);
    assert_eq!(pieces(&[(0x10, 0, near, &[3]), (0, near, far, &[0, 1, 2, 4])]), [vec![3]]);
    assert_eq!(pieces(&[(0x10, 0, near, &[3]), (0x10, near, far, &[5, 6])]), [vec![3], vec![5, 6]]);
    assert_eq!(pieces(&[(0, 0, far, &[3, 4])]), [vec![3, 4]], "a plain layout has no flags");
}

#[test]
fn a_damaged_trace_gives_way_to_counters() {
    let mut log = samples().into_iter().find(|log| log.dxt_posix.is_some() && log.posix.is_some()).unwrap();
    let traced = Facts::of(&log).writes;
    assert_eq!(traced.len(), 1);
    let (offset, length) = (0, 0);
    let damage = |module| Fault::Record { module, offset, length, at: 0, what: "is cut short", kept: 1 };
    log.faults = vec![DarshanError { file: log.file.clone(), fault: damage(Module::DxtPosix) }];
    let counted = Facts::of(&log);
    assert_ne!(counted.writes, traced);
    assert_eq!(counted.faults[0].kind, "record");
    log.dxt_posix = None;
    assert_eq!(Facts::of(&log).writes, counted.writes);
    // Another module's damage takes nothing from the trace.
    let mut log = samples().into_iter().find(|log| log.dxt_posix.is_some() && log.posix.is_some()).unwrap();
    log.faults = vec![DarshanError { file: log.file.clone(), fault: damage(Module::Stdio) }];
    assert_eq!(Facts::of(&log).writes, traced);
}

#[test]
fn another_run_is_another_log() {
    let mut log = pattern();
    let first = Facts::of(&log).run;
    log.file = "copy.darshan".into();
    assert_eq!(Facts::of(&log).run, first);
    log.job.start_nsec += 1;
    assert_ne!(Facts::of(&log).run, first);
}
