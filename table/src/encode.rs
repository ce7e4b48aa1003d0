//! Encoding: the controller's side. The only part of this crate that allocates.

use alloc::vec::Vec;
use core::time::Duration;

use tarazu_layout::limits::{CLASSES_MAX, DISTINCT_TICKETS, TABLE_JOBS_MAX, TARGETS_MAX};
use tarazu_layout::{OstIndex, TargetId};

use crate::format::{BODY_BYTES_MAX, Flags, Header, OST_INDEX_MAX, PLACED, RINGS_MAX, VERSION, WORTHWHILE};
use crate::read::{job_fits, striping_fits};
use crate::ring::TargetSet;
use crate::{Class, FsIdentity, INTERVAL_MS_MAX, INTERVAL_MS_MIN, JobEntry, JobKey, Order};

/// What a table says, before it is bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct TableSpec {
    /// The file system.
    pub fs: FsIdentity,
    /// When the plan was made.
    pub order: Order,
    /// Interval between two plans, in whole milliseconds.
    pub interval: Duration,
    /// What the table says about itself.
    pub flags: Flags,
    /// The OST index of each target, by dense target id.
    pub targets: Vec<OstIndex>,
    /// Size classes in rising order, without overlap.
    pub classes: Vec<Class>,
    /// Rings, named by the classes through their place here.
    pub rings: Vec<RingSpec>,
    /// Job entries in any order.
    pub jobs: Vec<JobEntry>,
}

/// A ring before it is bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct RingSpec {
    /// Tells this ring from others when a job's place on it is chosen. Keep it from plan to plan, so
    /// that a job goes on where it was.
    pub seed: u64,
    /// Tickets in order.
    pub tickets: Vec<TargetId>,
}

/// Why a plan cannot become a table. All of these are slips of the planner, not of its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// No target, or too many.
    #[error("{found} targets are not 1 to {TARGETS_MAX}")]
    Targets {
        /// Targets given.
        found: usize,
    },
    /// Too many classes.
    #[error("{found} classes are more than {CLASSES_MAX}; merge size classes")]
    Classes {
        /// Classes given.
        found: usize,
    },
    /// Too many rings.
    #[error("{found} rings are more than {RINGS_MAX}; let classes share rings")]
    Rings {
        /// Rings given.
        found: usize,
    },
    /// Too many jobs.
    #[error("{found} jobs are more than {TABLE_JOBS_MAX}; keep those with the most expected bytes")]
    Jobs {
        /// Jobs given.
        found: usize,
    },
    /// The interval is outside its range.
    #[error("interval of {found:?} is outside {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX} ms")]
    Interval {
        /// The interval given.
        found: Duration,
    },
    /// An OST index that Lustre cannot have, or that another target has.
    #[error("target {target} has {index}, which is impossible or another target's")]
    OstIndex {
        /// The target.
        target: usize,
        /// Its index.
        index: OstIndex,
    },
    /// A class is empty, out of order, overlaps, or has an unusable striping.
    #[error("class {class} is empty, not above the one before it, or has an unusable striping")]
    Class {
        /// The class.
        class: usize,
    },
    /// A class names a ring that is not there.
    #[error("class {class} names a ring beyond the {rings} given")]
    ClassRing {
        /// The class.
        class: usize,
        /// Rings given.
        rings: usize,
    },
    /// A ring without tickets: nothing could be placed.
    #[error("ring {ring} has no ticket; leave its class out instead")]
    EmptyRing {
        /// The ring.
        ring: usize,
    },
    /// A ticket names a target that is not there.
    #[error("ring {ring} has a ticket for {target}, which does not exist")]
    Ticket {
        /// The ring.
        ring: usize,
        /// The target.
        target: TargetId,
    },
    /// A job entry is outside its ranges.
    #[error("the entry of job key {key:016x} has a class, confidence or striping outside its range", key = key.0)]
    JobEntry {
        /// Its key.
        key: JobKey,
    },
    /// Two entries for one key.
    #[error("two entries have the job key {key:016x}", key = key.0)]
    JobTwice {
        /// The key.
        key: JobKey,
    },
    /// More bytes than a client's buffer holds.
    #[error("the table would have {bytes} bytes, more than {BODY_BYTES_MAX}; shorten or share rings")]
    TooLong {
        /// Bytes it would have.
        bytes: u64,
    },
}

