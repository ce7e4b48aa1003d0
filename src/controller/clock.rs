//! The controller's clock: nanoseconds since 1970 as they were at the start, and from there on without ever going back.
//!
//! The one place in the controller that reads a clock.
#![allow(clippy::disallowed_methods, reason = "the controller's clock is read here and nowhere else")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tarazu_layout::Time;

/// One controller's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    anchor: Time,
    started: Instant,
}

impl Clock {
    /// Starts from what the host takes for the time now.
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor: Time::ZERO + unix, started: Instant::now() }
    }

    /// When it was started.
    pub(crate) fn started_at(&self) -> Time {
        self.anchor
    }

    /// Now. A host clock that is put back does not move it.
    pub(crate) fn now(&self) -> Time {
        self.anchor + self.started.elapsed()
    }
}
