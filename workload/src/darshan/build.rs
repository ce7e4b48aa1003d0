//! Records and traces of one log into timed items per rank. Decides which source tells which bytes.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::Mounts;
use super::access::{Access, Columns, Flow, TIME_MAX_S, credible};
use super::files::{FileTable, LogFiles};
use super::sync::{Busy, Item, Step, Timeline};
use crate::limits::OPS_MAX;
use crate::text::counted;
use crate::{Action, FileId};
use tarazu_darshan::Counters;
use tarazu_darshan::Log;
use tarazu_darshan::SHARED_RANK;
use tarazu_darshan::{Dxt, DxtRecord, Segment};

/// Operations that one rank gets for one direction of a record without traces. Enough for sizes and
/// times to look alike, few enough that a record with a million calls stays cheap.
const CHUNKS_MAX: u64 = 64;

/// The same for all ranks of a shared record together, unless it has more ranks than this.
const SHARED_CHUNKS_MAX: u64 = 1 << 20;

/// Collects the items of a log.
pub(super) struct Builder<'a> {
    log: &'a Log,
    world: u32,
    files: LogFiles<'a>,
    traces: Traces<'a>,
    ranks: Vec<Vec<Item>>,
    busy: Vec<Busy>,
    uses: BTreeMap<FileId, FileUse>,
    /// Record ids with POSIX bytes read and written: STDIO does not add to those.
    posix_read: HashSet<u64>,
    posix_written: HashSet<u64>,
    counts: Counts,
    /// Items so far, and the bytes that they move.
    pub(super) ops: u64,
    pub(super) bytes: u128,
}

/// What the notes are made of.
#[derive(Default)]
struct Counts {
    foreign_ranks: u64,
    bad_segments: u64,
    end_of_file_reads: u64,
    spread: u64,
    untraced: u64,
    split: u64,
    without_counters: u64,
    stdio_left_out: u64,
}

/// First use of a file in each direction, over all ranks.
struct FileUse {
    first_read_s: f64,
    first_write_s: f64,
    may_create: bool,
}

impl FileUse {
    /// Written before it was read; a file without bytes is made where it was opened with `O_CREAT`.
    fn is_created(&self) -> bool {
        let untouched = self.first_read_s == f64::INFINITY && self.first_write_s == f64::INFINITY;
        self.first_write_s < self.first_read_s || (untouched && self.may_create)
    }
}

/// A rank's part of a record.
struct Part {
    rank: u32,
    first_s: f64,
    last_s: f64,
    last_write_s: Option<f64>,
}

impl<'a> Builder<'a> {
    /// `log.job.nprocs` must have been checked.
    pub(super) fn new(
        log: &'a Log,
        mounts: &'a Mounts,
        table: &'a mut FileTable,
        notes: &mut Vec<String>,
    ) -> Self {
        let world = u32::try_from(log.job.nprocs).unwrap_or(0);
        Self {
            log,
            world,
            files: LogFiles::new(log, mounts, table, notes),
            traces: Traces::new(log.dxt_posix.as_ref()),
            ranks: vec![Vec::new(); world as usize],
            busy: Vec::new(),
            uses: BTreeMap::new(),
            posix_read: HashSet::new(),
            posix_written: HashSet::new(),
            counts: Counts::default(),
            ops: 0,
            bytes: 0,
        }
    }

    /// POSIX records, with their traces where those are complete.
    pub(super) fn posix(&mut self) {
        let Some(counters) = &self.log.posix else { return };
        let columns = Columns::of(counters.shape);
        for access in accesses(counters, &columns) {
            let traces = self.traces.claim(access.id, access.rank);
            if access.read.bytes > 0 {
                self.posix_read.insert(access.id);
            }
            if access.write.bytes > 0 {
                self.posix_written.insert(access.id);
            }
            self.record(&access, &traces);
        }
    }

