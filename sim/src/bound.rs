//! A lower bound on the makespan of a run: no placement, however clever, can end earlier.
//!
//! Three facts hold whatever is placed where. A rank's operations follow each other and its barriers hold, each
//! operation taking at least as long as on the empty, healthy system with its stripes on the best targets. What has
//! not begun before a moment is served after it, by all targets and links together. And a node's interface or a
//! file's stripes serve only so much. So: the critical path through ranks and barriers, where each barrier also waits
//! for its phase's work over capacity; then, over all arrival times, the work that arrives from then on over the capacity of nested
//! sets of resources (all targets below their links, the targets of a pool, one node, the stripes of one file).
//!
//! The bound leaves out what others take, faults other than a target sick from the start, waiting at metadata
//! servers, what sharing costs and that fair sharing is not the best order. All of these only make runs longer, so it
//! stays a bound; `docs/regret.md` says how loose they make it. This module must not look at a policy.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use tarazu_core::rng::stream;
use tarazu_layout::{JobId, Pattern, PoolName};
use tarazu_workload::{Action, FileId, Job, Op, Workload};

use crate::replay::FileState;
use crate::scenario::{Scenario, Timing};
use crate::system::System;

/// What a moment of the replay may be too early by, seconds: its times are whole nanoseconds.
const ROUNDING_S: f64 = 2e-9;

/// A very large operation has so many windows at least, which are wider then.
const SEGMENTS_MIN: u64 = 1 << 12;

/// The least makespan of a workload whose striping has been laid out, seconds, for the start times of one seed; `None`
/// where there is no operation.
///
/// `None` also for a workload that does not pass [`Workload::check`].
#[must_use]
pub fn makespan_s(workload: &Workload, system: &System, scenario: &Scenario, seed: u64) -> Option<f64> {
    workload.check().ok()?;
    let machine = Machine::of(system, scenario);
    let mut files = Files::new(workload, system, scenario);
    let mut arrivals = Vec::new();
    let (mut first_s, mut last_s) = (f64::INFINITY, 0.0f64);
    for (number, job) in workload.jobs.iter().enumerate() {
        // The replay's own draw: a bound for other start times would be none.
        let share: f64 = stream(seed, "start jitter", number as u64).random_range(0.0..1.0);
        let jitter_s = scenario.start_jitter_s * share;
        let begins_s = job.start.as_secs_f64() + jitter_s + system.control.launch_s;
        let mut walk = Walk::new(job, &machine, begins_s);
        walk.run(&mut files, scenario.timing, &mut arrivals);
        first_s = first_s.min(walk.first_s);
        last_s = last_s.max(walk.last_s);
    }
    let end_s = last_s.max(machine.served_s(&mut arrivals));
    // Moments of a run are whole nanoseconds, so a sum of many may be rounded down by many; a part in a million is far more.
    (first_s.is_finite()).then(|| ((end_s - first_s) * (1.0 - 1e-6)).max(0.0))
}

/// What serves bytes, at its best.
struct Machine<'a> {
    system: &'a System,
    /// The best single target's path: its disk or its link, bytes/s.
    best_write_bps: f64,
    best_read_bps: f64,
    /// What a byte read costs of a disk, at least, in bytes written.
    read_cost: f64,
    /// All targets below their links, in bytes written a second.
    all_bps: f64,
    /// The same of each pool.
    pool_bps: BTreeMap<PoolName, f64>,
}

