//! Outputs of IOR, mdtest and HACC-IO: what they say, the parameters made of them, and damage.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tarazu_workload::bench_output::{
    BenchOutputError, Benchmark, Direction, IorTest, MdtestOutput, Params, Placement, Translated, parse, read,
};
use tarazu_workload::generate::{Access, HaccParams, IorParams, MdtestParams};

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/app-output")
}

fn sample(name: &str) -> Benchmark {
    read(&samples().join(name)).unwrap()
}

fn only(benchmark: &Benchmark) -> Translated {
    let mut all = benchmark.params(None).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn ior(name: &str) -> (IorTest, IorParams, Vec<String>) {
    let benchmark = sample(name);
    let Benchmark::Ior(output) = &benchmark else { panic!("{name} is no output of IOR") };
    let Translated { params: Params::Ior(params), notes } = only(&benchmark) else { panic!("{name}") };
    (output.tests[0].clone(), params, notes)
}

fn mdtest(name: &str) -> (MdtestOutput, MdtestParams) {
    let benchmark = sample(name);
    let Benchmark::Mdtest(output) = &benchmark else { panic!("{name} is no output of mdtest") };
    let Translated { params: Params::Mdtest(params), .. } = only(&benchmark) else { panic!("{name}") };
    (output.clone(), params)
}

#[test]
fn ior_options_become_parameters() {
    // ior -a POSIX -w -r -C -e -b 47008 -t 47008 -s 48 -o /scratch/a/ssf.str
    let (test, params, notes) = ior("ior-ssf-strided-n16-lustre-c8.txt");
    assert_eq!(
        params,
        IorParams {
            nodes: 1,
            ranks_per_node: 16,
            access: Access::Ssf,
            block_bytes: 47_008,
            transfer_bytes: 47_008,
            segments: 48,
            iterations: 1,
            gap_s: 0.0,
            write: true,
            read: true,
            fsync: true,
            dir: "/scratch/a".into(),
            ..IorParams::default()
        }
    );
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((test.api.as_str(), test.file_name.as_str()), ("POSIX", "/scratch/a/ssf.str"));
    assert_eq!(test.results.len(), 2);
    // ior -a POSIX -F -w -e -m -i 6 -d 4 -b 4m -t 1m
    let (test, params, _) = ior("ior-ckpt-periodic-n8.txt");
    assert_eq!((params.access, params.iterations, params.gap_s), (Access::Fpp, 6, 4.0));
    assert_eq!((params.write, params.read, params.block_bytes), (true, false, 4 << 20));
    let iterations: Vec<u32> = test.results.iter().map(|row| row.iteration).collect();
    assert_eq!(iterations, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn measured_rates_are_kept() {
    let (test, ..) = ior("pair-contender-n4.txt");
    assert_eq!(test.results.len(), 12);
    let first = &test.results[0];
    assert_eq!(first.direction, Direction::Write);
    assert_eq!(first.bytes_per_s, 89.17 * 1_048_576.0);
    assert_eq!((first.ops_per_s, first.open_s), (Some(22.30), Some(0.012949)));
    assert_eq!((first.transfer_s, first.close_s, first.total_s), (Some(1.08), Some(0.400435), Some(1.08)));
    // Rate and time say the same: 96 MiB by 1.08 s.
    for row in &test.results {
        let bytes = row.bytes_per_s * row.total_s.unwrap();
        assert!((bytes / (96.0 * 1_048_576.0) - 1.0).abs() < 0.01, "{row:?}");
    }
}

/// The workload of every IOR sample moves what the command line asks for, and the same as the file's own summary.
#[test]
fn workloads_move_what_the_runs_moved() {
    let mib = 1u64 << 20;
    for (name, written, read) in [
        ("ior-ckpt-periodic-n8.txt", 6 * 32 * mib, 0),
        ("ior-fpp-n8.json", 3 * 16 * mib, 3 * 16 * mib),
        ("ior-ssf-mpiio-n8.json", 2 * 16 * mib, 2 * 16 * mib),
        ("ior-fpp-wr-n16.txt", 128 * mib, 128 * mib),
        ("ior-hdf5-coll-n8.txt", 16 * mib, 0),
        ("ior-multi-phase-n16-lustre.txt", 3 * 64 * mib, 3 * 64 * mib),
        ("ior-partial-n4.txt", 32 * mib, 32 * mib),
        ("ior-pnetcdf-coll-n8.txt", 16 * mib, 16 * mib),
        ("ior-random-small-n8-lustre.txt", 16 * mib, 16 * mib),
        ("ior-ssf-mpiio-coll-n16-lustre-pfl.txt", 32 * mib, 32 * mib),
        ("ior-ssf-segmented-n16-lustre-c8.txt", 64 * mib, 64 * mib),
        ("ior-ssf-strided-n16-lustre-c8.txt", 16 * 48 * 47_008, 16 * 48 * 47_008),
        ("pair-contender-n4.txt", 12 * 96 * mib, 0),
        ("mdtest-easy-n16.txt", 0, 0),
        ("mdtest-hard-n8.txt", 8 * 64 * 3901, 8 * 64 * 3901),
    ] {
        let workload = only(&sample(name)).workload(1).unwrap();
        workload.check().unwrap();
        let totals = workload.totals();
        assert_eq!((totals.written_bytes, totals.read_bytes), (written, read), "{name}");
    }
}

#[test]
fn what_the_generator_does_otherwise_is_said() {
    let (test, _, notes) = ior("ior-random-small-n8-lustre.txt");
    assert!(test.random && notes.iter().any(|note| note.contains("random order")), "{notes:?}");
    let (test, _, notes) = ior("ior-ssf-mpiio-coll-n16-lustre-pfl.txt");
    assert!(test.collective && notes.iter().any(|note| note.contains("collective")), "{notes:?}");
    let (.., notes) = ior("ior-multi-phase-n16-lustre.txt");
    assert!(notes.iter().any(|note| note.contains("read its own blocks")), "{notes:?}");
    let (.., notes) = ior("ior-hdf5-coll-n8.txt");
    assert!(notes.iter().any(|note| note.contains("metadata")), "{notes:?}");
}

#[test]
fn json_and_text_say_the_same_and_csv_less() {
    let (test, params, _) = ior("ior-fpp-n8.json");
    assert_eq!((params.nodes, params.ranks_per_node, params.iterations, params.fsync), (1, 8, 3, true));
    assert_eq!(test.results.len(), 6);
    assert_eq!((test.results[5].direction, test.results[5].iteration), (Direction::Read, 2));
    assert_eq!(test.results[0].bytes_per_s, 1057.632 * 1_048_576.0);
    let csv = sample("ior-random-n4.csv");
    let Benchmark::Ior(output) = &csv else { panic!() };
    let test = &output.tests[0];
    assert_eq!((test.tasks, test.block_bytes, test.transfer_bytes, test.repetitions), (4, 1 << 20, 4096, 3));
    assert_eq!(test.results.len(), 6);
    let error = csv.params(None).unwrap_err();
    assert!(matches!(error, BenchOutputError::Params { .. }));
    assert!(error.to_string().contains("name the text or JSON output"), "{error}");
}

#[test]
fn mdtest_options_become_parameters() {
    // mdtest -F -t -w 3901 -e 3901 -n 64 -d /scratch/a/mdh
    let (output, params) = mdtest("mdtest-hard-n8.txt");
    assert_eq!(
        params,
        MdtestParams {
            nodes: 1,
            ranks_per_node: 8,
            files: 64,
            write_bytes: 3901,
            read_bytes: 3901,
            unique_dir: false,
            dir: "/scratch/a/mdh".into(),
            ..MdtestParams::default()
        }
    );
    assert_eq!(output.rates.len(), 6);
    assert_eq!(output.rates[0].operation, "File creation");
    assert_eq!(output.rates[0].max_per_s, 9316.915);
    let (_, params) = mdtest("mdtest-easy-n16.txt");
    assert_eq!((params.files, params.write_bytes, params.unique_dir), (40, 0, true));
}

#[test]
fn hacc_needs_the_number_of_ranks() {
    let placed = |name: &str, ranks_per_node| {
        let placement = Placement { nodes: 1, ranks_per_node };
        sample(name).params(Some(placement)).map(|mut all| all.remove(0))
    };
    // hacc_io_fpp 100000 with 8 ranks, hacc_io_ssf 60000 with 16.
    for (name, ranks, access, particles) in
        [("hacc-fpp-n8.txt", 8, Access::Fpp, 100_000), ("hacc-ssf-n16-lustre.txt", 16, Access::Ssf, 60_000)]
    {
        let translated = placed(name, ranks).unwrap();
        let Params::Hacc(HaccParams { access: found, particles: each, .. }) = translated.params else {
            panic!()
        };
        assert_eq!((found, each), (access, particles));
        let Benchmark::Hacc(output) = sample(name) else { panic!() };
        assert_eq!(translated.workload(1).unwrap().totals().written_bytes, output.written_bytes);
        // Bandwidth and time say the same.
        let bytes = output.write_bytes_per_s * output.write_s;
        assert!((bytes / output.written_bytes as f64 - 1.0).abs() < 1e-4);
        assert!(sample(name).params(None).unwrap_err().to_string().contains("give nodes"));
        assert!(placed(name, 7).unwrap_err().to_string().contains("give the number of ranks"));
    }
}

#[test]
fn other_files_are_refused_with_what_was_looked_for() {
    for (text, part) in [
        ("", "is empty"),
        ("hello\n", "is no output of a benchmark"),
        ("[global]\ndatadir = /x\n", "is a configuration file"),
        ("IO500 version io500-isc24_v3 (standard)\n[RESULT] ior-easy-write 1 GiB/s", "is a summary of IO500"),
        ("[run]\nprocs = 200\n", "is the result list of IO500"),
        ("access,rank,runtime-with-openclose\nwrite,0,1\n", "times of single ranks"),
        ("rank,items,rate-File creation\nall,1\n", "times of single ranks"),
        ("{\"tests\": 5}", "JSON without IOR's list"),
    ] {
        let error = parse("x", text.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("x: ") && error.contains(part), "{text}: {error}");
        assert!(error.contains("looked for the output of IOR"), "{error}");
    }
    let whole = fs::read_to_string(samples().join("ior-fpp-wr-n16.txt")).unwrap();
    let cut = &whole[..whole.find("tasks  ").unwrap()];
    let error = parse("x", cut.as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error,
        "x: the number of tasks is missing: the output was cut off, or the run failed before it printed it"
    );
    let damaged = whole.replace("file-per-process", "file-per-planet");
    let error = parse("x", damaged.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("access cannot be \"file-per-planet\""), "{error}");
    assert!(matches!(parse("x", b"{\"a\": "), Err(BenchOutputError::Json { .. })));
    assert!(matches!(read(&samples().join("none")), Err(BenchOutputError::Unreadable { .. })));
}

/// A note past the test harness, which swallows what passing tests print.
fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/{what} is absent");
}

fn shared(what: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces").join(what);
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(what);
    None
}

/// Files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn all_generated_outputs_are_read() {
    let Some(folder) = shared("generated/app-output") else { return };
    let files = files(&folder);
    assert!(files.len() >= 30);
    for file in files {
        let benchmark = read(&file).unwrap_or_else(|error| panic!("{error}"));
        let results = match &benchmark {
            Benchmark::Ior(output) => output.tests[0].results.len(),
            Benchmark::Mdtest(output) => output.rates.len(),
            Benchmark::Hacc(_) => 1,
        };
        assert!(results > 0, "{}", file.display());
    }
}

#[test]
fn all_files_of_io500_are_read_or_refused() {
    let Some(folder) = shared("io500") else { return };
    let (mut ior, mut mdtest, mut refused) = (0, 0, 0);
    for file in files(&folder) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_output = name.ends_with(".txt") && (name.starts_with("ior-") || name.starts_with("mdtest-"));
        match read(&file) {
            Ok(benchmark) => {
                assert!(is_output, "{}", file.display());
                match benchmark {
                    Benchmark::Ior(output) => {
                        ior += 1;
                        assert_eq!(output.tests[0].results.len(), 1, "{name}");
                        assert!(Benchmark::Ior(output).params(None).is_ok(), "{}", file.display());
                    }
                    Benchmark::Mdtest(output) => {
                        mdtest += 1;
                        assert!(!output.rates.is_empty(), "{}", file.display());
                        // Phases that move nothing are refused by name.
                        let moves = name.contains("write") || name.contains("read");
                        assert_eq!(
                            Benchmark::Mdtest(output).params(None).is_ok(),
                            moves,
                            "{}",
                            file.display()
                        );
                    }
                    Benchmark::Hacc(_) => panic!("{name}"),
                }
            }
            Err(error) => {
                refused += 1;
                assert!(!is_output, "{error}");
                assert!(matches!(error, BenchOutputError::Unknown { .. }), "{error}");
            }
        }
    }
    assert_eq!((ior, mdtest), (16, 28));
    assert!(refused > 40);
}

