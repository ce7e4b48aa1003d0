//! Striped transfers on a given platform: reading the two files of `tarazu-fluid/1`, running them through the fluid
//! engine. Owns that file format; must not know how results are shown.
//!
//! | field of the platform (JSON) | meaning |
//! | --- | --- |
//! | `schema` | `tarazu-fluid/1` |
//! | `client_nic_Bps[c]` | bandwidth of client c's NIC, bytes/s |
//! | `oss_link_Bps[s]` | bandwidth of server s's link, bytes/s |
//! | `ost_oss[m]`, `ost_disk_Bps[m]` | server of target m, bandwidth of its disk, bytes/s |
//!
//! | column of the transfers (CSV with a header, any order, others ignored) | meaning |
//! | --- | --- |
//! | `id` | a whole number, comes back in the result |
//! | `start_s` | start, s |
//! | `client` | position in `client_nic_Bps` |
//! | `bytes` | bytes of the whole transfer |
//! | `osts` | `;`-separated list of n distinct targets |
//!
//! A transfer opens n flows at `start_s`, one per target, of `bytes / n` each, and finishes with the last of them.
//! Transfers that start at the same time start in the same instant.

use std::fs::File;
use std::io::{BufReader, Read};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use crate::fluid::{FLOW_BYTES, Fluid, FluidError, Network};

/// The schema read here.
pub const SCHEMA: &str = "tarazu-fluid/1";

/// Bytes of a platform file: 16,384 targets take half a megabyte.
const PLATFORM_BYTES_MAX: u64 = 64 << 20;

/// Flows of one run. All are kept in memory with their transfers, 4 to 40 bytes each.
const FLOWS_MAX: usize = 100_000_000;

/// Start times, s. Beyond some 30,000 years a double no longer tells milliseconds apart.
const START_S: RangeInclusive<f64> = 0.0..=1e12;

/// Why the files cannot be run. Each names the file, the place in it and what to do, some of that in its `source`.
#[derive(Debug, thiserror::Error)]
pub enum FlowsError {
    /// The file cannot be opened or read.
    #[error("{}: cannot read", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The platform is not the JSON it should be. The source names line and column.
    #[error("{}: not a platform of schema {SCHEMA}", file.display())]
    Platform {
        /// The file.
        file: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// The platform has another schema.
    #[error("{}: schema is {found:?}; only {SCHEMA:?} is understood", file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// The schema found.
        found: String,
    },
    /// The platform is too large to be one.
    #[error("{}: more than {PLATFORM_BYTES_MAX} bytes; give a platform file, not the transfers", file.display())]
    PlatformTooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The platform's numbers do not describe a network.
    #[error("{}: {field}", file.display())]
    Network {
        /// The file.
        file: PathBuf,
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        source: FluidError,
    },
    /// A line of the transfers is not CSV with as many fields as the first.
    #[error("{}:{line}: not a row of transfers: {fault}; give equally many fields of UTF-8 text in each line", file.display())]
    Csv {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 when unknown.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// A column is missing.
    #[error("{}:1: no column {column:?}; the first line must name id, start_s, client, bytes and osts", file.display())]
    Column {
        /// The file.
        file: PathBuf,
        /// The column.
        column: &'static str,
    },
    /// A field of a transfer is not valid.
    #[error("{}:{line}: {column} is {value:?}; {remedy}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
        /// What should.
        remedy: String,
    },
    /// Too many flows.
    #[error("{}:{line}: more than {FLOWS_MAX} flows; split the file", file.display())]
    TooMany {
        /// The file.
        file: PathBuf,
        /// The line at which it became too many.
        line: u64,
    },
}

#[derive(Deserialize)]
struct PlatformFile {
    schema: String,
    #[serde(rename = "client_nic_Bps")]
    client_nic_bps: Vec<f64>,
    #[serde(rename = "oss_link_Bps")]
    oss_link_bps: Vec<f64>,
    ost_oss: Vec<u32>,
    #[serde(rename = "ost_disk_Bps")]
    ost_disk_bps: Vec<f64>,
}

