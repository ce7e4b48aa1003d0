//! What this run's jobs find of each target: its health, faults and the load of others; and what agents report of it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tarazu_core::sample::{LoadSample, TargetSample};
use tarazu_layout::{Bytes, ServerId, TargetId, Time};

use super::service::Service;
use super::{Replay, ReplayError};
use crate::background::{Course, Load};
use crate::faults::{self, Conditions};
use crate::fluid::{BANDWIDTH_BPS, Network};
use crate::scenario::Scenario;
use crate::system::System;

/// One target's others.
#[derive(Debug)]
struct Other {
    course: Course,
    /// Load now.
    load: Load,
    /// Load after the change that is due.
    next: Load,
    /// Bytes a second read and written.
    read_bps: f64,
    write_bps: f64,
    /// Since when they are so.
    since: Time,
    /// Bytes until then that no agent has reported.
    read: f64,
    written: f64,
    /// Requests in flight, of this run's jobs, too.
    service: Service,
}

/// Others on all targets, and how targets and servers are.
#[derive(Debug)]
pub(super) struct Others {
    targets: Vec<Other>,
    /// The next change of each target that has one.
    due: BinaryHeap<Reverse<(Time, u32)>>,
    conditions: Conditions,
    /// The last moment at which a fault changes anything.
    last_fault: Time,
    /// Permanent speed of each target as a share of a healthy one's.
    speed: Vec<f64>,
    /// Bandwidth of each healthy target.
    healthy_read_bps: Vec<f64>,
    healthy_write_bps: Vec<f64>,
}

impl Others {
    pub(super) fn new(system: &System, scenario: &Scenario, seed: u64) -> Self {
        let targets = system.topology.targets();
        let speed =
            |target| scenario.sick.filter(|sick| sick.target == target).map_or(1.0, |sick| sick.speed);
        let mut others = Self {
            targets: Vec::with_capacity(targets.len()),
            due: BinaryHeap::new(),
            conditions: faults::conditions(&scenario.faults, &system.topology, Time::ZERO),
            last_fault: faults::moments(&scenario.faults).last().copied().unwrap_or(Time::ZERO),
            speed: system.topology.ids().map(speed).collect(),
            healthy_read_bps: targets.iter().map(|spec| spec.read_bps).collect(),
            healthy_write_bps: targets.iter().map(|spec| spec.write_bps).collect(),
        };
        for target in system.topology.ids() {
            let mut course = scenario.background.course(seed, target);
            let load = course.first();
            let next = others.schedule(target.0, &mut course);
            let (read_bps, write_bps, read, written) = (0.0, 0.0, 0.0, 0.0);
            let (since, service) = (Time::ZERO, Service::default());
            let other = Other { course, load, next, read_bps, write_bps, since, read, written, service };
            others.targets.push(other);
            others.set_rates(target, Time::ZERO);
        }
        others
    }

    /// Notes a target's next change. Returns its load from then on.
    fn schedule(&mut self, target: u32, course: &mut Course) -> Load {
        let Some((at, load)) = course.next() else { return Load::default() };
        self.due.push(Reverse((at, target)));
        load
    }

    /// When the load of any target changes next.
    pub(super) fn next_change(&self) -> Option<Time> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether no fault begins or ends any more.
    pub(super) fn is_settled(&self, now: Time) -> bool {
        now >= self.last_fault
    }

    /// Lets the next change up to `now` happen. Returns its target.
    fn change(&mut self, now: Time) -> Option<TargetId> {
        let Reverse((at, number)) = *self.due.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.due.pop();
        let other = &mut self.targets[number as usize];
        other.load = other.next;
        if let Some((next_at, load)) = other.course.next() {
            other.next = load;
            self.due.push(Reverse((next_at, number)));
        }
        self.set_rates(TargetId(number), at);
        Some(TargetId(number))
    }

    /// How fast a target is before others take their share, bytes/s.
    fn own_bps(&self, target: TargetId) -> f64 {
        let place = target.index();
        self.healthy_write_bps[place] * (self.speed[place] * self.conditions.targets[place].speed)
    }

    /// Books what others moved until `now`, and how fast they go on.
    fn set_rates(&mut self, target: TargetId, now: Time) {
        let place = target.index();
        let own_bps = self.own_bps(target);
        let speed = self.speed[place] * self.conditions.targets[place].speed;
        let read_bps = self.healthy_read_bps[place] * speed;
        let other = &mut self.targets[place];
        other.book(now);
        other.write_bps = other.load.write * own_bps;
        other.read_bps = other.load.read * read_bps;
        // A target that is down has no requests in service.
        other.service.set_others(if speed > 0.0 { other.load.total() } else { 0.0 }, now);
    }

    /// A request of this run begins on a target.
    pub(super) fn begin_request(&mut self, target: TargetId, number: u32, now: Time) {
        self.targets[target.index()].service.begin(number, now);
    }

