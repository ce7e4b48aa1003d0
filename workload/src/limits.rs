//! How large a workload may be. Readers and generators share these, so that what one makes the other takes.

/// Jobs of one workload: a year of a busy machine.
pub const JOBS_MAX: u64 = 1 << 20;

/// Ranks of all jobs together: more cores than one job of the largest machines uses.
pub const RANKS_MAX: u64 = 1 << 22;

/// Node numbers lie below this. Users keep a table with one row per node, so a stray number must not size it.
pub const NODES_MAX: u32 = 1 << 20;

/// Operations of all ranks. At 48 bytes each, 3 GiB of memory.
pub const OPS_MAX: u64 = 1 << 26;

/// Files of one workload.
pub const FILES_MAX: u64 = 1 << 24;

/// Groups times ranks of one job: programs have few communicators, and a user of a workload may keep a
/// table with a cell for each pair, here of 256 MiB at 8 bytes.
pub const GROUP_RANK_PAIRS_MAX: u64 = 1 << 25;

/// Bytes that all operations of a workload move together: half of what 64 bits hold, so that sums over
/// one workload, or of two, cannot overflow.
pub const MOVED_BYTES_MAX: u64 = 1 << 63;

/// A file's size: Lustre addresses 2^63 bytes.
pub const FILE_BYTES_MAX: u64 = 1 << 63;
