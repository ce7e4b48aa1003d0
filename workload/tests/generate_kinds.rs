//! Generators: totals exact, every byte moved once, barriers equal, limits, seeds.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tarazu_workload::generate::{
    Access, CheckpointParams, GenerateError, HaccParams, IorParams, KINDS, checkpoint, from_spec, hacc, ior,
};
use tarazu_workload::{Action, Workload};

/// Ranges that operations of one direction move in each file, sorted.
fn ranges(workload: &Workload, writes: bool) -> BTreeMap<u32, Vec<(u64, u64)>> {
    let mut files: BTreeMap<u32, Vec<(u64, u64)>> = BTreeMap::new();
    for op in workload.jobs.iter().flat_map(|job| &job.ranks).flat_map(|rank| &rank.ops) {
        match op.action {
            Action::Write { file, offset, bytes } if writes => {
                files.entry(file.0).or_default().push((offset, offset + bytes));
            }
            Action::Read { file, offset, bytes } if !writes => {
                files.entry(file.0).or_default().push((offset, offset + bytes));
            }
            _ => {}
        }
    }
    files.values_mut().for_each(|ranges| ranges.sort_unstable());
    files
}

/// Every byte of every file from 0 to its end is moved exactly once; gives the files' sizes.
fn sizes_moved_once(workload: &Workload, writes: bool) -> Vec<u64> {
    let files = ranges(workload, writes);
    let sizes = files.into_iter().map(|(file, ranges)| {
        ranges.into_iter().fold(0, |end, (from, to)| {
            assert_eq!(from, end, "file {file}: a gap or an overlap at {from}");
            to
        })
    });
    sizes.collect()
}

/// Operations that a rank does, by a short name.
fn verbs(workload: &Workload, rank: usize) -> String {
    let ops = &workload.jobs[0].ranks[rank].ops;
    let letters = ops.iter().map(|op| match op.action {
        Action::Create { .. } => 'c',
        Action::Open { .. } => 'o',
        Action::Read { .. } => 'r',
        Action::Write { .. } => 'w',
        Action::Fsync { .. } => 'f',
        Action::Close { .. } => 'x',
        Action::Sync { .. } => '|',
    });
    letters.collect()
}

fn starts_match_thinks(workload: &Workload) {
    for rank in &workload.jobs[0].ranks {
        let mut earliest = tarazu_layout::Time::ZERO;
        for op in &rank.ops {
            assert!(op.start >= earliest + op.think, "an operation begins before its think time is over");
            earliest = op.start;
        }
    }
}

fn small_ior() -> IorParams {
    IorParams {
        nodes: 3,
        ranks_per_node: 2,
        block_bytes: 400,
        transfer_bytes: 100,
        segments: 3,
        iterations: 2,
        read: true,
        ..IorParams::default()
    }
}

#[test]
fn ior_does_what_ior_does() {
    for access in [Access::Fpp, Access::Ssf] {
        let params = IorParams { access, ..small_ior() };
        let workload = ior(&params, 1).expect("valid");
        assert_eq!(workload.check(), Ok(()));
        starts_match_thinks(&workload);
        assert_eq!(verbs(&workload, 5), "|cwwwwwwwwwwwwfx||orrrrrrrrrrrrx|".repeat(2));
        let files = if access == Access::Fpp { 6 } else { 1 };
        assert_eq!(sizes_moved_once(&workload, true), vec![7200 / files; 2 * files as usize]);
        assert_eq!(sizes_moved_once(&workload, false), vec![7200 / files; 2 * files as usize]);
        assert_eq!(workload.totals().written_bytes, 14_400);
        assert_eq!(workload.totals().read_bytes, 14_400);
        let nodes: Vec<_> = workload.jobs[0].ranks.iter().map(|rank| rank.node.0).collect();
        assert_eq!(nodes, [0, 0, 1, 1, 2, 2]);
        assert!(workload.files.iter().all(|file| !file.exists));
    }
}

#[test]
fn ior_strides_blocks_over_segments() {
    let params = IorParams { access: Access::Ssf, iterations: 1, read: false, ..small_ior() };
    let workload = ior(&params, 1).expect("valid");
    let offsets = workload.jobs[0].ranks[1].ops.iter().filter_map(|op| match op.action {
        Action::Write { offset, .. } => Some(offset),
        _ => None,
    });
    // Segment k of rank r begins at (k × ranks + r) × block.
    let expected = [0u64, 1, 2].map(|k| (k * 6 + 1) * 400).map(|at| [at, at + 100, at + 200, at + 300]);
    assert_eq!(offsets.collect::<Vec<_>>(), expected.concat());
}

