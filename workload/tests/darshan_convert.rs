//! Logs as workloads: every byte once, phases where they were, nobody waits for ever.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../darshan/tests/common/mod.rs"]
mod darshan_common;

use std::collections::BTreeSet;
use std::time::Duration;

use darshan_common::{logs_below, samples, shared};
use tarazu_darshan::{Counters, Log};
use tarazu_layout::{NodeId, OstIndex, Time};
use tarazu_workload::darshan::{ConvertOptions, Converted, Mounts, to_workload};
use tarazu_workload::{Action, Job, Workload, csv_format};

fn open(name: &str) -> Log {
    Log::open(&samples().join(format!("{name}.darshan"))).unwrap()
}

fn convert(log: &Log, mounts: Mounts) -> Converted {
    let options = ConvertOptions { mounts, ..ConvertOptions::default() };
    let converted = to_workload(&[log], &options).unwrap();
    converted.workload.check().unwrap();
    converted
}

fn sample(name: &str) -> Workload {
    convert(&open(name), Mounts::Auto).workload
}

/// Bytes read and written that the counters of all files but the standard streams name, STDIO only in
/// the directions in which POSIX has none for the file.
fn counted(log: &Log) -> (u64, u64) {
    let column = |counters: &Counters, record: usize, name: &str| {
        counters.ints(record)[counters.shape.int(name).unwrap()].cast_unsigned()
    };
    let mut sums = [0, 0];
    for (sum, name) in sums.iter_mut().zip(["BYTES_READ", "BYTES_WRITTEN"]) {
        let mut posix = BTreeSet::new();
        for counters in log.posix.iter().chain(&log.stdio) {
            for record in 0..counters.len() {
                let id = counters.ids()[record];
                let stream = log.names.get(id).is_some_and(|name| name.starts_with('<'));
                let bytes = column(counters, record, name);
                if counters.shape.prefix == "POSIX_" && bytes > 0 {
                    posix.insert(id);
                } else if posix.contains(&id) {
                    continue;
                }
                *sum += if stream { 0 } else { bytes };
            }
        }
    }
    (sums[0], sums[1])
}

/// Replays a job where every operation takes no time: the moment at which each rank reaches each of
/// its operations. Panics where ranks wait for each other for ever.
fn replay(job: &Job) -> Vec<Vec<Duration>> {
    let mut clocks = vec![Duration::ZERO; job.ranks.len()];
    let mut done: Vec<Vec<Duration>> = vec![Vec::new(); job.ranks.len()];
    loop {
        for (rank, recorded) in job.ranks.iter().enumerate() {
            while let Some(op) = recorded.ops.get(done[rank].len()) {
                if matches!(op.action, Action::Sync { .. }) {
                    break;
                }
                clocks[rank] += op.think;
                done[rank].push(clocks[rank]);
            }
        }
        let waits = |rank: usize| match job.ranks[rank].ops.get(done[rank].len()).map(|op| op.action) {
            Some(Action::Sync { group }) => Some(group),
            _ => None,
        };
        let complete = |members: &Vec<_>, number: usize| {
            let here = |rank: &tarazu_workload::RankId| {
                waits(rank.0 as usize).is_some_and(|group| group.0 as usize == number)
            };
            members.iter().all(here)
        };
        let meeting = job.groups.iter().enumerate().find(|(number, members)| complete(members, *number));
        let Some((_, members)) = meeting else { break };
        let arrival = |rank: usize| clocks[rank] + job.ranks[rank].ops[done[rank].len()].think;
        let met = members.iter().map(|rank| arrival(rank.0 as usize)).max().unwrap();
        for rank in members {
            clocks[rank.0 as usize] = met;
            done[rank.0 as usize].push(met);
        }
    }
    for (rank, recorded) in job.ranks.iter().enumerate() {
        assert_eq!(done[rank].len(), recorded.ops.len(), "rank {rank} of {} waits for ever", job.name);
    }
    done
}

fn all_samples() -> Vec<Log> {
    let logs: Vec<Log> = logs_below(&samples()).iter().filter_map(|path| Log::open(path).ok()).collect();
    assert_eq!(logs.len(), 40);
    logs
}

#[test]
fn every_byte_is_moved_once() {
    let mut logs = all_samples();
    if let Some(folder) = shared("generated") {
        for name in ["killed-job-mmap-rank0-uncompressed.darshan", "ior-partial-n4.darshan"] {
            logs.push(Log::open(&folder.join(name)).unwrap());
        }
    }
    for log in logs {
        let totals = convert(&log, Mounts::All).workload.totals();
        assert_eq!((totals.read_bytes, totals.written_bytes), counted(&log), "{}", log.file);
        assert_eq!(totals.ranks, log.job.nprocs.cast_unsigned(), "{}", log.file);
    }
}

