//! The only place where the agent reads clocks. Everything else takes times.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[allow(clippy::disallowed_methods, reason = "an agent measures intervals; this is its one clock")]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the agent first asked; never falls.
#[allow(clippy::disallowed_methods, reason = "an agent measures intervals; this is its one clock")]
pub(super) fn monotonic_ns() -> u64 {
    let start = *START;
    u64::try_from(Instant::now().saturating_duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since 1970, 0 before.
#[allow(
    clippy::disallowed_methods,
    reason = "the start of an agent is told to people and compared between agents"
)]
pub(super) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
