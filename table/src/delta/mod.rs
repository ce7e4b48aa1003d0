//! Deltas: what turns the table that a node holds into the next one, in fewer bytes.
//!
//! Owns the bytes of a delta (`FORMAT.md`), writing them ([`encode`]) and carrying them out ([`apply`]).
//! A delta names the table that it starts from and the one that it leads to by their checksums, so it
//! cannot lead anywhere else. It must not decide who gets a delta and who a whole table: that is the
//! sender, and a receiver that refuses a delta asks for the whole table.
//!
//! The receiver knows five steps and nothing of a table's sections; only the sender looks at them, to
//! find what is equal. So a better search needs no new format.

mod align;
mod apply;
mod encode;

pub use apply::{DeltaRefused, apply};
pub use encode::encode;

/// Version of the delta's format.
pub const DELTA_VERSION: u16 = 1;

/// Bytes before the steps and after them: what a delta of two equal tables has at least.
pub const DELTA_FRAME_BYTES: usize = DELTA_HEADER_BYTES + DELTA_CHECKSUM_BYTES;

const DELTA_MAGIC: [u8; 8] = *b"TARAZUDL";
const DELTA_HEADER_BYTES: usize = 24;
const DELTA_CHECKSUM_BYTES: usize = 4;

/// Bits of one packed ticket at most: a ticket has two bytes.
const TICKET_BITS_MAX: u8 = 16;

/// Bits of a step's number that say which step it is; the rest is its length.
const STEP_BITS: u32 = 3;
/// Bytes of the base, which move its cursor on.
const STEP_KEEP: u32 = 0;
/// Bytes of the delta in the place of as many of the base.
const STEP_REPLACE: u32 = 1;
/// Bytes of the delta; the cursor stays.
const STEP_INSERT: u32 = 2;
/// The cursor moves; the length is signed (zigzag).
const STEP_MOVE: u32 = 3;
/// Packed tickets of the delta in the place of as many of the base.
const STEP_TICKETS: u32 = 4;
