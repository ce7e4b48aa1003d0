//! DXT records: every access of a rank to a file, with offset, length, start and end.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::cursor::{ByteOrder, text};
use super::decode::{Decode, Mark, decode, grow};
use super::error::Fault;
use super::header::{Module, Region};
use super::inflate::{Packed, Plain, REGION_BYTES_MAX};

/// Bytes of the host name.
const HOST_BYTES: usize = 64;

/// Bytes of a segment, and of one with a thread id (DXT_POSIX 2, DXT_MPIIO 3).
const SEGMENT_BYTES: usize = 32;
const SEGMENT_BYTES_THREAD: usize = 40;

/// One access.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// First byte, negative where unknown.
    pub offset: i64,
    /// Bytes asked for or moved.
    pub length: i64,
    /// Start in seconds since the job's start.
    pub start_s: f64,
    /// End in seconds since the job's start.
    pub end_s: f64,
}

/// The accesses of one rank to one file, writes and reads apart, each in order of completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DxtRecord {
    /// The file.
    pub id: u64,
    /// The rank, also for shared files.
    pub rank: i64,
    /// Place of the node's name in [`Dxt::hosts`].
    pub host: usize,
    /// Place of the writes in [`Dxt::segments`].
    pub writes: Range<usize>,
    /// Place of the reads in [`Dxt::segments`].
    pub reads: Range<usize>,
}

/// All traced accesses of one layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dxt {
    /// One per rank and file, in the log's order.
    pub records: Vec<DxtRecord>,
    /// Accesses of all records.
    pub segments: Vec<Segment>,
    /// The thread (`pthread_self`) of each segment, in the same places; empty without [`Dxt::has_threads`].
    pub threads: Vec<u64>,
    /// Names of the nodes, in order of their first record.
    pub hosts: Vec<String>,
    /// Version of the records.
    pub version: u32,
    /// Whether the log has thread ids: DXT_POSIX 2 and DXT_MPIIO 3.
    pub has_threads: bool,
    /// Whether offsets mean anything: not in version 1 of DXT_MPIIO.
    pub has_offsets: bool,
    /// Whether Darshan ran out of memory, so that later segments are missing.
    pub partial: bool,
}

/// Sums over all records. Times that are no numbers do not count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DxtTotals {
    /// Writes.
    pub write_segments: u64,
    /// Reads.
    pub read_segments: u64,
    /// Sum of the lengths of writes.
    pub write_bytes: i128,
    /// Sum of the lengths of reads.
    pub read_bytes: i128,
    /// Earliest start in seconds, `None` without segments.
    pub first_start_s: Option<f64>,
    /// Latest end in seconds.
    pub last_end_s: Option<f64>,
    /// Sum of the durations in seconds.
    pub io_seconds: f64,
    /// Ranks with a record.
    pub ranks: usize,
}

impl Dxt {
    /// The segments in a range of [`Dxt::segments`].
    #[must_use]
    pub fn part(&self, range: &Range<usize>) -> &[Segment] {
        self.segments.get(range.clone()).unwrap_or(&[])
    }

    /// The threads of the segments in a range; empty where the log has none.
    #[must_use]
    pub fn threads_of(&self, range: &Range<usize>) -> &[u64] {
        self.threads.get(range.clone()).unwrap_or(&[])
    }

    /// Bytes of a segment in the log.
    #[must_use]
    pub const fn segment_bytes(&self) -> usize {
        if self.has_threads { SEGMENT_BYTES_THREAD } else { SEGMENT_BYTES }
    }

    /// Sums over all records.
    #[must_use]
    pub fn totals(&self) -> DxtTotals {
        let mut totals = DxtTotals::default();
        let ranks: BTreeSet<i64> = self.records.iter().map(|record| record.rank).collect();
        totals.ranks = ranks.len();
        for record in &self.records {
            let (writes, reads) = (self.part(&record.writes), self.part(&record.reads));
            totals.write_segments += writes.len() as u64;
            totals.read_segments += reads.len() as u64;
            totals.write_bytes += writes.iter().map(|segment| i128::from(segment.length)).sum::<i128>();
            totals.read_bytes += reads.iter().map(|segment| i128::from(segment.length)).sum::<i128>();
            for segment in writes.iter().chain(reads) {
                if segment.start_s.is_nan() || segment.end_s.is_nan() {
                    continue;
                }
                totals.io_seconds += segment.end_s - segment.start_s;
                let first = totals.first_start_s.map_or(segment.start_s, |first| first.min(segment.start_s));
                let last = totals.last_end_s.map_or(segment.end_s, |last| last.max(segment.end_s));
                (totals.first_start_s, totals.last_end_s) = (Some(first), Some(last));
            }
        }
        totals
    }

