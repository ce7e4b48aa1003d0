//! Records of fixed size: POSIX, MPI-IO and STDIO counters, flat in memory.

use super::counters::Shape;
use super::cursor::ByteOrder;
use super::error::Fault;
use super::header::{Module, Region};

/// The records of a module with counters, in the log's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters {
    /// Names and order of the counters.
    pub shape: &'static Shape,
    /// Whether Darshan ran out of memory, so that records are missing.
    pub partial: bool,
    ids: Vec<u64>,
    ranks: Vec<i64>,
    ints: Vec<i64>,
    floats: Vec<f64>,
}

/// Sums over all records of a module. A counter of -1 means "not monitored" and is summed as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Sums {
    /// Of each integer counter, in the shape's order; wider than a counter, so that it cannot overflow.
    pub ints: Vec<i128>,
    /// Of each floating-point counter, in the shape's order.
    pub floats: Vec<f64>,
}

impl Counters {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// File id of each record.
    #[must_use]
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Rank of each record, [`SHARED_RANK`](super::SHARED_RANK) where it is of all.
    #[must_use]
    pub fn ranks(&self) -> &[i64] {
        &self.ranks
    }

    /// Integer counters of one record; none for a record that does not exist.
    #[must_use]
    pub fn ints(&self, record: usize) -> &[i64] {
        let width = self.shape.ints.len();
        self.ints.get(record * width..(record + 1) * width).unwrap_or(&[])
    }

    /// Floating-point counters of one record; none for a record that does not exist.
    #[must_use]
    pub fn floats(&self, record: usize) -> &[f64] {
        let width = self.shape.floats.len();
        self.floats.get(record * width..(record + 1) * width).unwrap_or(&[])
    }

    /// Sums over all records.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut sums =
            Sums { ints: vec![0; self.shape.ints.len()], floats: vec![0.0; self.shape.floats.len()] };
        for record in 0..self.len() {
            for (sum, value) in sums.ints.iter_mut().zip(self.ints(record)) {
                *sum += i128::from(*value);
            }
            for (sum, value) in sums.floats.iter_mut().zip(self.floats(record)) {
                *sum += value;
            }
        }
        sums
    }

    /// The sum of one integer counter, named without the module's prefix; `None` where this version
    /// does not have it.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<i128> {
        let place = self.shape.int(name)?;
        let values = (0..self.len()).filter_map(|record| self.ints(record).get(place));
        Some(values.map(|value| i128::from(*value)).sum())
    }

    /// Reads a plain region. Whole records are kept where the last one is cut short.
    pub(crate) fn read(
        bytes: &[u8],
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Option<Fault>), Fault> {
        let (module, version) = (region.module, region.version);
        let shape = Shape::of(module, version).ok_or(Fault::RecordVersion {
            module,
            version,
            known: Shape::known(module),
        })?;
        let records = bytes.chunks_exact(shape.record_bytes());
        let count = records.len();
        let mut read = Self {
            shape,
            partial: region.partial,
            ids: Vec::with_capacity(count),
            ranks: Vec::with_capacity(count),
            ints: Vec::with_capacity(count * shape.ints.len()),
            floats: Vec::with_capacity(count * shape.floats.len()),
        };
        let rest = records.remainder().len();
        for record in records {
            let mut words = order.words(record);
            read.ids.extend(words.next());
            read.ranks.extend(words.next().map(u64::cast_signed));
            read.ints.extend(words.by_ref().take(shape.ints.len()).map(u64::cast_signed));
            read.floats.extend(words.map(f64::from_bits));
        }
        let what = "is cut short";
        let at = bytes.len() - rest;
        let fault = (rest > 0).then_some(Fault::Record { module, at, what, kept: count });
        Ok((read, fault))
    }
}

/// The first record of a rank that the job does not have, as a fault.
pub(crate) fn foreign_ranks(module: Module, ranks: impl Iterator<Item = i64>, nprocs: i64) -> Option<Fault> {
    let mut foreign = ranks.filter(|rank| *rank < super::SHARED_RANK || *rank >= nprocs);
    let rank = foreign.next()?;
    Some(Fault::Ranks { module, records: 1 + foreign.count(), rank, nprocs })
}
