//! Where files get their targets: the metadata server's own allocator, and the client's decision
//! before it.

use tarazu_core::control::Event as Control;
use tarazu_core::ledger::Ledger;
use tarazu_core::placement::{Central, Ticket};
use tarazu_core::policy::{Allocator, Chosen, Decision, Knows, Refusal, Request, TargetFacts};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::sample::{Placed, PlacedOutcome};
use tarazu_core::stock::{LustreRoundRobin, Random};
use tarazu_layout::{Bytes, FsId, JobId, MdtId, NodeId, TargetId, Time};
use tarazu_table::{Cursor, FileClass, FsIdentity, Identity, Reader, Reason};
use tarazu_workload::FileId;

use super::{Replay, ReplayError};
use crate::fluid::Fluid;
use crate::plane::BOOT_HASH;
use crate::profile::job_name;
use crate::scenario::Policy;
use crate::system::System;

/// The file system's allocator and the policy's.
pub(super) struct Makers {
    /// What decides wherever no layout is given.
    stock: Box<dyn Allocator>,
    stock_rng: Rng,
    /// What decides first, if anything does.
    steering: Option<Box<dyn Allocator>>,
    steering_rng: Rng,
    facts: Vec<TargetFacts>,
    /// Every placement at once, for `tarazu-central`.
    placed: Ledger,
    /// Bytes of each target that the perfect ledger has seen; empty for the other policies.
    settled: Vec<f64>,
    settled_at: Time,
    fs_name_hash: u64,
    /// The allocator that placed what existed before the run: the same for every policy.
    past: LustreRoundRobin,
    past_rng: Rng,
}

impl Makers {
    pub(super) fn new(system: &System, policy: Policy, seed: u64) -> Self {
        let facts = |spec: &tarazu_core::topology::TargetSpec| TargetFacts {
            server: spec.server,
            usable: true,
            degraded: false,
            precreated: true,
            free: Bytes((spec.capacity.0 as f64 * (1.0 - system.filled)) as u64),
        };
        let round_robin = || LustreRoundRobin::new(system.topology.by_server());
        let stock: Box<dyn Allocator> = match policy {
            Policy::Random => Box::new(Random),
            Policy::LustreRr | Policy::Tarazu | Policy::TarazuCentral => Box::new(round_robin()),
        };
        let steering: Option<Box<dyn Allocator>> = match policy {
            Policy::LustreRr | Policy::Random => None,
            Policy::Tarazu => Some(Box::new(Ticket::default())),
            Policy::TarazuCentral => Some(Box::new(Central::default())),
        };
        Self {
            stock,
            stock_rng: stream(seed, "stock allocator", 0),
            steering,
            steering_rng: stream(seed, "steering", 0),
            facts: system.topology.targets().iter().map(facts).collect(),
            placed: Ledger::new(system.topology.targets().len()),
            settled: if policy == Policy::TarazuCentral {
                vec![0.0; system.topology.targets().len()]
            } else {
                Vec::new()
            },
            settled_at: Time::ZERO,
            fs_name_hash: FsIdentity::new(FsId(0), &system.name).name_hash,
            past: round_robin(),
            past_rng: stream(seed, "past allocator", 0),
        }
    }

    /// Free space of a target.
    pub(super) fn free(&self, target: TargetId) -> Bytes {
        self.facts[target.index()].free
    }

    /// Lowers the perfect ledger by what the targets have served since the last time.
    fn settle(&mut self, fluid: &Fluid, now: Time) {
        // A burst creates its files at one moment, in which nothing is served.
        if self.settled_at == now {
            return;
        }
        self.settled_at = now;
        for (number, settled) in self.settled.iter_mut().enumerate() {
            let served = fluid.disk_served_bytes(number as u32);
            let since = (served - *settled).max(0.0) as u64;
            *settled += since as f64;
            self.placed.attribute(TargetId(number as u32), Bytes(since));
        }
    }
}

/// Knowledge of an allocator that runs on the metadata server: facts only.
fn facts_only<'a>(facts: &'a [TargetFacts], cursor: &'a Cursor, now: Time) -> Knows<'a> {
    let reader = Reader { fs_name_hash: 0, boot_hash: 0, now };
    Knows { now, targets: facts, published: Err(Reason::NoTable), reader, cursor, view: None, placed: None }
}

