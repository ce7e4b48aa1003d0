//! mdtest's text: the launch line, the command line and the table of rates.

use super::options::Options;
use super::{BenchOutputError, Params, Translated, bad, positive};
use crate::generate::MdtestParams;

/// mdtest's options that have a value.
const WITH_VALUE: &str = "abdefGiIlnNpsVwWxzZ";

/// What mdtest printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MdtestOutput {
    /// The file it was read from.
    pub file: String,
    /// As in `mdtest-4.1.0`.
    pub version: String,
    /// The command line.
    pub command: String,
    /// The directory (`-d`).
    pub dir: Option<String>,
    /// Processes.
    pub tasks: u32,
    /// Compute nodes.
    pub nodes: u32,
    /// Files of each rank: as asked for, or as many as the slowest-to-stop rank made before a stonewall.
    pub files_per_rank: u32,
    /// Whether files were used (`-F`, or neither `-F` nor `-D`).
    pub uses_files: bool,
    /// Whether directories were (`-D`, or neither).
    pub uses_dirs: bool,
    /// Directories of each tree: `-b` to the power of each level up to `-z`, summed.
    pub dirs: u64,
    /// Bytes written to each file (`-w`).
    pub write_bytes: u64,
    /// Bytes read from each file (`-e`).
    pub read_bytes: u64,
    /// A directory for each rank (`-u`).
    pub unique_dir: bool,
    /// Whether each file is synced (`-y`).
    pub fsync: bool,
    /// Repetitions (`-i`).
    pub iterations: u32,
    /// Ranks by which phases are shifted (`-N`).
    pub shift: u32,
    /// Phases that ran.
    pub creates: bool,
    /// As `creates`.
    pub stats: bool,
    /// As `creates`.
    pub reads: bool,
    /// As `creates`.
    pub removes: bool,
    /// Seconds after which creation stopped (`-W`).
    pub stonewall_s: Option<u64>,
    /// The table of rates, without phases that did not run.
    pub rates: Vec<MdtestRate>,
}

/// The rates of one phase over all repetitions, in operations/s.
#[derive(Clone, Debug, PartialEq)]
pub struct MdtestRate {
    /// As in `File creation`.
    pub operation: String,
    /// The highest.
    pub max_per_s: f64,
    /// The lowest.
    pub min_per_s: f64,
    /// The mean.
    pub mean_per_s: f64,
}

impl MdtestOutput {
    pub(super) fn params(&self) -> Result<Translated, BenchOutputError> {
        let refuse = |why: &str| BenchOutputError::Params { file: self.file.clone(), why: why.to_owned() };
        if !self.uses_files {
            return Err(refuse(
                "the run made directories only (-D), and a workload has no operation for them",
            ));
        }
        if !self.creates && !self.reads {
            let why = "the run only stats or removes files, and a workload has no operation for that: name the output \
                       of the phase that writes or reads";
            return Err(refuse(why));
        }
        if self.nodes == 0 || !self.tasks.is_multiple_of(self.nodes) {
            return Err(refuse("the tasks do not divide evenly among the nodes, which the generator needs"));
        }
        let mut notes = Vec::new();
        if self.stats || self.removes || self.uses_dirs {
            notes.push(
                "stats, removals and directories are left out: a workload has no operation for them".into(),
            );
        }
        if self.dirs > 1 {
            notes.push(format!("each tree of {} directories becomes one directory", self.dirs));
        }
        if let Some(stonewall_s) = self.stonewall_s {
            let files = self.files_per_rank;
            notes.push(format!("stopped after {stonewall_s} s: every rank makes {files} files"));
        }
        let read_bytes = if self.creates { self.read_bytes.min(self.write_bytes) } else { self.read_bytes };
        let dir = self.dir.as_deref().map(|dir| dir.trim_end_matches('/'));
        let dir = dir.filter(|dir| dir.starts_with('/')).map(str::to_owned);
        let params = MdtestParams {
            nodes: self.nodes,
            ranks_per_node: self.tasks / self.nodes,
            files: self.files_per_rank,
            write_bytes: if self.creates { self.write_bytes } else { self.write_bytes.max(read_bytes) },
            read_bytes,
            unique_dir: self.unique_dir,
            iterations: self.iterations,
            create: self.creates,
            read: self.reads,
            shift: self.shift,
            fsync: self.fsync,
            dir: dir.unwrap_or_else(|| MdtestParams::default().dir),
            ..MdtestParams::default()
        };
        Ok(Translated { params: Params::Mdtest(params), notes })
    }
}

