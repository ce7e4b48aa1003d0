//! Sums over a sweep: how many runs are worse and by how much, what was steered, and the worst.

use std::collections::BTreeMap;

use serde::Serialize;

use super::verdict::{MEASURES, Verdict, above_better, is_weighted_better, judge, judge_means};
use super::{Case, Trial};
use crate::outcome::Outcome;

/// Changes beyond this are said to be felt, as a share.
pub const FELT: f64 = 0.02;

/// Changes beyond this are said to be grave, as a share.
pub const GRAVE: f64 = 0.10;

/// Cases listed as the worst.
pub const WORST: usize = 20;

/// How many runs are worse and better, as shares of all runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Tally {
    /// Runs.
    pub runs: u64,
    /// Worse by more than [`FELT`].
    pub worse_felt: f64,
    /// Worse by more than [`GRAVE`].
    pub worse_grave: f64,
    /// Better by more than [`FELT`].
    pub better_felt: f64,
    /// Better by more than [`GRAVE`].
    pub better_grave: f64,
    /// Geometric mean of the ratios of times.
    pub geometric_mean: f64,
    /// The largest ratio.
    pub worst: f64,
}

impl Tally {
    fn of(ratios: &[f64]) -> Self {
        let runs = ratios.len() as u64;
        let share = |is: &dyn Fn(f64) -> bool| {
            ratios.iter().filter(|ratio| is(**ratio)).count() as f64 / runs.max(1) as f64
        };
        // A ratio is above 0, as both times are.
        let logs: f64 = ratios.iter().map(|ratio| ratio.max(f64::MIN_POSITIVE).ln()).sum();
        Self {
            runs,
            worse_felt: share(&|ratio| ratio > 1.0 + FELT),
            worse_grave: share(&|ratio| ratio > 1.0 + GRAVE),
            // As much better as worse is worse: the other way round.
            better_felt: share(&|ratio| 1.0 / ratio > 1.0 + FELT),
            better_grave: share(&|ratio| 1.0 / ratio > 1.0 + GRAVE),
            geometric_mean: (logs / runs.max(1) as f64).exp(),
            worst: ratios.iter().copied().fold(0.0, f64::max),
        }
    }
}

/// One measure over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its name.
    pub metric: &'static str,
    /// tarazu against the allocator of the better mean of each case.
    pub tarazu: Tally,
    /// The same where tarazu steered at least one file.
    pub tarazu_where_steered: Tally,
    /// The better allocator with other draws against itself: chance alone.
    pub luck: Tally,
    /// As `tarazu`, by situation: means over the seeds instead of single runs.
    pub tarazu_by_situation: Tally,
    /// As `luck`, by situation.
    pub luck_by_situation: Tally,
    /// tarazu against the better allocator of each single seed.
    pub tarazu_strict: Tally,
    /// The better allocator against the same.
    pub stock_strict: Tally,
}

/// Runs of one kind, by the main measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Label {
    /// The kind, such as `striping count=4`.
    pub label: String,
    /// tarazu against the allocator of the better mean.
    pub tarazu: Tally,
    /// The better allocator with other draws against itself.
    pub luck: Tally,
    /// Share of the bytes written that were steered.
    pub bytes_steered_share: f64,
}

/// How one case went, by the main measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Situation {
    /// Its number.
    pub number: u64,
    /// tarazu over the better allocator, by seed.
    pub ratios: Vec<f64>,
    /// The better allocator with other draws over itself.
    pub luck: Vec<f64>,
    /// Mean of the main measure over seeds: `lustre-rr`, `lustre-qos`, tarazu above the better of them.
    pub means_s: Vec<f64>,
    /// Files whose targets tarazu chose, over all seeds.
    pub files_steered: u64,
    /// Files made with tarazu, over all seeds.
    pub files_made: u64,
    /// Share of its bytes that were steered.
    pub bytes_steered_share: f64,
    /// Files left to the file system, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// The command that repeats it.
    pub command: String,
}

/// A case that could not be run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failed {
    /// Its number.
    pub number: u64,
    /// Why not.
    pub reason: String,
    /// The command that shows it.
    pub command: String,
}

/// A whole sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Cases that were judged.
    pub cases: u64,
    /// Cases that could not be run.
    pub failed: Vec<Failed>,
    /// By measure, the main one first.
    pub measures: Vec<Measured>,
    /// Share of all files made that tarazu steered.
    pub files_steered_share: f64,
    /// Share of all bytes written that tarazu steered.
    pub bytes_steered_share: f64,
    /// Share of runs in which it steered at least one file.
    pub runs_steered_share: f64,
    /// Files left to the file system, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// By kind of case.
    pub labels: Vec<Label>,
    /// All cases, that with the worst run first.
    pub situations: Vec<Situation>,
}

