//! The generators of many files and of many readers: mdtest, deep learning, starting containers.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tarazu_darshan::Log;
use tarazu_workload::darshan::{ConvertOptions, to_workload};
use tarazu_workload::generate::{
    DlParams, MdtestParams, Readers, StartupParams, Storage, dl, from_spec, mdtest, startup,
};
use tarazu_workload::{Action, Workload};

/// Operations of a rank: a letter, the file's name, offset and length. Meetings have no file.
fn ops(workload: &Workload, rank: usize) -> Vec<(char, &str, u64, u64)> {
    let name = |action: Action| match action.file() {
        Some(file) => &*workload.files[file.0 as usize].name,
        None => "",
    };
    let ops = workload.jobs[0].ranks[rank].ops.iter().map(|op| op.action);
    ops.map(|action| match action {
        Action::Create { .. } => ('c', name(action), 0, 0),
        Action::Open { .. } => ('o', name(action), 0, 0),
        Action::Read { offset, bytes, .. } => ('r', name(action), offset, bytes),
        Action::Write { offset, bytes, .. } => ('w', name(action), offset, bytes),
        Action::Fsync { .. } => ('f', name(action), 0, 0),
        Action::Close { .. } => ('x', name(action), 0, 0),
        Action::Sync { .. } => ('|', "", 0, 0),
    })
    .collect()
}

fn verbs(workload: &Workload, rank: usize) -> String {
    ops(workload, rank).into_iter().map(|(verb, ..)| verb).collect()
}

fn ops_of(workload: &Workload, rank: usize, wanted: &str) -> Vec<(char, String, u64, u64)> {
    let ops = ops(workload, rank).into_iter().filter(|(verb, ..)| wanted.contains(*verb));
    ops.map(|(verb, name, offset, bytes)| (verb, name.to_owned(), offset, bytes)).collect()
}

fn recorded(name: &str) -> Workload {
    let path = format!("{}/../traces/darshan/{name}.darshan", env!("CARGO_MANIFEST_DIR"));
    let log = Log::open(path.as_ref()).expect("a sample");
    to_workload(&[&log], &ConvertOptions::default()).expect("a sample").workload
}

#[test]
fn mdtest_makes_and_moves_what_the_real_one_did() {
    let hard = MdtestParams {
        nodes: 1,
        ranks_per_node: 8,
        files: 64,
        dir: "/scratch/a/mdh".into(),
        ..MdtestParams::default()
    };
    let easy = MdtestParams {
        nodes: 1,
        ranks_per_node: 16,
        files: 40,
        unique_dir: true,
        write_bytes: 0,
        read_bytes: 0,
        dir: "/scratch/a/mde2".into(),
        ..MdtestParams::default()
    };
    for (name, params) in [("mdtest-hard-n8", hard), ("mdtest-easy-n16", easy)] {
        let (log, generated) = (recorded(name), mdtest(&params, 1).expect("valid"));
        assert_eq!(generated.check(), Ok(()));
        assert_eq!(generated.totals().written_bytes, log.totals().written_bytes);
        assert_eq!(generated.totals().read_bytes, log.totals().read_bytes);
        for rank in 0..params.ranks_per_node as usize {
            let made = ops_of(&generated, rank, "cwr");
            assert_eq!(made.len(), params.files as usize * if params.write_bytes > 0 { 3 } else { 1 });
            assert_eq!(made, ops_of(&log, rank, "cwr"), "{name}, rank {rank}");
        }
    }
}

#[test]
fn mdtest_has_the_phases_that_are_asked_for() {
    let params = MdtestParams { nodes: 2, ranks_per_node: 2, files: 2, ..MdtestParams::default() };
    let both = MdtestParams { iterations: 2, fsync: true, shift: 2, ..params.clone() };
    let workload = mdtest(&both, 1).expect("valid");
    assert_eq!(verbs(&workload, 3), "|cwfxcwfx||orxorx|".repeat(2));
    // Rank 3 reads what rank 1 wrote, on the other node.
    let first = &ops_of(&workload, 3, "r")[0];
    assert_eq!(first.1, "/mdtest/test-dir.0-0/mdtest_tree.0/file.mdtest.1.0");
    assert!(workload.files.iter().all(|file| !file.exists));
    let only_reads = MdtestParams { create: false, read_bytes: 10_000, ..params.clone() };
    let workload = mdtest(&only_reads, 1).expect("valid");
    assert_eq!(verbs(&workload, 0), "|orxorx|");
    assert!(workload.files.iter().all(|file| file.exists));
    let only_creates = MdtestParams { read: false, write_bytes: 0, ..params };
    assert_eq!(verbs(&mdtest(&only_creates, 1).expect("valid"), 0), "|cxcx|");
}

