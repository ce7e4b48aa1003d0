//! Benchmark jobs of a site: one row of a job summary for each, and what each did as a workload.
//!
//! Read are the columns that Darshan's totals give (`darshan_*` of the summaries published with "A Year in the Life
//! of a Parallel File System", SC'18). A job either wrote or read; the larger sum of bytes decides.

use std::io::Read;
use std::time::Duration;

use tarazu_layout::{JobId, Layout, NodeId, Time};
use tarazu_workload::{Action, File, FileId, GroupId, Job, Op, Rank, RankId, Workload};

use super::CalibrateError;

/// Rows of a summary: a year of some probes a day.
const ROWS_MAX: usize = 1 << 20;

/// Ranks and requests of one job that are replayed.
const RANKS_MAX: u64 = 1 << 20;

/// Requests of an aggregated job that are replayed; of one with more the first part is replayed and its time scaled.
const REQUESTS_MAX: u64 = 1 << 17;

/// Bytes of joined requests: what goes on at one place needs no request of its own, as clients read ahead and write
/// back.
const JOINED_BYTES: u64 = 128 << 20;

/// Share of ranks × time inside calls below which a few ranks moved the bytes of all: collective buffering.
const AGGREGATED_BELOW: f64 = 0.05;

/// One benchmark job.
#[derive(Clone, Debug, PartialEq)]
pub struct BenchJob {
    /// Its label in the summary.
    pub label: String,
    /// The program's name.
    pub program: String,
    /// Seconds since 1970 of its begin and its end.
    pub start_s: u64,
    /// See `start_s`; above it.
    pub end_s: u64,
    /// Processes.
    pub ranks: u32,
    /// Whether it read; else it wrote.
    pub reads: bool,
    /// Bytes moved.
    pub bytes: u64,
    /// Requests that moved them.
    pub requests: u64,
    /// One file for all ranks; else one for each.
    pub shared: bool,
    /// Seconds inside calls, summed over ranks.
    pub busy_s: f64,
}

/// How a job shares its files, as far as a summary tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// A file for each process.
    FilePerProcess,
    /// One file, every process moves its own bytes.
    Shared,
    /// One file, a few processes move the bytes of all.
    Aggregated,
}

impl Manner {
    /// Short words for tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FilePerProcess => "file per process",
            Self::Shared => "shared file",
            Self::Aggregated => "shared file, aggregated",
        }
    }
}

impl BenchJob {
    /// How long it ran, seconds. Both ends are whole seconds, so the begun one counts.
    #[must_use]
    pub fn run_s(&self) -> f64 {
        (self.end_s - self.start_s + 1) as f64
    }

    /// How it shares its files.
    #[must_use]
    pub fn manner(&self) -> Manner {
        let busy = self.busy_s / (f64::from(self.ranks) * self.run_s());
        match self.shared {
            false => Manner::FilePerProcess,
            true if busy < AGGREGATED_BELOW => Manner::Aggregated,
            true => Manner::Shared,
        }
    }

    /// The job as a workload, and the part of it that this is. `targets` is the number of aggregators of an aggregated job, one for each stripe of a
    /// file on all targets, as MPI-IO libraries for Lustre choose; each takes the stripes of one target.
    #[must_use]
    pub fn workload(&self, ranks_per_node: u32, targets: u32, stripe_size: u64) -> (Workload, f64) {
        let manner = self.manner();
        let ranks = if manner == Manner::Aggregated { targets.min(self.ranks) } else { self.ranks };
        let whole = (self.bytes / u64::from(ranks)).max(1);
        let request = (self.bytes / self.requests.max(1)).clamp(1, whole);
        let few = request.saturating_mul(REQUESTS_MAX / u64::from(ranks).min(REQUESTS_MAX));
        let share = if manner == Manner::Aggregated { whole.min(few).max(1) } else { whole };
        // Benchmarks stripe a shared file over all targets.
        let stripes = if self.shared { targets } else { 1 };
        let logged = Some(Layout::plain(stripes, stripe_size));
        let file = |number: u32| File {
            name: format!("bench/{number}"),
            exists: self.reads,
            logged: logged.clone(),
        };
        let files = if self.shared { 1 } else { ranks };
        let rank = |number: u32| {
            let place = if self.shared { 0 } else { number };
            let file = FileId(place);
            let ranges = match manner {
                Manner::FilePerProcess => contiguous(0, share, JOINED_BYTES),
                Manner::Shared => contiguous(u64::from(number) * share, share, request),
                Manner::Aggregated => strided(number, ranks, share, request, stripe_size),
            };
            // Aggregators sit on nodes of their own.
            let node = if manner == Manner::Aggregated { number } else { number / ranks_per_node.max(1) };
            Rank { node: NodeId(node), ops: self.ops(file, &ranges) }
        };
        let job = Job {
            id: JobId(1),
            name: self.program.clone(),
            uid: 0,
            start: Time::ZERO,
            ranks: (0..ranks).map(rank).collect(),
            groups: vec![(0..ranks).map(RankId).collect()],
        };
        let workload = Workload { jobs: vec![job], files: (0..files).map(file).collect() };
        (workload, share as f64 / whole as f64)
    }

