//! Traces of the command line, whatever they are: Darshan logs and folders of them, workload files, Recorder traces,
//! and what benchmarks printed.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tarazu_workload::bench_output::{self, BenchOutputError};
use tarazu_workload::generate::{SameNames, combine};
use tarazu_workload::{Workload, csv_format, recorder};

use super::logs::{Condition, Held, LogArgs, Tolerance};
use super::output::message;

/// Bytes at a file's beginning that tell what it is: header and comments of a workload file fit in.
const HEAD_BYTES: u64 = 8192;

/// `DARSHAN_MAGIC_NR` of darshan-log-format.h, at offset 8 of a 3.x log in the writer's byte order.
const DARSHAN_MAGIC: u64 = 6_567_223;

/// Folders below a named one that are searched for logs: year/month/day below a site's log folder, and some.
const FOLDER_DEPTH_MAX: usize = 8;

/// Logs of one command: a machine's month. This bounds their names; what is read of them has limits of its own.
const LOGS_MAX: usize = 1 << 20;

/// What a named trace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trace {
    /// A log.
    Darshan(PathBuf),
    /// A workload file.
    Csv(PathBuf),
    /// A folder of a Recorder trace.
    Recorder(PathBuf),
    /// A benchmark's output.
    Benchmark(PathBuf),
}

/// Traces as one workload, with their history.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    /// Each trace's workload; all logs are the first.
    pub(crate) parts: Vec<Workload>,
    /// What was assumed.
    pub(crate) notes: Vec<String>,
    /// Bytes that traces moved in files that were not kept; `None` where there was nothing to keep.
    pub(crate) left_out_bytes: Option<u64>,
    /// How the logs were.
    pub(crate) condition: Condition,
}

impl Joined {
    /// One workload of all parts, jobs side by side.
    pub(crate) fn workload(mut self) -> Result<Workload> {
        match self.parts.len() {
            1 => Ok(self.parts.remove(0)),
            _ => Ok(combine(self.parts, SameNames::Distinct)?),
        }
    }
}

/// Reads traces; all names have been judged before the first long read.
pub(crate) fn read(traces: &[Trace], select: &LogArgs, tolerance: Tolerance, seed: u64) -> Result<Joined> {
    let mut joined = Joined::default();
    let paths: Vec<PathBuf> = traces.iter().filter_map(Trace::as_log).cloned().collect();
    let mut held = Held::default();
    joined.condition = tolerance.open_each(&paths, |log| {
        held.add(log)?;
        Ok(true)
    })?;
    ensure!(!held.logs.is_empty() || paths.is_empty(), "no log could be used");
    if !held.logs.is_empty() {
        let converted = select.convert(&held.logs)?;
        joined.left_out_bytes = Some(converted.left_out_bytes);
        joined.notes.extend(converted.notes);
        joined.parts.push(converted.workload);
    }
    for (number, trace) in traces.iter().enumerate() {
        match trace {
            Trace::Darshan(_) => {}
            Trace::Csv(path) => joined.parts.push(read_csv(path)?),
            Trace::Recorder(path) => {
                let read = recorder::read_dir(path, &select.for_recorder(number as u64 + 1))?;
                joined.notes.extend(read.notes);
                let before = joined.left_out_bytes.unwrap_or(0);
                joined.left_out_bytes = Some(before.saturating_add(read.left_out_bytes));
                joined.parts.push(read.workload);
            }
            Trace::Benchmark(path) => {
                for translated in bench_output::read(path)?.params(select.placement())? {
                    joined.parts.push(translated.workload(seed).with_context(|| path.display().to_string())?);
                    let name = path.display();
                    joined.notes.extend(translated.notes.iter().map(|note| format!("{name}: {note}")));
                }
            }
        }
    }
    Ok(joined)
}

fn read_csv(path: &Path) -> Result<Workload> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(csv_format::read(file, &path.display().to_string())?)
}

impl Trace {
    fn as_log(&self) -> Option<&PathBuf> {
        match self {
            Self::Darshan(path) => Some(path),
            _ => None,
        }
    }

