//! What IOR, mdtest and HACC-IO printed, as parameters of the generators.
//!
//! A benchmark's output tells what it did and how fast it was. What it did becomes
//! [`IorParams`], [`MdtestParams`] or
//! [`HaccParams`]; how fast is kept beside it, for setting rates. What is not such
//! an output is refused with what was looked for. `docs/benchmark-output.md` lists what is read.

mod hacc;
mod ior;
mod ior_files;
mod ior_params;
mod mdtest;
mod options;

use std::io::{self, Read};
use std::path::Path;

pub use hacc::HaccOutput;
pub use ior::{Direction, IorOutput, IorResult, IorTest};
pub use mdtest::{MdtestOutput, MdtestRate};

use crate::generate::{self, GenerateError, HaccParams, IorParams, MdtestParams};
use crate::{Workload, regular};

/// Largest output that is read. The longest known are 20 kB; rank-by-rank output of the largest runs stays below.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// A benchmark's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Benchmark {
    /// IOR, as text, JSON or CSV.
    Ior(IorOutput),
    /// mdtest, as text.
    Mdtest(MdtestOutput),
    /// HACC-IO, as text.
    Hacc(HaccOutput),
}

/// Parameters of a generator.
#[derive(Clone, Debug, PartialEq)]
pub enum Params {
    /// For [`generate::ior`].
    Ior(IorParams),
    /// For [`generate::mdtest`].
    Mdtest(MdtestParams),
    /// For [`generate::hacc`].
    Hacc(HaccParams),
}

/// Parameters, and what they cannot say of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Translated {
    /// The parameters.
    pub params: Params,
    /// One sentence for each thing that the generator does otherwise.
    pub notes: Vec<String>,
}

impl Translated {
    /// Generates the workload.
    ///
    /// # Errors
    /// As the generators: beyond the limits of a workload, above all.
    pub fn workload(&self, seed: u64) -> Result<Workload, GenerateError> {
        match &self.params {
            Params::Ior(params) => generate::ior(params, seed),
            Params::Mdtest(params) => generate::mdtest(params, seed),
            Params::Hacc(params) => generate::hacc(params, seed),
        }
    }
}

/// How many processes ran, for outputs that do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Compute nodes, from 1.
    pub nodes: u32,
    /// Ranks on each node, from 1.
    pub ranks_per_node: u32,
}

impl Benchmark {
    /// The generators' parameters: one set for each test of the run. `placement` is used where the output does not say
    /// how many processes ran.
    ///
    /// # Errors
    /// [`BenchOutputError::Params`] where the output does not tell enough, or the generator cannot do it.
    pub fn params(&self, placement: Option<Placement>) -> Result<Vec<Translated>, BenchOutputError> {
        match self {
            Self::Ior(output) => output.tests.iter().map(|test| ior_params::params(output, test)).collect(),
            Self::Mdtest(output) => output.params().map(|translated| vec![translated]),
            Self::Hacc(output) => output.params(placement).map(|translated| vec![translated]),
        }
    }
}

/// Why an output cannot be read or translated.
#[derive(Debug, thiserror::Error)]
pub enum BenchOutputError {
    /// The file cannot be opened or read.
    #[error("{file}: cannot be read: {source}")]
    Unreadable {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is too large for an output.
    #[error("{file}: has more than {FILE_BYTES_MAX} bytes, which no output of IOR or mdtest has")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// The file is something else.
    #[error(
        "{file}: {what}; looked for the output of IOR (a line `IOR-…: MPI Coordinated Test of Parallel I/O`, the JSON \
         of summaryFormat=JSON, or its CSV), of mdtest (a line `mdtest-… was launched with …`) and of HACC-IO \
         (`WRITE Checkpoint Perf:`)"
    )]
    Unknown {
        /// The file.
        file: String,
        /// What it looks like, and what to name instead.
        what: &'static str,
    },
    /// Something that every such output has is not there.
    #[error("{file}: {what} is missing: the output was cut off, or the run failed before it printed it")]
    Missing {
        /// The file.
        file: String,
        /// What is missing.
        what: &'static str,
    },
    /// A value does not parse.
    #[error("{file}: {key} cannot be {found:?}, {wanted} was expected")]
    Value {
        /// The file.
        file: String,
        /// What it is the value of.
        key: String,
        /// The value.
        found: String,
        /// What was expected.
        wanted: &'static str,
    },
    /// The JSON is damaged.
    #[error("{file}: is no sound JSON: {source}")]
    Json {
        /// The file.
        file: String,
        /// The place and reason.
        source: serde_json::Error,
    },
    /// No parameters can be made of it.
    #[error("{file}: {why}")]
    Params {
        /// The file.
        file: String,
        /// What is in the way, and the remedy.
        why: String,
    },
}

