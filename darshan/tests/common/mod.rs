//! What the Darshan tests share: where logs are, and the comparison with an oracle entry.
#![allow(dead_code, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tarazu_darshan::{
    ByteOrder, Compression, Counters, Dxt, DxtRecord, Heatmap, HeatmapRecord, Inflated, Log, Lustre,
    LustreRecord, Module, Region, SHARED_RANK, Segment,
};

/// The sample logs of the project.
pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces/darshan")
}

/// A folder of the shared traces, `None` (said aloud) where it is absent.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces").join(folder);
    if path.is_dir() {
        return Some(path);
    }
    // Not `eprintln!`: the test harness would keep that to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: ../shared/traces/{folder} is absent");
    None
}

/// The oracle of a folder: log name to expected contents.
pub(crate) fn oracle(folder: &Path) -> serde_json::Map<String, Value> {
    let text = fs::read_to_string(folder.join("oracle.json")).unwrap();
    match serde_json::from_str(&text).unwrap() {
        Value::Object(map) => map,
        other => panic!("the oracle is no object: {other}"),
    }
}

/// Every `.darshan` file below a folder, in order of its name.
pub(crate) fn logs_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(logs_below(&path));
        } else if path.to_string_lossy().contains(".darshan") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Collects what differs, so that one run shows all of it.
#[derive(Default)]
pub(crate) struct Differences {
    pub(crate) list: Vec<String>,
    pub(crate) compared: u64,
}

impl Differences {
    pub(crate) fn check(&mut self, what: &str, expected: &Value, found: &Value) {
        self.compared += 1;
        let equal = match (expected.as_f64(), found.as_f64()) {
            // The oracle adds in another order; whole numbers must be equal to the last digit.
            (Some(a), Some(b)) if expected.is_f64() || found.is_f64() => {
                (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1e-3)
            }
            _ => expected == found,
        };
        if !equal {
            self.list.push(format!("{what}: expected {expected}, found {found}"));
        }
    }

    /// Compares everything that is expected, at any depth; what else was found does not matter.
    pub(crate) fn check_all(&mut self, what: &str, expected: &Value, found: &Value) {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                for (key, expected) in expected {
                    match found.get(key) {
                        Some(found) => self.check_all(&format!("{what}.{key}"), expected, found),
                        None => self.list.push(format!("{what}.{key} is compared with nothing")),
                    }
                }
            }
            (Value::Array(expected), Value::Array(found)) if expected.len() == found.len() => {
                for (place, (expected, found)) in expected.iter().zip(found).enumerate() {
                    self.check_all(&format!("{what}[{place}]"), expected, found);
                }
            }
            _ => self.check(what, expected, found),
        }
    }
}

/// Keys of an oracle that say nothing about a log's contents: which file was read, and where libdarshan-util, the
/// second way of reading it, was wrong.
const ABOUT_THE_ORACLE: [&str; 2] = ["sha256", "util_differs"];

/// Modules that the oracle could not decode and this reader can.
const BEYOND_THE_ORACLE: [&str; 5] = ["APMPI", "APXC", "BG/Q", "DAOS", "DFS"];

/// Compares a log with its oracle entry. A key of the oracle that is not looked at is a difference.
pub(crate) fn compare(log: &Log, expected: &Value) -> Differences {
    let mut differences = Differences::default();
    let d = &mut differences;
    let partial: Vec<&str> = log.header.partial.iter().map(|module| module.name()).collect();
    let endian = if log.header.order == ByteOrder::Big { "big" } else { "little" };
    let compression = match log.header.compression {
        Compression::Zlib => "zlib",
        Compression::Bzip2 => "bzip2",
        Compression::None => "none",
    };
    let names = inflated(log, Module::Names);
    let found = json!({
        "log_version": log.header.version(),
        "endian": endian,
        "compression": compression,
        "header_bytes": log.header.bytes(),
        "file_bytes": log.file_bytes,
        "partial": partial,
        "name_records": {"count": log.names.len(), "streams": names.map_or(0, |names| names.streams)},
        "job": job(log),
    });
    let mut rest = expected.as_object().unwrap().clone();
    ABOUT_THE_ORACLE.iter().for_each(|key| drop(rest.remove(*key)));
    let modules = rest.remove("modules").unwrap();
    d.check_all("log", &Value::Object(rest), &found);
    let modules = modules.as_object().unwrap();
    let mut present: Vec<String> =
        log.header.regions.iter().map(|region| region.module.to_string()).collect();
    present.sort();
    let wanted: Vec<&str> = modules.keys().map(String::as_str).collect();
    d.check("modules", &wanted.into(), &present.into());
    for region in &log.header.regions {
        if let Some(expected) = modules.get(region.module.name()) {
            compare_module(d, log, region, expected);
        }
    }
    differences
}

