//! Recorder traces in their text form: what known programs did, every form of call, and damage.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use tarazu_workload::recorder::{Keep, Read, ReadOptions, RecorderError, from_texts, read_dir};
use tarazu_workload::{Action, FileId, Job, Op, Workload};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/recorder").join(name)
}

fn read(name: &str) -> Read {
    let read = read_dir(&sample(name), &ReadOptions::default()).unwrap();
    read.workload.check().unwrap();
    read
}

/// One rank's lines; times are filled in, a call each millisecond.
fn rank(calls: &[&str]) -> String {
    let line = |(number, call): (usize, &&str)| {
        let (function, args) = call.split_once(' ').unwrap_or((call, ""));
        let layer = if function.starts_with("MPI_") { 2 } else { 0 };
        let (depth, function) = match function.strip_prefix('>') {
            Some(inner) => (1, inner),
            None => (0, function),
        };
        format!(
            "{:.6} {:.6} {function} {depth} {layer} ( {args} )\n",
            number as f64 / 1e3,
            number as f64 / 1e3 + 5e-4
        )
    };
    calls.iter().enumerate().map(line).collect()
}

fn from(ranks: &[&[&str]]) -> Read {
    let texts: Vec<String> = ranks.iter().map(|calls| rank(calls)).collect();
    let texts: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
    let read = from_texts(&texts, &ReadOptions::default()).unwrap();
    read.workload.check().unwrap();
    read
}

fn job(read: &Read) -> &Job {
    &read.workload.jobs[0]
}

fn actions(read: &Read, rank: usize) -> Vec<Action> {
    job(read).ranks[rank].ops.iter().map(|op| op.action).collect()
}

fn file(workload: &Workload, name: &str) -> FileId {
    let place = workload.files.iter().position(|file| file.name == name);
    FileId(place.unwrap_or_else(|| panic!("{name} is not there")) as u32)
}

fn noted(read: &Read, part: &str) -> bool {
    read.notes.iter().any(|note| note.contains(part))
}

/// Ranges of all ranks in one direction of a file, sorted.
fn ranges(read: &Read, file: FileId, writes: bool) -> Vec<(u64, u64)> {
    let ops = job(read).ranks.iter().flat_map(|rank| &rank.ops);
    let mut ranges: Vec<(u64, u64)> = ops
        .filter_map(|op| match op.action {
            Action::Write { file: of, offset, bytes } if writes && of == file => Some((offset, bytes)),
            Action::Read { file: of, offset, bytes } if !writes && of == file => Some((offset, bytes)),
            _ => None,
        })
        .collect();
    ranges.sort_unstable();
    ranges
}

fn syncs(ops: &[Op]) -> usize {
    ops.iter().filter(|op| matches!(op.action, Action::Sync { .. })).count()
}

#[test]
fn the_strided_run_covers_its_file_once_in_each_direction() {
    // ior -a POSIX -w -r -C -e -b 64k -t 64k -s 8 with 8 ranks
    let read = read("ior-ssf-strided-n8");
    let totals = read.workload.totals();
    assert_eq!((totals.ranks, totals.written_bytes, totals.read_bytes), (8, 8 * 8 * 65536, 8 * 8 * 65536));
    let data = file(&read.workload, "/scratch/a/ssf.str");
    let tiles: Vec<(u64, u64)> = (0..64).map(|block| (block * 65536, 65536)).collect();
    assert_eq!(ranges(&read, data, true), tiles);
    assert_eq!(ranges(&read, data, false), tiles);
    // Rank r writes block r of each segment. With -C it reads the block of the rank at its place on the next
    // node, which is itself where there is one node.
    let first = |rank: usize, writes: bool| {
        actions(&read, rank).into_iter().find_map(|action| match action {
            Action::Write { offset, .. } if writes => Some(offset / 65536),
            Action::Read { offset, .. } if !writes => Some(offset / 65536),
            _ => None,
        })
    };
    assert_eq!((first(3, true), first(3, false)), (Some(3), Some(3)));
    assert!(!read.workload.files[data.0 as usize].exists);
    assert_eq!(read.workload.files.len(), 1);
    assert_eq!(read.left_out_bytes, 0);
}