    /// Traces without a POSIX record: Darshan had no memory for it.
    pub(super) fn left_traces(&mut self) {
        for trace in self.traces.unclaimed() {
            let access = self.traces.access_of(trace);
            self.counts.without_counters += 1;
            self.record(&access, &[trace]);
        }
    }

    /// STDIO records, in the directions in which POSIX has no bytes for the file.
    pub(super) fn stdio(&mut self) {
        let Some(counters) = &self.log.stdio else { return };
        let columns = Columns::of(counters.shape);
        for mut access in accesses(counters, &columns) {
            let both_read = access.read.bytes > 0 && self.posix_read.contains(&access.id);
            let both_written = access.write.bytes > 0 && self.posix_written.contains(&access.id);
            if both_read {
                access.read = Flow::default();
            }
            if both_written {
                access.write = Flow::default();
            }
            self.counts.stdio_left_out += u64::from(both_read || both_written);
            // What only opened the file is in the POSIX record or moves nothing.
            if access.read.bytes > 0 || access.write.bytes > 0 {
                self.record(&access, &[]);
            }
        }
    }

    /// One record: its opens, data, syncs and closes on all ranks that it is about.
    fn record(&mut self, access: &Access, traces: &[usize]) {
        if access.rank < SHARED_RANK || access.rank >= i64::from(self.world) {
            self.counts.foreign_ranks += 1;
            return;
        }
        let moves = access.read.bytes > 0 || access.write.bytes > 0;
        // Beyond the limit the log is refused, so what it adds does not matter; it may claim very much.
        if (access.opens == 0 && !moves) || self.ops > OPS_MAX {
            return;
        }
        let Some(file) = self.files.get(access.id) else {
            self.files.left_out(access.id, access.read.bytes.saturating_add(access.write.bytes));
            return;
        };
        let seen = self.uses.entry(file).or_insert(FileUse {
            first_read_s: f64::INFINITY,
            first_write_s: f64::INFINITY,
            may_create: false,
        });
        seen.may_create |= access.may_create;
        if access.read.bytes > 0 {
            seen.first_read_s = seen.first_read_s.min(access.read.window_s.0);
        }
        if access.write.bytes > 0 {
            seen.first_write_s = seen.first_write_s.min(access.write.window_s.0);
        }
        let mut parts = self.parts(access, traces);
        self.direction(access, Step::Write, file, traces, &mut parts);
        self.direction(access, Step::Read, file, traces, &mut parts);
        self.frame(access, file, &parts);
    }

    /// The ranks that a record is about, in rising order.
    fn parts(&mut self, access: &Access, traces: &[usize]) -> Vec<Part> {
        let mut ranks: Vec<u32> = if access.rank != SHARED_RANK {
            vec![access.rank as u32]
        } else if access.opens >= u64::from(self.world) || (access.opens == 0 && traces.is_empty()) {
            (0..self.world).collect()
        } else if traces.is_empty() {
            // Fewer opens than ranks and no word which: aggregators, taken to be the first ones.
            (0..access.opens as u32).collect()
        } else {
            let ranks = traces.iter().filter_map(|trace| u32::try_from(self.traces.record(*trace).rank).ok());
            ranks.filter(|rank| *rank < self.world).collect()
        };
        ranks.sort_unstable();
        ranks.dedup();
        let part = |rank| Part { rank, first_s: f64::INFINITY, last_s: 0.0, last_write_s: None };
        ranks.into_iter().map(part).collect()
    }

