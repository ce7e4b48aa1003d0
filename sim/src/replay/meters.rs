//! What a run is measured by. Meters only watch; they never change what happens.

use std::collections::BTreeMap;

use tarazu_layout::Time;
use tarazu_workload::Action;

use crate::series::Recorder;

/// Wall time during which at least one of several overlapping operations was in progress.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Busy {
    running: u32,
    since: Time,
    total_ns: u64,
}

impl Busy {
    pub(crate) fn begin(&mut self, now: Time) {
        if self.running == 0 {
            self.since = now;
        }
        self.running += 1;
    }

    pub(crate) fn end(&mut self, now: Time) {
        self.running -= 1;
        if self.running == 0 {
            self.total_ns += now.0.saturating_sub(self.since.0);
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.total_ns as f64 / 1e9
    }

    pub(crate) fn was_used(&self) -> bool {
        self.total_ns > 0
    }
}

/// One file's meters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileMeter {
    pub(crate) busy: Busy,
    /// Sum of the durations of its operations, seconds.
    pub(crate) taken_s: f64,
    /// Sum of what each would have taken alone on the healthy, empty system, seconds.
    pub(crate) alone_s: f64,
}

/// Unevenness of a quantity over targets: coefficient of variation and maximum over mean, less one.
/// `None` where the sum is 0.
pub(crate) fn unevenness(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    if mean <= 0.0 {
        return None;
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let max = values.iter().copied().fold(0.0, f64::max);
    Some((variance.sqrt() / mean, max / mean - 1.0))
}

/// A running mean.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    pub(crate) fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    pub(crate) fn get(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// All meters of one run.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    pub(crate) jobs: Vec<Busy>,
    pub(crate) files: Vec<FileMeter>,
    pub(crate) reads: Busy,
    pub(crate) writes: Busy,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    /// Bytes that lie on no target: data on the metadata target, ranges that were never written.
    pub(crate) off_target_bytes: u64,
    /// Bytes written to targets that had no room for them.
    pub(crate) overfilled_bytes: u64,
    pub(crate) steered_bytes: u64,
    pub(crate) files_made: u64,
    pub(crate) files_steered: u64,
    pub(crate) stored_bytes: Vec<f64>,
    /// Bytes of operations begun, by target; what is not served of them is in flight.
    pub(crate) asked_bytes: Vec<f64>,
    pub(crate) in_flight_cov: Mean,
    pub(crate) in_flight_excess: Mean,
    /// Steered files by reason.
    pub(crate) steered: BTreeMap<&'static str, u64>,
    /// Files left to the file system, by reason.
    pub(crate) refusals: BTreeMap<&'static str, u64>,
    pub(crate) first_start: Option<Time>,
    pub(crate) last_end: Time,
    /// Watches the run over time where that was asked for.
    pub(crate) recorder: Option<Box<Recorder>>,
}

impl Meters {
    pub(crate) fn new(jobs: usize, files: usize, targets: usize) -> Self {
        Self {
            jobs: vec![Busy::default(); jobs],
            files: vec![FileMeter::default(); files],
            stored_bytes: vec![0.0; targets],
            asked_bytes: vec![0.0; targets],
            ..Self::default()
        }
    }

    /// Takes a look at the bytes in flight to each target; an idle moment does not count.
    pub(crate) fn look_in_flight(&mut self, backlog_bytes: &[f64]) {
        if let Some((cov, excess)) = unevenness(backlog_bytes) {
            self.in_flight_cov.add(cov);
            self.in_flight_excess.add(excess);
        }
    }

    /// Tells the recorder of bytes on a target: seconds that a healthy one needs for them.
    pub(crate) fn record_work(&mut self, target: usize, work_s: f64) {
        if let Some(recorder) = &mut self.recorder {
            recorder.asked(target, work_s);
        }
    }

    /// Tells the recorder of an operation that ends now.
    pub(crate) fn record_operation(&mut self, job: usize, action: Action, begun: Time, now: Time) {
        if let (Some(recorder), Some(first)) = (&mut self.recorder, self.first_start) {
            recorder.ended(job, action, first, begun, now);
        }
    }
}

/// The `share` quantile (0 to 1) of sorted values, by linear interpolation; `None` without values.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_operations_count_once() {
        let mut busy = Busy::default();
        busy.begin(Time(1_000_000_000));
        busy.begin(Time(2_000_000_000));
        busy.end(Time(3_000_000_000));
        busy.end(Time(4_000_000_000));
        busy.begin(Time(9_000_000_000));
        busy.end(Time(10_000_000_000));
        assert_eq!(busy.seconds(), 4.0);
    }

    #[test]
    fn unevenness_of_known_values() {
        assert_eq!(unevenness(&[2.0, 2.0]), Some((0.0, 0.0)));
        assert_eq!(unevenness(&[4.0, 0.0]), Some((1.0, 1.0)));
        assert_eq!(unevenness(&[0.0, 0.0]), None);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
        assert_eq!(quantile(&[0.0, 1.0, 2.0, 3.0], 0.5), Some(1.5));
    }
}
