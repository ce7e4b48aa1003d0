//! Recorded bytes a second on each target, for comparing where the bytes of a job went.

use std::io::Read;

use super::CalibrateError;

/// Rows of a series: a month at 5 s.
const ROWS_MAX: usize = 600_000;

/// Seconds before a job's begin and behind its end that count to it: clocks differ, and caches are written back.
const MARGIN_S: (f64, f64) = (5.0, 15.0);

/// Seconds before a job from which the load of others is taken.
const BEFORE_S: f64 = 60.0;

/// Share of the time between a job's begin and end in which a target needs samples for its bytes to be known.
const SAMPLED_MIN: f64 = 0.5;

/// Seconds from one row to the next above which the time between them is not covered: series have steps of 1 to 60 s.
const STEP_MAX_S: f64 = 60.0;

/// A series: moments, and bytes a second of each target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Loads {
    times_s: Vec<f64>,
    rates_bps: Vec<Vec<f64>>,
}

impl Loads {
    /// Reads a CSV with the moment in the first column and a target in each other; an empty cell is no sample.
    ///
    /// # Errors
    /// No CSV or too long a one, a cell that is no number, or a moment that is not above the one before.
    pub fn read(text: impl Read, name: &str) -> Result<Self, CalibrateError> {
        Self::read_at_most(ROWS_MAX, text, name)
    }

    fn read_at_most(max: usize, text: impl Read, name: &str) -> Result<Self, CalibrateError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text);
        let mut loads = Self::default();
        for record in reader.records() {
            if loads.times_s.len() == max {
                let of = "the time in which the jobs ran";
                return Err(CalibrateError::TooLong { file: name.to_owned(), max, of });
            }
            let record = record.map_err(|source| CalibrateError::Csv { file: name.to_owned(), source })?;
            let line = record.position().map_or(0, csv::Position::line);
            let cell = |text: &str| match text {
                "" | "nan" | "NaN" => Ok(f64::NAN),
                text => {
                    text.parse().ok().filter(|value: &f64| (0.0..=1e18).contains(value)).ok_or_else(|| {
                        let found = text.chars().take(40).collect();
                        CalibrateError::Cell { file: name.to_owned(), line, column: "a target", found }
                    })
                }
            };
            let row: Vec<f64> = record.iter().map(cell).collect::<Result<_, _>>()?;
            let Some((time_s, rates)) = row.split_first() else { continue };
            // A moment that is missing is not above any other, either.
            let before_s = loads.times_s.last().copied().unwrap_or(f64::NEG_INFINITY);
            if time_s.is_nan() || *time_s <= before_s {
                return Err(CalibrateError::Order { file: name.to_owned(), line });
            }
            loads.times_s.push(*time_s);
            loads.rates_bps.push(rates.to_vec());
        }
        Ok(loads)
    }

    /// Targets of the series.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.rates_bps.first().map_or(0, Vec::len)
    }

    /// Most that all targets did together in one row, as their mean, bytes/s; a row with a target without a sample does
    /// not count.
    #[must_use]
    pub fn best_mean_bps(&self) -> Option<f64> {
        let means = self.rates_bps.iter().map(|rates| rates.iter().sum::<f64>() / rates.len() as f64);
        means.filter(|mean| !mean.is_nan()).max_by(f64::total_cmp)
    }

    /// Bytes on each target while a job ran, less what others moved just before; `None` where the series does not
    /// cover the job: bytes that nobody recorded are not bytes that nobody moved.
    #[must_use]
    pub fn bytes_between(&self, start_s: f64, end_s: f64) -> Option<Vec<f64>> {
        if !self.covers(start_s, end_s) {
            return None;
        }
        let (from, to) = (start_s - MARGIN_S.0, end_s + MARGIN_S.1);
        let before = self.mean_bps(from - BEFORE_S, from);
        let mut bytes = vec![0.0; self.targets()];
        for (row, rates) in self.rows(from, to) {
            let step_s = self.step_s(row);
            for (target, rate) in rates.iter().enumerate() {
                let rate = if rate.is_nan() { before[target] } else { *rate };
                bytes[target] += (rate - before[target]) * step_s;
            }
        }
        Some(bytes)
    }

    /// Whether rows stand from the begin to the end, without a gap, and each target has samples for most of them.
    fn covers(&self, start_s: f64, end_s: f64) -> bool {
        let (first, last) = (self.times_s.first(), self.times_s.last());
        if !(first.is_some_and(|first| *first <= start_s) && last.is_some_and(|last| *last >= end_s)) {
            return false;
        }
        let mut sampled_s = vec![0.0; self.targets()];
        let mut whole_s = 0.0;
        for (row, rates) in self.rows(start_s, end_s) {
            let step_s = self.step_s(row);
            if step_s > STEP_MAX_S {
                return false;
            }
            whole_s += step_s;
            let sampled = sampled_s.iter_mut().zip(rates).filter(|(_, rate)| !rate.is_nan());
            sampled.for_each(|(sum, _)| *sum += step_s);
        }
        whole_s > 0.0 && sampled_s.iter().all(|sampled_s| *sampled_s >= SAMPLED_MIN * whole_s)
    }

    fn mean_bps(&self, from: f64, to: f64) -> Vec<f64> {
        let mut sums = vec![(0.0, 0u32); self.targets()];
        for (_, rates) in self.rows(from, to) {
            for ((sum, count), rate) in sums.iter_mut().zip(rates).filter(|(_, rate)| !rate.is_nan()) {
                *sum += rate;
                *count += 1;
            }
        }
        sums.into_iter().map(|(sum, count)| sum / f64::from(count.max(1))).collect()
    }

    fn rows(&self, from: f64, to: f64) -> impl Iterator<Item = (usize, &Vec<f64>)> {
        let inside = move |&(_, time): &(usize, &f64)| (from..to).contains(time);
        self.times_s.iter().enumerate().filter(inside).map(|(row, _)| (row, &self.rates_bps[row]))
    }

    fn step_s(&self, row: usize) -> f64 {
        match (self.times_s.get(row), self.times_s.get(row + 1)) {
            (Some(this), Some(next)) => next - this,
            _ => 0.0,
        }
    }
}

