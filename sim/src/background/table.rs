//! Tables of one number per time and target, as comma-separated text, plain or compressed by gzip.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::StringRecord;
use flate2::read::MultiGzDecoder;

use super::LoadError;

/// Numbers of one table: a year of 24 targets every minute fits, as do 12 hours of 2,016 targets every 5 s.
const CELLS_MAX: u64 = 1 << 24;

/// Bytes of one table, decompressed: a number of [`CELLS_MAX`] has some ten characters, seldom twenty.
const BYTES_MAX: u64 = 1 << 29;

/// Latest time of a row, Unix seconds: far beyond any that was measured, and within the simulator's clock.
const TIME_MAX: f64 = 1e10;

/// Shortest time between two rows, seconds. No server reports more often.
const STEP_MIN_S: f64 = 1e-3;

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    /// Unix seconds of the rows, rising.
    pub(super) times: Vec<f64>,
    pub(super) columns: usize,
    /// Row by row; `None` where nothing stands.
    pub(super) cells: Vec<Option<f64>>,
}

impl Table {
    /// Reads a file, compressed if its name ends in `.gz`.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let origin = path.display().to_string();
        let file = File::open(path).map_err(|source| LoadError::Read { path: origin.clone(), source })?;
        let file = BufReader::new(file);
        if path.extension().is_some_and(|extension| extension == "gz") {
            Self::parse(MultiGzDecoder::new(file), &origin)
        } else {
            Self::parse(file, &origin)
        }
    }

    /// Reads text; `origin` names it in errors.
    pub(super) fn parse(text: impl Read, origin: &str) -> Result<Self, LoadError> {
        // One byte more than allowed, so that a table of just the allowed size is not refused.
        let mut text = text.take(BYTES_MAX + 1);
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&mut text);
        let header = reader.headers().map_err(|error| broken(origin, &error))?.clone();
        let columns = header.len().saturating_sub(1);
        if columns == 0 {
            let reason = "expected a first line of names: time, then one name for each target".to_string();
            return Err(LoadError::Row { path: origin.to_string(), line: 1, reason });
        }
        let mut table = Self { times: Vec::new(), columns, cells: Vec::new() };
        let mut row = StringRecord::new();
        while reader.read_record(&mut row).map_err(|error| broken(origin, &error))? {
            table.take_row(&header, &row, origin)?;
        }
        drop(reader);
        if text.limit() == 0 {
            return Err(LoadError::TooLarge { path: origin.to_string(), what: "bytes", max: BYTES_MAX });
        }
        if table.times.len() < 2 {
            let reason = "a series needs at least two rows".to_string();
            return Err(LoadError::Series { path: origin.to_string(), reason });
        }
        Ok(table)
    }

    fn take_row(&mut self, header: &StringRecord, row: &StringRecord, origin: &str) -> Result<(), LoadError> {
        let line = row.position().map_or(0, csv::Position::line);
        let path = || origin.to_string();
        let refuse = |reason: String| Err(LoadError::Row { path: path(), line, reason });
        if row.len() != header.len() {
            return refuse(format!("{} values, expected {} as in the first line", row.len(), header.len()));
        }
        let mut values = header.iter().zip(row).map(|(column, text)| {
            let text = text.trim();
            let value = text.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
            if value.is_none() && !text.is_empty() {
                let (column, value) = (column.to_string(), text.to_string());
                let expected = "a number from 0 up, or empty where it is not known";
                return Err(LoadError::Value { path: path(), line, column, value, expected });
            }
            Ok(value)
        });
        let Some(time) = values.next().transpose()?.flatten() else {
            return refuse("no time in the first column, expected Unix seconds".to_string());
        };
        if time > TIME_MAX {
            return refuse(format!("time {time} is too late, expected Unix seconds"));
        }
        if self.times.last().is_some_and(|last| time < last + STEP_MIN_S) {
            return refuse(format!("time {time} is not after the row before; sort the rows by time"));
        }
        if self.cells.len() + self.columns > CELLS_MAX as usize {
            return Err(LoadError::TooLarge { path: path(), what: "values", max: CELLS_MAX });
        }
        self.times.push(time);
        for value in values {
            self.cells.push(value?);
        }
        Ok(())
    }
}

fn broken(origin: &str, error: &csv::Error) -> LoadError {
    let line = error.position().map_or(0, csv::Position::line);
    LoadError::Row { path: origin.to_string(), line, reason: format!("not comma-separated text: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        Table::parse(text.as_bytes(), "ost.csv").expect_err(text).to_string()
    }

    #[test]
    fn numbers_and_gaps_are_read() {
        let table = Table::parse("time,a,b\n10,1,2.5\n15,,0\n".as_bytes(), "ost.csv").expect("a table");
        assert_eq!((table.times, table.columns), (vec![10.0, 15.0], 2));
        assert_eq!(table.cells, [Some(1.0), Some(2.5), None, Some(0.0)]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let error = refused("time,a,b\n10,1,2\n15,x,0\n");
        assert!(error.contains("ost.csv, line 3, column a: \"x\""), "{error}");
        assert!(refused("time,a\n10,-1\n").contains("line 2, column a"));
        assert!(refused("time,a\n10,inf\n").contains("line 2, column a"));
        assert!(refused("time,a\n10,1\n10,1\n").contains("line 3: time 10 is not after"));
        assert!(refused("time,a\n10,1,2\n").contains("line 2: 3 values, expected 2"));
        assert!(refused("time,a\n,1\n").contains("line 2: no time"));
        assert!(refused("time\n1\n").contains("line 1: expected a first line of names"));
        assert!(refused("").contains("expected a first line of names"));
        assert!(refused("time,a\n10,1\n").contains("at least two rows"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Table::parse(bytes.as_slice(), "ost.csv");
        }

        #[test]
        fn no_text_of_the_right_kind_panics(text in "time,a,b\n([0-9.,]{0,12}\n){0,5}") {
            let _ = Table::parse(text.as_bytes(), "ost.csv");
        }
    }
}