#[test]
fn every_byte_of_public_logs_is_moved_once() {
    let Some(folder) = shared("public") else { return };
    let mut compared = 0;
    for path in logs_below(&folder) {
        let Ok(log) = Log::open(&path) else { continue };
        if !log.faults.is_empty() {
            continue;
        }
        let totals = convert(&log, Mounts::All).workload.totals();
        assert_eq!((totals.read_bytes, totals.written_bytes), counted(&log), "{}", log.file);
        compared += 1;
    }
    assert!(compared >= 60, "only {compared}");
}

#[test]
fn nobody_waits_for_ever_and_time_only_gets_shorter() {
    for log in all_samples() {
        let workload = convert(&log, Mounts::All).workload;
        for job in &workload.jobs {
            let last = replay(job).into_iter().flatten().max().unwrap_or_default();
            let recorded = job.ranks.iter().flat_map(|rank| &rank.ops).map(|op| op.start).max();
            let recorded = recorded.unwrap_or_default().since(Time::ZERO);
            assert!(last <= recorded + Duration::from_micros(1), "{}: {last:?} of {recorded:?}", log.file);
        }
    }
}

/// Moments at which an infinitely fast replay passes the barriers of all ranks that do I/O.
fn phase_starts(job: &Job) -> Vec<f64> {
    let times = replay(job);
    let ops = job.ranks[0].ops.iter().zip(&times[0]);
    let mut met: Vec<f64> = Vec::new();
    for (op, at) in ops {
        if matches!(op.action, Action::Write { .. })
            && met.last().is_none_or(|last| at.as_secs_f64() > last + 0.5)
        {
            met.push(at.as_secs_f64());
        }
    }
    met
}

#[test]
fn checkpoints_keep_their_period() {
    // 24 bursts by all ranks behind 4 s of computation each.
    let workload = sample("ckpt-strict-period-n8-lustre");
    let starts = phase_starts(&workload.jobs[0]);
    assert_eq!(starts.len(), 24);
    for pair in starts.windows(2) {
        let period = pair[1] - pair[0];
        assert!((3.9..4.3).contains(&period), "{period} s");
    }
}

/// Sample logs, the barriers of all ranks that the gaps and the turns in them give, and the reason.
const BARRIERS: [(&str, usize, usize, &str); 40] = [
    ("ckpt-agg-skew-n16", 9, 0, "ten checkpoints, written by four aggregators"),
    ("ckpt-fpp-n16-lustre", 7, 1, "eight checkpoints, the last read back 1.4 ms later"),
    ("ckpt-jitter20-n8-lustre", 23, 0, "24 checkpoints"),
    ("ckpt-ssf-n8-lustre-pfl", 5, 1, "six checkpoints, the last read back"),
    ("ckpt-strict-period-n8-lustre", 23, 0, "24 checkpoints"),
    ("ckpt-two-level-n4", 23, 1, "24 checkpoints, the last read back"),
    ("converted-bzip2", 0, 1, "written, then read"),
    ("converted-obfuscated", 0, 1, "written, then read"),
    ("dev-dxt-pthreadid-ior-mpiio-n4", 0, 1, "written, then read; what rank 0 writes at the end is no phase"),
    ("dl-files-n4", 0, 0, "ranks read on their own"),
    ("dl-files-n8-lustre", 0, 0, "ranks read on their own, rank 0 saves the model"),
    ("dl-packed-n8", 0, 0, "ranks read on their own, rank 0 saves the model"),
    (
        "hacc-fpp-n16-lustre",
        0,
        0,
        "ranks begin to read 1.4 s before the last has written; files opened early",
    ),
    ("hacc-fpp-n8", 0, 0, "ranks begin to read 0.5 s before the last has written"),
    ("hacc-ssf-n16-lustre", 0, 1, "written, then read"),
    ("ior-ckpt-periodic-n8", 5, 0, "six repetitions, 4 s apart"),
    ("ior-fpp-nodxt-n16", 0, 1, "written, then read; only counters say so"),
    ("ior-fpp-wr-n16", 0, 1, "written, then read"),
    ("ior-fpp-wr-n32-lustre-c1", 0, 1, "written, then read"),
    ("ior-hdf5-coll-n8", 0, 0, "written only"),
    ("ior-hdf5-indep-n8-lustre", 0, 1, "written, then read"),
    ("ior-mpiio-apmpi-n8", 0, 1, "written, then read"),
    ("ior-multi-phase-n16-lustre", 5, 0, "three writes and reads in turn, 2 s apart"),
    ("ior-pnetcdf-coll-n8", 0, 1, "written, then read"),
    ("ior-random-small-fpp-odirect-n4", 0, 0, "the first read begins before the last write ends"),
    ("ior-random-small-n8-lustre", 0, 1, "written, then read"),
    ("ior-ssf-mpiio-coll-n16-lustre-pfl", 0, 1, "written, then read; the pause behind the opens is none"),
    ("ior-ssf-mpiio-indep-n8", 0, 1, "written, then read"),
    ("ior-ssf-segmented-n16-lustre-c8", 0, 1, "written, then read"),
    ("ior-ssf-strided-n16-lustre-c8", 0, 1, "written, then read"),
    ("ior-ssf-strided-n8", 0, 1, "written, then read"),
    ("mdtest-easy-n16", 0, 0, "no bytes"),
    ("mdtest-easy-n8-lustre-dom", 0, 0, "no bytes"),
    ("mdtest-hard-n8", 0, 1, "written, then read"),
    ("merged-from-killed-job", 5, 0, "six checkpoints; only counters say so"),
    ("nonmpi-cp-n1", 0, 0, "one process"),
    ("nonmpi-tar-n1", 0, 0, "one process"),
    ("pair-contender-n4", 4, 0, "five checkpoints"),
    ("pair-target-alone-n4", 4, 0, "five checkpoints"),
    ("pair-target-contended-n4", 4, 0, "five checkpoints"),
];

