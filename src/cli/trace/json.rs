//! A log as an entry of the JSON schema `tarazu.trace/1`. Names and values are those of Darshan.

use std::collections::{BTreeMap, BTreeSet};

use serde::ser::{Serialize, SerializeMap, Serializer};
use tarazu_darshan::{
    Apxc, ByteOrder, Compression, Counters, Dxt, Fault, Heatmap, HeatmapRecord, Inflated, Job, Log, Lustre,
    Module, Region, SHARED_RANK,
};

/// What stands before the first and behind the last entry.
pub(super) const OPENING: &str = "{\"schema\":\"tarazu.trace/1\",\"logs\":[\n";
pub(super) const CLOSING: &str = "\n]}\n";

/// One log on one line.
pub(super) fn entry(log: &Log) -> anyhow::Result<String> {
    Ok(serde_json::to_string(&Entry(log))?)
}

struct Entry<'a>(&'a Log);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.0;
        let partial: Vec<&str> = log.header.partial.iter().map(|module| module.name()).collect();
        let faults: Vec<FaultEntry> = log.faults.iter().map(|error| FaultEntry::of(&error.fault)).collect();
        let skipped = log.skipped.iter().map(ToString::to_string);
        let notes: Vec<String> = log.notes.iter().cloned().chain(skipped).collect();
        let streams = inflated(log, Module::Names).map_or(0, |names| names.streams);
        let names = BTreeMap::from([("count", log.names.len() as u64), ("streams", streams)]);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("file", &log.file)?;
        map.serialize_entry("log_version", log.header.version())?;
        map.serialize_entry("endian", endian(log.header.order))?;
        map.serialize_entry("compression", compression(log.header.compression))?;
        map.serialize_entry("header_bytes", &log.header.bytes())?;
        map.serialize_entry("file_bytes", &log.file_bytes)?;
        map.serialize_entry("partial", &partial)?;
        map.serialize_entry("job", &JobEntry(&log.job))?;
        map.serialize_entry("name_records", &names)?;
        map.serialize_entry("modules", &Modules(log))?;
        map.serialize_entry("notes", &notes)?;
        map.serialize_entry("faults", &faults)?;
        map.end()
    }
}

pub(super) fn endian(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    }
}

pub(super) fn compression(compression: Compression) -> &'static str {
    match compression {
        Compression::Zlib => "zlib",
        Compression::Bzip2 => "bzip2",
        Compression::None => "none",
    }
}

struct JobEntry<'a>(&'a Job);

impl Serialize for JobEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let job = self.0;
        let metadata: BTreeMap<&str, &str> =
            job.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mounts: Vec<[&str; 2]> =
            job.mounts.iter().map(|mount| [mount.fs_type.as_str(), mount.path.as_str()]).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uid", &job.uid)?;
        map.serialize_entry("start_sec", &job.start_sec)?;
        map.serialize_entry("start_nsec", &job.start_nsec)?;
        map.serialize_entry("end_sec", &job.end_sec)?;
        map.serialize_entry("end_nsec", &job.end_nsec)?;
        map.serialize_entry("nprocs", &job.nprocs)?;
        map.serialize_entry("jobid", &job.jobid)?;
        // To the microsecond: less than that differs between machines' arithmetic.
        map.serialize_entry("run_time", &((job.recorded_run_time_s() * 1e6).round() / 1e6))?;
        map.serialize_entry("metadata", &metadata)?;
        map.serialize_entry("exe", &job.exe)?;
        map.serialize_entry("mounts", &mounts)?;
        map.end()
    }
}

struct Modules<'a>(&'a Log);

impl Serialize for Modules<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let log = self.0;
        let modules = log.header.regions.iter();
        serializer.collect_map(modules.map(|region| (region.module.to_string(), ModuleEntry { log, region })))
    }
}

/// How the region of a module or of the names was packed, if it was read.
fn inflated(log: &Log, module: Module) -> Option<&Inflated> {
    log.inflated.iter().find(|inflated| inflated.module == module)
}

struct ModuleEntry<'a> {
    log: &'a Log,
    region: &'a Region,
}

impl Serialize for ModuleEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { log, region } = *self;
        let module = region.module;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &region.id)?;
        map.serialize_entry("version", &region.version)?;
        map.serialize_entry("offset", &region.offset)?;
        map.serialize_entry("compressed_len", &region.length)?;
        if let Some(inflated) = inflated(log, module) {
            map.serialize_entry("streams", &inflated.streams)?;
            map.serialize_entry("raw_len", &inflated.bytes)?;
        }
        let apmpi = log.apmpi.as_ref().filter(|_| module == Module::Apmpi);
        let decoded = if let Some(counters) = log.counters(module) {
            put_counters(&mut map, log, counters)?
        } else if let Some(dxt) = log.dxt(module) {
            put_dxt(&mut map, log, dxt)?
        } else if let Some(lustre) = log.lustre.as_ref().filter(|_| module == Module::Lustre) {
            put_lustre(&mut map, log, lustre)?
        } else if let Some(heatmap) = log.heatmap.as_ref().filter(|_| module == Module::Heatmap) {
            put_heatmap(&mut map, log, heatmap)?
        } else if let Some(apmpi) = apmpi {
            map.serialize_entry("has_sync_times", &apmpi.has_sync_times)?;
            map.serialize_entry("variance_mpi_time", &apmpi.variance_mpi_time)?;
            map.serialize_entry("variance_sync_time", &apmpi.variance_sync_time)?;
            put_counters(&mut map, log, &apmpi.ranks)?
        } else if let Some(apxc) = log.apxc.as_ref().filter(|_| module == Module::Apxc) {
            put_apxc(&mut map, apxc)?
        } else {
            false
        };
        if !decoded {
            map.serialize_entry("undecoded", &true)?;
        }
        map.end()
    }
}

