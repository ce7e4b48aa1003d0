//! The names under which files are counted: why each was steered, or left to the file system.
//!
//! They come from the types that decided, [`Refusal`], [`Chosen`] and [`Why`], so that what is counted, what
//! is explained and what was decided cannot differ.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tarazu_core::policy::{Chosen, Refusal};
use tarazu_core::worth::Why;
use tarazu_table::Reason;

/// A file that the perfect view placed.
const CENTRAL: &str = "central";

/// A file that a published rule placed.
const RIVAL: &str = "rival";

/// A file of which no plan says why it was steered.
const UNEXPLAINED: &str = "unexplained";

/// What [`Reason::NotWorthwhile`] is called with the plan's verdict.
static NOT_WORTHWHILE: LazyLock<BTreeMap<Why, String>> = LazyLock::new(|| {
    let name = |why: Why| (why, format!("{}.{}", Reason::NotWorthwhile.as_str(), why.as_str()));
    Why::ALL.into_iter().filter(|why| !why.steers()).map(name).collect()
});

/// The name of a refusal: its own and, where the plan found the job's files not worth it, why.
pub(crate) fn left(refusal: Refusal, why: Option<Why>) -> &'static str {
    let detailed = why.filter(|_| refusal == Refusal::Client(Reason::NotWorthwhile));
    detailed.and_then(|why| NOT_WORTHWHILE.get(&why)).map_or(refusal.as_str(), String::as_str)
}

/// The name of the reason to steer a file.
pub(crate) fn steered(chosen: Chosen, why: Option<Why>) -> &'static str {
    match (chosen, why) {
        (Chosen::Ticket(_), Some(why)) => why.as_str(),
        (Chosen::Central, _) => CENTRAL,
        (Chosen::Rival, _) => RIVAL,
        (Chosen::Ticket(_) | Chosen::Stock, _) => UNEXPLAINED,
    }
}

/// The name from [`left`] that equals `text`.
pub(crate) fn left_name_of(text: &str) -> Option<&'static str> {
    let detailed = || NOT_WORTHWHILE.values().map(String::as_str).find(|name| *name == text);
    Refusal::name_of(text).or_else(detailed)
}

/// The name from [`steered`] that equals `text`.
pub(crate) fn steered_name_of(text: &str) -> Option<&'static str> {
    let by_plan = Why::ALL.into_iter().map(Why::as_str);
    by_plan.chain([CENTRAL, RIVAL, UNEXPLAINED]).find(|name| *name == text)
}

/// Adds counts up, each at most `u64::MAX`, as they may come from a file.
pub(crate) fn sum<'a>(
    counts: impl Iterator<Item = &'a BTreeMap<&'static str, u64>>,
) -> BTreeMap<&'static str, u64> {
    let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (reason, count) in counts.flatten() {
        let sum = sums.entry(*reason).or_default();
        *sum = sum.saturating_add(*count);
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_table::Tier;

    #[test]
    fn every_name_is_found_again() {
        let clients = Reason::ALL.into_iter().map(Refusal::Client);
        for refusal in clients.chain(Refusal::OWN) {
            for why in Why::ALL.into_iter().map(Some).chain([None]) {
                let name = left(refusal, why);
                assert_eq!(left_name_of(name), Some(name));
                assert!(name.starts_with(refusal.as_str()));
            }
        }
        for chosen in [Chosen::Stock, Chosen::Central, Chosen::Rival, Chosen::Ticket(Tier::Now)] {
            for why in Why::ALL.into_iter().map(Some).chain([None]) {
                let name = steered(chosen, why);
                assert_eq!(steered_name_of(name), Some(name));
            }
        }
        assert_eq!((left_name_of("not_worthwhile.so"), steered_name_of("so")), (None, None));
    }

    #[test]
    fn only_what_the_plan_refused_has_the_plans_reason() {
        let refused = Refusal::Client(Reason::NotWorthwhile);
        assert_eq!(left(refused, Some(Why::BelowCost)), "not_worthwhile.below_cost");
        assert_eq!(left(refused, None), "not_worthwhile");
        assert_eq!(left(refused, Some(Why::Earlier)), "not_worthwhile", "no reason to leave a file");
        assert_eq!(left(Refusal::Client(Reason::Stale), Some(Why::BelowCost)), "stale");
        assert_eq!(steered(Chosen::Ticket(Tier::Steady), Some(Why::Kept)), "kept");
        assert_eq!(steered(Chosen::Central, Some(Why::Later)), "central");
    }
}
