//! From meters to an outcome.

use tarazu_layout::Time;

use super::Replay;
use super::meters::{Mean, quantile, unevenness};
use crate::outcome::{Metric, Outcome};
use crate::scenario::Policy;

const MIB: f64 = 1024.0 * 1024.0;

impl Replay<'_> {
    /// What the run resulted in.
    pub(super) fn outcome(mut self, policy: Policy) -> Outcome {
        self.record_look();
        let recorder = self.meters.recorder.take();
        let meters = &self.meters;
        let first = meters.first_start.unwrap_or_default();
        let series = recorder.map(|recorder| {
            Box::new(recorder.series(first, &meters.stored_bytes, self.file_times(), self.stretches()))
        });
        Outcome {
            series,
            policy,
            seed: self.seed,
            values: Metric::ALL.map(|metric| self.metric(metric)),
            files_made: meters.files_made,
            files_steered: meters.files_steered,
            read_bytes: meters.read_bytes,
            written_bytes: meters.written_bytes,
            off_target_bytes: meters.off_target_bytes,
            overfilled_bytes: meters.overfilled_bytes,
            steered_bytes: meters.steered_bytes,
            steered: meters.steered.clone(),
            refusals: meters.refusals.clone(),
            explanation: None,
            bound_s: None,
            plans: self.plane.as_ref().map_or(0, |plane| plane.plans),
            reports_refused: self.plane.as_ref().map_or(0, |plane| plane.refused),
        }
    }

    /// Tells the recorder, if there is one, what the targets have served and what they have still to serve.
    pub(super) fn record_look(&mut self) {
        if self.meters.recorder.is_none() {
            return;
        }
        let fluid = &self.fluid;
        let asked = self.meters.asked_bytes.iter().zip(&self.canaries.asked_bytes).zip(0..);
        let in_flight = asked
            .map(|((asked, canaries), target)| (asked + canaries - fluid.disk_served_bytes(target)).max(0.0))
            .sum();
        let (Some(recorder), Some(first)) = (&mut self.meters.recorder, self.meters.first_start) else {
            return;
        };
        recorder.looked(
            self.now.0.saturating_sub(first.0),
            |target| fluid.disk_served_bytes(target),
            in_flight,
        );
    }

    /// When the first operation began.
    pub(crate) fn first_start(&self) -> Time {
        self.meters.first_start.unwrap_or_default()
    }

    fn metric(&self, metric: Metric) -> Option<f64> {
        let meters = &self.meters;
        let rate =
            |bytes: u64, seconds: f64| (bytes > 0 && seconds > 0.0).then(|| bytes as f64 / MIB / seconds);
        match metric {
            Metric::JobIo => {
                let mut mean = Mean::default();
                meters.jobs.iter().for_each(|job| mean.add(job.seconds()));
                mean.get()
            }
            Metric::FileIoP50 => quantile(&self.file_times(), 0.50),
            Metric::FileIoP99 => quantile(&self.file_times(), 0.99),
            Metric::StretchP50 => quantile(&self.stretches(), 0.50),
            Metric::StretchP99 => quantile(&self.stretches(), 0.99),
            Metric::Makespan => meters.first_start.map(|start| meters.last_end.since(start).as_secs_f64()),
            Metric::ReadBandwidth => rate(meters.read_bytes, meters.reads.seconds()),
            Metric::WriteBandwidth => rate(meters.written_bytes, meters.writes.seconds()),
            Metric::InFlightCov => meters.in_flight_cov.get(),
            Metric::InFlightExcess => meters.in_flight_excess.get(),
            Metric::StoredCov => unevenness(&meters.stored_bytes).map(|(cov, _)| cov),
            Metric::StoredExcess => unevenness(&meters.stored_bytes).map(|(_, excess)| excess),
        }
    }

    /// Busy times of all files that were used, in rising order.
    fn file_times(&self) -> Vec<f64> {
        let used = self.meters.files.iter().filter(|file| file.busy.was_used());
        sorted(used.map(|file| file.busy.seconds()))
    }

    /// Stretches of all files that were used, in rising order.
    fn stretches(&self) -> Vec<f64> {
        let used = self.meters.files.iter().filter(|file| file.alone_s > 0.0);
        sorted(used.map(|file| file.taken_s / file.alone_s))
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}
