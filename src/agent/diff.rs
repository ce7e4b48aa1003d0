//! The difference of two snapshots as one sample.
//!
//! Pure. A row that cannot be right is left out for one interval and counted; what leaves the agent is finite and
//! within the limits of `tarazu_core::sample`. A source that lies within those limits is the controller's to judge.

use tarazu_core::sample::{BUSY_SLACK, DEPTH_MAX, INTERVAL_MIN_S, LATENCY_MAX_S, SPEEDUP_MAX};
use tarazu_proto::v1;

use super::reading::{Counters, Cpu, Queue, Snapshot};

/// The two clocks of a reading may disagree by this share of the interval before only the agent's own is believed:
/// the source's is a wall clock, which people and NTP move.
const CLOCKS_APART_MAX: f64 = 0.2;

/// A row may cover up to this many times the sample's interval, or its inverse; beyond, its bytes would be taken for
/// those of another time. Readers are asked together, so honest rows differ by milliseconds.
const UNEVEN_MAX: f64 = 2.0;

/// Largest queue that is believed: requests of all clients of the largest machines.
const QUEUE_MAX: f64 = 1e7;

/// Speeds that the hardware of all targets of this server is said to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Priors {
    /// Reading, bytes/s, above 0.
    pub(crate) read_bps: f64,
    /// Writing, bytes/s, above 0.
    pub(crate) write_bps: f64,
}

/// Why a target had no row, or lost a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drop {
    /// Seen for the first time, or again after a pause: nothing to compare with.
    First,
    /// The counters began again, or wrapped.
    Reset,
    /// The source's clock went back.
    TimeBack,
    /// It covers another time than the sample.
    Uneven,
    /// More bytes than the hardware can move.
    Impossible,
}

/// How often each thing happened since the agent's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// [`Drop::First`].
    pub(super) first: u64,
    /// [`Drop::Reset`].
    pub(super) reset: u64,
    /// [`Drop::TimeBack`].
    pub(super) time_back: u64,
    /// [`Drop::Uneven`].
    pub(super) uneven: u64,
    /// [`Drop::Impossible`].
    pub(super) impossible: u64,
    /// Single values that were left out or cut to their limit.
    pub(super) clamped: u64,
}

impl Tally {
    fn count(&mut self, drop: Drop) {
        let counter = match drop {
            Drop::First => &mut self.first,
            Drop::Reset => &mut self.reset,
            Drop::TimeBack => &mut self.time_back,
            Drop::Uneven => &mut self.uneven,
            Drop::Impossible => &mut self.impossible,
        };
        *counter += 1;
    }

    /// A value within 0 and its limit; what is no number, negative or far too large is left out.
    fn within(&mut self, value: f64, limit: f64, slack: f64) -> Option<f64> {
        if (0.0..=limit).contains(&value) {
            return Some(value);
        }
        self.clamped += 1;
        (value > limit && value <= limit * (1.0 + slack)).then_some(limit)
    }
}

/// What rose between two snapshots; `None` where no target can be compared.
pub(super) fn sample(
    before: &Snapshot,
    after: &Snapshot,
    priors: Priors,
    sequence: u64,
    tally: &mut Tally,
) -> Option<v1::Sample> {
    let mut pairs = Vec::with_capacity(after.targets.len());
    for now in &after.targets {
        match before
            .target(now.ost_index)
            .ok_or(Drop::First)
            .and_then(|then| covered_s(then, now).map(|s| (then, s)))
        {
            Ok((then, seconds)) => pairs.push((then, now, seconds)),
            Err(drop) => tally.count(drop),
        }
    }
    let interval_s = median(pairs.iter().map(|(_, _, seconds)| *seconds))?;
    if interval_s < INTERVAL_MIN_S {
        pairs.iter().for_each(|_| tally.count(Drop::Uneven));
        return None;
    }
    let mut targets = Vec::with_capacity(pairs.len());
    for (then, now, seconds) in pairs {
        let even = seconds <= interval_s * UNEVEN_MAX && seconds >= interval_s / UNEVEN_MAX;
        match even.then_some(()).ok_or(Drop::Uneven).and_then(|()| row(then, now, interval_s, priors, tally))
        {
            Ok(row) => targets.push(row),
            Err(drop) => tally.count(drop),
        }
    }
    Some(v1::Sample {
        sequence,
        interval_s,
        queued_requests: queued(before.host.queue, after.host.queue),
        cpu_share: cpu_share(before.host.cpu, after.host.cpu),
        targets,
    })
}

