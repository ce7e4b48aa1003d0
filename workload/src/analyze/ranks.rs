//! Ranks that do the I/O for which the others wait.
//!
//! Bytes alone are no fault: programs collect on few ranks on purpose. A finding needs time, too: seconds
//! of the slowest rank beyond the usual, against the run. For files of single ranks these are seconds of
//! reading and writing; for shared files Darshan keeps those of the slowest rank with metadata only. Nothing
//! is said where the log does not tell how many ranks there are. Collective MPI-IO is judged by its own records,
//! where the time of the collecting ranks is shared by all. Files on a slow target are left out, since the
//! target is to blame.

use std::collections::BTreeMap;

use tarazu_layout::Bytes;

use super::facts::{Facts, FileUse};
use super::finding::{Code, Finding, Subject, Value};
use super::slow::SlowTarget;
use super::thresholds::RankThresholds;
use super::words::{median, percent, ratio, seconds, times};

#[derive(Clone, Copy, Default)]
struct Sums {
    bytes: u64,
    io_s: f64,
}

/// At most one finding: the one that explains most.
pub(super) fn find(facts: &Facts, slow: &[SlowTarget], thresholds: &RankThresholds) -> Option<Finding> {
    let of_job = facts.ranks.filter(|ranks| *ranks >= thresholds.ranks_min)?;
    let files: Vec<&FileUse> =
        facts.files.iter().filter(|file| !slow.iter().any(|target| target.holds(file))).collect();
    let mut ranks: BTreeMap<u64, Sums> = BTreeMap::new();
    for used in files.iter().flat_map(|file| &file.by_rank) {
        let sums = ranks.entry(used.rank).or_default();
        sums.bytes = sums.bytes.saturating_add(used.bytes);
        sums.io_s += used.io_s;
    }
    let job = Job { facts, ranks: of_job, thresholds };
    one_does_all(&job, &files, &ranks)
        .or_else(|| one_is_slow(&job, &ranks))
        .or_else(|| one_collects(&job, &files))
        .or_else(|| slow_in_shared(&job, &files))
}

/// What every comparison needs.
struct Job<'a> {
    facts: &'a Facts,
    ranks: u64,
    thresholds: &'a RankThresholds,
}

impl Job<'_> {
    /// Whether so many seconds beyond the usual matter.
    fn matters(&self, beyond_s: f64) -> bool {
        let share_s = self.facts.run_time_s.unwrap_or(0.0) * self.thresholds.run_share_min;
        beyond_s >= self.thresholds.seconds_min && beyond_s >= share_s
    }

    fn finding(&self, rank: u64, words: String, fix: &str) -> Finding {
        Finding::new(Code::RankImbalance, &self.facts.log, Subject::Rank { rank }, words, fix.to_owned())
    }
}

/// One rank moves nearly all bytes, and they are many.
fn one_does_all(job: &Job<'_>, files: &[&FileUse], ranks: &BTreeMap<u64, Sums>) -> Option<Finding> {
    let shared = files.iter().filter_map(|file| file.by_all).map(|all| all.bytes);
    let own = ranks.values().map(|sums| sums.bytes);
    let total = shared.chain(own).fold(0, u64::saturating_add);
    let (rank, most) = ranks.iter().max_by_key(|(_, sums)| sums.bytes)?;
    let share = most.bytes as f64 / total.max(1) as f64;
    let is_most = most.bytes >= job.thresholds.bytes_min.max(1) && share >= job.thresholds.one_rank_share;
    if !is_most || !job.matters(most.io_s) {
        return None;
    }
    let words = format!(
        "rank {rank} moves {} of the job's bytes ({}) in {} of reading and writing, while {} others \
         cannot help",
        percent(share),
        Bytes(most.bytes),
        seconds(most.io_s),
        job.ranks - 1,
    );
    let fix = "Let several ranks read or write at once: collective MPI-IO (MPI_File_write_all), parallel \
        HDF5 or NetCDF, or one writer per node. One rank reaches the bandwidth of one node at best.";
    Some(job.finding(*rank, words, fix).measured(&[
        ("moved_by_rank", Value::Bytes(most.bytes)),
        ("share", Value::Share(share)),
        ("io_time", Value::Seconds(most.io_s)),
        ("ranks", Value::Count(job.ranks)),
    ]))
}

