//! The simulated file system: what it is built of and how fast it is, from TOML.
//!
//! `file` knows what was typed (unknown keys are refused with their line); [`System`] is checked and
//! in bytes and seconds.

mod file;
mod presets;

use std::collections::BTreeMap;
use std::path::Path;

use tarazu_core::topology::{Topology, TopologyError};
use tarazu_layout::{PoolName, TargetId};

pub use file::Filled;
use file::{SystemFile, apply};
pub use presets::{PRESETS, Preset};

/// The system that is used when nobody names one.
pub const BUNDLED: &str = include_str!("../../systems/ost35.toml");

/// Compute nodes of one run: as many as the largest machines have, and a bound for memory.
pub const NODES_MAX: u32 = 200_000;

/// A checked system. Rates are bytes/s, times seconds.
#[derive(Clone, Debug)]
pub struct System {
    /// Its name in results.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Targets and servers.
    pub topology: Topology,
    /// Bandwidth of a node's network interface, bytes/s.
    pub nic_bps: f64,
    /// Pools by name.
    pub pools: BTreeMap<PoolName, Vec<TargetId>>,
    /// Used space before the run, by target.
    pub filled: Vec<Filled>,
    /// Metadata servers.
    pub metadata: Metadata,
    /// What a node's file system client does with bytes.
    pub client: Client,
    /// What sharing costs on a disk.
    pub disk: Disk,
    /// How well the simulator predicted recorded runs on this system, where that was tried.
    pub calibration: Option<Calibration>,
    /// Stripe count of files whose layout was not recorded.
    pub default_stripe_count: u32,
    /// Stripe size of such files, bytes.
    pub default_stripe_size: u64,
    /// The control plane's timing.
    pub control: ControlTiming,
}

/// What `tarazu sim calibrate` found, as it stands in the system's file.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Where the recorded runs come from.
    pub source: String,
    /// Runs that set the free numbers.
    pub runs_fitted: u32,
    /// Runs that were predicted.
    pub runs_predicted: u32,
    /// Median of the predicted runs' errors of run time, in percent, whatever their sign.
    pub median_error_pct: f64,
    /// The largest of them.
    pub largest_error_pct: f64,
    /// Whether single keys of what was calibrated were changed since: then the errors are those of another system.
    #[serde(skip_deserializing)]
    pub changed_since: bool,
}

/// A node's file system client.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Client {
    /// From a request to its answer, seconds, however few bytes it is about. A read that does not go on where the
    /// rank's last one ended waits for it; a node sends a target at most a window in it.
    pub request_s: f64,
    /// Bytes that a node has on the wire to one target: then it is one party there, and the stripes of a write
    /// stay so close together. `None`: every operation is a party of its own and its stripes run apart.
    pub window_bytes: Option<u64>,
    /// Bytes that a node's cache holds for one target. `None`: a write ends when its bytes are on disk.
    pub dirty_bytes: Option<u64>,
    /// How fast a process copies into the cache, bytes/s; `None` for at once.
    pub memory_bps: Option<f64>,
}

/// What sharing costs on a disk, as disk time of a byte in terms of a byte that is written alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disk {
    /// A file written from `n` nodes costs `n` to this power: locks that change hands, objects with many writers.
    pub shared_write_exponent: f64,
    /// The same for reading.
    pub shared_read_exponent: f64,
    /// Each doubling of the streams on a disk above [`Disk::streams_free`] costs so much more.
    pub streams_loss: f64,
    /// Streams that a disk serves without loss.
    pub streams_free: f64,
}

impl Default for Disk {
    /// Sharing costs nothing.
    fn default() -> Self {
        Self { shared_write_exponent: 0.0, shared_read_exponent: 0.0, streams_loss: 0.0, streams_free: 1.0 }
    }
}

/// Metadata servers, each with one metadata target and an allocator of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metadata {
    /// How many; folders are spread over them by their name.
    pub servers: u32,
    /// Round trip of an open, or of a create with the inherited layout, seconds.
    pub open_s: f64,
    /// The additional round trip of an explicit layout, seconds.
    pub layout_s: f64,
    /// Work of a server for one create or layout, seconds: they wait for each other.
    pub create_s: f64,
    /// Work of a healthy target to make one object ready, seconds.
    pub precreate_s: f64,
}

/// Timing of the control plane, seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ControlTiming {
    /// Between two reports of an agent or node, and at least between two plans.
    pub interval_s: f64,
    /// From an agent or node to the controller.
    pub report_delay_s: f64,
    /// From a plan's decision to the first node that has its table.
    pub publish_delay_s: f64,
    /// From the first to the last node that has it.
    pub publish_jitter_s: f64,
    /// From the scheduler's start of a job to its first instruction.
    pub launch_s: f64,
}

