//! What a receiver takes at most. Everything here is checked before a message is believed.

/// Version of the protocol between the controller, agents and nodes.
pub const PROTOCOL: u32 = 1;

/// Bytes of one message from an agent: 256 targets with all their numbers take a tenth of it.
pub const AGENT_MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Bytes of one exchange from a node.
pub const SYNC_REQUEST_BYTES_MAX: usize = 1 << 20;

/// Bytes of one answer to a node: sixteen tables of the largest size with their frames.
pub const SYNC_RESPONSE_BYTES_MAX: usize = 4 << 20;

/// Bytes of one request to Placement or Admin.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;

/// Bytes of one answer of Admin: 8,192 targets of each of sixteen file systems with their words.
pub const ADMIN_RESPONSE_BYTES_MAX: usize = 64 << 20;

/// File systems of one controller, and of one node: sites have a handful.
pub const FILE_SYSTEMS_MAX: usize = 16;

/// Bytes of a file system's name. Lustre's own have at most eight characters.
pub const FILE_SYSTEM_NAME_MAX: usize = 64;

/// Bytes of a host's name (RFC 1035).
pub const HOST_NAME_MAX: usize = 253;

/// Bytes of a version, or of the name of who says something.
pub const WORD_MAX: usize = 64;

/// Bytes of a drain's reason.
pub const REASON_MAX: usize = 256;

/// Targets of one server. The largest servers have some dozens.
pub const SERVER_TARGETS_MAX: usize = 256;

/// Servers of one file system: one a target at most.
pub const SERVERS_MAX: usize = tarazu_layout::limits::TARGETS_MAX;

/// Placed records of one exchange: 800 files a second on one node.
pub const PLACED_MAX: usize = 4096;

/// Starts of jobs in one exchange of a node.
pub const STARTS_MAX: usize = 256;

/// Ends of jobs in one exchange of a node.
pub const ENDS_MAX: usize = 256;

/// Classes of files in one start.
pub const PROFILES_MAX: usize = 16;

/// Processes of one job: more than any machine runs.
pub const WORLD_MAX: u32 = 1 << 24;

/// Highest OST index: Lustre keeps `ffff` for "unassigned".
pub const OST_INDEX_MAX: u32 = tarazu_table::OST_INDEX_MAX;