    fn ops(&self, file: FileId, ranges: &[(u64, u64)]) -> Vec<Op> {
        let group = GroupId(0);
        let opened = if self.reads { Action::Open { file } } else { Action::Create { file } };
        let mut actions = vec![Action::Sync { group }, opened, Action::Sync { group }];
        actions.extend(ranges.iter().map(|&(offset, bytes)| match self.reads {
            true => Action::Read { file, offset, bytes },
            false => Action::Write { file, offset, bytes },
        }));
        if !self.reads {
            actions.push(Action::Fsync { file });
        }
        actions.extend([Action::Close { file }, Action::Sync { group }]);
        actions.into_iter().map(|action| Op { start: Time::ZERO, think: Duration::ZERO, action }).collect()
    }
}

/// One range after the other, in requests of `request` bytes.
fn contiguous(first: u64, bytes: u64, request: u64) -> Vec<(u64, u64)> {
    let request = request.max(1);
    let count = bytes.div_ceil(request);
    (0..count).map(|number| (first + number * request, request.min(bytes - number * request))).collect()
}

/// The stripes of one target, request by request.
fn strided(number: u32, ranks: u32, share: u64, request: u64, stripe_size: u64) -> Vec<(u64, u64)> {
    let request = request.min(stripe_size).max(1);
    let row = stripe_size * u64::from(ranks);
    let rows = share.div_ceil(stripe_size);
    let stripe = |row_number: u64| row_number * row + u64::from(number) * stripe_size;
    let last = share - (rows - 1) * stripe_size;
    let in_row = |row_number: u64| if row_number + 1 == rows { last } else { stripe_size };
    (0..rows).flat_map(|row_number| contiguous(stripe(row_number), in_row(row_number), request)).collect()
}

/// Reads the jobs of a summary, by their begin.
///
/// # Errors
/// The text is no CSV or too long, a column is missing, or a cell is no number; with line and column.
pub fn read_jobs(
    text: impl Read,
    name: &str,
    file_system: Option<&str>,
) -> Result<Vec<BenchJob>, CalibrateError> {
    read_at_most(ROWS_MAX, text, name, file_system)
}

fn read_at_most(
    max: usize,
    text: impl Read,
    name: &str,
    file_system: Option<&str>,
) -> Result<Vec<BenchJob>, CalibrateError> {
    let mut reader = csv::ReaderBuilder::new().from_reader(text);
    let broken = |source| CalibrateError::Csv { file: name.to_owned(), source };
    let header = reader.headers().map_err(broken)?.clone();
    let column = |wanted: &'static str| {
        let missing = || CalibrateError::Column { file: name.to_owned(), column: wanted };
        header.iter().position(|found| found == wanted).ok_or_else(missing)
    };
    let label = header.iter().position(|found| found == "_label");
    let columns = Columns {
        system: column("_file_system")?,
        program: column("darshan_app")?,
        numbers: NUMBERS.map(column).into_iter().collect::<Result<Vec<_>, _>>()?,
    };
    let mut jobs = Vec::new();
    for (row, record) in reader.records().enumerate() {
        if row == max {
            return Err(CalibrateError::TooLong {
                file: name.to_owned(),
                max,
                of: "the jobs to be replayed",
            });
        }
        let record = record.map_err(broken)?;
        let line = record.position().map_or(row as u64 + 2, csv::Position::line);
        if file_system.is_some_and(|wanted| record.get(columns.system) != Some(wanted)) {
            continue;
        }
        let label = label.and_then(|label| record.get(label)).unwrap_or("").to_owned();
        jobs.push(job(&columns, &record, label, name, line)?);
    }
    if jobs.is_empty() {
        return Err(CalibrateError::NoJobs { file: name.to_owned() });
    }
    jobs.sort_by_key(|job| job.start_s);
    Ok(jobs)
}

/// Columns with numbers, in the order in which [`job`] takes them.
const NUMBERS: [&str; 11] = [
    "darshan_start_time",
    "darshan_end_time",
    "darshan_nprocs",
    "darshan_tot_bytes_read_posix",
    "darshan_tot_bytes_written_posix",
    "darshan_tot_reads_posix",
    "darshan_tot_writes_posix",
    "darshan_tot_f_read_time_posix",
    "darshan_tot_f_write_time_posix",
    "darshan_biggest_read_api_files",
    "darshan_biggest_write_api_files",
];

