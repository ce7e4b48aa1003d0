//! The metadata servers of a run: what they know of targets, which allocator each runs, how long a create waits.
//!
//! Servers share nothing: each has its own cursor, penalties and ready objects, as in Lustre. Facts here
//! are the truth; an allocator reads them as seldom as a real one does.

use std::time::Duration;

use tarazu_core::policy::{Allocator, Decision, Knows, Request, TargetFacts};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::sample::TargetFlags;
use tarazu_core::stock::{Generation, Lustre, Precreate, Random, Settings};
use tarazu_layout::{Bytes, FsId, JobId, Layout, MdtId, ServerId, TargetId, Time};
use tarazu_table::{Cursor, FileClass, Identity, JobName, Reader, Reason};

use super::FileState;
use crate::scenario::Policy;
use crate::system::System;

/// Reserved space of a target: below a thousandth it is full, above twice that it is not any more
/// (`reserved_mb_low`, `reserved_mb_high`).
const RESERVED_SHARE: u64 = 1024;

/// The least reserve, bytes.
const RESERVED_MIN: u64 = 1 << 20;

/// All metadata servers of a run.
pub(super) struct MetadataServers {
    servers: Vec<MetadataServer>,
    /// The truth, by target.
    facts: Vec<TargetFacts>,
    full: Vec<bool>,
    /// Connected, and there at all.
    up: Vec<bool>,
    capacity: Vec<Bytes>,
    /// How many times slower than a healthy one each target answers.
    slowness: Vec<f64>,
    /// The allocator that placed what existed before the run: the same for every policy.
    past: Stock,
    create_s: f64,
    precreate_s: f64,
}

/// An allocator with its random stream.
struct Stock {
    allocator: Box<dyn Allocator>,
    rng: Rng,
}

struct MetadataServer {
    stock: Stock,
    ready: Vec<Precreate>,
    /// When it has worked off all creates so far.
    free_at: Time,
}

/// When a file gets its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// Before the run, alike for every policy.
    Past,
    /// In the run.
    Run,
}

impl MetadataServers {
    pub(super) fn new(system: &System, policy: Policy, purpose: &str, seed: u64) -> Self {
        let targets = system.topology.targets();
        let servers: Vec<ServerId> = targets.iter().map(|spec| spec.server).collect();
        let free = |number: usize| {
            let filled = system.filled[number];
            let draw = draw(seed, "filled", number as u64) * 2.0 - 1.0;
            Bytes((targets[number].capacity.0 as f64 * (1.0 - filled.share - draw * filled.spread)) as u64)
        };
        let fact = |(number, spec): (usize, &tarazu_core::topology::TargetSpec)| TargetFacts {
            server: spec.server,
            free: free(number),
            ..TargetFacts::WELL
        };
        let allocator = |policy: Policy| -> Box<dyn Allocator> {
            let weighted =
                |generation| Box::new(Lustre::new(generation, Settings::default(), &servers, &system.pools));
            match policy {
                Policy::Random => Box::new(Random::new(&system.pools)),
                Policy::LustreQos => weighted(Generation::V216),
                Policy::LustreQos215 => weighted(Generation::V213),
                Policy::LustreQos212 => weighted(Generation::V212),
                _ => Box::new(Lustre::round_robin(&servers, &system.pools)),
            }
        };
        let server = |number: u32| MetadataServer {
            stock: Stock { allocator: allocator(policy), rng: stream(seed, purpose, u64::from(number)) },
            ready: vec![Precreate::default(); targets.len()],
            free_at: Time::ZERO,
        };
        Self {
            servers: (0..system.metadata.servers).map(server).collect(),
            facts: targets.iter().enumerate().map(fact).collect(),
            full: vec![false; targets.len()],
            up: vec![true; targets.len()],
            capacity: targets.iter().map(|spec| spec.capacity).collect(),
            slowness: vec![1.0; targets.len()],
            past: Stock { allocator: allocator(Policy::LustreRr), rng: stream(seed, "past allocator", 0) },
            create_s: system.metadata.create_s,
            precreate_s: system.metadata.precreate_s,
        }
    }

    /// The facts by target, as they are.
    pub(super) fn facts(&self) -> &[TargetFacts] {
        &self.facts
    }

    /// The server that a file belongs to: that of its folder.
    pub(super) fn server_of(&self, name: &str) -> MdtId {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let hash = tarazu_layout::hash::bytes(folder.as_bytes());
        MdtId((hash % self.servers.len() as u64) as u32)
    }

    /// A target answers so many times slower than a healthy one.
    pub(super) fn set_slowness(&mut self, target: TargetId, times: f64) {
        self.slowness[target.index()] = times;
    }

    /// A target accepts new objects, or not.
    pub(super) fn set_up(&mut self, target: TargetId, is_up: bool) {
        let place = target.index();
        self.up[place] = is_up;
        self.facts[place].usable = is_up && !self.full[place];
    }

