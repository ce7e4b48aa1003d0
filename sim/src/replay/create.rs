//! Where files get their targets: the metadata server's own allocator, and the client's decision
//! before it.

use std::collections::BTreeMap;

use tarazu_core::control::Event as Control;
use tarazu_core::placement::{Central, Ticket};
use tarazu_core::policy::{Allocator, Chosen, Decision, Knows, Refusal, Request, TargetFacts};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::sample::{Placed, PlacedOutcome};
use tarazu_core::stock::{Lustre, Random};
use tarazu_layout::{Bytes, FsId, JobId, MdtId, TargetId, Time};
use tarazu_table::{Cursor, FileClass, FsIdentity, Identity, Reader, Reason};
use tarazu_workload::FileId;

use super::perfect::Perfect;
use super::{FileState, Replay, ReplayError};
use crate::plane::BOOT_HASH;
use crate::profile::job_name;
use crate::scenario::Policy;
use crate::system::System;

/// The file system's allocator and the policy's.
pub(super) struct Makers {
    /// What decides wherever no layout is given.
    stock: Stock,
    /// What decides first, if anything does.
    steering: Option<Box<dyn Allocator>>,
    steering_rng: Rng,
    facts: Vec<TargetFacts>,
    /// Only for `tarazu-central`.
    perfect: Option<Perfect>,
    fs_name_hash: u64,
    /// The allocator that placed what existed before the run: the same for every policy.
    past: Stock,
}

/// An allocator of the file system's own, with its random stream.
struct Stock {
    allocator: Box<dyn Allocator>,
    rng: Rng,
}

impl Makers {
    pub(super) fn new(system: &System, policy: Policy, seed: u64) -> Self {
        let facts = |spec: &tarazu_core::topology::TargetSpec| TargetFacts {
            server: spec.server,
            usable: true,
            degraded: false,
            precreated: true,
            free: Bytes((spec.capacity.0 as f64 * (1.0 - system.filled)) as u64),
            ..TargetFacts::WELL
        };
        let servers: Vec<_> = system.topology.targets().iter().map(|spec| spec.server).collect();
        let round_robin = || Lustre::round_robin(&servers, &BTreeMap::new());
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
            stock: Stock { allocator: stock, rng: stream(seed, "stock allocator", 0) },
            steering,
            steering_rng: stream(seed, "steering", 0),
            facts: system.topology.targets().iter().map(facts).collect(),
            perfect: (policy == Policy::TarazuCentral).then(|| Perfect::new(system.topology.targets().len())),
            fs_name_hash: FsIdentity::new(FsId(0), &system.name).name_hash,
            past: Stock { allocator: Box::new(round_robin()), rng: stream(seed, "past allocator", 0) },
        }
    }

    /// Free space of a target.
    pub(super) fn free(&self, target: TargetId) -> Bytes {
        self.facts[target.index()].free
    }
}

impl Stock {
    /// Decides as a metadata server does: by facts alone, whoever asks.
    fn place(&mut self, file: &FileState, component: usize, facts: &[TargetFacts], now: Time) -> Decision {
        let siblings = file.siblings(component);
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
        self.allocator.place(&plain_request(&file.layout, component, &siblings), &knows, &mut self.rng)
    }
}

/// When a file gets its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    /// Before the run, alike for every policy.
    Past,
    /// In the run.
    Run,
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
        start: None,
    }
}

impl Replay<'_> {
    /// Places, as the stock allocator would have, all files that exist before the run.
    pub(super) fn place_existing(&mut self) -> Result<(), ReplayError> {
        for (number, file) in self.workload.files.iter().enumerate().filter(|(_, file)| file.exists) {
            self.files[number].exists = file.exists;
            self.place_missing(FileId(number as u32), 0, u64::MAX, Era::Past)?;
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
        self.place_missing(file, 0, 1, Era::Run)?;
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
        if let Some(perfect) = &mut self.makers.perfect {
            perfect.settle(&self.fluid, self.now);
        }
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
            placed: self.makers.perfect.as_ref().map(Perfect::ledger),
        };
        Some(steering.place(&request, &knows, &mut self.makers.steering_rng))
    }

    fn refuse(&mut self, refusal: Refusal) {
        *self.meters.refusals.entry(refusal.as_str()).or_default() += 1;
    }

    /// Books a steered file.
    fn steered(&mut self, job: usize, rank: usize, file: FileId, component: usize, reason: Chosen) {
        self.meters.files_steered += 1;
        let id = self.workload.jobs[job].id;
        let expected = self.profiles.expected(file).unwrap_or(Bytes::ZERO);
        let state = self.file(file);
        state.steered = Some(component);
        state.expected = expected;
        state.placed_by = Some(id);
        self.note(job, rank, file, id, PlacedOutcome::Created { reason });
    }

    /// Hands a record about a steered file to its node's daemon, and to the perfect ledger at once.
    fn note(&mut self, job: usize, rank: usize, file: FileId, placed_by: JobId, outcome: PlacedOutcome) {
        let described = &self.workload.jobs[job];
        let state = &self.files[file.0 as usize];
        let (Some(component), Some(plane)) = (state.steered, self.plane.as_mut()) else { return };
        let class = FileClass::of_name(self.workload.files[file.0 as usize].name.as_bytes());
        let placed = Placed {
            job: placed_by,
            key: job_name(described, class).exact(),
            targets: state.layout.components[component].stripes.clone(),
            expected: state.expected,
            outcome,
        };
        if let Some(perfect) = &mut self.makers.perfect {
            perfect.take_placed(&placed, self.now);
        }
        plane.note(self.jobs[job].ranks[rank].node, placed);
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
        self.place_missing(file, offset, offset + bytes, Era::Run)
    }

    /// Gives targets to every component that `[start, end)` touches and that has none, by an allocator
    /// of the file system's own.
    fn place_missing(&mut self, file: FileId, start: u64, end: u64, era: Era) -> Result<(), ReplayError> {
        let missing: Vec<usize> = self.files[file.0 as usize].missing(start, end).collect();
        for component in missing {
            let stock = match era {
                Era::Past => &mut self.makers.past,
                Era::Run => &mut self.makers.stock,
            };
            let state = &self.files[file.0 as usize];
            let decision = stock.place(state, component, &self.makers.facts, self.now);
            let Decision::Place { targets, .. } = decision else { return Err(self.no_target(file)) };
            self.file(file).allocate(component, targets);
        }
        Ok(())
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
        let written = Bytes(state.written);
        self.note(job, rank, file, id, PlacedOutcome::Closed { written });
    }

    /// All ranks of a job have ended.
    pub(super) fn job_ended(&mut self, job: usize) {
        let id = self.workload.jobs[job].id;
        if let Some(perfect) = &mut self.makers.perfect {
            perfect.close_job(id);
        }
        if let Some(plane) = &self.plane {
            let delivery = plane.leave_agent(self.now, Control::JobEnded(id));
            self.deliver_at(delivery.at, delivery.event);
        }
    }
}
