//! Recorded series as load of others: what a real system's targets served, made into what was asked of them.
//!
//! Bytes a second become shares of the highest rate that any target of the series ever reached. Below saturation a
//! target serves within a sample what is asked of it, so served and asked are the same. A saturated one shows what
//! it can do, not what was asked: there others count as asking for all that they may have ([`BACKGROUND_MAX`]).

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rand::RngExt;
use tarazu_core::rng::stream;
use tarazu_layout::{TargetId, Time};

use super::table::Table;
use super::{BACKGROUND_MAX, Load, LoadError};

/// From this share of the highest rate on a target counts as saturated: means over some seconds seldom come nearer
/// to it while requests wait.
const SATURATED: f64 = 0.9;

/// Masked stretches of one series: a probe every ten minutes for a week.
const MASKS_MAX: usize = 1008;

/// Factors of a demand. No real system differs from another by more.
const SCALE: std::ops::RangeInclusive<f64> = 1e-6..=1e6;

/// Halvings of the search for the factor that gives a mean.
const HALVINGS: u32 = 60;

/// A recorded series as it is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedSpec {
    /// Bytes a second written to each target: the first column is the time in Unix seconds, each other one a target.
    pub written: PathBuf,
    /// Bytes a second read, of the same form.
    pub read: Option<PathBuf>,
    /// 1 where a sample is missing, of the same form.
    pub missing: Option<PathBuf>,
    /// Stretches of Unix seconds that are left out: a site's own probes are no load of others.
    pub masks: Vec<(f64, f64)>,
    /// Unix second at which runs begin; `None`: a moment of its own for each seed.
    pub start: Option<f64>,
    /// The demand is multiplied by this.
    pub scale: Option<f64>,
    /// The demand is multiplied such that the mean load is this.
    pub mean: Option<f64>,
}

impl RecordedSpec {
    /// Reads `FILE[,KEY=VALUE]…`; file names cannot contain a comma.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',');
        let written = words.next().filter(|name| !name.is_empty())?;
        let mut spec = Self { written: written.into(), ..Self::default() };
        for word in words {
            let (key, value) = word.split_once('=').filter(|(_, value)| !value.is_empty())?;
            let number = || value.parse::<f64>().ok().filter(|number| number.is_finite());
            match key {
                "read" if spec.read.is_none() => spec.read = Some(value.into()),
                "missing" if spec.missing.is_none() => spec.missing = Some(value.into()),
                "mask" if spec.masks.len() < MASKS_MAX => spec.masks.push(span(value)?),
                "start" if spec.start.is_none() => spec.start = Some(number()?),
                "scale" if spec.scale.is_none() => spec.scale = Some(number().filter(|k| SCALE.contains(k))?),
                "mean" if spec.mean.is_none() => {
                    spec.mean = Some(number().filter(|mean| (0.0..=BACKGROUND_MAX).contains(mean))?);
                }
                _ => return None,
            }
        }
        (spec.scale.is_none() || spec.mean.is_none()).then_some(spec)
    }
}

/// `FROM-TO`, both from 0 up.
fn span(text: &str) -> Option<(f64, f64)> {
    let (from, to) = text.split_once('-')?;
    let (from, to): (f64, f64) = (from.parse().ok()?, to.parse().ok()?);
    (from.is_finite() && to.is_finite() && 0.0 <= from && from < to).then_some((from, to))
}

impl fmt::Display for RecordedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.written.display())?;
        self.read.iter().try_for_each(|path| write!(f, ",read={}", path.display()))?;
        self.missing.iter().try_for_each(|path| write!(f, ",missing={}", path.display()))?;
        self.masks.iter().try_for_each(|(from, to)| write!(f, ",mask={from}-{to}"))?;
        self.start.iter().try_for_each(|start| write!(f, ",start={start}"))?;
        self.scale.iter().try_for_each(|scale| write!(f, ",scale={scale}"))?;
        self.mean.iter().try_for_each(|mean| write!(f, ",mean={mean}"))
    }
}

/// A recorded series, ready to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    spec: RecordedSpec,
    /// Unix seconds of the first row.
    first_time: f64,
    /// When each row begins, seconds after the first.
    times_s: Vec<f64>,
    /// Length of the whole, the last row included, seconds.
    length_s: f64,
    columns: usize,
    /// Row by row.
    loads: Vec<Load>,
    masked_rows: usize,
    missing_cells: usize,
    peak_bps: [f64; 2],
}