#[test]
fn ior_reads_what_the_next_node_wrote() {
    let workload = ior(&IorParams { iterations: 1, ..small_ior() }, 1).expect("valid");
    for (number, rank) in workload.jobs[0].ranks.iter().enumerate() {
        let file = |wanted: fn(&Action) -> bool| {
            rank.ops.iter().map(|op| op.action).find(wanted).and_then(Action::file).map(|file| file.0)
        };
        assert_eq!(file(|action| matches!(action, Action::Write { .. })), Some(number as u32));
        let next = ((number + 2) % 6) as u32;
        assert_eq!(file(|action| matches!(action, Action::Read { .. })), Some(next));
    }
}

#[test]
fn ior_that_only_reads_finds_its_files() {
    let workload = ior(&IorParams { write: false, ..small_ior() }, 1).expect("valid");
    assert!(workload.files.iter().all(|file| file.exists));
    assert_eq!(workload.totals().written_bytes, 0);
    assert_eq!(workload.totals().read_bytes, 14_400);
}

#[test]
fn hacc_moves_as_many_bytes_as_the_measured_runs() {
    // The first two are what Darshan counted in runs of the real program, see docs/generators.md.
    let runs = [
        (Access::Fpp, 16, 60_000, 439_133_184, 16),
        (Access::Ssf, 16, 60_000, 61_645_824, 1),
        (Access::Fpp, 8, 100_000, 231_726_592, 8),
    ];
    for (access, ranks, particles, bytes, files) in runs {
        let params =
            HaccParams { nodes: ranks, ranks_per_node: 1, access, particles, ..HaccParams::default() };
        let workload = hacc(&params, 1).expect("valid");
        assert_eq!(workload.check(), Ok(()));
        starts_match_thinks(&workload);
        let totals = workload.totals();
        assert_eq!((totals.written_bytes, totals.read_bytes), (bytes, bytes));
        for writes in [true, false] {
            assert_eq!(sizes_moved_once(&workload, writes), vec![bytes / files; files as usize]);
        }
        assert_eq!(verbs(&workload, 0), "|cwwwwwwwwwwx||orrrrrrrrrrx|");
    }
}

/// Accesses of a rank: whether it writes, offset and length.
fn accesses(workload: &Workload, rank: usize) -> Vec<(bool, u64, u64)> {
    let moves = workload.jobs[0].ranks[rank].ops.iter().filter_map(|op| match op.action {
        Action::Write { offset, bytes, .. } => Some((true, offset, bytes)),
        Action::Read { offset, bytes, .. } => Some((false, offset, bytes)),
        _ => None,
    });
    moves.collect()
}

#[test]
fn hacc_moves_its_bytes_in_the_recorded_order() {
    use tarazu_darshan::Log;
    use tarazu_workload::darshan::{ConvertOptions, to_workload};
    let runs = [
        ("hacc-fpp-n16-lustre", Access::Fpp, 16, 60_000),
        ("hacc-ssf-n16-lustre", Access::Ssf, 16, 60_000),
        ("hacc-fpp-n8", Access::Fpp, 8, 100_000),
    ];
    for (name, access, ranks, particles) in runs {
        let path = format!("{}/../traces/darshan/{name}.darshan", env!("CARGO_MANIFEST_DIR"));
        let log = Log::open(path.as_ref()).expect("a sample");
        let recorded = to_workload(&[&log], &ConvertOptions::default()).expect("a sample").workload;
        let params =
            HaccParams { nodes: ranks, ranks_per_node: 1, access, particles, ..HaccParams::default() };
        let generated = hacc(&params, 1).expect("valid");
        for rank in 0..ranks as usize {
            assert_eq!(accesses(&generated, rank), accesses(&recorded, rank), "{name}, rank {rank}");
        }
    }
}

#[test]
fn checkpoints_come_with_their_period() {
    for access in [Access::Fpp, Access::Ssf] {
        let params = CheckpointParams {
            nodes: 2,
            ranks_per_node: 2,
            access,
            bytes: 1000,
            transfer_bytes: 300,
            count: 5,
            period_s: 100.0,
            jitter: 0.2,
            restart: true,
            ..CheckpointParams::default()
        };
        let workload = checkpoint(&params, 7).expect("valid");
        assert_eq!(workload.check(), Ok(()));
        starts_match_thinks(&workload);
        assert_eq!(verbs(&workload, 3), format!("|orrrrx|{}", "|cwwwwfx|".repeat(5)));
        assert_eq!(workload.totals().written_bytes, 20_000);
        assert_eq!(workload.totals().read_bytes, 4_000);
        let size = if access == Access::Fpp { 1000 } else { 4000 };
        assert_eq!(sizes_moved_once(&workload, true), vec![size; 20_000 / size as usize]);
        assert_eq!(sizes_moved_once(&workload, false), vec![size; 4_000 / size as usize]);
        let existing = workload.files.iter().filter(|file| file.exists).count() as u64;
        assert_eq!(existing, 4_000 / size);
        let mut spans = Vec::new();
        for rank in &workload.jobs[0].ranks {
            let thinks: Vec<_> =
                rank.ops.iter().map(|op| op.think.as_secs_f64()).filter(|s| *s > 1.0).collect();
            assert_eq!(thinks.len(), 5);
            assert!(thinks.iter().all(|s| (80.0..=120.0).contains(s)), "{thinks:?}");
            spans.push(thinks);
        }
        spans.dedup();
        assert_eq!(spans.len(), 1, "compute times are the same on all ranks");
        assert!(spans[0].windows(2).all(|pair| pair[0] != pair[1]), "and vary over checkpoints");
    }
}