impl<'a> Machine<'a> {
    fn of(system: &'a System, scenario: &Scenario) -> Self {
        let speed =
            |target| scenario.sick.filter(|sick| sick.target == target).map_or(1.0, |sick| sick.speed);
        let links = system.topology.servers();
        let targets: Vec<(f64, f64, usize)> = system
            .topology
            .ids()
            .zip(system.topology.targets())
            .map(|(id, spec)| (spec.write_bps * speed(id), spec.read_bps * speed(id), spec.server.index()))
            .collect();
        let best = |bps: fn(&(f64, f64, usize)) -> f64| {
            targets.iter().map(|target| bps(target).min(links[target.2].link_bps)).fold(0.0, f64::max)
        };
        let read_cost = targets.iter().map(|(write, read, _)| write / read).fold(f64::INFINITY, f64::min);
        // A link carries bytes; where reading is dearer than writing a byte on it counts for more than one.
        let on_link = read_cost.max(1.0);
        let below = |is_in: &dyn Fn(usize) -> bool| -> f64 {
            let mut disks = vec![0.0; links.len()];
            for (_, (write, _, server)) in targets.iter().enumerate().filter(|(number, _)| is_in(*number)) {
                disks[*server] += write;
            }
            disks.iter().zip(links).map(|(disks, link)| disks.min(link.link_bps * on_link)).sum()
        };
        let pools = system.pools.iter();
        Self {
            system,
            best_write_bps: best(|target| target.0),
            best_read_bps: best(|target| target.1),
            read_cost,
            all_bps: below(&|_| true),
            pool_bps: pools
                .map(|(name, members)| {
                    (*name, below(&|number| members.iter().any(|id| id.index() == number)))
                })
                .collect(),
        }
    }

    /// What an operation's bytes on one file take alone, seconds.
    fn alone_s(&self, total: f64, largest: f64, reads: bool) -> f64 {
        let target_bps = if reads { self.best_read_bps } else { self.best_write_bps };
        let client = &self.system.client;
        let paced_s = client.window_bytes.map_or(0.0, |window| {
            // The last window is not waited for; a very large operation has wider ones.
            let window_bytes = (window as f64).max(total / SEGMENTS_MIN as f64 + 1.0);
            (largest - window_bytes).max(0.0) * client.request_s / window as f64
        });
        (total / self.system.nic_bps).max(largest / target_bps).max(paced_s)
    }

    /// When the last of all arrivals can be served: over all moments, what comes from then on over what serves it.
    fn served_s(&self, arrivals: &mut [Arrival]) -> f64 {
        arrivals.sort_by(|one, two| two.at_s.total_cmp(&one.at_s));
        let mut sums = Sums::default();
        let mut last_s = 0.0f64;
        for arrival in arrivals.iter() {
            last_s = last_s.max(arrival.at_s + sums.add(self, arrival));
        }
        last_s
    }
}

/// Bytes of an operation on one component of its file.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// Not begun before.
    at_s: f64,
    node: u32,
    part: Part,
    stripes: u32,
    pool: Option<PoolName>,
    bytes: f64,
    reads: bool,
}

/// Work that is to be done after one moment, by what has to do it.
#[derive(Debug, Default)]
struct Sums {
    all: f64,
    nodes: BTreeMap<u32, f64>,
    pools: BTreeMap<PoolName, f64>,
    stripes: BTreeMap<Part, f64>,
}

impl Sums {
    /// Adds work. Returns how long at least one of those who have part in it is busy, seconds.
    fn add(&mut self, machine: &Machine<'_>, arrival: &Arrival) -> f64 {
        let work = arrival.bytes * if arrival.reads { machine.read_cost } else { 1.0 };
        self.all += work;
        let mut busy_s = self.all / machine.all_bps;
        let mut raise = |sum: &mut f64, more: f64, bps: f64| {
            *sum += more;
            busy_s = busy_s.max(*sum / bps);
        };
        raise(self.nodes.entry(arrival.node).or_default(), arrival.bytes, machine.system.nic_bps);
        let target_bps = if arrival.reads { machine.best_read_bps } else { machine.best_write_bps };
        let of_file = self.stripes.entry(arrival.part).or_default();
        raise(of_file, arrival.bytes / target_bps, f64::from(arrival.stripes.max(1)));
        if let Some((pool, bps)) = arrival.pool.and_then(|pool| Some((pool, *machine.pool_bps.get(&pool)?))) {
            raise(self.pools.entry(pool).or_default(), work, bps);
        }
        busy_s
    }
}

/// A component of a file.
type Part = (FileId, u32);

/// Layouts, and which components are sure to have targets: what nobody wrote yet takes no time to read.
struct Files<'a> {
    workload: &'a Workload,
    states: Vec<FileState>,
    /// Components written or made in each job: the first phase in which they were.
    made_in: BTreeMap<(Part, JobId), u32>,
    /// And by whom.
    made_by: BTreeSet<(Part, JobId, u32)>,
}