    /// The reads or the writes of a record.
    fn direction(&mut self, access: &Access, step: Step, file: FileId, traces: &[usize], parts: &mut [Part]) {
        let flow = if step == Step::Write { access.write } else { access.read };
        let mut usable = Vec::new();
        let mut traced = 0u128;
        for trace in traces {
            let record = self.traces.record(*trace);
            let Ok(place) = parts.binary_search_by_key(&record.rank, |part| i64::from(part.rank)) else {
                continue;
            };
            for segment in self.traces.segments(*trace, step) {
                if is_end_of_file(segment, step) {
                    self.counts.end_of_file_reads += 1;
                    continue;
                }
                if !is_usable(segment) {
                    self.counts.bad_segments += 1;
                    continue;
                }
                traced += u128::from(segment.length.unsigned_abs());
                usable.push((place, *segment));
            }
        }
        if traced != u128::from(flow.bytes) || flow.bytes == 0 {
            self.counts.spread += u64::from(traced != u128::from(flow.bytes) && !traces.is_empty());
            self.spread(access, step, flow, file, parts);
            return;
        }
        for (place, segment) in usable {
            let (offset, bytes) = (segment.offset.unsigned_abs(), segment.length.unsigned_abs());
            let Some(part) = parts.get_mut(place) else { continue };
            self.busy(step, part.rank, (segment.start_s, segment.end_s), true);
            self.data(part, step, file, offset..offset + bytes, (segment.start_s, segment.end_s));
        }
    }

    /// Evenly sized chunks over the window of a record whose single accesses are not known.
    fn spread(&mut self, access: &Access, step: Step, flow: Flow, file: FileId, parts: &mut [Part]) {
        let ranks = parts.len() as u64;
        if flow.bytes == 0 || ranks == 0 {
            return;
        }
        self.counts.untraced += 1;
        self.counts.split += u64::from(access.rank == SHARED_RANK);
        let (start_s, end_s) = flow.window_s;
        let window_s = end_s - start_s;
        let calls = flow.calls.div_ceil(ranks).min(CHUNKS_MAX).min((SHARED_CHUNKS_MAX / ranks).max(1));
        let mut done = 0;
        for (number, part) in (0u64..).zip(parts) {
            let share = even(flow.bytes, ranks, number);
            if share == 0 {
                continue;
            }
            self.busy(step, part.rank, flow.window_s, false);
            let chunks = calls.min(share);
            let inside_s = (flow.inside_s / ranks as f64 / chunks as f64).min(window_s / chunks as f64);
            // The first begins with the window, the last ends with it.
            let step_s = if chunks > 1 { (window_s - inside_s) / (chunks - 1) as f64 } else { 0.0 };
            for chunk in 0..chunks {
                let bytes = even(share, chunks, chunk);
                let at_s = start_s + step_s * chunk as f64;
                let range = place(flow, done, bytes);
                self.data(part, step, file, range, (at_s, at_s + inside_s));
                done += bytes;
            }
        }
    }

    fn data(&mut self, part: &mut Part, step: Step, file: FileId, range: Range<u64>, time_s: (f64, f64)) {
        let (offset, bytes) = (range.start, range.end - range.start);
        let action = match step {
            Step::Write => Action::Write { file, offset, bytes },
            _ => Action::Read { file, offset, bytes },
        };
        part.first_s = part.first_s.min(time_s.0);
        part.last_s = part.last_s.max(time_s.1);
        if step == Step::Write {
            part.last_write_s = Some(part.last_write_s.map_or(time_s.1, |last| last.max(time_s.1)));
        }
        self.bytes += u128::from(bytes);
        self.push(part.rank, Item { start_s: time_s.0, end_s: time_s.1, step, action });
    }

