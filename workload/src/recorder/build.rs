//! All ranks of a trace into one job: files by name, the layer that counts, meetings, think time.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::{JobId, NodeId, Time};

use super::functions::Direction;
use super::meet::{self, Arrival, Meeting};
use super::mpi::WORLD;
use super::notes;
use super::rank::{Call, Layer, RankTrace, What};
use super::{Read, ReadOptions, RecorderError};
use crate::limits::{FILES_MAX, MOVED_BYTES_MAX, NODES_MAX, OPS_MAX, RANKS_MAX};
use crate::{Action, File, FileId, GroupId, Job, Op, Rank, Workload};

/// What all ranks together did to a file.
#[derive(Clone, Copy, Debug)]
struct Use {
    posix_opens: bool,
    posix_syncs: bool,
    creates: bool,
    first_read_ns: u64,
    first_write_ns: u64,
    extent: u64,
    read: Moved,
    written: Moved,
}

/// Bytes of one direction, as MPI-IO and as POSIX under MPI-IO.
#[derive(Clone, Copy, Debug, Default)]
struct Moved {
    mpi: u64,
    under_mpi: u64,
}

impl Use {
    fn new() -> Self {
        Self {
            posix_opens: false,
            posix_syncs: false,
            creates: false,
            first_read_ns: u64::MAX,
            first_write_ns: u64::MAX,
            extent: 0,
            read: Moved::default(),
            written: Moved::default(),
        }
    }

    fn see(&mut self, call: &Call) {
        match call.what {
            What::Open { creates, .. } => {
                self.posix_opens |= call.layer != Layer::Mpi;
                self.creates |= creates;
            }
            What::Fsync { .. } => self.posix_syncs |= call.layer != Layer::Mpi,
            What::Transfer { direction, bytes, .. } => {
                let (moved, first_ns) = match direction {
                    Direction::Read => (&mut self.read, &mut self.first_read_ns),
                    Direction::Write => (&mut self.written, &mut self.first_write_ns),
                };
                *first_ns = (*first_ns).min(call.start_ns);
                match call.layer {
                    Layer::Mpi => moved.mpi = moved.mpi.saturating_add(bytes),
                    Layer::UnderMpi => moved.under_mpi = moved.under_mpi.saturating_add(bytes),
                    Layer::Posix => {}
                }
            }
            What::Close { .. } | What::Meet { .. } => {}
        }
    }

    /// Written before it was read by somebody who may create it; a file without bytes may have been created.
    fn is_created(&self) -> bool {
        let untouched = self.first_read_ns == u64::MAX && self.first_write_ns == u64::MAX;
        self.creates && (untouched || self.first_write_ns < self.first_read_ns)
    }

    /// Each byte and each open once: POSIX where it shows what MPI-IO did, else MPI-IO.
    fn counts(&self, call: &Call) -> bool {
        if call.layer != Layer::Mpi {
            return true;
        }
        match call.what {
            What::Open { .. } | What::Close { .. } => !self.posix_opens,
            What::Fsync { .. } => !self.posix_syncs,
            What::Transfer { direction: Direction::Read, .. } => self.read.under_mpi == 0,
            What::Transfer { direction: Direction::Write, .. } => self.written.under_mpi == 0,
            What::Meet { .. } => true,
        }
    }
}

/// What building notices.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    pub(super) by_mpi_bytes: u64,
    pub(super) missing_below_mpi_bytes: u64,
    pub(super) past_the_end_bytes: u64,
    pub(super) opened_before_bytes: u64,
    pub(super) moved_bytes: u128,
}