/// A rank on its way.
struct RankWalk {
    number: u32,
    next: usize,
    /// When it is free for its next operation.
    free_s: f64,
    /// Meetings of all ranks of its job that it was at.
    phase: u32,
    /// Where its last read or write ended.
    at: Option<(FileId, u64)>,
    /// Its bytes since it last met anybody.
    since: Vec<Arrival>,
    /// Bytes that a cache may still hold.
    cached: Vec<Arrival>,
}

/// A job's critical path.
struct Walk<'a> {
    job: &'a Job,
    machine: &'a Machine<'a>,
    begins_s: f64,
    ranks: Vec<RankWalk>,
    /// Members of each group that wait, and the latest of their arrivals.
    waiting: Vec<(Vec<u32>, f64)>,
    /// When its first operation begins and its last one ends, at the earliest.
    first_s: f64,
    last_s: f64,
}

impl<'a> Files<'a> {
    fn new(workload: &'a Workload, system: &System, scenario: &Scenario) -> Self {
        let state = |file| FileState::new(file, system, scenario.striping);
        Self {
            workload,
            states: workload.files.iter().map(state).collect(),
            made_in: BTreeMap::new(),
            made_by: BTreeSet::new(),
        }
    }

    fn make(&mut self, part: Part, job: JobId, rank: &RankWalk) {
        let first = self.made_in.entry((part, job)).or_insert(rank.phase);
        *first = rank.phase.min(*first);
        self.made_by.insert((part, job, rank.number));
    }

    /// Whether a component has targets whenever this rank comes to it.
    fn is_made(&self, part: Part, job: JobId, rank: &RankWalk) -> bool {
        self.workload.files[part.0.0 as usize].exists
            || self.made_by.contains(&(part, job, rank.number))
            || self.made_in.get(&(part, job)).is_some_and(|phase| *phase < rank.phase)
    }
}

impl<'a> Walk<'a> {
    fn new(job: &'a Job, machine: &'a Machine<'a>, begins_s: f64) -> Self {
        let rank = |number| RankWalk {
            number,
            next: 0,
            free_s: begins_s,
            phase: 0,
            at: None,
            since: Vec::new(),
            cached: Vec::new(),
        };
        Self {
            job,
            machine,
            begins_s,
            ranks: (0..job.ranks.len() as u32).map(rank).collect(),
            waiting: vec![(Vec::new(), 0.0); job.groups.len()],
            first_s: f64::INFINITY,
            last_s: 0.0,
        }
    }

    /// Follows all ranks to their ends; what they move is added to `arrivals`.
    fn run(&mut self, files: &mut Files<'_>, timing: Timing, arrivals: &mut Vec<Arrival>) {
        let mut free: Vec<usize> = (0..self.ranks.len()).collect();
        while let Some(rank) = free.pop() {
            while let Some(op) = self.job.ranks[rank].ops.get(self.ranks[rank].next) {
                self.ranks[rank].next += 1;
                let Action::Sync { group } = op.action else {
                    self.operate(rank, op, files, timing);
                    continue;
                };
                if timing == Timing::Closed {
                    let at_s = self.ranks[rank].free_s + op.think.as_secs_f64();
                    free.extend(self.meet(rank, group.0 as usize, at_s, arrivals));
                    break;
                }
            }
        }
        for rank in &mut self.ranks {
            arrivals.append(&mut rank.since);
        }
    }

    /// A rank comes to a barrier. Returns who may go on, which is nobody until the last one has come.
    fn meet(&mut self, rank: usize, group: usize, at_s: f64, arrivals: &mut Vec<Arrival>) -> Vec<usize> {
        let waiting = &mut self.waiting[group];
        waiting.0.push(rank as u32);
        waiting.1 = waiting.1.max(at_s);
        let members = &self.job.groups[group];
        if waiting.0.len() < members.len() {
            return Vec::new();
        }
        let (_, latest_s) = std::mem::replace(waiting, (Vec::new(), 0.0));
        let members: Vec<usize> = members.iter().map(|rank| rank.0 as usize).collect();
        let mut since: Vec<Arrival> = Vec::new();
        for member in &members {
            since.append(&mut self.ranks[*member].since);
        }
        let on_s = latest_s.max(self.machine.served_s(&mut since));
        arrivals.append(&mut since);
        let all = members.len() == self.ranks.len();
        for member in &members {
            self.ranks[*member].free_s = on_s;
            self.ranks[*member].phase += u32::from(all);
        }
        members
    }

