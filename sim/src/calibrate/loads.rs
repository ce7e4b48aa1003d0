//! Recorded bytes a second on each target, for comparing where the bytes of a job went.

use std::io::Read;

use super::CalibrateError;

/// Rows of a series: a month at 5 s.
const ROWS_MAX: usize = 600_000;

/// Seconds before a job's begin and behind its end that count to it: clocks differ, and caches are written back.
const MARGIN_S: (f64, f64) = (5.0, 15.0);

/// Seconds before a job from which the load of others is taken.
const BEFORE_S: f64 = 60.0;

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
    /// No CSV, or a cell that is no number.
    pub fn read(text: impl Read, name: &str) -> Result<Self, CalibrateError> {
        let mut reader = csv::ReaderBuilder::new().from_reader(text);
        let mut loads = Self::default();
        for record in reader.records().take(ROWS_MAX) {
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

    /// Bytes on each target while a job ran, less what others moved just before.
    #[must_use]
    pub fn bytes_between(&self, start_s: f64, end_s: f64) -> Vec<f64> {
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
        bytes
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
        assert_eq!(loads.bytes_between(100.0, 119.0), [200.0 * 20.0, 0.0]);
        assert!(
            Loads::read("time,a\n0,x\n".as_bytes(), "loads.csv")
                .expect_err("no number")
                .to_string()
                .contains("line 2")
        );
    }
}
