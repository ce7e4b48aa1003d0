//! What the judgement needs of a log, file by file: bytes, times, ranks and layout.
//!
//! Reading only: nothing is judged here. Every byte counts once: POSIX, and STDIO where POSIX has no bytes
//! of the file in that direction. Ranks are compared at the layer the program called: MPI-IO where it moved
//! bytes of the file in that direction, since behind a collective call few ranks write for all, and rightly
//! so; else POSIX; else STDIO.

use std::collections::BTreeMap;

use tarazu_darshan::{Counters, Dxt, Log, Lustre, Module, SHARED_RANK, Segment};
use tarazu_layout::{Extent, hash, stripe_bytes};

/// Seconds of one rank beyond which a counter is damaged: ten years, as in the conversion to a workload.
pub(super) const SECONDS_MAX: f64 = 3.2e8;

/// `LCME_FL_INIT` of Lustre: the component has objects on targets.
const INITIALISED: i32 = 0x10;

/// One log.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The log's name.
    pub(super) log: String,
    /// What tells its run from others.
    pub(super) run: Run,
    /// Processes, at least 1; `None` where the log's number cannot be true.
    pub(super) ranks: Option<u64>,
    pub(super) run_time_s: Option<f64>,
    pub(super) files: Vec<FileUse>,
    /// When bytes were written and read, as far as the log knows in one way or another; the best way first,
    /// each in order of the start.
    pub(super) writes: Vec<Vec<Span>>,
    pub(super) reads: Vec<Vec<Span>>,
    /// Modules that Darshan marked incomplete.
    pub(super) partial: Vec<Module>,
    pub(super) faults: Vec<Damage>,
    pub(super) has_end: bool,
}

/// A fault of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Damage {
    /// `Fault::kind`.
    pub(super) kind: &'static str,
    /// In the words of the reader.
    pub(super) words: String,
}

/// A run of a program. Two logs of the same run are copies, whatever their files are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run {
    pub(super) start_sec: i64,
    pub(super) start_nsec: i64,
    pub(super) jobid: i64,
    pub(super) uid: i64,
    pub(super) nprocs: i64,
    /// Hash of the command line, which may be long.
    pub(super) exe: u64,
}

impl Run {
    fn of(log: &Log) -> Self {
        let job = &log.job;
        Self {
            start_sec: job.start_sec,
            start_nsec: job.start_nsec,
            jobid: job.jobid,
            uid: job.uid,
            nprocs: job.nprocs,
            exe: hash::bytes(job.exe.as_bytes()),
        }
    }
}

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct FileUse {
    pub(super) id: u64,
    /// `None` where the log has no name.
    pub(super) name: Option<String>,
    /// Where its file system is mounted, empty where that is not known.
    pub(super) mount: String,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    /// Highest byte touched, plus one: the size as far as the log knows it.
    pub(super) end: u64,
    /// Seconds in reading, writing and metadata at the POSIX and STDIO layers, summed over ranks.
    pub(super) io_s: f64,
    /// Whether Darshan reduced its records over all ranks, so that all of them used it.
    pub(super) is_shared: bool,
    /// What single ranks did with it, at the layer the program called.
    pub(super) by_rank: Vec<RankUse>,
    /// What all ranks together did with it, at the layer the program called.
    pub(super) by_all: Option<SharedUse>,
    /// What all ranks together did at the POSIX layer, where `by_all` tells of MPI-IO.
    pub(super) behind: Option<SharedUse>,
    /// Components that have objects on targets; empty where the log has no layout.
    pub(super) layout: Vec<Piece>,
}

/// What one rank did with a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RankUse {
    pub(super) rank: u64,
    pub(super) bytes: u64,
    /// Seconds in reading and writing. Opening and closing are no part: rank 0 does them for all in many
    /// programs, and no other placement of the bytes changes that.
    pub(super) io_s: f64,
}

/// A record reduced over all ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SharedUse {
    pub(super) bytes: u64,
    /// Seconds of all ranks together in reading, writing and metadata: of the slowest rank Darshan keeps no
    /// other sum.
    pub(super) io_s: f64,
    /// All 0 where the log names no slowest rank, or one that the job does not have.
    pub(super) slowest_rank: u64,
    pub(super) slowest_s: f64,
    pub(super) slowest_bytes: u64,
}

/// A component on targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) extent: Extent,
    pub(super) stripe_size: u64,
    /// The target of each stripe, at least one.
    pub(super) osts: Vec<u32>,
}