    /// What named traces are; a folder that is no trace itself stands for all logs below it.
    pub(crate) fn of_all(paths: &[PathBuf]) -> Result<Vec<Self>> {
        let mut traces = Vec::with_capacity(paths.len());
        for path in paths {
            if is_folder(path)? {
                if is_recorder(path)? {
                    traces.push(Self::Recorder(path.clone()));
                } else {
                    traces.extend(logs_below(path)?.into_iter().map(Self::Darshan));
                }
            } else {
                traces.push(Self::of_file(path)?);
            }
        }
        Ok(traces)
    }

    /// What a file is, by its content. Its extension counts where that says nothing at all, so that the reader of
    /// that format says what is wrong.
    fn of_file(path: &Path) -> Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let mut head = Vec::new();
        file.take(HEAD_BYTES).read_to_end(&mut head).with_context(|| format!("cannot read {name}"))?;
        if let Some(trace) = of_content(&head, path) {
            return Ok(trace);
        }
        let is =
            |extension: &str| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension));
        if is("darshan") {
            return Ok(Self::Darshan(path.to_path_buf()));
        }
        let Err(error) = bench_output::read(path) else { return Ok(Self::Benchmark(path.to_path_buf())) };
        let is_open = error.is_unrecognised() || matches!(error, BenchOutputError::TooLarge { .. });
        match error {
            _ if is_open && is("csv") => Ok(Self::Csv(path.to_path_buf())),
            BenchOutputError::Unknown { .. } => bail!(
                "{error}; nor is it a Darshan 3.x log (*.darshan), a workload file (*.csv, docs/workload-csv.md) or a \
                 folder of a Recorder trace"
            ),
            _ => Ok(Self::Benchmark(path.to_path_buf())),
        }
    }
}

/// Logs of named files and folders: files are taken as logs whatever they are, so that the reader says what is
/// wrong with them.
pub(crate) fn logs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::with_capacity(paths.len());
    for path in paths {
        match path.is_dir() {
            true => logs.extend(logs_below(path)?),
            false => logs.push(path.clone()),
        }
    }
    Ok(logs)
}

/// Whether a path is a folder; an error where there is nothing, or no regular file either.
fn is_folder(path: &Path) -> Result<bool> {
    let name = path.display();
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("there is no file {name}"),
        Err(error) => return Err(error).with_context(|| format!("cannot open {name}")),
    };
    // A pipe could be read once only, and a device might never end.
    ensure!(about.is_dir() || about.is_file(), "{name} is no regular file; save the trace to a file first");
    Ok(about.is_dir())
}

/// Whether a folder is a Recorder trace, with or without its text.
fn is_recorder(folder: &Path) -> Result<bool> {
    let signs = ["recorder.mt", "0.txt", "_text/0.txt", "text/0.txt"];
    Ok(signs.iter().any(|sign| folder.join(sign).is_file()))
}

/// All `*.darshan` files below a folder, by name. A folder that could not be searched stands for its logs: the reader
/// says what is wrong with it, and counts it as a log that was not used.
fn logs_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    collect(folder, 0, &mut logs)?;
    ensure!(!logs.is_empty(), "there is no *.darshan file below the folder {}", folder.display());
    logs.sort();
    Ok(logs)
}

fn collect(folder: &Path, depth: usize, logs: &mut Vec<PathBuf>) -> Result<()> {
    let name = folder.display();
    if depth > FOLDER_DEPTH_MAX {
        message(format_args!(
            "{name}: not searched, because it lies more than {FOLDER_DEPTH_MAX} folders deep; name a folder further down"
        ));
        return keep(folder.to_path_buf(), logs);
    }
    // The reader meets the same error when it opens the folder.
    let Ok(entries) = std::fs::read_dir(folder) else { return keep(folder.to_path_buf(), logs) };
    for entry in entries {
        let found = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
        let (path, kind) = match found {
            Ok(found) => found,
            Err(error) => {
                message(format_args!("{name}: cannot be listed to its end: {error}"));
                return keep(folder.to_path_buf(), logs);
            }
        };
        // Symbolic links to folders could go round in a circle.
        if kind.is_dir() {
            collect(&path, depth + 1, logs)?;
        } else if path.extension().is_some_and(|extension| extension == "darshan") {
            // What cannot be looked at is left to the reader, which says why.
            if std::fs::metadata(&path).is_ok_and(|about| !about.is_file()) {
                message(format_args!("{}: left out, because it is no regular file", path.display()));
                continue;
            }
            keep(path, logs)?;
        }
    }
    Ok(())
}

