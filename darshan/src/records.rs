//! Records of fixed size: counters of POSIX, MPI-IO, STDIO, HDF5, PnetCDF and the like, flat in memory.

use super::counters::{Head, Shape};
use super::cursor::{ByteOrder, text};
use super::decode::{Decode, Mark, decode, grow};
use super::error::Fault;
use super::header::{Module, Region};
use super::inflate::{Packed, Plain};

/// The records of a module with counters, in the log's order.
///
/// In memory they take what they take in the log, in a list for each kind of field.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters {
    /// Names and order of the counters.
    pub shape: &'static Shape,
    /// Version of the records.
    pub version: u32,
    /// Whether Darshan ran out of memory, so that records are missing.
    pub partial: bool,
    order: ByteOrder,
    ids: Vec<u64>,
    ranks: Vec<i64>,
    file_ids: Vec<u64>,
    ints: Vec<i64>,
    floats: Vec<f64>,
    tails: Vec<u8>,
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
        self.ints.get(span(record, width)).unwrap_or(&[])
    }

    /// Floating-point counters of one record; none for a record that does not exist.
    #[must_use]
    pub fn floats(&self, record: usize) -> &[f64] {
        let width = self.shape.floats.len();
        self.floats.get(span(record, width)).unwrap_or(&[])
    }

    /// The record id of the file that a dataset (H5D 2) or variable (PNETCDF_VAR) lies in; `None` for other
    /// modules and for a record that does not exist.
    #[must_use]
    pub fn file_id(&self, record: usize) -> Option<u64> {
        self.file_ids.get(record).copied()
    }

    /// UUIDs of pool and container of a DFS or DAOS record, as stored.
    #[must_use]
    pub fn pool_and_container(&self, record: usize) -> Option<[[u8; 16]; 2]> {
        if !matches!(self.shape.module, Module::Dfs | Module::Daos) {
            return None;
        }
        let (pool, rest) = self.tail(record)?.split_first_chunk()?;
        Some([*pool, *rest.first_chunk()?])
    }

    /// High and low half of the object id of a DAOS record.
    #[must_use]
    pub fn object_id(&self, record: usize) -> Option<(u64, u64)> {
        if self.shape.module != Module::Daos {
            return None;
        }
        let (rest, low) = self.tail(record)?.split_last_chunk()?;
        Some((self.order.word(*rest.last_chunk()?), self.order.word(*low)))
    }

    /// The node that the rank of an APMPI record ran on.
    #[must_use]
    pub fn node(&self, record: usize) -> Option<String> {
        if self.shape.module != Module::Apmpi {
            return None;
        }
        self.tail(record).map(text)
    }

    /// What stands behind the counters of a record.
    fn tail(&self, record: usize) -> Option<&[u8]> {
        let bytes = self.shape.tail_bytes;
        self.tails.get(record.checked_mul(bytes)?..(record + 1).checked_mul(bytes)?)
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

    /// Reads a region: whole records of whole streams.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        let Region { module, offset, length, version, partial, .. } = *region;
        let newest = Shape::newest(module);
        let shape = Shape::of(module, version).ok_or(Fault::RecordVersion {
            module,
            offset,
            length,
            version,
            newest,
        })?;
        let mut read = Self {
            shape,
            version,
            partial,
            order,
            ids: Vec::new(),
            ranks: Vec::new(),
            file_ids: Vec::new(),
            ints: Vec::new(),
            floats: Vec::new(),
            tails: Vec::new(),
        };
        let faults = decode(plain, packed, &mut read);
        Ok((read, faults))
    }

    /// Keeps whole records that lie one behind the other.
    fn keep(&mut self, records: &[u8]) {
        let (shape, order) = (self.shape, self.order);
        let bytes = shape.record_bytes();
        let count = records.len() / bytes;
        let (ints, floats) = (shape.ints.len(), shape.floats.len());
        let int_at = shape.head_bytes();
        let (float_at, tail_at) = (int_at + 8 * ints, int_at + 8 * (ints + floats));
        grow(&mut self.ids, count);
        grow(&mut self.ranks, count);
        grow(&mut self.ints, count * ints);
        grow(&mut self.floats, count * floats);
        grow(&mut self.tails, count * shape.tail_bytes);
        for record in records.chunks_exact(bytes) {
            let (head, counters) = record.split_at(int_at);
            let mut head = order.words(head);
            self.ids.extend(head.next());
            self.ranks.extend(head.next().map(u64::cast_signed));
            if shape.head == Head::FileId {
                grow(&mut self.file_ids, 1);
                self.file_ids.extend(head.next());
            }
            self.ints.extend(order.words(&counters[..float_at - int_at]).map(u64::cast_signed));
            let floats = &counters[float_at - int_at..tail_at - int_at];
            self.floats.extend(order.words(floats).map(f64::from_bits));
            self.tails.extend_from_slice(&counters[tail_at - int_at..]);
        }
    }
}

const fn span(record: usize, width: usize) -> std::ops::Range<usize> {
    record.saturating_mul(width)..record.saturating_add(1).saturating_mul(width)
}

impl Decode for Counters {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        let records = plain.take_items(self.shape.record_bytes(), u64::MAX);
        if records.is_empty() {
            return Err("is cut short");
        }
        self.keep(records);
        Ok(())
    }

    fn mark(&self) -> Mark {
        [self.ids.len(), 0, 0]
    }

    fn cut(&mut self, mark: Mark) {
        let records = mark[0];
        self.ids.truncate(records);
        self.ranks.truncate(records);
        self.file_ids.truncate(records);
        self.ints.truncate(records * self.shape.ints.len());
        self.floats.truncate(records * self.shape.floats.len());
        self.tails.truncate(records * self.shape.tail_bytes);
    }

    fn records(&self) -> usize {
        self.ids.len()
    }
}

/// The first record of a rank that the job does not have, as a fault.
pub(crate) fn foreign_ranks(region: &Region, ranks: impl Iterator<Item = i64>, nprocs: i64) -> Option<Fault> {
    let mut foreign = ranks.filter(|rank| *rank < super::SHARED_RANK || *rank >= nprocs);
    let rank = foreign.next()?;
    let Region { module, offset, length, .. } = *region;
    Some(Fault::Ranks { module, offset, length, records: 1 + foreign.count(), rank, nprocs })
}