#[test]
fn stonewalled_runs_move_what_they_moved() {
    let Some(folder) = shared("io500") else { return };
    let params = |name: &str| {
        let Translated { params: Params::Ior(params), .. } = only(&read(&folder.join(name)).unwrap()) else {
            panic!()
        };
        params
    };
    // All ranks wrote the 49,600 pairs of the fastest: its whole block.
    let easy = params("Altair-submission-701/ior-easy-write.txt");
    assert_eq!((easy.nodes, easy.ranks_per_node, easy.block_bytes), (10, 20, 49_600 * (2 << 20)));
    // Stopped at 9,868 of 50,000 segments; the file says so in bytes, too.
    let hard = params("Shaheen-III-submission-691/ior-hard-write.txt");
    assert_eq!((hard.nodes, hard.ranks_per_node, hard.segments), (2080, 8, 9868));
    assert_eq!(u64::from(hard.segments) * hard.block_bytes * 16_640, 7_718_879_068_160);
    // A block of 9.46 TiB, of which 146,455,700,439,040 bytes in all were there to read.
    let read = params("Helios-submission-708/ior-easy-read.txt");
    assert_eq!(read.block_bytes * 640, 146_455_700_439_040);
    assert!(read.read && !read.write);
    let Benchmark::Mdtest(stopped) =
        self::read(&folder.join("Altair-submission-701/mdtest-hard-write.txt")).unwrap()
    else {
        panic!()
    };
    assert_eq!((stopped.files_per_rank, stopped.stonewall_s, stopped.shift), (90_031, Some(300), 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Any byte anywhere changed, any end cut off: an error or parameters within the limits.
    #[test]
    fn damage_does_no_harm(
        file in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let files: Vec<PathBuf> = files(&samples());
        let mut bytes = fs::read(file.get(&files)).unwrap();
        for (place, byte) in damage {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let end = cut.index(bytes.len() * 2);
        bytes.truncate(end);
        if let Ok(benchmark) = parse("x", &bytes) {
            let placement = Placement { nodes: 2, ranks_per_node: 4 };
            if let Ok(all) = benchmark.params(Some(placement)) {
                for translated in all {
                    // Damage may multiply the run by a thousand: only what is small is made.
                    let small = match &translated.params {
                        Params::Ior(p) => {
                            u64::from(p.nodes) * u64::from(p.ranks_per_node) * u64::from(p.segments)
                                * u64::from(p.iterations) * (p.block_bytes / p.transfer_bytes.max(1)).max(1) < 1 << 20
                        }
                        Params::Mdtest(p) => {
                            u64::from(p.nodes) * u64::from(p.ranks_per_node) * u64::from(p.files) * u64::from(p.iterations)
                                < 1 << 16
                        }
                        Params::Hacc(_) => true,
                    };
                    if small && let Ok(workload) = translated.workload(1) {
                        prop_assert_eq!(workload.check(), Ok(()));
                    }
                }
            }
        }
    }
}