#[test]
fn a_seed_reproduces_and_another_differs() {
    for spec in ["ior:nodes=2", "hacc:nodes=2,particles=1K", "checkpoint:nodes=2,count=2"] {
        let one = from_spec(spec, 1).expect(spec);
        assert_eq!(one, from_spec(spec, 1).expect(spec));
        assert_ne!(one, from_spec(spec, 2).expect(spec));
    }
    // A value of today's stream, so that a changed stream does not pass unseen.
    let workload = from_spec("ior:nodes=1,ranks_per_node=2,block=1M", 42).expect("valid");
    let thinks: Vec<_> = workload.jobs[0].ranks.iter().map(|rank| rank.ops[1].think.as_nanos()).collect();
    assert_eq!(thinks, FROZEN_THINKS_NS);
}

const FROZEN_THINKS_NS: [u128; 2] = [4_566_772, 9_260_828];

#[test]
fn specifications_are_the_parameters_in_short() {
    let text = "ior:nodes=16,ranks_per_node=4,block=64MiB,transfer=1M,access=ssf,segments=2,iterations=4,gap=2.5,\
        write=true,read=true,wait=7,fsync=false,skew=0,start=3,job=9,uid=5,dir=/x";
    let params = IorParams {
        nodes: 16,
        ranks_per_node: 4,
        access: Access::Ssf,
        block_bytes: 64 << 20,
        transfer_bytes: 1 << 20,
        segments: 2,
        iterations: 4,
        gap_s: 2.5,
        write: true,
        read: true,
        wait_s: 7.0,
        fsync: false,
        skew_s: 0.0,
        start_s: 3.0,
        job: 9,
        uid: 5,
        dir: "/x".into(),
    };
    assert_eq!(from_spec(text, 1), ior(&params, 1));
    assert_eq!(from_spec("ior", 1), ior(&IorParams::default(), 1));
    assert_eq!(from_spec("hacc:", 1), hacc(&HaccParams::default(), 1));
    assert_eq!(from_spec("checkpoint", 1), checkpoint(&CheckpointParams::default(), 1));
    let example = "ior:nodes=16,ranks_per_node=8,block=64MiB,transfer=1MiB,api=fpp,iterations=4,gap=20";
    assert_eq!(from_spec(example, 1).expect(example).totals().written_bytes, 128 * 4 * (64 << 20));
}

#[test]
fn the_help_states_the_defaults() {
    // The help shows each key with its default: a specification made of it changes nothing.
    for kind in ["ior", "hacc", "checkpoint", "mdtest", "dl", "startup"] {
        let after = KINDS.split(&format!("\n{kind} ")).nth(1).expect(kind);
        let lines = after.lines().skip(1).take_while(|line| line.starts_with("  "));
        // A choice shows its default first; a line in brackets is a remark.
        let keys: Vec<_> = lines
            .filter(|line| !line.starts_with("  ("))
            .flat_map(str::split_whitespace)
            .map(|pair| pair.split('|').next().unwrap_or(pair).to_owned())
            .collect();
        let shared = KINDS.lines().find_map(|line| line.strip_prefix("all kinds ")).expect("shared keys");
        let shared = shared.replace("/KIND", &format!("/{kind}"));
        // A kind's own default goes before that of all kinds.
        let key = |pair: &str| pair.split('=').next().map(str::to_owned);
        let common = shared.split_whitespace().filter(|pair| keys.iter().all(|own| key(own) != key(pair)));
        let pairs: Vec<_> = keys.iter().map(String::as_str).chain(common).collect();
        let spec = format!("{kind}:{}", pairs.join(","));
        assert_eq!(from_spec(&spec, 1), from_spec(kind, 1), "{spec}");
    }
}

