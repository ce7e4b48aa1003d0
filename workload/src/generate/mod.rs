//! Seeded generators of what well-known I/O kernels do, and operations on whole workloads.
//!
//! Every generator is a pure function of its parameters and a seed. Barriers are explicit
//! [`Action::Sync`](crate::Action::Sync) operations, so that a straggler holds up its job as it does on a machine.
//! `docs/generators.md` lists parameters, defaults and what each generator leaves out.
//!
//! In the planned run operations take no time: `start` is the sum of the think times, raised at each
//! barrier to the latest rank. Open-loop replay therefore issues the operations of a phase at once.

mod builder;
mod checkpoint;
mod dl;
mod hacc;
mod ior;
mod mdtest;
mod merge;
mod spec;
mod startup;

pub(crate) use builder::Draws;
pub use checkpoint::CheckpointParams;
pub use dl::{DlParams, Storage};
pub use hacc::HaccParams;
pub use ior::IorParams;
pub use mdtest::MdtestParams;
pub(crate) use merge::with_file;
pub use merge::{SameNames, combine, replicate, scale_bytes};
pub use spec::{KINDS, from_spec};
pub use startup::{Readers, StartupParams};

use serde::Deserialize;

use crate::Workload;

/// How ranks share files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// File per process: each rank has a file of its own.
    #[default]
    Fpp,
    /// Single shared file.
    Ssf,
}

/// IOR 4.1: phases of writes and reads by all ranks between barriers.
///
/// # Errors
/// A parameter out of its range, or more ranks, files, operations or bytes than [`crate::limits`] allow.
pub fn ior(params: &IorParams, seed: u64) -> Result<Workload, GenerateError> {
    ior::generate(params, seed)
}

/// HACC-IO (CORAL): checkpoints of nine particle arrays, and the restart from the last.
///
/// # Errors
/// As [`ior`].
pub fn hacc(params: &HaccParams, seed: u64) -> Result<Workload, GenerateError> {
    hacc::generate(params, seed)
}

/// An application that computes, and writes its state once in a period.
///
/// # Errors
/// As [`ior`].
pub fn checkpoint(params: &CheckpointParams, seed: u64) -> Result<Workload, GenerateError> {
    checkpoint::generate(params, seed)
}

/// mdtest 4.1: many small files, created and written, then read, between barriers.
///
/// # Errors
/// As [`ior`].
pub fn mdtest(params: &MdtestParams, seed: u64) -> Result<Workload, GenerateError> {
    mdtest::generate(params, seed)
}

/// Deep learning: every epoch reads all samples in a new random order, split over the ranks.
///
/// # Errors
/// As [`ior`].
pub fn dl(params: &DlParams, seed: u64) -> Result<Workload, GenerateError> {
    dl::generate(params, seed)
}

/// A storm of starting containers: many nodes read one image, or a tree of small files, at once.
///
/// # Errors
/// As [`ior`].
pub fn startup(params: &StartupParams, seed: u64) -> Result<Workload, GenerateError> {
    startup::generate(params, seed)
}

/// Why a workload could not be generated.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum GenerateError {
    /// The specification names no generator.
    #[error(
        "no generator is called {found:?}: take ior, hacc, checkpoint, mdtest, dl or startup, as in ior:nodes=16"
    )]
    Kind {
        /// What it names.
        found: String,
    },
    /// A key that the generator does not have.
    #[error("{kind} has no parameter {found:?}: it has {known}")]
    Key {
        /// The generator.
        kind: &'static str,
        /// The key.
        found: String,
        /// Its keys.
        known: String,
    },
    /// A part of the specification without `=`.
    #[error("{kind}: {found:?} is not of the form key=value")]
    Form {
        /// The generator.
        kind: &'static str,
        /// The part.
        found: String,
    },
    /// A key twice.
    #[error("{kind}: parameter {key} is given twice")]
    Repeated {
        /// The generator.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A value that does not parse.
    #[error("{kind}: {key} cannot be {found:?}, it takes {wanted}")]
    Value {
        /// The generator.
        kind: &'static str,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// A parameter beyond its range, or at odds with another.
    #[error("{kind}: {rule}")]
    Range {
        /// The generator.
        kind: &'static str,
        /// The rule that is broken.
        rule: &'static str,
    },
    /// More of something than a workload may have.
    #[error("{kind}: {found} {what}, the limit is {limit}")]
    TooMany {
        /// The generator or operation.
        kind: &'static str,
        /// What there is too much of.
        what: &'static str,
        /// How much there would be; `u128::MAX` where even that overflows.
        found: u128,
        /// How much there may be.
        limit: u128,
    },
}

/// Refuses more of something than a workload may have.
fn at_most(kind: &'static str, what: &'static str, found: u128, limit: u64) -> Result<(), GenerateError> {
    let limit = u128::from(limit);
    if found <= limit { Ok(()) } else { Err(GenerateError::TooMany { kind, what, found, limit }) }
}
