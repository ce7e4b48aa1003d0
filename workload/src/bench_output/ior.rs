//! IOR's text: options and results of each test.

use super::options::Options;
use super::{BenchOutputError, bad, positive};
use crate::generate::Access;

/// IOR's options that have a value, of versions 2 to 4.
pub(super) const WITH_VALUE: &str = "aAbdDfGijJlMNoOQstTUX";

/// Tests of one run. A script of tests that long is not known.
pub(super) const TESTS_MAX: usize = 4096;

/// What IOR printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IorOutput {
    /// The file it was read from.
    pub file: String,
    /// As in `IOR-4.1.0`; empty in the CSV.
    pub version: String,
    /// The command line; empty in the CSV.
    pub command: String,
    /// The tests, at least one.
    pub tests: Vec<IorTest>,
}

/// One test of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IorTest {
    /// The interface, as in `POSIX`; empty in the CSV.
    pub api: String,
    /// The file's name; with a file per process a number is added to it.
    pub file_name: String,
    /// Whether ranks share a file; the CSV does not say.
    pub access: Option<Access>,
    /// Whether MPI-IO was called collectively.
    pub collective: bool,
    /// Whether transfers were made in random order.
    pub random: bool,
    /// Whether ranks read what others wrote (`-C`).
    pub reordered: bool,
    /// Segments of the file (`-s`).
    pub segments: u64,
    /// Processes.
    pub tasks: u32,
    /// Processes on each node, where printed.
    pub tasks_per_node: Option<u32>,
    /// Compute nodes, where printed.
    pub nodes: Option<u32>,
    /// Repetitions (`-i`).
    pub repetitions: u32,
    /// Bytes of one operation (`-t`).
    pub transfer_bytes: u64,
    /// Bytes of a rank in each segment (`-b`).
    pub block_bytes: u64,
    /// Whether a size was only printed rounded and not in the command line.
    pub sizes_rounded: bool,
    /// Whether each rank synced before its close (`-e`).
    pub fsync: bool,
    /// Time between repetitions, in seconds (`-d`).
    pub delay_s: f64,
    /// Seconds after which transfers stopped (`-D`).
    pub stonewall_s: Option<f64>,
    /// Bytes that all ranks moved, where a stonewall or an earlier one made it less than asked for.
    pub moved_bytes: Option<u64>,
    /// Lustre's stripe count, where printed.
    pub stripe_count: Option<u32>,
    /// Lustre's stripe size in bytes, where printed.
    pub stripe_bytes: Option<u64>,
    /// Whether the command line asks for writing.
    pub writes: bool,
    /// Whether it asks for reading.
    pub reads: bool,
    /// Measurements, in the order of the run.
    pub results: Vec<IorResult>,
}

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the file.
    Write,
    /// Out of it.
    Read,
}

/// One measured phase. Times are those of the slowest rank.
#[derive(Clone, Debug, PartialEq)]
pub struct IorResult {
    /// Writing or reading.
    pub direction: Direction,
    /// The repetition from 0.
    pub iteration: u32,
    /// Bytes of all ranks by the total time, in bytes/s.
    pub bytes_per_s: f64,
    /// Transfers by the time of transfers, in operations/s.
    pub ops_per_s: Option<f64>,
    /// Time to open, in seconds.
    pub open_s: Option<f64>,
    /// Time of transfers, in seconds.
    pub transfer_s: Option<f64>,
    /// Time to close, in seconds.
    pub close_s: Option<f64>,
    /// From the first open to the last close, in seconds.
    pub total_s: Option<f64>,
}

impl Direction {
    pub(super) fn parse(word: &str) -> Option<Self> {
        match word {
            "write" => Some(Self::Write),
            "read" => Some(Self::Read),
            _ => None,
        }
    }
}

/// Reads the text.
pub(super) fn text(file: &str, text: &str) -> Result<IorOutput, BenchOutputError> {
    let mut output = IorOutput { file: file.to_owned(), ..IorOutput::default() };
    let mut options = Options::default();
    let mut header: Vec<&str> = Vec::new();
    let mut seen = Seen::default();
    for line in text.lines() {
        if let Some(version) = line.strip_prefix("IOR-") {
            output.version = version.split(':').next().unwrap_or_default().to_owned();
            continue;
        }
        if let Some(command) = command(line) {
            output.command = command.to_owned();
            options = Options::parse(command, WITH_VALUE);
            continue;
        }
        // The list of options begins with the interface, in all versions.
        let pair = line.split_once([':', '=']).map(|(key, value)| (key.trim(), value.trim()));
        if let Some(("api", api)) = pair {
            if output.tests.len() >= TESTS_MAX {
                return Err(bad(file, "tests", "more than 4096", "at most 4096 tests"));
            }
            output.tests.push(IorTest::begin(&options));
            seen = Seen::default();
            if let Some(test) = output.tests.last_mut() {
                api.clone_into(&mut test.api);
            }
            continue;
        }
        let Some(test) = output.tests.last_mut() else { continue };
        if line.starts_with("access ") && line.contains("bw(") {
            header = line.split_whitespace().collect();
        } else if let Some(row) = row(&header, line) {
            test.results.push(row);
        } else if let Some(pairs) = line.strip_prefix("stonewalling pairs accessed") {
            seen.pairs = pairs.split_once("max:").and_then(|(_, rest)| first_number(rest));
        } else if let Some((key, value)) = pair {
            option(file, test, &mut seen, key, value)?;
        }
        if let Some(test) = output.tests.last_mut() {
            test.moved_bytes = seen.moved(test);
        }
    }
    for test in &mut output.tests {
        test.settle(file, &options)?;
    }
    if output.tests.is_empty() {
        return Err(BenchOutputError::Missing { file: file.to_owned(), what: "the list of options" });
    }
    Ok(output)
}