/// Sums up a sweep.
#[must_use]
pub fn summarise(sweep: &[Trial]) -> Summary {
    let judged: Vec<(&Trial, &Vec<Vec<Outcome>>)> =
        sweep.iter().filter_map(|one| Some((one, one.outcomes.as_ref().ok()?))).collect();
    let failed = sweep.iter().filter_map(|one| {
        let reason = one.outcomes.as_ref().err()?.clone();
        Some(Failed { number: one.number, reason, command: one.case.command() })
    });
    let steered: Vec<&Outcome> = judged.iter().flat_map(|(_, outcomes)| above_better(outcomes)).collect();
    let runs_steered = steered.iter().filter(|outcome| outcome.files_steered > 0).count();
    Summary {
        cases: judged.len() as u64,
        failed: failed.collect(),
        measures: MEASURES.into_iter().map(|metric| measured(&judged, metric)).collect(),
        files_steered_share: share(&steered, |outcome| (outcome.files_steered, outcome.files_made)),
        bytes_steered_share: share(&steered, |outcome| (outcome.steered_bytes, outcome.written_bytes)),
        runs_steered_share: runs_steered as f64 / steered.len().max(1) as f64,
        refusals: refusals(&steered),
        labels: by_label(&judged),
        situations: situations(&judged),
    }
}

fn share(outcomes: &[&Outcome], part_of: impl Fn(&Outcome) -> (u64, u64)) -> f64 {
    let add =
        |sum: (u64, u64), more: (u64, u64)| (sum.0.saturating_add(more.0), sum.1.saturating_add(more.1));
    let (part, whole) = outcomes.iter().map(|outcome| part_of(outcome)).fold((0, 0), add);
    part as f64 / whole.max(1) as f64
}

fn measured(judged: &[(&Trial, &Vec<Vec<Outcome>>)], metric: crate::Metric) -> Measured {
    let verdicts: Vec<(Verdict, bool)> = judged
        .iter()
        .flat_map(|(_, outcomes)| {
            let steered = above_better(outcomes).iter().map(|outcome| outcome.files_steered > 0);
            judge(outcomes, metric).into_iter().zip(steered).collect::<Vec<_>>()
        })
        .collect();
    let tally = |of: &dyn Fn(&Verdict) -> f64| {
        Tally::of(&verdicts.iter().map(|(verdict, _)| of(verdict)).collect::<Vec<f64>>())
    };
    let where_steered: Vec<f64> =
        verdicts.iter().filter(|(_, steered)| *steered).map(|(verdict, _)| verdict.tarazu).collect();
    let means: Vec<Verdict> =
        judged.iter().filter_map(|(_, outcomes)| judge_means(outcomes, metric)).collect();
    let by_situation = |of: fn(&Verdict) -> f64| Tally::of(&means.iter().map(of).collect::<Vec<f64>>());
    Measured {
        metric: metric.name(),
        tarazu: tally(&|verdict| verdict.tarazu),
        tarazu_where_steered: Tally::of(&where_steered),
        luck: tally(&|verdict| verdict.luck),
        tarazu_by_situation: by_situation(|verdict| verdict.tarazu),
        luck_by_situation: by_situation(|verdict| verdict.luck),
        tarazu_strict: tally(&|verdict| verdict.tarazu_strict),
        stock_strict: tally(&|verdict| verdict.stock_strict),
    }
}

/// What kind of case this is, along each dimension.
fn labels(case: &Case) -> Vec<String> {
    let word = |text: &str| text.split([':', '=', ',']).next().unwrap_or_default().to_string();
    let mut labels = vec![
        format!(
            "system {}{}",
            case.system,
            if case.set.iter().any(|set| set.starts_with("servers")) { " (changed)" } else { "" }
        ),
        format!(
            "striping {}",
            case.striping.split_once("count=").map_or(case.striping.clone(), |(_, count)| {
                if matches!(count, "1" | "2" | "4" | "8") {
                    case.striping.clone()
                } else {
                    "count=other".to_string()
                }
            })
        ),
        format!("background {}", word(&case.background)),
        format!("forecast {}", case.forecast),
        format!("jobs {}", if case.generate.len() as u32 * case.copies > 1 { "several" } else { "1" }),
        match case.generate.as_slice() {
            [one] => format!("workload {} alone", word(one)),
            _ => "workload mixed".to_string(),
        },
        format!(
            "space {}",
            if case.set.iter().any(|set| set == "targets.filled=0.95") {
                "nearly full"
            } else if case.set.iter().any(|set| set == "targets.filled=0.5") {
                "uneven"
            } else {
                "default"
            }
        ),
    ];
    labels.push(match (&case.sick, case.fault.first()) {
        (Some(_), _) if case.sick_known_after == "never" => "fault sick, never told".to_string(),
        (Some(_), _) => "fault sick, told".to_string(),
        (None, Some(fault)) => format!("fault {}", word(fault)),
        (None, None) => "fault none".to_string(),
    });
    labels
}

