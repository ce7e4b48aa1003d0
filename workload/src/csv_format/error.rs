//! What can go wrong with a workload in CSV.

use std::io;

use tarazu_layout::LayoutError;

use super::{FORMAT, RECORD_BYTES_MAX};
use crate::WorkloadError;

/// Why a workload could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The input failed.
    #[error("{name}: cannot read")]
    Read {
        /// The input's name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The output failed.
    #[error("cannot write the workload as CSV")]
    Write {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The first line names another format or version.
    #[error("{name}, line 1: the format is {found}, this release reads {FORMAT}: convert the file")]
    Format {
        /// The input's name.
        name: String,
        /// What the line says.
        found: String,
    },
    /// Nothing but comments and empty lines.
    #[error("{name}: has no header line: begin with one such as job,rank,node,start_s,op,file,offset,bytes")]
    Empty {
        /// The input's name.
        name: String,
    },
    /// The header lacks a column that every workload needs.
    #[error("{name}, line {line}: the header has no column {column}: add it")]
    MissingColumn {
        /// The input's name.
        name: String,
        /// The header's line.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// The header names something else.
    #[error("{name}, line {line}: unknown column {found:?}: remove it, the format has {known}")]
    UnknownColumn {
        /// The input's name.
        name: String,
        /// The header's line.
        line: u64,
        /// What the header says.
        found: String,
        /// All columns.
        known: String,
    },
    /// The header names a column twice.
    #[error("{name}, line {line}: column {column} occurs twice: remove one")]
    RepeatedColumn {
        /// The input's name.
        name: String,
        /// The header's line.
        line: u64,
        /// The column.
        column: &'static str,
    },
    /// A row is longer than the header.
    #[error("{name}, line {line}: {cells} cells for {columns} columns: quote values that contain a comma")]
    Cells {
        /// The input's name.
        name: String,
        /// The row's first line.
        line: u64,
        /// Cells found.
        cells: usize,
        /// Columns of the header.
        columns: usize,
    },
    /// A record has too many bytes.
    #[error(
        "{name}, line {line}: a record of more than {RECORD_BYTES_MAX} bytes: close its quote or shorten it"
    )]
    Record {
        /// The input's name.
        name: String,
        /// The record's first line.
        line: u64,
    },
    /// A cell is wrong.
    #[error("{name}, line {line}, column {column}: {what}")]
    Cell {
        /// The input's name.
        name: String,
        /// The row's first line.
        line: u64,
        /// The column.
        column: &'static str,
        /// The problem and its remedy.
        what: CellProblem,
    },
    /// More of something than a workload may have.
    #[error("{name}, line {line}: more than {limit} {what}: split the workload")]
    TooMany {
        /// The input's name.
        name: String,
        /// The line that passes the limit.
        line: u64,
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: u64,
    },
    /// Ranks are not dense.
    #[error(
        "{name}, line {line}: job {job} has rank {highest} but no rank {missing}: number ranks from 0 without gaps"
    )]
    MissingRank {
        /// The input's name.
        name: String,
        /// Where the highest rank occurs first.
        line: u64,
        /// The job.
        job: u64,
        /// The highest rank.
        highest: u32,
        /// The lowest rank that is missing.
        missing: u32,
    },
    /// No row says where a rank runs.
    #[error(
        "{name}, line {line}, column node: no row gives the node of job {job}, rank {rank}: fill it in one of them"
    )]
    MissingNode {
        /// The input's name.
        name: String,
        /// Where the rank occurs first.
        line: u64,
        /// The job.
        job: u64,
        /// The rank.
        rank: u32,
    },
    /// Groups times ranks of a job pass their limit.
    #[error(
        "{name}: job {job} has {groups} groups of {ranks} ranks, their product may be {limit}: merge groups"
    )]
    GroupsTimesRanks {
        /// The input's name.
        name: String,
        /// The job.
        job: u64,
        /// Its groups.
        groups: u64,
        /// Its ranks.
        ranks: u64,
        /// The limit of the product.
        limit: u64,
    },
    /// The rows are well formed but contradict each other.
    #[error("{name}: the workload contradicts itself")]
    Check {
        /// The input's name, or that of the workload to be written.
        name: String,
        /// The contradiction.
        #[source]
        source: WorkloadError,
    },
    /// The workload could be written but not read back.
    #[error("cannot write {place} as CSV: {what}")]
    Unwritable {
        /// Which job, rank or file.
        place: String,
        /// Why, and what would help.
        what: String,
    },
}