fn command(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("Command line")?;
    rest.split_once(':').map(|(_, command)| command.trim())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next().and_then(|word| word.parse().ok())
}

/// What a test's lines said of the bytes that were moved.
#[derive(Default)]
struct Seen {
    actual: Option<u64>,
    /// Transfers of the rank that was furthest at the stonewall; all others follow up to it.
    pairs: Option<u64>,
    wears_out: bool,
}

impl Seen {
    fn moved(&self, test: &IorTest) -> Option<u64> {
        let worn = self.pairs.filter(|_| self.wears_out);
        let worn =
            worn.and_then(|pairs| pairs.checked_mul(test.transfer_bytes)?.checked_mul(test.tasks.into()));
        self.actual.or(worn)
    }
}

impl IorTest {
    /// A test of which only the command line is known.
    pub(super) fn begin(options: &Options) -> Self {
        let asked = ['w', 'W', 'r', 'R'].iter().any(|letter| options.has(*letter));
        Self {
            segments: options.number('s').unwrap_or(1),
            repetitions: 1,
            // Sizes are printed with two decimals; here they are exact.
            transfer_bytes: options.bytes('t').unwrap_or(0),
            block_bytes: options.bytes('b').unwrap_or(0),
            fsync: options.has('e'),
            reordered: options.has('C'),
            delay_s: options.value('d').and_then(positive).unwrap_or(0.0),
            stonewall_s: options.value('D').and_then(positive).filter(|seconds| *seconds > 0.0),
            writes: options.has('w') || options.has('W') || !asked,
            reads: options.has('r') || options.has('R') || !asked,
            ..Self::default()
        }
    }

    /// Checks what every test must have, and fills in what one number tells of another.
    pub(super) fn settle(&mut self, file: &str, options: &Options) -> Result<(), BenchOutputError> {
        let missing = |what| Err(BenchOutputError::Missing { file: file.to_owned(), what });
        if self.tasks == 0 {
            return missing("the number of tasks");
        }
        if self.transfer_bytes == 0 {
            return missing("the transfer size");
        }
        if self.block_bytes == 0 {
            return missing("the block size");
        }
        if !self.results.is_empty() {
            // Checking (-R) reads as well, and a script may say otherwise than the command line.
            self.writes = self.results.iter().any(|row| row.direction == Direction::Write);
            self.reads = self.results.iter().any(|row| row.direction == Direction::Read);
        }
        if self.access.is_none() && options.has('F') {
            self.access = Some(Access::Fpp);
        }
        Ok(())
    }
}

