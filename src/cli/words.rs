//! Numbers and reasons in plain words, and numbers of the command line in words of the command line.

/// A count with its noun: `1 job`, `2 jobs`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A count with a noun whose plural is another word: `1 copy`, `2 copies`.
pub(crate) fn counted_as(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// An average count: without decimals where it is whole.
pub(crate) fn average(sum: u64, over: u64) -> String {
    let over = over.max(1);
    if sum.is_multiple_of(over) {
        (sum / over).to_string()
    } else {
        format!("{:.1}", sum as f64 / over as f64)
    }
}

/// Why files are left to the file system, by the stable name in results.
const REASONS: [(&str, &str); 23] = [
    ("no_table", "no table had reached the node yet"),
    ("refused", "the node's table was refused as damaged or of another version"),
    ("other_file_system", "the node's table is of another file system"),
    ("other_boot", "the node's table is from before its last boot"),
    ("clock_backwards", "the node's clock is behind the time of its table"),
    ("stale", "the node's table is too old"),
    ("unknown_job", "the table does not know the job"),
    ("low_confidence", "the size of the job's files is only guessed"),
    ("not_worthwhile", "expected gain below ten times the cost of its layouts or 5 % of its time"),
    ("not_worthwhile.below_cost", "expected gain below ten times the cost of its layouts"),
    ("not_worthwhile.below_error", "expected gain below 5 % of its time (20 % with several stripes)"),
    ("not_worthwhile.later", "as planned they would be written later than without"),
    ("not_worthwhile.mixed", "only others would gain, and part of the moment's files is left alone"),
    ("not_worthwhile.no_place", "no ring has a place for them"),
    ("too_few_targets", "more stripes than targets that take part"),
    ("no_room", "more stripes than the client has room for"),
    ("nothing_on_targets", "the file's layout has no component on targets"),
    ("later_component", "a later component, placed when it fills"),
    ("size_unknown", "the file's size is not known beforehand"),
    ("no_view", "the controller has not seen the system yet"),
    ("list_refused", "the metadata server refused the list and gave its default layout"),
    ("pool", "the file belongs to a pool, and pools are not planned yet"),
    ("create_unseen", "made without a create that the client could see"),
];

/// A reason in plain words; its name where there are none.
pub(crate) fn reason(name: &'static str) -> &'static str {
    REASONS.iter().find(|(known, _)| *known == name).map_or(name, |(_, words)| words)
}

/// Why files are steered, by the stable name in results.
const CAUSES: [(&str, &str); 4] = [
    ("at_any_cost", "are steered whatever it costs"),
    ("earlier", "are written earlier"),
    ("kept", "were steered before and are no later"),
    ("evener", "lie more evenly for who reads them and are no later"),
];

/// A reason to steer in plain words; `None` of what only names a policy.
pub(crate) fn cause(name: &str) -> Option<&'static str> {
    CAUSES.iter().find(|(known, _)| *known == name).map(|(_, words)| *words)
}

/// A whole number of the command line within a range.
pub(crate) fn whole(text: &str, low: u64, high: u64) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (low..=high).contains(number));
    number.ok_or_else(|| match high {
        u64::MAX => format!("use a whole number of at least {low}"),
        _ => format!("use a whole number from {low} to {high}"),
    })
}

/// As [`whole`], for numbers of 32 bits.
pub(crate) fn whole_u32(text: &str, low: u32, high: u32) -> Result<u32, String> {
    whole(text, low.into(), high.into()).map(|number| number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_core::policy::Refusal;
    use tarazu_core::worth::Why;
    use tarazu_table::Reason;

    #[test]
    fn every_reason_has_words() {
        let own = [
            Refusal::NothingOnTargets,
            Refusal::TooFewTargets,
            Refusal::LaterComponent,
            Refusal::SizeUnknown,
            Refusal::NoView,
        ];
        for refusal in Reason::ALL.into_iter().map(Refusal::Client).chain(own) {
            let words = reason(refusal.as_str());
            assert!(words.contains(' ') && !words.contains('_'), "{refusal:?}: {words}");
        }
        assert_eq!(reason("brand_new"), "brand_new");
    }

    #[test]
    fn every_verdict_has_words() {
        for why in Why::ALL {
            let left = REASONS.iter().find(|(name, _)| *name == format!("not_worthwhile.{}", why.as_str()));
            assert_eq!(cause(why.as_str()).is_some(), why.steers(), "{why:?}");
            assert_eq!(left.is_some(), !why.steers(), "{why:?}");
        }
    }

    #[test]
    fn ten_times_is_what_the_planner_asks_for() {
        // The words of `not_worthwhile` quote the planner's limits.
        assert_eq!(tarazu_core::gain::GAIN_OVER_COST, 10.0);
        assert_eq!(tarazu_core::gain::GAIN_SHARE_MIN, 0.05);
        assert_eq!(tarazu_core::gain::GAIN_SHARE_STRIPED, 0.2);
    }

    #[test]
    fn counts_and_averages() {
        assert_eq!((counted(1, "job"), counted(0, "job")), ("1 job".into(), "0 jobs".into()));
        assert_eq!(counted_as(2, "copy", "copies"), "2 copies");
        assert_eq!(
            (average(1280, 10), average(61, 10), average(3, 0)),
            ("128".into(), "6.1".into(), "3".into())
        );
    }

    #[test]
    fn whole_numbers_name_their_range() {
        assert_eq!(whole("7", 1, 9), Ok(7));
        for wrong in ["-1", "0", "10", "x", "", "1.5", "99999999999999999999"] {
            assert!(whole(wrong, 1, 9).unwrap_err().contains("1 to 9"), "{wrong}");
        }
        assert!(whole("-1", 1, u64::MAX).unwrap_err().contains("at least 1"));
    }
}
