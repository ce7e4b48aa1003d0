//! The published placement table: its bytes, and everything a client decides from them.
//!
//! The controller encodes a plan once ([`encode`]) and sends it whole or as a [`delta`], the node daemon verifies it, puts a [`Stamp`] in
//! front and publishes it, and every client process reads it ([`Published::verify`]) and decides by
//! itself ([`choose`]): no call, lock or wait inside `open()`. `FORMAT.md` beside this crate lists the
//! bytes one by one.
//!
//! Two rules hold for all of it. Reading never allocates, never panics and never calls the system:
//! the client library carries this code into other people's processes, and a table is a file that
//! anyone may have damaged. And nothing here reads a clock, an environment or a process id: facts
//! come in as arguments, so that the simulator and the client run the same code.
//!
//! It must not decide what a good plan is (that is `core`), nor how a layout reaches the file system
//! (that is the client).
#![no_std]

extern crate alloc;

mod choose;
mod cursor;
pub mod delta;
mod encode;
mod format;
mod job;
mod ladder;
mod order;
mod read;
mod reason;
mod refused;
mod ring;
mod stamp;

pub use choose::{Ask, CONFIDENCE_MIN_PERCENT, Choice, Inherited, Steer, choose, consider, filled_stripes};
pub use cursor::{Cursor, Identity, Position, Rank, offset};
pub use encode::{EncodeError, RingSpec, TableSpec, distinct_window, encode};
pub use format::{
    BODY_BYTES_MAX, Flags, INTERVAL_MS_MAX, INTERVAL_MS_MIN, OST_INDEX_MAX, RINGS_MAX, STAMP_BYTES,
    STRIPE_SIZE_UNIT, VERSION,
};
pub use job::{FileClass, JobKey, JobName, Slot};
pub use ladder::{FRESH_INTERVALS, Reader, Rung, STEADY_MAX_S, Tier, View, rung};
pub use order::{Arrival, Order, OutOfOrder, accept};
pub use read::{Class, FsIdentity, JobEntry, Place, Table};
pub use reason::Reason;
pub use refused::Refused;
pub use ring::{RingView, walked};
pub use stamp::{Published, Stamp, publish};
