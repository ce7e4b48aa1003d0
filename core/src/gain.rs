//! Whether steering a job's files is worth its round trips.
//!
//! A layout costs one more round trip to the metadata server, so it is given only where it is expected
//! to save much more. Both sides are walked through alike: the announced bursts taken ticket by ticket
//! from the planned rings, and from one plain ring over all targets that the file system would use.
//! What differs is then due to the plan, and a balanced system gives exactly no gain.

use tarazu_layout::{TargetId, hash};

/// The saving must be so many times the cost: an estimate may be wrong by that much and still do no harm.
pub const GAIN_OVER_COST: f64 = 10.0;

/// The saving must be at least this share of what the files of the burst would take as a whole: less is
/// within the error of what is known of sizes and speeds.
pub const GAIN_SHARE_MIN: f64 = 0.05;

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
    /// Stripes that are about to be made, by whom: each part begins at a place of its own on the ring.
    /// The jobs of one class do; the file system's one cursor takes all of them one after the other.
    pub parts: &'a [u64],
    /// Work of one stripe on each target, seconds.
    pub stripe_s: &'a [f64],
}

/// Targets of a walk that are looked at one by one, the busiest ones: they decide when the last stripe
/// is written. The others are taken together in as many groups.
const SINGLE_TARGETS: usize = 32;

/// Targets of a class's burst in rising order of their work, the less busy ones in groups.
#[derive(Clone, Debug, Default)]
struct Ladder {
    /// Stripes on this step and all below, and the step's work in seconds.
    steps: Vec<(u64, f64)>,
}

/// One way to place all bursts, walked through from several starting points.
#[derive(Clone, Debug)]
pub struct Walked {
    /// By starting point, then class.
    ladders: Vec<Vec<Ladder>>,
}