/// Reads the text.
pub(super) fn text(file: &str, text: &str) -> Result<MdtestOutput, BenchOutputError> {
    let missing = |what| BenchOutputError::Missing { file: file.to_owned(), what };
    let launch =
        text.lines().find_map(|line| line.strip_prefix("mdtest-")?.split_once(" was launched with "));
    let (version, launch) = launch.ok_or_else(|| missing("the line with the number of tasks"))?;
    let numbers = whole_numbers(launch);
    let tasks = numbers.first().copied().ok_or_else(|| bad(file, "tasks", launch, "a whole number"))?;
    let nodes = numbers.get(1).copied().ok_or_else(|| bad(file, "nodes", launch, "a whole number"))?;
    let command = text.lines().find_map(|line| line.strip_prefix("Command line used:"));
    let command = command.ok_or_else(|| missing("the command line"))?.trim();
    let options = Options::parse(command, WITH_VALUE);
    let all = !['C', 'T', 'E', 'r'].iter().any(|phase| options.has(*phase));
    let kinds = (options.has('F'), options.has('D'));
    let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Ok(MdtestOutput {
        file: file.to_owned(),
        version: version.to_owned(),
        command: command.to_owned(),
        dir: options.value('d').map(str::to_owned),
        tasks: small(tasks),
        nodes: small(nodes),
        files_per_rank: small(files_per_rank(file, text, &options, tasks)?),
        uses_files: kinds.0 || !kinds.1,
        uses_dirs: kinds.1 || !kinds.0,
        dirs: tree_dirs(&options),
        write_bytes: options.bytes('w').unwrap_or(0),
        read_bytes: options.bytes('e').unwrap_or(0),
        unique_dir: options.has('u'),
        fsync: options.has('y'),
        iterations: small(options.number('i').unwrap_or(1).max(1)),
        shift: small(shift(text).or_else(|| options.number('N')).unwrap_or(0)),
        creates: all || options.has('C'),
        stats: all || options.has('T'),
        reads: all || options.has('E'),
        removes: all || options.has('r'),
        stonewall_s: options.number('W'),
        rates: rates(text),
    })
}

/// The whole numbers among the words of a line.
fn whole_numbers(line: &str) -> Vec<u64> {
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// `8 tasks, 512 files`, less where a stonewall stopped the run: all ranks then make as many as the fastest had.
fn files_per_rank(file: &str, text: &str, options: &Options, tasks: u64) -> Result<u64, BenchOutputError> {
    let stopped = text.lines().find_map(|line| line.trim_start().strip_prefix("Continue stonewall hit "));
    let stopped = stopped
        .and_then(|rest| rest.split_once("max:"))
        .and_then(|(_, rest)| whole_numbers(rest).first().copied());
    if let Some(files) = stopped {
        return Ok(files);
    }
    let printed = text.lines().find(|line| line.contains(" tasks, ") && line.contains(" files"));
    let printed = printed.map(whole_numbers).and_then(|numbers| numbers.get(1).copied());
    match (printed, options.number('n')) {
        (Some(files), _) => Ok(files / tasks.max(1)),
        (None, Some(files)) => Ok(files),
        (None, None) => Err(BenchOutputError::Missing {
            file: file.to_owned(),
            what: "the line with the number of files",
        }),
    }
}

/// `Shifting ranks by 8 for each phase.`
fn shift(text: &str) -> Option<u64> {
    let (_, rest) = text.lines().find_map(|line| line.split_once("Shifting ranks by "))?;
    whole_numbers(rest).first().copied()
}

fn tree_dirs(options: &Options) -> u64 {
    let (branches, depth) = (options.number('b').unwrap_or(1), options.number('z').unwrap_or(0));
    // More levels than a path can have names.
    const DEPTH_MAX: u64 = 2048;
    let levels = (0..=depth.min(DEPTH_MAX)).scan(1u64, |width, _| {
        let this = *width;
        *width = width.saturating_mul(branches);
        Some(this)
    });
    levels.fold(0, u64::saturating_add)
}

/// The first table, of rates; a second one has times.
fn rates(text: &str) -> Vec<MdtestRate> {
    let lines = text.lines().skip_while(|line| !line.starts_with("SUMMARY rate"));
    let table = lines.skip(1).take_while(|line| !line.starts_with("SUMMARY") && !line.starts_with("--"));
    let rows = table.filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, numbers) = words.split_at(words.len().checked_sub(4)?);
        let numbers: Vec<f64> = numbers.iter().filter_map(|word| positive(word)).collect();
        let [max_per_s, min_per_s, mean_per_s, _] = numbers.try_into().ok()?;
        // Older versions have a colon behind the name.
        let operation = name.join(" ").trim_end_matches([' ', ':']).to_owned();
        (max_per_s > 0.0).then_some(MdtestRate { operation, max_per_s, min_per_s, mean_per_s })
    });
    rows.collect()
}
