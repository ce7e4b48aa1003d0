//! The controller's view: slow facts, health, live load and placed work of every target.
//!
//! It is rebuilt from agents and nodes; nothing in it is durable but the intent that flows in from
//! outside. It judges nothing by itself: what a target's numbers mean for placement is the planner's
//! affair, through [`View::standing`].

use std::collections::BTreeMap;

use tarazu_layout::{Bytes, JobId, ServerId, TargetId, Time};
use tarazu_table::JobKey;

use crate::control::Drain;
use crate::health::{Judgement, RAMP_IN, RAMP_IN_NEW, Ramp, ramp_out};
use crate::ledger::Ledger;
use crate::persistence::Persistence;
use crate::recent::{Recent, faded};
use crate::sample::{INTERVAL_MIN_S, JobStart, LoadSample, Placed, PlacedOutcome, TargetFlags, TargetSample};
use crate::topology::{TargetSpec, Topology};

/// Jobs that the view holds profiles of. More are counted and left out: the table has room for fewer.
pub const JOBS_MAX: usize = 16_384;

/// Kinds of files of one job that the view holds profiles of: a program has a handful, a job runs a few programs.
pub const JOB_FILES_MAX: usize = 64;

/// Free space below which a target counts as full, as a share of its size: well above Lustre's own
/// reserve of 0.1 %, because an explicit list fails the whole create when one of its targets is full.
pub const FULL_BELOW: f64 = 0.01;

/// Health below which a target is called sick and excluded, as a share of its prior bandwidth.
pub const SICK_BELOW: f64 = 0.25;

/// Share of its size that is free from which on a target that turns up counts as new: nothing but the
/// file system's own is on it.
const EMPTY_ABOVE: f64 = 0.98;

/// Largest share of its class's bandwidth that a target counts as having delivered: all of both directions.
/// What caches served beyond it must not be remembered for longer.
const DELIVERED_MAX: f64 = 2.0;

/// Change of a target's load that a new plan is worth, as a share of its bandwidth.
pub const MATERIAL_LOAD: f64 = 0.02;

/// A judgement of a target's speed against its hardware class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Health {
    /// Share of the prior read bandwidth that it delivers, above 0 up to 1.
    pub read: f64,
    /// Share of the prior write bandwidth that it delivers, above 0 up to 1.
    pub write: f64,
}

impl Health {
    /// As fast as its class.
    pub const WELL: Self = Self { read: 1.0, write: 1.0 };
}

/// What one target was doing in its newest sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// When the sample arrived.
    pub at: Time,
    /// Bytes read a second.
    pub read_bps: f64,
    /// Bytes written a second.
    pub write_bps: f64,
    /// Part of the written bytes a second that no ledger entry explains: work of others.
    pub foreign_write_bps: f64,
}

/// Everything known of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetView {
    /// State flags of the newest sample.
    pub flags: TargetFlags,
    /// Free space of the newest sample.
    pub free: Bytes,
    /// Health as last judged.
    pub health: Health,
    /// Who judged so and why; `None` while nobody has anything against it.
    pub judged: Option<Judgement>,
    /// Its way back to all of its work, after an absence or as a new one.
    pub ramp: Option<Ramp>,
    /// The newest load, `None` before the first sample.
    pub load: Option<Load>,
    /// Its agent reported once and does not any more: nobody knows whether it is still there.
    pub silent: bool,
    /// An operator's word that it gets no new files.
    pub drained: Option<Drain>,
}

impl TargetView {
    /// Before its first sample.
    fn unseen(spec: &TargetSpec) -> Self {
        Self {
            flags: TargetFlags::default(),
            free: spec.capacity,
            health: Health::WELL,
            judged: None,
            ramp: None,
            load: None,
            silent: false,
            drained: None,
        }
    }
}

/// Why a topology cannot follow the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    /// A target is missing, or another has its number.
    #[error("{0} is missing from the new topology, or its number is another target's")]
    Target(TargetId),
    /// There are fewer servers.
    #[error("the new topology has fewer than the {now} servers of now")]
    Servers {
        /// Servers of now.
        now: usize,
    },
}

