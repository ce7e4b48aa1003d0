//! The table's columns, and one row's cells as typed values.

use csv::ByteRecord;

use super::error::{CellProblem, CsvError, shown};
use crate::text::parse_seconds;

/// A column of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Record,
    Job,
    Rank,
    Node,
    Start,
    Think,
    End,
    Op,
    File,
    Offset,
    Bytes,
    Group,
    Name,
    Uid,
    Ranks,
    Exists,
    Layout,
}

impl Column {
    /// In the order in which they are written.
    pub(super) const ALL: [Self; 17] = [
        Self::Record,
        Self::Job,
        Self::Rank,
        Self::Node,
        Self::Start,
        Self::Think,
        Self::End,
        Self::Op,
        Self::File,
        Self::Offset,
        Self::Bytes,
        Self::Group,
        Self::Name,
        Self::Uid,
        Self::Ranks,
        Self::Exists,
        Self::Layout,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Job => "job",
            Self::Rank => "rank",
            Self::Node => "node",
            Self::Start => "start_s",
            Self::Think => "think_s",
            Self::End => "end_s",
            Self::Op => "op",
            Self::File => "file",
            Self::Offset => "offset",
            Self::Bytes => "bytes",
            Self::Group => "group",
            Self::Name => "name",
            Self::Uid => "uid",
            Self::Ranks => "ranks",
            Self::Exists => "exists",
            Self::Layout => "layout",
        }
    }

    /// Free text, in which spaces count.
    const fn is_name(self) -> bool {
        matches!(self, Self::File | Self::Name)
    }
}

/// What a row describes, with the columns that it may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Job,
    Rank,
    Group,
    File,
    /// An operation on a file that moves no bytes.
    OpOnFile,
    /// A read or write.
    OpWithBytes,
    /// A `sync`.
    OpOnGroup,
}

impl Kind {
    /// How messages name such rows.
    pub(super) const fn rows(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Rank => "rank",
            Self::Group => "group",
            Self::File => "file",
            Self::OpOnFile => "create, open, fsync and close",
            Self::OpWithBytes => "read and write",
            Self::OpOnGroup => "sync",
        }
    }

    const fn columns(self) -> &'static [Column] {
        use Column as C;
        match self {
            Self::Job => &[C::Record, C::Job, C::Start, C::Name, C::Uid],
            Self::Rank => &[C::Record, C::Job, C::Rank, C::Node],
            Self::Group => &[C::Record, C::Job, C::Group, C::Ranks],
            Self::File => &[C::Record, C::File, C::Exists, C::Layout],
            Self::OpOnFile => {
                &[C::Record, C::Job, C::Rank, C::Node, C::Start, C::Think, C::End, C::Op, C::File]
            }
            Self::OpWithBytes => &[
                C::Record,
                C::Job,
                C::Rank,
                C::Node,
                C::Start,
                C::Think,
                C::End,
                C::Op,
                C::File,
                C::Offset,
                C::Bytes,
            ],
            Self::OpOnGroup => {
                &[C::Record, C::Job, C::Rank, C::Node, C::Start, C::Think, C::End, C::Op, C::Group]
            }
        }
    }
}

/// Which column stands where.
pub(super) struct Header {
    columns: Vec<Column>,
    place: [Option<usize>; Column::ALL.len()],
}

impl Header {
    /// Reads the header row.
    pub(super) fn new(record: &ByteRecord, name: &str, line: u64) -> Result<Self, CsvError> {
        let mut header = Self { columns: Vec::new(), place: [None; Column::ALL.len()] };
        for cell in record {
            let text = String::from_utf8_lossy(cell);
            let Some(column) = Column::ALL.into_iter().find(|column| column.name() == text.trim()) else {
                let names: Vec<_> = Column::ALL.iter().map(|column| column.name()).collect();
                return Err(CsvError::UnknownColumn {
                    name: name.to_owned(),
                    line,
                    found: shown(&text),
                    known: names.join(" "),
                });
            };
            let place = &mut header.place[column as usize];
            if place.replace(header.columns.len()).is_some() {
                return Err(CsvError::RepeatedColumn { name: name.to_owned(), line, column: column.name() });
            }
            header.columns.push(column);
        }
        // Files alone, or jobs without operations, need no more than these two.
        for column in [Column::Job, Column::Rank] {
            if header.place[column as usize].is_none() {
                return Err(CsvError::MissingColumn { name: name.to_owned(), line, column: column.name() });
            }
        }
        Ok(header)
    }
}