    /// It has ended.
    pub(super) fn end_request(&mut self, target: TargetId, number: u32, now: Time) {
        self.targets[target.index()].service.end(number, now);
    }

    /// What is left of a target for this run's jobs, bytes written a second.
    fn left_bps(&self, target: TargetId) -> f64 {
        let own_bps = self.own_bps(target);
        let load = self.targets[target.index()].load;
        // A target that serves nothing moves less than a byte a day.
        (own_bps - load.write * own_bps - load.read * own_bps).max(*BANDWIDTH_BPS.start())
    }

    /// The network at the start.
    pub(super) fn network(&self, system: &System, nodes: u32) -> Network {
        Network {
            // One more writes canaries.
            nic_bps: vec![system.nic_bps; nodes.max(1) as usize + 1],
            link_bps: self.conditions.link_bps.clone(),
            disk_bps: system.topology.ids().map(|target| self.left_bps(target)).collect(),
            disk_link: system.topology.targets().iter().map(|spec| spec.server.0).collect(),
        }
    }
}

impl Other {
    fn book(&mut self, now: Time) {
        let seconds = now.since(self.since).as_secs_f64();
        self.read += self.read_bps * seconds;
        self.written += self.write_bps * seconds;
        self.since = self.since.max(now);
    }

    /// Bytes read and written since the last report.
    fn report(&mut self, now: Time) -> (f64, f64) {
        self.book(now);
        (std::mem::take(&mut self.read), std::mem::take(&mut self.written))
    }
}

/// A target's bytes that its agent has not reported yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unreported {
    /// Bytes of reads begun, less those reported.
    pub(super) read: f64,
    /// Bytes of writes begun, less those reported.
    pub(super) written: f64,
    /// All bytes served until the last report.
    served: f64,
}

impl Unreported {
    /// Splits what was served since the last report into reads and writes. The fluid engine counts
    /// them together; a target serves its flows alike, so they are split as what was asked for.
    pub(super) fn report(&mut self, served: f64) -> (f64, f64) {
        let since = (served - self.served).max(0.0);
        self.served = served;
        let asked = self.read + self.written;
        let read = if asked > 0.0 { since * self.read / asked } else { 0.0 };
        let written = since - read;
        self.read = (self.read - read).max(0.0);
        self.written = (self.written - written).max(0.0);
        (read, written)
    }
}