/// Encodes a table. Equal specifications give equal bytes, whatever the order of their jobs.
///
/// # Errors
/// The first limit that the specification breaks. What it returns, [`Table::verify`](crate::Table::verify) takes.
pub fn encode(spec: &TableSpec) -> Result<Vec<u8>, EncodeError> {
    check_counts(spec)?;
    let interval_ms = interval_ms(spec.interval)?;
    check_targets(&spec.targets)?;
    check_classes(spec)?;
    check_rings(spec)?;
    let jobs = sorted_jobs(spec)?;
    let tickets: u64 = spec.rings.iter().map(|ring| ring.tickets.len() as u64).sum();
    let mut header = Header {
        version: VERSION,
        flags: spec.flags.bits(),
        total_bytes: 0,
        fs_id: spec.fs.id.0,
        interval_ms,
        fs_name_hash: spec.fs.name_hash,
        term: spec.order.term,
        seq: spec.order.seq,
        targets: spec.targets.len() as u32,
        classes: spec.classes.len() as u16,
        rings: spec.rings.len() as u16,
        jobs: jobs.len() as u32,
        tickets: u32::try_from(tickets).unwrap_or(u32::MAX),
    };
    let bytes = header.wanted_bytes();
    if bytes > BODY_BYTES_MAX as u64 {
        return Err(EncodeError::TooLong { bytes });
    }
    header.total_bytes = bytes as u32;
    Ok(write(spec, &header, &jobs))
}

fn check_counts(spec: &TableSpec) -> Result<(), EncodeError> {
    let found = spec.targets.len();
    if !(1..=TARGETS_MAX).contains(&found) {
        return Err(EncodeError::Targets { found });
    }
    if spec.classes.len() > CLASSES_MAX {
        return Err(EncodeError::Classes { found: spec.classes.len() });
    }
    if spec.rings.len() > RINGS_MAX {
        return Err(EncodeError::Rings { found: spec.rings.len() });
    }
    if spec.jobs.len() > TABLE_JOBS_MAX {
        return Err(EncodeError::Jobs { found: spec.jobs.len() });
    }
    Ok(())
}

fn interval_ms(interval: Duration) -> Result<u32, EncodeError> {
    let found = u32::try_from(interval.as_millis()).ok();
    found
        .filter(|ms| (INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(ms))
        .ok_or(EncodeError::Interval { found: interval })
}

fn check_targets(targets: &[OstIndex]) -> Result<(), EncodeError> {
    let mut order: Vec<(OstIndex, usize)> = Vec::with_capacity(targets.len());
    for (target, index) in targets.iter().enumerate() {
        if index.0 > OST_INDEX_MAX {
            return Err(EncodeError::OstIndex { target, index: *index });
        }
        order.push((*index, target));
    }
    order.sort_unstable_by_key(|(index, target)| (index.0, *target));
    match order.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err(EncodeError::OstIndex { target: pair[1].1, index: pair[1].0 }),
        None => Ok(()),
    }
}

fn check_classes(spec: &TableSpec) -> Result<(), EncodeError> {
    let mut below: Option<u64> = None;
    for (number, class) in spec.classes.iter().enumerate() {
        let in_order = below.is_none_or(|below| class.smallest_bytes > below);
        let ranged = in_order && class.smallest_bytes <= class.largest_bytes;
        if !ranged || !striping_fits(class.stripe_count, class.stripe_size) {
            return Err(EncodeError::Class { class: number });
        }
        if usize::from(class.ring_now.max(class.ring_steady)) >= spec.rings.len() {
            return Err(EncodeError::ClassRing { class: number, rings: spec.rings.len() });
        }
        below = Some(class.largest_bytes);
    }
    Ok(())
}

fn check_rings(spec: &TableSpec) -> Result<(), EncodeError> {
    for (ring, RingSpec { tickets, .. }) in spec.rings.iter().enumerate() {
        if tickets.is_empty() {
            return Err(EncodeError::EmptyRing { ring });
        }
        if let Some(target) = tickets.iter().find(|target| target.index() >= spec.targets.len()) {
            return Err(EncodeError::Ticket { ring, target: *target });
        }
    }
    Ok(())
}

fn sorted_jobs(spec: &TableSpec) -> Result<Vec<JobEntry>, EncodeError> {
    let mut jobs = spec.jobs.clone();
    if let Some(entry) = jobs.iter().find(|entry| !job_fits(entry, spec.classes.len())) {
        return Err(EncodeError::JobEntry { key: entry.key });
    }
    jobs.sort_unstable_by_key(|entry| entry.key);
    match jobs.windows(2).find(|pair| pair[0].key == pair[1].key) {
        Some(pair) => Err(EncodeError::JobTwice { key: pair[0].key }),
        None => Ok(jobs),
    }
}