/// A time in which bytes moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) start_s: f64,
    pub(super) end_s: f64,
    pub(super) bytes: u64,
}

impl FileUse {
    pub(super) const fn bytes(&self) -> u64 {
        self.read_bytes.saturating_add(self.written_bytes)
    }

    /// Its name for people.
    pub(super) fn label(&self) -> String {
        self.name.as_deref().map_or_else(|| format!("record {}", self.id), super::words::printable)
    }

    /// How many ranks moved its bytes, at most.
    pub(super) fn ranks(&self, of_job: u64) -> u64 {
        if self.is_shared {
            return of_job;
        }
        let mut ranks: Vec<u64> = self.by_rank.iter().map(|used| used.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        ranks.len() as u64
    }

    /// Seconds that the slowest rank spent on it, at whatever layer.
    pub(super) fn slowest_s(&self) -> f64 {
        let own = self.by_rank.iter().map(|used| used.io_s);
        own.chain(self.by_all.iter().chain(&self.behind).map(|all| all.slowest_s)).fold(0.0, f64::max)
    }

    /// Bytes of the range `0..end` on each target, in order of the pieces; a target may occur again.
    pub(super) fn extent_on_targets(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.layout.iter().flat_map(move |piece| {
            let (from, to) = piece.extent.clip(0, self.end).unwrap_or((0, 0));
            let stripes = u32::try_from(piece.osts.len()).unwrap_or(u32::MAX);
            stripe_bytes(from, to, piece.stripe_size, stripes)
                .filter_map(|part| Some((*piece.osts.get(part.stripe as usize)?, part.bytes)))
        })
    }

    /// Moved bytes by target, taking each byte of the file as moved equally often: an estimate where only
    /// parts were.
    pub(super) fn moved_on_targets(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let again = if self.end == 0 { 0.0 } else { self.bytes() as f64 / self.end as f64 };
        self.extent_on_targets().map(move |(ost, bytes)| (ost, bytes as f64 * again))
    }

    /// The target that holds all of the file's touched bytes, where there is only one.
    pub(super) fn only_target(&self) -> Option<u32> {
        let mut targets = self.extent_on_targets().map(|(ost, _)| ost);
        let first = targets.next()?;
        // In 128 bits: extents of a damaged log may overlap.
        let held: u128 = self.extent_on_targets().map(|(_, bytes)| u128::from(bytes)).sum();
        (targets.all(|ost| ost == first) && held == u128::from(self.end)).then_some(first)
    }

    /// Stripes of the widest component that begins below the file's end.
    pub(super) fn stripes(&self) -> usize {
        let reached = self.layout.iter().filter(|piece| piece.extent.start < self.end);
        reached.map(|piece| piece.osts.len()).max().unwrap_or(0)
    }
}

impl FileUse {
    /// Adds a record of all ranks, but for the directions that a higher layer has told of.
    fn add_shared(&mut self, row: &Row, told: Directions) {
        let more = row.shared(told);
        if more.bytes == 0 {
            return;
        }
        let Some(all) = &mut self.by_all else {
            self.by_all = Some(more);
            return;
        };
        let slower = if more.slowest_s > all.slowest_s { more } else { *all };
        let (bytes, io_s) = (all.bytes.saturating_add(more.bytes), all.io_s + more.io_s);
        *all = SharedUse { bytes, io_s, ..slower };
    }
}

impl Facts {
    /// The facts of a log.
    pub(super) fn of(log: &Log) -> Self {
        let ranks = Some(log.job.nprocs).filter(|_| log.job.has_processes());
        let ranks = ranks.and_then(|ranks| u64::try_from(ranks).ok());
        let mut files = Files { log, ranks, list: Vec::new(), place: BTreeMap::new(), told: BTreeMap::new() };
        for counters in log.posix.iter().chain(&log.stdio) {
            files.bytes(counters);
        }
        for counters in log.mpiio.iter().chain(&log.posix).chain(&log.stdio) {
            files.ranks(counters);
        }
        files.layouts(log.lustre.as_ref());
        let traced = log.dxt_posix.as_ref().filter(|dxt| !dxt.partial && is_whole(log, Module::DxtPosix));
        let mut facts = Self {
            log: log.file.clone(),
            run: Run::of(log),
            ranks,
            run_time_s: log.job.run_time_s(),
            writes: spans(log, traced, true),
            reads: spans(log, traced, false),
            files: files.list,
            partial: log.header.partial.clone(),
            faults: log
                .faults
                .iter()
                .map(|error| Damage { kind: error.fault.kind(), words: error.fault.to_string() })
                .collect(),
            has_end: log.job.end_sec != 0,
        };
        facts.files.retain(|file| !is_standard_stream(file.name.as_deref()));
        facts
    }
}

fn is_standard_stream(name: Option<&str>) -> bool {
    matches!(name, Some("<STDIN>" | "<STDOUT>" | "<STDERR>"))
}

/// Whether nothing of a module was lost to damage.
fn is_whole(log: &Log, module: Module) -> bool {
    !log.faults.iter().any(|error| error.fault.module() == Some(module))
}

/// Whether bytes were read and written.
#[derive(Clone, Copy, Default)]
struct Directions {
    read: bool,
    written: bool,
}

impl Directions {
    const fn any(self) -> bool {
        self.read || self.written
    }
}

/// Collects files by record id.
struct Files<'a> {
    log: &'a Log,
    ranks: Option<u64>,
    list: Vec<FileUse>,
    place: BTreeMap<u64, usize>,
    /// In which directions the layers seen so far moved bytes of a file, by record id.
    told: BTreeMap<u64, Directions>,
}