/// Why a system was refused.
#[derive(Debug, thiserror::Error)]
pub enum SystemError {
    /// No preset has this name, and no file is there.
    #[error("there is no system {name:?}: use the path of a file, or {names}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The presets.
        names: String,
    },
    /// The file cannot be read.
    #[error("cannot read the system file {path}")]
    Read {
        /// The file.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is no system.
    #[error("{origin} is not a system description: {message}")]
    Parse {
        /// The file, or the bundled system.
        origin: String,
        /// What and where, from the TOML parser.
        message: String,
    },
    /// A value is out of its range.
    #[error("{origin}: {key} is {value}, but must be {range}")]
    Value {
        /// The file, or the bundled system.
        origin: String,
        /// The key.
        key: &'static str,
        /// What it is.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// A change of a single key cannot be made.
    #[error("cannot change the system by {change:?}: {reason}")]
    Change {
        /// What was asked for.
        change: String,
        /// Why not.
        reason: String,
    },
    /// Targets and servers do not fit together.
    #[error("{origin} describes no possible file system")]
    Topology {
        /// The file, or the bundled system.
        origin: String,
        /// The cause.
        source: TopologyError,
    },
}

impl System {
    /// The bundled system of 35 targets on 7 servers.
    ///
    /// # Errors
    /// None that a test of this crate would not show.
    pub fn bundled() -> Result<Self, SystemError> {
        Self::parse(BUNDLED, "the bundled system")
    }

    /// Reads a system from a TOML file, with single keys changed as in [`System::parse_with`].
    ///
    /// # Errors
    /// The file is unreadable, is not TOML of this form, or a value is out of its range.
    pub fn read(path: &Path, changes: &[String]) -> Result<Self, SystemError> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| SystemError::Read { path: origin.clone(), source })?;
        Self::parse_with(&text, &origin, changes)
    }

    /// Reads a system from TOML text; `origin` names it in errors.
    ///
    /// # Errors
    /// It is not TOML of this form, or a value is out of its range.
    pub fn parse(text: &str, origin: &str) -> Result<Self, SystemError> {
        Self::parse_with(text, origin, &[])
    }

    /// Reads a system from TOML text with single keys changed, each as `table.key=value`.
    ///
    /// # Errors
    /// As [`System::parse`], and a change that names no key of the text or has no TOML value.
    pub fn parse_with(text: &str, origin: &str, changes: &[String]) -> Result<Self, SystemError> {
        let broken = |error: toml::de::Error| SystemError::Parse {
            origin: origin.to_string(),
            message: error.to_string().trim_end().to_string(),
        };
        let mut file: SystemFile = if changes.is_empty() {
            toml::from_str(text).map_err(broken)?
        } else {
            let mut table: toml::Table = toml::from_str(text).map_err(broken)?;
            for change in changes {
                apply(&mut table, change)
                    .map_err(|reason| SystemError::Change { change: change.clone(), reason })?;
            }
            table.try_into().map_err(broken)?
        };
        file.check(origin)?;
        if changes.iter().any(|change| is_calibrated(change)) {
            file.outdate_calibration();
        }
        file.resolve().map_err(|source| SystemError::Topology { origin: origin.to_string(), source })
    }
}

/// Whether a change is of a table that decides how long a calibration's runs take.
fn is_calibrated(change: &str) -> bool {
    let table = change.split(['.', '=']).next().unwrap_or_default();
    ["servers", "targets", "nodes", "client", "disk"].contains(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_system_is_what_it_says() {
        let system = System::bundled().expect("the bundled system");
        assert_eq!(system.topology.targets().len(), 35);
        assert_eq!(system.topology.servers().len(), 7);
        assert_eq!(system.default_stripe_size, 4 << 20);
    }

    #[test]
    fn single_keys_can_be_changed() {
        let change = |change: &str| System::parse_with(BUNDLED, "bundled", &[change.to_string()]);
        assert_eq!(change("servers.count=2").expect("a valid change").topology.targets().len(), 10);
        assert_eq!(change("metadata.open_ms=2").expect("a whole number will do").metadata.open_s, 0.002);
        for wrong in ["servers.count", "servers.cuont=3", "servers.count=", "servers.count=-1", "servers=3"] {
            assert!(change(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_calibration_does_not_outlive_what_was_calibrated() {
        let changed = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
            let system = System::named_or_read(Path::new("edison"), &changes).expect("a valid change");
            system.calibration.expect("edison was calibrated").changed_since
        };
        assert!(!changed(&[]));
        assert!(!changed(&["control.interval_s=10", "striping.default_count=4"]));
        for change in [
            "servers.link_MiBps=100",
            "targets.write_MiBps=100",
            "nodes.nic_MiBps=100",
            "client.request_ms=1",
            "disk.shared_read_exponent=0",
        ] {
            assert!(changed(&["control.interval_s=10", change]), "{change}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let refuse = |from: &str, to: &str| {
            let text = BUNDLED.replacen(from, to, 1);
            assert_ne!(text, BUNDLED);
            System::parse(&text, "site.toml").expect_err("must be refused").to_string()
        };
        assert!(refuse("filled = 0.5", "filled = 1.5").contains("targets.filled is 1.5"));
        assert!(refuse("count = 7", "count = 0").contains("no possible file system"));
        assert!(refuse("count = 7", "count = 4000000000").contains("no possible file system"));
        assert!(refuse("open_ms", "opne_ms").contains("line"));
        assert!(refuse("interval_s = 5.0", "interval_s = nan").contains("control.interval_s"));
        assert!(refuse("interval_s = 5.0", "interval_s = 1e30").contains("control.interval_s"));
        assert!(refuse("launch_s = 10.0", "launch_s = 1e300").contains("control.launch_s"));
        assert!(refuse("open_ms = 0.5", "open_ms = inf").contains("metadata.open_ms"));
        assert!(refuse("read_MiBps = 600.0", "read_MiBps = 0.0001").contains("targets.read_MiBps"));
        assert!(refuse("size_KiB = 4096", "size_KiB = 18014398509481984").contains("default_size_KiB"));
    }
}
