//! Means with 95 % confidence intervals over seeds, and paired differences between policies.
//!
//! Seeds give every policy the same start times, background and stock allocator, so differences are
//! taken seed by seed: what varies from seed to seed but not between policies falls out.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Two-sided confidence of all intervals.
pub const CONFIDENCE: f64 = 0.95;

/// Changes below this are no changes, percent: far above rounding, far below anything a user could feel.
pub const RESOLUTION_PERCENT: f64 = 0.01;

/// A mean with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Lower and upper end; `None` with fewer than two values.
    pub ends: Option<(f64, f64)>,
}

/// Mean and interval (Student's t) of independent values; `None` without values.
#[must_use]
pub fn interval(values: &[f64]) -> Option<Interval> {
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let ends = half_width(values, mean).map(|half| (mean - half, mean + half));
    Some(Interval { mean, ends })
}

fn half_width(values: &[f64], mean: f64) -> Option<f64> {
    let count = values.len() as f64;
    let freedom = count - 1.0;
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.5 + CONFIDENCE / 2.0);
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / freedom;
    Some(t * (variance / count).sqrt())
}

/// A policy's change against the baseline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// In percent of the baseline, mean over seeds, with its interval.
    pub percent: Interval,
    /// The interval leaves 0 out, and the mean is above [`RESOLUTION_PERCENT`].
    pub is_clear: bool,
}

/// The paired change of `values` against `baseline`, seed by seed, in percent; `None` where no seed has
/// both, or a baseline is not above 0.
#[must_use]
pub fn paired_change(values: &[Option<f64>], baseline: &[Option<f64>]) -> Option<Change> {
    let pairs = values.iter().zip(baseline);
    let changes: Option<Vec<f64>> = pairs
        .filter_map(|(value, base)| Some(((*value)?, (*base)?)))
        .map(|(value, base)| (base > 0.0).then(|| (value - base) / base * 100.0))
        .collect();
    let percent = interval(&changes?)?;
    let leaves_out_0 = percent.ends.is_some_and(|(low, high)| low > 0.0 || high < 0.0);
    let is_clear = leaves_out_0 && percent.mean.abs() >= RESOLUTION_PERCENT;
    Some(Change { percent, is_clear })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_known_values() {
        // Mean 3, standard deviation sqrt(2.5), t(0.975, 4) = 2.776445.
        let known = interval(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("values");
        let (low, high) = known.ends.expect("five values");
        assert!((known.mean - 3.0).abs() < 1e-12);
        assert!((high - 3.0 - 1.963_243).abs() < 1e-5 && (3.0 - low - 1.963_243).abs() < 1e-5);
        assert_eq!(interval(&[4.0]), Some(Interval { mean: 4.0, ends: None }));
        assert_eq!(interval(&[]), None);
    }

    #[test]
    fn a_policy_against_itself_shows_nothing() {
        let values: Vec<Option<f64>> = (1..20).map(|value| Some(f64::from(value))).collect();
        let change = paired_change(&values, &values).expect("pairs");
        assert_eq!(change.percent.mean, 0.0);
        assert!(!change.is_clear);
    }

    #[test]
    fn pairing_sees_what_spread_hides() {
        let base: Vec<Option<f64>> = (1..20).map(|value| Some(f64::from(value * value))).collect();
        let better: Vec<Option<f64>> = base.iter().map(|value| value.map(|v| v * 0.97)).collect();
        let change = paired_change(&better, &base).expect("pairs");
        assert!((change.percent.mean + 3.0).abs() < 1e-9 && change.is_clear);
        assert_eq!(paired_change(&[None], &[Some(1.0)]), None);
        assert_eq!(paired_change(&[Some(1.0)], &[Some(0.0)]), None);
    }
}
