//! HEATMAP records: bytes moved by a rank through one interface, in bins of time.

use std::ops::Range;

use super::cursor::ByteOrder;
use super::decode::{Decode, Mark, decode, grow};
use super::error::Fault;
use super::header::Region;
use super::inflate::{Packed, Plain};

/// Bytes before the bins: id, rank, width, number of bins, and two stored pointers without meaning.
const HEAD_BYTES: usize = 48;

/// The bins of one rank and interface.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatmapRecord {
    /// The interface: `heatmap:POSIX`, `heatmap:MPIIO` or `heatmap:STDIO` by the log's names.
    pub id: u64,
    /// The rank; never shared.
    pub rank: i64,
    /// Length of a bin in seconds, 0.1 times a power of two. The first begins with the job.
    pub bin_width_s: f64,
    /// Place of the bins: those of writes, then as many of reads.
    bins: Range<u32>,
}

/// All heatmaps of a log. They exist without DXT and tell when bytes were moved, not by which access.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heatmap {
    /// One per active rank and interface, in the log's order.
    pub records: Vec<HeatmapRecord>,
    /// Version of the records.
    pub version: u32,
    /// Whether Darshan ran out of memory, so that records are missing.
    pub partial: bool,
    bins: Vec<i64>,
}

/// The sum of all ranks' bins for one interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Length of a bin in seconds.
    pub bin_width_s: f64,
    /// Bytes written in each bin.
    pub write_bytes: Vec<i64>,
    /// Bytes read in each bin.
    pub read_bytes: Vec<i64>,
}

impl Heatmap {
    /// Bytes written in each bin of a record.
    #[must_use]
    pub fn write_bytes(&self, record: &HeatmapRecord) -> &[i64] {
        self.halves(record).0
    }

    /// Bytes read in each bin of a record.
    #[must_use]
    pub fn read_bytes(&self, record: &HeatmapRecord) -> &[i64] {
        self.halves(record).1
    }

    fn halves(&self, record: &HeatmapRecord) -> (&[i64], &[i64]) {
        let bins = self.bins.get(record.bins.start as usize..record.bins.end as usize).unwrap_or(&[]);
        bins.split_at(bins.len() / 2)
    }

    /// Ids of the interfaces, in the order of their first record.
    #[must_use]
    pub fn interfaces(&self) -> Vec<u64> {
        let mut ids = Vec::new();
        for record in &self.records {
            if !ids.contains(&record.id) {
                ids.push(record.id);
            }
        }
        ids
    }

    /// The sum of all ranks' bins for an interface.
    ///
    /// Ranks need not agree: Darshan 3.4.0 to 3.4.3 wrote records one bin longer or shorter than others, and
    /// merged logs mix widths. The timeline has the widest bins and the longest record's end, so that nothing
    /// is lost. Negative bins, which no job can have caused, and records without a width count nothing.
    #[must_use]
    pub fn timeline(&self, interface: u64) -> Timeline {
        let ranks = || self.records.iter().filter(|record| record.id == interface && record.has_width());
        let bin_width_s = ranks().map(|record| record.bin_width_s).fold(0.0, f64::max);
        let mut timeline = Timeline { bin_width_s, ..Timeline::default() };
        for record in ranks() {
            let (writes, reads) = self.halves(record);
            let narrower = record.bin_width_s / bin_width_s;
            add(&mut timeline.write_bytes, writes, narrower);
            add(&mut timeline.read_bytes, reads, narrower);
        }
        let bins = timeline.write_bytes.len().max(timeline.read_bytes.len());
        timeline.write_bytes.resize(bins, 0);
        timeline.read_bytes.resize(bins, 0);
        timeline
    }

    /// Reads a region: whole records of whole streams. The notes say where ranks disagree.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        let Region { module, offset, length, version, partial, .. } = *region;
        if version != 1 {
            return Err(Fault::RecordVersion { module, offset, length, version, newest: 1 });
        }
        let mut reading = Reading { heatmap: Self { version, partial, ..Self::default() }, order };
        let faults = decode(plain, packed, &mut reading);
        Ok((reading.heatmap, faults))
    }

    /// What a reader of the numbers should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let Some(first) = self.records.first() else { return notes };
        let bins = first.bins.len();
        let uneven = self.records.iter().filter(|record| record.bins.len() != bins).count();
        if self.records.iter().any(|record| record.bin_width_s != first.bin_width_s) {
            notes.push("HEATMAP: ranks have bins of different widths; sums are in the widest".to_owned());
        } else if uneven > 0 {
            notes.push(format!(
                "HEATMAP: {uneven} records have more or fewer bins than the first, as Darshan 3.4.0 to 3.4.3 wrote \
                 them; missing bins count as 0"
            ));
        }
        let negative = self.bins.iter().filter(|bytes| **bytes < 0).count();
        if negative > 0 {
            notes.push(format!("HEATMAP: {negative} bins are negative and are left out of timelines"));
        }
        let without = self.records.iter().filter(|record| !record.has_width()).count();
        if without > 0 {
            notes.push(format!("HEATMAP: {without} records have no usable bin width: left out of timelines"));
        }
        notes
    }
}