/// Takes a line of the list of options.
fn option(
    file: &str,
    test: &mut IorTest,
    seen: &mut Seen,
    key: &str,
    value: &str,
) -> Result<(), BenchOutputError> {
    let number = |wanted| first_number(value).ok_or_else(|| bad(file, key, value, wanted));
    let count = || number("a whole number").map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    match key {
        "test filename" => value.clone_into(&mut test.file_name),
        "access" => test.access = Some(access(file, value)?),
        "type" => test.collective = value == "collective",
        "segments" => test.segments = number("a whole number")?,
        "ordering in a file" => test.random = value.starts_with("random"),
        "ordering inter file" => test.reordered = value.starts_with("constant"),
        "nodes" => test.nodes = Some(count()?),
        "tasks" => test.tasks = count()?,
        // `8 (4 per node)`, before version 3.1.
        "clients" => {
            test.tasks = count()?;
            let per_node = value.split_once('(').and_then(|(_, rest)| first_number(rest));
            test.tasks_per_node = per_node.and_then(|per_node| u32::try_from(per_node).ok());
        }
        "clients per node" => test.tasks_per_node = Some(count()?),
        "repetitions" => test.repetitions = count()?,
        "xfersize" | "blocksize" => {
            let into = if key == "xfersize" { &mut test.transfer_bytes } else { &mut test.block_bytes };
            if *into == 0 {
                let (bytes, exact) =
                    size(value).ok_or_else(|| bad(file, key, value, "a size as in 2 MiB"))?;
                *into = bytes;
                test.sizes_rounded |= !exact;
            }
        }
        "stonewallingTime" => test.stonewall_s = positive(value).filter(|seconds| *seconds > 0.0),
        "stoneWallingWearOut" => seen.wears_out = value != "0",
        "Lustre stripe size" => test.stripe_bytes = size(value).map(|(bytes, _)| bytes),
        "stripe count" => test.stripe_count = value.parse().ok(),
        "WARNING" if value.starts_with("Using actual aggregate bytes moved") => {
            seen.actual = value.rsplit_once('=').and_then(|(_, bytes)| first_number(bytes));
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn access(file: &str, value: &str) -> Result<Access, BenchOutputError> {
    match value.split(',').next().unwrap_or_default().trim() {
        "single-shared-file" => Ok(Access::Ssf),
        "file-per-process" => Ok(Access::Fpp),
        _ => Err(bad(file, "access", value, "single-shared-file or file-per-process")),
    }
}

/// `65536 bytes` or `96.88 GiB`, and whether the number is whole.
pub(super) fn size(text: &str) -> Option<(u64, bool)> {
    let (number, unit) = text.split_once(' ')?;
    let unit: u64 = match unit.trim() {
        "bytes" | "byte" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(unit).map(|bytes| (bytes, true));
    }
    let bytes = positive(number)? * unit as f64;
    // 2^63: no larger file is addressed.
    (bytes < 9.2e18).then_some((bytes.round() as u64, false))
}

/// A line of the table of results, by the names of its columns.
fn row(header: &[&str], line: &str) -> Option<IorResult> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let direction = Direction::parse(words.first()?)?;
    // The summary behind the table has more columns.
    if header.is_empty() || words.len() != header.len() {
        return None;
    }
    let column = |name: &str| {
        let place = header.iter().position(|column| column.split('(').next() == Some(name))?;
        words.get(place).copied()
    };
    let seconds = |name| column(name).and_then(positive);
    Some(IorResult {
        direction,
        iteration: column("iter")?.parse().ok()?,
        bytes_per_s: seconds("bw")? * f64::from(1 << 20),
        ops_per_s: seconds("IOPS"),
        open_s: seconds("open"),
        transfer_s: seconds("wr/rd"),
        close_s: seconds("close"),
        total_s: seconds("total"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of version 3.0, with Lustre's striping.
    const OLD: &str = "IOR-3.0.1: MPI Coordinated Test of Parallel I/O

Began: Mon Mar  2 10:00:00 2015
Command line used: ./ior -a POSIX -w -r -o /lustre/x -b 16m -t 1m -s 3
Machine: Linux n1

Test 0 started: Mon Mar  2 10:00:00 2015
Summary:
\tapi                = POSIX
\ttest filename      = /lustre/x
\taccess             = single-shared-file
\tordering in a file = sequential offsets
\tordering inter file= no tasks offsets
\tclients            = 4 (2 per node)
\trepetitions        = 2
\txfersize           = 1 MiB
\tblocksize          = 16 MiB
\taggregate filesize = 192 MiB
\tLustre stripe size = 4 MiB
\t      stripe count = 8

access    bw(MiB/s)  block(KiB) xfer(KiB)  open(s)    wr/rd(s)   close(s)   total(s)   iter
------    ---------  ---------- ---------  --------   --------   --------   --------   ----
write     100.50     16384      1024.00    0.001      1.90       0.002      1.91       0
remove    -          -          -          -          -          -          0.000385   0
read      200.00     16384      1024.00    0.001      0.95       0.002      0.96       0

Max Write: 100.50 MiB/sec (105.38 MB/sec)
";

    #[test]
    fn version_3_0_is_read() {
        let output = text("x", OLD).unwrap();
        assert_eq!((output.version.as_str(), output.tests.len()), ("3.0.1", 1));
        let test = &output.tests[0];
        assert_eq!((test.tasks, test.tasks_per_node, test.nodes), (4, Some(2), None));
        assert_eq!((test.transfer_bytes, test.block_bytes, test.segments), (1 << 20, 16 << 20, 3));
        assert_eq!((test.stripe_bytes, test.stripe_count), (Some(4 << 20), Some(8)));
        assert_eq!((test.access, test.repetitions, test.reordered), (Some(Access::Ssf), 2, false));
        let rows: Vec<(Direction, f64)> =
            test.results.iter().map(|row| (row.direction, row.bytes_per_s / 1_048_576.0)).collect();
        assert_eq!(rows, [(Direction::Write, 100.5), (Direction::Read, 200.0)]);
        assert_eq!((test.results[0].ops_per_s, test.results[0].total_s), (None, Some(1.91)));
    }

    #[test]
    fn sizes_may_be_rounded() {
        assert_eq!(size("65536 bytes"), Some((65536, true)));
        assert_eq!(size("2 MiB"), Some((2 << 20, true)));
        assert_eq!(size("96.50 GiB"), Some((103_616_086_016, false)));
        for text in ["", "2", "2 MB", "-1 MiB", "nan MiB", "99999999999999999999 TiB", "1e99 TiB"] {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
