//! From when on something is worth a word; the TOML file in which a site sets it.

use serde::{Deserialize, Deserializer};

use crate::text::parse_bytes;

/// The defaults as a commented TOML file.
pub const DEFAULTS_TOML: &str = include_str!("../../analyze-defaults.toml");

/// All thresholds. What a TOML file leaves out keeps its default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Of `TZ-STRIPE-*`.
    pub stripe: StripeThresholds,
    /// Of `TZ-TARGET-*`.
    pub target: TargetThresholds,
    /// Of `TZ-RANK-*`.
    pub rank: RankThresholds,
    /// Of `TZ-BURST-*`.
    pub burst: BurstThresholds,
}

/// Thresholds of `TZ-STRIPE-*`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StripeThresholds {
    /// Size of a shared file, and bytes moved in it, from which one stripe is too few.
    #[serde(deserialize_with = "bytes")]
    pub big_shared_file: u64,
    /// I/O seconds of the slowest rank in that file from which they matter.
    pub shared_seconds_min: f64,
    /// File bytes that one stripe should hold in a recommendation.
    #[serde(deserialize_with = "bytes")]
    pub bytes_per_stripe: u64,
    /// Fewest stripes recommended for a big shared file.
    pub stripes_min: u32,
    /// Most stripes recommended.
    pub stripes_max: u32,
    /// Bytes of a job from which the number of targets matters.
    #[serde(deserialize_with = "bytes")]
    pub many_bytes: u64,
    /// Share of the file system's known targets below which a job uses few, 0 to 1.
    pub few_targets_share: f64,
    /// Size up to which a file is small.
    #[serde(deserialize_with = "bytes")]
    pub small_file: u64,
    /// Stripes from which a file is wide.
    pub wide_stripes: u32,
    /// Small wide files in one folder from which they matter.
    pub small_files_min: u64,
}

/// Thresholds of `TZ-TARGET-*`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetThresholds {
    /// Bytes on one target from which its share matters.
    #[serde(deserialize_with = "bytes")]
    pub one_target_bytes: u64,
    /// Share of the job's bytes on one target, 0 to 1.
    pub one_target_share: f64,
    /// The bytes on it as a multiple of the even part: what the job moves on that file system over the targets
    /// it uses there, above 1.
    pub one_target_over_even: f64,
    /// Seconds per byte of a slow target's files, as a multiple of those of its peers, above 1.
    pub slow_factor: f64,
    /// How probable it may be that any healthy target of a file system looks this slow by chance, 0 to 1.
    pub slow_p_value: f64,
    /// Files on a target from which it is judged.
    pub slow_files_min: u64,
    /// Bytes moved in a file from which its time says something about a target.
    #[serde(deserialize_with = "bytes")]
    pub slow_file_bytes_min: u64,
    /// Seconds that a slow target's files took together, from which it matters.
    pub slow_seconds_min: f64,
}

/// Thresholds of `TZ-RANK-*`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RankThresholds {
    /// Ranks of a job from which they are compared.
    pub ranks_min: u64,
    /// I/O seconds of the slowest rank beyond the usual ones from which they matter.
    pub seconds_min: f64,
    /// The same as a share of the run time, 0 to 1.
    pub run_share_min: f64,
    /// I/O seconds of the slowest rank as a multiple of the usual ones, above 1.
    pub time_factor: f64,
    /// Share of the job's bytes that one rank moves, 0 to 1.
    pub one_rank_share: f64,
    /// Bytes of that rank from which its share matters.
    #[serde(deserialize_with = "bytes")]
    pub bytes_min: u64,
}

/// Thresholds of `TZ-BURST-*`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BurstThresholds {
    /// Bursts from which a period is believed.
    pub bursts_min: u64,
    /// Seconds of silence from which it may part two bursts; the usual one must be twice as long.
    pub gap_seconds_min: f64,
    /// How far a period may be from the middle one, as a share of it.
    pub period_tolerance: f64,
    /// Share of the periods that must be that near, 0 to 1.
    pub regular_share: f64,
    /// Bytes of the middle burst from which bursts matter.
    #[serde(deserialize_with = "bytes")]
    pub burst_bytes_min: u64,
}