impl Walked {
    /// Walks the bursts of all classes over targets that already have `base_s` seconds of work each.
    #[must_use]
    pub fn new(base_s: &[f64], bursts: &[Burst<'_>]) -> Self {
        let longest = bursts.iter().map(|burst| burst.ring.len()).max().unwrap_or(1);
        let starts = (TICKETS_GOAL / longest.max(1)).clamp(STARTS.0, STARTS.1);
        let from = |start: usize| walk_all(base_s, bursts, start as u64);
        Self { ladders: (0..starts).map(from).collect() }
    }

    /// When the last of a job's stripes is expected to be written, seconds: the job has `stripes` of
    /// its class's burst, any of them alike. 0 where the class has none.
    #[must_use]
    pub fn last_s(&self, class: usize, stripes: u64) -> f64 {
        let ladders = self.ladders.iter().filter_map(|by_class| by_class.get(class));
        let sum: f64 = ladders.map(|ladder| ladder.expected_last(stripes)).sum();
        sum / self.ladders.len().max(1) as f64
    }
}

/// All bursts from one starting point.
fn walk_all(base_s: &[f64], bursts: &[Burst<'_>], start: u64) -> Vec<Ladder> {
    let mut work_s = base_s.to_vec();
    let mut by_class = Vec::with_capacity(bursts.len());
    for (class, burst) in bursts.iter().enumerate() {
        let stripes = walk(burst, hash::combine(class as u64, start), base_s.len());
        for ((work_s, stripes), stripe_s) in work_s.iter_mut().zip(&stripes).zip(burst.stripe_s) {
            *work_s += *stripes as f64 * stripe_s;
        }
        by_class.push(stripes);
    }
    let mut order: Vec<usize> = (0..work_s.len()).collect();
    order.sort_unstable_by(|a, b| work_s[*a].total_cmp(&work_s[*b]).then(a.cmp(b)));
    by_class.iter().map(|stripes| Ladder::new(&order, &work_s, stripes)).collect()
}

impl Ladder {
    /// `order` are targets in rising order of their work.
    fn new(order: &[usize], work_s: &[f64], stripes: &[u64]) -> Self {
        let used: Vec<usize> = order.iter().copied().filter(|target| stripes[*target] > 0).collect();
        let (grouped, single) = used.split_at(used.len().saturating_sub(SINGLE_TARGETS));
        let mut ladder = Self::default();
        let groups = grouped.chunks(grouped.len().div_ceil(SINGLE_TARGETS).max(1));
        for group in groups.chain(single.chunks(1)) {
            let count: u64 = group.iter().map(|target| stripes[*target]).sum();
            let work: f64 = group.iter().map(|target| stripes[*target] as f64 * work_s[*target]).sum();
            ladder.steps.push((ladder.all() + count, work / count as f64));
        }
        ladder
    }

    /// Stripes of the whole burst.
    fn all(&self) -> u64 {
        self.steps.last().map_or(0, |(among, _)| *among)
    }

    /// Expected work of the busiest of `draws` stripes out of the burst.
    fn expected_last(&self, draws: u64) -> f64 {
        let all = self.all();
        let draws = draws.min(all);
        if draws == 0 {
            return 0.0;
        }
        let (mut below, mut expected) = (0.0, 0.0);
        for (among, work_s) in &self.steps {
            let upto = chance_within(*among, all, draws);
            expected += work_s * (upto - below);
            below = upto;
        }
        expected
    }
}

/// Factors that are multiplied one by one; a longer product is taken as a power of its middle factor.
const FACTORS: u64 = 32;

/// The chance that `draws` stripes drawn out of `all` are all among the `among` least busy ones: one
/// combination over another, which is a product of `draws` falling fractions, or the same of as many
/// as there are stripes outside.
fn chance_within(among: u64, all: u64, draws: u64) -> f64 {
    if among < draws {
        return 0.0;
    }
    let outside = all - among;
    let (factors, top) = if draws <= outside { (draws, among) } else { (outside, all - draws) };
    if factors <= FACTORS {
        return (0..factors).map(|step| (top - step) as f64 / (all - step) as f64).product();
    }
    let middle = (factors - 1) as f64 / 2.0;
    ((top as f64 - middle) / (all as f64 - middle)).powf(factors as f64)
}

/// Stripes by target of one burst whose parts begin somewhere on its ring.
fn walk(burst: &Burst<'_>, from: u64, targets: usize) -> Vec<u64> {
    let mut stripes = vec![0u64; targets];
    let length = burst.ring.len();
    if length == 0 {
        return stripes;
    }
    // How the number of stripes changes from ticket to ticket, so that a part costs the same whatever
    // its size.
    let mut rises = vec![0u64; length + 1];
    let mut falls = vec![0u64; length + 1];
    let mut rounds = 0u64;
    for (part, wanted) in burst.parts.iter().enumerate() {
        rounds = rounds.saturating_add(wanted / length as u64);
        let rest = (wanted % length as u64) as usize;
        let begin = (hash::combine(from, part as u64) % length as u64) as usize;
        let end = begin + rest;
        rises[begin] += 1;
        falls[end.min(length)] += 1;
        if end > length {
            rises[0] += 1;
            falls[end - length] += 1;
        }
    }
    let mut here = 0;
    for (place, target) in burst.ring.iter().enumerate() {
        // More rises than falls up to any place, since every fall follows its rise.
        here = here + rises[place] - falls[place];
        stripes[target.index()] = stripes[target.index()].saturating_add(rounds.saturating_add(here));
    }
    stripes
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
            let burst = Burst { ring: &ring, parts: &[stripes], stripe_s: &stripe };
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
            let burst = Burst { ring, parts: &[9], stripe_s: &stripe };
            Walked::new(&base, &[burst]).last_s(0, draws)
        };
        assert!((last(&without, 9) - 1.0).abs() < 1e-9);
        // Nine of ten consecutive tickets meet the slow one nearly always; one draw rarely does.
        assert!(last(&all, 9) > 15.0);
        assert!(last(&all, 1) < 4.0);
    }

