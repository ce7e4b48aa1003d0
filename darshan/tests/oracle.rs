//! Every log must read as its oracle says, which was read independently of this code.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{compare, oracle, samples, shared};
use tarazu_darshan::{Fault, Log, Module};

/// Compares the named logs of a folder and gives the number of compared values.
fn compare_all(folder: &Path, names: impl Fn(&str) -> bool) -> (u64, Vec<String>) {
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, expected) in oracle(folder) {
        if !names(&name) || expected["modules"].is_null() {
            continue;
        }
        match Log::open(&folder.join(&name)) {
            Ok(log) => {
                let differences = compare(&log, &expected);
                compared += differences.compared;
                wrong.extend(differences.list.into_iter().map(|difference| format!("{name}: {difference}")));
                wrong.extend(log.faults.iter().map(|fault| format!("unexpected fault {fault}")));
            }
            Err(error) => wrong.push(error.to_string()),
        }
    }
    (compared, wrong)
}

#[test]
fn samples_match_their_oracle() {
    let (compared, wrong) = compare_all(&samples(), |_| true);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 5_000, "only {compared} values were compared");
}

#[test]
fn large_generated_logs_match_their_oracle() {
    let Some(folder) = shared("generated") else { return };
    let large = ["killed-job-mmap-rank0-uncompressed.darshan", "ior-partial-n4.darshan"];
    let (compared, wrong) = compare_all(&folder, |name| large.contains(&name));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 200, "only {compared} values were compared");
}

#[test]
fn public_logs_match_their_oracle() {
    let Some(folder) = shared("public") else { return };
    // A development version wrote the older job record under the newer version: its number of
    // processes is garbage, which the reader reports.
    let odd = "darshan-history/dev-3.41-old-job-record.darshan";
    let (compared, wrong) = compare_all(&folder, |name| name != odd);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 10_000, "only {compared} values were compared");
    let log = Log::open(&folder.join(odd)).unwrap();
    assert!(matches!(log.faults[0].fault, Fault::Processes { .. }), "{:?}", log.faults);
    let differences = compare(&log, &oracle(&folder)[odd]);
    assert!(differences.list.is_empty(), "{}", differences.list.join("\n"));
}

#[test]
fn shifted_module_numbers_are_reported() {
    let Some(folder) = shared("public/darshan-history") else { return };
    // A development version wrote the older job record, STDIO records under the number of LUSTRE, and a heatmap under that of APMPI.
    let log = Log::open(&folder.join("dev-3.41-shifted-module-ids.darshan")).unwrap();
    let faulty: Vec<_> = log.faults.iter().filter_map(|error| error.fault.module()).collect();
    assert_eq!(faulty, [Module::Job, Module::Lustre, Module::Apmpi], "{:?}", log.faults);
    assert!(log.lustre.is_none_or(|lustre| lustre.records.is_empty()));
    assert!(log.posix.is_some() && log.apmpi.is_none());
}