/// What is wrong with one cell.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellProblem {
    /// Empty where the row needs a value.
    #[error("is empty, but {rows} rows need it")]
    Missing {
        /// The kind of row.
        rows: &'static str,
    },
    /// Filled where the row has no use for it.
    #[error("is filled, but {rows} rows have no such value: leave it empty")]
    Unused {
        /// The kind of row.
        rows: &'static str,
    },
    /// Not text.
    #[error("is not UTF-8: convert the file")]
    Utf8,
    /// Not a whole number.
    #[error("{found:?} is not a whole number from 0 to 2^64 - 1 in decimal digits")]
    Integer {
        /// The beginning of the cell.
        found: String,
    },
    /// Not a time.
    #[error("{found:?} is not a number of seconds from 0 to 18446744073, such as 12.25")]
    Seconds {
        /// The beginning of the cell.
        found: String,
    },
    /// A number beyond its limit.
    #[error("{found} is too large: the highest is {highest}")]
    TooLarge {
        /// The number.
        found: u64,
        /// The highest that is allowed.
        highest: u64,
    },
    /// Not one of the words that the column takes.
    #[error("{found:?} is not one of {known}")]
    Word {
        /// The beginning of the cell.
        found: String,
        /// The words.
        known: &'static str,
    },
    /// The second row for one thing.
    #[error("is described a second time: keep one row")]
    Repeated,
    /// The group's number is not the next one.
    #[error(
        "is group {found}, but the job's next group row is number {expected}: number them from 0 in order"
    )]
    GroupOrder {
        /// The number found.
        found: u64,
        /// The number expected.
        expected: u64,
    },
    /// A `sync` of a group without a row.
    #[error(
        "the job has no group {found} yet: put its group row above, or leave the cell empty for all ranks"
    )]
    UnknownGroup {
        /// The group's number.
        found: u64,
    },
    /// A list of ranks that cannot be read.
    #[error("{found:?} is not a list of ranks in rising order such as 0-7 12 16-23")]
    Ranks {
        /// The beginning of the cell.
        found: String,
    },
    /// Two nodes for one rank.
    #[error("says {found}, but an earlier row puts this rank on node {earlier}: correct one of them")]
    Node {
        /// The node found.
        found: u32,
        /// The node of the earlier row.
        earlier: u32,
    },
    /// Rows out of order and no think time.
    #[error("is earlier than the rank's operation before it: sort the rows by start_s, or fill think_s")]
    Backwards,
    /// An end before its start.
    #[error("is earlier than start_s: correct one of them")]
    EndBeforeStart,
    /// An offset and length beyond what a file can have.
    #[error("0 bytes are moved: remove the row")]
    NoBytes,
    /// A layout that cannot be read.
    #[error("{0}")]
    Layout(LayoutProblem),
}

/// What is wrong with a layout in the words of `lfs setstripe`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutProblem {
    /// A word that is no option.
    #[error(
        "unknown option {found:?}: a layout has -E end -c count -C count -S size -L mdt -p pool -o targets"
    )]
    Option {
        /// The word.
        found: String,
    },
    /// An option without its value.
    #[error("option {option} needs a value")]
    NoValue {
        /// The option.
        option: String,
    },
    /// A value that is malformed or too large.
    #[error("option {option} has the value {found:?}, it takes {wanted}")]
    Value {
        /// The option.
        option: &'static str,
        /// The beginning of the value.
        found: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// An option twice in one component.
    #[error("option {option} occurs twice in one component: begin the next component with -E")]
    Repeated {
        /// The option.
        option: &'static str,
    },
    /// A component without `-E` beside others.
    #[error("a layout of several components needs -E before each of them")]
    NoEnd,
    /// The components do not make a layout.
    #[error("{0}")]
    Rule(LayoutError),
}

/// The beginning of foreign text, short enough for a message.
pub(super) fn shown(text: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    if text.chars().nth(SHOWN_CHARS).is_none() {
        return text.to_owned();
    }
    text.chars().take(SHOWN_CHARS).chain(['…']).collect()
}