    /// Reads a region: whole records of whole streams.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        let Region { module, offset, length, version, partial, .. } = *region;
        let newest = if module == Module::DxtPosix { 2 } else { 3 };
        if version == 0 || version > newest {
            return Err(Fault::RecordVersion { module, offset, length, version, newest });
        }
        let has_threads = version == newest;
        let has_offsets = module == Module::DxtPosix || version > 1;
        let dxt = Self { version, has_offsets, has_threads, partial, ..Self::default() };
        let mut reading = Reading { dxt, order, hosts: HashMap::new(), last_host: [0; HOST_BYTES] };
        let faults = decode(plain, packed, &mut reading);
        Ok((reading.dxt, faults))
    }
}

/// Records as they come, with what finds the place of a host's name.
struct Reading {
    dxt: Dxt,
    order: ByteOrder,
    hosts: HashMap<String, usize>,
    /// The bytes of the last record's host: most records have it again.
    last_host: [u8; HOST_BYTES],
}

impl Reading {
    fn host(&mut self, bytes: &[u8; HOST_BYTES]) -> usize {
        if let Some(last) = self.dxt.records.last().filter(|_| *bytes == self.last_host) {
            return last.host;
        }
        self.last_host = *bytes;
        let name = text(bytes);
        if let Some(place) = self.hosts.get(&name) {
            return *place;
        }
        let place = self.dxt.hosts.len();
        self.dxt.hosts.push(name.clone());
        self.hosts.insert(name, place);
        place
    }

    /// Reads `count` segments; `None` where there are fewer.
    fn segments(&mut self, plain: &mut Plain<'_, '_>, count: u64) -> Option<()> {
        let bytes = self.dxt.segment_bytes();
        let mut left = count;
        while left > 0 {
            let items = plain.take_items(bytes, left);
            let items_count = items.len() / bytes;
            if items_count == 0 {
                return None;
            }
            left -= items_count as u64;
            grow(&mut self.dxt.segments, items_count);
            if self.dxt.has_threads {
                grow(&mut self.dxt.threads, items_count);
                for item in items.as_chunks::<SEGMENT_BYTES_THREAD>().0 {
                    let (segment, thread) = item.split_first_chunk()?;
                    self.dxt.segments.push(one_segment(segment, self.order));
                    self.dxt.threads.push(self.order.word(*thread.first_chunk()?));
                }
            } else {
                let items = items.as_chunks::<SEGMENT_BYTES>().0;
                self.dxt.segments.extend(items.iter().map(|item| one_segment(item, self.order)));
            }
        }
        Some(())
    }
}

fn one_segment(bytes: &[u8; SEGMENT_BYTES], order: ByteOrder) -> Segment {
    let word = |place: usize| bytes.as_chunks::<8>().0.get(place).map_or(0, |word| order.word(*word));
    Segment {
        offset: word(0).cast_signed(),
        length: word(1).cast_signed(),
        start_s: f64::from_bits(word(2)),
        end_s: f64::from_bits(word(3)),
    }
}

impl Decode for Reading {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        const CUT: &str = "is cut short";
        let order = self.order;
        // Behind the rank there is a flag that repeats what the POSIX record says.
        let [id, rank, _] = plain.words(order).ok_or(CUT)?;
        let host: [u8; HOST_BYTES] = plain.array().ok_or(CUT)?;
        let counts: [u64; 2] = plain.words(order).ok_or(CUT)?;
        let [Ok(writes), Ok(reads)] = counts.map(|count| u64::try_from(count.cast_signed())) else {
            return Err("has a segment count that is negative");
        };
        let rank = rank.cast_signed();
        const BEYOND: &str = "has segment counts beyond its bytes";
        let count = writes.checked_add(reads).filter(|count| *count <= REGION_BYTES_MAX).ok_or(BEYOND)?;
        let host = self.host(&host);
        let first = self.dxt.segments.len();
        self.segments(plain, count).ok_or(BEYOND)?;
        let middle = first + writes as usize;
        grow(&mut self.dxt.records, 1);
        let end = self.dxt.segments.len();
        self.dxt.records.push(DxtRecord { id, rank, host, writes: first..middle, reads: middle..end });
        Ok(())
    }

    fn mark(&self) -> Mark {
        [self.dxt.records.len(), self.dxt.segments.len(), self.dxt.hosts.len()]
    }

    fn cut(&mut self, mark: Mark) {
        self.dxt.records.truncate(mark[0]);
        self.dxt.segments.truncate(mark[1]);
        self.dxt.threads.truncate(mark[1]);
        self.dxt.hosts.truncate(mark[2]);
    }

    fn records(&self) -> usize {
        self.dxt.records.len()
    }
}
