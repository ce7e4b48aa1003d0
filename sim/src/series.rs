//! What one run looked like over time, for pictures: bytes served by each target, bytes in flight, bursts of jobs,
//! and how work and times spread.
//!
//! A recorder only watches; a run with one gives the same numbers as a run without. Its memory has a bound: time is cut
//! into bins that double their length when there would be too many, and of the jobs only the largest stand alone.

use std::cmp::Reverse;

use tarazu_layout::{JobId, Time};
use tarazu_workload::{Action, Workload};

/// Bins of one series: more than a picture has columns to show.
pub const BINS_MAX: usize = 400;

/// Jobs that stand alone in a series, the largest first: more colours nobody can tell apart.
pub const JOBS_ALONE: usize = 7;

/// Values that a distribution keeps: more than a curve has points to show.
pub const VALUES_MAX: usize = 401;

/// Length of a bin at first: how often a run looks at bytes in flight.
const BIN_NS: u64 = 100_000_000;

/// One run over time. Bin 0 begins with the first operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Length of a bin, seconds.
    pub bin_s: f64,
    /// Bytes served, by bin and then by target; at most [`BINS_MAX`] bins.
    pub served_bytes: Vec<Vec<f64>>,
    /// Bytes begun and not yet served, by bin: the mean over the bin's time.
    pub in_flight_bytes: Vec<f64>,
    /// The [`JOBS_ALONE`] largest jobs by bytes, in that order, then all others as one if there are more.
    pub jobs: Vec<JobSeries>,
    /// Work by target: seconds that a healthy one needs for what it was asked for.
    pub work_s: Vec<f64>,
    /// Bytes written by target.
    pub stored_bytes: Vec<f64>,
    /// Wall time of each used file with at least one operation in progress, seconds, rising. Of more than
    /// [`VALUES_MAX`] files, so many evenly spaced quantiles from the least to the largest.
    pub file_io_s: Vec<f64>,
    /// Time of all operations on a file over their time on the empty, healthy system; kept likewise.
    pub stretch: Vec<f64>,
}

/// Bytes that one job, or all jobs that do not stand alone, moved.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSeries {
    /// The job; `None` for the others.
    pub job: Option<JobId>,
    /// Its program; empty where unknown.
    pub name: String,
    /// How many jobs it stands for.
    pub jobs: usize,
    /// From the first operation of the run to its own first one, seconds; `None` where it moved nothing.
    pub start_s: Option<f64>,
    /// To the end of its last one.
    pub end_s: Option<f64>,
    /// Bytes of reads by bin, each spread evenly over its operation's time.
    pub read_bytes: Vec<f64>,
    /// Bytes of writes, likewise.
    pub written_bytes: Vec<f64>,
}

impl Series {
    /// The same in bins of `bin_s` times a power of two, as long as there are more than `bins`.
    #[must_use]
    pub fn coarsened(mut self, bins: usize) -> Self {
        while self.served_bytes.len() > bins.max(1) {
            self = self.doubled();
        }
        self
    }

    /// The same in bins of twice the length.
    #[must_use]
    pub fn doubled(mut self) -> Self {
        self.bin_s *= 2.0;
        self.served_bytes = pairs(&self.served_bytes, |one, other| {
            one.iter().zip(other).map(|(one, other)| one + other).collect()
        });
        self.in_flight_bytes = means(&self.in_flight_bytes);
        for job in &mut self.jobs {
            job.read_bytes = pairs(&job.read_bytes, |one, other| one + other);
            job.written_bytes = pairs(&job.written_bytes, |one, other| one + other);
        }
        self
    }

    /// Bytes that each target served in the whole run.
    #[must_use]
    pub fn by_target(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.work_s.len()];
        for bin in &self.served_bytes {
            sums.iter_mut().zip(bin).for_each(|(sum, bytes)| *sum += bytes);
        }
        sums
    }

    /// Bytes that all targets served in each bin.
    #[must_use]
    pub fn by_bin(&self) -> Vec<f64> {
        self.served_bytes.iter().map(|bin| bin.iter().sum()).collect()
    }
}

