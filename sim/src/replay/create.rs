//! Where files get their targets: the client's decision first, then the metadata server's own allocator.

use std::time::Duration;

use tarazu_core::control::Event as Control;
use tarazu_core::placement::{Central, Ticket};
use tarazu_core::policy::{Allocator, Chosen, Decision, Knows, Refusal, Request};
use tarazu_core::rivals::{Libpio, LinearFlow, TwoChoices};
use tarazu_core::rng::{Rng, stream};
use tarazu_core::sample::{Placed, PlacedOutcome};
use tarazu_core::worth::Why;
use tarazu_layout::{Bytes, FsId, JobId, TargetId};
use tarazu_table::{FileClass, FsIdentity, Reader, Reason, filled_stripes};
use tarazu_workload::FileId;

use super::metadata::{Era, MetadataServers, plain_request};
use super::perfect::Perfect;
use super::{Replay, ReplayError};
use crate::counters;
use crate::plane::BOOT_HASH;
use crate::profile::job_name;
use crate::scenario::{Policy, Scenario};
use crate::system::System;

/// The file system's metadata servers and the policy's allocator.
pub(super) struct Makers {
    /// What decides wherever no layout is given.
    pub(super) metadata: MetadataServers,
    /// What decides first, if anything does.
    steering: Option<Box<dyn Allocator>>,
    steering_rng: Rng,
    /// Only for `tarazu-central`.
    perfect: Option<Perfect>,
    fs_name_hash: u64,
}

impl Makers {
    pub(super) fn new(system: &System, policy: Policy, scenario: &Scenario, seed: u64) -> Self {
        let allocator = if policy.is_stock() { policy } else { scenario.beneath };
        let purpose = if scenario.redraw { "stock allocator, redrawn" } else { "stock allocator" };
        let steering: Option<Box<dyn Allocator>> = match policy {
            Policy::LustreRr
            | Policy::LustreQos
            | Policy::LustreQos215
            | Policy::LustreQos212
            | Policy::Random => None,
            Policy::Libpio => Some(Box::new(Libpio::default())),
            Policy::LinearFlow => Some(Box::new(LinearFlow)),
            Policy::TwoChoices => Some(Box::new(TwoChoices)),
            Policy::Tarazu => Some(Box::new(Ticket::default())),
            Policy::TarazuCentral => Some(Box::new(Central::default())),
        };
        Self {
            metadata: MetadataServers::new(system, allocator, purpose, seed),
            steering,
            steering_rng: stream(seed, "steering", 0),
            perfect: (policy == Policy::TarazuCentral).then(|| Perfect::new(system.topology.targets().len())),
            fs_name_hash: FsIdentity::new(FsId(0), &system.name).name_hash,
        }
    }
}

/// What making a file cost besides its round trip.
struct Made {
    /// Layouts sent.
    layouts: u32,
    /// Until the last of its objects was ready.
    objects_in: Duration,
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

    /// A rank creates (or, where another was first, opens) a file. Returns how long that takes.
    pub(super) fn create(&mut self, job: usize, rank: usize, file: FileId) -> Result<Duration, ReplayError> {
        let metadata = self.system.metadata;
        let round_trip = Duration::from_secs_f64(metadata.open_s);
        self.file(file).open += 1;
        if self.file(file).exists {
            return Ok(self.opens_in(file));
        }
        let made = self.make(job, rank, file)?;
        let layouts = made.layouts;
        let waits = self.makers.metadata.queue(self.files[file.0 as usize].mdt, 1 + layouts, self.now);
        let takes =
            round_trip + Duration::from_secs_f64(metadata.layout_s) * layouts + waits + made.objects_in;
        self.file(file).made_at = self.now + takes;
        Ok(takes)
    }

    /// How long opening a file takes that exists, or is being made.
    pub(super) fn opens_in(&self, file: FileId) -> Duration {
        let round_trip = Duration::from_secs_f64(self.system.metadata.open_s);
        round_trip.max(self.files[file.0 as usize].made_at.since(self.now))
    }

    /// Makes a file: the policy first, then the file system for what it left open at offset 0.
    fn make(&mut self, job: usize, rank: usize, file: FileId) -> Result<Made, ReplayError> {
        self.file(file).exists = true;
        self.meters.files_made += 1;
        let layouts = self.steer(job, rank, file)?;
        self.place_missing(file, 0, 1, Era::Run)?;
        let state = &self.files[file.0 as usize];
        let objects: Vec<_> = state.layout.targets().collect();
        let objects_in = self.makers.metadata.take_objects(state.mdt, &objects, self.now);
        Ok(Made { layouts, objects_in })
    }

