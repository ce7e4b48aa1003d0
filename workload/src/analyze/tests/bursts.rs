use super::*;
use crate::analyze::facts::Span;
use crate::analyze::{Measure, Value};
use tarazu_layout::hash::mix;

fn noise(seed: u64, place: u64) -> f64 {
    (mix(mix(seed) ^ place) >> 11) as f64 / (1u64 << 53) as f64
}

/// Bursts of ten accesses of 1 MiB within half a second, `period_s` from start to start, give or take
/// `jitter`.
pub(super) fn regular(bursts: u64, period_s: f64, jitter: f64) -> Vec<Span> {
    let starts = (0..bursts).scan(0.0, |at_s, burst| {
        *at_s += period_s * (1.0 + jitter * (2.0 * noise(7, burst) - 1.0));
        Some(*at_s)
    });
    from(starts)
}

fn from(starts: impl Iterator<Item = f64>) -> Vec<Span> {
    let accesses = |start_s: f64| {
        (0..10).map(move |part| start_s + 0.05 * f64::from(part)).map(|start_s| Span {
            start_s,
            end_s: start_s + 0.02,
            bytes: MIB,
        })
    };
    starts.flat_map(accesses).collect()
}

fn writing(writes: Vec<Span>) -> Facts {
    Facts { writes: vec![writes], ..job(16, Vec::new()) }
}

fn seconds(finding: &Finding, name: &str) -> f64 {
    match finding.measures.iter().find(|measure| measure.name == name) {
        Some(Measure { value: Value::Seconds(seconds), .. }) => *seconds,
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn regular_bursts_with_their_period() {
    for (period_s, jitter) in [(4.0, 0.0), (4.0, 0.2), (600.0, 0.1), (1.6, 0.0)] {
        let finding = only(&writing(regular(24, period_s, jitter)), Code::PeriodicBursts);
        let found_s = seconds(&finding, "period");
        assert!((found_s / period_s - 1.0).abs() < 0.05, "{found_s} instead of {period_s}");
        assert!((seconds(&finding, "burst_time") - 0.47).abs() < 1e-6);
        assert!(
            finding.words.contains("24 bursts") && finding.words.contains("10.0 MiB"),
            "{}",
            finding.words
        );
    }
}

#[test]
fn reads_are_told_apart() {
    let reading = Facts { reads: vec![regular(8, 4.0, 0.0)], ..job(16, Vec::new()) };
    let finding = only(&reading, Code::PeriodicBursts);
    assert!(finding.words.contains("the job reads"), "{}", finding.words);
    assert!(finding.fix.ends_with("Reads take 12 % of the time."), "{}", finding.fix);
}

#[test]
fn the_first_way_that_shows_a_period_counts() {
    // One file that stays open hides the bursts; the bins of the heatmap do not.
    let open = vec![Span { start_s: 0.0, end_s: 100.0, bytes: 24 * MIB }];
    let facts = Facts { writes: vec![open.clone(), regular(24, 4.0, 0.0)], ..job(16, Vec::new()) };
    only(&facts, Code::PeriodicBursts);
    assert!(findings(&Facts { writes: vec![open], ..job(16, Vec::new()) }).is_empty());
}

#[test]
fn each_threshold_counts() {
    assert_eq!(codes(&writing(regular(6, 4.0, 0.0))), ["TZ-BURST-01"]);
    assert!(findings(&writing(regular(5, 4.0, 0.0))).is_empty(), "few bursts");
    assert!(findings(&writing(regular(24, 0.9, 0.0))).is_empty(), "short silence");
    let mut small = regular(24, 4.0, 0.0);
    small.iter_mut().for_each(|span| span.bytes /= 11);
    assert!(findings(&writing(small)).is_empty(), "few bytes");
    // A file that is written all the time.
    let mut covered = regular(24, 4.0, 0.0);
    covered.insert(0, Span { start_s: 0.0, end_s: 100.0, bytes: 1 });
    assert!(findings(&writing(covered)).is_empty(), "no silence");
}

#[test]
fn one_missed_burst_does_not_hide_the_period() {
    let starts = (0..24).filter(|burst| *burst != 9).map(|burst| 4.0 * f64::from(burst));
    assert_eq!(codes(&writing(from(starts))), ["TZ-BURST-01"]);
}

#[test]
fn bursts_at_random_times_have_no_period() {
    let mut found = 0;
    for seed in 0..1000 {
        let starts = (0..20).scan(0.0, |at_s, burst| {
            *at_s += -20.0 * (1.0 - noise(seed, burst)).ln();
            Some(*at_s)
        });
        let mut spans = from(starts);
        spans.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        found += findings(&writing(spans)).len();
    }
    // Six with this noise; the bound leaves room for another generator.
    assert!(found <= 10, "{found} of 1000");
}
