//! Bytes on their way between nodes and targets: segments of operations, one channel for each node and target, and the
//! write-back cache.
//!
//! A Lustre client has one object storage client for each target, with a bounded number of requests on the wire
//! (`osc.*.max_rpcs_in_flight` of `max_pages_per_rpc`). So a node is one party at a target however many of its ranks
//! write, and the stripes of one write run at most a window apart: the slowest holds up the others.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tarazu_layout::{TargetId, Time};
use tarazu_workload::{Action, FileId};

use super::files::Piece;
use super::ranks::Running;
use super::{Event, Replay};

/// Segments of one operation. A single write of many terabytes would have millions; its windows are wider then.
const SEGMENTS_MAX: u64 = 1 << 12;

/// Bytes of an operation on their way to or from one target.
#[derive(Clone, Copy, Debug)]
struct Move {
    /// The operation that waits for them; `None` for bytes that a cache writes back.
    slot: Option<u32>,
    node: u32,
    file: FileId,
    piece: Piece,
    reads: bool,
    /// Whether it occupies its channel: without windows only what a cache writes back does.
    in_channel: bool,
}

/// What one node and one target have to do with each other.
#[derive(Debug, Default)]
struct Channel {
    /// Moves behind the one that is running.
    queue: VecDeque<u32>,
    running: bool,
    /// When the running move was begun.
    begun: Time,
    /// Bytes in the node's cache for the target.
    dirty_bytes: u64,
    /// Operations that wait for room in the cache, first come first served.
    waiting: VecDeque<u32>,
}

/// All bytes on their way.
#[derive(Debug, Default)]
pub(super) struct Moves {
    moves: Vec<Option<Move>>,
    free: Vec<u32>,
    channels: BTreeMap<(u32, TargetId), Channel>,
    /// Moves of a node's cache that still write back to a file.
    unsynced: BTreeMap<(u32, FileId), u32>,
    /// `fsync` operations that wait for them.
    syncing: BTreeMap<(u32, FileId), Vec<u32>>,
    /// Nodes with moves of a file on a target, reading or writing, and how many; kept where sharing costs.
    sharers: BTreeMap<(FileId, TargetId, bool), BTreeMap<u32, u32>>,
}

impl Moves {
    fn add(&mut self, one: Move) -> u32 {
        if let Some(number) = self.free.pop() {
            self.moves[number as usize] = Some(one);
            return number;
        }
        self.moves.push(Some(one));
        (self.moves.len() - 1) as u32
    }

    /// Moves that have not arrived.
    pub(super) fn pending(&self) -> usize {
        self.moves.len() - self.free.len()
    }

    fn share(&mut self, one: &Move) {
        let nodes = self.sharers.entry((one.file, one.piece.target, one.reads)).or_default();
        *nodes.entry(one.node).or_default() += 1;
    }

    fn unshare(&mut self, one: &Move) {
        let key = (one.file, one.piece.target, one.reads);
        let Some(nodes) = self.sharers.get_mut(&key) else { return };
        if let Some(moves) = nodes.get_mut(&one.node) {
            *moves -= 1;
            if *moves == 0 {
                nodes.remove(&one.node);
            }
        }
        if nodes.is_empty() {
            self.sharers.remove(&key);
        }
    }

    fn take(&mut self, number: u32) -> Option<Move> {
        let one = self.moves.get_mut(number as usize)?.take()?;
        self.free.push(number);
        Some(one)
    }

    /// Whether a node's cache has room for a piece.
    fn has_room(&self, node: u32, piece: &Piece, limit: u64) -> bool {
        let dirty = self.channels.get(&(node, piece.target)).map_or(0, |channel| channel.dirty_bytes);
        // A piece larger than the whole cache goes through it alone.
        dirty == 0 || dirty.saturating_add(piece.bytes) <= limit
    }
}

