//! The recordings of a real system: the load that its notes describe must come out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_collector::{OssStat, Record, Stat, TargetStats, parse_lctl_output};
use proptest::prelude::*;
use tarazu_proto::v1;

use super::text::{self, params, stats, target_name};
use crate::agent::{Kind, Priors, Sources, between};

#[path = "../../../fuzz/bodies/lustre_text.rs"]
mod body;

const MIB: f64 = 1024.0 * 1024.0;
/// The machine was emulated: hundreds of times slower than this.
const PRIORS: Priors = Priors { read_bps: 1e9, write_bps: 1e9 };

fn recording(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/lustre").join(folder)
}

fn read(folder: &str, file: &str) -> String {
    std::fs::read_to_string(recording(folder).join(file)).unwrap()
}

fn load(before: &str, after: &str) -> v1::Sample {
    let sources = Sources {
        kind: Kind::Lustre,
        file_system: "lustre".to_owned(),
        root: recording(after),
        targets: Vec::new(),
    };
    between(&sources, &recording(before), PRIORS).unwrap()
}

fn mib(samples: &[&v1::Sample], of: impl Fn(&v1::TargetSample) -> u64) -> f64 {
    samples.iter().flat_map(|sample| &sample.targets).map(of).sum::<u64>() as f64 / MIB
}

fn near(value: f64, wanted: f64, apart: f64) -> bool {
    (value - wanted).abs() <= apart
}

/// Written: 128 + 96 + 96 + 80 + 100 + 48 + 24 MiB of large files, 400 times 4 KiB, some 2 MiB of small files, and what a
/// small progressive and a mirrored file took (no size is noted for those two). Read: five of the files, 400 times 4 KiB.
#[test]
fn the_first_load_comes_out() {
    let sample = load("s1-before", "s1-after-procname");
    assert!(near(sample.interval_s, 138.62, 0.1), "{}", sample.interval_s);
    assert_eq!(sample.targets.len(), 8);
    let written = mib(&[&sample], |row| row.written_bytes);
    assert!((575.0..=595.0).contains(&written), "{written}");
    let bytes: Vec<_> =
        sample.targets.iter().map(|row| (row.ost_index, row.read_bytes, row.written_bytes)).collect();
    let golden = [
        (0, 20_213_760, 66_297_963),
        (1, 20_217_856, 74_688_996),
        (2, 21_856_256, 70_497_117),
        (3, 78_942_208, 95_665_366),
        (4, 63_213_568, 88_524_367),
        (5, 33_857_536, 84_135_880),
        (6, 54_812_672, 81_563_001),
        (7, 42_233_856, 58_955_506),
    ];
    assert_eq!(bytes, golden);
    for row in &sample.targets {
        // 80 MiB over all eight, and the two halves of a file of 48 MiB in 16 stripes.
        assert!(row.written_bytes as f64 >= 13.0 * MIB, "{row:?}");
        assert!(row.ops.is_some_and(|ops| ops >= 88), "{row:?}");
        assert!(row.latency_s.is_some_and(|latency_s| (0.001..0.1).contains(&latency_s)), "{row:?}");
        assert!(row.busy_s.is_some_and(|busy_s| busy_s > 0.0 && busy_s < 20.0), "{row:?}");
        assert!(row.depth.is_some_and(|depth| depth > 0.0 && depth < 1.0), "{row:?}");
        assert!((3_500_000_000..3_700_000_000).contains(&row.free_bytes), "{row:?}");
        assert!(!(row.degraded || row.no_create || row.read_only || row.inactive || row.full), "{row:?}");
    }
    // The random writes all went to one target, the random reads to another.
    let busiest: Vec<u64> =
        sample.targets.iter().filter_map(|row| row.ops).filter(|ops| *ops > 400).collect();
    assert_eq!(busiest, [484, 512]);
    // 13 requests found one waiting before them: none on average.
    assert_eq!(sample.queued_requests, Some(0));
    assert!(sample.cpu_share.is_some_and(|share| (0.3..1.0).contains(&share)), "{:?}", sample.cpu_share);
}

/// Written: 80 MiB and 40 MiB, 8 MiB laid out and 66 of 128 blocks of 64 KiB written over. Read: half of the 80 MiB and
/// the other 62 blocks.
#[test]
fn the_second_load_comes_out() {
    let sample = load("s1-after-procname", "s1-after-session");
    let blocks = 0.0625;
    assert!(near(mib(&[&sample], |row| row.written_bytes), 80.0 + 40.0 + 8.0 + 66.0 * blocks, 0.01));
    assert!(near(mib(&[&sample], |row| row.read_bytes), 40.0 + 62.0 * blocks, 0.01));
    // Target 0 was only written to, target 4 too.
    let quiet: Vec<_> =
        sample.targets.iter().filter(|row| row.read_bytes == 0).map(|row| row.ost_index).collect();
    assert_eq!(quiet, [0, 1, 4, 7]);
}

