//! Who did better in one run.

use crate::outcome::{Metric, Outcome};

/// What runs are judged by, the main measure first.
pub const MEASURES: [Metric; 3] = [Metric::JobIo, Metric::Makespan, Metric::FileIoP99];

/// Differences below this are none, seconds: a person cannot feel them, and a percent of a run of a tenth of a second is
/// the round trip of one create.
pub const FLOOR_S: f64 = 0.01;

/// One run, that is one seed of one case, by one measure. All ratios are of times: above 1 is worse.
///
/// A site runs the stock allocator that is better for it, and tarazu above that one: what it leaves alone is
/// placed as before. The better allocator is the one of the better mean over the seeds of the case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// tarazu above the better allocator, over that allocator alone.
    pub tarazu: f64,
    /// The better allocator with other draws of its own (where its cursor begins, whom it picks), over itself: what
    /// chance alone does where nobody steers.
    pub luck: f64,
    /// tarazu over the better allocator of this very seed. An allocator's luck counts as skill here.
    pub tarazu_strict: f64,
    /// The better allocator over the same.
    pub stock_strict: f64,
}

/// The verdicts of a case, by seed, with outcomes by [`super::RUNS`]; empty where a run had nothing to measure.
#[must_use]
pub fn judge(outcomes: &[Vec<Outcome>], measure: Metric) -> Vec<Verdict> {
    let values =
        |of: &Vec<Outcome>| -> Vec<f64> { of.iter().filter_map(|outcome| outcome.value(measure)).collect() };
    let all: Vec<Vec<f64>> = outcomes.iter().map(values).collect();
    let [robin, weighted, robin_again, weighted_again, above_robin, above_weighted] = &all[..] else {
        return Vec::new();
    };
    // Without a value in one seed of one run, the others would be paired across seeds.
    let whole = |(values, outcomes): (&Vec<f64>, &Vec<Outcome>)| values.len() == outcomes.len();
    if robin.is_empty() || !all.iter().zip(outcomes).all(whole) {
        return Vec::new();
    }
    let is_weighted = weighted_is_better(robin, weighted);
    let (better, again, tarazu) = if is_weighted {
        (weighted, weighted_again, above_weighted)
    } else {
        (robin, robin_again, above_robin)
    };
    let one = |seed: usize| {
        let best = robin[seed].min(weighted[seed]);
        Verdict {
            tarazu: ratio(tarazu[seed], better[seed]),
            luck: ratio(again[seed], better[seed]),
            tarazu_strict: ratio(tarazu[seed], best),
            stock_strict: ratio(better[seed], best),
        }
    };
    (0..robin.len()).map(one).collect()
}

fn weighted_is_better(robin: &[f64], weighted: &[f64]) -> bool {
    weighted.iter().sum::<f64>() < robin.iter().sum::<f64>()
}

/// The verdict over all seeds of a case, by their means: with several runs of each, luck weighs less.
#[must_use]
pub fn judge_means(outcomes: &[Vec<Outcome>], measure: Metric) -> Option<Verdict> {
    let mean = |place: usize| -> Option<f64> {
        let all = outcomes.get(place)?;
        let sum: Option<f64> = all.iter().map(|outcome| outcome.value(measure)).sum();
        Some(sum? / all.len().max(1) as f64)
    };
    let (robin, weighted) = (mean(0)?, mean(1)?);
    let above = usize::from(weighted < robin);
    let better = robin.min(weighted);
    let (tarazu, luck) = (ratio(mean(4 + above)?, better), ratio(mean(2 + above)?, better));
    Some(Verdict { tarazu, luck, tarazu_strict: tarazu, stock_strict: 1.0 })
}

/// Whether `lustre-qos` has the better mean of the main measure.
#[must_use]
pub fn is_weighted_better(outcomes: &[Vec<Outcome>]) -> bool {
    let values = |place: usize| -> Vec<f64> {
        let all = outcomes.get(place).map_or(&[][..], Vec::as_slice);
        all.iter().filter_map(|outcome| outcome.value(MEASURES[0])).collect()
    };
    weighted_is_better(&values(0), &values(1))
}

/// tarazu's outcomes above the allocator that is better by the main measure.
#[must_use]
pub fn above_better(outcomes: &[Vec<Outcome>]) -> &[Outcome] {
    let place = if is_weighted_better(outcomes) { 5 } else { 4 };
    outcomes.get(place).map_or(&[], Vec::as_slice)
}

/// 1 where the difference is below the floor.
fn ratio(value_s: f64, base_s: f64) -> f64 {
    if (value_s - base_s).abs() < FLOOR_S || base_s <= 0.0 { 1.0 } else { value_s / base_s }
}

#[cfg(test)]
mod tests {
    use super::super::RUNS;
    use super::*;
    use std::collections::BTreeMap;

    fn outcomes(times_s: [[f64; 2]; 6]) -> Vec<Vec<Outcome>> {
        let one = |policy, seed, time_s| Outcome {
            policy,
            seed,
            values: Metric::ALL.map(|_| Some(time_s)),
            files_made: 0,
            files_steered: 0,
            read_bytes: 0,
            written_bytes: 0,
            off_target_bytes: 0,
            overfilled_bytes: 0,
            steered_bytes: 0,
            steered: BTreeMap::new(),
            refusals: BTreeMap::new(),
            plans: 0,
            reports_refused: 0,
            bound_s: None,
            series: None,
            explanation: None,
        };
        let of = |(policy, times): (_, [f64; 2])| vec![one(policy, 1, times[0]), one(policy, 2, times[1])];
        RUNS.into_iter().map(|run| run.policy).zip(times_s).map(of).collect()
    }

    /// Weighted wins on the whole, round robin in the second seed.
    const TIMES_S: [[f64; 2]; 6] = [[10.0, 2.0], [4.0, 4.0], [9.0, 9.0], [4.0, 8.0], [1.0, 1.0], [5.0, 3.0]];

    #[test]
    fn tarazu_stands_above_the_allocator_of_the_better_mean() {
        let verdicts = judge(&outcomes(TIMES_S), Metric::JobIo);
        let first = Verdict { tarazu: 1.25, luck: 1.0, tarazu_strict: 1.25, stock_strict: 1.0 };
        let second = Verdict { tarazu: 0.75, luck: 2.0, tarazu_strict: 1.5, stock_strict: 2.0 };
        assert_eq!(verdicts, [first, second]);
        assert_eq!(above_better(&outcomes(TIMES_S))[0].values[0], Some(5.0));
    }

    #[test]
    fn means_even_luck_out() {
        let verdict = judge_means(&outcomes(TIMES_S), Metric::JobIo);
        let wanted = Verdict { tarazu: 1.0, luck: 1.5, tarazu_strict: 1.0, stock_strict: 1.0 };
        assert_eq!(verdict, Some(wanted));
        assert_eq!(judge_means(&[], Metric::JobIo), None);
    }

    #[test]
    fn what_nobody_feels_is_no_difference() {
        let mut times_s = [[0.02, 1.0]; 6];
        times_s[4] = [0.029, 1.02];
        let verdicts = judge(&outcomes(times_s), Metric::Makespan);
        assert_eq!((verdicts[0].tarazu, verdicts[1].tarazu), (1.0, 1.02));
    }

    #[test]
    fn nothing_to_measure_gives_no_verdict() {
        let mut none = outcomes([[1.0; 2]; 6]);
        none[2][1].values = Metric::ALL.map(|_| None);
        assert_eq!(judge(&none, Metric::JobIo), []);
        assert_eq!(judge(&[], Metric::JobIo), []);
    }
}