/// Which samples are read in each epoch, by their order of reading over all ranks: (file, offset).
fn samples_of(workload: &Workload) -> Vec<(String, u64)> {
    let ranks = 0..workload.jobs[0].ranks.len();
    let firsts = ranks.flat_map(|rank| ops_of(workload, rank, "r"));
    firsts.map(|(_, name, offset, _)| (name, offset)).collect()
}

#[test]
fn every_epoch_reads_every_sample_once_in_another_order() {
    for storage in [Storage::Files, Storage::Packed] {
        let params = DlParams {
            nodes: 2,
            ranks_per_node: 2,
            storage,
            samples: 100,
            sample_bytes: 1000,
            transfer_bytes: 10_000,
            shards: 7,
            epochs: 1,
            batch: 5,
            ..DlParams::default()
        };
        let one = dl(&params, 3).expect("valid");
        assert_eq!(one.check(), Ok(()));
        let seen = samples_of(&one);
        assert_eq!(seen.len(), 100);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 100, "each once");
        let two = dl(&DlParams { epochs: 2, ..params.clone() }, 3).expect("valid");
        let mut times: BTreeMap<(String, u64), u32> = BTreeMap::new();
        for sample in samples_of(&two) {
            *times.entry(sample).or_default() += 1;
        }
        assert!(times.len() == 100 && times.values().all(|times| *times == 2));
        let rank = |workload: &Workload| -> Vec<_> { ops_of(workload, 0, "r") };
        let (first, second) = (rank(&two)[..25].to_vec(), rank(&two)[25..].to_vec());
        assert_eq!(first, rank(&one), "an epoch more leaves the first as it is");
        assert_ne!(first, second);
        assert!(two.files.iter().all(|file| file.exists));
    }
}

#[test]
fn models_are_written_by_rank_0_when_due() {
    let params = DlParams {
        nodes: 2,
        ranks_per_node: 1,
        storage: Storage::Packed,
        samples: 12,
        sample_bytes: 10,
        shards: 1,
        epochs: 2,
        batch: 2,
        checkpoint_bytes: 25,
        checkpoint_transfer_bytes: 10,
        ..DlParams::default()
    };
    let at_ends = dl(&params, 1).expect("valid");
    assert_eq!(verbs(&at_ends, 0), "|orr|rr|rr|cwwwxrr|rr|rr|cwwwxx|");
    assert_eq!(verbs(&at_ends, 1), "|orr|rr|rr|rr|rr|rr|x|");
    let every_two = dl(&DlParams { checkpoint_every: 2, ..params.clone() }, 1).expect("valid");
    assert_eq!(verbs(&every_two, 0), "|orr|rrcwwwx|rr|rrcwwwx|rr|rrcwwwx|x|");
    let names: Vec<_> = every_two.files.iter().filter(|file| !file.exists).map(|file| &*file.name).collect();
    assert_eq!(names, ["/dl/model.000.pt", "/dl/model.001.pt", "/dl/model.002.pt"]);
    assert_eq!(every_two.check(), Ok(()));
    // Thinking takes place before each meeting behind a batch, on all ranks alike.
    let thinks = |rank: usize| {
        let ops = every_two.jobs[0].ranks[rank].ops.iter();
        ops.filter(|op| op.think.as_secs_f64() >= 0.2).count()
    };
    assert_eq!((thinks(0), thinks(1)), (6, 6));
}

#[test]
fn samples_that_fill_no_batch_are_left_out() {
    let params = DlParams {
        nodes: 1,
        ranks_per_node: 3,
        samples: 20,
        batch: 3,
        sample_bytes: 100,
        epochs: 1,
        ..DlParams::default()
    };
    let workload = dl(&params, 1).expect("valid");
    assert_eq!(samples_of(&workload).len(), 18);
    assert_eq!(workload.files.len(), 18, "no file that nobody names");
}