/// Joins each two neighbours; a last one without a partner stays.
fn pairs<T: Clone>(values: &[T], join: impl Fn(&T, &T) -> T) -> Vec<T> {
    let of_two = |pair: &[T]| match pair {
        [one, other] => join(one, other),
        _ => pair[0].clone(),
    };
    values.chunks(2).map(of_two).collect()
}

/// Means of each two neighbours; a last one without a partner was half of its bin's time.
fn means(values: &[f64]) -> Vec<f64> {
    values.chunks(2).map(|pair| pair.iter().sum::<f64>() / 2.0).collect()
}

/// At most [`VALUES_MAX`] of sorted values: all, or evenly spaced quantiles.
pub(crate) fn thinned(sorted: Vec<f64>) -> Vec<f64> {
    if sorted.len() <= VALUES_MAX {
        return sorted;
    }
    let last = (sorted.len() - 1) as f64;
    let place = |number: usize| (last * number as f64 / (VALUES_MAX - 1) as f64).round() as usize;
    (0..VALUES_MAX).map(|number| sorted[place(number)]).collect()
}

/// Bytes of one row of jobs in one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    read: f64,
    written: f64,
}

#[derive(Clone, Debug)]
struct Bin {
    served: Vec<f64>,
    /// Bytes in flight times the seconds that they were.
    in_flight_s: f64,
    moved: Vec<Moved>,
}

impl Bin {
    fn add(&mut self, other: &Self) {
        self.served.iter_mut().zip(&other.served).for_each(|(sum, bytes)| *sum += bytes);
        self.in_flight_s += other.in_flight_s;
        for (sum, moved) in self.moved.iter_mut().zip(&other.moved) {
            sum.read += moved.read;
            sum.written += moved.written;
        }
    }
}

/// A row of jobs: one large job, or the others.
#[derive(Clone, Debug)]
struct Row {
    job: Option<JobId>,
    name: String,
    jobs: usize,
    span: Option<(Time, Time)>,
}

/// Watches one run.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    bin_ns: u64,
    bins: Vec<Bin>,
    rows: Vec<Row>,
    /// The row of each job.
    row_of: Vec<usize>,
    served_before: Vec<f64>,
    work_s: Vec<f64>,
}

impl Recorder {
    pub(crate) fn new(workload: &Workload, targets: usize) -> Self {
        let mut by_size: Vec<(Reverse<u64>, usize)> =
            bytes_of_jobs(workload).into_iter().map(Reverse).zip(0..).collect();
        by_size.sort_unstable();
        let mut rows = Vec::new();
        let mut row_of = vec![0; workload.jobs.len()];
        for (place, (_, number)) in by_size.into_iter().enumerate() {
            let job = &workload.jobs[number];
            row_of[number] = place.min(JOBS_ALONE);
            match place {
                _ if place < JOBS_ALONE => {
                    rows.push(Row { job: Some(job.id), name: job.name.clone(), jobs: 1, span: None });
                }
                JOBS_ALONE => rows.push(Row { job: None, name: String::new(), jobs: 1, span: None }),
                _ => rows[JOBS_ALONE].jobs += 1,
            }
        }
        Self {
            bin_ns: BIN_NS,
            bins: Vec::new(),
            rows,
            row_of,
            served_before: vec![0.0; targets],
            work_s: vec![0.0; targets],
        }
    }

    /// The bin of a moment so long after the first operation, made if need be.
    fn bin(&mut self, after_ns: u64) -> usize {
        while after_ns / self.bin_ns >= BINS_MAX as u64 {
            self.bin_ns *= 2;
            self.bins = pairs(&self.bins, |one, other| {
                let mut sum = one.clone();
                sum.add(other);
                sum
            });
        }
        let place = (after_ns / self.bin_ns) as usize;
        if self.bins.len() <= place {
            let empty = Bin {
                served: vec![0.0; self.served_before.len()],
                in_flight_s: 0.0,
                moved: vec![Moved::default(); self.rows.len()],
            };
            self.bins.resize(place + 1, empty);
        }
        place
    }