#[test]
fn phases_are_found() {
    let count = |notes: &[String], what: &str| {
        let note = notes.iter().find(|note| note.contains(what));
        note.map_or(0, |note| note.split(": ").last().unwrap().split(' ').next().unwrap().parse().unwrap())
    };
    assert_eq!(all_samples().len(), BARRIERS.len());
    for (name, gaps, turns, why) in BARRIERS {
        let Converted { workload, notes, .. } = convert(&open(name), Mounts::Auto);
        let found: (usize, usize) = (count(&notes, "nobody does I/O"), count(&notes, "turn from writing"));
        assert_eq!(found, (gaps, turns), "{name}: {why}");
        let job = &workload.jobs[0];
        let collective = notes.iter().any(|note| note.contains("used collectively"));
        for rank in job.ranks.iter().filter(|rank| !rank.ops.is_empty()) {
            let syncs = rank.ops.iter().filter(|op| matches!(op.action, Action::Sync { .. })).count();
            // A collective file adds one behind its open and one at the end of each phase.
            let expected = gaps + turns + if collective { gaps + turns + 2 } else { 0 };
            assert_eq!(syncs, expected, "{name}: {why}");
            let first = rank.ops.first().map(|op| op.action);
            assert!(!matches!(first, Some(Action::Sync { .. })), "{name}: waits before its first operation");
        }
    }
}

#[test]
fn a_turn_parts_writes_from_reads_on_every_rank() {
    for (name, gaps, turns, _) in BARRIERS {
        if (gaps, turns) != (0, 1) {
            continue;
        }
        let workload = sample(name);
        for rank in &workload.jobs[0].ranks {
            let place = |wanted: fn(&Action) -> bool| rank.ops.iter().position(|op| wanted(&op.action));
            let first_read = place(|action| matches!(action, Action::Read { .. }));
            let before = first_read.map(|read| &rank.ops[..read]);
            if let Some(before) =
                before.filter(|before| before.iter().any(|op| matches!(op.action, Action::Write { .. })))
            {
                let sync = before.iter().rposition(|op| matches!(op.action, Action::Sync { .. })).unwrap();
                let behind = &before[sync..];
                assert!(!behind.iter().any(|op| matches!(op.action, Action::Write { .. })), "{name}");
            }
        }
    }
}

#[test]
fn files_are_created_where_they_were_written_first() {
    let workload = sample("ckpt-fpp-n16-lustre");
    assert_eq!(workload.files.len(), 128);
    assert!(workload.files.iter().all(|file| !file.exists));
    let creates = workload.jobs[0].ranks.iter().flat_map(|rank| &rank.ops);
    assert_eq!(creates.filter(|op| matches!(op.action, Action::Create { .. })).count(), 128);

    let workload = sample("dl-files-n8-lustre");
    let read_only = workload.files.iter().filter(|file| file.exists).count();
    let created = workload.files.len() - read_only;
    assert!(read_only >= 500 && created >= 1, "{read_only} exist, {created} are created");
}

