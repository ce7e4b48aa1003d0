//! Darshan 3.x logs: what a job did, as the Darshan runtime recorded it.
//!
//! [`Log::open`] reads a whole log, [`Reader::open`] one module at a time. All formats 3.00, 3.10, 3.20, 3.21 and
//! 3.41 are read in either byte order, compressed by zlib, by bzip2 or not at all, with the modules POSIX, MPI-IO,
//! STDIO, H5F, H5D, PNETCDF_FILE, PNETCDF_VAR, LUSTRE, DXT_POSIX, DXT_MPIIO, HEATMAP, APMPI, APXC (header record),
//! BG/Q, DFS and DAOS. Other modules are listed, not decoded. Darshan 1.x and 2.x logs are refused by name.
//!
//! A log is foreign input: no count in it is trusted, memory is bounded by the bytes that are really
//! there and by named limits, and a damaged module does not keep the others from being read. What went
//! wrong is in [`Log::faults`]; what a reader of the numbers should know is in [`Log::notes`].
//!
//! ```
//! use tarazu_darshan::Log;
//!
//! let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../traces/darshan/ior-fpp-wr-n16.darshan");
//! let log = Log::open(path.as_ref())?;
//! // Counters have Darshan's names without the module's prefix.
//! let written = log.posix.as_ref().and_then(|posix| posix.sum("BYTES_WRITTEN")).unwrap_or(0);
//! println!("{written} bytes written");
//! if let Some(heatmap) = &log.heatmap {
//!     for interface in heatmap.interfaces() {
//!         let timeline = heatmap.timeline(interface);
//!         let name = log.names.get(interface).unwrap_or_default();
//!         println!("{name}, bins of {} s: {:?}", timeline.bin_width_s, timeline.write_bytes);
//!     }
//! }
//! for fault in &log.faults {
//!     eprintln!("{fault}");
//! }
//! # assert!(written == 128 << 20 && log.heatmap.is_some() && log.faults.is_empty());
//! # Ok::<(), tarazu_darshan::DarshanError>(())
//! ```
//!
//! This crate needs no other room of the house. It must not know where bytes lie beyond what the log says about it, and
//! must not print.

mod autoperf;
mod counters;
mod cursor;
mod decode;
mod dxt;
mod error;
mod header;
mod heatmap;
mod inflate;
mod job;
mod log;
mod lustre;
mod names;
mod reader;
mod records;
mod source;

pub use autoperf::{Apmpi, Apxc};
pub use counters::Shape;
pub use cursor::ByteOrder;
pub use dxt::{Dxt, DxtRecord, DxtTotals, Segment};
pub use error::{Damage, DarshanError, Fault};
pub use header::{Compression, Header, Module, Region};
pub use heatmap::{Heatmap, HeatmapRecord, Timeline};
pub use job::{Job, Mount, lies_under};
pub use log::{Inflated, Log, Skipped};
pub use lustre::{Lustre, LustreComponent, LustreRecord, LustreRequested};
pub use names::Names;
pub use reader::{Part, Reader, Records};
pub use records::{Counters, Sums};

/// The rank of a record that Darshan reduced over all ranks of the job.
pub const SHARED_RANK: i64 = -1;
