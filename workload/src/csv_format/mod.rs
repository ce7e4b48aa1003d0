//! The CSV format `tarazu.workload/1`: one table that carries a whole [`Workload`].
//!
//! This module owns the format and nothing else: `docs/workload-csv.md` describes it column by column.
//! It reads row by row, so memory grows with the workload, never with a single hostile cell.

mod cells;
mod error;
pub(crate) mod layout_text;
mod lines;
mod read;
mod write;

pub use error::{CellProblem, CsvError, LayoutProblem};

use std::io::{Read, Write};

use crate::Workload;

/// The format's name and version, as the first line names it.
pub const FORMAT: &str = "tarazu.workload/1";

/// Bytes of one record: an unclosed quote would otherwise swallow the rest of the file. The longest
/// honest cell lists the 2,000 targets of 64 components in less than a tenth of it.
pub const RECORD_BYTES_MAX: usize = 4 << 20;

/// Members of all groups together, since a range of ranks is far shorter than what it stands for.
pub const GROUP_MEMBERS_MAX: u64 = 1 << 25;

/// Reads a workload. `name` stands for the input in errors, usually its path.
///
/// Jobs come out sorted by start and id; files in the order in which rows mention them first.
///
/// # Errors
/// The first row that is malformed, contradictory or beyond a limit of [`crate::limits`], with line,
/// column and remedy; or what [`Workload::check`] finds.
pub fn read(input: impl Read, name: &str) -> Result<Workload, CsvError> {
    read::read(input, name)
}

/// Writes a workload so that [`read`] gives the same one back.
///
/// # Errors
/// Where writing fails, and where the workload could not be read back: [`Workload::check`] fails, jobs
/// are not in order of start and id or repeat an id, files repeat a name or have none, a layout is
/// invalid, or a limit is passed.
pub fn write(workload: &Workload, output: impl Write) -> Result<(), CsvError> {
    write::write(workload, &[], output)
}

/// Writes a workload as [`write()`] does, and notes about it as comments above the table: what had to be
/// assumed for it. Reading gives the workload without them. Line ends and other control characters in a
/// note become spaces, and a note is cut behind 4,096 characters.
///
/// # Errors
/// As [`write()`].
pub fn write_with_notes(workload: &Workload, notes: &[String], output: impl Write) -> Result<(), CsvError> {
    write::write(workload, notes, output)
}
