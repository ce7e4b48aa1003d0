//! The limits of the system. Everything that could grow has one, and a sentence why.

/// Stripes of one component. Lustre's own cap (`LOV_MAX_STRIPE_COUNT`).
pub const STRIPES_MAX: usize = 2000;

/// Components of one layout. Ours: real layouts have fewer than ten; a reader of foreign bytes needs a bound.
pub const COMPONENTS_MAX: usize = 64;

/// Targets of one file system. The largest systems have about 4,000; twice that still fits a table with one
/// ring for each of four classes, a steady one and all its jobs.
pub const TARGETS_MAX: usize = 8192;

/// Characters of a pool name (`LOV_MAXPOOLNAME`).
pub const POOL_NAME_MAX: usize = 15;

/// Consecutive tickets of a ring that are distinct where the number of targets allows it.
/// A file with up to this many stripes takes consecutive tickets without looking twice.
pub const DISTINCT_TICKETS: usize = 64;

/// Size classes of one table. Each has a ring, so each costs table bytes.
pub const CLASSES_MAX: usize = 8;

/// Job entries of one table, so that the table stays within its budget on a busy machine.
pub const TABLE_JOBS_MAX: usize = 1024;

/// Bytes of one table: what a client's static buffer holds.
pub const TABLE_BYTES_MAX: usize = 128 * 1024;
