//! How many stripes a file should have, where that is left to us.
//!
//! Placement never changes a striping that a user or directory asked for. This rule speaks only where
//! nobody did: it says count and size from what is known of the file beforehand, with the reason. It
//! must not choose targets.
//!
//! The reasoning: a burst should use every target, so many files need one stripe each and few files
//! several. A stripe costs an object, a lock and a place on a target that may be slow, so it must carry
//! enough bytes; and one process cannot keep many targets busy. What sites tell their users agrees:
//! one stripe for file-per-process, many for large shared files (NERSC, "File Striping
//! Recommendations"; Lustre Operations Manual, 19.2 "Lustre file layout considerations").

/// Bytes that a stripe carries at least: at 500 MB/s an eighth of a second, a hundred times its cost.
pub const STRIPE_BYTES_MIN: u64 = 64 << 20;

/// Targets that one writing process can keep busy: a stream reaches 1 to 2 GB/s, a target gives 0.3 to 1.
pub const TARGETS_PER_WRITER: u32 = 4;

/// Share of a target's free space that one stripe may fill.
pub const STRIPE_FREE_SHARE: f64 = 0.1;

/// Stripe size of files that several processes write: usual transfers then touch one target each.
pub const SHARED_STRIPE_SIZE: u64 = 1 << 20;

/// Stripe size of files of one process: Lustre's own default since 2.16.
pub const OWN_STRIPE_SIZE: u64 = 4 << 20;

/// What is known of a file before it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileToCome {
    /// Bytes it is expected to hold.
    pub expected_bytes: u64,
    /// Processes that write it (or, where nobody does, read it), at least 1.
    pub writers: u32,
    /// Files like it that are made at the same time, itself included, at least 1.
    pub files: u32,
}

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Targets that take new files.
    pub targets: u32,
    /// Free bytes of the fullest of them.
    pub least_free_bytes: u64,
}

/// What decided a stripe count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// There are as many files as targets: one stripe each uses them all.
    ManyFiles,
    /// More stripes would carry too few bytes.
    Bytes,
    /// Its writers keep no more targets busy.
    Writers,
    /// With its like it uses every target.
    Targets,
    /// Fewer stripes would not fit into the fullest target.
    Space,
}

/// A striping with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Stripes, at least 1.
    pub stripe_count: u32,
    /// Bytes of one, a power of two.
    pub stripe_size: u64,
    /// What decided the count.
    pub bound: Bound,
}

/// The striping of a file that nobody has striped.
#[must_use]
pub fn advise(file: &FileToCome, headroom: &Headroom) -> Advice {
    let targets = headroom.targets.max(1);
    let bound_by = |most: u64, bound| (u32::try_from(most).unwrap_or(u32::MAX).clamp(1, targets), bound);
    let each = u64::from(targets / file.files.max(1));
    let whole = if each <= 1 { Bound::ManyFiles } else { Bound::Targets };
    let limits = [
        bound_by(each, whole),
        bound_by(file.expected_bytes / STRIPE_BYTES_MIN, Bound::Bytes),
        bound_by(u64::from(file.writers.max(1)) * u64::from(TARGETS_PER_WRITER), Bound::Writers),
    ];
    // The narrowest limit; among equal ones the first.
    let (mut stripe_count, mut bound) = limits[0];
    for (count, why) in limits {
        if count < stripe_count {
            (stripe_count, bound) = (count, why);
        }
    }
    let room = (headroom.least_free_bytes as f64 * STRIPE_FREE_SHARE).max(1.0);
    let (fitting, _) = bound_by((file.expected_bytes as f64 / room).ceil() as u64, Bound::Space);
    if fitting > stripe_count {
        (stripe_count, bound) = (fitting, Bound::Space);
    }
    let stripe_size = if file.writers > 1 { SHARED_STRIPE_SIZE } else { OWN_STRIPE_SIZE };
    Advice { stripe_count, stripe_size, bound }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOM: Headroom = Headroom { targets: 35, least_free_bytes: 1 << 44 };

    fn file(expected_bytes: u64, writers: u32, files: u32) -> FileToCome {
        FileToCome { expected_bytes, writers, files }
    }

    #[test]
    fn the_rule_at_known_places() {
        let rows = [
            // File per process, as many files as targets and more.
            (file(1 << 30, 1, 128), 1, Bound::ManyFiles),
            // One large shared file of many ranks: every target.
            (file(1 << 40, 512, 1), 35, Bound::Targets),
            // Small files.
            (file(1 << 20, 64, 1), 1, Bound::Bytes),
            (file(300 << 20, 64, 1), 4, Bound::Bytes),
            // One process, one large file.
            (file(1 << 40, 1, 1), 4, Bound::Writers),
            // Eight large shared files share the targets.
            (file(1 << 40, 64, 8), 4, Bound::Targets),
        ];
        for (file, count, bound) in rows {
            let advice = advise(&file, &ROOM);
            assert_eq!((advice.stripe_count, advice.bound), (count, bound), "{file:?}");
        }
        assert_eq!(advise(&file(1 << 40, 64, 8), &ROOM).stripe_size, SHARED_STRIPE_SIZE);
        assert_eq!(advise(&file(1 << 40, 1, 8), &ROOM).stripe_size, OWN_STRIPE_SIZE);
    }

    #[test]
    fn a_file_that_would_fill_a_target_is_spread() {
        let tight = Headroom { targets: 35, least_free_bytes: 1 << 40 };
        let advice = advise(&file(1 << 40, 1, 128), &tight);
        assert_eq!((advice.stripe_count, advice.bound), (10, Bound::Space));
    }

    proptest! {
        #[test]
        fn always_possible(bytes: u64, writers: u32, files: u32, targets: u32, least_free_bytes: u64) {
            let headroom = Headroom { targets, least_free_bytes };
            let advice = advise(&file(bytes, writers, files), &headroom);
            prop_assert!((1..=targets.max(1)).contains(&advice.stripe_count));
            prop_assert!(advice.stripe_size.is_power_of_two());
        }

        /// More bytes or writers never mean fewer stripes, more files never mean more, while there is space.
        #[test]
        fn monotone(bytes in 0u64..1 << 42, writers in 1u32..999, files in 1u32..99) {
            let headroom = Headroom { targets: 240, least_free_bytes: u64::MAX };
            let count = |bytes, writers, files| advise(&file(bytes, writers, files), &headroom).stripe_count;
            let here = count(bytes, writers, files);
            prop_assert!(count(bytes * 2, writers, files) >= here);
            prop_assert!(count(bytes, writers * 2, files) >= here);
            prop_assert!(count(bytes, writers, files * 2) <= here);
        }
    }
}