impl Files<'_> {
    fn of(&mut self, id: u64) -> &mut FileUse {
        let Self { log, list, place, .. } = self;
        let at = *place.entry(id).or_insert_with(|| {
            let name = log.names.get(id).filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned);
            let mount = name.as_deref().and_then(|name| log.job.mount_of(name));
            let mount = mount.map_or_else(String::new, |mount| mount.path.clone());
            list.push(FileUse { id, name, mount, ..FileUse::default() });
            list.len() - 1
        });
        &mut list[at]
    }

    /// Adds bytes and times of POSIX, or those of STDIO where POSIX has none.
    fn bytes(&mut self, counters: &Counters) {
        let columns = Columns::of(counters, self.ranks);
        let is_stdio = counters.shape.module == Module::Stdio;
        // Whether POSIX had bytes must be asked before STDIO's own are added.
        let mut taken: BTreeMap<u64, (bool, bool)> = BTreeMap::new();
        for (record, id) in counters.ids().iter().enumerate() {
            let file = self.of(*id);
            let (reads, writes) = match is_stdio {
                true => *taken.entry(*id).or_insert((file.read_bytes == 0, file.written_bytes == 0)),
                false => (true, true),
            };
            let row = columns.row(counters, record);
            if reads {
                file.read_bytes = file.read_bytes.saturating_add(row.read_bytes);
                file.end = file.end.max(row.read_end);
            }
            if writes {
                file.written_bytes = file.written_bytes.saturating_add(row.written_bytes);
                file.end = file.end.max(row.written_end);
            }
            if reads || writes {
                file.io_s += row.read_s + row.write_s + row.meta_s;
            }
            file.is_shared |= row.rank == SHARED_RANK;
        }
    }

    /// Adds what ranks did, in the directions in which no higher layer moved bytes of the file.
    fn ranks(&mut self, counters: &Counters) {
        let columns = Columns::of(counters, self.ranks);
        let is_posix = counters.shape.module == Module::Posix;
        let mut moved: BTreeMap<u64, Directions> = BTreeMap::new();
        for (record, id) in counters.ids().iter().enumerate() {
            let row = columns.row(counters, record);
            if row.read_bytes == 0 && row.written_bytes == 0 {
                continue;
            }
            let moved = moved.entry(*id).or_default();
            moved.read |= row.read_bytes > 0;
            moved.written |= row.written_bytes > 0;
            let told = self.told.get(id).copied().unwrap_or_default();
            let file = self.of(*id);
            if row.rank == SHARED_RANK {
                file.is_shared = true;
                file.add_shared(&row, told);
                if is_posix && told.any() {
                    file.behind = Some(row.shared(Directions::default()));
                }
            } else if let Some(rank) = columns.rank(row.rank) {
                let RankUse { bytes, io_s, .. } = row.own(told);
                file.by_rank.extend((bytes > 0).then_some(RankUse { rank, bytes, io_s }));
            }
        }
        for (id, moved) in moved {
            let told = self.told.entry(id).or_default();
            told.read |= moved.read;
            told.written |= moved.written;
        }
    }

    fn layouts(&mut self, lustre: Option<&Lustre>) {
        let Some(lustre) = lustre else { return };
        for record in &lustre.records {
            // Files without I/O are of no interest, and several ranks may tell the same layout.
            let Some(file) = self.place.get(&record.id).and_then(|at| self.list.get_mut(*at)) else {
                continue;
            };
            if !file.layout.is_empty() {
                continue;
            }
            let components = lustre.components_of(record);
            // Further mirrors hold the same bytes once more, and are written later.
            let mirror = components.first().map(|component| component.mirror_id);
            // The only component of a file with bytes has objects; without a progressive layout the flag is
            // not set at all.
            let is_plain = lustre.version < 2 || components.len() == 1;
            let components = components.iter().filter(|component| {
                Some(component.mirror_id) == mirror && (is_plain || component.flags & INITIALISED != 0)
            });
            file.layout.extend(components.filter_map(|component| {
                let osts: Option<Vec<u32>> =
                    lustre.stripes_of(component).iter().map(|ost| u32::try_from(*ost).ok()).collect();
                Some(Piece {
                    extent: Extent {
                        start: u64::try_from(component.ext_start).ok()?,
                        end: u64::try_from(component.ext_end).ok(),
                    },
                    stripe_size: u64::try_from(component.stripe_size).ok().filter(|size| *size > 0)?,
                    osts: osts.filter(|osts| !osts.is_empty())?,
                })
            }));
        }
    }
}

