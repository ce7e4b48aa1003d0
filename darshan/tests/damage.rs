//! Damaged logs: an error or a note, never a panic, a hang or memory by a foreign count.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;

use common::{compare_contents, logs_below, oracle, samples, shared};
use tarazu_darshan::{Compression, Fault, Log, Module};

/// The log that the damaged ones were made of.
const SOURCE: &str = "ior-ssf-segmented-n16-lustre-c8.darshan";

/// What an odd log must lead to.
enum Outcome {
    /// No log at all, with this in the message.
    Refused(&'static str),
    /// A fault with this in its message, and the rest readable.
    Fault(&'static str),
    /// No fault, but a note with this.
    Note(&'static str),
    /// Neither fault nor note beyond those of the source.
    Clean,
}

const CASES: [(&str, Outcome); 42] = [
    ("00-valid-big-endian-3.41", Outcome::Clean),
    ("00-valid-single-stream", Outcome::Clean),
    ("00-valid-uncompressed-3.41", Outcome::Clean),
    ("01-empty-file", Outcome::Refused("is empty")),
    ("02-short-header", Outcome::Refused("ends after 100 bytes")),
    ("03-header-only", Outcome::Refused("the job record at offset 1328 has 0 of 1080 bytes")),
    ("04-truncated-half", Outcome::Fault("does not lie in the file")),
    ("05-truncated-last-byte", Outcome::Fault("HEATMAP: the region")),
    ("06-bad-magic", Outcome::Refused("magic number")),
    ("07-version-9.99", Outcome::Refused("version text \"9.99\"")),
    ("08-version-not-numeric", Outcome::Refused("version text")),
    ("09-claims-3.10-layout", Outcome::Refused("job record")),
    ("10-unknown-compression", Outcome::Refused("compression type 7")),
    (
        "11-bzip2-claimed-zlib-data",
        Outcome::Refused("job record: the compressed stream at offset 1328 is damaged"),
    ),
    ("12-posix-length-beyond-eof", Outcome::Fault("POSIX: the region")),
    ("13-posix-length-u64-max", Outcome::Fault("POSIX: the region")),
    ("14-posix-offset-2e63", Outcome::Fault("POSIX: the region")),
    ("15-posix-bit-rot", Outcome::Fault("POSIX: the compressed stream")),
    ("16-posix-version-99", Outcome::Fault("POSIX: record version 99 is not known")),
    ("17-posix-short-last-record", Outcome::Fault("is cut short")),
    ("18-lustre-stripes-2e40", Outcome::Fault("LUSTRE: the record at byte 0")),
    ("19-lustre-negative-components", Outcome::Fault("component count beyond its bytes")),
    ("20-lustre-stripe-size-zero", Outcome::Clean),
    ("21-dxt-negative-count", Outcome::Fault("count that is negative")),
    ("22-dxt-count-2e60", Outcome::Fault("beyond its bytes")),
    ("23-dxt-nan-time", Outcome::Clean),
    ("24-dxt-negative-offset-length", Outcome::Clean),
    ("25-heatmap-nbins-2e50", Outcome::Fault("HEATMAP: the record at byte 0")),
    ("26-posix-28MB-zero-records", Outcome::Clean),
    ("27-names-not-terminated", Outcome::Fault("name records: the record at byte")),
    ("28-names-empty-stream", Outcome::Clean),
    ("29-names-region-length-0", Outcome::Clean),
    ("30-first-2KiB-zeroed", Outcome::Refused("version text \"\"")),
    ("31-unknown-module-id-40", Outcome::Note("unknown module 40")),
    ("32-two-modules-same-region", Outcome::Fault("overlaps that of POSIX")),
    ("33-mount-lines-malformed", Outcome::Note("malformed lines of the mount table")),
    ("34-nprocs-zero", Outcome::Fault("0 processes")),
    ("35-end-time-zero", Outcome::Note("killed")),
    ("36-job-record-short", Outcome::Refused("the job record at offset")),
    ("37-rank-beyond-nprocs", Outcome::Fault("the first is 99999")),
    ("38-partial-flags", Outcome::Note("POSIX is incomplete")),
    ("39-name-not-utf8", Outcome::Clean),
];

#[test]
fn every_odd_log_gets_its_answer() {
    let Some(folder) = shared("malformed") else { return };
    let present = logs_below(&folder).len();
    assert_eq!(present, CASES.len());
    for (name, outcome) in CASES {
        let bytes = fs::read(folder.join(format!("{name}.darshan"))).unwrap();
        let log = Log::from_bytes(name, &bytes).map_err(|error| error.to_string());
        match (outcome, log) {
            (Outcome::Refused(why), Err(error)) => {
                assert!(error.starts_with(name) && error.contains(why), "{error}");
            }
            (Outcome::Fault(why), Ok(log)) => {
                assert!(
                    log.faults.iter().any(|fault| fault.to_string().contains(why)),
                    "{name} {:?}",
                    log.faults
                );
            }
            (Outcome::Note(why), Ok(log)) => {
                assert!(log.faults.is_empty(), "{name} {:?}", log.faults);
                let skipped = log.skipped.iter().map(ToString::to_string);
                let notes: Vec<String> = log.notes.iter().cloned().chain(skipped).collect();
                assert!(notes.iter().any(|note| note.contains(why)), "{name} {notes:?}");
            }
            (Outcome::Clean, Ok(log)) => assert!(log.faults.is_empty(), "{name} {:?}", log.faults),
            (_, log) => panic!("{name}: {:?}", log.map(|log| log.faults)),
        }
    }
}

#[test]
fn encodings_do_not_change_what_is_read() {
    let Some(folder) = shared("malformed") else { return };
    let expected = &oracle(&samples())[SOURCE];
    for name in ["00-valid-big-endian-3.41", "00-valid-single-stream", "00-valid-uncompressed-3.41"] {
        let log = Log::open(&folder.join(format!("{name}.darshan"))).unwrap();
        let differences = compare_contents(&log, expected);
        assert!(differences.list.is_empty(), "{name}: {}", differences.list.join("\n"));
        assert!(differences.compared > 300, "{}", differences.compared);
    }
}

#[test]
fn bzip2_does_not_change_what_is_read() {
    // Converted by Darshan's own tool from the other.
    let log = Log::open(&samples().join("converted-bzip2.darshan")).unwrap();
    assert_eq!(log.header.compression, Compression::Bzip2);
    assert!(log.faults.is_empty(), "{:?}", log.faults);
    let mut expected = oracle(&samples())["ior-ssf-strided-n16-lustre-c8.darshan"].clone();
    // The tool sorts the mounts by the length of their paths.
    let mut mounts = expected["job"]["mounts"].as_array().unwrap().clone();
    mounts.swap(0, 1);
    expected["job"]["mounts"] = mounts.into();
    let differences = compare_contents(&log, &expected);
    assert!(differences.list.is_empty(), "{}", differences.list.join("\n"));
}

#[test]
fn an_old_format_is_named() {
    let Some(folder) = shared("public/v1-v2") else { return };
    for path in logs_below(&folder) {
        let error = Log::open(&path).unwrap_err();
        assert!(matches!(error.fault, Fault::OldFormat { packing: "gzip" }), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = Log::open(Path::new("/no/such/log.darshan")).unwrap_err();
    assert!(error.to_string().starts_with("/no/such/log.darshan: cannot be read"), "{error}");
}

#[test]
fn a_cause_is_not_said_twice() {
    use std::error::Error;
    let error = Log::from_bytes("x", b"").unwrap_err();
    assert!(error.source().is_none());
    let error = Log::open(&samples().join("absent.darshan")).unwrap_err();
    let cause = error.source().unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}: {cause}");
}

#[test]
fn every_truncation_is_survived() {
    let bytes = fs::read(samples().join(SOURCE)).unwrap();
    let mut readable = 0;
    for length in 0..bytes.len() {
        if let Ok(log) = Log::from_bytes("cut", &bytes[..length]) {
            assert!(!log.faults.is_empty(), "no fault at {length} of {} bytes", bytes.len());
            readable += 1;
        }
    }
    // Job and names lie in front, so most truncated logs still say who ran.
    assert!(readable > bytes.len() / 2, "only {readable} of {}", bytes.len());
}

#[test]
fn every_flipped_byte_is_survived() {
    let bytes = fs::read(samples().join(SOURCE)).unwrap();
    // The plain twin, where the folder is there, puts the flips into the records themselves.
    let plain = shared("malformed").map(|folder| folder.join("00-valid-uncompressed-3.41.darshan"));
    let plain = plain.map(|path| fs::read(path).unwrap());
    let (mut readable, mut refused) = (0u64, 0u64);
    for source in std::iter::once(&bytes).chain(&plain) {
        let mut damaged = source.clone();
        let step = if source.len() > 10_000 { 3 } else { 1 };
        for at in (0..damaged.len()).step_by(step) {
            for flip in [0x01, 0x80, 0xff] {
                damaged[at] ^= flip;
                match Log::from_bytes("flipped", &damaged) {
                    Ok(_) => readable += 1,
                    Err(_) => refused += 1,
                }
                damaged[at] ^= flip;
            }
        }
        assert_eq!(&damaged, source);
    }
    // Only version, magic, compression and the job region can make a log unreadable.
    assert!(refused > 100 && readable > 10 * refused, "{readable} readable, {refused} refused");
}

#[test]
fn what_lies_before_a_cut_is_used() {
    // One stream for each of 1,024 ranks.
    let Some(folder) = shared("public") else { return };
    let bytes = fs::read(folder.join("dxt-explorer/openpmd-bench-cori-1024.darshan")).unwrap();
    let source = Log::from_bytes("whole", &bytes).unwrap();
    let traces = source.dxt_posix.unwrap();
    let region = source.header.region(Module::DxtPosix).unwrap();
    let log = Log::from_bytes("cut", &bytes[..(region.offset + region.length / 2) as usize]).unwrap();
    let found = log.dxt_posix.unwrap();
    assert!(found.segments.len() > traces.segments.len() / 4, "{} segments", found.segments.len());
    assert!(traces.segments.starts_with(&found.segments));
    let kinds: Vec<_> = log.faults.iter().map(|error| error.fault.kind()).collect();
    assert!(kinds.contains(&"outside-file"), "{kinds:?}");
}

#[test]
fn a_wrong_length_does_not_make_other_modules_guilty() {
    let Some(folder) = shared("malformed") else { return };
    let good = Log::open(&folder.join("00-valid-single-stream.darshan")).unwrap();
    let log = Log::open(&folder.join("12-posix-length-beyond-eof.darshan")).unwrap();
    assert_eq!(log.faults.len(), 1, "{:?}", log.faults);
    assert_eq!(log.posix.unwrap().len(), good.posix.unwrap().len());
    assert!(log.lustre.is_some() && log.stdio.is_some() && log.dxt_posix.is_some());
}
