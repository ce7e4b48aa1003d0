//! The form of a system's TOML file: what may be typed, which values are possible, and what becomes of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use tarazu_core::topology::{ServerSpec, TargetSpec, Topology, TopologyError};
use tarazu_layout::limits::{STRIPES_MAX, TARGETS_MAX};
use tarazu_layout::{Bytes, OstIndex, PoolName, ServerId, TargetId};

use super::{Calibration, Client, ControlTiming, Disk, Metadata, System, SystemError};

const MIB: f64 = 1024.0 * 1024.0;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SystemFile {
    name: String,
    description: String,
    servers: ServersFile,
    targets: Targets,
    nodes: NodesFile,
    metadata: MetadataFile,
    #[serde(default)]
    client: ClientFile,
    #[serde(default)]
    disk: DiskFile,
    calibration: Option<Calibration>,
    striping: StripingFile,
    control: ControlFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct ServersFile {
    count: u32,
    /// With one kind of targets; several say it themselves.
    targets_each: Option<u32>,
    link_MiBps: f64,
}

/// `[targets]` for one kind, `[[targets]]` for several on every server.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Targets {
    One(KindFile),
    Several(Vec<KindFile>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct KindFile {
    /// Targets of this kind on each server.
    each: Option<u32>,
    pool: Option<String>,
    write_MiBps: f64,
    read_MiBps: f64,
    capacity_GiB: u64,
    filled: f64,
    #[serde(default)]
    filled_spread: f64,
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
    servers: u32,
    open_ms: f64,
    layout_ms: f64,
    creates_per_s: f64,
    precreates_per_s: f64,
}

/// 0 switches a thing off.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(non_snake_case, reason = "units stand last in the names of the file")]
struct ClientFile {
    #[serde(default)]
    request_ms: f64,
    window_MiB: u64,
    dirty_MiB: u64,
    memory_MiBps: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiskFile {
    shared_write_exponent: f64,
    shared_read_exponent: f64,
    streams_loss: f64,
    streams_free: f64,
}

impl Default for DiskFile {
    fn default() -> Self {
        let Disk { shared_write_exponent, shared_read_exponent, streams_loss, streams_free } =
            Disk::default();
        Self { shared_write_exponent, shared_read_exponent, streams_loss, streams_free }
    }
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

/// A key, its value, whether it is possible, and what is.
type Rule = (&'static str, f64, bool, &'static str);

impl SystemFile {
    /// Says that the calibration, if there is one, was of other values.
    pub(super) fn outdate_calibration(&mut self) {
        if let Some(calibration) = &mut self.calibration {
            calibration.changed_since = true;
        }
    }

    /// The first value that is out of its range.
    pub(super) fn check(&self, origin: &str) -> Result<(), SystemError> {
        let mut rules = self.rules();
        self.kinds().iter().for_each(|kind| rules.extend(kind.rules()));
        let broken = rules.into_iter().find(|(_, _, holds, _)| !holds);
        broken.map_or(Ok(()), |(key, value, _, range)| {
            Err(SystemError::Value { origin: origin.to_string(), key, value, range })
        })
    }

    #[allow(non_snake_case, reason = "units stand last in the names of the file")]
    fn rules(&self) -> Vec<Rule> {
        let (striping, control, metadata) = (&self.striping, &self.control, &self.metadata);
        let stripes = f64::from(striping.default_count);
        let size_KiB = striping.default_size_KiB;
        vec![
            rate("servers.link_MiBps", self.servers.link_MiBps),
            rate("nodes.nic_MiBps", self.nodes.nic_MiBps),
            (
                "metadata.servers",
                f64::from(metadata.servers),
                (1..=METADATA_SERVERS_MAX).contains(&metadata.servers),
                "a number from 1 to 256",
            ),
            time("metadata.open_ms", metadata.open_ms),
            time("metadata.layout_ms", metadata.layout_ms),
            per_second("metadata.creates_per_s", metadata.creates_per_s),
            per_second("metadata.precreates_per_s", metadata.precreates_per_s),
            time("client.request_ms", self.client.request_ms),
            mebibytes("client.window_MiB", self.client.window_MiB),
            mebibytes("client.dirty_MiB", self.client.dirty_MiB),
            (
                "client.memory_MiBps",
                self.client.memory_MiBps,
                (0.0..=1e9).contains(&self.client.memory_MiBps),
                "a number of MiB/s from 0 (at once) to 1e9",
            ),
            exponent("disk.shared_write_exponent", self.disk.shared_write_exponent),
            exponent("disk.shared_read_exponent", self.disk.shared_read_exponent),
            exponent("disk.streams_loss", self.disk.streams_loss),
            (
                "disk.streams_free",
                self.disk.streams_free,
                (1.0..=1e6).contains(&self.disk.streams_free),
                "a number from 1 to 1e6",
            ),
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
        ]
    }

    fn kinds(&self) -> &[KindFile] {
        match &self.targets {
            Targets::One(kind) => std::slice::from_ref(kind),
            Targets::Several(kinds) => kinds,
        }
    }

    /// Targets of a kind on each server.
    fn each(&self, kind: &KindFile) -> u32 {
        kind.each.or(self.servers.targets_each).unwrap_or(1)
    }

    /// The system that the file describes.
    pub(super) fn resolve(self) -> Result<System, TopologyError> {
        let mut targets = Vec::new();
        let mut filled = Vec::new();
        let mut pools: BTreeMap<PoolName, Vec<TargetId>> = BTreeMap::new();
        for kind in self.kinds() {
            // Multiplied in 64 bits; the topology refuses more targets than a table can name.
            let total = u64::from(self.servers.count) * u64::from(self.each(kind));
            let bounded = total.min(TARGETS_MAX as u64 + 1) as u32;
            let pool = kind.pool.as_deref().and_then(PoolName::new);
            for number in 0..bounded {
                if let Some(name) = pool {
                    pools.entry(name).or_default().push(TargetId(targets.len() as u32));
                }
                let server = ServerId(number / self.each(kind).max(1));
                targets.push(kind.target(OstIndex(targets.len() as u32), server));
                filled.push(Filled { share: kind.filled, spread: kind.filled_spread });
            }
        }
        let server = ServerSpec { link_bps: self.servers.link_MiBps * MIB, enclosure: None };
        let servers = vec![server; self.servers.count.min(TARGETS_MAX as u32 + 1) as usize];
        let topology = Topology::new(targets, servers)?;
        let (control, metadata) = (self.control, self.metadata);
        Ok(System {
            name: self.name,
            description: self.description,
            topology,
            pools,
            nic_bps: self.nodes.nic_MiBps * MIB,
            filled,
            metadata: Metadata {
                servers: metadata.servers,
                open_s: metadata.open_ms / 1e3,
                layout_s: metadata.layout_ms / 1e3,
                create_s: 1.0 / metadata.creates_per_s,
                precreate_s: 1.0 / metadata.precreates_per_s,
            },
            client: Client {
                request_s: self.client.request_ms / 1e3,
                window_bytes: some(self.client.window_MiB),
                dirty_bytes: some(self.client.dirty_MiB),
                memory_bps: (self.client.memory_MiBps > 0.0).then_some(self.client.memory_MiBps * MIB),
            },
            disk: Disk {
                shared_write_exponent: self.disk.shared_write_exponent,
                shared_read_exponent: self.disk.shared_read_exponent,
                streams_loss: self.disk.streams_loss,
                streams_free: self.disk.streams_free,
            },
            calibration: self.calibration,
            default_stripe_count: self.striping.default_count,
            default_stripe_size: self.striping.default_size_KiB * 1024,
            control: ControlTiming {
                interval_s: control.interval_s,
                report_delay_s: control.report_delay_ms / 1e3,
                publish_delay_s: control.publish_delay_ms / 1e3,
                publish_jitter_s: control.publish_jitter_ms / 1e3,
                launch_s: control.launch_s,
            },
        })
    }
}

/// Used space of a target before the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Filled {
    /// Share of its capacity.
    pub share: f64,
    /// Each target's share is drawn uniformly from so far below to so far above, for each seed.
    pub spread: f64,
}

/// Metadata targets of one file system: more than any has.
const METADATA_SERVERS_MAX: u32 = 256;

impl KindFile {
    #[allow(non_snake_case, reason = "units stand last in the names of the file")]
    fn rules(&self) -> Vec<Rule> {
        let pool = self.pool.as_deref();
        vec![
            rate("targets.write_MiBps", self.write_MiBps),
            rate("targets.read_MiBps", self.read_MiBps),
            (
                "targets.read_MiBps",
                self.read_MiBps,
                (1e-3..=1e3).contains(&(self.read_MiBps / self.write_MiBps)),
                "within a factor of 1000 of targets.write_MiBps",
            ),
            (
                "targets.pool (its length)",
                pool.map_or(0, str::len) as f64,
                pool.is_none_or(|name| PoolName::new(name).is_some()),
                "a name of 1 to 15 bytes",
            ),
            ("targets.filled", self.filled, (0.0..1.0).contains(&self.filled), "from 0 to below 1"),
            (
                "targets.filled_spread",
                self.filled_spread,
                self.filled_spread >= 0.0
                    && self.filled - self.filled_spread >= 0.0
                    && self.filled + self.filled_spread < 1.0,
                "from 0 up, so that filled less it is not below 0 and filled plus it is below 1",
            ),
            (
                "targets.capacity_GiB",
                self.capacity_GiB as f64,
                (1..=1 << 30).contains(&self.capacity_GiB),
                "from 1 to 2^30",
            ),
        ]
    }

    fn target(&self, ost: OstIndex, server: ServerId) -> TargetSpec {
        TargetSpec {
            ost,
            server,
            read_bps: self.read_MiBps * MIB,
            write_bps: self.write_MiBps * MIB,
            capacity: Bytes(self.capacity_GiB.saturating_mul(1 << 30)),
        }
    }
}

/// MiB as bytes; 0 is off.
fn some(mebibytes: u64) -> Option<u64> {
    (mebibytes > 0).then_some(mebibytes << 20)
}

fn rate(key: &'static str, value: f64) -> Rule {
    (key, value, (1e-3..=1e9).contains(&value), "a number of MiB/s from 0.001 to 1e9")
}

fn time(key: &'static str, value: f64) -> Rule {
    (key, value, (0.0..=86.4e6).contains(&value), "a number of ms from 0 to 86400000 (a day)")
}

fn mebibytes(key: &'static str, value: u64) -> Rule {
    (key, value as f64, value <= 1 << 24, "a whole number of MiB from 0 (off) to 2^24")
}

fn exponent(key: &'static str, value: f64) -> Rule {
    (key, value, (0.0..=1.0).contains(&value), "a number from 0 (no loss) to 1")
}

fn per_second(key: &'static str, value: f64) -> Rule {
    (key, value, (1.0..=1e9).contains(&value), "a number from 1 to 1e9")
}

/// Replaces the value of one key; numbers keep the kind (whole or not) that the key has. A step of the path that
/// is a number is a place in a list: `targets.0.filled`.
pub(super) fn apply(table: &mut toml::Table, change: &str) -> Result<(), String> {
    let (path, value) = change.split_once('=').ok_or("use KEY=VALUE, such as servers.count=8")?;
    let parsed: toml::Table =
        toml::from_str(&format!("value = {value}")).map_err(|_| format!("{value:?} is no TOML value"))?;
    let mut place = table.get_mut(path.split('.').next().unwrap_or_default());
    for key in path.split('.').skip(1) {
        place = place.and_then(|value| match key.parse::<usize>() {
            Ok(number) => value.get_mut(number),
            Err(_) => value.get_mut(key),
        });
    }
    let place = place.ok_or_else(|| format!("there is no key {path}"))?;
    let value = parsed.get("value").cloned().ok_or("there is no value")?;
    *place = match (&*place, value) {
        (toml::Value::Float(_), toml::Value::Integer(whole)) => toml::Value::Float(whole as f64),
        (_, value) => value,
    };
    Ok(())
}