#[test]
fn barriers_of_the_program_are_there_and_wait_for_the_last() {
    let read = read("ior-ssf-strided-n8");
    let job = job(&read);
    // World and the communicator that IOR makes of it have the same members.
    assert_eq!(job.groups.len(), 1);
    assert_eq!(job.groups[0].len(), 8);
    let each: BTreeSet<usize> = job.ranks.iter().map(|rank| syncs(&rank.ops)).collect();
    // 6 barriers, 8 reductions to all, 3 calls that make communicators.
    assert_eq!(each, BTreeSet::from([6 + 8 + 3]));
    // IOR makes a communicator of each node's ranks: all ran on one.
    assert_eq!(read.workload.nodes(), 1);
    // On an infinitely fast system no rank reads before all have written.
    let firsts = |wanted: fn(Action) -> bool| {
        job.ranks.iter().map(move |rank| {
            let place = rank.ops.iter().position(|op| wanted(op.action)).unwrap();
            syncs(&rank.ops[..place])
        })
    };
    let writes: BTreeSet<usize> = firsts(|action| matches!(action, Action::Write { .. })).collect();
    let reads: BTreeSet<usize> = firsts(|action| matches!(action, Action::Read { .. })).collect();
    assert_eq!((writes.len(), reads.len()), (1, 1));
    assert!(writes.first() < reads.first());
}

#[test]
fn collective_bytes_come_from_mpi_io_where_posix_does_not_show_them() {
    // ior -a MPIIO -c -w -r -b 256k -t 64k -s 2 with 4 ranks: this MPI library writes in calls that are not traced.
    let read = read("ior-mpiio-coll-n4");
    let totals = read.workload.totals();
    assert_eq!((totals.written_bytes, totals.read_bytes), (4 * 2 * 262_144, 4 * 2 * 262_144));
    let data = file(&read.workload, "/scratch/a/coll");
    let tiles: Vec<(u64, u64)> = (0..32).map(|block| (block * 65536, 65536)).collect();
    assert_eq!(ranges(&read, data, true), tiles);
    assert_eq!(ranges(&read, data, false), tiles);
    assert!(!read.workload.files[data.0 as usize].exists);
    assert!(noted(&read, "4.0 MiB were taken from MPI-IO calls"), "{:?}", read.notes);
    // What the ranks of a node share under /tmp is no file of a parallel file system.
    assert_eq!(read.left_out_bytes, 5 * 40);
    assert!(noted(&read, "/tmp "), "{:?}", read.notes);
    assert!(read.workload.files.iter().all(|file| file.name.starts_with("/scratch/a/coll")));
    let each: BTreeSet<usize> = job(&read).ranks.iter().map(|rank| syncs(&rank.ops)).collect();
    assert_eq!(each.len(), 1);
    // The ranks meet for each collective access: 8 writes and 8 reads.
    let meets_before = |wanted: fn(&Action) -> bool| {
        actions(&read, 2)
            .windows(2)
            .filter(|pair| matches!(pair[0], Action::Sync { .. }) && wanted(&pair[1]))
            .count()
    };
    assert_eq!(meets_before(|action| matches!(action, Action::Write { .. })), 8);
    assert_eq!(meets_before(|action| matches!(action, Action::Read { .. })), 8);
}