impl Default for StripeThresholds {
    fn default() -> Self {
        Self {
            big_shared_file: 1 << 30,
            shared_seconds_min: 5.0,
            bytes_per_stripe: 1 << 30,
            stripes_min: 8,
            stripes_max: 64,
            many_bytes: 100 << 30,
            few_targets_share: 0.1,
            small_file: 16 << 20,
            wide_stripes: 4,
            small_files_min: 32,
        }
    }
}

impl Default for TargetThresholds {
    fn default() -> Self {
        Self {
            one_target_bytes: 10 << 30,
            one_target_share: 0.5,
            one_target_over_even: 2.0,
            slow_factor: 3.0,
            slow_p_value: 1e-4,
            slow_files_min: 8,
            slow_file_bytes_min: 1 << 20,
            slow_seconds_min: 10.0,
        }
    }
}

impl Default for RankThresholds {
    fn default() -> Self {
        Self {
            ranks_min: 8,
            seconds_min: 10.0,
            run_share_min: 0.005,
            time_factor: 4.0,
            one_rank_share: 0.9,
            bytes_min: 1 << 30,
        }
    }
}

impl Default for BurstThresholds {
    fn default() -> Self {
        Self {
            bursts_min: 6,
            gap_seconds_min: 0.5,
            period_tolerance: 0.3,
            regular_share: 0.8,
            burst_bytes_min: 1 << 20,
        }
    }
}

/// Why thresholds are refused.
#[derive(Debug, thiserror::Error)]
pub enum ThresholdError {
    /// No TOML, an unknown key, or a value of the wrong kind; the message names line and key.
    #[error("cannot be read as thresholds; --print-thresholds shows every key with its unit: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value outside of its range.
    #[error("{key} is {value}, and must be {range}")]
    Range {
        /// Section and key.
        key: &'static str,
        /// The value.
        value: f64,
        /// What is allowed.
        range: &'static str,
    },
}

impl Thresholds {
    /// Reads thresholds from TOML text.
    ///
    /// # Errors
    /// For text that is no TOML, keys that do not exist, and values outside of their range.
    pub fn from_toml(text: &str) -> Result<Self, ThresholdError> {
        let thresholds: Self = toml::from_str(text)?;
        thresholds.check()?;
        Ok(thresholds)
    }

