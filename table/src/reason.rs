//! Why a file is left to the file system.

/// Why no layout is applied. Each is counted under its name, so that an administrator sees what keeps
/// files unsteered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// No table was ever published here, or its file cannot be read.
    NoTable,
    /// There is a table, but [`Refused`](crate::Refused).
    Refused,
    /// The table is of another file system.
    OtherFileSystem,
    /// The table was stamped before the host's last boot, so its age is unknown.
    OtherBoot,
    /// The table was stamped later than now: one of the two clocks is wrong.
    ClockBackwards,
    /// The table's view is older than the steady facts may be.
    Stale,
    /// The job section does not know this job.
    UnknownJob,
    /// The job is known, but its size is a guess.
    LowConfidence,
    /// The plan expects less from steering this job's files than the layouts cost.
    NotWorthwhile,
    /// The striping must be kept, but has more stripes than targets take part.
    TooFewTargets,
    /// The caller's room for targets is smaller than the stripe count.
    NoRoom,
}

impl Reason {
    /// Every reason, in the order of [`Reason::index`].
    pub const ALL: [Self; 11] = [
        Self::NoTable,
        Self::Refused,
        Self::OtherFileSystem,
        Self::OtherBoot,
        Self::ClockBackwards,
        Self::Stale,
        Self::UnknownJob,
        Self::LowConfidence,
        Self::NotWorthwhile,
        Self::TooFewTargets,
        Self::NoRoom,
    ];

    /// Its name in counters and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoTable => "no_table",
            Self::Refused => "refused",
            Self::OtherFileSystem => "other_file_system",
            Self::OtherBoot => "other_boot",
            Self::ClockBackwards => "clock_backwards",
            Self::Stale => "stale",
            Self::UnknownJob => "unknown_job",
            Self::LowConfidence => "low_confidence",
            Self::NotWorthwhile => "not_worthwhile",
            Self::TooFewTargets => "too_few_targets",
            Self::NoRoom => "no_room",
        }
    }

    /// Its place in [`Reason::ALL`], for dense counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_in_order_and_names_differ() {
        for (place, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
            assert!(Reason::ALL[..place].iter().all(|other| other.as_str() != reason.as_str()));
        }
    }
}
