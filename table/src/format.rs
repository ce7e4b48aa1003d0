//! Where each field of the bytes lies, and the limits that only the bytes have.
//!
//! All numbers are little endian and unaligned; sections follow each other without gaps in the order
//! header, targets, classes, rings, tickets, jobs, checksum. Their places follow from the counts in
//! the header, so there are no offsets that could point astray.

use tarazu_layout::limits::{CLASSES_MAX, TABLE_BYTES_MAX};

/// Version of the format. A reader refuses every other: a table lives for one interval, so daemon and
/// clients of a node are upgraded by publishing the next one, not by reading old ones.
pub const VERSION: u16 = 1;

/// Bytes of the stamp in front of a published table.
pub const STAMP_BYTES: usize = 32;

/// Bytes of a table without its stamp, so that both fit into the buffer of
/// [`TABLE_BYTES_MAX`](tarazu_layout::limits::TABLE_BYTES_MAX).
pub const BODY_BYTES_MAX: usize = TABLE_BYTES_MAX - STAMP_BYTES;

/// Rings of one table: *now* and *steady* for each class.
pub const RINGS_MAX: usize = 2 * CLASSES_MAX;

/// The highest OST index: Lustre prints the index in four hexadecimal digits and keeps `ffff` for
/// "unassigned".
pub const OST_INDEX_MAX: u32 = 0xFFFE;

/// Unit of stripe sizes in bytes: Lustre takes multiples of 64 KiB only.
pub const STRIPE_SIZE_UNIT: u32 = 64 * 1024;

/// Shortest interval between two plans, in milliseconds: below it three intervals are shorter than
/// the delay of publishing.
pub const INTERVAL_MS_MIN: u32 = 100;

/// Longest interval between two plans, in milliseconds: three of it are the 15 minutes after which a
/// table counts for nothing.
pub const INTERVAL_MS_MAX: u32 = 300_000;

/// What a table says about itself as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// Fewer than half of the targets reported freshly: clients take the steady rings only.
    pub steady_only: bool,
}

impl Flags {
    pub(crate) const STEADY_ONLY: u16 = 1;

    pub(crate) const fn bits(self) -> u16 {
        if self.steady_only { Self::STEADY_ONLY } else { 0 }
    }
}

pub(crate) const MAGIC: [u8; 8] = *b"TARAZUTB";
pub(crate) const STAMP_MAGIC: [u8; 8] = *b"TARAZUST";

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const CHECKSUM_BYTES: usize = 4;
pub(crate) const TARGET_BYTES: usize = 2;
pub(crate) const CLASS_BYTES: usize = 28;
pub(crate) const RING_BYTES: usize = 20;
pub(crate) const TICKET_BYTES: usize = 2;
pub(crate) const JOB_BYTES: usize = 32;

/// Bit of a job entry's class byte that says that a layout is worth its cost. There are at most eight
/// classes, so the byte has room; unset means that files are left alone, the safe side.
pub(crate) const WORTHWHILE: u8 = 0x80;

/// Mark of a job entry that has a place on its ring.
pub(crate) const PLACED: u16 = 1;

/// The fields of the header as they lie in the bytes, before any of them is believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) version: u16,
    pub(crate) flags: u16,
    pub(crate) total_bytes: u32,
    pub(crate) fs_id: u32,
    pub(crate) interval_ms: u32,
    pub(crate) fs_name_hash: u64,
    pub(crate) term: u64,
    pub(crate) seq: u64,
    pub(crate) targets: u32,
    pub(crate) classes: u16,
    pub(crate) rings: u16,
    pub(crate) jobs: u32,
    pub(crate) tickets: u32,
}

impl Header {
    pub(crate) fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        Self {
            version: u16_at(bytes, 8),
            flags: u16_at(bytes, 10),
            total_bytes: u32_at(bytes, 12),
            fs_id: u32_at(bytes, 16),
            interval_ms: u32_at(bytes, 20),
            fs_name_hash: u64_at(bytes, 24),
            term: u64_at(bytes, 32),
            seq: u64_at(bytes, 40),
            targets: u32_at(bytes, 48),
            classes: u16_at(bytes, 52),
            rings: u16_at(bytes, 54),
            jobs: u32_at(bytes, 56),
            tickets: u32_at(bytes, 60),
        }
    }

    pub(crate) fn write(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.flags.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.total_bytes.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.fs_id.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.interval_ms.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.fs_name_hash.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.term.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.seq.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.targets.to_le_bytes());
        bytes[52..54].copy_from_slice(&self.classes.to_le_bytes());
        bytes[54..56].copy_from_slice(&self.rings.to_le_bytes());
        bytes[56..60].copy_from_slice(&self.jobs.to_le_bytes());
        bytes[60..64].copy_from_slice(&self.tickets.to_le_bytes());
        bytes
    }

    /// Bytes of a table with these counts. In 64 bits, since foreign counts may be anything.
    pub(crate) fn wanted_bytes(&self) -> u64 {
        let sections = [
            (u64::from(self.targets), TARGET_BYTES),
            (u64::from(self.classes), CLASS_BYTES),
            (u64::from(self.rings), RING_BYTES),
            (u64::from(self.tickets), TICKET_BYTES),
            (u64::from(self.jobs), JOB_BYTES),
        ];
        let sum: u64 = sections.iter().map(|(count, bytes)| count * *bytes as u64).sum();
        sum + (HEADER_BYTES + CHECKSUM_BYTES) as u64
    }
}

// The readers below take a record of known size, so an offset that does not fit is a slip of this
// crate and not of the input; it reads as 0 rather than ending somebody's process.

pub(crate) fn u16_at<const N: usize>(record: &[u8; N], at: usize) -> u16 {
    record.get(at..at + 2).and_then(|bytes| bytes.try_into().ok()).map_or(0, u16::from_le_bytes)
}

pub(crate) fn u32_at<const N: usize>(record: &[u8; N], at: usize) -> u32 {
    record.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

pub(crate) fn u64_at<const N: usize>(record: &[u8; N], at: usize) -> u64 {
    record.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