    /// What targets have served by now and what is in flight to all of them, at each look; `after_ns` is from the
    /// first operation.
    pub(crate) fn looked(&mut self, after_ns: u64, served: impl Fn(u32) -> f64, in_flight: f64) {
        // What was served since the last look belongs to the time before this one.
        let place = self.bin(after_ns.saturating_sub(1));
        let bin = &mut self.bins[place];
        for (target, (before, sum)) in self.served_before.iter_mut().zip(&mut bin.served).enumerate() {
            let now = served(target as u32);
            *sum += (now - *before).max(0.0);
            *before = now;
        }
        bin.in_flight_s += in_flight * BIN_NS as f64 / 1e9;
    }

    /// A target was asked for work: seconds of a healthy one.
    pub(crate) fn asked(&mut self, target: usize, work_s: f64) {
        self.work_s[target] += work_s;
    }

    /// An operation of a job has ended that began at `begun`; `first` is when the run's first one did.
    pub(crate) fn ended(&mut self, job: usize, action: Action, first: Time, begun: Time, now: Time) {
        let row = self.row_of[job];
        let (bytes, reads) = match action {
            Action::Read { bytes, .. } => (bytes, true),
            Action::Write { bytes, .. } => (bytes, false),
            _ => return,
        };
        let span = &mut self.rows[row].span;
        *span = Some(span.map_or((begun, now), |(start, end)| (start.min(begun), end.max(now))));
        let (from_ns, to_ns) = (begun.0.saturating_sub(first.0), now.0.saturating_sub(first.0));
        let last = self.bin(to_ns.saturating_sub(1).max(from_ns));
        let whole_ns = (to_ns - from_ns) as f64;
        for place in (from_ns / self.bin_ns) as usize..=last {
            let begin_ns = from_ns.max(place as u64 * self.bin_ns);
            let end_ns = to_ns.min((place as u64 + 1) * self.bin_ns);
            let share = if whole_ns > 0.0 { (end_ns - begin_ns) as f64 / whole_ns } else { 1.0 };
            let moved = &mut self.bins[place].moved[row];
            let sum = if reads { &mut moved.read } else { &mut moved.written };
            *sum += bytes as f64 * share;
        }
    }

    /// What was seen. `first` is when the run's first operation began; the distributions are rising.
    pub(crate) fn series(
        self,
        first: Time,
        stored_bytes: &[f64],
        file_io_s: Vec<f64>,
        stretch: Vec<f64>,
    ) -> Series {
        let bin_s = self.bin_ns as f64 / 1e9;
        let seconds = |time: Time| time.since(first).as_secs_f64();
        let job = |(number, row): (usize, Row)| JobSeries {
            job: row.job,
            name: row.name,
            jobs: row.jobs,
            start_s: row.span.map(|(start, _)| seconds(start)),
            end_s: row.span.map(|(_, end)| seconds(end)),
            read_bytes: self.bins.iter().map(|bin| bin.moved[number].read).collect(),
            written_bytes: self.bins.iter().map(|bin| bin.moved[number].written).collect(),
        };
        Series {
            bin_s,
            jobs: self.rows.into_iter().enumerate().map(job).collect(),
            in_flight_bytes: self.bins.iter().map(|bin| bin.in_flight_s / bin_s).collect(),
            served_bytes: self.bins.into_iter().map(|bin| bin.served).collect(),
            work_s: self.work_s,
            stored_bytes: stored_bytes.to_vec(),
            file_io_s: thinned(file_io_s),
            stretch: thinned(stretch),
        }
    }
}

