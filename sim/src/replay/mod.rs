//! One run: a workload replayed on a system under one policy.
//!
//! Time moves from event to event. Between two events bytes flow at max-min fair rates
//! ([`crate::fluid`]); every simulated second agents and nodes report and the controller steps. The
//! policy is asked exactly where the real client library is: when a file is made.

mod create;
mod files;
mod metadata;
mod meters;
mod moves;
mod perfect;
mod ranks;
mod results;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::time::Duration;

use tarazu_core::control::Event as Control;
use tarazu_core::rng::stream;
use tarazu_core::sample::{LoadSample, TargetFlags, TargetSample};
use tarazu_core::view::Health;
use tarazu_layout::{Bytes, ServerId, TargetId, Time};
use tarazu_workload::{Action, FileId, Workload, WorkloadError};

use crate::fluid::{Fluid, FluidError, Network};
use crate::outcome::Outcome;
use crate::plane::{Delivery, Plane};
use crate::profile::Profiles;
use crate::scenario::{Background, Policy, Scenario};
use crate::system::{NODES_MAX, System};
use create::Makers;
pub(crate) use files::FileState;
use files::Piece;
use metadata::draw;
use meters::Meters;
use moves::Moves;
use ranks::{JobState, Running};

/// How often bytes in flight are looked at: fine enough for bursts of a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Length of a tick: agents, nodes and controller act on whole seconds.
const TICK: Duration = Duration::from_secs(1);

/// While nothing is to be done, ticks are left out until so long before the next operation, seconds:
/// enough for every agent to report again and a plan to reach all nodes.
const IDLE_LEAD_S: u64 = 60;

/// Longest simulated time, seconds: a year. Whatever goes on longer is a slip in a trace or a system.
const SIMULATED_S_MAX: f64 = 366.0 * 86_400.0;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The workload contradicts itself.
    #[error("the workload cannot be replayed")]
    Workload(#[from] WorkloadError),
    /// It has nothing to replay.
    #[error("the workload has no operations")]
    Empty,
    /// It uses more nodes than a run may have.
    #[error("the workload uses {nodes} nodes, a run has at most {NODES_MAX}")]
    Nodes {
        /// Nodes used.
        nodes: u32,
    },
    /// The scenario names a target that the system does not have.
    #[error("{target} is to be sick, but the system has targets 0 to {last} only")]
    SickTarget {
        /// The target.
        target: TargetId,
        /// The last one there is.
        last: TargetId,
    },
    /// The file system has no target for a file.
    #[error("file {name}: no target accepts new objects")]
    NoTarget {
        /// Its name.
        name: String,
    },
    /// The network was refused.
    #[error("the system's bandwidths cannot be simulated")]
    Fluid(#[from] FluidError),
    /// It goes on for too long.
    #[error(
        "after {SIMULATED_S_MAX} simulated seconds {waiting} ranks are still at work; look for a size, time or bandwidth \
         that cannot be"
    )]
    TooLong {
        /// Ranks that have not ended.
        waiting: usize,
    },
    /// Ranks wait for each other and nothing can happen any more.
    #[error("{waiting} ranks wait for ever at simulated second {at_s:.3}")]
    Stuck {
        /// Ranks that have not ended.
        waiting: usize,
        /// When nothing was left to happen.
        at_s: f64,
    },
}

/// What happens at a moment.
#[derive(Debug)]
enum Event {
    /// A rank begins its next operation.
    Begin { job: u32, rank: u32 },
    /// An operation without bytes ends.
    Ends { slot: u32 },
    /// A second has passed.
    Tick,
    /// Bytes in flight are looked at.
    Look,
    /// A message reaches the controller.
    Delivered(Box<Delivery>),
}

impl Event {
    fn is_operation(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Ends { .. })
    }
}

