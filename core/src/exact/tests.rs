//! Exact and filling against each other and against trying everything.

use super::*;
use proptest::prelude::*;

const WIDE: u32 = 100;

fn bin(base_us: i64, unit_us: i64, server: u32) -> Bin {
    Bin { base_us, unit_us, server, cap: WIDE }
}

fn bins() -> impl Strategy<Value = Vec<Bin>> {
    let bin = (0i64..1000, 1i64..50, 0u32..3);
    prop::collection::vec(
        bin.prop_map(|(base_us, unit_us, server)| super::tests::bin(base_us, unit_us, server)),
        4..9,
    )
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    let link = (0i64..1000, 0i64..30).prop_map(|(base_us, unit_us)| Link { base_us, unit_us });
    prop::collection::vec(link, 3)
}

/// The least finish sum of all units of `files` on bins: every way to give each file its targets.
fn twin(bins: &[Bin], links: &[Link], files: &[Files]) -> i64 {
    fn rest(bins: &[Bin], links: &[Link], stripes: &[u32], units: &mut Vec<u32>) -> i64 {
        let Some((first, others)) = stripes.split_first() else { return finish_sum_us(bins, links, units) };
        let sets = (0u32..1 << bins.len()).filter(|set| set.count_ones() == *first);
        let mut least = i64::MAX;
        for set in sets {
            let has = |target: usize| set >> target & 1;
            (0..bins.len()).for_each(|target| units[target] += has(target));
            least = least.min(rest(bins, links, others, units));
            (0..bins.len()).for_each(|target| units[target] -= has(target));
        }
        least
    }
    let all: Vec<u32> =
        files.iter().flat_map(|group| std::iter::repeat_n(group.stripes, group.files as usize)).collect();
    rest(bins, links, &all, &mut vec![0; bins.len()])
}