impl BenchOutputError {
    /// Whether the file is something else of which not even the kind is known: another format's reader may know more.
    #[must_use]
    pub fn is_unrecognised(&self) -> bool {
        matches!(self, Self::Unknown { what, .. } if [EMPTY, UNRECOGNISED].contains(what))
    }
}

/// Reads the output of a benchmark from a file, of whichever kind it is.
///
/// # Errors
/// Where it is none of the known outputs, or lacks what all of its kind have.
pub fn read(path: &Path) -> Result<Benchmark, BenchOutputError> {
    let file = path.display().to_string();
    let unreadable = |source| BenchOutputError::Unreadable { file: file.clone(), source };
    let mut bytes = Vec::new();
    let opened = regular::open(path).map_err(unreadable)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(BenchOutputError::TooLarge { file });
    }
    parse(&file, &bytes)
}

/// Reads the output of a benchmark from memory; `file` is its name in errors.
///
/// # Errors
/// As [`read`].
pub fn parse(file: &str, bytes: &[u8]) -> Result<Benchmark, BenchOutputError> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return ior_files::json(file, text).map(Benchmark::Ior);
    }
    if text.starts_with("access,bw(MiB/s)") {
        return ior_files::csv(file, text).map(Benchmark::Ior);
    }
    if text
        .lines()
        .any(|line| line.starts_with("IOR-") && line.contains("MPI Coordinated Test of Parallel I/O"))
    {
        return ior::text(file, text).map(Benchmark::Ior);
    }
    if text.lines().any(|line| line.starts_with("mdtest-") && line.contains(" was launched with ")) {
        return mdtest::text(file, text).map(Benchmark::Mdtest);
    }
    if text.contains("Checkpoint Perf:") || text.contains("Restart Perf:") {
        return hacc::text(file, text).map(Benchmark::Hacc);
    }
    Err(BenchOutputError::Unknown { file: file.to_owned(), what: resembles(text) })
}

const EMPTY: &str = "is empty";
const UNRECOGNISED: &str = "is no output of a benchmark that is known";

/// What a file that is no output looks like.
fn resembles(text: &str) -> &'static str {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.is_empty() {
        return EMPTY;
    }
    if first.starts_with("IO500 version") || text.contains("[RESULT]") {
        return "is a summary of IO500: name the ior-*.txt or mdtest-*.txt beside it";
    }
    if first == "[run]" || text.contains("; START ") {
        return "is the result list of IO500: name the ior-*.txt or mdtest-*.txt beside it";
    }
    if first.starts_with("access,rank,") || first.starts_with("rank,items,") {
        return "has the times of single ranks: name the .txt of the same name";
    }
    if first.starts_with("runtime:") && text.contains("job steal") {
        return "is the output of IO500's find phase, which moves no data";
    }
    let section = |line: &str| line.starts_with('[') && line.trim_end().ends_with(']');
    if text.lines().any(section) && text.lines().any(|line| line.contains('=')) {
        return "is a configuration file: name what the benchmark printed";
    }
    UNRECOGNISED
}

/// A value of the wrong form.
fn bad(file: &str, key: &str, found: &str, wanted: &'static str) -> BenchOutputError {
    // Enough to recognise it.
    const SHOWN: usize = 60;
    let found = found.chars().take(SHOWN).collect();
    BenchOutputError::Value { file: file.to_owned(), key: key.to_owned(), found, wanted }
}

/// A finite number above or equal to 0; `None` for `-`, `NA` and damage.
fn positive(word: &str) -> Option<f64> {
    word.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0)
}