/// Where the counters of a module are.
struct Columns {
    ints: [Option<usize>; 6],
    floats: [Option<usize>; 4],
    ranks: Option<u64>,
}

/// The counters of one record that are used here; what is not monitored is 0.
struct Row {
    rank: i64,
    read_bytes: u64,
    written_bytes: u64,
    read_end: u64,
    written_end: u64,
    read_s: f64,
    write_s: f64,
    meta_s: f64,
    slowest_rank: u64,
    slowest_bytes: u64,
    slowest_s: f64,
}

impl Row {
    /// What one rank did in the directions that nobody has told of.
    fn own(&self, told: Directions) -> RankUse {
        let part = |is_told: bool, bytes: u64, s: f64| if is_told { (0, 0.0) } else { (bytes, s) };
        let (read_bytes, read_s) = part(told.read, self.read_bytes, self.read_s);
        let (written_bytes, write_s) = part(told.written, self.written_bytes, self.write_s);
        RankUse { rank: 0, bytes: read_bytes.saturating_add(written_bytes), io_s: read_s + write_s }
    }

    /// What all ranks did in the directions that nobody has told of. The slowest rank is not known for one
    /// direction alone.
    fn shared(&self, told: Directions) -> SharedUse {
        let RankUse { bytes, io_s, .. } = self.own(told);
        if told.any() {
            return SharedUse { bytes, io_s, ..SharedUse::default() };
        }
        let Self { slowest_rank, slowest_s, slowest_bytes, .. } = *self;
        SharedUse { bytes, io_s: io_s + self.meta_s, slowest_rank, slowest_s, slowest_bytes }
    }
}

impl Columns {
    fn of(counters: &Counters, ranks: Option<u64>) -> Self {
        let ints = [
            "BYTES_READ",
            "BYTES_WRITTEN",
            "MAX_BYTE_READ",
            "MAX_BYTE_WRITTEN",
            "SLOWEST_RANK",
            "SLOWEST_RANK_BYTES",
        ];
        let floats = ["F_READ_TIME", "F_WRITE_TIME", "F_META_TIME", "F_SLOWEST_RANK_TIME"];
        Self {
            ints: ints.map(|name| counters.shape.int(name)),
            floats: floats.map(|name| counters.shape.float(name)),
            ranks,
        }
    }

    /// A rank that the job has, `None` for others.
    fn rank(&self, rank: i64) -> Option<u64> {
        u64::try_from(rank).ok().filter(|rank| self.ranks.is_none_or(|ranks| *rank < ranks))
    }

