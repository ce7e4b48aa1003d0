//! Damaged logs turned into workloads: an error, or a workload that holds its own rules.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

#[path = "../../darshan/tests/common/mod.rs"]
mod darshan_common;

use std::fs;

use darshan_common::{logs_below, samples, shared};
use tarazu_darshan::Log;
use tarazu_workload::darshan::{ConvertOptions, to_workload};

/// The log that the damaged ones were made of.
const SOURCE: &str = "ior-ssf-segmented-n16-lustre-c8.darshan";

/// Whether the bytes could be read and converted.
fn converts(bytes: &[u8]) -> bool {
    let Ok(log) = Log::from_bytes("damaged", bytes) else { return false };
    match to_workload(&[&log], &ConvertOptions::default()) {
        Ok(converted) => converted.workload.check().is_ok() || panic!("a workload breaks its own rules"),
        Err(_) => false,
    }
}

#[test]
fn truncated_and_flipped_logs_convert_to_sound_workloads_or_not_at_all() {
    let source = fs::read(samples().join(SOURCE)).unwrap();
    let cut = (0..source.len()).filter(|length| converts(&source[..*length])).count();
    assert!(cut > source.len() / 2, "only {cut} of {} truncated logs were converted", source.len());
    // The plain twin, where the folder is there, puts the flips into the records themselves.
    let plain = shared("malformed").map(|folder| folder.join("00-valid-uncompressed-3.41.darshan"));
    let plain = plain.map(|path| fs::read(path).unwrap());
    let (mut converted, mut refused) = (0u64, 0u64);
    for source in std::iter::once(&source).chain(&plain) {
        let mut damaged = source.clone();
        let step = if source.len() > 10_000 { 7 } else { 1 };
        for at in (0..damaged.len()).step_by(step) {
            for flip in [0x01, 0x80, 0xff] {
                damaged[at] ^= flip;
                *if converts(&damaged) { &mut converted } else { &mut refused } += 1;
                damaged[at] ^= flip;
            }
        }
    }
    assert!(refused > 100 && converted > refused, "{converted} converted, {refused} refused");
}

#[test]
fn every_public_log_converts_or_says_why_not() {
    let Some(folder) = shared("public") else { return };
    let mut converted = 0;
    for path in logs_below(&folder) {
        let Ok(log) = Log::open(&path) else { continue };
        match to_workload(&[&log], &ConvertOptions::default()) {
            Ok(done) => {
                done.workload.check().unwrap();
                converted += 1;
            }
            Err(error) => assert!(error.to_string().contains(&log.file), "{error}"),
        }
    }
    assert!(converted >= 60, "only {converted} were converted");
}

#[test]
fn impossible_accesses_are_left_out_and_their_bytes_counted_all_the_same() {
    let Some(folder) = shared("malformed") else { return };
    for name in ["23-dxt-nan-time", "24-dxt-negative-offset-length"] {
        let log = Log::open(&folder.join(format!("{name}.darshan"))).unwrap();
        let converted = to_workload(&[&log], &ConvertOptions::default()).unwrap();
        let said = |what: &str| converted.notes.iter().any(|note| note.contains(what));
        assert!(said("impossible offset, length or time"), "{name} {:?}", converted.notes);
        assert!(said("the counters of these records were used instead"), "{name} {:?}", converted.notes);
        let totals = converted.workload.totals();
        assert_eq!((totals.read_bytes, totals.written_bytes), (64 << 20, 64 << 20), "{name}");
    }
}

#[test]
fn impossible_jobs_are_not_converted() {
    let Some(folder) = shared("malformed") else { return };
    let log = Log::open(&folder.join("34-nprocs-zero.darshan")).unwrap();
    let error = to_workload(&[&log], &ConvertOptions::default()).unwrap_err().to_string();
    assert!(error.contains("34-nprocs-zero.darshan: the job record says 0 processes"), "{error}");
}
