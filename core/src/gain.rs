//! Whether steering a job's files is worth its round trips.
//!
//! A layout costs one more round trip to the metadata server, so it is given only where it is expected
//! to save much more. Both sides are reckoned alike: the job's stripes on consecutive tickets of a ring,
//! on top of the work that is known to wait there. Without a layout the ring is a plain one over all
//! targets that the file system would use, and its cursor may stand anywhere; with one, the job has its
//! place. What other jobs may write at the same time is in neither: when they will is not known.

use std::collections::VecDeque;

use tarazu_layout::TargetId;

use crate::deal::Row;

/// The saving must be so many times the cost: an estimate may be wrong by that much and still do no harm.
pub const GAIN_OVER_COST: f64 = 10.0;

/// Share of all written bytes that is taken to be read back while it still matters where they lie. On
/// purpose low: on the systems whose logs are public, reads make up between a third and two thirds of
/// all bytes.
pub const READ_BACK: f64 = 0.1;

/// The saving must be at least this share of what the files of the burst would take as a whole: less is
/// within the error of what is known of sizes and speeds.
pub const GAIN_SHARE_MIN: f64 = 0.05;

/// The same for files of several stripes. Small synchronous writes go round their stripes in step, so who
/// meets whom on which target decides up to a fifth of their time, either way (measured in the simulator on
/// equal counts of stripes by target, without client caches); to move such files takes more than that.
pub const GAIN_SHARE_STRIPED: f64 = 0.2;

/// When the last stripe of a row is expected to be written, seconds, by where on the ring it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Lasts {
    /// One a ticket of the ring; empty for an empty ring.
    by_begin: Vec<f64>,
}

impl Lasts {
    /// Takes a row of stripes that need `stripe_s` seconds of each target, on top of `work_s`.
    ///
    /// Whole rounds of the ring reach every target wherever the row begins, a window of the rest decides:
    /// its largest value for all beginnings is found in one pass.
    #[must_use]
    pub fn new(ring: &[TargetId], row: &Row, work_s: &[f64], stripe_s: impl Fn(TargetId) -> f64) -> Self {
        let length = ring.len();
        if length == 0 || row.span == 0 {
            return Self { by_begin: vec![0.0; length] };
        }
        let (rounds, rest) = (row.span / length as u64, (row.span % length as u64) as usize);
        // A target stands on a ring as often as its weight says.
        let mut times = vec![0u64; work_s.len()];
        ring.iter().for_each(|target| times[target.index()] += 1);
        let after = |target: TargetId, more: u64| {
            work_s[target.index()] + (rounds * times[target.index()] + more) as f64 * stripe_s(target)
        };
        let everywhere =
            if rounds == 0 { 0.0 } else { ring.iter().map(|target| after(*target, 0)).fold(0.0, f64::max) };
        // Tickets of a target are evenly spaced, so a window that meets it holds its share, rounded up.
        let share = |target: TargetId| (rest as u64 * times[target.index()]).div_ceil(length as u64);
        let values: Vec<f64> = ring.iter().map(|target| after(*target, share(*target))).collect();
        let by_begin = window_maxima(&values, rest).into_iter().map(|last| last.max(everywhere)).collect();
        Self { by_begin }
    }

    /// For a row that begins there.
    #[must_use]
    pub fn from(&self, begin: u32) -> f64 {
        self.by_begin.get(begin as usize).copied().unwrap_or(0.0)
    }

    /// For a row that may begin anywhere: the mean.
    #[must_use]
    pub fn from_anywhere(&self) -> f64 {
        self.by_begin.iter().sum::<f64>() / self.by_begin.len().max(1) as f64
    }
}

/// The largest of each `width` consecutive values of a circle, by the first of them; 0 for no width.
fn window_maxima(values: &[f64], width: usize) -> Vec<f64> {
    let length = values.len();
    let mut maxima = vec![0.0; length];
    if width == 0 {
        return maxima;
    }
    // Places whose value no later one in the window reaches, largest first.
    let mut candidates = VecDeque::<usize>::new();
    // No place is beyond the second lap.
    let at = |place: usize| values[if place < length { place } else { place - length }];
    for place in 0..length + width - 1 {
        let value = at(place);
        while candidates.back().is_some_and(|last| at(*last) <= value) {
            candidates.pop_back();
        }
        candidates.push_back(place);
        if candidates.front().is_some_and(|first| first + width <= place) {
            candidates.pop_front();
        }
        if let (Some(begin), Some(first)) = ((place + 1).checked_sub(width), candidates.front()) {
            maxima[begin] = at(*first);
        }
    }
    maxima
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ring(targets: u32) -> Vec<TargetId> {
        (0..targets).map(TargetId).collect()
    }

    fn row(span: u64) -> Row {
        Row { span, stripes: span, step: 1, stripe_bytes: 1 }
    }

    #[test]
    fn a_balanced_system_has_no_gain() {
        for stripes in [1, 16, 35, 64, 1000] {
            let lasts = Lasts::new(&ring(35), &row(stripes), &[0.0; 35], |_| 0.5);
            let expected = 0.5 * (stripes as f64 / 35.0).ceil();
            assert!((lasts.from_anywhere() - expected).abs() < 1e-9, "{stripes} stripes");
            assert_eq!(lasts.from(7), expected);
        }
    }

    #[test]
    fn avoiding_a_slow_target_is_a_gain() {
        let slow = |target: TargetId| if target.0 == 3 { 20.0 } else { 1.0 };
        let lasts = Lasts::new(&ring(10), &row(4), &[0.0; 10], slow);
        assert_eq!((lasts.from(0), lasts.from(4)), (20.0, 1.0));
        // Four of ten beginnings meet it.
        assert!((lasts.from_anywhere() - (4.0 * 20.0 + 6.0) / 10.0).abs() < 1e-9);
        assert_eq!(Lasts::new(&[], &row(4), &[], slow).from_anywhere(), 0.0);
        assert_eq!(Lasts::new(&ring(10), &row(0), &[9.0; 10], slow).from_anywhere(), 0.0);
    }

    proptest! {
        /// The obvious twin: look at every window.
        #[test]
        fn maxima_of_windows(values in prop::collection::vec(0u32..50, 1..40), share in 0.0f64..1.0) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let width = (values.len() as f64 * share) as usize;
            let twin = |begin: usize| {
                (begin..begin + width).map(|place| values[place % values.len()]).fold(0.0, f64::max)
            };
            let expected: Vec<f64> = (0..values.len()).map(twin).collect();
            prop_assert_eq!(window_maxima(&values, width), expected);
        }
    }
}
