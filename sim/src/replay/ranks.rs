//! Ranks and their operations: what begins, how long it takes, who waits for whom.

use std::time::Duration;

use tarazu_core::topology::TargetSpec;
use tarazu_layout::{NodeId, Time};
use tarazu_table::{Cursor, Identity, Rank};
use tarazu_workload::{Action, FileId, Job, Op, Workload};

use super::files::Piece;
use super::{Event, Replay, ReplayError};
use crate::scenario::Timing;

/// A job during a run.
#[derive(Debug)]
pub(super) struct JobState {
    /// When its first instruction runs.
    pub(super) begins: Time,
    pub(super) ranks: Vec<RankState>,
    pub(super) ranks_left: usize,
    /// Ranks that wait in each group.
    waiting: Vec<Vec<u32>>,
}

/// A rank during a run.
#[derive(Debug)]
pub(super) struct RankState {
    pub(super) node: NodeId,
    /// Its counter of creates, as the client library keeps it.
    pub(super) cursor: Cursor,
    next: usize,
    /// Where its last read or write ended.
    pub(super) read_to: Option<(FileId, u64)>,
    /// Operations in progress: one in closed-loop replay, any number in open-loop replay.
    running: u32,
    ended: bool,
}

/// An operation in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) job: u32,
    pub(super) rank: u32,
    pub(super) action: Action,
    pub(super) begun: Time,
    /// What it would take alone on the healthy, empty system, seconds.
    pub(super) alone_s: f64,
    /// Its range of its file, and the first byte of that which is not on its way yet.
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) end: u64,
    /// Moves of the present segment that have not arrived.
    pub(super) left: u32,
}

impl JobState {
    pub(super) fn of(workload: &Workload) -> Vec<Self> {
        let job = |job: &Job| Self {
            begins: Time::ZERO,
            ranks: job
                .ranks
                .iter()
                .enumerate()
                .map(|(number, rank)| rank_state(job, number, rank.node))
                .collect(),
            ranks_left: job.ranks.len(),
            waiting: vec![Vec::new(); job.groups.len()],
        };
        workload.jobs.iter().map(job).collect()
    }
}

fn rank_state(job: &Job, number: usize, node: NodeId) -> RankState {
    let rank = Rank { rank: number as u32, world: job.ranks.len() as u32 };
    // Simulated processes never fork, so any process id will do as long as it stays.
    let identity =
        Identity { rank: Some(rank), host_hash: u64::from(node.0), pid: number as u32, process_start: 0 };
    RankState { node, cursor: Cursor::new(identity), next: 0, read_to: None, running: 0, ended: false }
}

