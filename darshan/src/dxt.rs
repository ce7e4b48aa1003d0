//! DXT records: every access of a rank to a file, with offset, length, start and end.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::cursor::{ByteOrder, Cursor, text};
use super::error::Fault;
use super::header::{Module, Region};
use super::lustre::fitting;

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
    /// Accesses of all records. Thread ids of the newest record versions are read over.
    pub segments: Vec<Segment>,
    /// Names of the nodes, in order of their first record.
    pub hosts: Vec<String>,
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

    /// Reads a plain region, up to the first impossible record.
    pub(crate) fn read(
        bytes: &[u8],
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Option<Fault>), Fault> {
        let (module, version) = (region.module, region.version);
        let (newest, known) = match module {
            Module::DxtPosix => (2, "1 and 2"),
            _ => (3, "1 to 3"),
        };
        if version == 0 || version > newest {
            return Err(Fault::RecordVersion { module, version, known });
        }
        let segment_bytes = if version == newest { SEGMENT_BYTES_THREAD } else { SEGMENT_BYTES };
        let has_offsets = module == Module::DxtPosix || version > 1;
        let segments = Vec::with_capacity(bytes.len() / segment_bytes);
        let mut read = Self { segments, has_offsets, partial: region.partial, ..Self::default() };
        let mut words = Cursor::new(bytes, order);
        let mut hosts = HashMap::new();
        let mut fault = None;
        while !words.rest().is_empty() {
            let at = words.at();
            let outcome =
                read.next(&mut words, &mut hosts, order, segment_bytes).unwrap_or(Err("is cut short"));
            if let Err(what) = outcome {
                fault = Some(Fault::Record { module, at, what, kept: read.records.len() });
                break;
            }
        }
        Ok((read, fault))
    }

    /// `None` at the end of the bytes, an error for an impossible count.
    fn next<'a>(
        &mut self,
        words: &mut Cursor<'a>,
        hosts: &mut HashMap<&'a [u8], usize>,
        order: ByteOrder,
        segment_bytes: usize,
    ) -> Option<Result<(), &'static str>> {
        let (id, rank) = (words.u64()?, words.i64()?);
        // The shared flag repeats what the POSIX record says.
        words.u64()?;
        let host = words.take(HOST_BYTES)?;
        // Behind the NUL there may be anything.
        let host = host.split(|byte| *byte == 0).next().unwrap_or(host);
        let (writes, reads) = (words.i64()?, words.i64()?);
        let Some(writes) = fitting(writes, segment_bytes, words.rest().len()) else {
            return Some(Err("has a write count that is negative or beyond its bytes"));
        };
        let left = words.rest().len() - writes * segment_bytes;
        let Some(reads) = fitting(reads, segment_bytes, left) else {
            return Some(Err("has a read count that is negative or beyond its bytes"));
        };
        let host = *hosts.entry(host).or_insert_with(|| {
            self.hosts.push(text(host));
            self.hosts.len() - 1
        });
        let first = self.segments.len();
        for bytes in words.take((writes + reads) * segment_bytes)?.chunks_exact(segment_bytes) {
            let mut fields = order.words(bytes);
            self.segments.push(Segment {
                offset: fields.next()?.cast_signed(),
                length: fields.next()?.cast_signed(),
                start_s: f64::from_bits(fields.next()?),
                end_s: f64::from_bits(fields.next()?),
            });
        }
        let middle = first + writes;
        let (writes, reads) = (first..middle, middle..middle + reads);
        self.records.push(DxtRecord { id, rank, host, writes, reads });
        Some(Ok(()))
    }
}
