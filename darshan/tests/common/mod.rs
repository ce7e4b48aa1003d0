//! What the Darshan tests share: where logs are, and the comparison with an oracle entry.
#![allow(dead_code, clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tarazu_darshan::{Counters, Dxt, Log, Lustre};

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
}

/// Compares a log with its oracle entry in everything that this reader decodes.
pub(crate) fn compare(log: &Log, expected: &Value) -> Differences {
    let mut differences = Differences::default();
    let d = &mut differences;
    d.check("log_version", &expected["log_version"], &log.header.version().into());
    compare_job(d, log, &expected["job"]);
    d.check("names", &expected["name_records"]["count"], &log.names.len().into());
    let partial: Vec<Value> = log.header.partial.iter().map(|module| module.name().into()).collect();
    d.check("partial", &expected["partial"], &partial.into());
    let modules = &expected["modules"];
    compare_counters(d, "POSIX", &modules["POSIX"], log.posix.as_ref());
    compare_counters(d, "MPI-IO", &modules["MPI-IO"], log.mpiio.as_ref());
    compare_counters(d, "STDIO", &modules["STDIO"], log.stdio.as_ref());
    compare_lustre(d, &modules["LUSTRE"], log.lustre.as_ref());
    compare_dxt(d, "DXT_POSIX", &modules["DXT_POSIX"], log.dxt_posix.as_ref());
    compare_dxt(d, "DXT_MPIIO", &modules["DXT_MPIIO"], log.dxt_mpiio.as_ref());
    let known = ["POSIX", "MPI-IO", "STDIO", "LUSTRE", "DXT_POSIX", "DXT_MPIIO"];
    let others = modules.as_object().unwrap().keys().filter(|name| !known.contains(&name.as_str()));
    let mut others: Vec<&str> = others.map(String::as_str).collect();
    others.sort_unstable();
    let mut skipped: Vec<&str> = log.skipped.iter().map(|skipped| skipped.module.name()).collect();
    skipped.sort_unstable();
    d.check("skipped", &others.into(), &skipped.into());
    differences
}

fn compare_job(d: &mut Differences, log: &Log, expected: &Value) {
    let job = &log.job;
    let integers = [
        ("uid", job.uid),
        ("start_sec", job.start_sec),
        ("start_nsec", job.start_nsec),
        ("end_sec", job.end_sec),
        ("end_nsec", job.end_nsec),
        ("nprocs", job.nprocs),
        ("jobid", job.jobid),
    ];
    for (name, value) in integers {
        d.check(name, &expected[name], &value.into());
    }
    // The oracle has microseconds.
    let run_time = (job.recorded_run_time_s() * 1e6).round() / 1e6;
    d.check("run_time", &expected["run_time"], &run_time.into());
    d.check("exe", &expected["exe"], &job.exe.as_str().into());
    let metadata = job.metadata.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    d.check("metadata", &expected["metadata"], &Value::Object(metadata.collect()));
    let mounts = job.mounts.iter().map(|mount| vec![mount.fs_type.as_str(), &mount.path].into());
    d.check("mounts", &expected["mounts"], &Value::Array(mounts.collect()));
}

fn compare_counters(d: &mut Differences, module: &str, expected: &Value, found: Option<&Counters>) {
    d.check(&format!("{module} exists"), &expected.is_object().into(), &found.is_some().into());
    let (Some(found), true) = (found, expected.is_object()) else { return };
    d.check(&format!("{module} records"), &expected["records"], &found.len().into());
    let shared = found.ranks().iter().filter(|rank| **rank == -1).count();
    d.check(&format!("{module} shared"), &expected["shared_records"], &shared.into());
    let (sums, prefix) = (found.sums(), found.shape.prefix);
    let names: Vec<_> = found.shape.ints.iter().map(|name| format!("{prefix}{name}")).collect();
    for (name, sum) in names.iter().zip(&sums.ints) {
        d.check(name, &expected["sum"][name], &i64::try_from(*sum).unwrap().into());
    }
    d.check("counters", &expected["sum"].as_object().unwrap().len().into(), &names.len().into());
    for (name, sum) in found.shape.floats.iter().zip(&sums.floats) {
        let name = format!("{prefix}{name}");
        d.check(&name, &expected["fsum"][&name], &(*sum).into());
    }
}

fn compare_lustre(d: &mut Differences, expected: &Value, found: Option<&Lustre>) {
    d.check("LUSTRE exists", &expected.is_object().into(), &found.is_some().into());
    let (Some(found), true) = (found, expected.is_object()) else { return };
    let tally = |map: std::collections::BTreeMap<i64, u64>| {
        Value::Object(map.into_iter().map(|(key, count)| (key.to_string(), count.into())).collect())
    };
    d.check("LUSTRE records", &expected["records"], &found.records.len().into());
    d.check("osts_used", &expected["osts_used"], &found.osts_used().into_iter().collect());
    d.check("stripe_counts", &expected["stripe_counts"], &tally(found.stripe_counts()));
    d.check("stripe_sizes", &expected["stripe_sizes"], &tally(found.stripe_sizes()));
    d.check("components", &expected["components"], &tally(found.component_counts()));
    for (number, first) in expected["first"].as_array().unwrap().iter().enumerate() {
        let record = &found.records[number];
        d.check("LUSTRE id", &first["id"], &record.id.to_string().into());
        d.check("LUSTRE rank", &first["rank"], &record.rank.into());
        let components = found.components_of(record);
        let wanted = first["comps"].as_array().unwrap();
        d.check("LUSTRE components", &wanted.len().into(), &components.len().into());
        for (component, wanted) in components.iter().zip(wanted) {
            d.check("ext_start", &wanted["ext_start"], &component.ext_start.into());
            d.check("ext_end", &wanted["ext_end"], &component.ext_end.into());
            d.check("osts", &wanted["osts"], &found.stripes_of(component).into());
            if wanted["pattern"].is_number() {
                d.check("pattern", &wanted["pattern"], &component.pattern.into());
                d.check("flags", &wanted["flags"], &component.flags.into());
                d.check("mirror_id", &wanted["mirror_id"], &component.mirror_id.into());
                d.check("pool", &wanted["pool"], &component.pool.as_str().into());
            }
        }
    }
}

fn compare_dxt(d: &mut Differences, module: &str, expected: &Value, found: Option<&Dxt>) {
    d.check(&format!("{module} exists"), &expected.is_object().into(), &found.is_some().into());
    let (Some(found), true) = (found, expected.is_object()) else { return };
    let totals = found.totals();
    let mut hosts = found.hosts.clone();
    hosts.sort();
    let values: [(&str, Value); 11] = [
        ("records", found.records.len().into()),
        ("write_segments", totals.write_segments.into()),
        ("read_segments", totals.read_segments.into()),
        ("write_bytes", i64::try_from(totals.write_bytes).unwrap().into()),
        ("read_bytes", i64::try_from(totals.read_bytes).unwrap().into()),
        ("first_start", totals.first_start_s.into()),
        ("last_end", totals.last_end_s.into()),
        ("hosts", hosts.into()),
        ("ranks", totals.ranks.into()),
        ("offsets_valid", found.has_offsets.into()),
        ("io_seconds", totals.io_seconds.into()),
    ];
    for (name, value) in values {
        d.check(&format!("{module} {name}"), &expected[name], &value);
    }
}