#[test]
fn empty_files_opened_with_o_creat_are_created() {
    let workload = sample("mdtest-easy-n8-lustre-dom");
    let totals = workload.totals();
    assert_eq!(totals.written_bytes + totals.read_bytes, 0);
    assert!(workload.files.iter().filter(|file| !file.exists).count() >= 512);
}

#[test]
fn layouts_are_kept() {
    let workload = sample("ckpt-ssf-n8-lustre-pfl");
    let file = workload.files.iter().find(|file| file.name == "/scratch/a/ckpt.000").unwrap();
    let layout = file.logged.as_ref().unwrap();
    assert_eq!(layout.components.len(), 3);
    assert_eq!(layout.components[0].stripes, [OstIndex(18)]);
    assert_eq!(layout.components[1].extent.end, Some(16 << 20));
    assert_eq!(layout.components[2].stripe_size, 4 << 20);
}

#[test]
fn hosts_become_nodes() {
    let log = open("ckpt-fpp-n16-lustre");
    let workload = convert(&log, Mounts::Auto).workload;
    let nodes: BTreeSet<NodeId> = workload.jobs[0].ranks.iter().map(|rank| rank.node).collect();
    assert_eq!(nodes.len(), log.dxt_posix.as_ref().unwrap().hosts.len());
    // Without traces the option decides.
    let log = open("ior-fpp-nodxt-n16");
    let options = ConvertOptions { ranks_per_node: 5, ..ConvertOptions::default() };
    assert_eq!(to_workload(&[&log], &options).unwrap().workload.nodes(), 4);
}

#[test]
fn mounts_filter_files() {
    let log = open("ior-ssf-segmented-n16-lustre-c8");
    let names = |mounts| {
        let files = convert(&log, mounts).workload.files;
        files.into_iter().map(|file| file.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Mounts::Auto), ["/scratch/a/ssf.seg"]);
    assert_eq!(names(Mounts::Prefixes(vec!["/scratch".into()])), ["/scratch/a/ssf.seg"]);
    assert!(names(Mounts::Prefixes(vec!["/scr".into()])).is_empty());
    let converted = convert(&open("ior-ssf-strided-n8"), Mounts::Auto);
    assert!(
        converted.notes.iter().any(|note| note.contains("names no Lustre mount")),
        "{:?}",
        converted.notes
    );
}

#[test]
fn left_out_bytes_are_named() {
    let log = open("ior-ssf-segmented-n16-lustre-c8");
    assert_eq!(convert(&log, Mounts::Auto).left_out_bytes, 0);
    let converted = convert(&log, Mounts::Prefixes(vec!["/elsewhere".into()]));
    assert_eq!(converted.workload.totals().ops, 0);
    let (read, written) = counted(&log);
    assert_eq!(converted.left_out_bytes, read + written);
    let note = converted.notes.iter().find(|note| note.contains("outside the kept mounts")).unwrap();
    let all = tarazu_layout::Bytes(read + written);
    let wanted =
        format!("1 file outside the kept mounts left out, and with them {all}: /scratch (lustre) {all}");
    assert!(note.contains(&wanted), "{note}");
    // Standard streams never count.
    assert!(!convert(&log, Mounts::All).notes.iter().any(|note| note.contains("left out")));
}

#[test]
fn invisible_bytes_are_said() {
    let said =
        |name| convert(&open(name), Mounts::All).notes.iter().any(|note| note.contains("copy_file_range"));
    assert!(said("nonmpi-cp-n1"));
    assert!(!said("nonmpi-tar-n1"));
}

#[test]
fn reads_at_the_end_of_a_file_are_no_damage() {
    let notes = convert(&open("dl-files-n4"), Mounts::Auto).notes;
    assert!(notes.iter().any(|note| note.contains("1536 reads at the end of a file")), "{notes:?}");
    assert!(!notes.iter().any(|note| note.contains("impossible")), "{notes:?}");
}

#[test]
fn many_logs_of_one_job_number_get_numbers_of_their_own() {
    let mut logs: Vec<Log> = (0..500).map(|_| open("hacc-fpp-n8")).collect();
    for (number, log) in logs.iter_mut().enumerate() {
        // The highest number there is, one that is free only once, and one below the others.
        log.job.jobid = [-1, 5, 0][number % 3];
        log.job.nprocs = 1;
        log.posix = None;
        log.dxt_posix = None;
    }
    let workload =
        to_workload(&logs.iter().collect::<Vec<_>>(), &ConvertOptions::default()).unwrap().workload;
    let ids: BTreeSet<u64> = workload.jobs.iter().map(|job| job.id.0).collect();
    assert_eq!(ids.len(), 500);
    assert!(ids.is_superset(&[0, 5, u64::MAX].into()));
}