impl Recorded {
    /// Reads the series and makes demand of it.
    ///
    /// # Errors
    /// A file is unreadable, malformed or too large, the files do not belong together, nothing is left after the
    /// masks, or the start or mean that was asked for is not to be had.
    pub fn read(spec: &RecordedSpec) -> Result<Self, LoadError> {
        let written = Table::read(&spec.written)?;
        let beside = |path: &Option<PathBuf>| -> Result<Option<Table>, LoadError> {
            let Some(path) = path else { return Ok(None) };
            let table = Table::read(path)?;
            if table.times != written.times || table.columns != written.columns {
                let (path, other) = (spec.written.display().to_string(), path.display().to_string());
                return Err(LoadError::Mismatch { path, other });
            }
            Ok(Some(table))
        };
        let (read, missing) = (beside(&spec.read)?, beside(&spec.missing)?);
        Self::of(spec, written, read, missing.as_ref())
    }

    fn of(
        spec: &RecordedSpec,
        written: Table,
        read: Option<Table>,
        missing: Option<&Table>,
    ) -> Result<Self, LoadError> {
        let (times, columns) = (written.times.clone(), written.columns);
        let mut tables: Vec<Table> = std::iter::once(written).chain(read).collect();
        let masks = masked_rows(&times, &spec.masks);
        let masked: usize = masks.iter().map(ExactSizeIterator::len).sum();
        if masked == times.len() {
            return Err(refuse(
                spec,
                "the masks leave nothing; give stretches of Unix seconds around probes",
            ));
        }
        let mut missing_cells = 0;
        let mut peaks = [0.0f64; 2];
        for (table, peak) in tables.iter_mut().zip(&mut peaks) {
            missing_cells += hold_missing(table, missing);
            // Probes show best what a target can do, so the masked stretches count here.
            *peak = table.cells.iter().flatten().copied().fold(0.0, f64::max);
            masks.iter().for_each(|rows| bridge(&mut table.cells, columns, rows, times.len()));
        }
        let share = |table: Option<&Table>, cell: usize, peak: f64| {
            let rate = table.and_then(|table| table.cells[cell]).unwrap_or(0.0);
            if peak > 0.0 { rate / peak } else { 0.0 }
        };
        let demand = |cell| {
            let write = share(tables.first(), cell, peaks[0]);
            demand(Load { read: share(tables.get(1), cell, peaks[1]), write })
        };
        let step_s = times[times.len() - 1] - times[times.len() - 2];
        let mut recorded = Self {
            spec: spec.clone(),
            first_time: times[0],
            times_s: times.iter().map(|time| time - times[0]).collect(),
            length_s: times[times.len() - 1] - times[0] + step_s,
            columns,
            loads: (0..times.len() * columns).map(demand).collect(),
            masked_rows: masked,
            missing_cells,
            peak_bps: peaks,
        };
        if spec.start.is_some_and(|start| !(times[0]..=times[times.len() - 1]).contains(&start)) {
            let reason = format!(
                "start lies outside of the series, which has {} to {}",
                times[0],
                times[times.len() - 1]
            );
            return Err(refuse(spec, &reason));
        }
        recorded.multiply()?;
        Ok(recorded)
    }

    fn multiply(&mut self) -> Result<(), LoadError> {
        let scale = match (self.spec.scale, self.spec.mean) {
            (Some(scale), _) => scale,
            (None, Some(mean)) => self.scale_of(mean).ok_or_else(|| {
                let reason =
                    format!("no factor makes its mean load {mean}: too much of it has no load at all");
                refuse(&self.spec, &reason)
            })?,
            (None, None) => 1.0,
        };
        self.loads.iter_mut().for_each(|load| *load = multiplied(*load, scale));
        Ok(())
    }

