//! A workload into rows.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;

use csv::WriterBuilder;
use tarazu_layout::JobId;

use super::cells::Column;
use super::error::CsvError;
use super::{FORMAT, GROUP_MEMBERS_MAX, RECORD_BYTES_MAX, layout_text};
use crate::limits::{
    FILES_MAX, GROUP_RANK_PAIRS_MAX, JOBS_MAX, MOVED_BYTES_MAX, NODES_MAX, OPS_MAX, RANKS_MAX,
};
use crate::text::{format_seconds, span_nanos};
use crate::{Action, File, Job, Op, RankId, Workload};

/// All columns but `end_s`, which a workload does not know.
const COLUMNS: usize = Column::ALL.len() - 1;

/// Characters of a note: the reader bounds lines, and a file name of a log can be of any length.
const NOTE_CHARS_MAX: usize = 4096;

pub(super) fn write(workload: &Workload, notes: &[String], mut output: impl Write) -> Result<(), CsvError> {
    refuse_unreadable(workload)?;
    writeln!(output, "# {FORMAT}").map_err(|source| CsvError::Write { source })?;
    for note in notes {
        let chars = note.chars().take(NOTE_CHARS_MAX);
        let note: String = chars.map(|char| if char.is_control() { ' ' } else { char }).collect();
        writeln!(output, "# note: {note}").map_err(|source| CsvError::Write { source })?;
    }
    // With its comment character told, the writer quotes names that contain it: so readers that cut
    // comments anywhere in a line, as pandas does, keep them whole.
    let mut table = Table { rows: WriterBuilder::new().comment(Some(b'#')).from_writer(output) };
    let header = Column::ALL.into_iter().filter(|column| *column != Column::End).map(Column::name);
    table.rows.write_record(header).map_err(write_error)?;
    for job in &workload.jobs {
        table.job(job)?;
    }
    for file in &workload.files {
        table.file(file)?;
    }
    for job in &workload.jobs {
        for (number, rank) in job.ranks.iter().enumerate() {
            for op in &rank.ops {
                table.op(workload, job.id, number, rank.node.0, op)?;
            }
        }
    }
    table.rows.flush().map_err(|source| CsvError::Write { source })
}

fn write_error(error: csv::Error) -> CsvError {
    CsvError::Write { source: error.into() }
}

struct Table<W: Write> {
    rows: csv::Writer<W>,
}

impl<W: Write> Table<W> {
    /// Writes a row from cells in any order, the others empty.
    fn row(&mut self, record: &str, cells: &[(Column, &str)]) -> Result<(), CsvError> {
        let mut row = [""; COLUMNS];
        row[place(Column::Record)] = record;
        for (column, text) in cells {
            row[place(*column)] = text;
        }
        self.rows.write_record(row).map_err(write_error)
    }

    fn job(&mut self, job: &Job) -> Result<(), CsvError> {
        let id = job.id.0.to_string();
        let (start, uid) = (format_seconds(job.start.0), job.uid.to_string());
        let cells =
            [(Column::Job, &*id), (Column::Start, &start), (Column::Name, &job.name), (Column::Uid, &uid)];
        self.row("job", &cells)?;
        for (number, rank) in job.ranks.iter().enumerate() {
            let (number, node) = (number.to_string(), rank.node.0.to_string());
            self.row("rank", &[(Column::Job, &id), (Column::Rank, &number), (Column::Node, &node)])?;
        }
        for (number, group) in job.groups.iter().enumerate() {
            let (number, ranks) = (number.to_string(), format_ranks(group));
            refuse_long(&ranks, || format!("{}, group {number}", job.id))?;
            self.row("group", &[(Column::Job, &id), (Column::Group, &number), (Column::Ranks, &ranks)])?;
        }
        Ok(())
    }

    fn file(&mut self, file: &File) -> Result<(), CsvError> {
        let layout = file.logged.as_ref().map(layout_text::format).transpose();
        let layout = layout.map_err(|what| unwritable(format!("the layout of {:?}", file.name), what))?;
        let cells = [
            (Column::File, &*file.name),
            (Column::Exists, if file.exists { "true" } else { "false" }),
            (Column::Layout, layout.as_deref().unwrap_or_default()),
        ];
        self.row("file", &cells)
    }

    fn op(
        &mut self,
        workload: &Workload,
        job: JobId,
        rank: usize,
        node: u32,
        op: &Op,
    ) -> Result<(), CsvError> {
        let place = || format!("{job}, rank {rank}");
        let nanos = span_nanos(op.think);
        let nanos = nanos.ok_or_else(|| unwritable(place(), "a think time of more than 2^64 ns".into()))?;
        let (job, rank, node) = (job.0.to_string(), rank.to_string(), node.to_string());
        let (start, think) = (format_seconds(op.start.0), format_seconds(nanos));
        let file = op.action.file().and_then(|file| workload.files.get(file.0 as usize));
        let (verb, bytes, group) = match op.action {
            Action::Create { .. } => ("create", None, None),
            Action::Open { .. } => ("open", None, None),
            Action::Read { offset, bytes, .. } => ("read", Some((offset, bytes)), None),
            Action::Write { offset, bytes, .. } => ("write", Some((offset, bytes)), None),
            Action::Fsync { .. } => ("fsync", None, None),
            Action::Close { .. } => ("close", None, None),
            Action::Sync { group } => ("sync", None, Some(group.0.to_string())),
        };
        let (offset, bytes) =
            bytes.map_or_else(Default::default, |(offset, bytes)| (offset.to_string(), bytes.to_string()));
        let cells = [
            (Column::Job, &*job),
            (Column::Rank, &rank),
            (Column::Node, &node),
            (Column::Start, &start),
            (Column::Think, &think),
            (Column::Op, verb),
            (Column::File, file.map_or("", |file| &file.name)),
            (Column::Offset, &offset),
            (Column::Bytes, &bytes),
            (Column::Group, group.as_deref().unwrap_or_default()),
        ];
        self.row("op", &cells)
    }
}

