//! The ladder: how far a table may be trusted, by the age of the view behind it.

use core::time::Duration;

use tarazu_layout::Time;

use crate::Reason;

/// Up to this many intervals after its view was received, a table's *now* rings are used: one report
/// may be lost and one late before the load facts count as old.
pub const FRESH_INTERVALS: u32 = 3;

/// Up to this many seconds the *steady* rings are used: drains, full, sick and removed targets change
/// slowly, but after a quarter of an hour somebody may have brought a target back or taken one away.
pub const STEADY_MAX_S: u64 = 15 * 60;

/// Which of a class's two rings is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Health, placed work and live load.
    Now,
    /// Slow facts only: drained, full, sick, removed, capacity.
    Steady,
}

/// How far a table may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rung {
    /// Use this tier of rings.
    Use(Tier),
    /// Use nothing: the file system decides.
    Nothing(Reason),
}

/// What a published table says about its own age and place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Hash of the file system's name.
    pub fs_name_hash: u64,
    /// Hash of the boot id of the host that stamped it.
    pub boot_hash: u64,
    /// When the daemon received the controller's view, on the boot clock. A daemon cut off from its
    /// controller does not move it.
    pub received: Time,
    /// Interval between two plans.
    pub interval: Duration,
    /// The controller asks for steady rings only.
    pub steady_only: bool,
}

/// What the reading process knows of its own place and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Hash of the name of the file system on which the file will be created.
    pub fs_name_hash: u64,
    /// Hash of this host's boot id.
    pub boot_hash: u64,
    /// Now, on this host's boot clock (`CLOCK_BOOTTIME`: it goes on through a suspend).
    pub now: Time,
}

/// The rung for a reader. Any doubt ends at [`Rung::Nothing`].
#[must_use]
pub fn rung(view: &View, reader: &Reader) -> Rung {
    if view.fs_name_hash != reader.fs_name_hash {
        return Rung::Nothing(Reason::OtherFileSystem);
    }
    if view.boot_hash != reader.boot_hash {
        return Rung::Nothing(Reason::OtherBoot);
    }
    if reader.now < view.received {
        return Rung::Nothing(Reason::ClockBackwards);
    }
    let age = reader.now.since(view.received);
    if age > Duration::from_secs(STEADY_MAX_S) {
        return Rung::Nothing(Reason::Stale);
    }
    let fresh = age <= view.interval.saturating_mul(FRESH_INTERVALS);
    if fresh && !view.steady_only { Rung::Use(Tier::Now) } else { Rung::Use(Tier::Steady) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn view() -> View {
        View {
            fs_name_hash: 1,
            boot_hash: 2,
            received: Time(100 * SECOND_NS),
            interval: Duration::from_secs(5),
            steady_only: false,
        }
    }

    fn at(now_ns: u64) -> Reader {
        Reader { fs_name_hash: 1, boot_hash: 2, now: Time(now_ns) }
    }

    #[test]
    fn each_rung_ends_where_its_constant_says() {
        let start = 100 * SECOND_NS;
        let steady_end = start + STEADY_MAX_S * SECOND_NS;
        assert_eq!(rung(&view(), &at(start)), Rung::Use(Tier::Now));
        assert_eq!(rung(&view(), &at(start + 15 * SECOND_NS)), Rung::Use(Tier::Now));
        assert_eq!(rung(&view(), &at(start + 15 * SECOND_NS + 1)), Rung::Use(Tier::Steady));
        assert_eq!(rung(&view(), &at(steady_end)), Rung::Use(Tier::Steady));
        assert_eq!(rung(&view(), &at(steady_end + 1)), Rung::Nothing(Reason::Stale));
        assert_eq!(rung(&view(), &at(u64::MAX)), Rung::Nothing(Reason::Stale));
        assert_eq!(rung(&view(), &at(start - 1)), Rung::Nothing(Reason::ClockBackwards));
    }

    #[test]
    fn doubt_about_place_ends_at_nothing() {
        let here = at(100 * SECOND_NS);
        let other_fs = Reader { fs_name_hash: 9, ..here };
        assert_eq!(rung(&view(), &other_fs), Rung::Nothing(Reason::OtherFileSystem));
        let other_boot = Reader { boot_hash: 9, ..here };
        assert_eq!(rung(&view(), &other_boot), Rung::Nothing(Reason::OtherBoot));
    }

    #[test]
    fn steady_only_never_gives_now() {
        let said = View { steady_only: true, ..view() };
        assert_eq!(rung(&said, &at(100 * SECOND_NS)), Rung::Use(Tier::Steady));
        assert_eq!(rung(&said, &at(u64::MAX)), Rung::Nothing(Reason::Stale));
    }

    #[test]
    fn an_absurd_interval_does_not_stretch_the_last_rung() {
        let slow = View { interval: Duration::MAX, ..view() };
        assert_eq!(rung(&slow, &at(u64::MAX)), Rung::Nothing(Reason::Stale));
    }
}