    /// The factor that gives a mean load; `None` if none does.
    fn scale_of(&self, mean: f64) -> Option<f64> {
        let mean_at = |scale: f64| {
            let sum: f64 = self.loads.iter().map(|load| multiplied(*load, scale).total()).sum();
            sum / self.loads.len() as f64
        };
        if mean <= 0.0 {
            return Some(0.0);
        }
        let (mut low, mut high) = (SCALE.start().ln(), SCALE.end().ln());
        if mean_at(high.exp()) < mean {
            return None;
        }
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            if mean_at(middle.exp()) < mean {
                low = middle;
            } else {
                high = middle;
            }
        }
        Some(high.exp())
    }

    pub(super) fn spec(&self) -> &RecordedSpec {
        &self.spec
    }

    /// Mean load over all targets and times.
    #[must_use]
    pub fn mean_load(&self) -> f64 {
        self.loads.iter().map(|load| load.total()).sum::<f64>() / self.loads.len() as f64
    }

    /// How the series was read, for people.
    pub(super) fn notes(&self) -> Vec<String> {
        let mib = |bps: f64| bps / f64::from(1 << 20);
        let name = self.spec.written.display();
        vec![
            format!(
                "background {name}: {} rows of {} targets, mean load {:.3}; targets take its columns in turn, and it \
                 begins again at its end after {} s",
                self.times_s.len(),
                self.columns,
                self.mean_load(),
                self.length_s
            ),
            format!(
                "background {name}: shares of the highest rates in it, {:.0} MiB/s written and {:.0} MiB/s read; from \
                 {SATURATED} of that on a target counts as saturated; {} rows masked, {} samples missing",
                mib(self.peak_bps[0]),
                mib(self.peak_bps[1]),
                self.masked_rows,
                self.missing_cells
            ),
        ]
    }

    /// The column that a target takes, in the run of one seed.
    pub(super) fn play(recorded: &Arc<Self>, seed: u64, target: TargetId) -> Playing {
        let rows = recorded.times_s.len();
        let row = match recorded.spec.start {
            Some(start) => {
                let start_s = start - recorded.first_time;
                recorded.times_s.partition_point(|time_s| *time_s <= start_s).saturating_sub(1)
            }
            // Alike for all targets: what hits many of them at once does so in the run.
            None => stream(seed, "background start", 0).random_range(0..rows),
        };
        Playing {
            recorded: Arc::clone(recorded),
            column: target.index() % recorded.columns,
            begins: row,
            row,
            rounds: 0,
        }
    }
}

/// One column on its way.
#[derive(Clone, Debug)]
pub(crate) struct Playing {
    recorded: Arc<Recorded>,
    column: usize,
    /// The row that the run began with.
    begins: usize,
    row: usize,
    /// How often the series has begun again.
    rounds: u64,
}

impl Playing {
    /// The load at the start.
    pub(super) fn first(&self) -> Load {
        self.recorded.loads[self.row * self.recorded.columns + self.column]
    }

    /// The next row whose load differs; `None` if all are alike.
    pub(super) fn next(&mut self) -> Option<(Time, Load)> {
        let before = self.first();
        let rows = self.recorded.times_s.len();
        for _ in 0..rows {
            self.row += 1;
            if self.row == rows {
                (self.row, self.rounds) = (0, self.rounds + 1);
            }
            let load = self.first();
            if load != before {
                return Some((self.time(), load));
            }
        }
        None
    }

    fn time(&self) -> Time {
        let recorded = &self.recorded;
        let s = recorded.times_s[self.row] - recorded.times_s[self.begins]
            + self.rounds as f64 * recorded.length_s;
        Time::from_secs_f64(s)
    }
}

fn refuse(spec: &RecordedSpec, reason: &str) -> LoadError {
    LoadError::Series { path: spec.written.display().to_string(), reason: reason.to_string() }
}

/// What was asked for, where so much was served.
fn demand(served: Load) -> Load {
    let total = served.total();
    if total < SATURATED {
        return served;
    }
    let all = BACKGROUND_MAX.max(total) / total;
    Load { read: served.read * all, write: served.write * all }.capped()
}

fn multiplied(load: Load, scale: f64) -> Load {
    Load { read: load.read * scale, write: load.write * scale }.capped()
}

/// Rows within each mask.
fn masked_rows(times: &[f64], masks: &[(f64, f64)]) -> Vec<Range<usize>> {
    let mut rows: Vec<Range<usize>> = Vec::new();
    let mut sorted = masks.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    for (from, to) in sorted {
        let range = times.partition_point(|time| *time < from)..times.partition_point(|time| *time <= to);
        match rows.last_mut() {
            // Masks that touch are one.
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ if range.is_empty() => {}
            _ => rows.push(range),
        }
    }
    rows
}

/// A missing sample is as the one before it, or as the first that is known. Returns how many there were.
fn hold_missing(table: &mut Table, missing: Option<&Table>) -> usize {
    let mut held = 0;
    for column in 0..table.columns {
        let rows = table.times.len();
        let place = |row: usize| row * table.columns + column;
        let is_known = |cells: &[Option<f64>], row: usize| {
            let is_marked =
                missing.is_some_and(|missing| missing.cells[place(row)].is_some_and(|mark| mark > 0.0));
            !is_marked && cells[place(row)].is_some()
        };
        let first = (0..rows).find(|row| is_known(&table.cells, *row));
        let mut last = first.and_then(|row| table.cells[place(row)]);
        for row in 0..rows {
            if is_known(&table.cells, row) {
                last = table.cells[place(row)];
            } else {
                table.cells[place(row)] = last;
                held += 1;
            }
        }
    }
    held
}