    fn check(&self) -> Result<(), ThresholdError> {
        let Self { stripe, target, rank, burst } = self;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let factor = |value: f64| value > 1.0 && value.is_finite();
        let probability = |value: f64| value > 0.0 && value < 1.0;
        const SHARE: &str = "from 0 to 1";
        const POSITIVE: &str = "above 0";
        const FACTOR: &str = "above 1";
        let at_least_one = |value: u64| value >= 1;
        const ONE: &str = "at least 1";
        let rows = [
            ("stripe.few_targets_share", stripe.few_targets_share, share(stripe.few_targets_share), SHARE),
            (
                "stripe.bytes_per_stripe",
                stripe.bytes_per_stripe as f64,
                at_least_one(stripe.bytes_per_stripe),
                ONE,
            ),
            (
                "stripe.shared_seconds_min",
                stripe.shared_seconds_min,
                positive(stripe.shared_seconds_min),
                POSITIVE,
            ),
            ("stripe.stripes_min", stripe.stripes_min.into(), stripe.stripes_min >= 2, "at least 2"),
            (
                "stripe.stripes_max",
                stripe.stripes_max.into(),
                stripe.stripes_max >= stripe.stripes_min,
                "at least stripes_min",
            ),
            ("stripe.wide_stripes", stripe.wide_stripes.into(), stripe.wide_stripes >= 2, "at least 2"),
            ("target.one_target_share", target.one_target_share, share(target.one_target_share), SHARE),
            (
                "target.one_target_over_even",
                target.one_target_over_even,
                factor(target.one_target_over_even),
                FACTOR,
            ),
            ("target.slow_factor", target.slow_factor, factor(target.slow_factor), FACTOR),
            ("target.slow_p_value", target.slow_p_value, probability(target.slow_p_value), "between 0 and 1"),
            ("target.slow_files_min", target.slow_files_min as f64, target.slow_files_min >= 5, "at least 5"),
            (
                "target.slow_file_bytes_min",
                target.slow_file_bytes_min as f64,
                at_least_one(target.slow_file_bytes_min),
                ONE,
            ),
            ("target.slow_seconds_min", target.slow_seconds_min, positive(target.slow_seconds_min), POSITIVE),
            ("rank.ranks_min", rank.ranks_min as f64, rank.ranks_min >= 2, "at least 2"),
            ("rank.seconds_min", rank.seconds_min, positive(rank.seconds_min), POSITIVE),
            ("rank.run_share_min", rank.run_share_min, share(rank.run_share_min), SHARE),
            ("rank.time_factor", rank.time_factor, factor(rank.time_factor), FACTOR),
            ("rank.one_rank_share", rank.one_rank_share, share(rank.one_rank_share), SHARE),
            ("burst.bursts_min", burst.bursts_min as f64, burst.bursts_min >= 3, "at least 3"),
            ("burst.gap_seconds_min", burst.gap_seconds_min, positive(burst.gap_seconds_min), POSITIVE),
            ("burst.period_tolerance", burst.period_tolerance, share(burst.period_tolerance), SHARE),
            ("burst.regular_share", burst.regular_share, share(burst.regular_share), SHARE),
        ];
        match rows.into_iter().find(|(_, _, fits, _)| !fits) {
            Some((key, value, _, range)) => Err(ThresholdError::Range { key, value, range }),
            None => Ok(()),
        }
    }
}

/// Bytes as a number, or as text with a binary unit.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "bytes as a whole number of at least 0, or as text such as \"1GiB\"")]
    enum Written {
        Number(u64),
        Text(String),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => parse_bytes(&text).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is no size in bytes; write it as \"512MiB\" or \"1GiB\""
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_file_has_the_defaults_and_every_key() {
        assert_eq!(Thresholds::from_toml(DEFAULTS_TOML).unwrap(), Thresholds::default());
        // A field that the file forgets would pass the comparison above.
        let text = format!("{:?}", Thresholds::default());
        let keys = text.split([' ', '{', ',']).filter_map(|word| word.strip_suffix(':'));
        for key in keys.filter(|key| !["stripe", "target", "rank", "burst"].contains(key)) {
            assert!(DEFAULTS_TOML.contains(&format!("\n{key} = ")), "{key}");
        }
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        let some = Thresholds::from_toml("[stripe]\nbig_shared_file = \"4GiB\"\nsmall_file = 65536").unwrap();
        assert_eq!((some.stripe.big_shared_file, some.stripe.small_file), (4 << 30, 65_536));
        assert_eq!(some.target, TargetThresholds::default());
        assert_eq!(Thresholds::from_toml("").unwrap(), Thresholds::default());
    }

    #[test]
    fn wrong_files_are_refused_with_place_and_remedy() {
        let rows = [
            ("[stripe]\nbig_file = 1", "big_file"),
            ("[stripes]", "stripes"),
            ("[stripe]\nsmall_file = \"1MB\"", "1MB"),
            ("[stripe]\nsmall_file = -1", "whole number"),
            ("[target]\nslow_factor = 1.0", "target.slow_factor is 1, and must be above 1"),
            ("[target]\nslow_p_value = nan", "target.slow_p_value"),
            ("[rank]\nseconds_min = inf", "rank.seconds_min"),
            ("[stripe]\nstripes_max = 4", "at least stripes_min"),
            ("[burst]\nbursts_min = 2", "burst.bursts_min"),
            ("]", "line 1"),
        ];
        for (text, wanted) in rows {
            let error = Thresholds::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