fn bytes_of_jobs(workload: &Workload) -> Vec<u64> {
    let of_op = |action: &Action| match action {
        Action::Read { bytes, .. } | Action::Write { bytes, .. } => *bytes,
        _ => 0,
    };
    let ops = workload.jobs.iter().map(|job| job.ranks.iter().flat_map(|rank| &rank.ops));
    ops.map(|ops| ops.fold(0, |sum: u64, op| sum.saturating_add(of_op(&op.action)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tarazu_layout::NodeId;
    use tarazu_workload::{FileId, Job, Rank};

    fn workload(jobs: u64) -> Workload {
        let job = |number: u64| Job {
            id: JobId(number),
            name: String::new(),
            uid: 0,
            start: Time::ZERO,
            ranks: vec![Rank { node: NodeId(0), ops: Vec::new() }],
            groups: Vec::new(),
        };
        Workload { jobs: (0..jobs).map(job).collect(), files: Vec::new() }
    }

    fn write(bytes: u64) -> Action {
        Action::Write { file: FileId(0), offset: 0, bytes }
    }

    fn series(recorder: Recorder) -> Series {
        recorder.series(Time::ZERO, &[0.0, 0.0], vec![1.0], vec![1.0])
    }

    #[test]
    fn an_operation_is_spread_over_its_time() {
        let mut recorder = Recorder::new(&workload(1), 2);
        recorder.ended(0, write(400), Time(0), Time(50_000_000), Time(250_000_000));
        recorder.ended(0, write(7), Time(0), Time(100_000_000), Time(100_000_000));
        let seen = series(recorder);
        assert_eq!(seen.jobs[0].written_bytes, [100.0, 207.0, 100.0]);
        assert_eq!((seen.jobs[0].start_s, seen.jobs[0].end_s), (Some(0.05), Some(0.25)));
    }

    #[test]
    fn jobs_beyond_the_largest_are_one() {
        let recorder = Recorder::new(&workload(JOBS_ALONE as u64 + 3), 2);
        let jobs = series(recorder).jobs;
        let counts: Vec<usize> = jobs.iter().map(|job| job.jobs).collect();
        assert_eq!((counts.len(), counts[JOBS_ALONE]), (JOBS_ALONE + 1, 3));
        assert_eq!(jobs[0].job, Some(JobId(0)));
        assert_eq!(jobs[JOBS_ALONE].job, None);
    }

    #[test]
    fn distributions_keep_their_ends() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        let thin = thinned(values);
        assert_eq!((thin.len(), thin[0], thin[VALUES_MAX - 1]), (VALUES_MAX, 0.0, 9999.0));
        assert!((thin[VALUES_MAX / 2] - 4999.5).abs() <= 0.5);
        assert_eq!(thinned(vec![1.0, 2.0]), [1.0, 2.0]);
    }

    proptest! {
        /// However long a run is, no byte is lost and no bin is one too many.
        #[test]
        fn bytes_are_kept_whatever_the_time(
            ops in prop::collection::vec((0u64..400_000_000_000, 0u64..90_000_000_000, 1u64..1_000_000), 1..40),
            bins in 1usize..50,
        ) {
            let mut recorder = Recorder::new(&workload(1), 2);
            let (mut total, mut served) = (0, 0.0);
            for (begun, takes, bytes) in ops {
                recorder.ended(0, write(bytes), Time(0), Time(begun), Time(begun + takes));
                total += bytes;
                served += 5.0;
                recorder.looked(begun + takes, |_| served, 8.0);
            }
            let seen = series(recorder);
            for seen in [seen.clone(), seen.coarsened(bins)] {
                let written: f64 = seen.jobs[0].written_bytes.iter().sum();
                prop_assert!((written - total as f64).abs() < 1e-3 * total as f64 + 1e-6);
                prop_assert!(seen.served_bytes.len() <= BINS_MAX);
                prop_assert_eq!(seen.by_target(), vec![served; 2]);
                prop_assert!((seen.by_bin().iter().sum::<f64>() - 2.0 * served).abs() < 1e-6);
                // 8 bytes for a tenth of a second at each look.
                let in_flight: f64 = seen.in_flight_bytes.iter().sum::<f64>() * seen.bin_s;
                prop_assert!((in_flight - served / 5.0 * 0.8).abs() < 1e-6);
            }
        }
    }
}