#[test]
fn checkpoints_have_files_of_their_own_and_compute_in_between() {
    // ckpt DIR 6 1.0 524288 131072 fpp 0 0 1 with 4 ranks: six checkpoints, the last is read back.
    let read = read("ckpt-fpp-n4");
    let totals = read.workload.totals();
    assert_eq!((totals.written_bytes, totals.read_bytes), (6 * 4 * 524_288, 4 * 524_288));
    assert_eq!(read.workload.files.len(), 24);
    assert!(read.workload.files.iter().all(|file| !file.exists));
    for number in 0..24 {
        let tiles: Vec<(u64, u64)> = (0..4).map(|block| (block * 131_072, 131_072)).collect();
        assert_eq!(ranges(&read, FileId(number), true), tiles);
    }
    for rank in &job(&read).ranks {
        let count = |wanted: fn(&Action) -> bool| rank.ops.iter().filter(|op| wanted(&op.action)).count();
        assert_eq!(count(|action| matches!(action, Action::Create { .. })), 6);
        assert_eq!(count(|action| matches!(action, Action::Open { .. })), 1);
        assert_eq!(count(|action| matches!(action, Action::Fsync { .. })), 6);
        assert_eq!(count(|action| matches!(action, Action::Close { .. })), 7);
        // A second of computing before each checkpoint, not more for who waits.
        let long = rank.ops.iter().filter(|op| op.think > Duration::from_millis(900));
        let (long, longest) =
            long.fold((0, Duration::ZERO), |(count, max), op| (count + 1, max.max(op.think)));
        assert_eq!(long, 6);
        assert!(longest < Duration::from_millis(1100), "{longest:?}");
        // Recorded times rise.
        assert!(rank.ops.windows(2).all(|pair| pair[0].start <= pair[1].start));
    }
    assert!(noted(&read, "32 ranks were put on each"), "{:?}", read.notes);
}

#[test]
fn the_order_of_threads_does_not_show() {
    for name in ["ior-ssf-strided-n8", "ior-mpiio-coll-n4", "ckpt-fpp-n4"] {
        let folder = sample(name).join("text");
        let mut texts = Vec::new();
        while let Ok(text) = fs::read(folder.join(format!("{}.txt", texts.len()))) {
            texts.push(text);
        }
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        assert_eq!(from_texts(&texts, &ReadOptions::default()).unwrap(), read(name), "{name}");
    }
}