/// Reads a platform.
pub fn read_platform(file: &Path) -> Result<Network, FlowsError> {
    let read_error = |source| FlowsError::Read { file: file.to_owned(), source };
    let mut text = Vec::new();
    let open = File::open(file).map_err(read_error)?;
    open.take(PLATFORM_BYTES_MAX + 1).read_to_end(&mut text).map_err(read_error)?;
    if text.len() as u64 > PLATFORM_BYTES_MAX {
        return Err(FlowsError::PlatformTooLarge { file: file.to_owned() });
    }
    let platform: PlatformFile = serde_json::from_slice(&text)
        .map_err(|source| FlowsError::Platform { file: file.to_owned(), source })?;
    if platform.schema != SCHEMA {
        return Err(FlowsError::Schema { file: file.to_owned(), found: platform.schema });
    }
    let network = Network {
        nic_bps: platform.client_nic_bps,
        link_bps: platform.oss_link_bps,
        disk_bps: platform.ost_disk_bps,
        disk_link: platform.ost_oss,
    };
    match network.check() {
        Ok(()) => Ok(network),
        Err(source) => {
            Err(FlowsError::Network { file: file.to_owned(), field: field_at_fault(&source), source })
        }
    }
}

fn field_at_fault(error: &FluidError) -> &'static str {
    match error {
        FluidError::Capacity { what: "nic", .. } => "client_nic_Bps",
        FluidError::Capacity { what: "link", .. } => "oss_link_Bps",
        FluidError::Capacity { .. } => "ost_disk_Bps",
        FluidError::DiskLinks { .. } | FluidError::UnknownLink { .. } => "ost_oss",
        FluidError::TooLarge { .. } => "client_nic_Bps, oss_link_Bps and ost_disk_Bps",
    }
}

/// One transfer.
#[derive(Debug, Clone, PartialEq)]
pub struct Transfer {
    /// The file's name for it.
    pub id: u64,
    /// Start, s.
    pub start_s: f64,
    /// Client, a position in the network's `nic_bps`.
    pub client: u32,
    /// Bytes over all targets.
    pub bytes: f64,
    /// End of its targets in the common list; they begin where those of the transfer before end.
    osts_end: u32,
}

/// Transfers in the order of the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transfers {
    list: Vec<Transfer>,
    osts: Vec<u32>,
}

impl Transfers {
    /// The transfers, in the order of the file.
    pub fn list(&self) -> &[Transfer] {
        &self.list
    }

    /// Targets of the transfer at this position, in the order of the file.
    ///
    /// # Panics
    ///
    /// If there is no such transfer.
    pub fn osts(&self, index: usize) -> &[u32] {
        let begin = index.checked_sub(1).map_or(0, |before| self.list[before].osts_end);
        &self.osts[begin as usize..self.list[index].osts_end as usize]
    }

    /// Flows of all transfers.
    pub fn flows(&self) -> usize {
        self.osts.len()
    }
}