#[test]
fn parameters_are_read_from_files_too() {
    let params: IorParams = serde_json::from_str(r#"{"nodes": 4, "access": "ssf"}"#).expect("valid");
    assert_eq!(params, IorParams { nodes: 4, access: Access::Ssf, ..IorParams::default() });
    let error = serde_json::from_str::<HaccParams>(r#"{"particle": 4}"#).expect_err("unknown");
    assert!(error.to_string().contains("unknown field `particle`"), "{error}");
    let params: CheckpointParams = serde_json::from_str("{}").expect("all defaults");
    assert_eq!(params, CheckpointParams::default());
}

#[test]
fn errors_name_the_parameter_and_its_range() {
    let rows = [
        ("iro:nodes=1", "no generator is called \"iro\": take ior, hacc, checkpoint, mdtest, dl or startup"),
        ("ior:node=1", "ior has no parameter \"node\": it has nodes ranks_per_node skew start"),
        ("hacc:block=1", "hacc has no parameter \"block\""),
        ("ior:nodes", "ior: \"nodes\" is not of the form key=value"),
        ("ior:nodes=1,nodes=2", "ior: parameter nodes is given twice"),
        ("ior:nodes=-1", "ior: nodes cannot be \"-1\", it takes a whole number"),
        ("ior:block=1MB", "block cannot be \"1MB\", it takes a size such as 64K"),
        ("ior:gap=soon", "gap cannot be \"soon\", it takes seconds"),
        ("ior:read=1", "read cannot be \"1\", it takes true or false"),
        ("ior:access=both", "it takes fpp (file per process) or ssf"),
        ("ior:nodes=0", "nodes and ranks_per_node must be at least 1"),
        ("ior:block=3K,transfer=2K", "block must be a multiple of transfer"),
        ("ior:transfer=0", "block and transfer must be at least 1 byte"),
        ("ior:segments=0", "segments and iterations must be at least 1"),
        ("ior:write=false", "write and read are both off"),
        ("ior:dir=x", "dir must begin with a slash"),
        ("ior:gap=2e9", "gap must be 0 to 1e9 seconds"),
        ("ior:nodes=2000000", "2000000 nodes, the limit is 1048576"),
        ("ior:nodes=1000000,ranks_per_node=9", "9000000 ranks, the limit is 4194304"),
        ("ior:block=1G,transfer=1", "operations, the limit is 67108864"),
        ("ior:iterations=4000000000,segments=4000000000,block=8E,transfer=1", "the limit is"),
        ("hacc:particles=0", "particles and steps must be at least 1"),
        ("hacc:particles=8E,nodes=1000000,access=ssf", "the limit is"),
        ("checkpoint:jitter=2", "jitter must be 0 to 1"),
        ("checkpoint:jitter=NaN", "jitter must be 0 to 1"),
        ("checkpoint:bytes=0", "bytes, transfer and count must be at least 1"),
        ("checkpoint:bytes=8E,transfer=8E,count=1,nodes=1000000,access=ssf", "the limit is"),
    ];
    for (spec, wanted) in rows {
        let error = from_spec(spec, 1).expect_err(spec);
        assert!(error.to_string().contains(wanted), "{spec}: wanted {wanted}, found {error}");
    }
    let gap_s = f64::NAN;
    let error = ior(&IorParams { gap_s, ..IorParams::default() }, 1).expect_err("not a number");
    assert!(matches!(error, GenerateError::Range { .. }));
}

proptest! {
    #[test]
    fn shared_files_are_covered_once(
        nodes in 1u32..4, ranks_per_node in 1u32..4, transfers in 1u64..5, transfer_bytes in 1u64..50,
        segments in 1u32..5, fpp in any::<bool>(), read in any::<bool>(), seed in any::<u64>(),
    ) {
        let access = if fpp { Access::Fpp } else { Access::Ssf };
        let block_bytes = transfers * transfer_bytes;
        let params = IorParams {
            nodes, ranks_per_node, access, block_bytes, transfer_bytes, segments, read, ..IorParams::default()
        };
        let workload = ior(&params, seed).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(workload.check(), Ok(()));
        let world = u64::from(nodes * ranks_per_node);
        let total = world * u64::from(segments) * block_bytes;
        let files = if fpp { world } else { 1 };
        prop_assert_eq!(sizes_moved_once(&workload, true), vec![total / files; files as usize]);
        prop_assert_eq!(workload.totals().written_bytes, total);
        prop_assert_eq!(workload.totals().read_bytes, if read { total } else { 0 });
    }

    #[test]
    fn no_specification_panics(
        kind in "ior|hacc|checkpoint|[a-z]{0,4}",
        pairs in prop::collection::vec(("nodes|block|bytes|particles|transfer|gap|jitter|dir|\\PC{0,5}", "\\PC{0,8}|[0-9]{1,2}[KMGTPE]?"), 0..4),
    ) {
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        // Few ranks, so that what is valid is also quick.
        let spec = format!("{kind}:ranks_per_node=1,{}", pairs.join(","));
        if let Ok(workload) = from_spec(&spec, 1) {
            prop_assert_eq!(workload.check(), Ok(()));
        }
    }
}