/// Both loads on two servers: what they move together is what they moved one after the other on one.
#[test]
fn two_servers_share_the_same_loads() {
    let [first, second] =
        ["lvm1", "lvm2"].map(|node| load(&format!("s2-before-{node}"), &format!("s2-after-{node}")));
    let indices = |sample: &v1::Sample| sample.targets.iter().map(|row| row.ost_index).collect::<Vec<_>>();
    assert_eq!((indices(&first), indices(&second)), (vec![0, 1, 2, 3], vec![4, 5, 6, 7]));
    let one = [load("s1-before", "s1-after-procname"), load("s1-after-procname", "s1-after-session")];
    for of in [|row: &v1::TargetSample| row.read_bytes, |row: &v1::TargetSample| row.written_bytes] {
        let (two, one) = (mib(&[&first, &second], of), mib(&[&one[0], &one[1]], of));
        assert!(near(two, one, 0.01), "{two} {one}");
    }
}

/// Backwards in time is no load.
#[test]
fn a_recording_of_earlier_is_refused() {
    let sources = Sources {
        kind: Kind::Lustre,
        file_system: "lustre".to_owned(),
        root: recording("s1-before"),
        targets: Vec::new(),
    };
    assert!(between(&sources, &recording("s1-after-session"), PRIORS).is_err());
}

/// The same file as a tree of parameters, with those of 2.15: `no_precreate`, statistics in procfs.
#[test]
fn a_file_tree_gives_what_the_listing_gives() {
    let root = tempfile::tempdir().unwrap();
    let put = |path: String, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for param in
        ["stats", "kbytestotal", "kbytesfree", "kbytesavail", "degraded", "readonly", "recovery_status"]
    {
        let place = if param == "stats" { "proc/fs/lustre" } else { "sys/fs/lustre" };
        for (name, value) in params(&read("s1-after-session", &format!("obdfilter.{param}.txt"))) {
            put(format!("{place}/{}", name.replace('.', "/")), value);
        }
    }
    put("sys/fs/lustre/obdfilter/lustre-OST0002/no_precreate".to_owned(), "1\n");
    put("sys/fs/lustre/obdfilter/other-OST0009/kbytestotal".to_owned(), "1\n");
    put("proc/diskstats".to_owned(), &read("s1-after-session", "proc_diskstats.txt"));
    put("proc/mounts".to_owned(), "/dev/vdc /mnt/ost0 lustre rw,svname=lustre-OST0000,osd=osd-ldiskfs 0 0\n");
    put("sys/fs/lustre/osd-ldiskfs/lustre-OST0003/mntdev".to_owned(), "/dev/vdf\n");
    put("sys/kernel/debug/lustre/ost/OSS/ost_io/stats".to_owned(), "snapshot_time 1.000000000 secs.nsecs\n");
    let mut sources = Sources {
        kind: Kind::Lustre,
        file_system: "lustre".to_owned(),
        root: root.path().to_owned(),
        targets: vec![],
    };
    let listed = load("s1-before", "s1-after-session");
    let tree = between(&sources, &recording("s1-before"), PRIORS).unwrap();
    assert_eq!(tree.targets.len(), 8);
    for (row, listed) in tree.targets.iter().zip(&listed.targets) {
        assert_eq!(
            (row.read_bytes, row.written_bytes, row.ops),
            (listed.read_bytes, listed.written_bytes, listed.ops)
        );
        assert_eq!((row.latency_s, row.free_bytes), (listed.latency_s, listed.free_bytes));
        assert_eq!(row.no_create, row.ost_index == 2);
        let device = matches!(row.ost_index, 0 | 3).then_some(listed.busy_s).flatten();
        assert_eq!(row.busy_s, device, "target {}", row.ost_index);
    }
    sources.file_system = "other".to_owned();
    let error = between(&sources, &recording("s1-before"), PRIORS).unwrap_err().to_string();
    assert!(error.contains("other-OST0009") && error.contains("debugfs"), "{error}");
}

