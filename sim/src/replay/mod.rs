//! One run: a workload replayed on a system under one policy.
//!
//! Time moves from event to event. Between two events bytes flow at max-min fair rates
//! ([`crate::fluid`]); every simulated second agents and nodes report and the controller steps. The
//! policy is asked exactly where the real client library is: when a file is made.

mod canary;
mod create;
mod files;
mod metadata;
mod meters;
mod moves;
mod others;
mod perfect;
mod ranks;
mod results;
mod service;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use tarazu_core::control::Event as Control;
use tarazu_core::view::Health;
use tarazu_layout::{ServerId, TargetId, Time};
use tarazu_workload::{FileId, Workload, WorkloadError};

use crate::explain::{Explanation, Kept};
use crate::faults::{self, FaultError};
use crate::fluid::{Fluid, FluidError};
use crate::judged::Judged;
use crate::outcome::Outcome;
use crate::plane::{Delivery, Heard, Plane};
use crate::profile::Profiles;
use crate::scenario::{Policy, Scenario};
use crate::series::Recorder;
use crate::system::{NODES_MAX, System};
use canary::Canaries;
use create::Makers;
pub(crate) use files::FileState;
use files::Piece;
use metadata::draw;
use meters::Meters;
use moves::Moves;
use others::{Others, Unreported};
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
    /// The scenario's faults do not fit the system.
    #[error("the faults cannot happen on this system")]
    Fault(#[from] FaultError),
    /// Bytes are to move that never will.
    #[error(
        "{target} is down for the rest of the run (fault {fault}) while {flows} transfers wait for it; give the fault an end, as \
         in down:{}@FROM-TO", target.0
    )]
    DownForGood {
        /// The target.
        target: TargetId,
        /// The fault as it was given.
        fault: String,
        /// Transfers on the target.
        flows: u32,
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
    /// The first answer to an operation's request arrives.
    Answered { slot: u32 },
    /// A node may send a target its next window.
    Released { node: u32, target: TargetId },
    /// A second has passed.
    Tick,
    /// Bytes in flight are looked at.
    Look,
    /// A message reaches the controller.
    Delivered(Box<Delivery>),
    /// A fault begins or ends.
    Fault,
    /// A canary is to be written.
    Canary { target: TargetId, bytes: u64 },
}

impl Event {
    fn is_operation(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Ends { .. } | Self::Answered { .. } | Self::Released { .. })
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

/// One run in progress.
pub(crate) struct Replay<'a> {
    workload: &'a Workload,
    system: &'a System,
    scenario: &'a Scenario,
    seed: u64,
    pub(crate) now: Time,
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
    pub(crate) plane: Option<Plane>,
    profiles: Profiles,
    meters: Meters,
    others: Others,
    unreported: Vec<Unreported>,
    canaries: Canaries,
    /// When each server's agent last reported.
    reported_at: Vec<Time>,
    /// Whether the next look at bytes in flight is scheduled.
    looking: bool,
    pieces: Vec<Piece>,
}

/// What is to be watched besides the metrics; it changes no other result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    /// The run over time, for [`Outcome::series`].
    pub(crate) series: bool,
    /// Every plan, for [`Outcome::explanation`].
    pub(crate) plans: bool,
    /// Everything that the controller hears, for [`crate::control_log`].
    pub(crate) events: bool,
}

impl Watch {
    /// The metrics alone.
    pub(crate) const NOTHING: Self = Self { series: false, plans: false, events: false };
}

/// Replays a workload once, its striping laid out.
///
/// # Errors
/// The workload contradicts itself or the system, or the file system has no target for a file.
pub(crate) fn run(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
    watch: Watch,
) -> Result<Outcome, ReplayError> {
    run_judged(workload, system, scenario, policy, seed, watch).map(|run| run.0)
}

/// As [`run`], with what the controller's detector said in that time.
pub(crate) fn run_judged(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    policy: Policy,
    seed: u64,
    watch: Watch,
) -> Result<(Outcome, Judged), ReplayError> {
    let mut replay = Replay::new(workload, system, scenario, policy, seed, watch)?;
    if watch.series {
        let targets = system.topology.targets().len();
        replay.meters.recorder = Some(Box::new(Recorder::new(workload, targets)));
    }
    if let Some(plane) = replay.plane.as_mut().filter(|_| watch.plans) {
        plane.keep_plans();
    }
    replay.run()?;
    let judged = Judged::of(&mut replay);
    let kept = replay.plane.as_mut().and_then(|plane| plane.kept.take());
    let explain = |kept: Kept| {
        let begun = replay.first_start();
        Arc::new(Explanation::new(&kept, (policy, seed), begun, workload, &system.topology))
    };
    let explanation = kept.map(explain);
    Ok((Outcome { explanation, ..replay.outcome(policy) }, judged))
}