proptest! {
    /// With one stripe count filling, bounded by the number of files, is optimal: with links, too.
    #[test]
    fn filling_is_exact_for_one_stripe_count(
        mut bins in bins(), links in links(), stripes in 1u32..5, count in 1u64..20, caps in prop::collection::vec(0u32..30, 9),
    ) {
        bins.iter_mut().zip(&caps).for_each(|(bin, cap)| bin.cap = (*cap).min(count as u32));
        let files = [Files { files: count, stripes }];
        let filled = fill(&bins, &links, count as u32 * stripes);
        match solve(&bins, &links, &files, Choice::Exact) {
            Ok((exact, solver)) => {
                prop_assert_eq!(solver, Solver::Exact);
                prop_assert_eq!(exact.units.iter().sum::<u32>(), count as u32 * stripes);
                let sum_us = |units: &[u32]| finish_sum_us(&bins, &links, units);
                prop_assert_eq!(sum_us(&exact.units), sum_us(&filled.units));
            }
            Err(ExactError::Partial { placed, wanted }) => {
                prop_assert_eq!(filled.left_over, wanted - placed);
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// With several, too, where filling's bound is that of the widest files: no target has more of `units` than
    /// `units / widest`. So many can always be dealt, as the t fullest targets hold at most t / widest of all.
    #[test]
    fn filling_below_the_bound_of_the_widest_files_is_exact(
        mut bins in bins(), links in links(), counts in prop::collection::vec(0u64..12, 4), room in 0usize..5,
    ) {
        let files: Vec<Files> =
            (1..).zip(counts).map(|(stripes, files)| Files { files, stripes }).collect();
        let units = files.iter().map(|group| group.files as u32 * group.stripes).sum::<u32>();
        let widest = (4 + room).min(bins.len()) as u32;
        bins.iter_mut().for_each(|bin| bin.cap = units / widest);
        let filled = fill(&bins, &links, units);
        // The bound leaves no room for all in half of the draws; then there is nothing to compare.
        if filled.left_over > 0 {
            return Ok(());
        }
        let (exact, _) = solve(&bins, &links, &files, Choice::Exact).expect("room for all");
        let sum_us = |units: &[u32]| finish_sum_us(&bins, &links, units);
        prop_assert_eq!(sum_us(&exact.units), sum_us(&filled.units));
    }

    /// The obvious twin: every way to give each file its targets.
    #[test]
    fn nothing_is_better_with_mixed_stripe_counts(
        mut bins in bins(), one in 0u64..3, two in 0u64..2, three in 1u64..3,
    ) {
        bins.truncate(5);
        let links = [Link::default(); 3];
        let files = [(one, 1), (two, 2), (three, 3)].map(|(files, stripes)| Files { files, stripes });
        let (exact, _) = solve(&bins, &links, &files, Choice::Exact).expect("room for all");
        prop_assert_eq!(finish_sum_us(&bins, &links, &exact.units), twin(&bins, &links, &files));
        let (auto, _) = solve(&bins, &links, &files, Choice::Auto).expect("room for all");
        prop_assert_eq!(finish_sum_us(&bins, &links, &auto.units), twin(&bins, &links, &files));
    }

    /// Scaled files have just the units of the ring.
    #[test]
    fn files_make_up_the_units(rows in prop::collection::vec((0u32..70, 0u64..=u64::MAX), 0..6), bins in bins(), units in 0u32..5000) {
        let files = files(&kinds(rows.into_iter()), &bins, units);
        prop_assert!(files.iter().all(|group| group.stripes as usize <= bins.len()));
        let all: u64 = files.iter().map(|group| group.files * u64::from(group.stripes)).sum();
        prop_assert_eq!(all, u64::from(units));
    }
}

#[test]
fn few_wide_files_leave_the_fast_target_to_the_narrow_ones() {
    // Target 0 is ten times as fast. One file wants all four targets, twelve want one each.
    let bins = [bin(0, 10, 0), bin(0, 100, 0), bin(0, 100, 0), bin(0, 100, 0)];
    let files = [Files { files: 1, stripes: 4 }, Files { files: 12, stripes: 1 }];
    let (exact, _) = solve(&bins, &[Link::default()], &files, Choice::Exact).expect("room for all");
    assert_eq!(exact.units, [13, 1, 1, 1]);
    // Filling takes the widest files for all and may give a target a quarter of the units only.
    let bounded = bins.map(|bin| Bin { cap: 4, ..bin });
    assert_eq!(fill(&bounded, &[Link::default()], 16).units, [4, 4, 4, 4]);
}

#[test]
fn without_an_answer_it_fills_and_says_why() {
    let bins = [Bin { cap: 2, ..bin(0, 10, 0) }];
    let files = [Files { files: 5, stripes: 1 }];
    let (filled, by) = spread(&bins, &[Link::default()], &files, 5);
    assert_eq!(by, By::Filling(ExactError::Partial { placed: 2, wanted: 5 }));
    assert_eq!((filled.units[0], filled.left_over), (2, 3));
    let huge = [Bin { unit_us: i64::MAX, ..bin(0, 10, 0) }];
    let (_, by) = spread(&huge, &[Link::default()], &files, 5);
    assert!(matches!(by, By::Filling(ExactError::Problem(ProblemError::CostTooLarge { .. }))), "{by:?}");
    let many = [Bin { cap: u32::MAX, ..bin(0, 1, 0) }, Bin { cap: 1, ..bin(0, 1, 0) }];
    let files = [Files { files: SEGMENTS_MAX + 5, stripes: 1 }];
    let (_, by) = spread(&many, &[Link::default()], &files, 5);
    assert!(matches!(by, By::Filling(ExactError::TooManyUnits { .. })), "{by:?}");
}

#[test]
fn no_rows_are_files_of_one_stripe() {
    assert_eq!(files(&BTreeMap::new(), &[], 7), [Files { files: 7, stripes: 1 }]);
    let expected = [(3, 1), (2, 3), (1, 1)].map(|(files, stripes)| Files { files, stripes });
    let bins = [bin(0, 10, 0); 3];
    assert_eq!(
        files(&kinds([(1, 30), (3, 70)].into_iter()), &bins, 10),
        expected,
        "three units, and two whole files of seven"
    );
}
