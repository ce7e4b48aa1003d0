//! The simulated file system: what it is built of and how fast it is, from TOML.
//!
//! `SystemFile` is what was typed (unknown keys are refused with their line); [`System`] is checked and
//! in bytes and seconds.

use std::path::Path;

use serde::Deserialize;
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology, TopologyError};
use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{Bytes, OstIndex, ServerId};

/// The system that is used when nobody names one.
pub const BUNDLED: &str = include_str!("../systems/ost35.toml");

/// Compute nodes of one run: as many as the largest machines have, and a bound for memory.
pub const NODES_MAX: u32 = 200_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SystemFile {
    name: String,
    description: String,
    servers: ServersFile,
    targets: TargetsFile,
    nodes: NodesFile,
    metadata: MetadataFile,
    striping: StripingFile,
    control: ControlFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct ServersFile {
    count: u32,
    targets_each: u32,
    link_MiBps: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct TargetsFile {
    write_MiBps: f64,
    read_MiBps: f64,
    capacity_GiB: u64,
    filled: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct NodesFile {
    nic_MiBps: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetadataFile {
    open_ms: f64,
    layout_ms: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct StripingFile {
    default_count: u32,
    default_size_KiB: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ControlFile {
    interval_s: f64,
    report_delay_ms: f64,
    publish_delay_ms: f64,
    publish_jitter_ms: f64,
    launch_s: f64,
}

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
    /// Share of every target's capacity that is used before the run.
    pub filled: f64,
    /// An open, or a create with the inherited layout, seconds.
    pub open_s: f64,
    /// What an explicit layout adds to a create, seconds.
    pub layout_s: f64,
    /// Stripe count of files whose layout was not recorded.
    pub default_stripe_count: u32,
    /// Stripe size of such files, bytes.
    pub default_stripe_size: u64,
    /// The control plane's timing.
    pub control: ControlTiming,
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
        let file: SystemFile = if changes.is_empty() {
            toml::from_str(text).map_err(broken)?
        } else {
            let mut table: toml::Table = toml::from_str(text).map_err(broken)?;
            for change in changes {
                apply(&mut table, change)
                    .map_err(|reason| SystemError::Change { change: change.clone(), reason })?;
            }
            table.try_into().map_err(broken)?
        };
        check(&file, origin)?;
        resolve(file).map_err(|source| SystemError::Topology { origin: origin.to_string(), source })
    }
}

/// Replaces the value of one key; numbers keep the kind (whole or not) that the key has.
fn apply(table: &mut toml::Table, change: &str) -> Result<(), String> {
    let (path, value) = change.split_once('=').ok_or("use KEY=VALUE, such as servers.count=8")?;
    let parsed: toml::Table =
        toml::from_str(&format!("value = {value}")).map_err(|_| format!("{value:?} is no TOML value"))?;
    let mut place = table.get_mut(path.split('.').next().unwrap_or_default());
    for key in path.split('.').skip(1) {
        place = place.and_then(|value| value.get_mut(key));
    }
    let place = place.ok_or_else(|| format!("there is no key {path}"))?;
    let value = parsed.get("value").cloned().ok_or("there is no value")?;
    *place = match (&*place, value) {
        (toml::Value::Float(_), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
        (_, value) => value,
    };
    Ok(())
}

#[allow(non_snake_case, reason = "units stand last in the names of the file")]
fn check(file: &SystemFile, origin: &str) -> Result<(), SystemError> {
    const RATE: &str = "a number of MiB/s from 0.001 to 1e9";
    const MILLISECONDS: &str = "a number of ms from 0 to 86400000 (a day)";
    let rate = |key, value: f64| (key, value, (1e-3..=1e9).contains(&value), RATE);
    let time = |key, value: f64| (key, value, (0.0..=86.4e6).contains(&value), MILLISECONDS);
    let (targets, striping, control) = (&file.targets, &file.striping, &file.control);
    let stripes = f64::from(striping.default_count);
    let size_KiB = striping.default_size_KiB;
    let rules: [(&'static str, f64, bool, &'static str); 16] = [
        rate("servers.link_MiBps", file.servers.link_MiBps),
        rate("targets.write_MiBps", targets.write_MiBps),
        rate("targets.read_MiBps", targets.read_MiBps),
        rate("nodes.nic_MiBps", file.nodes.nic_MiBps),
        (
            "targets.read_MiBps",
            targets.read_MiBps,
            (1e-3..=1e3).contains(&(targets.read_MiBps / targets.write_MiBps)),
            "within a factor of 1000 of targets.write_MiBps",
        ),
        ("targets.filled", targets.filled, (0.0..1.0).contains(&targets.filled), "from 0 to below 1"),
        (
            "targets.capacity_GiB",
            targets.capacity_GiB as f64,
            (1..=1 << 30).contains(&targets.capacity_GiB),
            "from 1 to 2^30",
        ),
        time("metadata.open_ms", file.metadata.open_ms),
        time("metadata.layout_ms", file.metadata.layout_ms),
        (
            "striping.default_count",
            stripes,
            (1.0..=STRIPES_MAX as f64).contains(&stripes),
            "a number from 1 to 2000",
        ),
        (
            "striping.default_size_KiB",
            size_KiB as f64,
            size_KiB > 0 && size_KiB.is_multiple_of(64) && size_KiB < 4 << 20,
            "a multiple of 64 above 0 and below 4 GiB",
        ),
        (
            "control.interval_s",
            control.interval_s,
            (1.0..=300.0).contains(&control.interval_s),
            "a number of seconds from 1 to 300",
        ),
        time("control.report_delay_ms", control.report_delay_ms),
        time("control.publish_delay_ms", control.publish_delay_ms),
        time("control.publish_jitter_ms", control.publish_jitter_ms),
        (
            "control.launch_s",
            control.launch_s,
            (0.0..=86_400.0).contains(&control.launch_s),
            "a number of seconds from 0 to 86400",
        ),
    ];
    let broken = rules.into_iter().find(|(_, _, holds, _)| !holds);
    broken.map_or(Ok(()), |(key, value, _, range)| {
        Err(SystemError::Value { origin: origin.to_string(), key, value, range })
    })
}

fn resolve(file: SystemFile) -> Result<System, TopologyError> {
    const MIB: f64 = 1024.0 * 1024.0;
    let target = |number: u32| TargetSpec {
        ost: OstIndex(number),
        server: ServerId(number / file.servers.targets_each),
        read_bps: file.targets.read_MiBps * MIB,
        write_bps: file.targets.write_MiBps * MIB,
        capacity: Bytes(file.targets.capacity_GiB.saturating_mul(1 << 30)),
    };
    // Multiplied in 64 bits; the topology refuses more targets than a table can name.
    let total = u64::from(file.servers.count) * u64::from(file.servers.targets_each);
    let bounded = total.min(tarazu_layout::limits::TARGETS_MAX as u64 + 1) as u32;
    let server = ServerSpec { link_bps: file.servers.link_MiBps * MIB, enclosure: None };
    let servers = vec![server; file.servers.count.min(bounded) as usize];
    let topology = Topology::new((0..bounded).map(target).collect(), servers)?;
    let control = file.control;
    Ok(System {
        name: file.name,
        description: file.description,
        topology,
        nic_bps: file.nodes.nic_MiBps * MIB,
        filled: file.targets.filled,
        open_s: file.metadata.open_ms / 1e3,
        layout_s: file.metadata.layout_ms / 1e3,
        default_stripe_count: file.striping.default_count,
        default_stripe_size: file.striping.default_size_KiB * 1024,
        control: ControlTiming {
            interval_s: control.interval_s,
            report_delay_s: control.report_delay_ms / 1e3,
            publish_delay_s: control.publish_delay_ms / 1e3,
            publish_jitter_s: control.publish_jitter_ms / 1e3,
            launch_s: control.launch_s,
        },
    })
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
        assert_eq!(change("metadata.open_ms=2").expect("a whole number will do").open_s, 0.002);
        for wrong in ["servers.count", "servers.cuont=3", "servers.count=", "servers.count=-1", "servers=3"] {
            assert!(change(wrong).is_err(), "{wrong}");
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