/// Whamcloud's own parser agrees about every counter of every recording.
#[test]
fn the_oracle_reads_the_same_counters() {
    let mut compared = 0;
    for folder in ["s1-after-procname", "s1-after-session", "s2-after-lvm1", "s2-after-lvm2"] {
        for file in ["obdfilter.stats.txt", "ost.OSS.ost_io.stats.txt"] {
            let text = read(folder, file);
            let oracle: BTreeMap<String, Vec<Stat>> =
                parse_lctl_output(text.as_bytes()).unwrap().into_iter().filter_map(counters).collect();
            let ours = params(&text);
            assert_eq!(ours.len(), oracle.len(), "{folder}/{file}");
            for (name, value) in ours {
                let theirs =
                    &oracle[name.split('.').nth(if name.starts_with("ost.") { 2 } else { 1 }).unwrap()];
                let ours = stats(value).unwrap();
                assert_eq!(ours.counters.len(), theirs.len(), "{name}");
                for (our, their) in ours.counters.iter().zip(theirs) {
                    assert_eq!((our.name, our.unit), (their.name.as_str(), their.units.as_str()));
                    assert_eq!((our.count, our.sum), (their.samples, their.sum));
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

fn counters(record: Record) -> Option<(String, Vec<Stat>)> {
    match record {
        Record::Target(TargetStats::Stats(stats)) => Some((stats.target.0, stats.value)),
        Record::Target(TargetStats::Oss(OssStat { param, stats })) => Some((param.0, stats)),
        _ => None,
    }
}

/// What the oracle does not read: the reasons for a parser of our own.
#[test]
fn a_missing_sum_of_squares_ends_the_oracles_reading_but_not_ours() {
    let text = "ost.OSS.ost.stats=\nsnapshot_time 1688128253.497763049 secs.nsecs\nldlm_extent_enqueue 1 samples [reqs] 1 1 1 \nost_create 2 samples [usec] 3 4 7 25\n";
    let oracle = parse_lctl_output(text.as_bytes());
    let complete = oracle
        .is_ok_and(|records| records.into_iter().filter_map(counters).any(|(_, stats)| stats.len() == 2));
    assert!(!complete, "the oracle has learnt it: say so in the module's words");
    let (_, value) = params(text)[0];
    let ours = stats(value).unwrap();
    assert_eq!(ours.get("ldlm_extent_enqueue").unwrap().sum, Some(1));
    assert_eq!(ours.get("ost_create").unwrap().sum, Some(7));
}

#[test]
fn old_and_odd_statistics_are_read() {
    // 2.12: no start, plain counts, no times; some vendors write counters of nothing.
    let old = stats("snapshot_time             1535148988.363769785 secs.nsecs\nwrite_bytes 9 samples [bytes] 98303 4194304 33554431\ncreate 4 samples [reqs]\nread_bytes 0 samples [bytes] 0 0 0\n").unwrap();
    assert_eq!((old.start_ns, old.get("create").unwrap().sum), (None, None));
    assert_eq!(old.get("write_bytes").unwrap().sum, Some(33_554_431));
    for (bad, why) in [
        ("", "begin"),
        ("read_bytes 1 samples [bytes] 1 1 1\n", "begin"),
        ("snapshot_time 5\n", "line 1: no time"),
        ("snapshot_time 5.000000000\nread_bytes 1 sample [bytes]\n", "line 2: no counter"),
        ("snapshot_time 5.000000000\nread_bytes -1 samples [bytes]\n", "line 2: no counter"),
        (
            "snapshot_time 5.000000000\nread_bytes 1 samples [bytes] 1 1 99999999999999999999\n",
            "line 2: no counter",
        ),
    ] {
        let error = stats(bad).unwrap_err().to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    let long = format!("snapshot_time 5.000000000\n{}", "ping 1 samples [reqs]\n".repeat(5000));
    assert_eq!(stats(&long), Err(text::TextError::Lines));
}

#[test]
fn names_of_targets_have_a_file_system_and_an_index() {
    assert_eq!(target_name("lustre-OST001f"), Some(("lustre", 31)));
    assert_eq!(target_name("a-OSTb-OST0000"), Some(("a-OSTb", 0)));
    for wrong in
        ["lustre-OSTffff", "lustre-OST1", "-OST0001", "lustre-MDT0000", "lustre-OST00001", "lustre-OST+001"]
    {
        assert_eq!(target_name(wrong), None, "{wrong}");
    }
}

#[test]
fn inputs_of_the_fuzz_target_are_read_or_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/lustre_text");
    let inputs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    let read = inputs.iter().filter(|input| body::check(input)).count();
    assert!(inputs.len() >= 20 && read >= 5 && read < inputs.len(), "{read} of {}", inputs.len());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        body::check(&bytes);
    }

    #[test]
    fn nearly_right_text_is_read_or_refused(
        lines in proptest::collection::vec("(snapshot_time|start_time:|read_bytes|obdfilter.a-OST0001.stats=|error: x) ?[0-9]{0,20}[.]?[0-9]{0,9} ?(samples )?(\\[usecs\\] )?[0-9 ]{0,12}", 0..8),
    ) {
        body::check(lines.join("\n").as_bytes());
    }

    #[test]
    fn what_lustre_would_write_is_read(
        counters in proptest::collection::vec(("[a-z_]{1,20}", any::<u64>(), proptest::option::of(any::<u64>())), 0..20),
        start in proptest::option::of(0_u64..10_000_000_000),
    ) {
        let mut written = "snapshot_time             1790000000.123456789 secs.nsecs\n".to_owned();
        if let Some(start) = start {
            written += &format!("start_time                {}.{:09} secs.nsecs\n", start / 1_000_000_000, start % 1_000_000_000);
        }
        for (name, count, sum) in &counters {
            let sums = sum.map_or(String::new(), |sum| format!(" 0 9 {sum} 81"));
            written += &format!("{:<25} {count} samples [usecs]{sums}\n", format!("x{name}"));
        }
        let read = stats(&written).unwrap();
        prop_assert_eq!((read.snapshot_ns, read.start_ns), (1_790_000_000_123_456_789, start));
        let read: Vec<_> = read.counters.iter().map(|it| (it.name[1..].to_owned(), it.count, it.sum)).collect();
        prop_assert_eq!(read, counters);
    }
}