    /// Open before the first access of each rank; fsync, where there was one, and close behind the last.
    fn frame(&mut self, access: &Access, file: FileId, parts: &[Part]) {
        let once = access.opens <= parts.len() as u64;
        let mut syncs = access.syncs;
        for part in parts {
            let recorded_s =
                access.open_s.0.unwrap_or(if part.first_s.is_finite() { part.first_s } else { 0.0 });
            let start_s = recorded_s.min(part.first_s);
            // With several opens the recorded end is that of the last one.
            let end_s =
                access.open_s.1.filter(|_| once).unwrap_or(start_s).clamp(start_s, part.first_s.max(start_s));
            self.busy(Step::Open, part.rank, (start_s, end_s), true);
            self.push(part.rank, Item { start_s, end_s, step: Step::Open, action: Action::Open { file } });
            if let Some(at_s) = part.last_write_s.filter(|_| syncs > 0) {
                syncs -= 1;
                let action = Action::Fsync { file };
                self.push(part.rank, Item { start_s: at_s, end_s: at_s, step: Step::Fsync, action });
            }
            let last_s = part.last_s.max(end_s);
            let close_s = access.close_s.0.or(access.close_s.1).unwrap_or(last_s).max(last_s);
            let closed_s = access.close_s.1.filter(|_| once).unwrap_or(close_s).max(close_s);
            self.busy(Step::Close, part.rank, (close_s, closed_s), true);
            let action = Action::Close { file };
            self.push(part.rank, Item { start_s: close_s, end_s: closed_s, step: Step::Close, action });
        }
    }

    fn busy(&mut self, step: Step, rank: u32, (start_s, end_s): (f64, f64), traced: bool) {
        if self.ops < OPS_MAX {
            self.busy.push(Busy { start_s, end_s, rank, step, traced });
        }
    }

    fn push(&mut self, rank: u32, item: Item) {
        // Beyond the limit the log is refused; until then nothing may grow.
        if self.ops < OPS_MAX
            && let Some(items) = self.ranks.get_mut(rank as usize)
        {
            items.push(item);
        }
        self.ops += 1;
    }

    /// Sorts, decides which files are created, and says what was assumed.
    pub(super) fn finish(mut self, notes: &mut Vec<String>) -> Timeline {
        let created: Vec<FileId> =
            self.uses.iter().filter(|(_, seen)| seen.is_created()).map(|(file, _)| *file).collect();
        let collective = self.collective();
        for items in &mut self.ranks {
            items.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.step.cmp(&b.step)));
            for item in items {
                if let Action::Open { file } = item.action
                    && created.binary_search(&file).is_ok()
                {
                    item.action = Action::Create { file };
                }
            }
        }
        self.counts.say(notes);
        if self.bytes == 0 && self.ops > 0 {
            let invisible =
                "copies in the kernel (copy_file_range), mapped memory and io_uring are invisible to it";
            notes.push(format!("files were opened, but Darshan saw no bytes read or written: {invisible}"));
        }
        self.files.finish(&created, notes);
        Timeline { ranks: self.ranks, busy: self.busy, collective }
    }

    /// Files that some rank opened, read or wrote collectively.
    fn collective(&self) -> Vec<FileId> {
        let Some(counters) = &self.log.mpiio else { return Vec::new() };
        let names = ["COLL_OPENS", "COLL_READS", "COLL_WRITES"];
        let columns: Vec<usize> = names.iter().filter_map(|name| counters.shape.int(name)).collect();
        let mut files = Vec::new();
        for (record, id) in counters.ids().iter().enumerate() {
            let ints = counters.ints(record);
            let used = columns.iter().any(|column| ints.get(*column).is_some_and(|count| *count > 0));
            files.extend(self.files.seen(*id).filter(|_| used));
        }
        files.sort_unstable();
        files.dedup();
        files
    }
}

impl Counts {
    fn say(&self, notes: &mut Vec<String>) {
        let mut say = |count: u64, one: &str, many: &str| {
            if count > 0 {
                notes.push(counted(count, one, many));
            }
        };
        say(
            self.foreign_ranks,
            "record of a rank that the job does not have was left out",
            "records of ranks that the job does not have were left out",
        );
        say(
            self.bad_segments,
            "traced access with impossible offset, length or time was left out",
            "traced accesses with impossible offset, length or time were left out",
        );
        say(
            self.end_of_file_reads,
            "read at the end of a file moved nothing and was left out",
            "reads at the end of a file moved nothing and were left out",
        );
        say(
            self.spread,
            "trace is incomplete: the counters of these records were used instead",
            "traces are incomplete: the counters of these records were used instead",
        );
        say(
            self.without_counters,
            "trace has no POSIX record: only the trace was used",
            "traces have no POSIX record: only the traces were used",
        );
        say(
            self.untraced,
            "record has only sums of its reads or its writes: they are spread evenly over their time",
            "records have only sums of their reads or their writes, each counted apart: they are spread evenly \
             over their time",
        );
        say(
            self.split,
            "of these is of a file shared by ranks: its bytes are split evenly over them",
            "of these are of files shared by ranks: their bytes are split evenly over them",
        );
        say(
            self.stdio_left_out,
            "STDIO record was left out because POSIX moved bytes of the same file",
            "STDIO records were left out because POSIX moved bytes of the same files",
        );
    }
}

