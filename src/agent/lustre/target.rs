//! One Lustre target: the texts of its parameters as counters. Pure.

use super::super::block::Device;
use super::super::error::AgentError;
use super::super::reading::{Counters, Host, Latency, Queue, State};
use super::text::{self, Stats};

/// Parameters that are read of every target, below `obdfilter.NAME.`. Those that are missing in a version are absent.
pub(super) const PARAMS: [&str; 9] = [
    "stats",
    "kbytestotal",
    "kbytesfree",
    "kbytesavail",
    "degraded",
    "no_create",
    "readonly",
    "recovery_status",
    "statfs_state",
];

/// `no_create` before 2.16.
pub(super) const NO_CREATE_OLD: &str = "no_precreate";

/// Bytes of a KiB.
const KIB: u64 = 1024;

/// The metadata servers call a target full below this part of its size, and not below a MiB (`reserved_mb_low`).
const RESERVED_PART: u64 = 1024;

/// Smallest reserved space, bytes.
const RESERVED_MIN_BYTES: u64 = 1 << 20;

/// Whether a target with so much space is below what is reserved.
pub(in super::super) fn is_full(free_bytes: u64, capacity_bytes: u64) -> bool {
    free_bytes < (capacity_bytes / RESERVED_PART).max(RESERVED_MIN_BYTES)
}

/// Counters of one target from the texts of its parameters.
pub(super) fn counters<'a>(
    target: &str,
    ost_index: u32,
    at_ns: u64,
    value: impl Fn(&str) -> Option<&'a str>,
    device: Option<Device>,
) -> Result<Counters, AgentError> {
    let missing = |what| AgentError::Missing { target: target.to_owned(), what };
    let text = value("stats").ok_or_else(|| missing("statistics (obdfilter.*.stats)"))?;
    let stats = text::stats(text)
        .map_err(|error| AgentError::Text { place: format!("obdfilter.{target}.stats"), error })?;
    let kib = |name| value(name).and_then(|text| text.trim().parse::<u64>().ok()?.checked_mul(KIB));
    let capacity_bytes =
        kib("kbytestotal").filter(|bytes| *bytes > 0).ok_or_else(|| missing("size (kbytestotal)"))?;
    let free_bytes = kib("kbytesavail")
        .or_else(|| kib("kbytesfree"))
        .ok_or_else(|| missing("free space (kbytesavail)"))?;
    let reads = stats.get("read_bytes");
    let writes = stats.get("write_bytes");
    let bytes = |counter: Option<text::Counter<'_>>| counter.and_then(|counter| counter.sum).unwrap_or(0);
    let count = |counter: Option<text::Counter<'_>>| counter.map_or(0, |counter| counter.count);
    let ops = count(reads).saturating_add(count(writes));
    Ok(Counters {
        ost_index,
        at_ns,
        start_ns: stats.start_ns,
        snapshot_ns: Some(stats.snapshot_ns),
        read_bytes: bytes(reads),
        written_bytes: bytes(writes),
        ops: Some(ops),
        latency: latency(&stats, ops),
        busy_us: device.map(|device| device.busy_us),
        in_flight_us: device.map(|device| device.in_flight_us),
        free_bytes: free_bytes.min(capacity_bytes),
        capacity_bytes,
        state: state(value, free_bytes, capacity_bytes),
    })
}

/// Times of reads and writes together. Up to 2.13 they are not measured; a counter that was never touched is absent.
fn latency(stats: &Stats<'_>, ops: u64) -> Option<Latency> {
    let timed = |name| stats.get(name).filter(|counter| counter.unit.starts_with("usec"));
    let sums = [timed("read"), timed("write")];
    if sums.iter().all(Option::is_none) {
        return (ops == 0).then(Latency::default);
    }
    let add = |total: Latency, counter: text::Counter<'_>| Latency {
        count: total.count.saturating_add(counter.count),
        sum_us: total.sum_us.saturating_add(counter.sum.unwrap_or(0)),
    };
    Some(sums.into_iter().flatten().fold(Latency::default(), add))
}

fn state<'a>(value: impl Fn(&str) -> Option<&'a str>, free_bytes: u64, capacity_bytes: u64) -> State {
    let set = |name| value(name).is_some_and(|text| text.trim() != "0" && !text.trim().is_empty());
    let letters = value("statfs_state").unwrap_or("").trim();
    // A server in recovery takes no new requests; INACTIVE only says that there was no recovery.
    let recovery = value("recovery_status").and_then(|text| text.split_once("status:"));
    let recovery = recovery.and_then(|(_, rest)| rest.split_ascii_whitespace().next());
    State {
        inactive: recovery.is_some_and(|status| status == "RECOVERING" || status.starts_with("WAITING")),
        degraded: set("degraded") || letters.contains('D'),
        no_create: set("no_create") || letters.contains('N'),
        read_only: set("readonly") || letters.contains('R'),
        full: is_full(free_bytes, capacity_bytes) || letters.contains('S'),
    }
}

/// The server's queue from `ost.OSS.ost_io.stats`.
pub(super) fn queue(text: &str) -> Option<Queue> {
    let stats = text::stats(text).ok()?;
    let depth = stats.get("req_qdepth");
    Some(Queue {
        start_ns: stats.start_ns,
        arrivals: depth.map_or(0, |depth| depth.count),
        sum: depth.and_then(|depth| depth.sum).unwrap_or(0),
    })
}

/// The server as a whole, from the texts of `ost_io.stats` and `/proc/stat`.
pub(super) fn host(queue_text: Option<&str>, stat_text: Option<&str>) -> Host {
    Host { queue: queue_text.and_then(queue), cpu: stat_text.and_then(super::super::host::cpu) }
}

/// A target's block device from `/proc/mounts`: the mount that names its service.
pub(super) fn mounted_device<'a>(mounts: &'a str, target: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (device, options) = (words.next()?, words.nth(2)?);
        let named = options.split(',').any(|option| option.strip_prefix("svname=") == Some(target));
        (named && device.starts_with('/')).then_some(device)
    })
}
