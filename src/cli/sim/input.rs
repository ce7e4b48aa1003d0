//! Where the workload of `tarazu sim` comes from.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tarazu_darshan::Log;
use tarazu_workload::generate::{SameNames, combine, from_spec, replicate, scale_bytes};
use tarazu_workload::{Workload, csv_format};

use super::ReplayArgs;
use crate::cli::logs;
use crate::cli::words::counted_as;

/// A real run of a checkpointing program: 16 ranks, 8 file-per-process checkpoints, one restart. Used
/// when no trace is named.
const BUNDLED_LOG: &[u8] = include_bytes!("../../../traces/darshan/ckpt-fpp-n16-lustre.darshan");
const BUNDLED_NAME: &str = "ckpt-fpp-n16-lustre.darshan";

/// Bytes at a file's beginning that tell what it is: header and comments of a workload file fit in.
const HEAD_BYTES: u64 = 8192;

/// `DARSHAN_MAGIC_NR` of darshan-log-format.h, at offset 8 of a 3.x log in the writer's byte order.
const DARSHAN_MAGIC: u64 = 6_567_223;

/// A workload with its history.
pub(super) struct Input {
    pub(super) workload: Workload,
    /// Where it came from, for people.
    pub(super) source: String,
    /// What was assumed.
    pub(super) notes: Vec<String>,
    /// Bytes that logs moved in files that were not kept; `None` without logs.
    pub(super) left_out_bytes: Option<u64>,
}

/// What a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Darshan,
    Csv,
}

/// Reads traces and generators, joins them, and applies copies and scaling.
pub(super) fn read(args: &ReplayArgs) -> Result<Input> {
    // All names are judged before the first long read.
    let kinds = args.traces.iter().map(|path| kind(path)).collect::<Result<Vec<_>>>()?;
    let mut notes = Vec::new();
    let mut sources = Vec::new();
    let mut parts = Vec::new();
    let mut logs = Vec::new();
    for (path, kind) in args.traces.iter().zip(kinds) {
        sources.push(path.display().to_string());
        match kind {
            Kind::Csv => parts.push(read_csv(path)?),
            Kind::Darshan => logs.push(Log::open(path)?),
        }
    }
    if args.traces.is_empty() && args.generate.is_empty() {
        sources.push(format!("the bundled log {BUNDLED_NAME}"));
        logs.push(Log::from_bytes(BUNDLED_NAME, BUNDLED_LOG)?);
    }
    let mut left_out_bytes = None;
    if !logs.is_empty() {
        let converted = logs::convert(&logs, &args.select)?;
        left_out_bytes = Some(converted.left_out_bytes);
        notes.extend(converted.notes);
        parts.push(converted.workload);
    }
    for spec in &args.generate {
        parts.push(from_spec(spec, args.workload_seed)?);
        sources.push(spec.clone());
    }
    let mut workload = match parts.len() {
        1 => parts.remove(0),
        _ => combine(parts, SameNames::Distinct)?,
    };
    if args.scale_bytes != 1 {
        workload = scale_bytes(&workload, args.scale_bytes)?;
        sources.push(format!("sizes × {}", args.scale_bytes));
    }
    if args.copies != 1 || args.stagger > 0.0 {
        workload = replicate(&workload, args.copies, args.stagger, args.workload_seed)?;
        sources.push(format!("{} over {} s", counted_as(args.copies.into(), "copy", "copies"), args.stagger));
    }
    Ok(Input { workload, source: sources.join(", "), notes, left_out_bytes })
}

fn read_csv(path: &Path) -> Result<Workload> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Ok(csv_format::read(file, &path.display().to_string())?)
}

/// What a named trace is, by its content; by its extension where the content is neither, so that the reader
/// of that format says what is wrong.
fn kind(path: &Path) -> Result<Kind> {
    let name = path.display();
    let about = match std::fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(not_found(path)),
        Err(error) => return Err(error).with_context(|| format!("cannot open {name}")),
    };
    ensure!(!about.is_dir(), "{name} is a folder; name the logs in it: {}", path.join("*.darshan").display());
    // A pipe could be read once only, and a device might never end.
    ensure!(about.is_file(), "{name} is no regular file; save the trace to a file first");
    let mut head = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    file.take(HEAD_BYTES).read_to_end(&mut head).with_context(|| format!("cannot read {name}"))?;
    if let Some(kind) = kind_of_content(&head) {
        return Ok(kind);
    }
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("csv") => Ok(Kind::Csv),
        Some("darshan") => Ok(Kind::Darshan),
        _ => bail!(
            "{name} is no trace: it is neither a Darshan 3.x log (*.darshan) nor a workload file (*.csv, \
             docs/workload-csv.md)"
        ),
    }
}

fn not_found(path: &Path) -> String {
    let name = path.display();
    let is_word = path.extension().is_none() && path.components().count() == 1;
    if is_word {
        let known = "the one tool of `tarazu sim` is `flows`, everything else is the name of a trace";
        return format!("there is no file {name}; {known}");
    }
    format!("there is no file {name}")
}

fn kind_of_content(head: &[u8]) -> Option<Kind> {
    let magic = head.get(8..16).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
    if magic
        .is_some_and(|magic| [DARSHAN_MAGIC, DARSHAN_MAGIC.swap_bytes()].contains(&u64::from_le_bytes(magic)))
    {
        return Some(Kind::Darshan);
    }
    // Darshan 1.x and 2.x logs are packed whole; the reader of logs knows what to do about them.
    if head.starts_with(&[0x1f, 0x8b]) || head.starts_with(b"BZh") {
        return Some(Kind::Darshan);
    }
    let text = String::from_utf8_lossy(head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head));
    let mut lines = text.lines().map(str::trim);
    let marked = text.starts_with("# tarazu.workload/");
    let header = lines.find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let has = |column: &str| header.split(',').any(|cell| cell.trim().trim_matches('"') == column);
    (marked || has("job") && has("rank")).then_some(Kind::Csv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_tells_what_a_file_is() {
        assert_eq!(kind_of_content(BUNDLED_LOG), Some(Kind::Darshan));
        let big_endian = [b"3.41\0\0\0\0".as_slice(), &DARSHAN_MAGIC.to_be_bytes()].concat();
        assert_eq!(kind_of_content(&big_endian), Some(Kind::Darshan));
        assert_eq!(kind_of_content(b"BZh91AY"), Some(Kind::Darshan));
        assert_eq!(kind_of_content(b"# tarazu.workload/1\n"), Some(Kind::Csv));
        assert_eq!(
            kind_of_content(b"\xef\xbb\xbf# a comment\n\njob,rank,node,start_s,op\n"),
            Some(Kind::Csv)
        );
        for other in
            [b"".as_slice(), b"# tarazu\n\nA pair of scales, a job", b"3.41", b"\0\0\0\0", b"job;rank"]
        {
            assert_eq!(kind_of_content(other), None, "{other:?}");
        }
    }

    #[test]
    fn only_a_bare_word_may_have_been_meant_as_a_tool() {
        assert!(not_found(Path::new("flow")).contains("`flows`"));
        for path in ["flow.csv", "runs/flow", "./flow"] {
            assert!(!not_found(Path::new(path)).contains("flows"), "{path}");
        }
    }
}
