//! Gate: while a module is read, memory stays below twice its inflated bytes and a constant.
//!
//! Measured from outside: a child process of its own reads one module of a large log, and the system says how much
//! memory it had at most.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use bzip2::write::BzEncoder;
use flate2::write::ZlibEncoder;
use tarazu_darshan::{Module, Reader, Records};

/// Windows, decoders, and what lists below a megabyte may double into; the program itself has some more.
const CONSTANT_BYTES: u64 = 16 << 20;

/// Names the log and module in the child's environment.
const CHILD: &str = "TARAZU_DARSHAN_MEMORY_OF";

/// A module's number in format 3.41, its record version, one stream's records, and how many streams.
struct Case {
    module: Module,
    id: usize,
    version: u32,
    records: Vec<u8>,
    streams: usize,
}

fn words(words: &[i64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn cases() -> Vec<Case> {
    let posix = vec![0; 704 * 1500];
    // One access each: the host's name and the counts are most of a record.
    let mut dxt_small = words(&[7, 0, 0]);
    dxt_small.extend([b'n'; 16]);
    dxt_small.extend([0; 48]);
    let mut dxt_large = dxt_small.clone();
    dxt_small.extend(words(&[1, 0, 0, 1 << 20, 0, 0]));
    dxt_large.extend(words(&[30_000, 0]));
    dxt_large.extend(vec![0; 30_000 * 32]);
    let lustre_v1 = words(&[7, -1, 24, 1, -1, 1 << 20, 1, 5]).repeat(16_000);
    let mut heatmap = words(&[7, 0, 0, 50_000, 0, 0]);
    heatmap.extend(vec![0; 50_000 * 16]);
    let case = |module, id, version, records, streams| Case { module, id, version, records, streams };
    vec![
        case(Module::Posix, 1, 4, posix, 300),
        case(Module::Lustre, 8, 1, lustre_v1, 64),
        case(Module::DxtPosix, 10, 1, dxt_large, 300),
        case(Module::DxtMpiio, 11, 2, dxt_small.repeat(8000), 64),
        case(Module::Heatmap, 15, 1, heatmap, 64),
    ]
}

fn names() -> Vec<u8> {
    (0..30_000u64).flat_map(|id| [&id.to_le_bytes()[..], format!("/f{id}\0").as_bytes()].concat()).collect()
}

/// A log of format 3.41; the region of names comes first.
fn write_log(path: &Path, cases: &[Case], pack: impl Fn(&[u8]) -> Vec<u8>, compression: u8) {
    let mut job = words(&[0, 100, 0, 200, 0, 16, 1]);
    job.resize(56 + 1024, 0);
    job.extend(b"program\0");
    let job = pack(&job);
    let names = pack(&names()).repeat(64);
    let regions: Vec<Vec<u8>> = cases.iter().map(|case| pack(&case.records).repeat(case.streams)).collect();
    let mut header = vec![0; 1328];
    header[..4].copy_from_slice(b"3.41");
    header[8..16].copy_from_slice(&6_567_223u64.to_le_bytes());
    header[16] = compression;
    let mut put = |at: usize, value: u64| header[at..at + 8].copy_from_slice(&value.to_le_bytes());
    let mut offset = 1328 + job.len() as u64;
    put(32, offset);
    put(40, names.len() as u64);
    offset += names.len() as u64;
    for (case, region) in cases.iter().zip(&regions) {
        put(48 + 16 * case.id, offset);
        put(56 + 16 * case.id, region.len() as u64);
        offset += region.len() as u64;
    }
    for case in cases {
        header[1072 + 4 * case.id] = case.version as u8;
    }
    let mut file = fs::File::create(path).unwrap();
    for part in [header, job, names].iter().chain(&regions) {
        file.write_all(part).unwrap();
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The most memory that this process had, in bytes.
fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Reads the names (`module` `None`) or a module as the child, and prints inflated bytes and memory.
fn child(path: &Path, name: &str) {
    let mut reader = Reader::open(path).unwrap();
    let module =
        reader.header().regions.iter().map(|region| region.module).find(|module| module.name() == name);
    let (inflated, kept) = match module {
        None => {
            let part = reader.names();
            (part.inflated_bytes, part.value.len())
        }
        Some(module) => {
            let part = reader.module(module).unwrap().unwrap();
            assert!(part.faults.is_empty(), "{:?}", part.faults);
            let kept = match &part.value {
                Records::Counters(read) => read.len(),
                Records::Lustre(read) => read.records.len(),
                Records::Dxt(read) => read.records.len(),
                Records::Heatmap(read) => read.records.len(),
                other => panic!("{other:?}"),
            };
            (part.inflated_bytes, kept)
        }
    };
    println!("\nread {inflated} bytes {kept} records, peak {} end", peak_bytes());
}

/// Inflated bytes, records and peak of a child that reads a module.
fn measure(path: &Path, name: &str) -> (u64, u64, u64) {
    let place = format!("{}\n{name}", path.display());
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output =
        command.args(["--nocapture", "--exact", "memory_stays_below_twice_the_module"]).env(CHILD, place);
    let output = output.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find(|line| line.starts_with("read ")).unwrap();
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1], numbers[2])
}

#[test]
fn memory_stays_below_twice_the_module() {
    if let Ok(place) = std::env::var(CHILD) {
        let (path, module) = place.split_once('\n').unwrap();
        return child(Path::new(path), module);
    }
    if !Path::new("/proc/self/status").exists() {
        let _ =
            writeln!(std::io::stderr(), "SKIPPED: this system does not say how much memory a process had");
        return;
    }
    let cases = cases();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join("large.darshan");
    write_log(&path, &cases, zlib, 0);
    let mut modules: Vec<(&str, u64)> =
        cases.iter().map(|case| (case.module.name(), (case.records.len() * case.streams) as u64)).collect();
    modules.push(("name records", (names().len() * 64) as u64));
    for (name, inflated) in modules {
        let (read, records, peak) = measure(&path, name);
        assert_eq!(read, inflated, "{name}");
        assert!(records > 0);
        println!("{name}: {inflated} bytes inflated, {peak} bytes at most");
        assert!(peak < 2 * inflated + CONSTANT_BYTES, "{name}: {peak} bytes for {inflated}");
        // What is measured is the reading: the records themselves are in memory.
        assert!(peak > inflated / 2, "{name}: {peak} bytes for {inflated}");
    }
    let path = folder.join("large-bzip2.darshan");
    let posix: Vec<Case> = cases.into_iter().filter(|case| case.module == Module::Posix).collect();
    write_log(&path, &posix, bzip2, 1);
    let (inflated, _, peak) = measure(&path, "POSIX");
    assert!(peak < 2 * inflated + CONSTANT_BYTES, "bzip2: {peak} bytes for {inflated}");
    fs::remove_file(path).unwrap();
    fs::remove_file(folder.join("large.darshan")).unwrap();
}