struct Columns {
    system: usize,
    program: usize,
    numbers: Vec<usize>,
}

fn job(
    columns: &Columns,
    record: &csv::StringRecord,
    label: String,
    file: &str,
    line: u64,
) -> Result<BenchJob, CalibrateError> {
    let cell = |number: usize| {
        let text = record.get(columns.numbers[number]).unwrap_or("");
        let value = text.parse().ok().filter(|value: &f64| (0.0..=1e18).contains(value));
        value.ok_or_else(|| CalibrateError::Cell {
            file: file.to_owned(),
            line,
            column: NUMBERS[number],
            found: text.chars().take(40).collect(),
        })
    };
    let (start_s, end_s, ranks) = (cell(0)? as u64, cell(1)? as u64, cell(2)?);
    let reads = cell(3)? > cell(4)?;
    let side = usize::from(!reads);
    let (bytes, requests) = (cell(3 + side)? as u64, cell(5 + side)? as u64);
    let impossible = |why| CalibrateError::Job { file: file.to_owned(), line, why };
    if end_s <= start_s {
        return Err(impossible("it ends before it starts"));
    }
    if bytes == 0 || requests == 0 {
        return Err(impossible("it moved no bytes"));
    }
    if !(1.0..=RANKS_MAX as f64).contains(&ranks) {
        return Err(impossible("its number of processes is 0 or above 2^20"));
    }
    let program = record.get(columns.program).unwrap_or("").rsplit('/').next().unwrap_or("").to_owned();
    Ok(BenchJob {
        label,
        program,
        start_s,
        end_s,
        ranks: ranks as u32,
        reads,
        bytes,
        requests,
        shared: cell(9 + side)? < 0.5 * ranks,
        busy_s: cell(7 + side)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(shared: bool, busy_s: f64) -> BenchJob {
        BenchJob {
            label: String::new(),
            program: "ior".into(),
            start_s: 100,
            end_s: 149,
            ranks: 48,
            reads: false,
            bytes: (48 * 64) << 20,
            requests: 48 * 64,
            shared,
            busy_s,
        }
    }

    #[test]
    fn workloads_move_every_byte_once() {
        for (shared, busy_s, ranks) in [(false, 2000.0, 48), (true, 2000.0, 48), (true, 10.0, 24)] {
            let job = bench(shared, busy_s);
            let (workload, part) = job.workload(24, 24, 1 << 20);
            assert_eq!(part, 1.0);
            workload.check().expect("a sound workload");
            assert_eq!(workload.totals().written_bytes, job.bytes);
            assert_eq!(workload.jobs[0].ranks.len(), ranks);
            let mut ranges: Vec<(u32, u64, u64)> = Vec::new();
            for rank in &workload.jobs[0].ranks {
                for op in &rank.ops {
                    if let Action::Write { file, offset, bytes } = op.action {
                        ranges.push((file.0, offset, bytes));
                    }
                }
            }
            ranges.sort_unstable();
            assert!(
                ranges.windows(2).all(|pair| pair[0].0 < pair[1].0 || pair[0].1 + pair[0].2 == pair[1].1)
            );
        }
    }

    #[test]
    fn summaries_are_read_and_mistakes_named() {
        let header = format!("_label,_file_system,darshan_app,{}", NUMBERS.join(","));
        let row = "7,scratch1,/bin/ior,100,149,48,0,3221225472,0,3072,0,2000,0,48";
        let read = |text: &str| read_jobs(text.as_bytes(), "jobs.csv", Some("scratch1"));
        let jobs = read(&format!("{header}\n{row}\n")).expect("a good summary");
        assert_eq!(jobs, [BenchJob { label: "7".into(), ..bench(false, 2000.0) }]);
        assert_eq!(jobs[0].manner(), Manner::FilePerProcess);
        let error = |text: &str| read(text).expect_err("must be refused").to_string();
        assert!(error(&header).contains("no job"));
        assert!(error(&format!("{header}\n{}", row.replace("149", "x"))).contains("line 2"));
        assert!(error(&format!("{header}\n{}", row.replace("149", "99"))).contains("ends before"));
        assert!(error("a,b\n1,2\n").contains("_file_system"));
        let long = format!("{header}\n{row}\n{row}\n");
        assert_eq!(read_at_most(2, long.as_bytes(), "jobs.csv", None).expect("just short enough").len(), 2);
        let error = read_at_most(1, long.as_bytes(), "jobs.csv", None).expect_err("one row too many");
        assert!(error.to_string().contains("more than 1 rows"), "{error}");
    }
}