/// Records that have a name.
fn named(log: &Log, ids: impl Iterator<Item = u64>) -> usize {
    ids.filter(|id| log.names.get(*id).is_some()).count()
}

fn put_counters<M: SerializeMap>(map: &mut M, log: &Log, counters: &Counters) -> Result<bool, M::Error> {
    let sums = counters.sums();
    let prefix = counters.shape.prefix;
    let shared = counters.ranks().iter().filter(|rank| **rank == SHARED_RANK).count();
    map.serialize_entry("record_size", &counters.shape.record_bytes())?;
    map.serialize_entry("records", &counters.len())?;
    map.serialize_entry("shared_records", &shared)?;
    map.serialize_entry("named_records", &named(log, counters.ids().iter().copied()))?;
    map.serialize_entry("sum", &Named { prefix, names: counters.shape.ints, values: &sums.ints })?;
    map.serialize_entry("fsum", &Named { prefix, names: counters.shape.floats, values: &sums.floats })?;
    Ok(true)
}

/// Counters as an object, in the order of the record.
struct Named<'a, T> {
    prefix: &'a str,
    names: &'a [&'a str],
    values: &'a [T],
}

impl<T: Serialize> Serialize for Named<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.names.iter().zip(self.values);
        serializer.collect_map(pairs.map(|(name, value)| (format!("{}{name}", self.prefix), value)))
    }
}

fn put_lustre<M: SerializeMap>(map: &mut M, log: &Log, lustre: &Lustre) -> Result<bool, M::Error> {
    let shared = lustre.records.iter().filter(|record| record.rank == SHARED_RANK).count();
    map.serialize_entry("records", &lustre.records.len())?;
    map.serialize_entry("shared_records", &shared)?;
    map.serialize_entry("named_records", &named(log, lustre.records.iter().map(|record| record.id)))?;
    map.serialize_entry("osts_used", &lustre.osts_used())?;
    map.serialize_entry("stripe_counts", &lustre.stripe_counts())?;
    map.serialize_entry("stripe_sizes", &lustre.stripe_sizes())?;
    map.serialize_entry("components", &lustre.component_counts())?;
    Ok(true)
}

fn put_dxt<M: SerializeMap>(map: &mut M, log: &Log, dxt: &Dxt) -> Result<bool, M::Error> {
    let totals = dxt.totals();
    let mut hosts: Vec<&str> = dxt.hosts.iter().map(String::as_str).collect();
    hosts.sort_unstable();
    // None unless damaged: records of traces are never shared.
    let shared = dxt.records.iter().filter(|record| record.rank == SHARED_RANK).count();
    map.serialize_entry("segment_size", &dxt.segment_bytes())?;
    map.serialize_entry("records", &dxt.records.len())?;
    map.serialize_entry("shared_records", &shared)?;
    map.serialize_entry("named_records", &named(log, dxt.records.iter().map(|record| record.id)))?;
    map.serialize_entry("write_segments", &totals.write_segments)?;
    map.serialize_entry("read_segments", &totals.read_segments)?;
    map.serialize_entry("write_bytes", &totals.write_bytes)?;
    map.serialize_entry("read_bytes", &totals.read_bytes)?;
    map.serialize_entry("first_start", &totals.first_start_s)?;
    map.serialize_entry("last_end", &totals.last_end_s)?;
    map.serialize_entry("hosts", &hosts)?;
    map.serialize_entry("ranks", &totals.ranks)?;
    map.serialize_entry("offsets_valid", &dxt.has_offsets)?;
    map.serialize_entry("io_seconds", &totals.io_seconds)?;
    if dxt.has_threads {
        let threads: BTreeSet<u64> = dxt.threads.iter().copied().collect();
        map.serialize_entry("threads", &threads.len())?;
    }
    Ok(true)
}