/// Spearman's rank correlation of two equally long lists, ties with their mean rank; `None` where one does not vary.
#[must_use]
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product =
        |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum() };
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    (scale > 0.0).then(|| product(&a, &b) / scale)
}

/// Ranks from 0; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut from = 0;
    while from < order.len() {
        let equal = order[from..].iter().take_while(|at| values[**at] == values[order[from]]).count();
        let mean = from as f64 + (equal as f64 - 1.0) / 2.0;
        order[from..from + equal].iter().for_each(|at| ranks[*at] = mean);
        from += equal;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_of_known_lists() {
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[10.0, 30.0, 90.0]), Some(1.0));
        assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[1.0, 1.0, 1.0], &[3.0, 2.0, 1.0]), None);
        // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
        let tied = rank_correlation(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).expect("both vary");
        assert!((tied - 4.5 / (4.5f64 * 5.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn bytes_of_a_job_are_those_above_the_load_before() {
        let rows = (0..60).map(|row| {
            let busy = (20..24).contains(&row);
            format!("{},{},{}\n", row * 5, if busy { 300 } else { 100 }, if row == 21 { "" } else { "50" })
        });
        let text = format!("time,a,b\n{}", rows.collect::<String>());
        let loads = Loads::read(text.as_bytes(), "loads.csv").expect("a good series");
        assert_eq!(loads.best_mean_bps(), Some(175.0));
        assert_eq!(loads.bytes_between(100.0, 119.0), Some(vec![200.0 * 20.0, 0.0]));
    }

    #[test]
    fn a_series_that_does_not_cover_a_job_tells_nothing_of_it() {
        let series = |keep: &dyn Fn(u32) -> bool, cell: &dyn Fn(u32) -> &'static str| {
            let rows = (0..60).filter(|row| keep(*row));
            let rows = rows.map(|row| format!("{},100,{}\n", row * 5, cell(row)));
            let text = format!("time,a,b\n{}", rows.collect::<String>());
            Loads::read(text.as_bytes(), "loads.csv").expect("a good series")
        };
        let whole = series(&|_| true, &|_| "50");
        assert!(whole.bytes_between(100.0, 200.0).is_some());
        // Before the series, behind it, over its end.
        for (start_s, end_s) in [(-100.0, 50.0), (1000.0, 1100.0), (200.0, 400.0)] {
            assert_eq!(whole.bytes_between(start_s, end_s), None, "{start_s} to {end_s}");
        }
        // A hole inside, and a target without samples.
        assert_eq!(series(&|row| !(22..36).contains(&row), &|_| "50").bytes_between(100.0, 200.0), None);
        let none = series(&|_| true, &|row| if (18..45).contains(&row) { "" } else { "50" });
        assert_eq!(none.bytes_between(100.0, 200.0), None);
        assert!(none.bytes_between(20.0, 60.0).is_some());
        assert_eq!(Loads::default().bytes_between(100.0, 200.0), None);
    }

    #[test]
    fn mistakes_of_a_series_are_named() {
        let error = |text: &str| {
            let refused = Loads::read_at_most(2, text.as_bytes(), "loads.csv");
            refused.expect_err("must be refused").to_string()
        };
        assert!(error("time,a\n0,x\n").contains("line 2"));
        assert!(error("time,a\n5,1\n5,1\n").contains("line 3"));
        assert!(error("time,a\n,1\n").contains("line 2"));
        assert!(error("time,a\n0,1\n5,1\n10,1\n").contains("more than 2 rows"));
    }
}