    #[test]
    fn jobs_that_begin_where_they_like_meet_each_other() {
        let (ring, base, stripe) = (ring(35), vec![0.0; 35], vec![1.0; 35]);
        let last = |parts: &[u64]| {
            let burst = Burst { ring: &ring, parts, stripe_s: &stripe };
            Walked::new(&base, &[burst]).last_s(0, 8)
        };
        assert!((last(&[32]) - 1.0).abs() < 1e-9, "one cursor gives each target one");
        assert!(last(&[8, 8, 8, 8]) > 1.5, "four jobs overlap");
    }

    /// The obvious twin: step from ticket to ticket.
    fn walk_twin(burst: &Burst<'_>, from: u64, targets: usize) -> Vec<u64> {
        let mut stripes = vec![0; targets];
        for (part, wanted) in burst.parts.iter().enumerate() {
            let begin = hash::combine(from, part as u64) % burst.ring.len() as u64;
            for step in 0..*wanted {
                stripes[burst.ring[((begin + step) % burst.ring.len() as u64) as usize].index()] += 1;
            }
        }
        stripes
    }

    proptest::proptest! {
        #[test]
        fn walking_agrees_with_stepping(
            parts in proptest::collection::vec(0u64..200, 0..9),
            tickets in proptest::collection::vec(0u32..20, 1..60),
            from in proptest::prelude::any::<u64>(),
        ) {
            let ring: Vec<TargetId> = tickets.into_iter().map(TargetId).collect();
            let burst = Burst { ring: &ring, parts: &parts, stripe_s: &[] };
            proptest::prop_assert_eq!(walk(&burst, from, 20), walk_twin(&burst, from, 20));
        }
    }

    fn ladder(work_s: &[f64], stripes: &[u64]) -> Ladder {
        let mut order: Vec<usize> = (0..work_s.len()).collect();
        order.sort_by(|a, b| work_s[*a].total_cmp(&work_s[*b]));
        Ladder::new(&order, work_s, stripes)
    }

    #[test]
    fn the_busiest_of_all_stripes_is_the_busiest() {
        let work_s = [7.0, 1.0, 2.0];
        assert_eq!(ladder(&work_s, &[1, 1, 1]).expected_last(3), 7.0);
        assert_eq!(ladder(&work_s, &[0, 1, 1]).expected_last(9), 2.0);
        assert_eq!(ladder(&work_s, &[0, 0, 0]).expected_last(1), 0.0);
        assert!((ladder(&work_s, &[1, 1, 1]).expected_last(1) - 10.0 / 3.0).abs() < 1e-9);
    }

    /// The obvious twin: the expected maximum as a sum over targets of exact hypergeometric chances.
    fn twin(work_s: &[f64], stripes: &[u64], draws: u64) -> f64 {
        let all: u64 = stripes.iter().sum();
        let mut order: Vec<usize> = (0..work_s.len()).filter(|target| stripes[*target] > 0).collect();
        order.sort_by(|a, b| work_s[*a].total_cmp(&work_s[*b]));
        let chance = |among: u64| -> f64 {
            (0..draws).map(|drawn| among.saturating_sub(drawn) as f64 / (all - drawn) as f64).product()
        };
        let (mut among, mut below, mut expected) = (0, 0.0, 0.0);
        for target in order {
            among += stripes[target];
            expected += work_s[target] * (chance(among) - below);
            below = chance(among);
        }
        expected
    }

    #[test]
    fn one_job_that_owns_nearly_all_stripes_meets_the_worst_target() {
        for (draws, all) in [(99u64, 100u64), (999, 1000), (63, 64), (900, 1000)] {
            let exact = (all - draws) as f64 / all as f64;
            let chance = chance_within(all - 1, all, draws);
            assert!((chance - exact).abs() < 1e-9, "{draws} of {all}: {chance} for {exact}");
        }
    }

    proptest::proptest! {
        #[test]
        fn close_to_the_exact_chances(
            work_s in proptest::collection::vec(0.1f64..10.0, 300),
            stripes in proptest::collection::vec(0u64..4, 300),
            draws in 1u64..200,
        ) {
            let exact = twin(&work_s, &stripes, draws);
            let close = ladder(&work_s, &stripes).expected_last(draws);
            proptest::prop_assert!((close - exact).abs() < 0.05 * exact, "{close} for {exact}");
        }
    }
}
