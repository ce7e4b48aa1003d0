//! What running jobs are about to write: the forecast as the planner takes it.
//!
//! This first form counts what job profiles announce. Forecasting from observed series has its own room
//! to come; it will give the same [`Demand`].

use std::cmp::Reverse;

use tarazu_layout::Bytes;
use tarazu_layout::limits::{CLASSES_MAX, STRIPES_MAX};
use tarazu_table::{JobKey, filled_stripes};

use crate::deal::Row;
use crate::ledger::EXPECTED_MAX;
use crate::sample::FileProfile;
use crate::view::View;

/// Upper bounds of the size classes in bytes; a file's class is the first whose bound is above its
/// expected size, the last class has no bound. Four classes: what fits a table of 64 KiB, with the
/// borders at the sizes where sites change stripe counts (papers: 16 MiB, 1 GiB, 16 GiB).
pub const CLASS_BOUNDS: [Bytes; 3] = [Bytes::mib(16), Bytes::gib(1), Bytes::gib(16)];

/// Number of size classes.
pub const CLASSES: usize = CLASS_BOUNDS.len() + 1;

const _: () = assert!(CLASSES <= CLASSES_MAX, "the table has room for all classes");

/// The class of a file of that size.
#[must_use]
pub fn class_of(expected: Bytes) -> u8 {
    CLASS_BOUNDS.iter().position(|bound| expected < *bound).unwrap_or(CLASSES - 1) as u8
}

/// What one size class is expected to need until the next plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassDemand {
    /// Stripes of files that are about to be made.
    pub stripes: u64,
    /// Bytes of all of them.
    pub bytes: Bytes,
    /// The largest stripe count among them.
    pub stripe_count_max: u32,
    /// One row a job and kind of file: those that have made none yet first, then those with the heaviest
    /// stripes.
    pub rows: Vec<DemandRow>,
}

/// Files of one kind that a job is about to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DemandRow {
    /// Under which its files are found in the table.
    pub key: JobKey,
    /// A whole burst of them, as a window of a ring.
    pub whole: Row,
    /// Stripes of the burst that are not placed yet.
    pub stripes_to_come: u64,
    /// Bursts that have been made already, whole ones.
    pub bursts: u64,
    /// Whether a burst is half made.
    pub is_midway: bool,
}

/// The demand by size class.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// By class number.
    pub classes: [ClassDemand; CLASSES],
}

impl Demand {
    /// Adds up the next burst of every running job.
    #[must_use]
    pub fn of_running_jobs(view: &View) -> Self {
        let mut demand = Self::default();
        for job in view.jobs.values() {
            // Bounded like each part of it, so that the product below stays within 128 bits.
            let burst = job.files.iter().map(burst_bytes).sum::<u128>().min(u128::from(u64::MAX));
            // What is already placed is in the ledger and must not count twice.
            let placed = u128::from(view.ledger.outstanding_of(job.job).0).min(burst);
            for file in &job.files {
                let class = &mut demand.classes[usize::from(class_of(file.expected))];
                let to_come = |whole: u128| {
                    // Files without bytes have no burst to be part of; they count whole.
                    let rest = (whole * (burst - placed)).checked_div(burst).unwrap_or(whole);
                    u64::try_from(rest).unwrap_or(u64::MAX)
                };
                let stripes = to_come(u128::from(file.stripes_per_burst));
                class.stripes = class.stripes.saturating_add(stripes);
                class.bytes += Bytes(to_come(burst_bytes(file)));
                class.stripe_count_max = class.stripe_count_max.max(file.stripe_count);
                class.rows.push(DemandRow {
                    key: file.key,
                    whole: window(file, job.world, view.targets.len()),
                    stripes_to_come: stripes,
                    bursts: view.made(file.key) / u64::from(file.files_per_burst.max(1)),
                    is_midway: !view.made(file.key).is_multiple_of(u64::from(file.files_per_burst.max(1))),
                });
            }
        }
        for class in &mut demand.classes {
            // Who has made nothing yet is about to; when the next burst of the others comes, nobody knows.
            class.rows.sort_by_key(|row| (row.bursts > 0, Reverse(row.whole.stripe_bytes), row.key));
        }
        demand
    }
}

/// A burst as a window of a ring: all ranks take tickets, whether they make a file or not.
fn window(file: &FileProfile, world: u32, targets: usize) -> Row {
    // More stripes than there are targets means all of them, for clients as well.
    let stripe_count = (file.stripe_count as usize).clamp(1, STRIPES_MAX.min(targets.max(1)));
    let stripe_size = u32::try_from(file.stripe_size).unwrap_or(u32::MAX);
    let step = filled_stripes(file.expected.0, stripe_size, stripe_count) as u32;
    // One file is the first rank's as a rule; several in fewer than all ranks are spread over them.
    let ranks = if file.files_per_burst > 1 { world } else { 1 };
    let stripes = file.stripes_per_burst;
    Row {
        span: u64::from(file.files_per_burst.max(ranks)) * u64::from(step),
        stripes,
        step,
        stripe_bytes: u64::try_from(burst_bytes(file) / u128::from(stripes.max(1))).unwrap_or(u64::MAX),
    }
}

/// Bytes of all files of one class's burst on the component that is placed. Each file's are bounded as the ledger bounds them, so that
/// products stay within 128 bits.
fn burst_bytes(file: &FileProfile) -> u128 {
    let bytes = u128::from(file.placed.0.min(EXPECTED_MAX)) * u128::from(file.files_per_burst);
    bytes.min(u128::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_all_sizes() {
        assert_eq!(class_of(Bytes::ZERO), 0);
        assert_eq!(class_of(Bytes(Bytes::mib(16).0 - 1)), 0);
        assert_eq!(class_of(Bytes::mib(16)), 1);
        assert_eq!(class_of(Bytes::gib(1)), 2);
        assert_eq!(class_of(Bytes(u64::MAX)), 3);
    }
}