/// Seconds between two readings of one target.
fn covered_s(then: &Counters, now: &Counters) -> Result<f64, Drop> {
    if now.start_ns != then.start_ns {
        return Err(Drop::Reset);
    }
    let own_s = now.at_ns.checked_sub(then.at_ns).ok_or(Drop::TimeBack)? as f64 / 1e9;
    let (Some(told_then), Some(told_now)) = (then.snapshot_ns, now.snapshot_ns) else { return Ok(own_s) };
    let told_s = told_now.checked_sub(told_then).ok_or(Drop::TimeBack)? as f64 / 1e9;
    let close = (told_s - own_s).abs() <= CLOCKS_APART_MAX * own_s;
    Ok(if close { told_s } else { own_s })
}

/// One target's row.
fn row(
    then: &Counters,
    now: &Counters,
    interval_s: f64,
    priors: Priors,
    tally: &mut Tally,
) -> Result<v1::TargetSample, Drop> {
    let read_bytes = rise(then.read_bytes, now.read_bytes)?;
    let written_bytes = rise(then.written_bytes, now.written_bytes)?;
    let work_s = read_bytes as f64 / priors.read_bps + written_bytes as f64 / priors.write_bps;
    if work_s > SPEEDUP_MAX * interval_s {
        return Err(Drop::Impossible);
    }
    let ops = rise_of(then.ops, now.ops)?;
    let count = rise_of(then.latency.map(|sum| sum.count), now.latency.map(|sum| sum.count))?;
    let sum_us = rise_of(then.latency.map(|sum| sum.sum_us), now.latency.map(|sum| sum.sum_us))?;
    let busy_us = rise_of(then.busy_us, now.busy_us)?;
    let in_flight_us = rise_of(then.in_flight_us, now.in_flight_us)?;
    let latency_s = count.zip(sum_us).filter(|(count, _)| *count > 0);
    let latency_s = latency_s.map(|(count, sum_us)| sum_us as f64 / 1e6 / count as f64);
    let busy_s = busy_us.map(|busy_us| busy_us as f64 / 1e6);
    let depth = in_flight_us.map(|in_flight_us| in_flight_us as f64 / 1e6 / interval_s);
    Ok(v1::TargetSample {
        ost_index: now.ost_index,
        read_bytes,
        written_bytes,
        ops,
        latency_s: latency_s.and_then(|value| tally.within(value, LATENCY_MAX_S, 0.0)),
        busy_s: busy_s.and_then(|value| tally.within(value, interval_s, BUSY_SLACK)),
        depth: depth.and_then(|value| tally.within(value, DEPTH_MAX, 0.0)),
        free_bytes: now.free_bytes,
        inactive: now.state.inactive,
        degraded: now.state.degraded,
        no_create: now.state.no_create,
        read_only: now.state.read_only,
        full: now.state.full,
    })
}

fn rise(then: u64, now: u64) -> Result<u64, Drop> {
    now.checked_sub(then).ok_or(Drop::Reset)
}

/// `None` where a reading lacks the counter.
fn rise_of(then: Option<u64>, now: Option<u64>) -> Result<Option<u64>, Drop> {
    then.zip(now).map(|(then, now)| rise(then, now)).transpose()
}

/// Mean queue that arriving requests found. Where none arrived nobody knows: a server that stands still may have a
/// long one.
fn queued(then: Option<Queue>, now: Option<Queue>) -> Option<u32> {
    let (then, now) = then.zip(now).filter(|(then, now)| then.start_ns == now.start_ns)?;
    let arrivals = now.arrivals.checked_sub(then.arrivals).filter(|arrivals| *arrivals > 0)?;
    let mean = now.sum.checked_sub(then.sum)? as f64 / arrivals as f64;
    Some(mean.min(QUEUE_MAX).round() as u32)
}

fn cpu_share(then: Option<Cpu>, now: Option<Cpu>) -> Option<f64> {
    let (then, now) = then.zip(now)?;
    let all = now.all.checked_sub(then.all).filter(|all| *all > 0)?;
    Some((now.busy.checked_sub(then.busy)? as f64 / all as f64).min(1.0))
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests;
