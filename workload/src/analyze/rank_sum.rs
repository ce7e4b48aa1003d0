//! The rank-sum test of Mann and Whitney (1947), one-sided: are the values of a group larger than the rest?
//!
//! It compares order only, so that one extreme file cannot decide. Normal approximation with the
//! corrections for ties and continuity; at the far end it gives larger, that is more careful, chances than
//! the exact test.

/// Ranks of all values, ties sharing their mean, and what the ties take from the variance.
pub(super) struct Ranking {
    /// Rank of each value in the order given, from 1.
    pub(super) ranks: Vec<f64>,
    /// Sum over groups of equal values of t³ - t.
    ties: f64,
}

impl Ranking {
    /// Ranks values, none of which is a NaN.
    pub(super) fn of(values: &[f64]) -> Self {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_unstable_by(|a, b| values[*a].total_cmp(&values[*b]));
        let mut ranks = vec![0.0; values.len()];
        let mut ties = 0.0;
        let mut before = 0;
        for group in order.chunk_by(|a, b| values[*a] == values[*b]) {
            let count = group.len() as f64;
            let mean = before as f64 + f64::midpoint(count, 1.0);
            group.iter().for_each(|at| ranks[*at] = mean);
            ties += count * count * count - count;
            before += group.len();
        }
        Self { ranks, ties }
    }

    /// The chance that `group` values have a sum of ranks of at least `rank_sum` if nothing set them apart.
    pub(super) fn p_value(&self, group: usize, rank_sum: f64) -> f64 {
        let (n, all) = (group as f64, self.ranks.len() as f64);
        let others = all - n;
        let larger_pairs = rank_sum - n * (n + 1.0) / 2.0;
        let variance = n * others / 12.0 * (all + 1.0 - self.ties / (all * (all - 1.0)));
        // All values equal, or nothing to compare with: also catches the NaN of a single value.
        if variance.is_nan() || variance <= 0.0 {
            return 1.0;
        }
        upper_tail((larger_pairs - n * others / 2.0 - 0.5) / variance.sqrt())
    }
}

/// The chance that a standard normal variable is above `z`.
fn upper_tail(z: f64) -> f64 {
    0.5 * erfc(z / std::f64::consts::SQRT_2)
}

/// The complementary error function, to a relative error of 1.2e-7 (Press et al., Numerical Recipes, 2nd
/// edition, section 6.2).
fn erfc(x: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.26551223,
        1.00002368,
        0.37409196,
        0.09678418,
        -0.18628806,
        0.27886807,
        -1.13520398,
        1.48851587,
        -0.82215223,
        0.17087277,
    ];
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let series = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let above = t * (series - x * x).exp();
    if x >= 0.0 { above } else { 2.0 - above }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn p_value(group: &[f64], others: &[f64]) -> f64 {
        let ranking = Ranking::of(&[group, others].concat());
        ranking.p_value(group.len(), ranking.ranks[..group.len()].iter().sum())
    }

    /// The obvious twin: every way to choose the group.
    fn exact(group: &[f64], others: &[f64]) -> f64 {
        let all = [group, others].concat();
        let ranks = Ranking::of(&all).ranks;
        let sum = |set: u32| (0..all.len()).filter(|at| set >> at & 1 == 1).map(|at| ranks[at]).sum::<f64>();
        let found = sum((1 << group.len()) - 1);
        let sets = (0..1u32 << all.len()).filter(|set| set.count_ones() as usize == group.len());
        let (count, larger) = sets.fold((0u32, 0u32), |(count, larger), set| {
            (count + 1, larger + u32::from(sum(set) >= found - 1e-9))
        });
        f64::from(larger) / f64::from(count)
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        for (z, wanted) in
            [(0.0, 0.5), (1.0, 0.158655254), (1.959964, 0.025), (3.090232, 0.001), (-1.0, 0.841344746)]
        {
            assert!((upper_tail(z) / wanted - 1.0).abs() < 3e-6, "{z}: {}", upper_tail(z));
        }
        assert!((upper_tail(6.0) / 9.865876e-10 - 1.0).abs() < 1e-5);
        assert_eq!(upper_tail(60.0), 0.0);
    }

    #[test]
    fn equal_values_say_nothing() {
        assert_eq!(p_value(&[1.0; 8], &[1.0; 20]), 1.0);
        assert_eq!(p_value(&[1.0], &[]), 1.0);
    }

    #[test]
    fn ranks_share_ties() {
        assert_eq!(Ranking::of(&[2.0, 1.0, 2.0, 3.0]).ranks, [2.5, 1.0, 2.5, 4.0]);
    }

    proptest! {
        #[test]
        fn near_the_exact_test(
            group in prop::collection::vec(0u8..60, 6..8), others in prop::collection::vec(0u8..60, 7..10),
        ) {
            let of = |values: &[u8]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            let (group, others) = (of(&group), of(&others));
            let (fast, exact) = (p_value(&group, &others), exact(&group, &others));
            prop_assert!((fast - exact).abs() < 0.04, "{} instead of {}", fast, exact);
            // Where it decides, it must not claim more than the exact test.
            if exact < 0.001 {
                prop_assert!(fast > exact * 0.8, "{} instead of {}", fast, exact);
            }
        }
    }
}
