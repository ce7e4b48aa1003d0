//! Why a day could not be read or composed.

use tarazu_darshan::DarshanError;
use tarazu_layout::JobId;

use crate::csv_format::CsvError;
use crate::darshan::ConvertError;
use crate::generate::GenerateError;

/// Why a day's description was refused.
#[derive(Debug, thiserror::Error)]
pub enum DayError {
    /// The file cannot be read.
    #[error("cannot read the day file {path}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is far longer than a description.
    #[error("{path} has more than {limit} bytes: it is no day file")]
    TooLong {
        /// The file.
        path: String,
        /// The limit.
        limit: u64,
    },
    /// The text is not of the form.
    #[error("{origin} is not a day description: {message}")]
    Parse {
        /// The file, or the preset.
        origin: String,
        /// What and where, from the TOML parser.
        message: String,
    },
    /// Another format or version.
    #[error("{origin}: format is {found:?}, and this program reads {wanted:?}")]
    Format {
        /// The file, or the preset.
        origin: String,
        /// What it names.
        found: String,
        /// What it may name.
        wanted: &'static str,
    },
    /// A value is out of its range.
    #[error("{origin}: {place}{key} is {found}, but must be {range}")]
    Value {
        /// The file, or the preset.
        origin: String,
        /// The part, empty or with a colon and a space behind it.
        place: String,
        /// The key.
        key: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        range: String,
    },
    /// Keys that do not go together, or a missing one.
    #[error("{origin}: {place}{rule}")]
    Rule {
        /// The file, or the preset.
        origin: String,
        /// The part, empty or with a colon and a space behind it.
        place: String,
        /// The rule that is broken.
        rule: &'static str,
    },
}

/// Why a day could not be composed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A log cannot be read.
    #[error("cannot use part {part:?}")]
    Log {
        /// The part.
        part: String,
        /// The log and what is wrong with it.
        source: DarshanError,
    },
    /// A log cannot be converted.
    #[error("cannot use part {part:?}")]
    Convert {
        /// The part.
        part: String,
        /// The log and why.
        source: ConvertError,
    },
    /// A workload file cannot be opened.
    #[error("part {part:?}: cannot open {file}")]
    Open {
        /// The part.
        part: String,
        /// The file.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// A workload file cannot be read.
    #[error("cannot use part {part:?}")]
    Csv {
        /// The part.
        part: String,
        /// The file, the line and why.
        source: Box<CsvError>,
    },
    /// A generator refuses its parameters, or sizes cannot be scaled.
    #[error("cannot use part {part:?}")]
    Generate {
        /// The part.
        part: String,
        /// Why.
        source: Box<GenerateError>,
    },
    /// A part without jobs.
    #[error("part {part:?} has no job")]
    NoJob {
        /// The part.
        part: String,
    },
    /// A job wider than the machine.
    #[error(
        "part {part:?}: {job} needs {needed} nodes and the machine has {nodes}; take more nodes, or leave the job out"
    )]
    TooWide {
        /// The part.
        part: String,
        /// The job as its source names it.
        job: JobId,
        /// Its nodes.
        needed: u32,
        /// The machine's.
        nodes: u32,
    },
    /// Drawn arrivals need an end.
    #[error("arrivals that are drawn need the length of the day: give hours")]
    NoSpan,
    /// A part is drawn by weight from no arrivals.
    #[error("part {part:?} is drawn by its weight, but jobs_per_hour is 0: give a rate, or the part a count")]
    NoRate {
        /// The part.
        part: String,
    },
    /// There are no two recorded starts to take a gap from.
    #[error(
        "recorded-gaps needs logs or workload files that start at two times at least; take poisson with jobs_per_hour"
    )]
    NoGaps,
    /// No job arrives within the day.
    #[error("no job arrives within the day: take more hours, a higher jobs_per_hour, or a count")]
    Empty,
    /// More of something than a workload may have.
    #[error("the day has more than {limit} {what}; take fewer hours, a lower rate or smaller parts")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
}