/// A request that only the file system's own allocator sees: who asks does not matter to it.
fn plain_request<'a>(
    layout: &'a tarazu_layout::Layout<TargetId>,
    component: usize,
    siblings: &'a [TargetId],
) -> Request<'a> {
    let name = tarazu_table::JobName { uid: 0, job: JobId(0), executable_hash: 0, file: FileClass::Other };
    Request {
        fs: FsId(0),
        mdt: MdtId(0),
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
    }
}

fn nobody() -> Cursor {
    Cursor::new(Identity { rank: None, host_hash: 0, pid: 0, process_start: 0 })
}

impl Replay<'_> {
    /// Places, as the stock allocator would have, all files that exist before the run.
    pub(super) fn place_existing(&mut self) -> Result<(), ReplayError> {
        let cursor = nobody();
        for number in 0..self.files.len() {
            if !self.workload.files[number].exists {
                continue;
            }
            self.files[number].exists = true;
            let missing: Vec<usize> = self.files[number].missing(0, u64::MAX).collect();
            for component in missing {
                let siblings = self.files[number].siblings(component);
                let request = plain_request(&self.files[number].layout, component, &siblings);
                let knows = facts_only(&self.makers.facts, &cursor, self.now);
                let decision = self.makers.past.place(&request, &knows, &mut self.makers.past_rng);
                self.accept(FileId(number as u32), component, decision)?;
            }
        }
        Ok(())
    }

    /// A rank creates (or, where another was first, opens) a file. Returns how long that takes, seconds.
    pub(super) fn create(&mut self, job: usize, rank: usize, file: FileId) -> Result<f64, ReplayError> {
        self.file(file).open += 1;
        if self.file(file).exists {
            return Ok(self.system.open_s);
        }
        let steered = self.make(job, rank, file)?;
        Ok(self.system.open_s + if steered { self.system.layout_s } else { 0.0 })
    }

    /// Makes a file: the policy first, then the file system for what it left open at offset 0.
    fn make(&mut self, job: usize, rank: usize, file: FileId) -> Result<bool, ReplayError> {
        self.file(file).exists = true;
        self.meters.files_made += 1;
        let steered = self.steer(job, rank, file)?;
        let missing: Vec<usize> = self.files[file.0 as usize].missing(0, 1).collect();
        for component in missing {
            self.place_by_stock(file, component)?;
        }
        Ok(steered)
    }

    /// Asks the policy for the first component on targets.
    fn steer(&mut self, job: usize, rank: usize, file: FileId) -> Result<bool, ReplayError> {
        let Some(component) = self.files[file.0 as usize].layout.first_on_targets() else {
            if self.makers.steering.is_some() {
                self.refuse(Refusal::NothingOnTargets);
            }
            return Ok(false);
        };
        let Some(decision) = self.ask_policy(job, rank, file, component) else { return Ok(false) };
        match decision {
            Decision::Leave(refusal) => {
                self.refuse(refusal);
                Ok(false)
            }
            Decision::Fail(_) => Err(self.no_target(file)),
            Decision::Place { targets, reason } => {
                self.file(file).allocate(component, targets);
                self.steered(job, rank, file, component, reason);
                Ok(true)
            }
        }
    }

    fn ask_policy(&mut self, job: usize, rank: usize, file: FileId, component: usize) -> Option<Decision> {
        self.makers.settle(&self.fluid, self.now);
        let steering = self.makers.steering.as_mut()?;
        let described = &self.workload.jobs[job];
        let state = &self.jobs[job].ranks[rank];
        let layout = &self.files[file.0 as usize].layout;
        let class = FileClass::of_name(self.workload.files[file.0 as usize].name.as_bytes());
        let published = match &self.plane {
            Some(plane) => plane.table_at(state.node, self.now),
            None => Err(Reason::NoTable),
        };
        let request = Request {
            name: job_name(described, class),
            pid: rank as u32,
            expected: self.profiles.expected(file),
            confidence: 100,
            writers: described.ranks.len() as u32,
            ..plain_request(layout, component, &[])
        };
        let knows = Knows {
            now: self.now,
            targets: &self.makers.facts,
            published: published.as_ref().map_err(|reason| *reason),
            reader: Reader { fs_name_hash: self.makers.fs_name_hash, boot_hash: BOOT_HASH, now: self.now },
            cursor: &state.cursor,
            view: self.plane.as_ref().map(super::Plane::view),
            placed: Some(&self.makers.placed),
        };
        Some(steering.place(&request, &knows, &mut self.makers.steering_rng))
    }

    fn refuse(&mut self, refusal: Refusal) {
        *self.meters.refusals.entry(refusal.as_str()).or_default() += 1;
    }

    /// Books a steered file: with the node for the controller, and in the perfect ledger.
    fn steered(&mut self, job: usize, rank: usize, file: FileId, component: usize, reason: Chosen) {
        self.meters.files_steered += 1;
        let expected = self.profiles.expected(file).unwrap_or(Bytes::ZERO);
        let place = file.0 as usize;
        self.files[place].steered = Some(component);
        self.files[place].expected = expected;
        let id = self.workload.jobs[job].id;
        self.files[place].placed_by = Some(id);
        let targets = self.files[place].layout.components[component].stripes.clone();
        let stripes = targets.len().max(1) as u64;
        for target in &targets {
            self.makers.placed.place(id, *target, Bytes(expected.0 / stripes), self.now);
        }
        self.note(job, rank, file, id, PlacedOutcome::Created { reason });
    }

    /// Hands a record about a steered file to its node's daemon.
    fn note(&mut self, job: usize, rank: usize, file: FileId, placed_by: JobId, outcome: PlacedOutcome) {
        let described = &self.workload.jobs[job];
        let node: NodeId = self.jobs[job].ranks[rank].node;
        let state = &self.files[file.0 as usize];
        let (Some(component), Some(plane)) = (state.steered, self.plane.as_mut()) else { return };
        let class = FileClass::of_name(self.workload.files[file.0 as usize].name.as_bytes());
        plane.note(
            node,
            Placed {
                job: placed_by,
                key: job_name(described, class).exact(),
                targets: state.layout.components[component].stripes.clone(),
                expected: state.expected,
                outcome,
            },
        );
    }

    /// Before a write: the file exists, and every component that is touched has targets.
    pub(super) fn prepare_write(&mut self, file: FileId, offset: u64, bytes: u64) -> Result<(), ReplayError> {
        if !self.file(file).exists {
            // A log may lack the open. The client decides when a file is made, so this one is the file
            // system's.
            self.file(file).exists = true;
            self.meters.files_made += 1;
            if self.makers.steering.is_some() {
                self.refuse(Refusal::CreateUnseen);
            }
        }
        let missing: Vec<usize> = self.files[file.0 as usize].missing(offset, offset + bytes).collect();
        for component in missing {
            self.place_by_stock(file, component)?;
        }
        Ok(())
    }

    fn place_by_stock(&mut self, file: FileId, component: usize) -> Result<(), ReplayError> {
        let cursor = nobody();
        let state = &self.files[file.0 as usize];
        let siblings = state.siblings(component);
        let request = plain_request(&state.layout, component, &siblings);
        let knows = facts_only(&self.makers.facts, &cursor, self.now);
        let decision = self.makers.stock.place(&request, &knows, &mut self.makers.stock_rng);
        self.accept(file, component, decision)
    }

    /// Takes what the file system's own allocator decided.
    fn accept(&mut self, file: FileId, component: usize, decision: Decision) -> Result<(), ReplayError> {
        match decision {
            Decision::Place { targets, .. } => {
                self.file(file).allocate(component, targets);
                Ok(())
            }
            Decision::Leave(_) | Decision::Fail(_) => Err(self.no_target(file)),
        }
    }

    fn no_target(&self, file: FileId) -> ReplayError {
        ReplayError::NoTarget { name: self.workload.files[file.0 as usize].name.clone() }
    }

    /// A rank closes a file; the first time that nobody has it open any more, its node is told what
    /// became of a steered one. Later opens write what was not foreseen.
    pub(super) fn close(&mut self, job: usize, rank: usize, file: FileId) {
        let state = self.file(file);
        state.open = state.open.saturating_sub(1);
        if state.open > 0 {
            return;
        }
        let Some(id) = state.placed_by.take() else { return };
        let Some(component) = state.steered else { return };
        let (expected, written) = (state.expected, Bytes(state.written));
        let targets = state.layout.components[component].stripes.clone();
        let stripes = targets.len().max(1) as u64;
        for target in &targets {
            let (expected, written) = (Bytes(expected.0 / stripes), Bytes(written.0 / stripes));
            self.makers.placed.close_file(id, *target, expected, written);
        }
        self.note(job, rank, file, id, PlacedOutcome::Closed { written });
    }

    /// All ranks of a job have ended.
    pub(super) fn job_ended(&mut self, job: usize) {
        let id = self.workload.jobs[job].id;
        self.makers.placed.close_job(id);
        if let Some(plane) = &self.plane {
            let delivery = plane.leave_agent(self.now, Control::JobEnded(id));
            self.deliver_at(delivery.at, delivery.event);
        }
    }
}