/// Among the ranks that do I/O in files of their own, one takes far longer than the middle one.
fn one_is_slow(job: &Job<'_>, ranks: &BTreeMap<u64, Sums>) -> Option<Finding> {
    let thresholds = job.thresholds;
    let active: Vec<(&u64, &Sums)> = ranks.iter().filter(|(_, sums)| sums.bytes > 0).collect();
    if (active.len() as u64) < thresholds.ranks_min {
        return None;
    }
    let usual_s = median(active.iter().map(|(_, sums)| sums.io_s));
    let usual_bytes = median(active.iter().map(|(_, sums)| sums.bytes as f64)) as u64;
    let (rank, slowest) = active.iter().max_by(|a, b| a.1.io_s.total_cmp(&b.1.io_s))?;
    if slowest.io_s < thresholds.time_factor * usual_s || !job.matters(slowest.io_s - usual_s) {
        return None;
    }
    let factor = ratio(slowest.io_s, usual_s);
    let words = format!(
        "rank {rank} spends {} in reading and writing {}, {} as long as the middle one of {} ranks ({} for {})",
        seconds(slowest.io_s),
        Bytes(slowest.bytes),
        times(factor),
        active.len(),
        seconds(usual_s),
        Bytes(usual_bytes),
    );
    // More bytes explain more time; the same bytes do not.
    let has_more = slowest.bytes as f64 >= thresholds.time_factor / 2.0 * usual_bytes as f64;
    let fix = if has_more {
        "Give the ranks equal parts of the data, or collect with MPI-IO (MPI_File_write_all)."
    } else {
        "It moves no more bytes than others, so look at where its files lie (lfs getstripe) and at its node."
    };
    Some(job.finding(**rank, words, fix).measured(&[
        ("io_time", Value::Seconds(slowest.io_s)),
        ("median_io_time", Value::Seconds(usual_s)),
        ("factor", Value::Factor(factor)),
        ("moved_by_rank", Value::Bytes(slowest.bytes)),
        ("ranks", Value::Count(active.len() as u64)),
    ]))
}

/// Behind collective calls one rank moves the bytes of all.
fn one_collects(job: &Job<'_>, files: &[&FileUse]) -> Option<Finding> {
    let collected = files.iter().filter_map(|file| Some((*file, file.behind?)));
    let (file, all) = collected.max_by(|a, b| a.1.slowest_s.total_cmp(&b.1.slowest_s))?;
    let share = all.slowest_bytes as f64 / all.bytes.max(1) as f64;
    if all.slowest_bytes == 0 || share < job.thresholds.one_rank_share || !job.matters(all.slowest_s) {
        return None;
    }
    let words = format!(
        "rank {} alone moves {} of {} for all {} ranks behind their MPI-IO calls on {}, in {} of I/O",
        all.slowest_rank,
        percent(share),
        Bytes(all.bytes),
        job.ranks,
        file.label(),
        seconds(all.slowest_s),
    );
    let fix = "Let more ranks write: on Lustre MPI-IO takes one per stripe, so stripe the file over more \
        targets; elsewhere set the hint cb_nodes.";
    Some(job.finding(all.slowest_rank, words, fix).measured(&[
        ("moved_by_rank", Value::Bytes(all.slowest_bytes)),
        ("share", Value::Share(share)),
        ("io_time", Value::Seconds(all.slowest_s)),
        ("ranks", Value::Count(job.ranks)),
    ]))
}

/// In a shared file, of which Darshan keeps only the sum and the slowest rank.
fn slow_in_shared(job: &Job<'_>, files: &[&FileUse]) -> Option<Finding> {
    let shared = files.iter().filter_map(|file| Some((*file, file.by_all?)));
    let (file, all) = shared.max_by(|a, b| a.1.slowest_s.total_cmp(&b.1.slowest_s))?;
    let mean_s = all.io_s / job.ranks as f64;
    let beyond_s = all.slowest_s - mean_s;
    if all.bytes == 0 || all.slowest_s < job.thresholds.time_factor * mean_s || !job.matters(beyond_s) {
        return None;
    }
    let factor = ratio(all.slowest_s, mean_s);
    let words = format!(
        "rank {} spends {} in I/O on {}, {} as long as the mean of {} ranks ({}), and moves {} of {}",
        all.slowest_rank,
        seconds(all.slowest_s),
        file.label(),
        times(factor),
        job.ranks,
        seconds(mean_s),
        Bytes(all.slowest_bytes),
        Bytes(all.bytes),
    );
    let fix = "Share the file's bytes out evenly over the ranks, or write it collectively \
        (MPI_File_write_all): all others wait for this rank at the next barrier.";
    Some(job.finding(all.slowest_rank, words, fix).measured(&[
        ("io_time", Value::Seconds(all.slowest_s)),
        ("mean_io_time", Value::Seconds(mean_s)),
        ("factor", Value::Factor(factor)),
        ("moved_by_rank", Value::Bytes(all.slowest_bytes)),
        ("moved", Value::Bytes(all.bytes)),
        ("ranks", Value::Count(job.ranks)),
    ]))
}