/// Why a target gets no new files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exclusion {
    /// Inactive, read-only or `no_create`: an explicit list with it would fail.
    Unusable,
    /// Drained by an operator.
    Drained,
    /// Too little free space.
    Full,
    /// Marked degraded: the list allocator would take it, the stock one avoids it, and so do we.
    Degraded,
    /// Judged sick.
    Sick,
    /// Nothing was heard of it for three intervals.
    Silent,
}

impl Exclusion {
    /// Whether it rests on a judgement of ours, and so is subject to the cap on such exclusions.
    #[must_use]
    pub fn is_automatic(self) -> bool {
        matches!(self, Self::Sick | Self::Silent)
    }

    /// A short stable name for counters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unusable => "unusable",
            Self::Drained => "drained",
            Self::Full => "full",
            Self::Degraded => "degraded",
            Self::Sick => "sick",
            Self::Silent => "silent",
        }
    }
}

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// The server does not exist.
    #[error("{0} is not a server of this file system")]
    UnknownServer(ServerId),
    /// A row names a target of another server.
    #[error("{target} is not served by {server}")]
    ForeignTarget {
        /// The server of the sample.
        server: ServerId,
        /// The target of the row.
        target: TargetId,
    },
    /// Two rows name one target.
    #[error("the sample of {server} has {target} twice")]
    RepeatedTarget {
        /// The server of the sample.
        server: ServerId,
        /// The target.
        target: TargetId,
    },
    /// The sequence number is not above the newest one.
    #[error("sample {sequence} of {server} came again or late")]
    Repeated {
        /// The server.
        server: ServerId,
        /// The refused number.
        sequence: u64,
    },
    /// The interval is no number of seconds or shorter than [`INTERVAL_MIN_S`].
    #[error("the sample of {0} covers an interval that is not a number of at least {INTERVAL_MIN_S} s")]
    Interval(ServerId),
    /// A measured value is negative, not a number or beyond all measure.
    #[error("the sample of {server} gives {target} a {what} that cannot be")]
    Impossible {
        /// The server of the sample.
        server: ServerId,
        /// The target of the row.
        target: TargetId,
        /// The value's name.
        what: &'static str,
    },
}

/// The controller's picture of one file system.
#[derive(Clone, Debug)]
pub struct View {
    /// What it is built of.
    pub topology: Topology,
    /// Every target, by id.
    pub targets: Vec<TargetView>,
    /// Placed work.
    pub ledger: Ledger,
    /// What was written lately.
    pub recent: Recent,
    /// The largest share of its class's bandwidth that each target was seen to deliver over one interval, and when:
    /// it counts half after each [`HALF_LIFE`](crate::recent::HALF_LIFE).
    proved: Vec<(f64, Time)>,
    /// Files made, by key in the table; of running jobs only.
    made: BTreeMap<JobKey, u64>,
    /// Running jobs with their profiles.
    pub jobs: BTreeMap<JobId, JobStart>,
    /// (agent start, sequence) of the newest sample of each server.
    newest: Vec<Option<(Time, u64)>>,
    persistence: Persistence,
}

impl View {
    /// A view before the first sample.
    #[must_use]
    pub fn new(topology: Topology) -> Self {
        let targets: Vec<_> = topology.targets().iter().map(TargetView::unseen).collect();
        let ledger = Ledger::new(targets.len());
        let recent = Recent::new(targets.len());
        let proved = vec![(0.0, Time::ZERO); targets.len()];
        let newest = vec![None; topology.servers().len()];
        let persistence = Persistence::new(targets.len());
        Self {
            topology,
            targets,
            ledger,
            recent,
            proved,
            made: BTreeMap::new(),
            jobs: BTreeMap::new(),
            newest,
            persistence,
        }
    }