    /// Whether a target serves.
    pub(super) fn is_up(&self, target: TargetId) -> bool {
        self.up[target.index()]
    }

    /// A target is marked as degraded, or not any more.
    pub(super) fn set_degraded(&mut self, target: TargetId, is_degraded: bool) {
        self.facts[target.index()].degraded = is_degraded;
    }

    /// Nothing lies on a target.
    pub(super) fn set_empty(&mut self, target: TargetId) {
        self.facts[target.index()].free = self.capacity[target.index()];
    }

    /// What its agent reports of a target besides numbers.
    pub(super) fn flags(&self, target: TargetId) -> TargetFlags {
        let place = target.index();
        let degraded = self.facts[place].degraded;
        TargetFlags { inactive: !self.up[place], degraded, ..TargetFlags::default() }
    }

    /// Bytes are written to a target. Returns those for which it had no room.
    pub(super) fn fill(&mut self, target: TargetId, bytes: u64) -> u64 {
        let place = target.index();
        let free = self.facts[place].free;
        let beyond = bytes.saturating_sub(free.0);
        let free = free.saturating_sub(Bytes(bytes));
        self.facts[place].free = free;
        let low = (self.capacity[place].0 / RESERVED_SHARE).max(RESERVED_MIN);
        if free.0 < low {
            self.full[place] = true;
        } else if free.0 > 2 * low + RESERVED_MIN {
            self.full[place] = false;
        }
        self.facts[place].usable = self.up[place] && !self.full[place];
        beyond
    }

    /// Decides by the file system's own allocator for one component of a file.
    pub(super) fn place(&mut self, file: &FileState, component: usize, era: Era, now: Time) -> Decision {
        let siblings = file.siblings(component);
        let request = plain_request(file.mdt, &file.layout, component, &siblings);
        let server = &mut self.servers[file.mdt.0 as usize];
        if era == Era::Run {
            for (facts, ready) in self.facts.iter_mut().zip(&mut server.ready) {
                ready.settle(now);
                facts.precreated = ready.ready() > 0;
            }
        }
        let who = if era == Era::Run { &mut server.stock } else { &mut self.past };
        who.place(&request, &self.facts, now)
    }

    /// Whether the server would take an explicit list: one target that accepts no new objects fails it whole.
    pub(super) fn takes_list(&self, targets: &[TargetId]) -> bool {
        targets.iter().all(|target| self.facts.get(target.index()).is_some_and(|facts| facts.usable))
    }

    /// How long objects on these targets keep a create waiting.
    pub(super) fn take_objects(&mut self, mdt: MdtId, targets: &[TargetId], now: Time) -> Duration {
        let ready = &mut self.servers[mdt.0 as usize].ready;
        let mut wait = Duration::ZERO;
        for target in targets {
            let each_s = self.precreate_s * self.slowness[target.index()];
            let answer_in = |objects: u32| Duration::from_secs_f64(f64::from(objects) * each_s);
            wait = wait.max(ready[target.index()].take(now, answer_in));
        }
        wait
    }

    /// How long a server's other creates and layouts keep `count` more of them waiting, their own work included.
    pub(super) fn queue(&mut self, mdt: MdtId, count: u32, now: Time) -> Duration {
        let server = &mut self.servers[mdt.0 as usize];
        let work = Duration::from_secs_f64(self.create_s * f64::from(count));
        server.free_at = server.free_at.max(now) + work;
        server.free_at.since(now)
    }
}

impl Stock {
    /// Decides as a metadata server does: by facts alone, whoever asks.
    fn place(&mut self, request: &Request<'_>, facts: &[TargetFacts], now: Time) -> Decision {
        let nobody = Cursor::new(Identity { rank: None, host_hash: 0, pid: 0, process_start: 0 });
        let knows = Knows {
            now,
            targets: facts,
            published: Err(Reason::NoTable),
            reader: Reader { fs_name_hash: 0, boot_hash: 0, now },
            cursor: &nobody,
            view: None,
            placed: None,
        };
        self.allocator.place(request, &knows, &mut self.rng)
    }
}

/// A request that only the file system's own allocator sees: who asks does not matter to it.
pub(super) fn plain_request<'a>(
    mdt: MdtId,
    layout: &'a Layout<TargetId>,
    component: usize,
    siblings: &'a [TargetId],
) -> Request<'a> {
    let name = JobName { uid: 0, job: JobId(0), executable_hash: 0, file: FileClass::Other };
    Request {
        fs: FsId(0),
        mdt,
        name,
        pid: 0,
        expected: None,
        confidence: 0,
        read_share: 0.0,
        writers: 1,
        mirror_domain: None,
        inherited: layout,
        component,
        siblings,
        start: None,
    }
}

/// A draw from [0, 1) that belongs to one purpose and id.
pub(super) fn draw(seed: u64, purpose: &str, id: u64) -> f64 {
    use rand::RngExt;
    stream(seed, purpose, id).random_range(0.0..1.0)
}