fn keep(path: PathBuf, logs: &mut Vec<PathBuf>) -> Result<()> {
    logs.push(path);
    ensure!(logs.len() <= LOGS_MAX, "more than {LOGS_MAX} logs at once; name fewer folders");
    Ok(())
}

fn of_content(head: &[u8], path: &Path) -> Option<Trace> {
    let log = || Some(Trace::Darshan(path.to_path_buf()));
    let magic = head.get(8..16).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    if magic
        .is_some_and(|magic| [DARSHAN_MAGIC, DARSHAN_MAGIC.swap_bytes()].contains(&u64::from_le_bytes(magic)))
    {
        return log();
    }
    // Darshan 1.x and 2.x logs are packed whole; the reader of logs knows what to do about them.
    if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(b"BZh") {
        return log();
    }
    let text = String::from_utf8_lossy(head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head));
    if text.starts_with("access,bw(MiB/s)") {
        return Some(Trace::Benchmark(path.to_path_buf()));
    }
    let mut lines = text.lines().map(str::trim);
    let marked = text.starts_with("# tarazu.workload/");
    let header = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let has = |column: &str| header.split(',').any(|cell| cell.trim().trim_matches('"') == column);
    (marked || has("job") && has("rank")).then(|| Trace::Csv(path.to_path_buf()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_what_a_file_is() {
        let path = Path::new("x");
        let is = |head: &[u8]| of_content(head, path);
        let log = Some(Trace::Darshan(path.into()));
        let table = Some(Trace::Csv(path.into()));
        for magic in [DARSHAN_MAGIC.to_be_bytes(), DARSHAN_MAGIC.to_le_bytes()] {
            assert_eq!(is(&[b"3.41\0\0\0\0".as_slice(), &magic].concat()), log);
        }
        assert_eq!(is(b"BZh91AY"), log);
        assert_eq!(is(b"# tarazu.workload/1\n"), table);
        assert_eq!(is(b"\xef\xbb\xbf# a comment\n\njob,rank,node,start_s,op\n"), table);
        assert_eq!(is(b"access,bw(MiB/s),IOPS\n"), Some(Trace::Benchmark(path.into())));
        for other in
            [b"".as_slice(), b"# tarazu\n\nA pair of scales, a job", b"3.41", b"\0\0\0\0", b"job;rank"]
        {
            assert_eq!(is(other), None, "{other:?}");
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test that is left out says so")]
    fn what_io500_puts_beside_its_outputs_is_refused_by_name() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces/io500");
        let Ok(runs) = std::fs::read_dir(&folder) else {
            eprintln!("SKIPPED: ../shared/traces/io500 is absent");
            return;
        };
        let mut refused = 0;
        for run in runs.flatten().filter(|run| run.path().is_dir()) {
            for file in std::fs::read_dir(run.path()).unwrap().flatten() {
                let path = file.path();
                if path.extension().is_none_or(|extension| extension != "csv") {
                    continue;
                }
                let error = Trace::of_file(&path).unwrap_err().to_string();
                let wanted =
                    if path.ends_with("find.csv") { "find phase" } else { "name the .txt of the same name" };
                assert!(error.contains(wanted), "{error}");
                refused += 1;
            }
        }
        assert!(refused >= 36, "{refused}");
    }

    #[test]
    fn extensions_count_where_the_content_says_nothing() {
        let folder = std::env::temp_dir().join(format!("tarazu-input-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            Trace::of_file(&path)
        };
        let kind = |trace: Result<Trace>| match trace.unwrap() {
            Trace::Csv(_) => "csv",
            Trace::Darshan(_) => "log",
            Trace::Recorder(_) => "recorder",
            Trace::Benchmark(_) => "benchmark",
        };
        assert_eq!(kind(file("odd.csv", "a,b\n1,2\n")), "csv");
        assert_eq!(kind(file("empty.csv", "")), "csv");
        assert_eq!(kind(file("empty.darshan", "")), "log");
        assert_eq!(kind(file("ior.csv", "IOR-4.1.0: MPI Coordinated Test of Parallel I/O\n")), "benchmark");
        assert!(
            file("ranks.csv", "access,rank,runtime\nwrite,0,1\n")
                .unwrap_err()
                .to_string()
                .contains("name the .txt")
        );
        assert!(file("odd.txt", "a,b\n").unwrap_err().to_string().contains("nor is it a Darshan"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