/// Turns the traces of all ranks, in their order, into one job.
pub(super) fn workload(ranks: &[RankTrace], options: &ReadOptions) -> Result<Read, RecorderError> {
    at_most("ranks", ranks.len() as u64, RANKS_MAX)?;
    check_world(ranks)?;
    let (names, places) = files(ranks)?;
    let uses = uses(ranks, &places, names.len());
    let mut notes = Vec::new();
    let met = meetings(ranks, &mut notes);
    let nodes = nodes(ranks, options.ranks_per_node.max(1), &mut notes)?;
    let mut noticed = Noticed::default();
    let mut ops_total = 0;
    let mut built = Vec::with_capacity(ranks.len());
    for (((rank, places), meetings), node) in ranks.iter().zip(&places).zip(&met.of_ranks).zip(nodes) {
        let ops = operations(rank, places, meetings, &uses, &mut noticed);
        ops_total += ops.len() as u64;
        at_most("operations", ops_total, OPS_MAX)?;
        built.push(Rank { node, ops });
    }
    at_most("bytes to move", u64::try_from(noticed.moved_bytes).unwrap_or(u64::MAX), MOVED_BYTES_MAX)?;
    for file in &uses {
        for moved in [file.read, file.written] {
            if moved.under_mpi == 0 {
                noticed.by_mpi_bytes = noticed.by_mpi_bytes.saturating_add(moved.mpi);
            } else {
                let missing = moved.mpi.saturating_sub(moved.under_mpi);
                noticed.missing_below_mpi_bytes = noticed.missing_below_mpi_bytes.saturating_add(missing);
            }
        }
    }
    notes::add(ranks, &noticed, &mut notes);
    let left_out_bytes = ranks.iter().fold(0u64, |sum, rank| sum.saturating_add(rank.tally.left_out_bytes));
    let files = names.into_iter().zip(&uses);
    let files = files.map(|(name, file)| File { name, exists: !file.is_created(), logged: None }).collect();
    let job = Job {
        id: JobId(options.job),
        name: String::new(),
        uid: 0,
        start: Time::ZERO,
        ranks: built,
        groups: met.groups,
    };
    Ok(Read { workload: Workload { jobs: vec![job], files }, notes, left_out_bytes })
}

fn at_most(what: &'static str, found: u64, limit: u64) -> Result<(), RecorderError> {
    if found <= limit { Ok(()) } else { Err(RecorderError::TooLarge { what, limit }) }
}

/// A rank that knows how many there are must be right.
fn check_world(ranks: &[RankTrace]) -> Result<(), RecorderError> {
    let found = ranks.len() as u64;
    match ranks.iter().zip(0u64..).find_map(|(rank, number)| rank.world.map(|world| (world, number))) {
        Some((world, rank)) if world != found => Err(RecorderError::World { rank, world, found }),
        _ => Ok(()),
    }
}

/// Names of all files, and for each rank where its own are in them.
fn files(ranks: &[RankTrace]) -> Result<(Vec<String>, Vec<Vec<FileId>>), RecorderError> {
    let mut names: Vec<String> = Vec::new();
    let mut by_name: BTreeMap<&str, FileId> = BTreeMap::new();
    let mut places = Vec::with_capacity(ranks.len());
    for rank in ranks {
        let mut mine = Vec::with_capacity(rank.files.len());
        for name in &rank.files {
            let next = FileId(names.len() as u32);
            let id = *by_name.entry(name).or_insert(next);
            if id == next {
                at_most("files", names.len() as u64 + 1, FILES_MAX)?;
                names.push(name.clone());
            }
            mine.push(id);
        }
        places.push(mine);
    }
    Ok((names, places))
}

fn uses(ranks: &[RankTrace], places: &[Vec<FileId>], files: usize) -> Vec<Use> {
    let mut uses = vec![Use::new(); files];
    for (rank, places) in ranks.iter().zip(places) {
        for (extent, id) in rank.extents.iter().zip(places) {
            if let Some(file) = uses.get_mut(id.0 as usize) {
                file.extent = file.extent.max(*extent);
            }
        }
        for call in &rank.calls {
            let id = file_of(call.what).and_then(|file| places.get(file as usize));
            if let Some(file) = id.and_then(|id| uses.get_mut(id.0 as usize)) {
                file.see(call);
            }
        }
    }
    uses
}

fn file_of(what: What) -> Option<u32> {
    match what {
        What::Open { file, .. }
        | What::Close { file }
        | What::Fsync { file }
        | What::Transfer { file, .. } => Some(file),
        What::Meet { .. } => None,
    }
}

fn meetings(ranks: &[RankTrace], notes: &mut Vec<String>) -> meet::Meetings {
    let arrivals: Vec<Vec<Arrival>> = ranks
        .iter()
        .map(|rank| {
            let meets = rank.calls.iter().filter_map(|call| match call.what {
                What::Meet { comm } => Some((comm, call.start_ns)),
                _ => None,
            });
            let named = meets.filter_map(|(comm, start_ns)| {
                rank.comms.get(comm as usize).map(|comm| Arrival { comm, start_ns })
            });
            named.collect()
        })
        .collect();
    meet::meetings(&arrivals, WORLD, notes)
}