#[test]
fn each_node_reads_the_image_once() {
    let params = StartupParams {
        nodes: 3,
        ranks_per_node: 2,
        image_bytes: 1 << 20,
        transfer_bytes: 300_000,
        fraction: 0.5,
        skew_s: 2.0,
        ..StartupParams::default()
    };
    let workload = startup(&params, 1).expect("valid");
    assert_eq!(workload.check(), Ok(()));
    assert_eq!(workload.files.len(), 1);
    assert!(workload.files[0].exists);
    for rank in 0..6 {
        assert_eq!(verbs(&workload, rank), if rank % 2 == 0 { "|orrx|" } else { "||" });
        let second = workload.jobs[0].ranks[rank].ops[1].think.as_secs_f64();
        assert!((0.0..2.0).contains(&second));
    }
    assert_eq!(workload.totals().read_bytes, 3 << 19);
    let all = startup(&StartupParams { readers: Readers::Rank, ..params }, 1).expect("valid");
    assert_eq!(all.totals().read_bytes, 6 << 19);
}

#[test]
fn small_files_are_of_one_tree_or_of_each_node() {
    let params = StartupParams {
        nodes: 3,
        ranks_per_node: 2,
        files: 50,
        file_bytes: 1000,
        ..StartupParams::default()
    };
    let one = startup(&params, 1).expect("valid");
    assert_eq!(one.files.len(), 50);
    assert_eq!(verbs(&one, 0), format!("|{}|", "orx".repeat(50)));
    assert_eq!(ops_of(&one, 0, "r"), ops_of(&one, 2, "r"));
    let sizes: Vec<_> = ops_of(&one, 0, "r").into_iter().map(|(.., bytes)| bytes).collect();
    assert!(sizes.iter().all(|bytes| (500..1500).contains(bytes)), "{sizes:?}");
    assert!(sizes.iter().any(|bytes| *bytes < 800) && sizes.iter().any(|bytes| *bytes > 1200));
    let own = startup(&StartupParams { shared: false, readers: Readers::Rank, ..params }, 1).expect("valid");
    assert_eq!(own.files.len(), 150);
    assert_eq!(ops_of(&own, 2, "r"), ops_of(&own, 3, "r"), "two ranks of one node");
    assert_ne!(ops_of(&own, 0, "r"), ops_of(&own, 2, "r"), "ranks of two nodes");
    assert_eq!(own.check(), Ok(()));
}

#[test]
fn a_seed_reproduces_and_another_differs() {
    let specs = [
        "mdtest:nodes=2,files=2",
        "dl:nodes=2,ranks_per_node=1,samples=64",
        "dl:nodes=2,ranks_per_node=1,samples=64,storage=packed",
        "startup:nodes=4,image=1M,random=true",
        "startup:nodes=4,files=20",
    ];
    for spec in specs {
        let one = from_spec(spec, 1).expect(spec);
        assert_eq!(one, from_spec(spec, 1).expect(spec));
        assert_ne!(one, from_spec(spec, 2).expect(spec));
    }
}

#[test]
fn specifications_are_the_parameters_in_short() {
    let params = MdtestParams {
        nodes: 2,
        files: 3,
        write_bytes: 4096,
        read_bytes: 100,
        unique_dir: true,
        ..MdtestParams::default()
    };
    let text = "mdtest:nodes=2,files=3,write_bytes=4K,read_bytes=100,unique_dir=true";
    assert_eq!(from_spec(text, 1), mdtest(&params, 1));
    let params = DlParams {
        storage: Storage::Packed,
        samples: 64,
        sample_bytes: 1024,
        nodes: 2,
        batch: 4,
        compute_s: 0.5,
        checkpoint_every: 3,
        ..DlParams::default()
    };
    let text = "dl:storage=packed,samples=64,sample=1K,nodes=2,batch=4,compute=0.5,checkpoint_every=3";
    assert_eq!(from_spec(text, 1), dl(&params, 1));
    let params = StartupParams {
        readers: Readers::Rank,
        nodes: 2,
        image_bytes: 1 << 20,
        fraction: 0.25,
        random: true,
        ..StartupParams::default()
    };
    let text = "startup:readers=rank,nodes=2,image=1M,fraction=0.25,random=true";
    assert_eq!(from_spec(text, 1), startup(&params, 1));
    let json = r#"{"storage": "packed", "samples": 9}"#;
    let params: DlParams = serde_json::from_str(json).expect("valid");
    assert_eq!(params, DlParams { storage: Storage::Packed, samples: 9, ..DlParams::default() });
}