    /// Asks the policy for the first component on targets. Returns how many layouts were sent.
    fn steer(&mut self, job: usize, rank: usize, file: FileId) -> Result<u32, ReplayError> {
        let Some(component) = self.files[file.0 as usize].layout.first_on_targets() else {
            if self.makers.steering.is_some() {
                self.refuse(Refusal::NothingOnTargets);
            }
            return Ok(0);
        };
        // No list may leave the file's pool, and none of the policies that give lists knows pools.
        let pool = self.files[file.0 as usize].layout.components[component].pool;
        if self.makers.steering.is_some() && pool.is_some_and(|name| self.system.pools.contains_key(&name)) {
            self.refuse(Refusal::Pool);
            return Ok(0);
        }
        let Some((decision, why)) = self.ask_policy(job, rank, file, component) else { return Ok(0) };
        match decision {
            Decision::Leave(refusal) => {
                self.count_left(refusal, why);
                Ok(0)
            }
            Decision::Fail(_) => Err(self.no_target(file)),
            // The server refuses the whole list; the client then asks for the default layout.
            Decision::Place { targets, .. } if !self.makers.metadata.takes_list(&targets) => {
                self.refuse(Refusal::ListRefused);
                Ok(2)
            }
            Decision::Place { targets, reason } => {
                self.file(file).allocate(component, targets);
                *self.meters.steered.entry(counters::steered(reason, why)).or_default() += 1;
                self.steered(job, rank, file, component, reason);
                Ok(1)
            }
        }
    }

    /// Asks the policy, and the plan that it follows why the file's job is steered or left.
    fn ask_policy(
        &mut self,
        job: usize,
        rank: usize,
        file: FileId,
        component: usize,
    ) -> Option<(Decision, Option<Why>)> {
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
            ..plain_request(self.files[file.0 as usize].mdt, layout, component, &[])
        };
        let knows = Knows {
            now: self.now,
            targets: self.makers.metadata.facts(),
            published: published.as_ref().map_err(|reason| *reason),
            reader: Reader { fs_name_hash: self.makers.fs_name_hash, boot_hash: BOOT_HASH, now: self.now },
            cursor: &state.cursor,
            view: self.plane.as_ref().map(super::Plane::view),
            placed: self.makers.perfect.as_ref().map(Perfect::ledger),
        };
        let decision = steering.place(&request, &knows, &mut self.makers.steering_rng);
        let why = self.plane.as_ref().and_then(|plane| plane.why_at(state.node, self.now, &request.name));
        Some((decision, why))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.count_left(refusal, None);
    }

    fn count_left(&mut self, refusal: Refusal, why: Option<Why>) {
        *self.meters.refusals.entry(counters::left(refusal, why)).or_default() += 1;
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
        // Stripes that a small file leaves empty are no work for their targets.
        let of = &state.layout.components[component];
        let stripe_size = u32::try_from(of.stripe_size).unwrap_or(u32::MAX);
        let filled = filled_stripes(state.expected.0, stripe_size, of.stripes.len());
        let placed = Placed {
            job: placed_by,
            key: job_name(described, class).exact(),
            targets: of.stripes.iter().take(filled).copied().collect(),
            expected: state.expected,
            outcome,
        };
        if let Some(perfect) = &mut self.makers.perfect {
            perfect.take_placed(&placed, self.now);
        }
        plane.note(self.jobs[job].ranks[rank].node, placed);
    }

    /// Before a write: the file exists, and every component that is touched has targets. Returns how long the
    /// client waits for those: it asks the metadata server as soon as it comes to a component without.
    pub(super) fn prepare_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: u64,
    ) -> Result<Duration, ReplayError> {
        if !self.file(file).exists {
            // A log may lack the open. The client decides when a file is made, so this one is the file
            // system's.
            self.file(file).exists = true;
            self.meters.files_made += 1;
            if self.makers.steering.is_some() {
                self.refuse(Refusal::CreateUnseen);
            }
        }
        let placed = self.place_missing(file, offset, offset + bytes, Era::Run)?;
        if placed.is_empty() {
            return Ok(Duration::ZERO);
        }
        let mdt = self.files[file.0 as usize].mdt;
        let objects_in = self.makers.metadata.take_objects(mdt, &placed, self.now);
        let waits = self.makers.metadata.queue(mdt, 1, self.now);
        Ok(Duration::from_secs_f64(self.system.metadata.open_s) + waits + objects_in)
    }

    /// Gives targets to every component that `[start, end)` touches and that has none, by an allocator
    /// of the file system's own. Returns those targets.
    fn place_missing(
        &mut self,
        file: FileId,
        start: u64,
        end: u64,
        era: Era,
    ) -> Result<Vec<TargetId>, ReplayError> {
        let mut placed = Vec::new();
        let missing: Vec<usize> = self.files[file.0 as usize].missing(start, end).collect();
        for component in missing {
            let state = &self.files[file.0 as usize];
            let decision = self.makers.metadata.place(state, component, era, self.now);
            let Decision::Place { targets, .. } = decision else { return Err(self.no_target(file)) };
            placed.extend_from_slice(&targets);
            self.file(file).allocate(component, targets);
        }
        Ok(placed)
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