    /// One operation, at its earliest.
    fn operate(&mut self, rank: usize, op: &Op, files: &mut Files<'_>, timing: Timing) {
        let at_s = match timing {
            Timing::Closed => self.ranks[rank].free_s + op.think.as_secs_f64(),
            Timing::Open => self.begins_s + op.start.as_secs_f64(),
        };
        let takes_s = match op.action {
            Action::Create { file } => {
                let state = &files.states[file.0 as usize];
                let first = state
                    .layout
                    .components
                    .iter()
                    .position(|component| component.extent.clip(0, 1).is_some());
                if let Some(first) = first {
                    files.make((file, first as u32), self.job.id, &self.ranks[rank]);
                }
                self.machine.system.metadata.open_s
            }
            Action::Open { .. } => self.machine.system.metadata.open_s,
            Action::Read { file, offset, bytes } => {
                self.transfer(rank, at_s, file, (offset, offset + bytes), true, files)
            }
            Action::Write { file, offset, bytes } => {
                self.transfer(rank, at_s, file, (offset, offset + bytes), false, files)
            }
            Action::Fsync { file } => {
                let RankWalk { since, cached, .. } = &mut self.ranks[rank];
                since.extend(cached.extract_if(.., |arrival| arrival.part.0 == file));
                0.0
            }
            Action::Close { .. } | Action::Sync { .. } => 0.0,
        };
        // Moments are whole nanoseconds.
        let end_s = at_s + (takes_s - ROUNDING_S).max(0.0);
        self.ranks[rank].free_s = end_s;
        self.first_s = self.first_s.min(at_s);
        self.last_s = self.last_s.max(end_s);
    }

    /// Bytes between a rank and a file. Returns how long they take at least, seconds.
    fn transfer(
        &mut self,
        rank: usize,
        at_s: f64,
        file: FileId,
        (start, end): (u64, u64),
        reads: bool,
        files: &mut Files<'_>,
    ) -> f64 {
        let system = self.machine.system;
        let walking = &mut self.ranks[rank];
        let goes_on = walking.at.replace((file, end)) == Some((file, start));
        let asks_s = if reads && !goes_on { system.client.request_s } else { 0.0 };
        let is_cached = !reads && system.client.dirty_bytes.is_some();
        let mut alone_s = 0.0f64;
        for number in 0..files.states[file.0 as usize].layout.components.len() {
            let part = (file, number as u32);
            let component = &files.states[file.0 as usize].layout.components[number];
            if component.pattern == Pattern::Mdt {
                continue;
            }
            let (mut bytes, mut largest) = (0u64, 0u64);
            for stripe in component.split(start, end) {
                bytes += stripe.bytes;
                largest = largest.max(stripe.bytes);
            }
            if bytes == 0 || reads && !files.is_made(part, self.job.id, walking) {
                continue;
            }
            let pool = component.pool.filter(|pool| system.pools.contains_key(pool));
            let members = pool
                .and_then(|pool| system.pools.get(&pool))
                .map_or(system.topology.targets().len(), Vec::len);
            // Longer stripes than a window are gone through one after the other.
            let window = system.client.window_bytes.map(|window| window.max((end - start) / SEGMENTS_MIN));
            let in_turn = window.is_some_and(|window| component.stripe_size > window);
            let on_one = if in_turn { bytes } else { largest };
            alone_s = alone_s.max(self.machine.alone_s(bytes as f64, on_one as f64, reads));
            let arrival = Arrival {
                at_s,
                node: self.job.ranks[rank].node.0,
                part,
                stripes: component.stripe_count.min(members as u32),
                pool,
                bytes: bytes as f64,
                reads,
            };
            if is_cached {
                walking.cached.push(arrival);
            } else {
                walking.since.push(arrival);
            }
            if !reads {
                files.make(part, self.job.id, walking);
            }
        }
        asks_s + if is_cached { 0.0 } else { alone_s }
    }
}