fn accesses(counters: &Counters, columns: &Columns) -> impl Iterator<Item = Access> {
    (0..counters.len()).filter_map(|record| columns.access(counters, record))
}

/// The `number`-th of `parts` even shares, remainders to the first.
fn even(total: u64, parts: u64, number: u64) -> u64 {
    total / parts + u64::from(number < total % parts)
}

/// Where the bytes behind the first `done` of a flow lie: contiguous and ending at the highest byte
/// touched; where more bytes were moved than that, from the start again.
fn place(flow: Flow, done: u64, bytes: u64) -> Range<u64> {
    let top = flow.top.max(1);
    if flow.bytes <= top {
        let start = top - flow.bytes + done;
        return start..start + bytes;
    }
    let start = (done % top).min(top.saturating_sub(bytes));
    start..start + bytes
}

/// A read that found nothing more: programs read until one does, so it is no damage, and it moves nothing.
fn is_end_of_file(segment: &Segment, step: Step) -> bool {
    step == Step::Read && segment.length == 0 && is_usable(&Segment { length: 1, ..*segment })
}

fn is_usable(segment: &Segment) -> bool {
    let ends = segment.offset.checked_add(segment.length).is_some();
    let timed =
        credible(segment.start_s).is_some() && segment.end_s >= segment.start_s && segment.end_s < TIME_MAX_S;
    segment.offset >= 0 && segment.length > 0 && ends && timed
}

/// The DXT_POSIX records by file and rank, each to be used once.
struct Traces<'a> {
    dxt: Option<&'a Dxt>,
    /// File, rank and place in the log, sorted.
    index: Vec<(u64, i64, usize)>,
    claimed: Vec<bool>,
}

impl<'a> Traces<'a> {
    fn new(dxt: Option<&'a Dxt>) -> Self {
        let records = dxt.map_or(&[][..], |dxt| &dxt.records);
        let mut index: Vec<_> =
            records.iter().enumerate().map(|(place, record)| (record.id, record.rank, place)).collect();
        index.sort_unstable();
        Self { dxt, index, claimed: vec![false; records.len()] }
    }

    /// Traces of a file by one rank, or by all for a shared record, that nobody has claimed before.
    fn claim(&mut self, id: u64, rank: i64) -> Vec<usize> {
        let (from, to) = if rank == SHARED_RANK { (i64::MIN, i64::MAX) } else { (rank, rank) };
        let first = self.index.partition_point(|entry| (entry.0, entry.1) < (id, from));
        let behind = self.index.iter().skip(first).take_while(|entry| (entry.0, entry.1) <= (id, to));
        let mut traces = Vec::new();
        for (_, _, trace) in behind {
            if let Some(claimed) = self.claimed.get_mut(*trace).filter(|claimed| !**claimed) {
                *claimed = true;
                traces.push(*trace);
            }
        }
        traces
    }

    fn unclaimed(&self) -> Vec<usize> {
        let places = self.claimed.iter().enumerate().filter(|(_, claimed)| !**claimed);
        places.map(|(trace, _)| trace).collect()
    }

