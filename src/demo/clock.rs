//! The only place where the demonstration reads clocks. Everything else takes times.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A wait looks so often whether the demonstration is to end.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Seconds since one moment; never falls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Begins now.
    #[allow(clippy::disallowed_methods, reason = "the demonstration lasts real time; this is its one clock")]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Seconds since the start.
    pub(crate) fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Nanoseconds since 1970, 0 before.
#[allow(clippy::disallowed_methods, reason = "names of folders and starts of counters are told to others")]
pub(super) fn unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Waits.
#[allow(clippy::disallowed_methods, reason = "its own threads wait here and nowhere else")]
pub(super) fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Told to everything that runs when it is to end.
#[derive(Debug, Default)]
pub(crate) struct Stop(AtomicBool);

impl Stop {
    /// Ends everything.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether everything is to end.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits so many seconds; `false` where the end came first.
    pub(super) fn wait(&self, seconds: f64) -> bool {
        let clock = Clock::start();
        loop {
            if self.is_set() {
                return false;
            }
            let left = seconds - clock.seconds();
            if left <= 0.0 {
                return true;
            }
            sleep(LOOK_EVERY.min(Duration::from_secs_f64(left)));
        }
    }
}
