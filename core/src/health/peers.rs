//! What other targets reach under the same conditions.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::{TargetId, Time};

use super::Source;
use super::observe::{Cell, Observation};

/// Targets, itself among them, below which a cell is too small to have a median that one of them cannot move.
const PEERS_MIN: usize = 5;

/// Share of the targets of one class, kind and size that those of one depth must be to be measured by
/// themselves: requests pile up on sick targets, which must not become each other's measure.
const DEPTH_SHARE_MIN: f64 = 0.25;

/// Weight of a new median in what a class usually reaches: a memory of some hundred intervals.
const USUAL_GAIN: f64 = 0.01;

/// What a class usually reaches stays within these shares of its prior.
const USUAL: std::ops::RangeInclusive<f64> = 0.2..=1.5;

/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// What an observation was compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Others {
    /// Logarithm of their speed, as a share of the prior.
    pub(super) speed_ln: f64,
    /// How far they lie apart.
    pub(super) spread: f64,
    pub(super) source: Source,
}

/// Median and spread of a group.
#[derive(Clone, Copy, Debug)]
struct Middle {
    median: f64,
    spread: f64,
}

/// Medians of the newest interval.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    cells: BTreeMap<Cell, Middle>,
    groups: BTreeMap<(u32, u8, u8), Middle>,
    classes: Vec<Option<Middle>>,
    /// Logarithm of what each class usually reaches, as a share of its prior.
    usual: Vec<f64>,
    /// The newest canary of each target, by class: no more than the class has targets. One each, since
    /// suspects answer forty times as often as healthy targets and must not become each other's measure.
    canaries: Vec<BTreeMap<usize, f64>>,
}

impl Peers {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            cells: BTreeMap::new(),
            groups: BTreeMap::new(),
            classes: vec![None; classes],
            usual: vec![0.0; classes],
            canaries: vec![BTreeMap::new(); classes],
        }
    }

    /// Takes the medians of the observations that are not older than `max_age`.
    pub(super) fn settle(&mut self, seen: &[Option<Observation>], now: Time, max_age: Duration) {
        let mut rows: Vec<(Cell, f64)> = seen
            .iter()
            .flatten()
            .filter(|seen| now.since(seen.at) <= max_age)
            .map(|seen| (seen.cell, seen.speed_ln))
            .collect();
        rows.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        self.cells.clear();
        self.groups.clear();
        self.classes.fill(None);
        // Parts of a cell come in the order class, kind, size, depth: what belongs together stands together.
        for rows in rows.chunk_by(|one, other| one.0.group() == other.0.group()) {
            let Some(found) = middle(rows.iter().map(|row| row.1)) else { continue };
            self.groups.insert(rows[0].0.group(), found);
            let least = (rows.len() as f64 * DEPTH_SHARE_MIN).ceil() as usize;
            for deep in rows.chunk_by(|one, other| one.0 == other.0).filter(|deep| deep.len() >= least) {
                self.cells.extend(middle(deep.iter().map(|row| row.1)).map(|found| (deep[0].0, found)));
            }
        }
        for rows in rows.chunk_by(|one, other| one.0.class == other.0.class) {
            let class = rows[0].0.class as usize;
            let large = rows.iter().filter(|row| row.0.has_large_requests()).map(|row| row.1);
            let Some(found) = middle(large) else { continue };
            self.classes[class] = Some(found);
            let usual = &mut self.usual[class];
            *usual =
                (*usual + USUAL_GAIN * (found.median - *usual)).clamp(USUAL.start().ln(), USUAL.end().ln());
        }
    }

    /// How much faster an observation is than its peers (logarithm), and who they are; `None` where there
    /// is nothing to compare it with.
    pub(super) fn against(&self, seen: &Observation) -> Option<(f64, Others)> {
        let (middle, source) = self.best(seen.cell)?;
        let others = Others { speed_ln: middle.median, spread: middle.spread, source };
        Some((seen.speed_ln - others.speed_ln, others))
    }

    fn best(&self, cell: Cell) -> Option<(Middle, Source)> {
        if let Some(equal) = self.cells.get(&cell) {
            return Some((*equal, Source::Peers));
        }
        if let Some(alike) = self.groups.get(&cell.group()) {
            return Some((*alike, Source::Class));
        }
        if !cell.has_large_requests() {
            return None;
        }
        let class = cell.class as usize;
        let usual = Middle { median: self.usual[class], spread: 0.0 };
        Some(self.classes[class].map_or((usual, Source::Usual), |all| (all, Source::Class)))
    }

    /// The same for a canary, against the canaries of other targets of its class.
    pub(super) fn against_canaries(&mut self, place: usize, seen: &Observation) -> (f64, Others) {
        let class = seen.cell.class as usize;
        let kept = &mut self.canaries[class];
        kept.remove(&place);
        let found = middle(kept.values().copied());
        kept.insert(place, seen.speed_ln);
        let middle = found.unwrap_or(Middle { median: self.usual[class], spread: 0.0 });
        let others = Others { speed_ln: middle.median, spread: middle.spread, source: Source::Canary };
        (seen.speed_ln - others.speed_ln, others)
    }

    /// Forgets a target's canary.
    pub(super) fn forget_canary(&mut self, place: usize, class: u32) {
        self.canaries[class as usize].remove(&place);
    }
}

/// Median and spread; `None` of fewer than [`PEERS_MIN`].
fn middle(values: impl Iterator<Item = f64>) -> Option<Middle> {
    let mut values: Vec<f64> = values.collect();
    if values.len() < PEERS_MIN {
        return None;
    }
    let found = median(&mut values)?;
    let mut away: Vec<f64> = values.iter().map(|value| (value - found).abs()).collect();
    Some(Middle { median: found, spread: MAD_TO_SIGMA * median(&mut away)? })
}

/// The median; the mean of the two middle ones where their number is even.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some(if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) })
}

/// The median of all but one, `None` of fewer than two others.
pub(super) fn median_of_others(rows: &[(TargetId, f64)], but: TargetId) -> Option<f64> {
    let mut others: Vec<f64> = rows.iter().filter(|row| row.0 != but).map(|row| row.1).collect();
    if others.len() < 2 {
        return None;
    }
    median(&mut others)
}