/// Puts the stretch before a masked one in its place, as often as it takes; at the start, the one behind.
fn bridge(cells: &mut [Option<f64>], columns: usize, masked: &Range<usize>, rows: usize) {
    let length = masked.len();
    for row in masked.clone() {
        let from = if masked.start > 0 {
            row - length.min(masked.start)
        } else {
            masked.end + (row - masked.start) % (rows - masked.end)
        };
        cells.copy_within(from * columns..(from + 1) * columns, row * columns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().map(|value| Some(*value)).collect()
    }

    fn bridged(values: &[f64], masked: Range<usize>) -> Vec<f64> {
        let mut cells = cells(values);
        bridge(&mut cells, 1, &masked, values.len());
        cells.into_iter().flatten().collect()
    }

    #[test]
    fn a_mask_repeats_what_was_before_it() {
        assert_eq!(bridged(&[1.0, 2.0, 3.0, 9.0, 9.0, 4.0], 3..5), [1.0, 2.0, 3.0, 2.0, 3.0, 4.0]);
        // Less before it than behind: that is repeated over and over.
        assert_eq!(bridged(&[1.0, 2.0, 9.0, 9.0, 9.0, 4.0], 2..5), [1.0, 2.0, 1.0, 2.0, 1.0, 4.0]);
        // Nothing before it.
        assert_eq!(bridged(&[9.0, 9.0, 9.0, 1.0, 2.0], 0..3), [1.0, 2.0, 1.0, 1.0, 2.0]);
    }

    #[test]
    fn masks_may_touch_overlap_and_miss() {
        let times = [0.0, 5.0, 10.0, 15.0, 20.0];
        let one = masked_rows(&times, &[(9.0, 15.0), (4.0, 6.0)]);
        assert_eq!((one.len(), &one[0]), (1, &(1..4)));
        assert_eq!(masked_rows(&times, &[(0.0, 5.0), (20.0, 99.0)]), [0..2, 4..5]);
        assert_eq!(masked_rows(&times, &[(6.0, 9.0), (100.0, 200.0)]), []);
    }

    #[test]
    fn missing_samples_are_held() {
        let mut table =
            Table { times: vec![0.0, 5.0, 10.0, 15.0], columns: 1, cells: cells(&[7.0, 1.0, 8.0, 2.0]) };
        let marks = Table { times: table.times.clone(), columns: 1, cells: cells(&[1.0, 0.0, 1.0, 0.0]) };
        assert_eq!(hold_missing(&mut table, Some(&marks)), 2);
        assert_eq!(table.cells, cells(&[1.0, 1.0, 1.0, 2.0]));
    }

    #[test]
    fn a_saturated_target_was_asked_for_more_than_it_shows() {
        let quiet = Load { read: 0.3, write: 0.5 };
        assert_eq!(demand(quiet), quiet);
        let full = demand(Load { read: 0.31, write: 0.62 });
        assert!(
            (full.total() - BACKGROUND_MAX).abs() < 1e-12 && (full.write / full.read - 2.0).abs() < 1e-12
        );
        assert!((demand(Load { read: 1.0, write: 1.0 }).total() - BACKGROUND_MAX).abs() < 1e-12);
    }

    #[test]
    fn a_series_begins_again_at_its_end() {
        let text = "time,a,b\n100,1,0\n105,1,0\n110,2,0\n";
        let table = Table::parse(text.as_bytes(), "a.csv").expect("a table");
        let spec = RecordedSpec::parse("a.csv,start=105").expect("a form");
        let recorded = Arc::new(Recorded::of(&spec, table, None, None).expect("a series"));
        let mut playing = Recorded::play(&recorded, 1, TargetId(2));
        assert_eq!(playing.first(), Load::writing(0.5));
        let changes: Vec<(f64, f64)> = std::iter::from_fn(|| playing.next())
            .take(3)
            .map(|(at, load)| (at.as_secs_f64(), load.total()))
            .collect();
        assert_eq!(changes, [(5.0, BACKGROUND_MAX), (10.0, 0.5), (20.0, BACKGROUND_MAX)]);
        // A column that never changes ends there.
        assert_eq!(Recorded::play(&recorded, 1, TargetId(1)).next(), None);
    }
}