/// The place of a column among those written.
fn place(column: Column) -> usize {
    let place = column as usize;
    if place > Column::End as usize { place - 1 } else { place }
}

/// Runs of ranks as `first-last`.
fn format_ranks(ranks: &[RankId]) -> String {
    let mut text = String::new();
    for run in ranks.chunk_by(|one, next| one.0 + 1 == next.0) {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a `String` cannot fail.
        let _ = match run {
            [] => Ok(()),
            [only] => write!(text, "{separator}{}", only.0),
            [first, .., last] => write!(text, "{separator}{}-{}", first.0, last.0),
        };
    }
    text
}

fn unwritable(place: String, what: String) -> CsvError {
    CsvError::Unwritable { place, what }
}

/// Quotes are doubled, and a row has other cells besides, so a cell may have half of a record.
fn refuse_long(cell: &str, place: impl Fn() -> String) -> Result<(), CsvError> {
    let limit = RECORD_BYTES_MAX / 2 - 1024;
    if cell.len() <= limit {
        return Ok(());
    }
    Err(unwritable(place(), format!("a value has {} bytes, it may have {limit}: shorten it", cell.len())))
}

/// What the reader would refuse or change is refused before a byte is written.
fn refuse_unreadable(workload: &Workload) -> Result<(), CsvError> {
    let name = "the workload to be written".to_owned();
    workload.check().map_err(|source| CsvError::Check { name, source })?;
    let ranks = || workload.jobs.iter().flat_map(|job| &job.ranks);
    // Not by way of `Workload::totals`, whose sums rely on this limit.
    let moved_bytes = ranks().flat_map(|rank| &rank.ops).fold(0u64, |sum, op| match op.action {
        Action::Read { bytes, .. } | Action::Write { bytes, .. } => sum.saturating_add(bytes),
        _ => sum,
    });
    let counts = [
        (workload.jobs.len() as u64, JOBS_MAX, "jobs"),
        (workload.files.len() as u64, FILES_MAX, "files"),
        (ranks().count() as u64, RANKS_MAX, "ranks"),
        (ranks().map(|rank| rank.ops.len() as u64).sum(), OPS_MAX, "operations"),
        (moved_bytes, MOVED_BYTES_MAX, "bytes to move"),
        (group_members(workload), GROUP_MEMBERS_MAX, "members of groups"),
    ];
    for (found, limit, what) in counts {
        if found > limit {
            let what = format!("it has {found} {what}, the limit is {limit}: split it");
            return Err(unwritable("the workload".into(), what));
        }
    }
    let order = |pair: &[Job]| (pair[0].start, pair[0].id) < (pair[1].start, pair[1].id);
    if !workload.jobs.windows(2).all(order) {
        let what = "jobs must be in order of their start, then of their id";
        return Err(unwritable("the workload".into(), what.into()));
    }
    let mut ids = HashSet::new();
    for job in &workload.jobs {
        if !ids.insert(job.id) {
            return Err(unwritable(job.id.to_string(), "its id occurs twice: renumber one job".into()));
        }
        refuse_unreadable_job(job)?;
    }
    let mut names = HashSet::new();
    for file in &workload.files {
        if file.name.is_empty() || !names.insert(&*file.name) {
            let what = "file names must be unique and not empty";
            return Err(unwritable(format!("file {:?}", file.name), what.into()));
        }
        refuse_long(&file.name, || "a file name".into())?;
    }
    Ok(())
}

fn group_members(workload: &Workload) -> u64 {
    workload.jobs.iter().flat_map(|job| &job.groups).map(|group| group.len() as u64).sum()
}

fn refuse_unreadable_job(job: &Job) -> Result<(), CsvError> {
    refuse_long(&job.name, || format!("the name of {}", job.id))?;
    let pairs = job.groups.len() as u64 * job.ranks.len() as u64;
    if pairs > GROUP_RANK_PAIRS_MAX {
        let what =
            format!("groups times ranks are {pairs}, the limit is {GROUP_RANK_PAIRS_MAX}: merge groups");
        return Err(unwritable(job.id.to_string(), what));
    }
    if job.ranks.iter().any(|rank| rank.node.0 >= NODES_MAX) {
        let what = format!("node numbers must be below {NODES_MAX}");
        return Err(unwritable(job.id.to_string(), what));
    }
    Ok(())
}