/// Compares a log with the oracle entry of another that has the same contents in another packing.
pub(crate) fn compare_contents(log: &Log, expected: &Value) -> Differences {
    let mut expected = expected.clone();
    let entry = expected.as_object_mut().unwrap();
    ["endian", "compression", "file_bytes"].iter().for_each(|key| drop(entry.remove(*key)));
    entry["name_records"].as_object_mut().unwrap().remove("streams");
    for module in entry["modules"].as_object_mut().unwrap().values_mut() {
        let module = module.as_object_mut().unwrap();
        ["offset", "compressed_len", "streams"].iter().for_each(|key| drop(module.remove(*key)));
    }
    compare(log, &expected)
}

fn inflated(log: &Log, module: Module) -> Option<Inflated> {
    log.inflated.iter().find(|inflated| inflated.module == module).copied()
}

fn job(log: &Log) -> Value {
    let job = &log.job;
    let metadata: BTreeMap<&String, &String> = job.metadata.iter().map(|(key, value)| (key, value)).collect();
    let mounts: Vec<_> = job.mounts.iter().map(|mount| [&mount.fs_type, &mount.path]).collect();
    json!({
        "uid": job.uid,
        "start_sec": job.start_sec,
        "start_nsec": job.start_nsec,
        "end_sec": job.end_sec,
        "end_nsec": job.end_nsec,
        "nprocs": job.nprocs,
        "jobid": job.jobid,
        // The oracle has microseconds.
        "run_time": (job.recorded_run_time_s() * 1e6).round() / 1e6,
        "exe": job.exe,
        "metadata": metadata,
        "mounts": mounts,
    })
}

fn compare_module(d: &mut Differences, log: &Log, region: &Region, expected: &Value) {
    let name = region.module.name();
    let mut expected = expected.as_object().unwrap().clone();
    let Some(inflated) = inflated(log, region.module) else {
        d.list.push(format!("{name} was not read"));
        return;
    };
    let mut found = json!({
        "id": region.id,
        "version": region.version,
        "offset": region.offset,
        "compressed_len": region.length,
        "streams": inflated.streams,
        "raw_len": inflated.bytes,
    });
    let more = if expected.remove("undecoded").is_some() {
        let decoded = log.counters(region.module).is_some_and(|counters| !counters.is_empty())
            || log.apmpi.as_ref().is_some_and(|apmpi| !apmpi.ranks.is_empty())
            || log.apxc.is_some();
        d.check(name, &BEYOND_THE_ORACLE.contains(&name).into(), &decoded.into());
        json!({})
    } else {
        match region.module {
            Module::Heatmap => heatmap(log, log.heatmap.as_ref().unwrap()),
            Module::Lustre => {
                lustre(log, log.lustre.as_ref().unwrap(), expected["first"].as_array().unwrap().len())
            }
            Module::DxtPosix | Module::DxtMpiio => {
                let first = expected["first_segments"].as_array().unwrap().len();
                dxt(log, log.dxt(region.module).unwrap(), first)
            }
            module => {
                let counters = log.counters(module).unwrap();
                compare_largest(d, log, counters, &expected.remove("largest").unwrap());
                self::counters(log, counters)
            }
        }
    };
    found.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    d.check_all(name, &Value::Object(expected), &found);
}

/// Records that have a name.
fn named(log: &Log, ids: impl Iterator<Item = u64>) -> usize {
    ids.filter(|id| log.names.get(*id).is_some()).count()
}

fn counters(log: &Log, found: &Counters) -> Value {
    let (sums, prefix) = (found.sums(), found.shape.prefix);
    let ints = found.shape.ints.iter().zip(&sums.ints);
    let sum: BTreeMap<String, i64> =
        ints.map(|(name, sum)| (format!("{prefix}{name}"), i64::try_from(*sum).unwrap())).collect();
    let floats = found.shape.floats.iter().zip(&sums.floats);
    let fsum: BTreeMap<String, f64> = floats.map(|(name, sum)| (format!("{prefix}{name}"), *sum)).collect();
    let fmax = |place| (0..found.len()).map(|record| found.floats(record)[place]).fold(f64::MIN, f64::max);
    let floats = found.shape.floats.iter().enumerate();
    let fmax: BTreeMap<String, f64> =
        floats.map(|(place, name)| (format!("{prefix}{name}"), fmax(place))).collect();
    json!({
        "records": found.len(),
        "record_size": found.shape.record_bytes(),
        "shared_records": found.ranks().iter().filter(|rank| **rank == SHARED_RANK).count(),
        "named_records": named(log, found.ids().iter().copied()),
        "sum": sum,
        "fsum": fsum,
        "fmax": fmax,
    })
}

/// The oracle lists some records with some counters.
fn compare_largest(d: &mut Differences, log: &Log, found: &Counters, expected: &Value) {
    for wanted in expected.as_array().unwrap() {
        let same = |record: &usize| {
            wanted["id"].as_str().and_then(|id| id.parse().ok()) == Some(found.ids()[*record])
                && wanted["rank"] == found.ranks()[*record]
        };
        let Some(record) = (0..found.len()).find(same) else {
            d.list.push(format!("no record of {wanted}"));
            continue;
        };
        let mut described = json!({
            "id": found.ids()[record].to_string(),
            "rank": found.ranks()[record],
            "name": log.names.get(found.ids()[record]),
        });
        let ints = found.shape.ints.iter().zip(found.ints(record));
        let ints = ints.map(|(name, value)| (format!("{}{name}", found.shape.prefix), json!(value)));
        described.as_object_mut().unwrap().extend(ints);
        d.check_all("largest", wanted, &described);
    }
}