impl Replay<'_> {
    /// Lets others' load change up to `now`.
    pub(super) fn follow_others(&mut self, now: Time) {
        while let Some(target) = self.others.change(now) {
            self.fluid.set_disk_bps(target.0, self.others.left_bps(target));
        }
    }

    /// Sets targets and servers to what the faults make of them now.
    pub(super) fn set_conditions(&mut self) {
        let now = self.now;
        let conditions = faults::conditions(&self.scenario.faults, &self.system.topology, now);
        let before = std::mem::replace(&mut self.others.conditions, conditions);
        if faults::expands_at(&self.scenario.faults, now) {
            // Not earlier: to an allocator a difference in space would be one already.
            self.new_targets().for_each(|target| self.makers.metadata.set_empty(target));
        }
        for target in self.system.topology.ids() {
            let state = self.others.conditions.targets[target.index()];
            self.makers.metadata.set_up(target, state.up);
            self.makers.metadata.set_degraded(target, state.degraded);
            let speed = self.others.speed[target.index()] * state.speed;
            // One that is down is asked for no objects; what it was before says nothing.
            if speed > 0.0 {
                self.makers.metadata.set_slowness(target, 1.0 / speed);
            }
            if state.speed != before.targets[target.index()].speed {
                self.others.set_rates(target, now);
                self.fluid.set_disk_bps(target.0, self.others.left_bps(target));
            }
        }
        for (server, link_bps) in self.others.conditions.link_bps.iter().enumerate() {
            if *link_bps != before.link_bps[server] {
                self.fluid.set_link_bps(server as u32, *link_bps);
            }
        }
    }

    /// Targets that an expansion adds are there, or not.
    pub(super) fn set_new_targets(&mut self, are_there: bool) {
        for target in self.new_targets() {
            self.makers.metadata.set_up(target, are_there);
        }
    }

    fn new_targets(&self) -> impl Iterator<Item = TargetId> + use<> {
        let all = self.system.topology.targets().len();
        (all - faults::new_targets(&self.scenario.faults)..all).map(|number| TargetId(number as u32))
    }

    /// A transfer to a target that is down for the rest of the run has no end.
    pub(super) fn ensure_nobody_waits_for_ever(&self) -> Result<(), ReplayError> {
        for fault in &self.scenario.faults {
            let Some(target) = fault.down_for_good(self.now) else { continue };
            let flows = self.fluid.disk_flows(target.0) - self.canaries.under_way(target);
            if flows > 0 {
                return Err(ReplayError::DownForGood { target, fault: fault.to_string(), flows });
            }
        }
        Ok(())
    }

    /// What an agent sees on its server: bytes of this run and of others since its last report.
    pub(super) fn sample(&mut self, server: ServerId, second: u64) -> LoadSample {
        let since = std::mem::replace(&mut self.reported_at[server.index()], self.now);
        let covered_s = self.now.since(since).as_secs_f64();
        let mut rows = Vec::new();
        for target in self.system.topology.by_server()[server.index()].clone() {
            let place = target.index();
            let served = self.fluid.disk_served_bytes(target.0);
            let (read, written) = self.unreported[place].report(served);
            let (others_read, others_written) = self.others.targets[place].report(self.now);
            let others_bytes = others_read + others_written;
            let service = self.others.targets[place].service.report(self.now, covered_s, others_bytes);
            rows.push(TargetSample {
                target,
                read: Bytes((read + others_read) as u64),
                written: Bytes((written + others_written) as u64),
                ops: Some(service.ops),
                latency_s: service.latency_s,
                busy_s: Some(service.busy_s),
                depth: Some(service.depth),
                free: self.makers.metadata.facts()[place].free,
                state: self.makers.metadata.flags(target),
            });
        }
        let below = &self.system.topology.by_server()[server.index()];
        let flows = below.iter().map(|target| self.fluid.disk_flows(target.0)).sum();
        LoadSample {
            server,
            agent_start: Time::ZERO,
            sequence: second,
            interval_s: covered_s,
            queued_requests: Some(flows),
            cpu_share: None,
            targets: rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::System;
    use crate::background::Background;
    use crate::scenario::Policy;
    use tarazu_workload::{Action, File, FileId, Job, Op, Rank, Workload};

    /// One rank that makes one file.
    fn workload() -> Workload {
        let action = Action::Create { file: FileId(0) };
        let op = Op { start: Time::ZERO, think: std::time::Duration::ZERO, action };
        let job = Job {
            id: tarazu_layout::JobId(1),
            name: "app".into(),
            uid: 1,
            start: Time::ZERO,
            ranks: vec![Rank { node: tarazu_layout::NodeId(0), ops: vec![op] }],
            groups: Vec::new(),
        };
        let file = File { name: "f".into(), exists: false, logged: None };
        Workload { jobs: vec![job], files: vec![file] }
    }

    fn sample(scenario: &Scenario, seconds: f64) -> LoadSample {
        let (workload, system) = (workload(), System::bundled().expect("the bundled system"));
        let mut replay =
            Replay::new(&workload, &system, scenario, Policy::LustreRr, 1, crate::replay::Watch::NOTHING)
                .expect("a run");
        replay.now = Time::from_secs_f64(seconds);
        replay.set_conditions();
        replay.follow_others(replay.now);
        replay.sample(ServerId(0), 5)
    }

    #[test]
    fn agents_report_states_and_the_bytes_of_others() {
        let faults = ["down:0@2", "rebuild:1@2", "slow:2:0.5@2", "expand:31@9"];
        let faults = faults.map(|fault| fault.parse().expect(fault)).to_vec();
        let scenario = Scenario { background: Background::Constant(0.5), faults, ..Scenario::default() };
        let sample = sample(&scenario, 4.0);
        let system = System::bundled().expect("the bundled system");
        let healthy_bps = system.topology.targets()[0].write_bps;
        let states: Vec<(bool, bool)> =
            sample.targets.iter().map(|row| (row.state.inactive, row.state.degraded)).collect();
        // New targets are not there yet; the slow one looks like any other.
        assert_eq!(states, [(true, false), (false, true), (false, false), (false, false), (true, false)]);
        assert_eq!(sample.targets[3].written, Bytes((0.5 * healthy_bps * 4.0) as u64));
    }

    #[test]
    fn what_others_moved_is_booked_change_by_change() {
        let markov = crate::BackgroundSpec::Markov { mean: Some(0.5), dwell: 1.0 };
        let scenario = Scenario { background: markov.load().expect("the process"), ..Scenario::default() };
        let sample = sample(&scenario, 100.0);
        let system = System::bundled().expect("the bundled system");
        for row in &sample.targets {
            // The obvious sum: every change of the same course.
            let mut course = scenario.background.course(1, row.target);
            let (mut since, mut load, mut seconds) = (0.0, course.first(), 0.0);
            while since < 100.0 {
                let (at, next) = course.next().expect("endless");
                let until = at.as_secs_f64().min(100.0);
                seconds += load.total() * (until - since);
                (since, load) = (until, next);
            }
            let bytes = seconds * system.topology.targets()[row.target.index()].write_bps;
            assert!((row.written.0 as f64 - bytes).abs() < 2.0 + 1e-9 * bytes, "{} {bytes}", row.written.0);
        }
    }
}
