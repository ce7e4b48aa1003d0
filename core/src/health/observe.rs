//! From a row of a sample, or a canary, to a speed that can be compared.

use tarazu_layout::Time;

use super::canary::CANARY_BYTES;
use crate::sample::TargetSample;
use crate::topology::{TargetSpec, Topology};

/// Seconds that a target must have had something to do in an interval for its speed to be a measure:
/// below it the rounding of counters and the edges of requests decide.
const BUSY_MIN_S: f64 = 0.2;

/// Speeds are told apart down to this share of the prior. What stands still has this speed.
pub(super) const SPEED_MIN: f64 = 1e-3;

/// A target that claims to be so many times as fast as its class is believed to be so fast and no faster.
const SPEED_MAX: f64 = 4.0;

/// Most requests in flight on one target that are believed: all nodes of the largest machine at once.
const DEPTH_MAX: f64 = 1e6;

/// Upper ends of the depths that are told apart. A disk serves more with more to choose from, and a lone
/// request may wait for its client; beyond some sixteen both end.
const DEPTH_ENDS: [f64; 3] = [1.5, 4.0, 16.0];

/// Upper ends of the request sizes that are told apart, bytes: below a page group, the 1 MiB of older
/// releases, the 4 MiB of newer ones, larger units of a source that counts them so.
const SIZE_ENDS: [f64; 3] = [262_144.0, 2_097_152.0, 16_777_216.0];

/// Share of the work from which on reading, or writing, counts as all of it.
const ONE_KIND: f64 = 0.8;

/// Targets of one cell are comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    pub(super) class: u32,
    /// 0 reads, 1 mixed, 2 writes.
    kind: u8,
    /// 0 unknown, then by size.
    size: u8,
    depth: u8,
}

impl Cell {
    /// Those of one class, kind and size, whatever their depth.
    pub(super) fn group(self) -> (u32, u8, u8) {
        (self.class, self.kind, self.size)
    }

    /// Whether its requests are large enough, as far as one knows, to be compared with any others: what a
    /// target does with small ones is up to them.
    pub(super) fn has_large_requests(self) -> bool {
        self.size != 1
    }
}

/// One target's speed over one interval, or of one canary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Observation {
    pub(super) at: Time,
    pub(super) cell: Cell,
    /// Logarithm of the work done a busy second, as a share of the class's prior.
    pub(super) speed_ln: f64,
    /// How much it says, above 0 up to 1.
    pub(super) weight: f64,
    pub(super) depth: f64,
    /// Prior write bandwidth, bytes/s: turns shares back into bytes.
    pub(super) prior_bps: f64,
}

/// Numbers of the hardware classes, by target: equal speeds are one class.
pub(super) fn classes(topology: &Topology) -> Vec<u32> {
    let key = |spec: &TargetSpec| (spec.read_bps.to_bits(), spec.write_bps.to_bits());
    let mut kinds: Vec<(u64, u64)> = topology.targets().iter().map(key).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let class = |spec: &TargetSpec| kinds.binary_search(&key(spec)).unwrap_or(0) as u32;
    topology.targets().iter().map(class).collect()
}

/// Mean number of requests in flight over the whole interval; `None` where the source cannot tell.
pub(super) fn depth_of(row: &TargetSample, interval_s: f64) -> Option<f64> {
    // Little's law: the sum of the times of requests is the integral of their number.
    let by_latency =
        || row.ops.zip(row.latency_s).map(|(ops, latency_s)| ops as f64 * latency_s / interval_s);
    row.depth.or_else(by_latency).filter(|depth| depth.is_finite()).map(|depth| depth.clamp(0.0, DEPTH_MAX))
}

/// The speed of a target over an interval; `None` where it had too little to do, or nobody can tell.
pub(super) fn observe(
    row: &TargetSample,
    interval_s: f64,
    spec: &TargetSpec,
    class: u32,
    now: Time,
) -> Option<Observation> {
    if row.state.inactive {
        return None;
    }
    let depth = depth_of(row, interval_s);
    // Without a busy clock: a server that takes what comes and has d requests in flight on average is
    // busy d / (1 + d) of the time.
    let by_depth = || depth.map(|depth| depth / (1.0 + depth) * interval_s);
    let busy_s = row.busy_s.or_else(by_depth).filter(|busy| busy.is_finite())?.min(interval_s);
    if busy_s < BUSY_MIN_S.min(interval_s / 4.0) {
        return None;
    }
    let (read_s, write_s) = (row.read.0 as f64 / spec.read_bps, row.written.0 as f64 / spec.write_bps);
    let work_s = read_s + write_s;
    let speed = (work_s / busy_s).clamp(SPEED_MIN, SPEED_MAX);
    let depth = depth.map_or(1.0, |depth| (depth * interval_s / busy_s).max(1.0));
    let bytes = row.read.0 as f64 + row.written.0 as f64;
    let size = row.ops.filter(|ops| *ops > 0).map(|ops| bytes / ops as f64);
    let kind = match read_s / work_s {
        share if share > ONE_KIND => 0,
        share if share >= 1.0 - ONE_KIND => 1,
        // Also where nothing was served.
        _ => 2,
    };
    let cell = Cell {
        class,
        kind,
        size: size.map_or(0, |size| 1 + bucket(size, &SIZE_ENDS)),
        depth: bucket(depth, &DEPTH_ENDS),
    };
    let weight = (busy_s / (interval_s / 4.0)).min(1.0);
    Some(Observation { at: now, cell, speed_ln: speed.ln(), weight, depth, prior_bps: spec.write_bps })
}

/// The speed that a canary found. It is served beside `depth` others, each with its share.
pub(super) fn canary(
    seconds: Option<f64>,
    depth: f64,
    spec: &TargetSpec,
    class: u32,
    now: Time,
) -> Observation {
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    let share = |seconds: f64| CANARY_BYTES as f64 / seconds * (1.0 + depth) / spec.write_bps;
    let speed = seconds.map_or(SPEED_MIN, share).clamp(SPEED_MIN, SPEED_MAX);
    let cell = Cell { class, kind: 2, size: 0, depth: 0 };
    Observation {
        at: now,
        cell,
        speed_ln: speed.ln(),
        weight: 1.0,
        depth: depth + 1.0,
        prior_bps: spec.write_bps,
    }
}

fn bucket(value: f64, ends: &[f64]) -> u8 {
    ends.iter().take_while(|end| value > **end).count() as u8
}
