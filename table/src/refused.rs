//! Why a reader does not believe some bytes.

use crate::format::{BODY_BYTES_MAX, INTERVAL_MS_MAX, INTERVAL_MS_MIN, RINGS_MAX, STRIPE_SIZE_UNIT, VERSION};
use tarazu_layout::limits::{CLASSES_MAX, STRIPES_MAX, TABLE_JOBS_MAX, TARGETS_MAX};

/// Why bytes are not a table that may be used. The remedy is always the same and not the reader's:
/// leave the file system to decide, and wait for the next table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Shorter than the shortest table.
    #[error("{found} bytes are too short for a table")]
    TooShort {
        /// Bytes given.
        found: usize,
    },
    /// Longer than the longest table.
    #[error("{found} bytes are more than the {BODY_BYTES_MAX} of the longest table")]
    TooLong {
        /// Bytes given.
        found: usize,
    },
    /// The first eight bytes are not a table's.
    #[error("the bytes do not begin as a table does")]
    Magic,
    /// A version that this reader does not know.
    #[error("table of format version {found}, this reader knows {VERSION}")]
    Version {
        /// Version stated.
        found: u16,
    },
    /// More or fewer bytes than the header states.
    #[error("{found} bytes where the header states {stated}")]
    Length {
        /// Bytes stated.
        stated: u32,
        /// Bytes given.
        found: usize,
    },
    /// The checksum does not match.
    #[error("checksum {computed:08x} where the table states {stated:08x}")]
    Checksum {
        /// Stated at the end of the table.
        stated: u32,
        /// Computed over the rest.
        computed: u32,
    },
    /// A flag that this version does not have.
    #[error("unknown flags {found:#06x}")]
    Flags {
        /// All flags.
        found: u16,
    },
    /// The interval is outside its range.
    #[error("interval of {found} ms is outside {INTERVAL_MS_MIN} to {INTERVAL_MS_MAX}")]
    Interval {
        /// Milliseconds stated.
        found: u32,
    },
    /// No target, or too many.
    #[error("{found} targets are not 1 to {TARGETS_MAX}")]
    Targets {
        /// Targets stated.
        found: u32,
    },
    /// Too many classes.
    #[error("{found} classes are more than {CLASSES_MAX}")]
    Classes {
        /// Classes stated.
        found: u16,
    },
    /// Too many rings.
    #[error("{found} rings are more than {RINGS_MAX}")]
    Rings {
        /// Rings stated.
        found: u16,
    },
    /// Too many jobs.
    #[error("{found} jobs are more than {TABLE_JOBS_MAX}")]
    Jobs {
        /// Jobs stated.
        found: u32,
    },
    /// The counts of the header do not add up to the length.
    #[error("the sections need {wanted} bytes, the table has {found}")]
    Sections {
        /// Bytes that the counts need.
        wanted: u64,
        /// Bytes given.
        found: usize,
    },
    /// An OST index that Lustre cannot have, or one that two targets share.
    #[error("target {target} has an impossible OST index, or another target's")]
    OstIndex {
        /// The target.
        target: u32,
    },
    /// A class is empty, out of order or overlaps the one before.
    #[error("class {class} is empty, or not above the one before it")]
    ClassRange {
        /// The class.
        class: u16,
    },
    /// A class has an unusable striping.
    #[error("class {class} needs 1 to {STRIPES_MAX} stripes of a multiple of {STRIPE_SIZE_UNIT} bytes")]
    ClassStriping {
        /// The class.
        class: u16,
    },
    /// A class names a ring that is not there, or has bits in its reserved field.
    #[error("class {class} names a ring that the table does not have")]
    ClassRing {
        /// The class.
        class: u16,
    },
    /// A ring is empty, or does not begin where the one before it ends.
    #[error("ring {ring} is empty, or does not begin where the one before it ends")]
    RingExtent {
        /// The ring.
        ring: u16,
    },
    /// A ticket names a target that the table does not have.
    #[error("ring {ring}, ticket {ticket}: no such target")]
    Ticket {
        /// The ring.
        ring: u16,
        /// The ticket's place in it.
        ticket: u32,
    },
    /// A ring states another number of targets than its tickets name.
    #[error("ring {ring} states {stated} targets and has {found}")]
    RingTargets {
        /// The ring.
        ring: u16,
        /// Targets stated.
        stated: u16,
        /// Targets found.
        found: u32,
    },
    /// Tickets repeat within the window that the ring states.
    #[error("ring {ring} repeats a target within the window of tickets that it states as distinct")]
    RingDistinct {
        /// The ring.
        ring: u16,
    },
    /// Jobs are not sorted by key, or two have the same.
    #[error("job {job} does not have a higher key than the one before it")]
    JobOrder {
        /// The entry.
        job: u32,
    },
    /// A job's class, confidence or striping is outside its range.
    #[error("job {job} has a class, confidence or striping outside its range")]
    JobEntry {
        /// The entry.
        job: u32,
    },
    /// The stamp in front of the table is damaged.
    #[error("the stamp in front of the table is damaged")]
    Stamp,
    /// The stamp belongs to another table.
    #[error("the stamp in front of the table belongs to another table")]
    StampOfOther,
}
