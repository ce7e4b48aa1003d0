//! The discrete-time simulator: workload × system × policy → results.
//!
//! This crate owns simulated time, the fluid engine and the measuring; it must not decide about
//! placement: it drives the very code that runs on a real system ([`tarazu_core`], [`tarazu_table`]).
//! Same input and seed, same bytes out, whatever the number of threads.
#![forbid(unsafe_code)]

mod background;
pub mod bound;
pub mod calibrate;
pub mod control_log;
mod counters;
pub mod experiment;
pub mod explain;
pub mod faults;
mod fingerprint;
pub mod flows;
pub mod fluid;
mod judged;
pub mod merge;
mod outcome;
mod plane;
mod profile;
pub mod regret;
mod replay;
pub mod report;
mod runs;
mod scenario;
pub mod series;
pub mod stats;
mod striping;
mod system;

pub use background::{BACKGROUND_MAX, Background, BackgroundSpec, LoadError, Markov, Recorded, RecordedSpec};
pub use faults::{Fault, FaultError, FaultKind};
pub use judged::Judged;
pub use outcome::{Metric, Outcome};
pub use replay::ReplayError;
pub use runs::{run, run_judged, run_recorded};
pub use scenario::{Forecast, PARTS, ParseError, Policy, Scenario, Sick, Striping, Timing, parts_without};
pub use striping::Site;
pub use system::{
    BUNDLED, Calibration, Client, ControlTiming, Disk, Filled, Metadata, NODES_MAX, PRESETS, Preset, System,
    SystemError,
};
