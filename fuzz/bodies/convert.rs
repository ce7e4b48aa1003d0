//! What turning a Darshan log into a workload must hold.
//!
//! Compiled into the fuzz targets and, by path, into the test that replays their corpus.

use tarazu_darshan::{Counters, Log};
use tarazu_workload::darshan::{ConvertOptions, Mounts, to_workload};

/// Beyond these a conversion is allowed to take seconds and gigabytes; its own limits are tested elsewhere.
const RANKS_MAX: i64 = 64;
const CALLS_MAX: i128 = 4096;

/// Converts a log that is small enough and checks the workload; how often one moves bytes.
pub(crate) fn convert(log: &Log) -> usize {
    let mut moved = 0;
    if log.job.nprocs > RANKS_MAX || !is_small(log) {
        return moved;
    }
    for mounts in [Mounts::Auto, Mounts::All] {
        let options = ConvertOptions { mounts, ..ConvertOptions::default() };
        match to_workload(&[log], &options) {
            Ok(converted) => {
                converted.workload.check().expect("a workload that was made holds its own rules");
                let totals = converted.workload.totals();
                moved += usize::from(totals.read_bytes > 0 || totals.written_bytes > 0);
            }
            Err(error) => assert!(error.to_string().contains("input"), "an error names its file: {error}"),
        }
    }
    moved
}

/// Whether the calls that the counters speak of are few: each becomes an operation. A shared record is of all ranks.
fn is_small(log: &Log) -> bool {
    let modules: [&Option<Counters>; 3] = [&log.posix, &log.mpiio, &log.stdio];
    modules.into_iter().flatten().all(|counters| {
        let calls = (0..counters.len()).flat_map(|record| {
            let of = |name: &str| counters.shape.int(name).and_then(|place| counters.ints(record).get(place));
            ["READS", "WRITES", "OPENS", "INDEP_READS", "INDEP_WRITES", "COLL_READS", "COLL_WRITES"]
                .map(|name| i128::from(of(name).copied().unwrap_or(0)).max(0))
        });
        calls.sum::<i128>() <= CALLS_MAX
    })
}