    fn row(&self, counters: &Counters, record: usize) -> Row {
        let (ints, floats) = (counters.ints(record), counters.floats(record));
        let raw = |at: usize| self.ints[at].and_then(|column| ints.get(column)).copied();
        let int = |at: usize| raw(at).and_then(|value| u64::try_from(value).ok()).unwrap_or(0);
        let rank = counters.ranks().get(record).copied().unwrap_or(SHARED_RANK);
        // A shared record holds the sum over all ranks.
        let ranks = if rank == SHARED_RANK { self.ranks.unwrap_or(1) as f64 } else { 1.0 };
        let float = |at: usize, seconds_max: f64| {
            let value = self.floats[at].and_then(|column| floats.get(column)).copied();
            value.filter(|value| (0.0..=seconds_max).contains(value)).unwrap_or(0.0)
        };
        let slowest = raw(4).and_then(|rank| self.rank(rank));
        let (read_bytes, written_bytes) = (int(0), int(1));
        // The highest byte is 0 both for a file of one byte and for none.
        let end = |bytes: u64, highest: u64| if bytes == 0 { 0 } else { highest.saturating_add(1) };
        Row {
            rank,
            read_bytes,
            written_bytes,
            read_end: end(read_bytes, int(2)),
            written_end: end(written_bytes, int(3)),
            read_s: float(0, SECONDS_MAX * ranks),
            write_s: float(1, SECONDS_MAX * ranks),
            meta_s: float(2, SECONDS_MAX * ranks),
            slowest_rank: slowest.unwrap_or(0),
            slowest_bytes: slowest.map_or(0, |_| int(5)),
            slowest_s: slowest.map_or(0.0, |_| float(3, SECONDS_MAX)),
        }
    }
}

/// When bytes moved in one direction: each traced access; where there is no whole trace the time from
/// the first to the last access of each record, and the bins of the heatmap, which see into a file that
/// stays open but are coarse.
fn spans(log: &Log, traced: Option<&Dxt>, writes: bool) -> Vec<Vec<Span>> {
    let mut ways = match traced {
        Some(dxt) => vec![traced_spans(dxt, writes)],
        None => std::iter::once(record_spans(log, writes)).chain(binned_spans(log, writes)).collect(),
    };
    let is_sound =
        |span: &Span| span.start_s >= 0.0 && span.end_s >= span.start_s && span.end_s <= SECONDS_MAX;
    for spans in &mut ways {
        spans.retain(|span| span.bytes > 0 && is_sound(span));
        spans.sort_unstable_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.end_s.total_cmp(&b.end_s)));
    }
    ways
}

fn traced_spans(dxt: &Dxt, writes: bool) -> Vec<Span> {
    let parts =
        dxt.records.iter().map(|record| dxt.part(if writes { &record.writes } else { &record.reads }));
    let span = |segment: &Segment| Span {
        start_s: segment.start_s,
        end_s: segment.end_s,
        bytes: u64::try_from(segment.length).unwrap_or(0),
    };
    parts.flatten().map(span).collect()
}

/// `None` without a whole heatmap of POSIX.
fn binned_spans(log: &Log, writes: bool) -> Option<Vec<Span>> {
    let heatmap =
        log.heatmap.as_ref().filter(|heatmap| !heatmap.partial && is_whole(log, Module::Heatmap))?;
    let is_posix = |id: &u64| log.names.get(*id).is_some_and(|name| name == "heatmap:POSIX");
    let timeline = heatmap.timeline(heatmap.interfaces().into_iter().find(is_posix)?);
    let bins = if writes { &timeline.write_bytes } else { &timeline.read_bytes };
    let span = |(bin, bytes): (usize, &i64)| Span {
        start_s: bin as f64 * timeline.bin_width_s,
        end_s: (bin + 1) as f64 * timeline.bin_width_s,
        bytes: u64::try_from(*bytes).unwrap_or(0),
    };
    Some(bins.iter().enumerate().map(span).collect())
}

fn record_spans(log: &Log, writes: bool) -> Vec<Span> {
    let Some(posix) = &log.posix else { return Vec::new() };
    let names = match writes {
        true => ("BYTES_WRITTEN", "F_WRITE_START_TIMESTAMP", "F_WRITE_END_TIMESTAMP"),
        false => ("BYTES_READ", "F_READ_START_TIMESTAMP", "F_READ_END_TIMESTAMP"),
    };
    let shape = posix.shape;
    let (Some(bytes), Some(start), Some(end)) =
        (shape.int(names.0), shape.float(names.1), shape.float(names.2))
    else {
        return Vec::new();
    };
    let span = |record| {
        let (ints, floats) = (posix.ints(record), posix.floats(record));
        let bytes = u64::try_from(*ints.get(bytes)?).ok()?;
        Some(Span { start_s: *floats.get(start)?, end_s: *floats.get(end)?, bytes })
    };
    (0..posix.len()).filter_map(span).collect()
}