#[test]
fn errors_name_the_parameter_and_its_range() {
    let rows = [
        ("mdtest:files=0", "files and iterations must be at least 1"),
        ("mdtest:create=false,read=false", "nothing is left to do"),
        ("mdtest:read_bytes=4K", "read_bytes must be at most write_bytes"),
        ("mdtest:access=ssf", "mdtest has no parameter \"access\""),
        ("mdtest:gap=-1", "gap cannot be \"-1\""),
        ("mdtest:files=4000000000", "files, the limit is 16777216"),
        ("mdtest:files=4000000000,iterations=4000000000,nodes=1000000,write_bytes=8E", "the limit is"),
        ("dl:samples=100", "samples must be at least batch for each rank"),
        ("dl:sample=0", "sample, transfer and checkpoint_transfer must be at least 1 byte"),
        ("dl:shards=0", "epochs, batch and shards must be at least 1"),
        ("dl:storage=tar", "storage cannot be \"tar\", it takes files (one for each sample) or packed"),
        ("dl:spread=1.5", "spread must be 0 to 1"),
        ("dl:nodes=0", "nodes and ranks_per_node must be at least 1"),
        ("dl:epochs=4000000000,samples=4000000000", "the limit is"),
        ("dl:sample=8E,transfer=1", "the limit is"),
        ("dl:checkpoint=8E,checkpoint_transfer=1", "operations, the limit is"),
        ("startup:fraction=0", "fraction must be above 0, up to 1"),
        ("startup:fraction=NaN", "fraction must be above 0, up to 1"),
        ("startup:image=1K", "image must be at least 4K"),
        ("startup:files=1,random=true", "random reads are of an image"),
        ("startup:readers=all", "it takes node (one rank of each) or rank"),
        ("startup:image=8E,transfer=1", "the limit is"),
        ("startup:files=4000000000,shared=false,nodes=1000000", "the limit is"),
        ("startup:nodes=0", "nodes and ranks_per_node must be at least 1"),
    ];
    for (spec, wanted) in rows {
        let error = from_spec(spec, 1).expect_err(spec);
        assert!(error.to_string().contains(wanted), "{spec}: wanted {wanted}, found {error}");
    }
}

proptest! {
    #[test]
    fn random_reads_stay_in_the_image_and_move_what_is_wanted(
        nodes in 1u32..5, image_bytes in 4096u64..2_000_000, fraction in 0.01f64..=1.0, seed in any::<u64>(),
    ) {
        let params =
            StartupParams { nodes, image_bytes, fraction, random: true, ..StartupParams::default() };
        let workload = startup(&params, seed).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(workload.check(), Ok(()));
        let wanted = ((image_bytes as f64 * fraction) as u64).max(4096);
        prop_assert_eq!(workload.totals().read_bytes, wanted * u64::from(nodes));
        for rank in 0..nodes as usize {
            for (_, _, offset, bytes) in ops_of(&workload, rank, "r") {
                prop_assert!(offset % 4096 == 0 && bytes <= 131_072 && offset + bytes <= image_bytes);
            }
        }
    }

    #[test]
    fn no_specification_panics(
        kind in "mdtest|dl|startup",
        pairs in prop::collection::vec((
            "nodes|files|samples|sample|shards|epochs|batch|image|fraction|random|shared|write_bytes|shift|checkpoint|checkpoint_every",
            "[0-9]{1,3}[KM]?|true|0\\.[0-9]|\\PC{0,5}",
        ), 0..5),
    ) {
        let pairs: Vec<_> = pairs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        // Few ranks and small defaults, so that what is valid is also quick.
        let spec = format!("{kind}:ranks_per_node=1,{}", pairs.join(","));
        // Up to some millions of operations are made, more are refused.
        prop_assume!(!spec.contains("files=") || !spec.contains("nodes="));
        if let Ok(workload) = from_spec(&spec, 1) {
            prop_assert_eq!(workload.check(), Ok(()));
        }
    }
}