/// One row below the header.
pub(super) struct Row<'a> {
    header: &'a Header,
    record: &'a ByteRecord,
    name: &'a str,
    pub(super) line: u64,
}

impl<'a> Row<'a> {
    pub(super) fn new(
        header: &'a Header,
        record: &'a ByteRecord,
        name: &'a str,
        line: u64,
    ) -> Result<Self, CsvError> {
        let (cells, columns) = (record.len(), header.columns.len());
        if cells > columns {
            return Err(CsvError::Cells { name: name.to_owned(), line, cells, columns });
        }
        Ok(Self { header, record, name, line })
    }

    pub(super) fn error(&self, column: Column, what: CellProblem) -> CsvError {
        CsvError::Cell { name: self.name.to_owned(), line: self.line, column: column.name(), what }
    }

    pub(super) fn too_many(&self, what: &'static str, limit: u64) -> CsvError {
        CsvError::TooMany { name: self.name.to_owned(), line: self.line, what, limit }
    }

    /// Refuses a value in a column that rows of this kind do not have: it was meant for something.
    pub(super) fn refuse_unused(&self, kind: Kind) -> Result<(), CsvError> {
        for (column, cell) in self.header.columns.iter().zip(self.record) {
            let filled = !cell.iter().all(u8::is_ascii_whitespace);
            if filled && !kind.columns().contains(column) {
                return Err(self.error(*column, CellProblem::Unused { rows: kind.rows() }));
            }
        }
        Ok(())
    }

    /// The cell's text, `None` where it or its column is absent or empty.
    pub(super) fn text(&self, column: Column) -> Result<Option<&'a str>, CsvError> {
        let cell = self.header.place[column as usize].and_then(|place| self.record.get(place));
        let text = std::str::from_utf8(cell.unwrap_or_default())
            .map_err(|_| self.error(column, CellProblem::Utf8))?;
        let text = if column.is_name() { text } else { text.trim() };
        Ok((!text.is_empty()).then_some(text))
    }

    /// A whole number up to `highest`.
    pub(super) fn number(&self, column: Column, highest: u64) -> Result<Option<u64>, CsvError> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let number = parse_integer(text)
            .ok_or_else(|| self.error(column, CellProblem::Integer { found: shown(text) }))?;
        if number > highest {
            return Err(self.error(column, CellProblem::TooLarge { found: number, highest }));
        }
        Ok(Some(number))
    }

    /// A time in nanoseconds.
    pub(super) fn nanos(&self, column: Column) -> Result<Option<u64>, CsvError> {
        let Some(text) = self.text(column)? else { return Ok(None) };
        let nanos = parse_seconds(text);
        nanos.map(Some).ok_or_else(|| self.error(column, CellProblem::Seconds { found: shown(text) }))
    }

    /// A value that rows of this kind must have.
    pub(super) fn need<T>(&self, value: Option<T>, column: Column, kind: Kind) -> Result<T, CsvError> {
        value.ok_or_else(|| self.error(column, CellProblem::Missing { rows: kind.rows() }))
    }
}

/// Digits, with a `.0` behind them as data frames write whole numbers of a column that has gaps.
fn parse_integer(text: &str) -> Option<u64> {
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if zeros.bytes().all(|byte| byte == b'0') => digits,
        Some(_) => return None,
        None => text,
    };
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    if all_digits { digits.parse().ok() } else { None }
}
