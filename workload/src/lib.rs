//! What applications did, or will do: one [`Workload`] from Darshan logs, CSV files and generators.
//!
//! This crate owns reading and generating; it must not know servers, policies or results. A workload
//! says which bytes each rank moves, in which order and how long it thinks in between; where the
//! bytes lie and how long they take is the simulator's affair.

pub mod analyze;
pub mod bench_output;
pub mod compose;
pub mod csv_format;
pub mod darshan;
pub mod generate;
pub mod limits;
mod model;
pub mod recorder;
mod regular;
mod text;

pub use model::{
    Action, File, FileId, GroupId, Job, Op, Problem, Rank, RankId, Totals, Workload, WorkloadError,
};