    fn record(&self, trace: usize) -> &'a DxtRecord {
        const NONE: DxtRecord = DxtRecord { id: 0, rank: i64::MIN, host: 0, writes: 0..0, reads: 0..0 };
        self.dxt.and_then(|dxt| dxt.records.get(trace)).unwrap_or(&NONE)
    }

    fn segments(&self, trace: usize, step: Step) -> &'a [Segment] {
        let record = self.record(trace);
        let range = if step == Step::Write { &record.writes } else { &record.reads };
        self.dxt.map_or(&[], |dxt| dxt.part(range))
    }

    /// What the missing POSIX record of a trace would say.
    fn access_of(&self, trace: usize) -> Access {
        let record = self.record(trace);
        let flow = |step| {
            let usable: Vec<&Segment> = self.segments(trace, step).iter().filter(|s| is_usable(s)).collect();
            let bytes = usable.iter().fold(0u64, |sum, s| sum.saturating_add(s.length.unsigned_abs()));
            let first = usable.iter().map(|s| s.start_s).fold(f64::INFINITY, f64::min);
            let last = usable.iter().map(|s| s.end_s).fold(0.0, f64::max);
            let window_s = if usable.is_empty() { (0.0, 0.0) } else { (first, last) };
            Flow { calls: usable.len() as u64, bytes, top: 0, window_s, inside_s: 0.0 }
        };
        Access {
            id: record.id,
            rank: record.rank,
            opens: 1,
            may_create: false,
            syncs: 0,
            read: flow(Step::Read),
            write: flow(Step::Write),
            open_s: (None, None),
            close_s: (None, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shares_are_even_and_complete(total in any::<u32>(), parts in 1u64..500) {
            let shares: Vec<u64> = (0..parts).map(|number| even(u64::from(total), parts, number)).collect();
            prop_assert_eq!(shares.iter().sum::<u64>(), u64::from(total));
            prop_assert!(shares.windows(2).all(|pair| pair[0] == pair[1] || pair[0] == pair[1] + 1));
        }

        #[test]
        fn chunks_stay_below_the_highest_byte(
            top in 1u64..1000, bytes in 1u64..3000, done in 0u64..3000, chunk in 1u64..1000,
        ) {
            let flow = Flow { bytes, top, ..Flow::default() };
            let (done, chunk) = (done.min(bytes), chunk.min(top));
            let chunk = chunk.min(bytes - done);
            let range = place(flow, done, chunk);
            prop_assert_eq!(range.end - range.start, chunk);
            prop_assert!(range.end <= top);
        }
    }

    #[test]
    fn bytes_written_once_end_at_the_highest_byte() {
        let flow = Flow { bytes: 30, top: 100, ..Flow::default() };
        assert_eq!((place(flow, 0, 10), place(flow, 20, 10)), (70..80, 90..100));
    }

    #[test]
    fn a_read_of_nothing_is_the_end_of_a_file() {
        let end = Segment { offset: 0, length: 0, start_s: 0.0, end_s: 0.5 };
        assert!(is_end_of_file(&end, Step::Read));
        assert!(!is_end_of_file(&end, Step::Write));
        assert!(!is_end_of_file(&Segment { length: 1, ..end }, Step::Read));
        assert!(!is_end_of_file(&Segment { offset: -1, ..end }, Step::Read));
        assert!(!is_end_of_file(&Segment { start_s: f64::NAN, ..end }, Step::Read));
    }

    #[test]
    fn impossible_segments_are_not_usable() {
        let good = Segment { offset: 0, length: 1, start_s: 0.0, end_s: 0.5 };
        assert!(is_usable(&good));
        for bad in [
            Segment { offset: -1, ..good },
            Segment { length: 0, ..good },
            Segment { length: -5, ..good },
            Segment { offset: i64::MAX, ..good },
            Segment { start_s: f64::NAN, ..good },
            Segment { end_s: f64::NAN, ..good },
            Segment { end_s: f64::INFINITY, ..good },
            Segment { start_s: -0.1, ..good },
            Segment { start_s: 0.6, ..good },
        ] {
            assert!(!is_usable(&bad), "{bad:?}");
        }
    }
}