impl HeatmapRecord {
    /// Bins in each direction.
    #[must_use]
    pub const fn bins(&self) -> usize {
        (self.bins.end - self.bins.start) as usize / 2
    }

    fn has_width(&self) -> bool {
        self.bin_width_s.is_finite() && self.bin_width_s > 0.0
    }
}

/// Adds bins that are `narrower` (0 to 1) than those of the sum.
fn add(sum: &mut Vec<i64>, bins: &[i64], narrower: f64) {
    for (place, bytes) in bins.iter().enumerate() {
        // A narrow bin counts to the wide one that its middle lies in.
        let at = ((place as f64 + 0.5) * narrower) as usize;
        if at >= sum.len() {
            sum.resize(at + 1, 0);
        }
        if let Some(sum) = sum.get_mut(at).filter(|_| *bytes > 0) {
            *sum = sum.saturating_add(*bytes);
        }
    }
}

struct Reading {
    heatmap: Heatmap,
    order: ByteOrder,
}

impl Decode for Reading {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        const CUT: &str = "is cut short";
        let [id, rank, width, bins, ..]: [u64; HEAD_BYTES / 8] = plain.words(self.order).ok_or(CUT)?;
        let (rank, bin_width_s) = (rank.cast_signed(), f64::from_bits(width));
        let bins = u32::try_from(bins).ok().and_then(|bins| bins.checked_mul(2));
        let mut left = bins.ok_or("has a bin count that is negative or beyond its bytes")?;
        let start = self.heatmap.bins.len() as u32;
        while left > 0 {
            let items = plain.take_items(8, left.into());
            let count = items.len() / 8;
            if count == 0 {
                return Err("has a bin count beyond its bytes");
            }
            left -= count as u32;
            grow(&mut self.heatmap.bins, count);
            self.heatmap.bins.extend(self.order.words(items).map(u64::cast_signed));
        }
        let bins = start..self.heatmap.bins.len() as u32;
        grow(&mut self.heatmap.records, 1);
        self.heatmap.records.push(HeatmapRecord { id, rank, bin_width_s, bins });
        Ok(())
    }

    fn mark(&self) -> Mark {
        [self.heatmap.records.len(), self.heatmap.bins.len(), 0]
    }

    fn cut(&mut self, mark: Mark) {
        self.heatmap.records.truncate(mark[0]);
        self.heatmap.bins.truncate(mark[1]);
    }

    fn records(&self) -> usize {
        self.heatmap.records.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heatmap(ranks: &[(f64, &[i64])]) -> Heatmap {
        let mut heatmap = Heatmap::default();
        for (bin_width_s, writes) in ranks {
            let start = heatmap.bins.len() as u32;
            heatmap.bins.extend(*writes);
            heatmap.bins.extend(writes.iter().map(|_| 0));
            let bins = start..heatmap.bins.len() as u32;
            heatmap.records.push(HeatmapRecord { id: 7, rank: 0, bin_width_s: *bin_width_s, bins });
        }
        heatmap
    }

    #[test]
    fn a_missing_last_bin_counts_as_zero() {
        let heatmap = heatmap(&[(0.1, &[1, 2]), (0.1, &[10, 20, 30]), (0.1, &[100])]);
        let timeline = heatmap.timeline(7);
        assert_eq!(timeline.write_bytes, [111, 22, 30]);
        assert_eq!(timeline.read_bytes, [0, 0, 0]);
        assert_eq!(heatmap.notes().len(), 1);
        assert!(heatmap.notes()[0].contains("2 records have more or fewer bins"));
        assert_eq!(heatmap.timeline(8), Timeline::default());
    }

    #[test]
    fn mixed_widths_meet_in_the_widest() {
        let heatmap = heatmap(&[(0.1, &[1, 2, 3, 4, 5]), (0.4, &[100]), (0.2, &[10, 20, 30])]);
        let timeline = heatmap.timeline(7);
        assert_eq!(timeline.bin_width_s, 0.4);
        assert_eq!(timeline.write_bytes, [1 + 2 + 3 + 4 + 100 + 10 + 20, 5 + 30]);
        assert!(heatmap.notes()[0].contains("different widths"));
    }

    #[test]
    fn impossible_bins_count_nothing_and_are_said() {
        let heatmap = heatmap(&[(0.1, &[5, -7]), (f64::NAN, &[9]), (-0.1, &[9]), (0.1, &[i64::MAX, 1])]);
        assert_eq!(heatmap.timeline(7).write_bytes, [i64::MAX, 1]);
        let notes = heatmap.notes().join("\n");
        assert!(notes.contains("1 bins are negative"), "{notes}");
        assert!(notes.contains("2 records have no usable bin width"), "{notes}");
    }
}