/// Runs `tarazu` once and returns what its controller heard and published.
pub(crate) fn run_heard(
    workload: &Workload,
    system: &System,
    scenario: &Scenario,
    seed: u64,
) -> Result<Heard, ReplayError> {
    let watch = Watch { events: true, ..Watch::NOTHING };
    let mut replay = Replay::new(workload, system, scenario, Policy::Tarazu, seed, watch)?;
    replay.run()?;
    Ok(replay.plane.and_then(|plane| plane.heard).unwrap_or_default())
}

impl<'a> Replay<'a> {
    fn new(
        workload: &'a Workload,
        system: &'a System,
        scenario: &'a Scenario,
        policy: Policy,
        seed: u64,
        watch: Watch,
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
        faults::check(&scenario.faults, &system.topology)?;
        let others = Others::new(system, scenario, seed);
        let fluid = Fluid::new(others.network(system, nodes))?;
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
            makers: Makers::new(system, policy, scenario, seed),
            plane: policy.has_controller().then(|| Plane::new(system, scenario, nodes, seed, watch.events)),
            profiles: Profiles::of(workload, system, scenario),
            meters: Meters::new(workload.jobs.len(), workload.files.len(), targets),
            others,
            unreported: vec![Unreported::default(); targets],
            canaries: Canaries::new(nodes, targets),
            reported_at: vec![Time::ZERO; system.topology.servers().len()],
            looking: false,
            pieces: Vec::new(),
        };
        for (state, file) in replay.files.iter_mut().zip(&workload.files) {
            state.mdt = replay.makers.metadata.server_of(&file.name);
        }
        if let Some(sick) = scenario.sick {
            replay.makers.metadata.set_slowness(sick.target, 1.0 / sick.speed);
        }
        // What existed before the run is not on targets that are new.
        replay.set_new_targets(false);
        replay.place_existing()?;
        replay.set_new_targets(true);
        replay.set_conditions();
        replay.announce();
        Ok(replay)
    }

    /// Schedules everything that is known from the start.
    fn announce(&mut self) {
        self.at(Time::ZERO, Event::Tick);
        for moment in faults::moments(&self.scenario.faults) {
            self.at(moment, Event::Fault);
        }
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
        // What a cache still holds is written back behind the last operation.
        while self.ranks_left > 0 || self.moves.pending() > 0 {
            let next = self.queue.peek().map(|Reverse(next)| next.time);
            let flows_end_s = self.fluid.next_end_s();
            // While nothing moves nobody notices others; what they did is caught up with.
            let others = self.others.next_change().filter(|_| flows_end_s.is_some());
            let next = [next, others].into_iter().flatten().min();
            let to_s = match (next, flows_end_s) {
                (Some(event), Some(flow_s)) => event.as_secs_f64().min(flow_s),
                (Some(event), None) => event.as_secs_f64(),
                (None, Some(flow_s)) => flow_s,
                (None, None) => return Err(self.stuck()),
            };
            self.fluid.advance(to_s.max(self.fluid.now_s()), &mut done);
            for flow in done.drain(..) {
                self.now = self.now.max(Time::from_secs_f64(flow.end_s));
                match canary::target_of(flow.tag) {
                    Some(target) => self.canary_ended(target),
                    None => self.move_ended(flow.tag as u32),
                }
            }
            // Everything of one moment happens before bytes flow again.
            let due = next.filter(|time| time.as_secs_f64() <= to_s);
            if let Some(due) = due {
                self.now = self.now.max(due);
                self.follow_others(due);
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
                Event::Answered { slot } => self.next_segment(slot),
                Event::Released { node, target } => self.next_in_channel((node, target)),
                Event::Tick => self.tick()?,
                Event::Look => self.look(),
                Event::Fault => self.set_conditions(),
                Event::Canary { target, bytes } => self.begin_canary(target, bytes),
                Event::Delivered(delivery) => {
                    if let Some(plane) = &mut self.plane {
                        plane.deliver(delivery.at, delivery.event);
                        self.send_canaries();
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
        self.record_look();
        if self.fluid.active() == 0 && self.moves.pending() == 0 {
            return;
        }
        let asked = self.meters.asked_bytes.iter().zip(&self.canaries.asked_bytes).zip(0..);
        let backlog: Vec<f64> = asked
            .map(|((asked, canaries), target)| {
                (asked + canaries - self.fluid.disk_served_bytes(target)).max(0.0)
            })
            .collect();
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
        self.ensure_nobody_waits_for_ever()?;
        // Where only bytes flow, their end is known and need not be waited for, unless a fault changes it.
        let is_known = self.operations_due == 0 && self.others.is_settled(self.now);
        let ends_s = self.fluid.next_end_s().filter(|_| is_known);
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
                plane.rows += sample.targets.len() as u64;
                leaving.push(plane.leave_agent(now, Control::Sample(sample)));
            }
        }
        plane.deliver(now, Control::Tick);
        self.plane = Some(plane);
        self.send_canaries();
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

    /// The file's state.
    fn file(&mut self, file: FileId) -> &mut FileState {
        &mut self.files[file.0 as usize]
    }
}
