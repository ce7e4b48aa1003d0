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
    /// A layout that `lfs setstripe` would not take either.
    #[error("layout {found:?} cannot be read; write it as for lfs setstripe, such as -c 4 -S 1M")]
    Layout {
        /// The text.
        found: String,
        /// What is wrong.
        #[source]
        problem: crate::csv_format::LayoutProblem,
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
    #[error("{kind}: {found} {what}, the limit is {limit}: take {}", fewer(kind, what))]
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

/// The generators; all other kinds of errors are about whole workloads.
const KIND_NAMES: [&str; 6] = ["ior", "hacc", "checkpoint", "mdtest", "dl", "startup"];

/// What to take less of, by what there is too much of. Sizes first where they decide: a run keeps its shape when
/// fewer and larger transfers move its bytes.
fn fewer(kind: &str, what: &str) -> &'static str {
    if !KIND_NAMES.contains(&kind) {
        return if kind == "scale" { "a smaller factor" } else { "fewer copies or traces" };
    }
    match what {
        "operations" => {
            "larger transfers, smaller sizes, fewer ranks, or fewer files, samples or repetitions"
        }
        "files" => "fewer files or samples for each rank, fewer ranks, or fewer repetitions",
        "ranks" | "nodes" => "fewer nodes or ranks per node",
        _ if what.contains("bytes") => "smaller sizes, fewer ranks or fewer repetitions",
        _ => "a smaller run",
    }
}

/// Refuses more of something than a workload may have.
fn at_most(kind: &'static str, what: &'static str, found: u128, limit: u64) -> Result<(), GenerateError> {
    let limit = u128::from(limit);
    if found <= limit { Ok(()) } else { Err(GenerateError::TooMany { kind, what, found, limit }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_names_its_remedy() {
        let said = |kind, what| at_most(kind, what, 9, 8).unwrap_err().to_string();
        assert_eq!(
            said("hacc", "nodes"),
            "hacc: 9 nodes, the limit is 8: take fewer nodes or ranks per node"
        );
        assert!(said("ior", "operations").contains("take larger transfers"));
        assert!(said("mdtest", "files").contains("take fewer files"));
        assert!(said("dl", "bytes to move").contains("take smaller sizes"));
        assert!(said("scale", "bytes in a file").contains("take a smaller factor"));
        assert!(said("combine", "files").contains("take fewer copies or traces"));
        assert_eq!(at_most("ior", "nodes", 8, 8), Ok(()));
    }

    #[test]
    fn all_generators_have_remedies_of_their_own() {
        // dl first asks for samples enough for all ranks.
        for kind in KIND_NAMES.into_iter().filter(|kind| *kind != "dl") {
            let error = from_spec(&format!("{kind}:nodes=2000000"), 1).unwrap_err();
            assert!(error.to_string().contains("fewer nodes or ranks per node"), "{error}");
        }
        let error = from_spec("dl:epochs=4000000000,samples=4000000000", 1).unwrap_err();
        assert!(KIND_NAMES.contains(&"dl") && error.to_string().contains("take fewer files"), "{error}");
    }
}
