//! What a target's server can measure of the requests in flight there: how long there were any, how many, and how long
//! those that ended took.
//!
//! A window's bytes of a node are one request. It is in flight from its start until its last byte has arrived, wherever it
//! is held up: in the network, too. How fast the target is nobody measures.
//!
//! Others are n streams that share the target with a newcomer, as their load n / (1 + n) is defined: n of their requests
//! are in flight on average, and while no job has any, at least one for that share of the time.

use tarazu_layout::Time;

use crate::background::BACKGROUND_MAX;

/// Bytes of one request of others: the unit of the measurements that the load is taken from, and the largest one of a
/// client before Lustre 2.16.
const OTHERS_REQUEST_BYTES: f64 = (1u64 << 20) as f64;

/// One target's requests since its agent's last report.
#[derive(Debug, Default)]
pub(super) struct Service {
    in_flight: u32,
    /// Share of the target that others take.
    others: f64,
    since: Time,
    busy_s: f64,
    /// Requests in flight, integrated over time.
    depth_s: f64,
    ended: u64,
    /// Sum of the times of those that ended.
    taken_s: f64,
    /// The part of others in `taken_s`.
    others_s: f64,
    /// When each request in flight began, by number.
    begun: Vec<(u32, Time)>,
}

/// What an agent reports of a target's requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Report {
    pub(super) busy_s: f64,
    pub(super) depth: f64,
    pub(super) ops: u64,
    pub(super) latency_s: Option<f64>,
}

impl Service {
    /// A request begins.
    pub(super) fn begin(&mut self, number: u32, now: Time) {
        self.book(now);
        self.in_flight += 1;
        self.begun.push((number, now));
    }

    /// A request has ended. `now` is not before its begin.
    pub(super) fn end(&mut self, number: u32, now: Time) {
        self.book(now);
        let Some(place) = self.begun.iter().position(|(other, _)| *other == number) else { return };
        let (_, begun) = self.begun.swap_remove(place);
        self.in_flight -= 1;
        self.ended += 1;
        self.taken_s += now.since(begun).as_secs_f64();
    }

    /// Others take this share of the target from now on.
    pub(super) fn set_others(&mut self, share: f64, now: Time) {
        self.book(now);
        self.others = share.clamp(0.0, BACKGROUND_MAX);
    }

    fn book(&mut self, now: Time) {
        let seconds = now.since(self.since).as_secs_f64();
        self.since = self.since.max(now);
        let others_depth = self.others / (1.0 - self.others);
        self.busy_s += seconds * if self.in_flight > 0 { 1.0 } else { self.others };
        self.depth_s += seconds * (f64::from(self.in_flight) + others_depth);
        self.others_s += seconds * others_depth;
    }

    /// Requests and times since the last report, which covers `covered_s` and in which others moved so many bytes.
    pub(super) fn report(&mut self, now: Time, covered_s: f64, others_bytes: f64) -> Report {
        self.book(now);
        let others_ops = (others_bytes / OTHERS_REQUEST_BYTES) as u64;
        let ops = self.ended + others_ops;
        // Little's law: the integral of their number is the sum of their times.
        let taken_s = self.taken_s + if others_ops > 0 { self.others_s } else { 0.0 };
        let report = Report {
            busy_s: self.busy_s.min(covered_s),
            depth: if covered_s > 0.0 { self.depth_s / covered_s } else { 0.0 },
            ops,
            latency_s: (ops > 0).then(|| taken_s / ops as f64),
        };
        (self.busy_s, self.depth_s, self.ended, self.taken_s, self.others_s) = (0.0, 0.0, 0, 0.0, 0.0);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_secs_f64(seconds)
    }

    #[test]
    fn requests_are_counted_as_a_server_does() {
        let mut service = Service::default();
        service.begin(7, at(1.0));
        service.begin(8, at(2.0));
        service.end(7, at(3.0));
        // 1 to 3 and 2 to 5, the second still in flight.
        let report = service.report(at(5.0), 5.0, 0.0);
        assert_eq!(report, Report { busy_s: 4.0, depth: 1.0, ops: 1, latency_s: Some(2.0) });
        service.end(8, at(6.0));
        let report = service.report(at(10.0), 5.0, 0.0);
        assert_eq!(report, Report { busy_s: 1.0, depth: 0.2, ops: 1, latency_s: Some(4.0) });
        let idle = service.report(at(15.0), 5.0, 0.0);
        assert_eq!(idle, Report { busy_s: 0.0, depth: 0.0, ops: 0, latency_s: None });
    }

    #[test]
    fn others_are_seen_beside_a_job_and_without_one() {
        let mut service = Service::default();
        // Three streams.
        service.set_others(0.75, at(0.0));
        let report = service.report(at(4.0), 4.0, 30.0 * OTHERS_REQUEST_BYTES);
        assert_eq!(report, Report { busy_s: 3.0, depth: 3.0, ops: 30, latency_s: Some(0.4) });
        service.begin(1, at(4.0));
        let report = service.report(at(8.0), 4.0, 30.0 * OTHERS_REQUEST_BYTES);
        assert_eq!((report.busy_s, report.depth), (4.0, 4.0));
    }
}