/// Reads transfers and checks them against the network they shall run on.
pub fn read_transfers(file: &Path, network: &Network) -> Result<Transfers, FlowsError> {
    let read_error = |source| FlowsError::Read { file: file.to_owned(), source };
    let csv_error = |source: csv::Error| {
        let line = source.position().map_or(0, csv::Position::line);
        match source.into_kind() {
            csv::ErrorKind::Io(source) => read_error(source),
            kind => FlowsError::Csv { file: file.to_owned(), line, fault: fault_of(&kind) },
        }
    };
    let open = File::open(file).map_err(read_error)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(BufReader::new(open));
    let columns = Columns::find(file, reader.headers().map_err(csv_error)?)?;
    let mut transfers = Transfers::default();
    // Last transfer that named the target, to find targets named twice.
    let mut named_by = vec![usize::MAX; network.disk_bps.len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(csv_error)? {
        let line = record.position().map_or(0, csv::Position::line);
        let row = Row { file, line, record: &record };
        row.targets(columns.osts, transfers.list.len(), &mut named_by, &mut transfers.osts)?;
        if transfers.osts.len() > FLOWS_MAX {
            return Err(FlowsError::TooMany { file: file.to_owned(), line });
        }
        let transfer = Transfer {
            id: row.parse(columns.id, "id", "give a whole number")?,
            start_s: row.within(columns.start_s, "start_s", &START_S)?,
            client: row.position(columns.client, "client", network.nic_bps.len())?,
            bytes: row.within(columns.bytes, "bytes", &FLOW_BYTES)?,
            osts_end: transfers.osts.len() as u32,
        };
        transfers.list.push(transfer);
    }
    Ok(transfers)
}

fn fault_of(kind: &csv::ErrorKind) -> String {
    match kind {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields, not {expected_len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        other => format!("{other:?}"),
    }
}

/// Where the columns stand.
struct Columns {
    id: usize,
    start_s: usize,
    client: usize,
    bytes: usize,
    osts: usize,
}

impl Columns {
    fn find(file: &Path, header: &csv::StringRecord) -> Result<Self, FlowsError> {
        let find = |column| {
            let position = header.iter().position(|name| name == column);
            position.ok_or_else(|| FlowsError::Column { file: file.to_owned(), column })
        };
        Ok(Self {
            id: find("id")?,
            start_s: find("start_s")?,
            client: find("client")?,
            bytes: find("bytes")?,
            osts: find("osts")?,
        })
    }
}

/// A line of the transfers and where it stands.
struct Row<'a> {
    file: &'a Path,
    line: u64,
    record: &'a csv::StringRecord,
}

impl Row<'_> {
    fn text(&self, index: usize) -> &str {
        self.record.get(index).unwrap_or_default()
    }

    fn error(&self, column: &'static str, value: &str, remedy: impl Into<String>) -> FlowsError {
        let file = self.file.to_owned();
        // A broken file may have megabytes in one field.
        let value = value.chars().take(80).collect();
        FlowsError::Field { file, line: self.line, column, value, remedy: remedy.into() }
    }

    fn parse<T: FromStr>(&self, index: usize, column: &'static str, remedy: &str) -> Result<T, FlowsError> {
        let text = self.text(index);
        text.parse().map_err(|_| self.error(column, text, remedy))
    }

    fn within(
        &self,
        index: usize,
        column: &'static str,
        range: &RangeInclusive<f64>,
    ) -> Result<f64, FlowsError> {
        let text = self.text(index);
        let value = text.parse().ok().filter(|value| range.contains(value));
        value.ok_or_else(|| {
            self.error(column, text, format!("give a number from {} to {:e}", range.start(), range.end()))
        })
    }

    fn position(&self, index: usize, column: &'static str, count: usize) -> Result<u32, FlowsError> {
        self.position_of(self.text(index), column, count)
    }

    fn position_of(&self, text: &str, column: &'static str, count: usize) -> Result<u32, FlowsError> {
        let position = text.parse().ok().filter(|&position: &u32| (position as usize) < count);
        position.ok_or_else(|| {
            self.error(column, text, format!("the platform has {count}, numbered from 0; name one of them"))
        })
    }

    fn targets(
        &self,
        index: usize,
        transfer: usize,
        named_by: &mut [usize],
        osts: &mut Vec<u32>,
    ) -> Result<(), FlowsError> {
        for text in self.text(index).split(';') {
            let ost = self.position_of(text.trim(), "osts", named_by.len())?;
            if std::mem::replace(&mut named_by[ost as usize], transfer) == transfer {
                return Err(self.error("osts", text, "it is named twice; name each target once"));
            }
            osts.push(ost);
        }
        Ok(())
    }
}

/// Runs the transfers and returns when each finishes, s, in the order of the file.
pub fn finish_times_s(network: Network, transfers: &Transfers) -> Result<Vec<f64>, FluidError> {
    let mut fluid = Fluid::new(network)?;
    let start_s = |index: usize| transfers.list[index].start_s;
    let mut order: Vec<u32> = (0..transfers.list.len() as u32).collect();
    order.sort_by(|&a, &b| start_s(a as usize).total_cmp(&start_s(b as usize)));
    let mut finish_s = vec![0.0; transfers.list.len()];
    let mut done = Vec::new();
    let mut advance = |fluid: &mut Fluid, to_s: f64| {
        fluid.advance(to_s, &mut done);
        for end in done.drain(..) {
            // Ends come in the order of time, so the last one stays.
            finish_s[end.tag as usize] = end.end_s;
        }
    };
    for index in order.into_iter().map(|index| index as usize) {
        let transfer = &transfers.list[index];
        let osts = transfers.osts(index);
        if transfer.start_s > fluid.now_s() {
            advance(&mut fluid, transfer.start_s);
        }
        for &ost in osts {
            fluid.start(transfer.client, ost, transfer.bytes / osts.len() as f64, 1.0, index as u64);
        }
    }
    while let Some(end_s) = fluid.next_end_s() {
        advance(&mut fluid, end_s);
    }
    Ok(finish_s)
}