/// An event with its moment; those of one moment come in the order in which they were scheduled.
#[derive(Debug)]
struct Scheduled {
    time: Time,
    number: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.number).cmp(&(other.time, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

/// A target's bytes that its agent has not reported yet.
#[derive(Clone, Copy, Debug, Default)]
struct Unreported {
    /// Bytes of reads begun, less those reported.
    read: f64,
    /// Bytes of writes begun, less those reported.
    written: f64,
    /// All bytes served until the last report.
    served: f64,
}

impl Unreported {
    /// Splits what was served since the last report into reads and writes. The fluid engine counts
    /// them together; a target serves its flows alike, so they are split as what was asked for.
    fn report(&mut self, served: f64) -> (f64, f64) {
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

/// One run in progress.
struct Replay<'a> {
    workload: &'a Workload,
    system: &'a System,
    scenario: &'a Scenario,
    seed: u64,
    now: Time,
    fluid: Fluid,
    queue: BinaryHeap<Reverse<Scheduled>>,
    next_event: u64,
    /// Events that begin or end an operation.
    operations_due: usize,
    jobs: Vec<JobState>,
    ranks_left: usize,
    files: Vec<FileState>,
    moves: Moves,
    slots: Vec<Option<Running>>,
    free_slots: Vec<u32>,
    makers: Makers,
    plane: Option<Plane>,
    profiles: Profiles,
    meters: Meters,
    /// Bytes of others written to each target a second.
    background_bps: Vec<f64>,
    unreported: Vec<Unreported>,
    /// When each server's agent last reported.
    reported_at: Vec<Time>,
    /// Whether the next look at bytes in flight is scheduled.
    looking: bool,
    pieces: Vec<Piece>,
}

/// Replays a workload once.
///
/// # Errors
/// The workload contradicts itself or the system, or the file system has no target for a file.
pub fn run(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
) -> Result<Outcome, ReplayError> {
    let mut replay = Replay::new(workload, system, scenario, policy, seed)?;
    replay.run()?;
    Ok(replay.outcome(policy))
}

impl<'a> Replay<'a> {
    fn new(
        workload: &'a Workload,
        system: &'a System,
        scenario: &'a Scenario,
        policy: Policy,
        seed: u64,
    ) -> Result<Self, ReplayError> {
        workload.check()?;
        if workload.totals().ops == 0 {
            return Err(ReplayError::Empty);
        }
        let nodes = workload.nodes();
        if nodes > NODES_MAX {
            return Err(ReplayError::Nodes { nodes });
        }
        let targets = system.topology.targets().len();
        if let Some(sick) = scenario.sick.filter(|sick| sick.target.index() >= targets) {
            return Err(ReplayError::SickTarget { target: sick.target, last: TargetId(targets as u32 - 1) });
        }
        let background_bps = background(system, scenario, seed);
        let fluid = Fluid::new(network(system, scenario, &background_bps, nodes))?;
        let file = |file| FileState::new(file, system, scenario.striping);
        let mut replay = Self {
            workload,
            system,
            scenario,
            seed,
            now: Time::ZERO,
            fluid,
            queue: BinaryHeap::new(),
            next_event: 0,
            operations_due: 0,
            jobs: JobState::of(workload),
            ranks_left: workload.jobs.iter().map(|job| job.ranks.len()).sum(),
            files: workload.files.iter().map(file).collect(),
            moves: Moves::default(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            makers: Makers::new(system, policy, seed),
            plane: policy.has_controller().then(|| Plane::new(system, scenario, nodes, seed)),
            profiles: Profiles::of(workload, system, scenario),
            meters: Meters::new(workload.jobs.len(), workload.files.len(), targets),
            background_bps,
            unreported: vec![Unreported::default(); targets],
            reported_at: vec![Time::ZERO; system.topology.servers().len()],
            looking: false,
            pieces: Vec::new(),
        };
        for (state, file) in replay.files.iter_mut().zip(&workload.files) {
            state.mdt = replay.makers.metadata.server_of(&file.name);
        }
        for (state, nodes) in replay.files.iter_mut().zip(nodes_of_files(workload)) {
            state.nodes = nodes;
        }
        if let Some(sick) = scenario.sick {
            replay.makers.metadata.set_slowness(sick.target, 1.0 / sick.speed);
        }
        replay.place_existing()?;
        replay.announce();
        Ok(replay)
    }

    /// Schedules everything that is known from the start.
    fn announce(&mut self) {
        self.at(Time::ZERO, Event::Tick);
        let launch = Duration::from_secs_f64(self.system.control.launch_s);
        for number in 0..self.workload.jobs.len() {
            let jitter_s = self.scenario.start_jitter_s * self.draw("start jitter", number as u64);
            let known = self.workload.jobs[number].start + Duration::from_secs_f64(jitter_s);
            let begins = known + launch;
            self.jobs[number].begins = begins;
            if self.plane.is_some()
                && let Some(start) = self.profiles.start_of(number)
            {
                self.deliver_at(known, Control::JobStarted(start));
            }
            for rank in 0..self.workload.jobs[number].ranks.len() {
                self.schedule_next(number, rank, begins);
            }
        }
        if let (Some(sick), Some(intervals)) = (self.scenario.sick, self.scenario.sick_known_after)
            && self.plane.is_some()
        {
            let known = Time::from_secs_f64(f64::from(intervals) * self.system.control.interval_s);
            let health = Health { read: sick.speed, write: sick.speed };
            self.deliver_at(known, Control::Judged { target: sick.target, health });
        }
    }

    /// A draw from [0, 1) that belongs to one purpose and id.
    fn draw(&self, purpose: &str, id: u64) -> f64 {
        draw(self.seed, purpose, id)
    }

    fn at(&mut self, time: Time, event: Event) {
        self.operations_due += usize::from(event.is_operation());
        self.queue.push(Reverse(Scheduled { time, number: self.next_event, event }));
        self.next_event += 1;
    }

    fn deliver_at(&mut self, at: Time, event: Control) {
        self.at(at, Event::Delivered(Box::new(Delivery { at, event })));
    }

    fn run(&mut self) -> Result<(), ReplayError> {
        let mut done = Vec::new();
        while self.ranks_left > 0 {
            let next = self.queue.peek().map(|Reverse(next)| next.time);
            let flows_end_s = self.fluid.next_end_s();
            let to_s = match (next, flows_end_s) {
                (Some(event), Some(flow_s)) => event.as_secs_f64().min(flow_s),
                (Some(event), None) => event.as_secs_f64(),
                (None, Some(flow_s)) => flow_s,
                (None, None) => return Err(self.stuck()),
            };
            self.fluid.advance(to_s.max(self.fluid.now_s()), &mut done);
            for flow in done.drain(..) {
                self.now = self.now.max(Time::from_secs_f64(flow.end_s));
                self.move_ended(flow.tag as u32);
            }
            // Everything of one moment happens before bytes flow again.
            let due = next.filter(|time| time.as_secs_f64() <= to_s);
            if let Some(due) = due {
                self.now = self.now.max(due);
                self.happen(due)?;
            }
        }
        Ok(())
    }

    /// Lets all events of one moment happen, in the order in which they were scheduled.
    fn happen(&mut self, moment: Time) -> Result<(), ReplayError> {
        while self.queue.peek().is_some_and(|Reverse(next)| next.time <= moment) {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            self.operations_due -= usize::from(next.event.is_operation());
            match next.event {
                Event::Begin { job, rank } => self.begin(job as usize, rank as usize)?,
                Event::Ends { slot } => self.operation_ended(slot),
                Event::Tick => self.tick()?,
                Event::Look => self.look(),
                Event::Delivered(delivery) => {
                    if let Some(plane) = &mut self.plane {
                        plane.deliver(delivery.at, delivery.event);
                    }
                }
            }
        }
        Ok(())
    }

    fn stuck(&self) -> ReplayError {
        ReplayError::Stuck { waiting: self.ranks_left, at_s: self.now.as_secs_f64() }
    }

    /// Looks at bytes in flight, again and again while there are any.
    fn look(&mut self) {
        self.looking = false;
        if self.fluid.active() == 0 {
            return;
        }
        let targets = self.system.topology.ids();
        let backlog: Vec<f64> = targets.map(|target| self.fluid.disk_backlog_bytes(target.0)).collect();
        self.meters.look_in_flight(&backlog);
        self.look_soon();
    }

    /// Schedules a look at the next moment of a fixed grid, unless one is scheduled.
    fn look_soon(&mut self) {
        if self.looking {
            return;
        }
        self.looking = true;
        let grid_ns = LOOK_INTERVAL.as_nanos() as u64;
        self.at(Time((self.now.0 / grid_ns + 1) * grid_ns), Event::Look);
    }

    /// One second: agents and nodes report, the controller's clock moves.
    fn tick(&mut self) -> Result<(), ReplayError> {
        let idle = self.fluid.active() == 0;
        // Ticks alone would go on for ever.
        if idle && self.operations_due == 0 && self.ranks_left > 0 {
            return Err(self.stuck());
        }
        // Where only bytes flow, their end is known and need not be waited for.
        let ends_s = self.fluid.next_end_s().filter(|_| self.operations_due == 0);
        if self.now.as_secs_f64().max(ends_s.unwrap_or(0.0)) > SIMULATED_S_MAX {
            return Err(ReplayError::TooLong { waiting: self.ranks_left });
        }
        self.at(self.next_tick(idle), Event::Tick);
        let (second, now) = (self.now.0 / TICK.as_nanos() as u64, self.now);
        let Some(mut plane) = self.plane.take() else { return Ok(()) };
        let mut leaving = plane.node_reports(now, second);
        for server in 0..self.system.topology.servers().len() {
            if plane.agent_reports(server, second) {
                let sample = self.sample(ServerId(server as u32), second);
                leaving.push(plane.leave_agent(now, Control::Sample(sample)));
            }
        }
        plane.deliver(now, Control::Tick);
        self.plane = Some(plane);
        for delivery in leaving {
            self.deliver_at(delivery.at, delivery.event);
        }
        Ok(())
    }

    /// The next whole second, or a later one where nothing happens for long.
    fn next_tick(&self, idle: bool) -> Time {
        let next = self.now + TICK;
        let happens = self.queue.peek().map_or(next, |Reverse(event)| event.time);
        if !idle || happens.since(self.now) <= Duration::from_secs(2 * IDLE_LEAD_S) {
            return next;
        }
        let second_ns = TICK.as_nanos() as u64;
        Time((happens - Duration::from_secs(IDLE_LEAD_S)).0 / second_ns * second_ns)
    }

    /// What an agent sees on its server: bytes of this run and of others since its last report.
    fn sample(&mut self, server: ServerId, second: u64) -> LoadSample {
        let since = std::mem::replace(&mut self.reported_at[server.index()], self.now);
        let covered_s = self.now.since(since).as_secs_f64();
        let mut rows = Vec::new();
        for target in self.system.topology.by_server()[server.index()].clone() {
            let place = target.index();
            let served = self.fluid.disk_served_bytes(target.0);
            let (read, written) = self.unreported[place].report(served);
            let others = self.background_bps[place] * covered_s;
            rows.push(TargetSample {
                target,
                read: Bytes(read as u64),
                written: Bytes((written + others) as u64),
                // Bytes flow here; single requests and their latency are not simulated.
                ops: None,
                latency_s: None,
                free: self.makers.metadata.facts()[place].free,
                state: TargetFlags::default(),
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

    /// The file's state.
    fn file(&mut self, file: FileId) -> &mut FileState {
        &mut self.files[file.0 as usize]
    }
}

/// Nodes that move bytes of each file.
fn nodes_of_files(workload: &Workload) -> Vec<u32> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for rank in workload.jobs.iter().flat_map(|job| &job.ranks) {
        let first = pairs.len();
        for op in &rank.ops {
            if let Action::Read { file, .. } | Action::Write { file, .. } = op.action
                && pairs.get(first..).and_then(<[_]>::last) != Some(&(file.0, rank.node.0))
            {
                pairs.push((file.0, rank.node.0));
            }
        }
    }
    pairs.sort_unstable();
    pairs.dedup();
    let mut nodes = vec![0; workload.files.len()];
    pairs.iter().for_each(|(file, _)| nodes[*file as usize] += 1);
    nodes
}

/// Others' bytes a second on each target.
fn background(system: &System, scenario: &Scenario, seed: u64) -> Vec<f64> {
    use rand::RngExt;
    let share = |target: TargetId| match scenario.background {
        Background::None => 0.0,
        Background::Constant(share) => share,
        Background::Uniform(most) => {
            let draw: f64 = stream(seed, "background", u64::from(target.0)).random_range(0.0..1.0);
            draw * most
        }
    };
    let targets = system.topology.targets();
    let bps = |target: TargetId| targets[target.index()].write_bps * speed(scenario, target);
    system.topology.ids().map(|target| share(target) * bps(target)).collect()
}

/// A target's speed as a share of a healthy one's.
fn speed(scenario: &Scenario, target: TargetId) -> f64 {
    scenario.sick.filter(|sick| sick.target == target).map_or(1.0, |sick| sick.speed)
}

/// The network as this run's jobs find it: healthy speeds less sickness and others' load.
fn network(system: &System, scenario: &Scenario, background_bps: &[f64], nodes: u32) -> Network {
    let disk = |target: TargetId| {
        let spec = &system.topology.targets()[target.index()];
        spec.write_bps * speed(scenario, target) - background_bps[target.index()]
    };
    Network {
        nic_bps: vec![system.nic_bps; nodes.max(1) as usize],
        link_bps: system.topology.servers().iter().map(|server| server.link_bps).collect(),
        disk_bps: system.topology.ids().map(disk).collect(),
        disk_link: system.topology.targets().iter().map(|spec| spec.server.0).collect(),
    }
}