/// The node of each rank: where all ranks made a communicator of their node, those of one share a node.
fn nodes(
    ranks: &[RankTrace],
    ranks_per_node: u32,
    notes: &mut Vec<String>,
) -> Result<Vec<NodeId>, RecorderError> {
    let made: Option<Vec<&String>> = ranks.iter().map(|rank| rank.node.as_ref()).collect();
    let nodes: Vec<NodeId> = if let Some(made) = made {
        let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
        let number = |name| {
            let next = numbers.len() as u32;
            NodeId(*numbers.entry(name).or_insert(next))
        };
        made.into_iter().map(String::as_str).map(number).collect()
    } else {
        notes.push(format!(
            "no rank says which others share its node: {ranks_per_node} ranks were put on each in the order of their \
             numbers"
        ));
        (0..ranks.len() as u32).map(|rank| NodeId(rank / ranks_per_node)).collect()
    };
    let count = nodes.iter().map(|node| u64::from(node.0) + 1).max().unwrap_or(0);
    at_most("nodes", count, u64::from(NODES_MAX))?;
    Ok(nodes)
}

/// The operations of one rank in the order of its calls.
fn operations(
    rank: &RankTrace,
    places: &[FileId],
    meetings: &[Option<Meeting>],
    uses: &[Use],
    noticed: &mut Noticed,
) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut meetings = meetings.iter();
    let mut clock_ns = 0;
    for call in &rank.calls {
        if let What::Meet { .. } = call.what {
            let Some(meeting) = meetings.next().copied().flatten() else { continue };
            let action = Action::Sync { group: GroupId(meeting.group) };
            ops.push(op(call.start_ns, &mut clock_ns, action));
            // Waiting for the last is not thinking. Clocks of nodes differ, so no longer than the call took.
            clock_ns = clock_ns.max(meeting.at_ns.min(call.end_ns));
            continue;
        }
        let id = file_of(call.what).and_then(|file| places.get(file as usize)).copied();
        let Some((file, used)) = id.and_then(|id| uses.get(id.0 as usize).map(|used| (id, used))) else {
            continue;
        };
        let action = if used.counts(call) { action(call.what, file, used, noticed) } else { None };
        if let Some(action) = action {
            ops.push(op(call.start_ns, &mut clock_ns, action));
            clock_ns = clock_ns.max(call.end_ns);
        }
    }
    ops
}

/// An operation at its recorded time, but not before the end of the one before it.
fn op(start_ns: u64, clock_ns: &mut u64, action: Action) -> Op {
    let think = Duration::from_nanos(start_ns.saturating_sub(*clock_ns));
    *clock_ns = (*clock_ns).max(start_ns);
    Op { start: Time(*clock_ns), think, action }
}

fn action(what: What, file: FileId, used: &Use, noticed: &mut Noticed) -> Option<Action> {
    match what {
        What::Open { creates: true, .. } if used.is_created() => Some(Action::Create { file }),
        What::Open { .. } => Some(Action::Open { file }),
        What::Close { .. } => Some(Action::Close { file }),
        What::Fsync { .. } => Some(Action::Fsync { file }),
        What::Transfer { direction: Direction::Write, offset, bytes, .. } => {
            noticed.moved_bytes += u128::from(bytes);
            Some(Action::Write { file, offset, bytes })
        }
        What::Transfer { direction: Direction::Read, offset, bytes, .. } => {
            // The trace has the bytes that were asked for. How many came is known of files whose every byte is.
            let there = if used.is_created() { bytes.min(used.extent.saturating_sub(offset)) } else { bytes };
            let past = &mut noticed.past_the_end_bytes;
            *past = past.saturating_add(bytes - there);
            if !used.is_created() {
                noticed.opened_before_bytes = noticed.opened_before_bytes.saturating_add(bytes);
            }
            noticed.moved_bytes += u128::from(there);
            (there > 0).then_some(Action::Read { file, offset, bytes: there })
        }
        What::Meet { .. } => None,
    }
}
