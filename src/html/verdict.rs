//! The result in a sentence for each policy.

use std::fmt::Write;

use tarazu_sim::Metric;
use tarazu_sim::experiment::{PolicyResult, Results};
use tarazu_sim::stats::Change;

use super::markup::{Text, number, percent};

/// Changes below this are none to people, percent.
const SHOWN_PERCENT: f64 = 0.05;

/// What a change means, in words that stand without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Better,
    Worse,
    /// The interval has 0 in it.
    NotClear,
    /// Too small to matter.
    Same,
    /// One seed says nothing about chance.
    OneSeed,
}

impl Meaning {
    pub(super) fn of(change: &Change, higher_is_better: bool) -> Self {
        let percent = change.percent;
        let half = percent.ends.map(|(low, high)| (high - low) / 2.0);
        let is_small = percent.mean.abs() < SHOWN_PERCENT;
        if is_small && (change.is_clear || half.is_none_or(|half| half < SHOWN_PERCENT)) {
            return Self::Same;
        }
        match percent.ends {
            None => Self::OneSeed,
            Some(_) if !change.is_clear => Self::NotClear,
            Some(_) if (percent.mean > 0.0) == higher_is_better => Self::Better,
            Some(_) => Self::Worse,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NotClear => "not clear",
            Self::Same => "same",
            Self::OneSeed => "one seed",
        }
    }
}

/// The paragraph at the top.
pub(super) fn write(out: &mut String, results: &Results) {
    let Some((baseline, others)) = results.policies.split_first() else { return };
    out.push_str("<div class=\"verdict\"><p>");
    let base = baseline.policy.as_str();
    let mean = baseline.intervals[Metric::JobIo as usize].map(|interval| interval.mean);
    if let Some(mean) = mean {
        let _ = write!(out, "With {}, a job spends {} s in I/O.", Text(base), number(mean));
    }
    for result in others {
        let _ = write!(out, " {}", Text(&sentence(result, base, results.seeds.len())));
    }
    out.push_str("</p></div>\n");
}

fn sentence(result: &PolicyResult, base: &str, seeds: usize) -> String {
    let policy = result.policy.as_str();
    let Some(change) = result.changes[Metric::JobIo as usize] else {
        return format!("{policy} cannot be compared with {base}: there is no I/O time.");
    };
    let mean = change.percent.mean;
    let direction = if mean < 0.0 { "less" } else { "more" };
    let size = format!("{:.1} % {direction}", mean.abs());
    let interval = change.percent.ends.map_or_else(String::new, |(low, high)| {
        format!("95 % interval {} to {} %, {seeds} seeds", percent(low), percent(high))
    });
    match Meaning::of(&change, Metric::JobIo.higher_is_better()) {
        Meaning::Same => format!("{policy} makes no difference to that."),
        Meaning::OneSeed => {
            format!("{policy} takes {size}; one seed says nothing about chance.")
        }
        Meaning::NotClear => {
            format!("{policy} makes no clear difference ({}; {interval}).", percent_of(mean))
        }
        Meaning::Better => format!("{policy} takes {size}, a clear gain ({interval})."),
        Meaning::Worse => format!("{policy} takes {size}, a clear loss ({interval})."),
    }
}

fn percent_of(mean: f64) -> String {
    format!("{} %", percent(mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_sim::stats::Interval;

    fn meaning(mean: f64, half: Option<f64>, is_clear: bool, higher: bool) -> Meaning {
        let ends = half.map(|half| (mean - half, mean + half));
        Meaning::of(&Change { percent: Interval { mean, ends }, is_clear }, higher)
    }

    #[test]
    fn direction_and_chance_are_told_apart() {
        assert_eq!(meaning(-5.0, Some(1.0), true, false), Meaning::Better);
        assert_eq!(meaning(-5.0, Some(1.0), true, true), Meaning::Worse);
        assert_eq!(meaning(5.0, Some(1.0), true, true), Meaning::Better);
        assert_eq!(meaning(-5.0, Some(9.0), false, false), Meaning::NotClear);
        assert_eq!(meaning(0.01, Some(9.0), false, false), Meaning::NotClear);
        assert_eq!(meaning(0.01, Some(0.01), false, false), Meaning::Same);
        assert_eq!(meaning(0.0, None, false, false), Meaning::Same);
        assert_eq!(meaning(5.0, None, false, false), Meaning::OneSeed);
    }
}
