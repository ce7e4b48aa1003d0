//! A log as an entry of the JSON schema `tarazu.trace/1`. Names and values are those of Darshan.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use tarazu_darshan::{ByteOrder, Compression, Counters, Dxt, Job, Log, Lustre, Module, SHARED_RANK};

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
        let faults = log.faults.iter().map(|fault| format!("damaged: {}", fault.fault));
        let skipped = log.skipped.iter().map(ToString::to_string);
        let notes: Vec<String> = log.notes.iter().cloned().chain(skipped).chain(faults).collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("file", &log.file)?;
        map.serialize_entry("log_version", log.header.version())?;
        map.serialize_entry("endian", endian(log.header.order))?;
        map.serialize_entry("compression", compression(log.header.compression))?;
        map.serialize_entry("partial", &partial)?;
        map.serialize_entry("job", &JobEntry(&log.job))?;
        map.serialize_entry("name_records", &BTreeMap::from([("count", log.names.len())]))?;
        map.serialize_entry("modules", &Modules(log))?;
        map.serialize_entry("notes", &notes)?;
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
        let mut map = serializer.serialize_map(None)?;
        for region in &log.header.regions {
            let (name, version) = (region.module.to_string(), region.version);
            let counters = match region.module {
                Module::Posix => log.posix.as_ref(),
                Module::MpiIo => log.mpiio.as_ref(),
                Module::Stdio => log.stdio.as_ref(),
                _ => None,
            };
            let dxt = match region.module {
                Module::DxtPosix => log.dxt_posix.as_ref(),
                Module::DxtMpiio => log.dxt_mpiio.as_ref(),
                _ => None,
            };
            let lustre = log.lustre.as_ref().filter(|_| region.module == Module::Lustre);
            if let Some(counters) = counters {
                map.serialize_entry(&name, &CountersEntry(counters, version))?;
            } else if let Some(dxt) = dxt {
                map.serialize_entry(&name, &DxtEntry(dxt, version))?;
            } else if let Some(lustre) = lustre {
                map.serialize_entry(&name, &LustreEntry(lustre, version))?;
            } else {
                map.serialize_entry(&name, &Undecoded { version, undecoded: true })?;
            }
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Undecoded {
    version: u32,
    undecoded: bool,
}

struct CountersEntry<'a>(&'a Counters, u32);

impl Serialize for CountersEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (counters, sums) = (self.0, self.0.sums());
        let prefix = counters.shape.prefix;
        let shared = counters.ranks().iter().filter(|rank| **rank == SHARED_RANK).count();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &self.1)?;
        map.serialize_entry("records", &counters.len())?;
        map.serialize_entry("shared_records", &shared)?;
        map.serialize_entry("sum", &Named { prefix, names: counters.shape.ints, values: &sums.ints })?;
        map.serialize_entry("fsum", &Named { prefix, names: counters.shape.floats, values: &sums.floats })?;
        map.end()
    }
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

struct LustreEntry<'a>(&'a Lustre, u32);

impl Serialize for LustreEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let lustre = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &self.1)?;
        map.serialize_entry("records", &lustre.records.len())?;
        map.serialize_entry("osts_used", &lustre.osts_used())?;
        map.serialize_entry("stripe_counts", &lustre.stripe_counts())?;
        map.serialize_entry("stripe_sizes", &lustre.stripe_sizes())?;
        map.serialize_entry("components", &lustre.component_counts())?;
        map.end()
    }
}

struct DxtEntry<'a>(&'a Dxt, u32);

impl Serialize for DxtEntry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (dxt, totals) = (self.0, self.0.totals());
        let mut hosts: Vec<&str> = dxt.hosts.iter().map(String::as_str).collect();
        hosts.sort_unstable();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &self.1)?;
        map.serialize_entry("records", &dxt.records.len())?;
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
        map.end()
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
        for (name, expected) in oracle.iter().filter(|(_, entry)| entry["compression"] != "bzip2") {
            let log = Log::open(&folder.join(name)).unwrap();
            let found: Value = serde_json::from_str(&entry(&log).unwrap()).unwrap();
            assert_eq!(found["job"], expected["job"], "{name}");
            assert_eq!(found["partial"], expected["partial"], "{name}");
            for (module, values) in expected["modules"].as_object().unwrap() {
                let sums = &found["modules"][module]["sum"];
                assert_eq!(*sums, values.get("sum").cloned().unwrap_or_default(), "{name} {module}");
                assert_eq!(found["modules"][module]["version"], values["version"], "{name} {module}");
                compared += 1;
            }
        }
        assert!(compared > 100, "{compared}");
    }
}
