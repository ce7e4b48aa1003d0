//! Reads logs again and again and prints the median wall seconds of one pass: our side of
//! `benches/darshan`. usage: `read_speed SECONDS LOG...`

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use tarazu_darshan::{Counters, Dxt, Log};

/// Passes that a measurement has at least.
const PASSES_MIN: usize = 3;

/// What a pass read, to be compared with what the other programs read.
#[derive(Default)]
struct Counts {
    failed: usize,
    names: usize,
    posix: usize,
    mpiio: usize,
    stdio: usize,
    lustre: usize,
    dxt_posix: usize,
    dxt_mpiio: usize,
    segments: usize,
}

impl Counts {
    fn add(&mut self, log: &Log) {
        let records = |counters: &Option<Counters>| counters.as_ref().map_or(0, Counters::len);
        let traced =
            |dxt: &Option<Dxt>| dxt.as_ref().map_or((0, 0), |dxt| (dxt.records.len(), dxt.segments.len()));
        let ((dxt_posix, posix_segments), (dxt_mpiio, mpiio_segments)) =
            (traced(&log.dxt_posix), traced(&log.dxt_mpiio));
        self.failed += usize::from(!log.faults.is_empty());
        self.names += log.names.len();
        self.posix += records(&log.posix);
        self.mpiio += records(&log.mpiio);
        self.stdio += records(&log.stdio);
        self.lustre += log.lustre.as_ref().map_or(0, |lustre| lustre.records.len());
        self.dxt_posix += dxt_posix;
        self.dxt_mpiio += dxt_mpiio;
        self.segments += posix_segments + mpiio_segments;
    }

    fn print(&self, seconds: f64, passes: usize) {
        let Self { failed, names, posix, mpiio, stdio, lustre, dxt_posix, dxt_mpiio, segments } = self;
        println!(
            "{{\"seconds\":{seconds:.9},\"passes\":{passes},\"failed\":{failed},\"names\":{names},\"posix\":{posix},\
             \"mpiio\":{mpiio},\"stdio\":{stdio},\"lustre\":{lustre},\"dxt_posix\":{dxt_posix},\
             \"dxt_mpiio\":{dxt_mpiio},\"segments\":{segments}}}"
        );
    }
}

/// One pass over all logs, one after the other. Freeing what was read counts, as it does for the others.
fn pass(logs: &[PathBuf]) -> Counts {
    let mut counts = Counts::default();
    for path in logs {
        match Log::open(path) {
            Ok(log) => counts.add(black_box(&log)),
            Err(_) => counts.failed += 1,
        }
    }
    counts
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads a clock")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let usage = "usage: read_speed SECONDS LOG...";
    let budget_s: f64 = arguments.next().and_then(|word| word.to_str()?.parse().ok()).ok_or(usage)?;
    let logs: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    // Not counted: it fetches the file and the allocator's pages.
    let counts = pass(&logs);
    let (mut passes, mut spent_s) = (Vec::new(), 0.0);
    while passes.len() < PASSES_MIN || spent_s < budget_s {
        let start = Instant::now();
        black_box(pass(&logs));
        let took_s = start.elapsed().as_secs_f64();
        passes.push(took_s);
        spent_s += took_s;
    }
    passes.sort_by(f64::total_cmp);
    counts.print(passes.get(passes.len() / 2).copied().ok_or(usage)?, passes.len());
    Ok(())
}