impl Replay<'_> {
    fn op(&self, job: usize, rank: usize) -> Option<Op> {
        self.workload.jobs[job].ranks[rank].ops.get(self.jobs[job].ranks[rank].next).copied()
    }

    /// Schedules a rank's next operation, or ends the rank. `free` is when it is free for it.
    pub(super) fn schedule_next(&mut self, job: usize, rank: usize, free: Time) {
        let Some(op) = self.op(job, rank) else {
            self.end_rank_if_idle(job, rank);
            return;
        };
        let time = match self.scenario.timing {
            Timing::Closed => free + op.think,
            Timing::Open => self.jobs[job].begins + Duration::from_nanos(op.start.0),
        };
        self.at(time.max(self.now), Event::Begin { job: job as u32, rank: rank as u32 });
    }

    fn end_rank_if_idle(&mut self, job: usize, rank: usize) {
        let state = &mut self.jobs[job].ranks[rank];
        let all_begun = state.next >= self.workload.jobs[job].ranks[rank].ops.len();
        if state.ended || !all_begun || state.running > 0 {
            return;
        }
        state.ended = true;
        self.ranks_left -= 1;
        self.jobs[job].ranks_left -= 1;
        if self.jobs[job].ranks_left == 0 {
            self.job_ended(job);
        }
    }

    /// A rank begins its next operation.
    pub(super) fn begin(&mut self, job: usize, rank: usize) -> Result<(), ReplayError> {
        let Some(op) = self.op(job, rank) else { return Ok(()) };
        self.jobs[job].ranks[rank].next += 1;
        if let Action::Sync { group } = op.action {
            self.meet(job, rank, group.0 as usize);
            return Ok(());
        }
        self.meters.first_start.get_or_insert(self.now);
        self.jobs[job].ranks[rank].running += 1;
        match op.action {
            Action::Create { file } => {
                let takes = self.create(job, rank, file)?;
                // A layout is what a policy costs, not what the file needs.
                self.begin_short(job, rank, op.action, takes, self.system.metadata.open_s);
            }
            Action::Open { file } => {
                self.file(file).open += 1;
                let takes = self.opens_in(file);
                self.begin_short(job, rank, op.action, takes, self.system.metadata.open_s);
            }
            Action::Read { file, offset, bytes } => {
                self.begin_bytes(job, rank, op.action, file, (offset, offset + bytes), Duration::ZERO);
            }
            Action::Write { file, offset, bytes } => {
                let ready_in = self.prepare_write(file, offset, bytes)?;
                self.begin_bytes(job, rank, op.action, file, (offset, offset + bytes), ready_in);
            }
            Action::Fsync { file } => self.begin_fsync(job, rank, op.action, file),
            Action::Close { file } => {
                self.close(job, rank, file);
                self.begin_short(job, rank, op.action, Duration::ZERO, 0.0);
            }
            Action::Sync { .. } => {}
        }
        // In open-loop replay the next operation does not wait for this one.
        if self.scenario.timing == Timing::Open {
            self.schedule_next(job, rank, self.now);
        }
        Ok(())
    }

    /// An operation that takes a known time and moves no bytes.
    fn begin_short(&mut self, job: usize, rank: usize, action: Action, takes: Duration, alone_s: f64) {
        let slot = self.start_operation(job, rank, action, alone_s, (0, 0));
        if takes > Duration::ZERO {
            self.at(self.now + takes, Event::Ends { slot });
        } else {
            self.operation_ended(slot);
        }
    }

    pub(super) fn count_piece(&mut self, piece: &Piece, reads: bool) {
        let place = piece.target.index();
        let spec = &self.system.topology.targets()[place];
        let bps = if reads { spec.read_bps } else { spec.write_bps };
        self.meters.record_work(place, piece.bytes as f64 / bps);
        if reads {
            self.unreported[place].read += piece.bytes as f64;
            return;
        }
        self.unreported[place].written += piece.bytes as f64;
        self.meters.stored_bytes[place] += piece.bytes as f64;
        if piece.steered {
            self.meters.steered_bytes += piece.bytes;
        }
    }

    /// What an operation takes when nothing else happens and every target is well: the latest of its
    /// node, its largest stripe on a target, and its links, taken as spread over all servers. It does
    /// not depend on where a policy put the stripes, so that policies are compared by one measure.
    pub(super) fn alone_s(&self, pieces: &[Piece], reads: bool) -> f64 {
        let topology = &self.system.topology;
        let best = |bps: fn(&TargetSpec) -> f64| topology.targets().iter().map(bps).fold(0.0, f64::max);
        let target_bps = if reads { best(|spec| spec.read_bps) } else { best(|spec| spec.write_bps) };
        let link_bps = topology.servers().iter().map(|server| server.link_bps).fold(0.0, f64::max);
        let total: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        let largest = pieces.iter().map(|piece| piece.bytes).max().unwrap_or(0);
        let servers = pieces.len().min(topology.servers().len()).max(1);
        let link_s = total as f64 / (link_bps * servers as f64);
        let client = &self.system.client;
        let paced_s =
            client.window_bytes.map_or(0.0, |window| largest as f64 * client.request_s / window as f64);
        (total as f64 / self.system.nic_bps).max(largest as f64 / target_bps).max(link_s).max(paced_s)
    }

    /// Books an operation that begins now and moves the bytes of a range of its file.
    pub(super) fn start_operation(
        &mut self,
        job: usize,
        rank: usize,
        action: Action,
        alone_s: f64,
        (first, end): (u64, u64),
    ) -> u32 {
        let (begun, job_number) = (self.now, job as u32);
        let rank = rank as u32;
        let running =
            Running { job: job_number, rank, action, begun, alone_s, first, next: first, end, left: 0 };
        self.meters.jobs[job].begin(self.now);
        if let Some(file) = action.file() {
            self.meters.files[file.0 as usize].busy.begin(self.now);
        }
        match action {
            Action::Read { .. } => self.meters.reads.begin(self.now),
            // What a cache took is on disk when the `fsync` ends.
            Action::Write { .. } | Action::Fsync { .. } => self.meters.writes.begin(self.now),
            _ => {}
        }
        if let Some(slot) = self.free_slots.pop() {
            self.slots[slot as usize] = Some(running);
            return slot;
        }
        self.slots.push(Some(running));
        (self.slots.len() - 1) as u32
    }

    /// An operation has ended: count it, and let its rank go on.
    pub(super) fn operation_ended(&mut self, slot: u32) {
        let Some(ended) = self.slots[slot as usize].take() else { return };
        self.free_slots.push(slot);
        let (job, rank) = (ended.job as usize, ended.rank as usize);
        self.meters.last_end = self.now;
        self.meters.record_operation(job, ended.action, ended.begun, self.now);
        self.meters.jobs[job].end(self.now);
        if let Some(file) = ended.action.file() {
            let meter = &mut self.meters.files[file.0 as usize];
            meter.busy.end(self.now);
            meter.taken_s += self.now.since(ended.begun).as_secs_f64();
            meter.alone_s += ended.alone_s;
        }
        match ended.action {
            Action::Read { .. } => self.meters.reads.end(self.now),
            Action::Write { .. } | Action::Fsync { .. } => self.meters.writes.end(self.now),
            _ => {}
        }
        self.jobs[job].ranks[rank].running -= 1;
        match self.scenario.timing {
            Timing::Closed => self.schedule_next(job, rank, self.now),
            Timing::Open => self.end_rank_if_idle(job, rank),
        }
    }

    /// A rank has come to a barrier; the last one lets all go on.
    fn meet(&mut self, job: usize, rank: usize, group: usize) {
        if self.scenario.timing == Timing::Open {
            self.schedule_next(job, rank, self.now);
            return;
        }
        self.jobs[job].waiting[group].push(rank as u32);
        if self.jobs[job].waiting[group].len() < self.workload.jobs[job].groups[group].len() {
            return;
        }
        for rank in std::mem::take(&mut self.jobs[job].waiting[group]) {
            self.schedule_next(job, rank as usize, self.now);
        }
    }
}
