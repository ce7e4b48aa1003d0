//! Where a process stands on a ring.
//!
//! The file that a process creates as its `c`-th in a class (from 0) takes the position
//!
//! ```text
//! offset(job, ring) + (rank + c × world) × stripes + fork
//! ```
//!
//! so the ranks of a job walk the ring like one round robin: rank after rank, then all ranks again.
//! A file takes `stripes` consecutive tickets, hence the factor: without it, the files of neighbouring
//! ranks would share all but one of their targets. A position is given in two parts, where all ranks'
//! `c`-th files begin and how far this rank's is from there, because the [ring](crate::RingView) treats
//! large distances within one such row apart.
//!
//! `fork` is 0 in the process that made the cursor. In any other, which can only be a child that
//! inherited the memory, it is a hash of the child's and the parent's process id: parent and child hold
//! the same count, and without it both would create their next files on the same targets. It costs the
//! child its place in the round robin, which a child without a rank of its own never had.
//!
//! A process without a rank hashes (host, process id, process start, count) for each file.
//!
//! Counts are kept per kind of entry in the job section ([`Slot`]): two kinds of files of one job have
//! places of their own, and with one count for both each would walk its ring in leaps of two. A new
//! dealing of a place begins the count anew, in all ranks alike: the place then says where the *next*
//! row of files begins.

use core::sync::atomic::{AtomicU64, Ordering};

use tarazu_layout::hash;

use crate::Place;
use crate::job::{JobKey, Slot};

/// A process's place in its parallel job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Its number in the job, `0..world`.
    pub rank: u32,
    /// Number of processes of the job.
    pub world: u32,
}

/// What tells a process from every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its rank, where it is a rank. A helper program that a rank starts inherits the rank's
    /// environment but is none: given the rank, every such program would begin at the same position.
    pub rank: Option<Rank>,
    /// Hash of the host's name.
    pub host_hash: u64,
    /// Its process id.
    pub pid: u32,
    /// When it started, in any unit: tells processes apart that get the same id one after the other.
    pub process_start: u64,
}

/// A place on a ring without end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Where the row of files begins that all ranks of the job create together.
    pub begin: u64,
    /// How far this rank's file is from there: rank × stripes.
    pub within: u64,
}

/// A process's counters. Shared by its threads, lives as long as the process and survives new tables.
#[derive(Debug)]
pub struct Cursor {
    identity: Identity,
    /// By slot: the dealing that the count is of in the upper half (0 without a place, else one above
    /// its number), files created since in the lower.
    created: [AtomicU64; Slot::COUNT],
}

impl Cursor {
    /// The cursor of a process that has created nothing. A rank that is not below its world is no rank.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self::starting_at(identity, 0)
    }

    /// The cursor of a process that has created so many files of each kind without a place.
    #[must_use]
    pub fn starting_at(identity: Identity, created: u32) -> Self {
        let rank = identity.rank.filter(|rank| rank.rank < rank.world);
        let created = core::array::from_fn(|_| AtomicU64::new(u64::from(created)));
        Self { identity: Identity { rank, ..identity }, created }
    }

    /// The position of the next file that an entry speaks of, and one step on. It begins at the entry's
    /// place, or where it has none at `offset`. `pid` is the process id *now*, which differs from the
    /// identity's in a forked child. The count wraps after 2^32 files.
    pub fn next(&self, slot: Slot, place: Option<Place>, offset: u64, pid: u32, stripes: usize) -> Position {
        let deal = place.map_or(0, |place| u64::from(place.deal) + 1);
        let count = self.count(slot, deal);
        let Some(Rank { rank, world }) = self.identity.rank else {
            return Position { begin: self.hashed(slot, pid, count), within: 0 };
        };
        let offset = place.map_or(offset, |place| u64::from(place.begin));
        let row = (u64::from(count) * u64::from(world)).wrapping_mul(stripes as u64);
        Position {
            begin: offset.wrapping_add(row).wrapping_add(self.fork(pid)),
            within: u64::from(rank).wrapping_mul(stripes as u64),
        }
    }

    /// Files created in this slot under this dealing before now; counts one more.
    fn count(&self, slot: Slot, deal: u64) -> u32 {
        let created = &self.created[slot.index()];
        let mut seen = created.load(Ordering::Relaxed);
        loop {
            let count = if seen >> 32 == deal { seen as u32 } else { 0 };
            let next = deal << 32 | u64::from(count.wrapping_add(1));
            match created.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return count,
                Err(now) => seen = now,
            }
        }
    }

    fn fork(&self, pid: u32) -> u64 {
        if pid == self.identity.pid {
            return 0;
        }
        hash::combine(hash::combine(self.identity.host_hash, u64::from(self.identity.pid)), u64::from(pid))
    }

    fn hashed(&self, slot: Slot, pid: u32, count: u32) -> u64 {
        let process = hash::combine(hash::mix(self.identity.host_hash), u64::from(pid));
        let file = (slot.index() as u64) << 32 | u64::from(count);
        hash::combine(hash::combine(process, self.identity.process_start), file)
    }
}

/// Where files of a key begin on a ring, as long as they have no place on it. 32 bits, so that positions do not
/// wrap in the life of a job.
#[must_use]
pub const fn offset(key: JobKey, ring_seed: u64) -> u64 {
    hash::combine(ring_seed, key.0) >> 32
}