impl Replay<'_> {
    /// An operation that moves bytes between a node and targets; they are on their way when its targets are ready.
    pub(super) fn begin_bytes(
        &mut self,
        job: usize,
        rank: usize,
        action: Action,
        file: FileId,
        range: (u64, u64),
        ready_in: Duration,
    ) {
        let mut pieces = std::mem::take(&mut self.pieces);
        self.files[file.0 as usize].pieces(range.0, range.1, &mut pieces);
        let reads = matches!(action, Action::Read { .. });
        // Reading ahead hides the way of the request where a rank goes on reading.
        let goes_on = self.jobs[job].ranks[rank].read_to.replace((file, range.1)) == Some((file, range.0));
        let asks_s = if reads && !goes_on { self.system.client.request_s } else { 0.0 };
        let alone_s = self.alone_s(&pieces, reads) + asks_s;
        let slot = self.start_operation(job, rank, action, alone_s, range);
        self.count_operation(&pieces, file, range, reads);
        if !pieces.is_empty() {
            self.look_soon();
        }
        self.pieces = pieces;
        let waits = ready_in + Duration::from_secs_f64(asks_s);
        if waits > Duration::ZERO {
            self.at(self.now + waits, Event::Answered { slot });
            return;
        }
        self.next_segment(slot);
    }

    /// Books what an operation asks for.
    fn count_operation(&mut self, pieces: &[Piece], file: FileId, range: (u64, u64), reads: bool) {
        let bytes = range.1 - range.0;
        let on_targets: u64 = pieces.iter().map(|piece| piece.bytes).sum();
        self.meters.off_target_bytes += bytes - on_targets;
        for piece in pieces {
            self.meters.asked_bytes[piece.target.index()] += piece.bytes as f64;
        }
        if reads {
            self.meters.read_bytes += on_targets;
            return;
        }
        self.meters.written_bytes += on_targets;
        let state = self.file(file);
        state.written += bytes;
        let growth = state.grow(range.0, range.1);
        for piece in pieces {
            let new = (u128::from(piece.bytes) * u128::from(growth) / u128::from(bytes.max(1))) as u64;
            self.meters.overfilled_bytes += self.makers.metadata.fill(piece.target, new);
        }
    }

    /// Puts the next bytes of an operation on their way; ends the operation where none are left.
    pub(super) fn next_segment(&mut self, slot: u32) {
        let Some(running) = self.slots[slot as usize] else { return };
        let (job, rank) = (running.job as usize, running.rank as usize);
        let Some(file) = running.action.file() else { return };
        let node = self.jobs[job].ranks[rank].node.0;
        let reads = matches!(running.action, Action::Read { .. });
        let cache = self.system.client.dirty_bytes.filter(|_| !reads);
        let mut pieces = std::mem::take(&mut self.pieces);
        let mut next = running.next;
        let mut begun = 0;
        while next < running.end && begun == 0 {
            let end = self.segment_end(file, next, &running);
            self.files[file.0 as usize].pieces(next, end, &mut pieces);
            if let Some(limit) = cache
                && let Some(full) = pieces.iter().find(|piece| !self.moves.has_room(node, piece, limit))
            {
                self.moves.channels.entry((node, full.target)).or_default().waiting.push_back(slot);
                break;
            }
            next = end;
            for piece in &pieces {
                self.begin_move(Move {
                    in_channel: cache.is_some() || self.system.client.window_bytes.is_some(),
                    slot: cache.is_none().then_some(slot),
                    node,
                    file,
                    piece: *piece,
                    reads,
                });
                // Cached bytes are nobody's to wait for.
                begun += u32::from(cache.is_none());
            }
        }
        self.pieces = pieces;
        let Some(running) = self.slots[slot as usize].as_mut() else { return };
        (running.next, running.left) = (next, begun);
        if begun > 0 || next < running.end {
            return;
        }
        match self.system.client.memory_bps.filter(|_| cache.is_some()) {
            Some(memory_bps) => self.end_copied(slot, memory_bps),
            None => self.operation_ended(slot),
        }
    }

    /// A cached write ends when its bytes are copied.
    fn end_copied(&mut self, slot: u32, memory_bps: f64) {
        let Some(running) = self.slots[slot as usize] else { return };
        let bytes = match running.action {
            Action::Write { bytes, .. } => bytes,
            _ => 0,
        };
        let copied = running.begun + Duration::from_secs_f64(bytes as f64 / memory_bps);
        if copied > self.now {
            self.at(copied, Event::Ends { slot });
        } else {
            self.operation_ended(slot);
        }
    }

    /// Where the segment that begins at `start` ends: so far that no target gets more than a window.
    fn segment_end(&self, file: FileId, start: u64, running: &Running) -> u64 {
        let end = running.end;
        let Some(window) = self.system.client.window_bytes else { return end };
        let layout = &self.files[file.0 as usize].layout;
        let component =
            layout.components.iter().find(|component| component.extent.clip(start, end).is_some());
        let Some(component) = component else { return end };
        // Whole rows of stripes, from the row that `start` lies in.
        let row = component.stripe_size.saturating_mul(u64::from(component.stripe_count.max(1)));
        let window =
            window.max((end - running.first) / (SEGMENTS_MAX * u64::from(component.stripe_count.max(1))));
        if component.stripe_size > window {
            // A stripe is longer than a window: one target at a time, window by window.
            let stripe_end = (start / component.stripe_size + 1).saturating_mul(component.stripe_size);
            return end.min(stripe_end).min(start.saturating_add(window));
        }
        let rows = window / component.stripe_size.max(1);
        let ahead = (start / row.max(1)).saturating_add(rows).saturating_mul(row);
        // A component's end also ends its segment.
        let stop = component.extent.end.unwrap_or(u64::MAX);
        end.min(ahead.max(start + 1)).min(stop.max(start + 1))
    }

    /// Queues a move in its channel, or starts it.
    fn begin_move(&mut self, one: Move) {
        let key = (one.node, one.piece.target);
        self.count_piece(&one.piece, one.reads);
        let is_cached = one.slot.is_none();
        let (file, bytes, in_channel) = (one.file, one.piece.bytes, one.in_channel);
        if self.sharing_costs() {
            self.moves.share(&one);
        }
        let number = self.moves.add(one);
        if is_cached {
            *self.moves.unsynced.entry((key.0, file)).or_default() += 1;
        }
        if !in_channel {
            self.start_flow(number);
            return;
        }
        let channel = self.moves.channels.entry(key).or_default();
        if is_cached {
            channel.dirty_bytes += bytes;
        }
        if channel.running {
            channel.queue.push_back(number);
            return;
        }
        channel.running = true;
        channel.begun = self.now;
        self.start_flow(number);
    }

    /// Lets the bytes of a move flow.
    fn start_flow(&mut self, number: u32) {
        let Some(one) = self.moves.moves[number as usize] else { return };
        let cost = self.disk_cost(&one);
        self.others.begin_request(one.piece.target, number, self.now);
        self.fluid.start(one.node, one.piece.target.0, one.piece.bytes as f64, cost, u64::from(number));
    }

    /// Whether it matters who else uses a file.
    fn sharing_costs(&self) -> bool {
        self.system.disk.shared_write_exponent > 0.0 || self.system.disk.shared_read_exponent > 0.0
    }

    /// Disk time of a byte in terms of a byte written alone.
    fn disk_cost(&self, one: &Move) -> f64 {
        let spec = &self.system.topology.targets()[one.piece.target.index()];
        let disk = &self.system.disk;
        let kind = if one.reads { spec.write_bps / spec.read_bps } else { 1.0 };
        let exponent = if one.reads { disk.shared_read_exponent } else { disk.shared_write_exponent };
        let nodes = self.moves.sharers.get(&(one.file, one.piece.target, one.reads)).map_or(1, BTreeMap::len);
        let shared = if exponent > 0.0 { (nodes.max(1) as f64).powf(exponent) } else { 1.0 };
        let streams = f64::from(self.fluid.disk_flows(one.piece.target.0)) + 1.0;
        let crowd = 1.0 + disk.streams_loss * (streams / disk.streams_free).log2().max(0.0);
        kind * shared * crowd
    }

    /// The bytes of a move have arrived.
    pub(super) fn move_ended(&mut self, number: u32) {
        let Some(one) = self.moves.take(number) else { return };
        let key = (one.node, one.piece.target);
        self.others.end_request(one.piece.target, number, self.now);
        if self.sharing_costs() {
            self.moves.unshare(&one);
        }
        if one.in_channel {
            self.release(key, one.piece.bytes);
        }
        match one.slot {
            Some(slot) => {
                let Some(running) = self.slots[slot as usize].as_mut() else { return };
                running.left -= 1;
                if running.left == 0 {
                    self.next_segment(slot);
                }
            }
            None => self.written_back(key, &one),
        }
    }

    /// Lets the next move of a channel begin: a window's bytes take at least the time of a request.
    fn release(&mut self, key: (u32, TargetId), bytes: u64) {
        let client = &self.system.client;
        let (Some(channel), Some(window)) = (self.moves.channels.get(&key), client.window_bytes) else {
            return self.next_in_channel(key);
        };
        let least = Duration::from_secs_f64(client.request_s * bytes as f64 / window as f64);
        let free = channel.begun + least;
        if free > self.now {
            self.at(free, Event::Released { node: key.0, target: key.1 });
        } else {
            self.next_in_channel(key);
        }
    }

    pub(super) fn next_in_channel(&mut self, key: (u32, TargetId)) {
        let now = self.now;
        let Some(channel) = self.moves.channels.get_mut(&key) else { return };
        let next = channel.queue.pop_front();
        channel.running = next.is_some();
        channel.begun = now;
        if let Some(number) = next {
            self.start_flow(number);
        }
    }

    /// A node's cache has written a piece back: there is room, and an `fsync` may be through.
    fn written_back(&mut self, key: (u32, TargetId), one: &Move) {
        if let Some(left) = self.moves.unsynced.get_mut(&(one.node, one.file)) {
            *left -= 1;
            if *left == 0 {
                self.moves.unsynced.remove(&(one.node, one.file));
                for slot in self.moves.syncing.remove(&(one.node, one.file)).unwrap_or_default() {
                    self.operation_ended(slot);
                }
            }
        }
        let Some(channel) = self.moves.channels.get_mut(&key) else { return };
        channel.dirty_bytes = channel.dirty_bytes.saturating_sub(one.piece.bytes);
        self.admit(key);
    }

    /// Lets operations that wait for room in the cache go on, first come first served.
    fn admit(&mut self, key: (u32, TargetId)) {
        while let Some(slot) =
            self.moves.channels.get_mut(&key).and_then(|channel| channel.waiting.pop_front())
        {
            self.next_segment(slot);
            let Some(channel) = self.moves.channels.get_mut(&key) else { return };
            // Still no room: it keeps its place, and those behind it wait, too.
            if channel.waiting.back() == Some(&slot) {
                channel.waiting.pop_back();
                channel.waiting.push_front(slot);
                return;
            }
        }
    }

    /// Waits until what a node has written to a file is on disk.
    pub(super) fn begin_fsync(&mut self, job: usize, rank: usize, action: Action, file: FileId) {
        let node = self.jobs[job].ranks[rank].node.0;
        let slot = self.start_operation(job, rank, action, 0.0, (0, 0));
        if self.moves.unsynced.contains_key(&(node, file)) {
            self.moves.syncing.entry((node, file)).or_default().push(slot);
        } else {
            self.operation_ended(slot);
        }
    }
}
