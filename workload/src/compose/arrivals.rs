//! When jobs arrive, and which.

use std::time::Duration;

use tarazu_layout::Time;

use super::{Arrivals, ComposeError, Machine, Often, Part, Source};
use crate::generate::Draws;
use crate::limits::JOBS_MAX;

/// One job that asks for nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrival {
    pub(super) at: Time,
    pub(super) part: usize,
    /// Its place in the part's recorded jobs, 0 for a generator.
    pub(super) template: usize,
}

/// All arrivals in their order, and how many recorded jobs start after the day's end.
pub(super) struct Arriving {
    pub(super) jobs: Vec<Arrival>,
    pub(super) left_out: u64,
}

/// Draws the day's arrivals. `starts` gives the start of a generated part's job.
pub(super) fn draw(
    machine: &Machine,
    parts: &[Part],
    starts: &[Time],
    seed: u64,
) -> Result<Arriving, ComposeError> {
    let mut jobs = Vec::new();
    let mut left_out = 0;
    match (machine.arrivals, machine.span) {
        (Arrivals::Recorded, span) => left_out = recorded(parts, starts, span, &mut jobs)?,
        (_, None) => return Err(ComposeError::NoSpan),
        (Arrivals::Poisson { jobs_per_hour }, Some(span)) => {
            counted(parts, span, seed, &mut jobs)?;
            let mut draws = Draws::new(seed, "compose gaps", 0);
            // The gaps of a Poisson process are exponential; the draw is below 1.
            let gap = |draws: &mut Draws| -(1.0 - draws.unit()).ln() * 3600.0 / jobs_per_hour;
            if jobs_per_hour > 0.0 {
                weighted(parts, span, seed, &mut jobs, || gap(&mut draws))?;
            } else if let Some(part) = parts.iter().find(|part| matches!(part.often, Often::Weight(_))) {
                return Err(ComposeError::NoRate { part: part.name.clone() });
            }
        }
        (Arrivals::RecordedGaps, Some(span)) => {
            counted(parts, span, seed, &mut jobs)?;
            let gaps = recorded_gaps(parts);
            if gaps.iter().all(|gap| *gap == 0) {
                return Err(ComposeError::NoGaps);
            }
            let mut draws = Draws::new(seed, "compose gaps", 0);
            let gap = || gaps[draws.below(gaps.len() as u64) as usize] as f64 / 1e9;
            weighted(parts, span, seed, &mut jobs, gap)?;
        }
    }
    // By time, then as listed.
    jobs.sort_unstable();
    Ok(Arriving { jobs, left_out })
}

fn push(jobs: &mut Vec<Arrival>, arrival: Arrival) -> Result<(), ComposeError> {
    if jobs.len() as u64 >= JOBS_MAX {
        return Err(ComposeError::TooMany { what: "jobs", limit: JOBS_MAX });
    }
    jobs.push(arrival);
    Ok(())
}

/// Each job at its recorded start; gives how many start too late.
fn recorded(
    parts: &[Part],
    starts: &[Time],
    span: Option<Duration>,
    jobs: &mut Vec<Arrival>,
) -> Result<u64, ComposeError> {
    let end = span.map_or(Time::MAX, |span| Time::ZERO + span);
    let mut left_out = 0;
    for (part, of_part) in parts.iter().enumerate() {
        let copies = match of_part.often {
            Often::Count(copies) => copies,
            Often::Weight(_) => 1,
        };
        let starts = match &of_part.source {
            Source::Jobs(templates) => templates.iter().map(|template| template.job.start).collect(),
            Source::Generator { .. } => vec![starts.get(part).copied().unwrap_or_default()],
        };
        for (template, at) in starts.into_iter().enumerate() {
            if at >= end {
                left_out += u64::from(copies);
                continue;
            }
            for _ in 0..copies {
                push(jobs, Arrival { at, part, template })?;
            }
        }
    }
    Ok(left_out)
}

/// Jobs of parts with a count. Given their number, the arrivals of a Poisson process are uniform.
fn counted(parts: &[Part], span: Duration, seed: u64, jobs: &mut Vec<Arrival>) -> Result<(), ComposeError> {
    for (part, of_part) in parts.iter().enumerate() {
        let Often::Count(copies) = of_part.often else { continue };
        let mut draws = Draws::new(seed, "compose count", part as u64);
        for copy in 0..copies as usize {
            let at = Time::from_secs_f64(span.as_secs_f64() * draws.unit());
            push(jobs, Arrival { at, part, template: copy % of_part.source.len().max(1) })?;
        }
    }
    Ok(())
}

/// Jobs of parts with a weight, after gaps in seconds.
fn weighted(
    parts: &[Part],
    span: Duration,
    seed: u64,
    jobs: &mut Vec<Arrival>,
    mut gap_s: impl FnMut() -> f64,
) -> Result<(), ComposeError> {
    let weights: Vec<f64> = parts
        .iter()
        .map(|part| match part.often {
            Often::Weight(weight) => weight,
            Often::Count(_) => 0.0,
        })
        .collect();
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Ok(());
    }
    let mut draws = Draws::new(seed, "compose parts", 0);
    let mut now_s = 0.0;
    loop {
        now_s += gap_s();
        if now_s >= span.as_secs_f64() {
            return Ok(());
        }
        let part = chosen(&weights, draws.unit() * total);
        let template = draws.below(parts[part].source.len() as u64) as usize;
        push(jobs, Arrival { at: Time::from_secs_f64(now_s), part, template })?;
    }
}

/// The first place at which the sum of the weights passes `draw`; the last with a weight where rounding
/// leaves the draw at the end.
pub(super) fn chosen(weights: &[f64], draw: f64) -> usize {
    let mut sum = 0.0;
    for (place, weight) in weights.iter().enumerate() {
        sum += weight;
        if draw < sum {
            return place;
        }
    }
    weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
}

/// Nanoseconds between recorded starts by one clock, of all clocks.
fn recorded_gaps(parts: &[Part]) -> Vec<u64> {
    let mut starts: Vec<(u32, Time)> = Vec::new();
    for part in parts {
        if let Source::Jobs(templates) = &part.source {
            starts.extend(templates.iter().map(|template| (template.clock, template.job.start)));
        }
    }
    starts.sort_unstable();
    let pairs = starts.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs.map(|pair| pair[1].1.0 - pair[0].1.0).collect()
}

impl Source {
    /// Jobs to choose from.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Jobs(templates) => templates.len(),
            Self::Generator { .. } => 1,
        }
    }
}
