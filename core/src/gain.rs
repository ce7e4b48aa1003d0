//! Whether steering a job's files is worth its round trips.
//!
//! A layout costs one more round trip to the metadata server, so it is given only where it is expected
//! to save much more. Both sides are walked through alike: the announced bursts taken ticket by ticket
//! from the planned rings, and from one plain ring over all targets that the file system would use.
//! What differs is then due to the plan, and a balanced system gives exactly no gain.

use tarazu_layout::{TargetId, hash};

/// The saving must be so many times the cost: an estimate may be wrong by that much and still do no harm.
pub const GAIN_OVER_COST: f64 = 10.0;

/// Starting points on the rings that a walk is averaged over: between these bounds, fewer on long rings,
/// where one walk meets many targets anyway.
const STARTS: (usize, usize) = (4, 32);

/// Tickets to look at in all walks of one class together.
const TICKETS_GOAL: usize = 16_384;

/// One class's burst on one ring.
#[derive(Clone, Copy, Debug)]
pub struct Burst<'a> {
    /// The ring's tickets.
    pub ring: &'a [TargetId],
    /// Stripes that are about to be made.
    pub stripes: u64,
    /// Work of one stripe on each target, seconds.
    pub stripe_s: &'a [f64],
}

/// One way to place all bursts, walked through from several starting points.
#[derive(Clone, Debug)]
pub struct Walked {
    /// By starting point, then class: stripes by target.
    stripes: Vec<Vec<Vec<u64>>>,
    /// By starting point: targets in rising order of their work, with that work in seconds.
    order: Vec<Vec<(f64, usize)>>,
}

impl Walked {
    /// Walks the bursts of all classes over targets that already have `base_s` seconds of work each.
    #[must_use]
    pub fn new(base_s: &[f64], bursts: &[Burst<'_>]) -> Self {
        let longest = bursts.iter().map(|burst| burst.ring.len()).max().unwrap_or(1);
        let starts = (TICKETS_GOAL / longest.max(1)).clamp(STARTS.0, STARTS.1);
        let mut walked = Self { stripes: Vec::with_capacity(starts), order: Vec::with_capacity(starts) };
        for start in 0..starts {
            let mut work_s = base_s.to_vec();
            let mut by_class = Vec::with_capacity(bursts.len());
            for (class, burst) in bursts.iter().enumerate() {
                let from = hash::combine(class as u64, start as u64);
                let stripes = walk(burst, from, base_s.len());
                for ((work_s, stripes), stripe_s) in work_s.iter_mut().zip(&stripes).zip(burst.stripe_s) {
                    *work_s += *stripes as f64 * stripe_s;
                }
                by_class.push(stripes);
            }
            let mut order: Vec<(f64, usize)> =
                work_s.into_iter().enumerate().map(|(target, work_s)| (work_s, target)).collect();
            order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            walked.stripes.push(by_class);
            walked.order.push(order);
        }
        walked
    }

    /// When the last of a job's stripes is expected to be written, seconds: the job has `stripes` of
    /// its class's burst, any of them alike. 0 where the class has none.
    #[must_use]
    pub fn last_s(&self, class: usize, stripes: u64) -> f64 {
        let sum: f64 = self
            .stripes
            .iter()
            .zip(&self.order)
            .filter_map(|(by_class, order)| Some(expected_last(order, by_class.get(class)?, stripes)))
            .sum();
        sum / self.order.len().max(1) as f64
    }
}

/// Stripes by target of one burst that begins somewhere on its ring.
fn walk(burst: &Burst<'_>, from: u64, targets: usize) -> Vec<u64> {
    let mut stripes = vec![0u64; targets];
    let length = burst.ring.len() as u64;
    if length == 0 {
        return stripes;
    }
    let (rounds, rest) = (burst.stripes / length, burst.stripes % length);
    if rounds > 0 {
        burst.ring.iter().for_each(|target| stripes[target.index()] += rounds);
    }
    let begin = (from % length) as usize;
    let (before, after) = burst.ring.split_at(begin);
    for target in after.iter().chain(before).take(rest as usize) {
        stripes[target.index()] += 1;
    }
    stripes
}

/// Expected work of the busiest of `draws` stripes out of a burst.
fn expected_last(order: &[(f64, usize)], stripes: &[u64], draws: u64) -> f64 {
    let all: u64 = stripes.iter().sum();
    let draws = draws.min(all);
    if draws == 0 {
        return 0.0;
    }
    // P(all drawn stripes are among the m least busy) is a product of `draws` falling fractions; its
    // middle factor to that power is close and costs nothing.
    let middle = (draws - 1) as f64 / 2.0;
    let chance = |among: u64| {
        if among < draws {
            return 0.0;
        }
        ((among as f64 - middle) / (all as f64 - middle)).powf(draws as f64)
    };
    let (mut among, mut below, mut expected) = (0, 0.0, 0.0);
    for (work_s, target) in order.iter().filter(|(_, target)| stripes[*target] > 0) {
        among += stripes[*target];
        let upto = chance(among);
        expected += work_s * (upto - below);
        below = upto;
    }
    expected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(targets: u32) -> Vec<TargetId> {
        (0..targets).map(TargetId).collect()
    }

    #[test]
    fn a_balanced_system_has_no_gain() {
        let (ring, base, stripe) = (ring(35), vec![0.0; 35], vec![0.5; 35]);
        for stripes in [1, 16, 35, 64, 1000] {
            let burst = Burst { ring: &ring, stripes, stripe_s: &stripe };
            let walked = Walked::new(&base, &[burst]);
            let expected = 0.5 * (stripes as f64 / 35.0).ceil();
            assert!((walked.last_s(0, stripes) - expected).abs() < 1e-9, "{stripes} stripes");
        }
    }

    #[test]
    fn avoiding_a_slow_target_is_a_gain() {
        let (all, base) = (ring(10), vec![0.0; 10]);
        let mut stripe = vec![1.0; 10];
        stripe[3] = 20.0;
        let without: Vec<TargetId> = all.iter().copied().filter(|target| target.0 != 3).collect();
        let last = |ring: &[TargetId], draws| {
            let burst = Burst { ring, stripes: 9, stripe_s: &stripe };
            Walked::new(&base, &[burst]).last_s(0, draws)
        };
        assert!((last(&without, 9) - 1.0).abs() < 1e-9);
        // Nine of ten consecutive tickets meet the slow one nearly always; one draw rarely does.
        assert!(last(&all, 9) > 15.0);
        assert!(last(&all, 1) < 4.0);
    }

    #[test]
    fn the_busiest_of_all_stripes_is_the_busiest() {
        let order = [(1.0, 0), (2.0, 1), (7.0, 2)];
        assert_eq!(expected_last(&order, &[1, 1, 1], 3), 7.0);
        assert_eq!(expected_last(&order, &[1, 1, 0], 9), 2.0);
        assert_eq!(expected_last(&order, &[0, 0, 0], 1), 0.0);
        assert!((expected_last(&order, &[1, 1, 1], 1) - 10.0 / 3.0).abs() < 1e-9);
    }
}