#[test]
fn every_form_of_access_has_its_offset() {
    let read = from(&[&[
        "open64 /s/a 66 420",
        "write /s/a %p 100",
        "lseek64 /s/a -20 1",
        "write /s/a %p 50",
        "pwrite64 /s/a %p 10 1000",
        "write /s/a %p 1",
        "writev /s/a 30 2",
        "pwritev /s/a 7 1 2000",
        "lseek /s/a -7 2",
        "write /s/a %p 3",
        "lseek /s/a 0 0",
        "readv /s/a 5 1",
        "preadv64 /s/a 4 2 8",
        "pread /s/a %p 2 100",
        "close /s/a",
        "fopen /s/b w+",
        "fwrite %p 8 4 /s/b",
        "fprintf /s/b 11",
        "fseeko /s/b 2 0",
        "fread %p 1 6 /s/b",
        "fclose /s/b",
        "creat /s/c 420",
        "ftruncate /s/c 64",
        "lseek /s/c 0 2",
        "write /s/c %p 4",
    ]]);
    let (a, b, c) = (FileId(0), FileId(1), FileId(2));
    assert_eq!(
        ranges(&read, a, true),
        [(0, 100), (80, 50), (130, 1), (131, 30), (1000, 10), (2000, 7), (2000, 3)]
            .map(|range| range)
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    assert_eq!(ranges(&read, a, false), [(0, 5), (8, 4), (100, 2)]);
    assert_eq!(ranges(&read, b, true), [(0, 32), (32, 10)]);
    assert_eq!(ranges(&read, b, false), [(2, 6)]);
    assert_eq!(ranges(&read, c, true), [(64, 4)]);
    // The file may have been longer before.
    assert!(noted(&read, "1 seek to the end of a file whose size does not show"), "{:?}", read.notes);
    assert_eq!(read.notes.len(), 2, "{:?}", read.notes);
}

#[test]
fn appends_copies_and_second_opens() {
    let read = from(&[&[
        "open /s/log 1089 420",
        "write /s/log %p 10",
        "lseek /s/log 0 0",
        "write /s/log %p 5",
        "fcntl /s/log 0 3",
        "close /s/log",
        "write /s/log %p 1",
        "close /s/log",
        "open /s/in put 0",
        "open /s/in put 0",
        "read /s/in put %p 8",
    ]]);
    assert_eq!(ranges(&read, FileId(0), true), [(0, 10), (10, 5), (15, 1)]);
    let closes =
        actions(&read, 0).into_iter().filter(|action| matches!(action, Action::Close { .. })).count();
    assert_eq!(closes, 1);
    assert_eq!(read.workload.files[1].name, "/s/in put");
    assert!(read.workload.files[1].exists);
    assert!(noted(&read, "1 open of a file that the rank had open already"));
    assert!(noted(&read, "8 B were asked for of files that were there before"));
}

#[test]
fn each_byte_counts_once() {
    // Rank 0 writes for both below MPI-IO; a stream's own write lies below the stream's call.
    let read = from(&[
        &[
            "MPI_File_open MPI_COMM_WORLD /s/x 5 %p 0-0",
            ">open /s/x 66 420",
            "MPI_File_write_at_all 0-0 0 %p 2 MPI_DOUBLE MPI_STATUS_IGNORE",
            ">pwrite /s/x %p 32 0",
            "fprintf /s/y 9",
            ">write /s/y %p 8",
            "MPI_File_close 0-0",
            ">close /s/x",
        ],
        &[
            "MPI_File_open MPI_COMM_WORLD /s/x 5 %p 0-0",
            ">open /s/x 2",
            "MPI_File_write_at_all 0-0 16 %p 2 MPI_DOUBLE MPI_STATUS_IGNORE",
            "MPI_File_close 0-0",
        ],
    ]);
    let x = file(&read.workload, "/s/x");
    assert_eq!(ranges(&read, x, true), [(0, 32)]);
    assert_eq!(ranges(&read, file(&read.workload, "/s/y"), true), [(0, 8)]);
    assert_eq!(syncs(&job(&read).ranks[0].ops), 3);
    assert_eq!(syncs(&job(&read).ranks[1].ops), 3);
    let create = Action::Create { file: x };
    assert_eq!(actions(&read, 0).iter().filter(|action| **action == create).count(), 1);
}

#[test]
fn views_pointers_and_elements_of_mpi_io() {
    let read = from(&[&[
        "MPI_File_open MPI_COMM_SELF /s/v 9 %p 0-0",
        "MPI_File_set_view 0-0 100 MPI_INT MPI_INT %p %p",
        "MPI_File_write 0-0 %p 3 MPI_INT [0_0]",
        "MPI_File_write_at 0-0 10 %p 1 MPI_INT [0_0]",
        "MPI_File_seek 0-0 1 MPI_SEEK_CUR",
        "MPI_File_iwrite 0-0 %p 2 MPI_INT %p",
        "MPI_File_write 0-0 %p 2 MPI_TYPE_UNKNOWN [0_0]",
        "MPI_File_sync 0-0",
        "MPI_File_close 0-0",
        "MPI_File_write 0-9 %p 2 MPI_INT [0_0]",
    ]]);
    assert_eq!(ranges(&read, FileId(0), true), [(100, 12), (116, 8), (140, 4)]);
    assert!(noted(&read, "1 MPI-IO access of a type whose size does not show"));
    assert!(noted(&read, "1 MPI-IO call on a file whose open is not in the trace"));
    let kinds = actions(&read, 0);
    assert_eq!(kinds.first(), Some(&Action::Create { file: FileId(0) }));
    assert_eq!(kinds.last(), Some(&Action::Close { file: FileId(0) }));
    assert!(kinds.contains(&Action::Fsync { file: FileId(0) }));
}

#[test]
fn reads_end_where_the_ranks_own_files_end() {
    let read = from(&[&[
        "open /s/a 66 420",
        "write /s/a %p 100",
        "lseek /s/a 0 0",
        "read /s/a %p 64",
        "read /s/a %p 64",
        "read /s/a %p 64",
    ]]);
    assert_eq!(ranges(&read, FileId(0), false), [(0, 64), (64, 36)]);
    assert!(noted(&read, "92 B were asked for beyond the end"), "{:?}", read.notes);
}

#[test]
fn what_is_left_out_or_unknown_is_said() {
    let calls: &[&str] = &[
        "open /dev/shm/x 66 420",
        "write /dev/shm/x %p 10",
        "write pipe:[123] %p 10",
        "sendfile /s/a /s/b %p 7",
        "mmap %p 10 1 1 /s/a 0",
        "unlink /s/a",
        "pwrite /s/a %p 10 -5",
        "H5Dwrite 1 2 3",
        "MPI_Barrier MPI_COMM_UNKNOWN",
    ];
    let read = from(&[calls]);
    assert_eq!(read.workload.totals().written_bytes, 0);
    assert_eq!(read.left_out_bytes, 20);
    for part in
        ["/dev 1", "sendfile 1", "1 mapping of files", "1 call that made", "1 access with an impossible"]
    {
        assert!(noted(&read, part), "{part}: {:?}", read.notes);
    }
    assert!(noted(&read, "1 collective call on a communicator without an id"));
    // Other folders can be asked for.
    let options = ReadOptions { keep: Keep::Under(vec!["/dev/shm".into()]), ..ReadOptions::default() };
    let text = rank(calls);
    let under = from_texts(&[text.as_bytes()], &options).unwrap();
    assert_eq!(under.workload.totals().written_bytes, 10);
}

#[test]
fn nodes_come_from_the_communicators_of_nodes() {
    let call = |node: &str| format!("MPI_Comm_split_type MPI_COMM_WORLD 0 0 %p {node} 0");
    let (a, b) = (call("0-0"), call("2-0"));
    let read = from(&[&[&a], &[&a], &[&b], &[&b]]);
    let nodes: Vec<u32> = job(&read).ranks.iter().map(|rank| rank.node.0).collect();
    assert_eq!(nodes, [0, 0, 1, 1]);
}

#[test]
fn errors_name_file_line_and_remedy() {
    let refuse = |texts: &[&str]| {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        from_texts(&texts, &ReadOptions::default()).unwrap_err().to_string()
    };
    let cut = refuse(&["0.1 0.2 open 0 0 ( /s/a 66 420 )\n0.3 0.4 wri"]);
    assert!(cut.starts_with("0.txt, line 2: the call's depth is missing"), "{cut}");
    assert!(cut.contains("recorder2text"), "{cut}");
    let words = refuse(&["0.1 0.2 write 0 0 ( /s/a %p many )\n"]);
    assert!(words.contains("line 1: an argument is no whole number"), "{words}");
    let world = refuse(&["0.1 0.2 MPI_Comm_size 0 2 ( MPI_COMM_WORLD 4 )\n"]);
    assert!(world.contains("4 ranks in MPI_COMM_WORLD and the trace has 1"), "{world}");
    let long = format!("0.1 0.2 x 0 0 ( {} )\n", "a".repeat(1 << 20));
    assert!(refuse(&[&long]).contains("longer than 1 MiB"));
    let path = format!("0.1 0.2 close 0 0 ( /{} )\n", "a".repeat(5000));
    assert!(refuse(&[&path]).contains("more than 4096 bytes"));
}

/// A folder of its own for a test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recorder").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn folders_without_text_or_ranks_are_refused() {
    let read = |folder: &Path| read_dir(folder, &ReadOptions::default());
    let binary = folder("binary");
    fs::write(binary.join("recorder.mt"), b"\0\0").unwrap();
    fs::write(binary.join("0.cst"), b"\0").unwrap();
    let error = read(&binary).unwrap_err();
    assert!(matches!(error, RecorderError::Binary { .. }));
    assert!(error.to_string().contains("run `recorder2text"), "{error}");
    // With the printed text beside them they are fine.
    fs::create_dir(binary.join("_text")).unwrap();
    fs::write(binary.join("_text/0.txt"), rank(&["MPI_Barrier MPI_COMM_WORLD"])).unwrap();
    assert_eq!(read(&binary).unwrap().workload.totals().ranks, 1);

    let empty = folder("empty");
    assert!(matches!(read(&empty), Err(RecorderError::NoRanks { .. })));
    assert!(matches!(read(&empty.join("none")), Err(RecorderError::Folder { .. })));
    fs::write(empty.join("0.txt"), "").unwrap();
    fs::write(empty.join("2.txt"), "").unwrap();
    assert!(matches!(read(&empty), Err(RecorderError::Missing { rank: 1, last: 2, .. })));
}