#[test]
fn several_logs_make_one_workload_in_any_order() {
    let logs: Vec<Log> =
        ["pair-contender-n4", "pair-target-contended-n4", "ckpt-two-level-n4"].map(open).into();
    let options = ConvertOptions::default();
    let forward = to_workload(&logs.iter().collect::<Vec<_>>(), &options).unwrap().workload;
    let backward = to_workload(&logs.iter().rev().collect::<Vec<_>>(), &options).unwrap().workload;
    assert_eq!(forward, backward);
    forward.check().unwrap();
    assert_eq!(forward.jobs.len(), 3);
    assert_eq!(forward.jobs[0].start, Time::ZERO);
    assert!(forward.jobs.windows(2).all(|pair| pair[0].start <= pair[1].start));
    let nodes = |job: &Job| job.ranks.iter().map(|rank| rank.node).collect::<BTreeSet<_>>();
    assert!(nodes(&forward.jobs[0]).is_disjoint(&nodes(&forward.jobs[1])));
    // The same log twice: the second is another job that finds the files of the first.
    let log = open("ckpt-fpp-n16-lustre");
    let twice = to_workload(&[&log, &log], &options).unwrap();
    assert_eq!(twice.workload.files.len(), 128);
    assert_ne!(twice.workload.jobs[0].id, twice.workload.jobs[1].id);
    assert!(twice.notes.iter().any(|note| note.contains("occurs in another log")));
}

#[test]
fn collective_files_synchronise_their_ranks() {
    let converted = convert(&open("ior-ssf-mpiio-coll-n16-lustre-pfl"), Mounts::Auto);
    let job = &converted.workload.jobs[0];
    assert!(!job.groups.is_empty());
    assert_eq!(job.groups[0].len(), 16);
    assert!(converted.notes.iter().any(|note| note.contains("used collectively")), "{:?}", converted.notes);
}

#[test]
fn incomplete_traces_give_way_to_counters() {
    let Some(folder) = shared("generated") else { return };
    let log = Log::open(&folder.join("ior-partial-n4.darshan")).unwrap();
    let converted = convert(&log, Mounts::All);
    assert!(converted.notes.iter().any(|note| note.contains("counters of these records were used")));
    assert!(converted.notes.iter().any(|note| note.contains("DXT_POSIX is incomplete")));
    let log = Log::open(&folder.join("killed-job-mmap-rank0-uncompressed.darshan")).unwrap();
    assert!(convert(&log, Mounts::All).notes.iter().any(|note| note.contains("killed")));
}

#[test]
fn shared_records_without_traces_are_split_evenly() {
    let Some(folder) = shared("public/pydarshan") else { return };
    // 2,048 ranks wrote 2 TiB to one file; Darshan kept one record of all of them.
    let log = Log::open(&folder.join("sample.darshan")).unwrap();
    let workload = convert(&log, Mounts::Auto).workload;
    let written = |rank: &tarazu_workload::Rank| {
        let writes = rank.ops.iter().filter_map(|op| match op.action {
            Action::Write { offset, bytes, .. } => Some((offset, bytes)),
            _ => None,
        });
        writes.collect::<Vec<_>>()
    };
    let per_rank: Vec<Vec<(u64, u64)>> = workload.jobs[0].ranks.iter().map(written).collect();
    let sums: BTreeSet<u64> =
        per_rank.iter().map(|writes| writes.iter().map(|(_, bytes)| bytes).sum()).collect();
    assert!(sums.last().unwrap() - sums.first().unwrap() <= 1, "{sums:?}");
    // Blocks follow each other without gap or overlap.
    let mut expected = per_rank[0][0].0;
    for (offset, bytes) in per_rank.into_iter().flatten() {
        assert_eq!(offset, expected);
        expected += bytes;
    }
    assert_eq!(expected, 2_199_023_261_832);
}

#[test]
fn the_csv_format_carries_every_sample() {
    for log in all_samples() {
        let workload = convert(&log, Mounts::All).workload;
        let mut text = Vec::new();
        csv_format::write(&workload, &mut text).unwrap();
        let back = csv_format::read(text.as_slice(), &log.file).unwrap();
        assert_eq!(back, workload, "{}", log.file);
    }
}
