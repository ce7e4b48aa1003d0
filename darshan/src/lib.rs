//! Darshan 3.x logs: what a job did, as the Darshan runtime recorded it.
//!
//! [`Log::open`] reads the header, the job, the file names and the modules POSIX, MPI-IO, STDIO,
//! LUSTRE, DXT_POSIX and DXT_MPIIO of the formats 3.00, 3.10, 3.20, 3.21 and 3.41 in either byte
//! order. Other modules are listed, not decoded.
//!
//! A log is foreign input: no count in it is trusted, memory is bounded by the bytes that are really
//! there and by named limits, and a damaged module does not keep the others from being read. What went
//! wrong is in [`Log::faults`]; what a reader of the numbers should know is in [`Log::notes`].
//!
//! This crate needs no other room of the house. It must not know where bytes lie beyond what the log says about it, and must not print.

mod counters;
mod cursor;
mod dxt;
mod error;
mod header;
mod inflate;
mod job;
mod log;
mod lustre;
mod names;
mod records;

pub use counters::Shape;
pub use cursor::ByteOrder;
pub use dxt::{Dxt, DxtRecord, DxtTotals, Segment};
pub use error::{DarshanError, Fault};
pub use header::{Compression, Header, Module, Region};
pub use job::{Job, Mount, lies_under};
pub use log::{Log, Skipped};
pub use lustre::{Lustre, LustreComponent, LustreRecord};
pub use names::Names;
pub use records::{Counters, Sums};

/// The rank of a record that Darshan reduced over all ranks of the job.
pub const SHARED_RANK: i64 = -1;
