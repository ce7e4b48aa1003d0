//! Bursts of I/O at regular times, such as checkpoints.
//!
//! Accesses of all ranks are laid over each other; what is silent for long enough parts two bursts. "Long
//! enough" is half of the typical silence: the gap length at which half of all silent time lies in gaps at
//! least as long. Most silence lies between bursts, so the short gaps within them do not matter, however
//! many they are. Where many gaps are only a little shorter than that, silence does not part bursts, and
//! there are none: accesses at random times would otherwise look regular as soon as the short gaps are left
//! out.

use tarazu_layout::Bytes;

use super::facts::{Facts, Span};
use super::finding::{Code, Finding, Subject, Value};
use super::thresholds::BurstThresholds;
use super::words::{median, percent, seconds};

pub(super) fn find(facts: &Facts, thresholds: &BurstThresholds) -> Vec<Finding> {
    let directions = [("writes", &facts.writes), ("reads", &facts.reads)];
    let first = |ways: &Vec<Vec<Span>>| ways.iter().find_map(|spans| periodic(spans, thresholds));
    directions.into_iter().filter_map(|(verb, ways)| Some(first(ways)?.finding(&facts.log, verb))).collect()
}

/// Regular bursts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Periodic {
    bursts: u64,
    /// Median from start to start.
    period_s: f64,
    /// Share of the periods that are near the median.
    regular: f64,
    /// Medians of a burst.
    burst_s: f64,
    burst_bytes: f64,
}

/// `spans` are in order of their start.
fn periodic(spans: &[Span], thresholds: &BurstThresholds) -> Option<Periodic> {
    let gap_s = parting_gap_s(spans, thresholds)?;
    let mut bursts: Vec<Span> = Vec::new();
    for span in spans {
        match bursts.last_mut() {
            Some(burst) if span.start_s - burst.end_s < gap_s => {
                burst.end_s = burst.end_s.max(span.end_s);
                burst.bytes = burst.bytes.saturating_add(span.bytes);
            }
            _ => bursts.push(*span),
        }
    }
    let periods: Vec<f64> = bursts.windows(2).map(|pair| pair[1].start_s - pair[0].start_s).collect();
    let period_s = median(periods.iter().copied());
    let near = |period: &&f64| (**period - period_s).abs() <= thresholds.period_tolerance * period_s;
    let regular = periods.iter().filter(near).count() as f64 / periods.len().max(1) as f64;
    let burst_bytes = median(bursts.iter().map(|burst| burst.bytes as f64));
    let is_found = bursts.len() as u64 >= thresholds.bursts_min
        && regular >= thresholds.regular_share
        && burst_bytes >= thresholds.burst_bytes_min as f64;
    is_found.then(|| Periodic {
        bursts: bursts.len() as u64,
        period_s,
        regular,
        burst_s: median(bursts.iter().map(|burst| burst.end_s - burst.start_s)),
        burst_bytes,
    })
}

/// From which silence on two accesses belong to different bursts; `None` where silence does not part them.
fn parting_gap_s(spans: &[Span], thresholds: &BurstThresholds) -> Option<f64> {
    let mut gaps: Vec<f64> = Vec::new();
    let mut end_s = spans.first()?.end_s;
    for span in spans {
        if span.start_s > end_s {
            gaps.push(span.start_s - end_s);
        }
        end_s = end_s.max(span.end_s);
    }
    gaps.sort_unstable_by(|a, b| b.total_cmp(a));
    let half_s = gaps.iter().sum::<f64>() / 2.0;
    let mut longer_s = 0.0;
    let typical_s = gaps.iter().copied().find(|gap_s| {
        longer_s += gap_s;
        longer_s >= half_s
    })?;
    let parting_s = typical_s / 2.0;
    let at_least = |limit_s: f64| gaps.partition_point(|gap_s| *gap_s >= limit_s);
    let (parting, nearly) = (at_least(parting_s), at_least(parting_s / 2.0));
    let is_clear = (nearly - parting) as f64 <= (1.0 - thresholds.regular_share) * parting as f64;
    (is_clear && parting_s >= thresholds.gap_seconds_min).then_some(parting_s)
}

impl Periodic {
    fn finding(&self, source: &str, verb: &str) -> Finding {
        let Self { bursts, period_s, regular, burst_s, burst_bytes } = *self;
        let words = format!(
            "the job {verb} in {bursts} bursts, one every {}: {} in {}, then silence; {} of the periods are \
             near the middle one",
            seconds(period_s),
            Bytes(burst_bytes as u64),
            seconds(burst_s),
            percent(regular),
        );
        // Of this direction only, and from first to last access: a burst may hold silence, too.
        let them = if verb == "reads" { "Reads" } else { "Writes" };
        let fix = format!(
            "Nothing to repair: the next burst can be foreseen, and its files placed ahead (tarazu sim LOG \
             shows what that saves). {them} take {} of the time.",
            percent((burst_s / period_s).clamp(0.0, 1.0)),
        );
        Finding::new(Code::PeriodicBursts, source, Subject::Job, words, fix).measured(&[
            ("bursts", Value::Count(bursts)),
            ("period", Value::Seconds(period_s)),
            ("regular_share", Value::Share(regular)),
            ("burst_time", Value::Seconds(burst_s)),
            ("burst_bytes", Value::Bytes(burst_bytes as u64)),
        ])
    }
}