fn lustre(log: &Log, found: &Lustre, first: usize) -> Value {
    let described = |(number, record): (usize, &LustreRecord)| {
        let components = found.components_of(record).iter().map(|component| {
            json!({
                "stripe_size": component.stripe_size,
                "stripe_count": component.stripe_count,
                "ext_start": component.ext_start,
                "ext_end": component.ext_end,
                "osts": found.stripes_of(component),
                "pattern": component.pattern,
                "flags": component.flags,
                "mirror_id": component.mirror_id,
                "pool": found.pool_of(component),
            })
        });
        let requested = found.requested(number);
        json!({
            "id": record.id.to_string(),
            "rank": record.rank,
            "name": log.names.get(record.id),
            "comps": components.collect::<Vec<_>>(),
            "comps_on_disk": record.recorded_components,
            "stripes_on_disk": record.recorded_stripes,
            "osts_total": requested.map(|requested| requested.osts),
            "mdts_total": requested.map(|requested| requested.mdts),
            "stripe_offset": requested.map(|requested| requested.stripe_offset),
        })
    };
    json!({
        "records": found.records.len(),
        "shared_records": found.records.iter().filter(|record| record.rank == SHARED_RANK).count(),
        "named_records": named(log, found.records.iter().map(|record| record.id)),
        "osts_used": found.osts_used(),
        "stripe_counts": found.stripe_counts(),
        "stripe_sizes": found.stripe_sizes(),
        "components": found.component_counts(),
        "first": found.records.iter().enumerate().take(first).map(described).collect::<Vec<_>>(),
    })
}

fn dxt(log: &Log, found: &Dxt, first_segments: usize) -> Value {
    let totals = found.totals();
    let mut hosts = found.hosts.clone();
    hosts.sort();
    let unsorted = |record: &&DxtRecord| {
        let is_sorted = |part: &[Segment]| part.is_sorted_by(|a, b| a.start_s <= b.start_s);
        !is_sorted(found.part(&record.writes)) || !is_sorted(found.part(&record.reads))
    };
    // The first write and the first read of one record after the other.
    let first = found.records.iter().flat_map(|record| {
        [("w", &record.writes), ("r", &record.reads)].into_iter().filter_map(|(op, range)| {
            let segment = found.part(range).first()?;
            let (offset, length) = (json!(segment.offset), json!(segment.length));
            let mut values = vec![offset, length, json!(segment.start_s), json!(segment.end_s)];
            values.extend(found.threads_of(range).first().map(|thread| json!(thread)));
            Some(json!({"id": record.id.to_string(), "rank": record.rank, "op": op, "seg": values}))
        })
    });
    json!({
        "records": found.records.len(),
        "segment_size": found.segment_bytes(),
        "shared_records": found.records.iter().filter(|record| record.rank == SHARED_RANK).count(),
        "named_records": named(log, found.records.iter().map(|record| record.id)),
        "write_segments": totals.write_segments,
        "read_segments": totals.read_segments,
        "write_bytes": i64::try_from(totals.write_bytes).unwrap(),
        "read_bytes": i64::try_from(totals.read_bytes).unwrap(),
        "first_start": totals.first_start_s,
        "last_end": totals.last_end_s,
        "hosts": hosts,
        "ranks": totals.ranks,
        "offsets_valid": found.has_offsets,
        "io_seconds": totals.io_seconds,
        "unsorted_records": found.records.iter().filter(unsorted).count(),
        "first_segments": first.take(first_segments).collect::<Vec<_>>(),
    })
}

fn heatmap(log: &Log, found: &Heatmap) -> Value {
    let sum = |bins: &[i64]| bins.iter().sum::<i64>();
    let mut by_api: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut widths: Vec<f64> = found.records.iter().map(|record| record.bin_width_s).collect();
    widths.sort_by(f64::total_cmp);
    widths.dedup();
    for record in &found.records {
        let sums = by_api.entry(log.names.get(record.id).unwrap().into_owned()).or_default();
        sums.0 += sum(found.write_bytes(record));
        sums.1 += sum(found.read_bytes(record));
    }
    for id in found.interfaces() {
        // A timeline loses nothing where no bin is negative.
        let timeline = found.timeline(id);
        let sums = by_api[&*log.names.get(id).unwrap()];
        assert_eq!((sum(&timeline.write_bytes), sum(&timeline.read_bytes)), sums, "{}", log.file);
    }
    json!({
        "records": found.records.len(),
        "named_records": named(log, found.records.iter().map(|record| record.id)),
        "nbins": found.records.iter().map(HeatmapRecord::bins).collect::<BTreeSet<_>>(),
        "bin_width": widths,
        "write_bytes": by_api.values().map(|sums| sums.0).sum::<i64>(),
        "read_bytes": by_api.values().map(|sums| sums.1).sum::<i64>(),
        "by_api": by_api,
    })
}