fn lines_of_samples() -> Vec<Vec<u8>> {
    let mut lines: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for name in ["ior-ssf-strided-n8", "ior-mpiio-coll-n4", "ckpt-fpp-n4"] {
        for line in fs::read(sample(name).join("text/0.txt")).unwrap().split(|byte| *byte == b'\n') {
            let function = line.split(|byte| *byte == b' ').nth(2).unwrap_or_default();
            lines.entry(function.to_vec()).or_insert_with(|| line.to_vec());
        }
    }
    lines.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Any bytes anywhere in any line: an error or a sound workload.
    #[test]
    fn damaged_lines_do_no_harm(
        picks in proptest::collection::vec(
            (any::<prop::sample::Index>(), proptest::option::of((any::<prop::sample::Index>(), any::<u8>()))),
            1..40,
        ),
        cut in any::<prop::sample::Index>(),
        ranks in 1usize..4,
    ) {
        let samples = lines_of_samples();
        let mut texts = vec![Vec::new(); ranks];
        for (number, (line, damage)) in picks.into_iter().enumerate() {
            let mut line = line.get(&samples).clone();
            if let Some((place, byte)) = damage.filter(|_| !line.is_empty()) {
                let place = place.index(line.len());
                line[place] = byte;
            }
            line.push(b'\n');
            texts[number % ranks].extend(line);
        }
        let end = cut.index(texts[0].len() + 1);
        texts[0].truncate(end);
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        if let Ok(read) = from_texts(&texts, &ReadOptions::default()) {
            prop_assert_eq!(read.workload.check(), Ok(()));
        }
    }

    /// Calls in any order with any numbers, on few files, are followed without a panic.
    #[test]
    fn any_calls_are_followed(
        calls in proptest::collection::vec((0usize..14, 0usize..3, any::<i64>(), any::<i64>(), 0u8..3), 0..60)
    ) {
        let mut text = String::new();
        for (kind, file, a, b, depth) in calls {
            let file = ["/s/a", "/s/b", "/dev/shm/c"][file];
            let call = match kind {
                0 => format!("open {depth} 0 ( {file} {a} {b} )"),
                1 => format!("close {depth} 0 ( {file} )"),
                2 => format!("lseek {depth} 0 ( {file} {a} {} )", b % 4),
                3 => format!("write {depth} 0 ( {file} %p {a} )"),
                4 => format!("pread {depth} 0 ( {file} %p {a} {b} )"),
                5 => format!("fwrite {depth} 0 ( %p {a} {b} {file} )"),
                6 => format!("ftruncate {depth} 0 ( {file} {a} )"),
                7 => format!("MPI_File_open {depth} 1 ( MPI_COMM_WORLD {file} {a} %p 0-0 )"),
                8 => format!("MPI_File_write_at_all {depth} 1 ( 0-0 {a} %p {b} MPI_DOUBLE x )"),
                9 => format!("MPI_File_set_view {depth} 1 ( 0-0 {a} MPI_INT MPI_INT x y )"),
                10 => format!("MPI_File_seek {depth} 1 ( 0-0 {a} MPI_SEEK_CUR )"),
                11 => format!("MPI_File_read {depth} 1 ( 0-0 %p {a} MPI_LONG x )"),
                12 => format!("MPI_Barrier {depth} 2 ( {}-{} )", a % 3, b % 2),
                _ => format!("dup {depth} 0 ( {file} )"),
            };
            text.push_str(&format!("0.5 0.25 {call}\n"));
        }
        let read = from_texts(&[text.as_bytes(), b"", text.as_bytes()], &ReadOptions::default());
        if let Ok(read) = read {
            prop_assert_eq!(read.workload.check(), Ok(()));
        }
    }
}