fn write(spec: &TableSpec, header: &Header, jobs: &[JobEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(header.total_bytes as usize);
    bytes.extend_from_slice(&header.write());
    for index in &spec.targets {
        bytes.extend_from_slice(&(index.0 as u16).to_le_bytes());
    }
    for class in &spec.classes {
        bytes.extend_from_slice(&class.smallest_bytes.to_le_bytes());
        bytes.extend_from_slice(&class.largest_bytes.to_le_bytes());
        bytes.extend_from_slice(&class.stripe_size.to_le_bytes());
        bytes.extend_from_slice(&class.stripe_count.to_le_bytes());
        bytes.extend_from_slice(&class.ring_now.to_le_bytes());
        bytes.extend_from_slice(&class.ring_steady.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
    }
    let mut first = 0u32;
    for ring in &spec.rings {
        let (window, targets) = distinct_window(&ring.tickets);
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&(ring.tickets.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&ring.seed.to_le_bytes());
        bytes.extend_from_slice(&(window as u16).to_le_bytes());
        bytes.extend_from_slice(&(targets as u16).to_le_bytes());
        first += ring.tickets.len() as u32;
    }
    for ticket in spec.rings.iter().flat_map(|ring| &ring.tickets) {
        bytes.extend_from_slice(&(ticket.0 as u16).to_le_bytes());
    }
    for entry in jobs {
        bytes.extend_from_slice(&entry.key.0.to_le_bytes());
        bytes.extend_from_slice(&entry.expected_bytes.to_le_bytes());
        bytes.extend_from_slice(&entry.stripe_size.to_le_bytes());
        bytes.extend_from_slice(&entry.stripe_count.to_le_bytes());
        let worthwhile = if entry.worthwhile { WORTHWHILE } else { 0 };
        bytes.extend_from_slice(&[entry.class | worthwhile, entry.confidence_percent]);
        let (begin, deal, mark) = entry.place.map_or((0, 0, 0), |place| (place.begin, place.deal, PLACED));
        bytes.extend_from_slice(&begin.to_le_bytes());
        bytes.extend_from_slice(&deal.to_le_bytes());
        bytes.extend_from_slice(&mark.to_le_bytes());
    }
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The largest number of consecutive tickets that are distinct everywhere on a ring, the last and the
/// first counting as neighbours, at most [`DISTINCT_TICKETS`]; and the number of different targets.
///
/// Computed here rather than asked of the planner, so that the table never promises what it has not.
#[must_use]
pub fn distinct_window(tickets: &[TargetId]) -> (usize, u32) {
    let mut found = TargetSet::default();
    let size = tickets.iter().map(|ticket| ticket.index() + 1).max().unwrap_or(0);
    let mut last: Vec<Option<usize>> = alloc::vec![None; size];
    let mut window = tickets.len().min(DISTINCT_TICKETS);
    // The second lap sees every gap across the end once.
    for (place, ticket) in tickets.iter().chain(tickets.iter().take(DISTINCT_TICKETS)).enumerate() {
        found.insert(*ticket);
        if let Some(before) = last[ticket.index()].replace(place) {
            window = window.min(place - before);
        }
    }
    (window, found.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The obvious twin: try every window at every place.
    fn twin(tickets: &[TargetId]) -> usize {
        let distinct_at = |place: usize, window: usize| {
            let mut seen: Vec<_> = (place..place + window).map(|at| tickets[at % tickets.len()]).collect();
            seen.sort_unstable();
            seen.windows(2).all(|pair| pair[0] != pair[1])
        };
        let most = tickets.len().min(DISTINCT_TICKETS);
        let fits = |window: &usize| (0..tickets.len()).all(|place| distinct_at(place, *window));
        (1..=most).rev().find(fits).unwrap_or(0)
    }

    #[test]
    fn the_window_of_a_ring_wraps() {
        let window = |ids: &[u32]| {
            let tickets: Vec<_> = ids.iter().map(|id| TargetId(*id)).collect();
            assert_eq!(distinct_window(&tickets).0, twin(&tickets), "{ids:?}");
            distinct_window(&tickets)
        };
        assert_eq!(window(&[]), (0, 0));
        assert_eq!(window(&[7]), (1, 1));
        assert_eq!(window(&[1, 2, 3]), (3, 3));
        assert_eq!(window(&[1, 2, 3, 1]), (1, 3));
        assert_eq!(window(&[1, 2, 3, 1, 2, 4]), (3, 4));
        assert_eq!(window(&[1, 2, 3, 2]), (2, 3));
        let long: Vec<u32> = (0..70).chain(0..70).collect();
        assert_eq!(window(&long), (64, 70));
    }

    proptest::proptest! {
        #[test]
        fn the_window_agrees_with_trying(ids in proptest::collection::vec(0u32..20, 1..60)) {
            let tickets: Vec<_> = ids.iter().map(|id| TargetId(*id)).collect();
            proptest::prop_assert_eq!(distinct_window(&tickets).0, twin(&tickets));
        }
    }
}