    /// Goes on with another topology, in which every target and server has the number that it has now; what
    /// was seen of them stays.
    ///
    /// # Errors
    /// A target or server of now that is missing or has another number.
    pub fn grow(&mut self, topology: Topology) -> Result<(), GrowError> {
        let (now, then) = (self.topology.targets(), topology.targets());
        let moved = now
            .iter()
            .enumerate()
            .find(|(number, spec)| then.get(*number).is_none_or(|continued| continued.ost != spec.ost));
        if let Some((number, _)) = moved {
            return Err(GrowError::Target(TargetId(number as u32)));
        }
        if topology.servers().len() < self.topology.servers().len() {
            return Err(GrowError::Servers { now: self.topology.servers().len() });
        }
        let targets = then.len();
        self.targets.extend(then[self.targets.len()..].iter().map(TargetView::unseen));
        self.ledger.grow(targets);
        self.recent.grow(targets);
        self.persistence.grow(targets);
        self.proved.resize(targets, (0.0, Time::ZERO));
        self.newest.resize(topology.servers().len(), None);
        self.topology = topology;
        Ok(())
    }

    /// Takes a sample in, whole or not at all. Returns whether it says anything that a plan would look
    /// at: state, load or placed work that changed.
    ///
    /// # Errors
    /// Unknown server, foreign or repeated target, a repeated or late sample, a senseless interval, a
    /// value that cannot have been measured.
    pub fn take_sample(&mut self, sample: &LoadSample, now: Time) -> Result<bool, SampleError> {
        let server = sample.server;
        let newest = self.newest.get(server.index()).ok_or(SampleError::UnknownServer(server))?;
        let order = (sample.agent_start, sample.sequence);
        if newest.is_some_and(|newest| order <= newest) {
            return Err(SampleError::Repeated { server, sequence: sample.sequence });
        }
        if !(sample.interval_s.is_finite() && sample.interval_s >= INTERVAL_MIN_S) {
            return Err(SampleError::Interval(server));
        }
        let foreign = |row: &&TargetSample| {
            self.topology.targets().get(row.target.index()).is_none_or(|spec| spec.server != server)
        };
        if let Some(row) = sample.targets.iter().find(foreign) {
            return Err(SampleError::ForeignTarget { server, target: row.target });
        }
        let mut named: Vec<TargetId> = sample.targets.iter().map(|row| row.target).collect();
        named.sort_unstable();
        if let Some(pair) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SampleError::RepeatedTarget { server, target: pair[0] });
        }
        let impossible = |row: &TargetSample| {
            let spec = &self.topology.targets()[row.target.index()];
            Some((row.target, row.impossible(sample.interval_s, spec)?))
        };
        if let Some((target, what)) = sample.targets.iter().find_map(impossible) {
            return Err(SampleError::Impossible { server, target, what });
        }
        self.newest[server.index()] = Some(order);
        self.ramp_in_new(sample, now);
        let mut material = false;
        for row in &sample.targets {
            material |= self.take_row(row, sample.interval_s, now);
        }
        Ok(material)
    }

    /// Targets that turn up empty where others are in use are new. Where most are as empty, the whole file
    /// system is new, and none of them has less to be read from it than others.
    fn ramp_in_new(&mut self, sample: &LoadSample, now: Time) {
        let is_empty = |row: &TargetSample| {
            free_share(row.free, self.topology.targets()[row.target.index()].capacity) > EMPTY_ABOVE
        };
        let is_unseen = |row: &&TargetSample| self.targets[row.target.index()].load.is_none();
        let unseen: Vec<(TargetId, bool)> =
            sample.targets.iter().filter(is_unseen).map(|row| (row.target, is_empty(row))).collect();
        if !unseen.iter().any(|(_, empty)| *empty) {
            return;
        }
        let seen = self.targets.iter().zip(self.topology.targets()).filter(|(view, _)| view.load.is_some());
        let seen = seen.map(|(view, spec)| free_share(view.free, spec.capacity) > EMPTY_ABOVE);
        let (all, empty) = seen
            .chain(unseen.iter().map(|(_, empty)| *empty))
            .fold((0, 0), |(all, empties), empty| (all + 1, empties + usize::from(empty)));
        if empty * 2 >= all {
            return;
        }
        for (target, _) in unseen.into_iter().filter(|(_, empty)| *empty) {
            self.targets[target.index()].ramp = Some(Ramp { from: now, takes: RAMP_IN_NEW });
        }
    }

    fn take_row(&mut self, row: &TargetSample, interval_s: f64, now: Time) -> bool {
        let before = self.targets[row.target.index()].load;
        // What others wrote a moment ago they are taken to write still; only the rest can be placed work.
        let others = before.map_or(0.0, |load| load.foreign_write_bps * interval_s) as u64;
        self.recent.add(row.target, row.written, now);
        let own = self.ledger.attribute(row.target, row.written.saturating_sub(Bytes(others)));
        let load = Load {
            at: now,
            read_bps: row.read.0 as f64 / interval_s,
            write_bps: row.written.0 as f64 / interval_s,
            foreign_write_bps: row.written.saturating_sub(own).0 as f64 / interval_s,
        };
        let spec = &self.topology.targets()[row.target.index()];
        let target = &mut self.targets[row.target.index()];
        let load_changed = before.is_none_or(|before| {
            let reads = (load.read_bps - before.read_bps).abs() / spec.read_bps;
            let writes = (load.foreign_write_bps - before.foreign_write_bps).abs() / spec.write_bps;
            reads.max(writes) > MATERIAL_LOAD
        });
        let was_full = is_full(TargetFlags::default(), target.free, spec.capacity);
        let is_full = is_full(TargetFlags::default(), row.free, spec.capacity);
        let fills =
            ramp_out(free_share(row.free, spec.capacity)) != ramp_out(free_share(target.free, spec.capacity));
        let material =
            load_changed || own > Bytes::ZERO || target.flags != row.state || was_full != is_full || fills;
        if target.flags.inactive && !row.state.inactive {
            let is_new = free_share(row.free, spec.capacity) > EMPTY_ABOVE;
            target.ramp = Some(Ramp { from: now, takes: if is_new { RAMP_IN_NEW } else { RAMP_IN } });
        }
        let was_silent = std::mem::take(&mut target.silent);
        if was_silent {
            target.ramp = Some(Ramp { from: now, takes: RAMP_IN });
        }
        let material = material || was_silent;
        let delivered = load.write_bps / spec.write_bps + load.read_bps / spec.read_bps;
        let proved = &mut self.proved[row.target.index()];
        if delivered >= faded(*proved, now) {
            *proved = (delivered.min(DELIVERED_MAX), now);
        }
        let busy = load.foreign_write_bps / spec.write_bps + load.read_bps / spec.read_bps;
        self.persistence.observe(row.target.index(), busy, interval_s, now);
        target.flags = row.state;
        target.free = row.free;
        target.load = Some(load);
        material
    }

    /// Books what a client placed or closed.
    pub fn take_placed(&mut self, placed: &Placed, now: Time) {
        self.ledger.take_placed(placed, now);
        if matches!(placed.outcome, PlacedOutcome::Created { .. })
            && let Some(made) = self.made.get_mut(&placed.key)
        {
            *made += 1;
        }
    }

    /// Notes a job that starts. Each of its nodes may know other files of it: what is said of a kind of file replaces
    /// what was said before of that kind. Returns whether there was room for it.
    pub fn take_job_start(&mut self, start: JobStart) -> bool {
        let Some(known) = self.jobs.get_mut(&start.job) else {
            let room = self.jobs.len() < JOBS_MAX;
            if room {
                for file in &start.files {
                    self.made.entry(file.key).or_insert(0);
                }
                self.jobs.insert(start.job, start);
            }
            return room;
        };
        known.world = known.world.max(start.world);
        for file in start.files {
            let place = known.files.iter().position(|other| other.key == file.key);
            match place {
                Some(place) => known.files[place] = file,
                None if known.files.len() < JOB_FILES_MAX => known.files.push(file),
                None => return false,
            }
            self.made.entry(file.key).or_insert(0);
        }
        true
    }

    /// Forgets a job that ended, with all its placed work.
    pub fn take_job_end(&mut self, job: JobId) {
        for file in self.jobs.remove(&job).iter().flat_map(|start| &start.files) {
            self.made.remove(&file.key);
        }
        self.ledger.close_job(job);
    }

    /// The largest share of its class's bandwidth that a target has delivered of late.
    #[must_use]
    pub fn proved_share(&self, target: TargetId, now: Time) -> f64 {
        self.proved.get(target.index()).map_or(0.0, |proved| faded(*proved, now))
    }

    /// Files of a key that its running job has made; 0 for a key that no running job has.
    #[must_use]
    pub fn made(&self, key: JobKey) -> u64 {
        self.made.get(&key).copied().unwrap_or(0)
    }

    /// Whether a target may get new files, and if not why.
    #[must_use]
    pub fn standing(&self, target: TargetId) -> Option<Exclusion> {
        let spec = &self.topology.targets()[target.index()];
        let seen = &self.targets[target.index()];
        let flags = seen.flags;
        if flags.refuses_objects() {
            return Some(Exclusion::Unusable);
        }
        if seen.drained.is_some() {
            return Some(Exclusion::Drained);
        }
        if is_full(flags, seen.free, spec.capacity) {
            return Some(Exclusion::Full);
        }
        if flags.degraded {
            return Some(Exclusion::Degraded);
        }
        if seen.health.read.min(seen.health.write) < SICK_BELOW {
            return Some(Exclusion::Sick);
        }
        seen.silent.then_some(Exclusion::Silent)
    }

    /// Share of a target's speed that new work may count on while it comes back, is new, or fills up: 0
    /// only where it is full, else above 0 up to 1.
    #[must_use]
    pub fn ramp(&self, target: TargetId, now: Time) -> f64 {
        let (spec, seen) = (&self.topology.targets()[target.index()], &self.targets[target.index()]);
        let back = seen.ramp.map_or(1.0, |ramp| ramp.share(now));
        back * ramp_out(free_share(seen.free, spec.capacity))
    }

    /// Part of a target's excess load that is still there when a file placed now is written, 0 to 0.95,
    /// as measured so far.
    #[must_use]
    pub fn load_persistence(&self) -> f64 {
        self.persistence.get()
    }

    /// Marks targets that were heard of once and not for `max_age`. Returns whether any fell silent.
    pub fn note_silence(&mut self, now: Time, max_age: std::time::Duration) -> bool {
        let mut any = false;
        for target in self.targets.iter_mut().filter(|target| !target.silent) {
            target.silent = target.load.is_some_and(|load| now.since(load.at) > max_age);
            any |= target.silent;
        }
        any
    }

    /// Targets whose newest sample is not older than `max_age`.
    #[must_use]
    pub fn fresh_targets(&self, now: Time, max_age: std::time::Duration) -> usize {
        let fresh = |view: &&TargetView| view.load.is_some_and(|load| now.since(load.at) <= max_age);
        self.targets.iter().filter(fresh).count()
    }

    /// Whether fewer than half of the targets have a sample that is not older than `max_age`: what they
    /// do now is then unknown, and only slow facts count.
    #[must_use]
    pub fn is_mostly_silent(&self, now: Time, max_age: std::time::Duration) -> bool {
        self.fresh_targets(now, max_age) * 2 < self.targets.len()
    }

    /// Read bandwidth that the target is believed to deliver when it has nothing else to do, bytes/s.
    #[must_use]
    pub fn read_bps(&self, target: TargetId) -> f64 {
        self.topology.targets()[target.index()].read_bps * self.targets[target.index()].health.read
    }

    /// Write bandwidth that the target is believed to deliver when it has nothing else to do, bytes/s.
    #[must_use]
    pub fn write_bps(&self, target: TargetId) -> f64 {
        self.topology.targets()[target.index()].write_bps * self.targets[target.index()].health.write
    }
}

/// Whether a target is too full for new files.
pub(crate) fn is_full(flags: TargetFlags, free: Bytes, capacity: Bytes) -> bool {
    flags.full || (free.0 as f64) < FULL_BELOW * capacity.0 as f64
}

fn free_share(free: Bytes, capacity: Bytes) -> f64 {
    free.0 as f64 / capacity.0.max(1) as f64
}

#[cfg(test)]
pub(crate) mod tests;