fn put_heatmap<M: SerializeMap>(map: &mut M, log: &Log, heatmap: &Heatmap) -> Result<bool, M::Error> {
    let sum = |bins: &[i64]| bins.iter().map(|bytes| i128::from(*bytes)).sum::<i128>();
    let mut by_api: BTreeMap<String, (i128, i128)> = BTreeMap::new();
    let mut all = (0, 0);
    for record in &heatmap.records {
        let name = log.names.get(record.id);
        let name = name.map_or_else(|| format!("heatmap {}", record.id), std::borrow::Cow::into_owned);
        let (written, read) = (sum(heatmap.write_bytes(record)), sum(heatmap.read_bytes(record)));
        let sums = by_api.entry(name).or_default();
        *sums = (sums.0 + written, sums.1 + read);
        all = (all.0 + written, all.1 + read);
    }
    let bins: BTreeSet<usize> = heatmap.records.iter().map(HeatmapRecord::bins).collect();
    let mut widths_s: Vec<f64> = heatmap.records.iter().map(|record| record.bin_width_s).collect();
    widths_s.sort_by(f64::total_cmp);
    widths_s.dedup();
    map.serialize_entry("records", &heatmap.records.len())?;
    map.serialize_entry("named_records", &named(log, heatmap.records.iter().map(|record| record.id)))?;
    map.serialize_entry("nbins", &bins)?;
    map.serialize_entry("bin_width", &widths_s)?;
    map.serialize_entry("write_bytes", &all.0)?;
    map.serialize_entry("read_bytes", &all.1)?;
    map.serialize_entry("by_api", &by_api)?;
    Ok(true)
}

fn put_apxc<M: SerializeMap>(map: &mut M, apxc: &Apxc) -> Result<bool, M::Error> {
    map.serialize_entry("blades", &apxc.blades)?;
    map.serialize_entry("chassis", &apxc.chassis)?;
    map.serialize_entry("groups", &apxc.groups)?;
    map.serialize_entry("memory_mode", &apxc.memory_mode)?;
    map.serialize_entry("cluster_mode", &apxc.cluster_mode)?;
    map.serialize_entry("application_id", &apxc.application_id)?;
    map.serialize_entry("routers", &apxc.routers)?;
    Ok(true)
}

/// What is damaged, where, and why. Absent keys are not known: a fault of the whole log has no module.
#[derive(serde::Serialize)]
struct FaultEntry {
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
    kind: &'static str,
    /// Byte of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Start and length of the damaged region in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<(u64, u64)>,
    /// Byte of the inflated region at which the broken record begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    inflated_offset: Option<u64>,
    reason: String,
}

impl FaultEntry {
    fn of(fault: &Fault) -> Self {
        Self {
            module: fault.module().map(|module| module.to_string()),
            kind: fault.kind(),
            offset: fault.offset(),
            region: fault.region(),
            inflated_offset: fault.inflated_offset(),
            reason: fault.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::Path;

    #[test]
    fn samples_say_what_their_oracle_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/darshan");
        let text = std::fs::read_to_string(folder.join("oracle.json")).unwrap();
        let oracle: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
        let mut compared = 0;
        // What the oracle shows of single records or of the largest values is not part of this schema.
        let left_out = ["fmax", "largest", "first", "first_segments", "unsorted_records", "undecoded"];
        for (name, expected) in oracle {
            let log = Log::open(&folder.join(&name)).unwrap();
            let found: Value = serde_json::from_str(&entry(&log).unwrap()).unwrap();
            for key in
                ["log_version", "endian", "compression", "job", "partial", "name_records", "file_bytes"]
            {
                assert_eq!(found[key], expected[key], "{name} {key}");
            }
            assert_eq!(found["faults"], Value::Array(Vec::new()), "{name}");
            for (module, values) in expected["modules"].as_object().unwrap() {
                let values = values.as_object().unwrap().iter();
                for (key, value) in values.filter(|(key, _)| !left_out.contains(&key.as_str())) {
                    let (found, place) = (&found["modules"][module][key], format!("{name} {module} {key}"));
                    compared += compare(&place, value, found);
                }
            }
        }
        assert!(compared > 5_000, "{compared}");
    }

    /// Compares to the last digit, but for sums of fractions, which the oracle added in another order.
    fn compare(place: &str, expected: &Value, found: &Value) -> u64 {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => expected
                .iter()
                .map(|(key, expected)| compare(&format!("{place} {key}"), expected, &found[key]))
                .sum(),
            (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                assert!((a - b).abs() <= 1e-9 * a.abs().max(1e-3), "{place}: {a} {b}");
                1
            }
            _ => {
                assert_eq!(expected, found, "{place}");
                1
            }
        }
    }

    #[test]
    fn a_fault_says_module_place_and_reason() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/darshan/ior-fpp-wr-n16.darshan");
        let mut bytes = std::fs::read(path).unwrap();
        let region = Log::from_bytes("whole", &bytes).unwrap().header.region(Module::Posix).unwrap();
        bytes[region.offset as usize + 20] ^= 0x40;
        let log = Log::from_bytes("damaged", &bytes).unwrap();
        let found: Value = serde_json::from_str(&entry(&log).unwrap()).unwrap();
        let fault = &found["faults"][0];
        assert_eq!(fault["module"], "POSIX");
        assert_eq!(fault["kind"], "damaged-stream");
        assert_eq!(fault["offset"], region.offset);
        assert_eq!(fault["region"], serde_json::json!([region.offset, region.length]));
        assert!(fault["reason"].as_str().unwrap().contains("is damaged"));
        assert_eq!(found["faults"].as_array().unwrap().len(), 1);
    }
}
