//! What reading any bytes as a Darshan log must hold.
//!
//! Compiled into the fuzz targets and, by path, into the test that replays their corpus.

use std::ops::Range;

use tarazu_darshan::{Counters, Dxt, Heatmap, Log, Lustre};

/// Bytes of a traced access in the log, thread ids left out.
const SEGMENT_BYTES: usize = 32;

/// Reads and checks a log; `None` where the bytes are refused.
///
/// `plain_bytes` is what the regions may inflate to: what was decoded cannot be more.
pub(crate) fn read(bytes: &[u8], plain_bytes: Option<usize>) -> Option<Log> {
    let log = match Log::from_bytes("input", bytes) {
        Ok(log) => log,
        Err(error) => {
            assert!(error.to_string().starts_with("input: "), "an error names its file: {error}");
            return None;
        }
    };
    for fault in &log.faults {
        assert!(fault.to_string().starts_with("input: "), "a fault names its file: {fault}");
    }
    let plain_bytes = plain_bytes.unwrap_or(usize::MAX);
    let first = [&log.posix, &log.mpiio, &log.stdio, &log.h5f, &log.h5d, &log.pnetcdf_file, &log.pnetcdf_var];
    for counters in first.into_iter().chain([&log.bgq, &log.dfs, &log.daos]).flatten() {
        check_counters(counters, plain_bytes);
    }
    for counters in log.apmpi.iter().map(|apmpi| &apmpi.ranks) {
        check_counters(counters, plain_bytes);
    }
    if let Some(heatmap) = &log.heatmap {
        check_heatmap(heatmap, plain_bytes);
    }
    for dxt in [&log.dxt_posix, &log.dxt_mpiio].into_iter().flatten() {
        check_dxt(dxt, plain_bytes);
    }
    if let Some(lustre) = &log.lustre {
        check_lustre(lustre, plain_bytes);
    }
    Some(log)
}

fn check_counters(counters: &Counters, plain_bytes: usize) {
    let shape = counters.shape;
    assert_eq!(counters.ids().len(), counters.ranks().len());
    for record in 0..counters.len() {
        assert_eq!(counters.ints(record).len(), shape.ints.len());
        assert_eq!(counters.floats(record).len(), shape.floats.len());
    }
    let words = counters.len() * (2 + shape.ints.len() + shape.floats.len());
    assert!(words * 8 <= plain_bytes, "{words} words out of {plain_bytes} bytes");
    assert_eq!(counters.sums().ints.len(), shape.ints.len());
}

fn check_heatmap(heatmap: &Heatmap, plain_bytes: usize) {
    let mut bins = 0;
    for record in &heatmap.records {
        let (writes, reads) = (heatmap.write_bytes(record), heatmap.read_bytes(record));
        assert_eq!(writes.len(), reads.len());
        bins += writes.len() + reads.len();
    }
    assert!(bins * 8 <= plain_bytes, "{bins} bins out of {plain_bytes} bytes");
    for interface in heatmap.interfaces() {
        let timeline = heatmap.timeline(interface);
        assert_eq!(timeline.write_bytes.len(), timeline.read_bytes.len());
        let ranks = heatmap.records.iter().filter(|record| record.id == interface);
        let longest = ranks.map(|record| heatmap.write_bytes(record).len()).max().unwrap_or(0);
        assert!(timeline.write_bytes.len() <= longest, "a timeline ends with its longest record");
    }
}

fn check_dxt(dxt: &Dxt, plain_bytes: usize) {
    assert!(dxt.segments.len().saturating_mul(SEGMENT_BYTES) <= plain_bytes);
    let mut end = 0;
    for record in &dxt.records {
        for part in [&record.writes, &record.reads] {
            assert_eq!(dxt.part(part).len(), part.len(), "a record names segments that are not there");
            assert_eq!(part.start, end, "segments belong to one record each");
            end = part.end;
        }
        assert!(record.host < dxt.hosts.len());
    }
    assert_eq!(end, dxt.segments.len(), "every segment belongs to a record");
    let totals = dxt.totals();
    assert_eq!(totals.write_segments + totals.read_segments, dxt.segments.len() as u64);
}

fn check_lustre(lustre: &Lustre, plain_bytes: usize) {
    assert!(lustre.stripes.len().saturating_mul(8) <= plain_bytes);
    let inside = |range: &Range<usize>, length: usize| range.start <= range.end && range.end <= length;
    for record in &lustre.records {
        assert!(inside(&record.components(), lustre.components.len()));
        for component in lustre.components_of(record) {
            assert!(inside(&component.stripes(), lustre.stripes.len()));
            assert_eq!(lustre.stripes_of(component).len(), component.stripes().len());
        }
    }
    assert!(lustre.osts_used().len() <= lustre.stripes.len());
}
