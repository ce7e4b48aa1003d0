//! The discrete-time simulator: workload × system × policy → results.
//!
//! This crate owns simulated time, the fluid engine and the measuring; it must not decide about
//! placement: it drives the very code that runs on a real system ([`tarazu_core`], [`tarazu_table`]).
//! Same input and seed, same bytes out, whatever the number of threads.
#![forbid(unsafe_code)]

pub mod experiment;
pub mod flows;
pub mod fluid;
mod outcome;
mod plane;
mod profile;
mod replay;
pub mod report;
mod scenario;
pub mod stats;
mod system;

pub use outcome::{Metric, Outcome};
pub use replay::{ReplayError, run};
pub use scenario::{
    BACKGROUND_MAX, Background, Forecast, ParseError, Policy, Scenario, Sick, Striping, Timing,
};
pub use system::{BUNDLED, Client, ControlTiming, Disk, Filled, Metadata, NODES_MAX, System, SystemError};