fn by_label(judged: &[(&Trial, &Vec<Vec<Outcome>>)]) -> Vec<Label> {
    let mut groups: BTreeMap<String, (Vec<Verdict>, Vec<&Outcome>)> = BTreeMap::new();
    for (one, outcomes) in judged {
        let verdicts = judge(outcomes, MEASURES[0]);
        for label in labels(&one.case) {
            let group = groups.entry(label).or_default();
            group.0.extend_from_slice(&verdicts);
            group.1.extend(above_better(outcomes));
        }
    }
    let label = |(label, (verdicts, outcomes)): (String, (Vec<Verdict>, Vec<&Outcome>))| Label {
        label,
        tarazu: Tally::of(&verdicts.iter().map(|verdict| verdict.tarazu).collect::<Vec<_>>()),
        luck: Tally::of(&verdicts.iter().map(|verdict| verdict.luck).collect::<Vec<_>>()),
        bytes_steered_share: share(&outcomes, |outcome| (outcome.steered_bytes, outcome.written_bytes)),
    };
    groups.into_iter().map(label).collect()
}

fn situations(judged: &[(&Trial, &Vec<Vec<Outcome>>)]) -> Vec<Situation> {
    let mut all: Vec<Situation> = judged.iter().map(|(one, outcomes)| situation(one, outcomes)).collect();
    all.sort_by(|one, two| two.worst().total_cmp(&one.worst()).then(one.number.cmp(&two.number)));
    all
}

fn situation(one: &Trial, outcomes: &[Vec<Outcome>]) -> Situation {
    let verdicts = judge(outcomes, MEASURES[0]);
    let ours: Vec<&Outcome> = above_better(outcomes).iter().collect();
    let mean = |of: &[Outcome]| {
        of.iter().filter_map(|outcome| outcome.value(MEASURES[0])).sum::<f64>() / of.len().max(1) as f64
    };
    let ratios = |of: &dyn Fn(&Verdict) -> f64| verdicts.iter().map(of).collect();
    let beneath = if is_weighted_better(outcomes) { " --beneath lustre-qos" } else { "" };
    Situation {
        number: one.number,
        ratios: ratios(&|verdict| verdict.tarazu),
        luck: ratios(&|verdict| verdict.luck),
        means_s: [&outcomes[0], &outcomes[1], above_better(outcomes)].map(mean).to_vec(),
        files_steered: ours.iter().map(|outcome| outcome.files_steered).sum(),
        files_made: ours.iter().map(|outcome| outcome.files_made).sum(),
        bytes_steered_share: share(&ours, |outcome| (outcome.steered_bytes, outcome.written_bytes)),
        refusals: refusals(&ours),
        command: format!("{}{beneath}", one.case.command()),
    }
}

fn refusals(outcomes: &[&Outcome]) -> BTreeMap<&'static str, u64> {
    let mut sums: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (reason, count) in outcomes.iter().flat_map(|outcome| &outcome.refusals) {
        *sums.entry(reason).or_default() += count;
    }
    sums
}

impl Situation {
    /// The ratio of the worst run against the better allocator.
    #[must_use]
    pub fn worst(&self) -> f64 {
        self.ratios.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_count_both_ways_alike() {
        let tally = Tally::of(&[1.0, 1.03, 1.2, 1.0 / 1.03, 1.0 / 1.2, 1.02, 0.5, 2.0]);
        assert_eq!((tally.runs, tally.worse_felt, tally.worse_grave), (8, 3.0 / 8.0, 2.0 / 8.0));
        assert_eq!((tally.better_felt, tally.better_grave, tally.worst), (3.0 / 8.0, 2.0 / 8.0, 2.0));
        assert!((tally.geometric_mean - 1.02f64.powf(1.0 / 8.0)).abs() < 1e-12);
        assert_eq!(Tally::of(&[]).worse_felt, 0.0);
    }

    #[test]
    fn cases_are_labelled_along_every_dimension() {
        let case = Case {
            generate: vec!["hacc:nodes=2".into()],
            striping: "count=17".into(),
            background: "markov=0.5,dwell=10".into(),
            sick: Some("3".into()),
            sick_known_after: "never".into(),
            ..Case::default()
        };
        let labels = labels(&case);
        for label in
            ["striping count=other", "background markov", "workload hacc alone", "fault sick, never told"]
        {
            assert!(labels.iter().any(|one| one == label), "{label}: {labels:?}");
        }
    }
}
