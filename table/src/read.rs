//! Reading: everything is checked once, afterwards every access is cheap and cannot fail.

use core::time::Duration;

use tarazu_layout::limits::{CLASSES_MAX, DISTINCT_TICKETS, STRIPES_MAX, TABLE_JOBS_MAX, TARGETS_MAX};
use tarazu_layout::{FsId, OstIndex, TargetId, hash};

use crate::format::{
    BODY_BYTES_MAX, CHECKSUM_BYTES, CLASS_BYTES, Flags, HEADER_BYTES, Header, INTERVAL_MS_MAX,
    INTERVAL_MS_MIN, JOB_BYTES, MAGIC, OST_INDEX_MAX, PLACED, RING_BYTES, RINGS_MAX, STRIPE_SIZE_UNIT,
    TARGET_BYTES, TICKET_BYTES, VERSION, WORTHWHILE, u16_at, u32_at, u64_at,
};
use crate::ring::TargetSet;
use crate::{JobKey, JobName, Order, Refused, RingView};

/// Which file system a table is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FsIdentity {
    /// The controller's number of it, for records. A client cannot know it beforehand.
    pub id: FsId,
    /// Hash of its name: what a client compares with the mount it creates a file on.
    pub name_hash: u64,
}

impl FsIdentity {
    /// The identity of the file system that Lustre calls `name` (`lfs getname` without the suffix).
    #[must_use]
    pub fn new(id: FsId, name: &str) -> Self {
        Self { id, name_hash: hash::bytes(name.as_bytes()) }
    }
}

/// One size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Smallest expected size of its files in bytes.
    pub smallest_bytes: u64,
    /// Largest expected size of its files in bytes, itself included.
    pub largest_bytes: u64,
    /// Stripe size in bytes where the job section says nothing: a multiple of 64 KiB.
    pub stripe_size: u32,
    /// Stripes of a file where the job section says nothing: 1 to
    /// [`STRIPES_MAX`](tarazu_layout::limits::STRIPES_MAX).
    pub stripe_count: u16,
    /// The place of its ring *now* in the table.
    pub ring_now: u16,
    /// The place of its ring *steady*; several classes may share one.
    pub ring_steady: u16,
}

/// One entry of the job section: what files of a job are expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobEntry {
    /// Which files.
    pub key: JobKey,
    /// Expected bytes of one file.
    pub expected_bytes: u64,
    /// Stripe size in bytes, a multiple of 64 KiB; 0 takes the class's.
    pub stripe_size: u32,
    /// Stripes of one file; 0 takes the class's.
    pub stripe_count: u16,
    /// Size class, by its place in the table.
    pub class: u8,
    /// How sure the expectation is, in percent: 0 to 100.
    pub confidence_percent: u8,
    /// Whether the plan expects more from steering these files than the layouts cost. Where not, the
    /// entry is still there, so that counters can tell "not worth it" from "unknown".
    pub worthwhile: bool,
    /// Where the job's next row of files begins on the ring *now*; `None` leaves that to a hash of the
    /// key, so that jobs without a place part their ways by chance.
    pub place: Option<Place>,
}

/// A job's place on its class's ring *now*: what keeps the files of one job clear of another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The ticket at which the first rank's next file begins; any number, taken modulo the ring.
    pub begin: u32,
    /// Number of the dealing: a process that sees another number than before counts its files from
    /// 0 again.
    pub deal: u16,
}

/// A verified table: a view into bytes that the caller keeps.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    header: Header,
    checksum: u32,
    targets: &'a [[u8; TARGET_BYTES]],
    classes: &'a [[u8; CLASS_BYTES]],
    rings: &'a [[u8; RING_BYTES]],
    tickets: &'a [[u8; TICKET_BYTES]],
    jobs: &'a [[u8; JOB_BYTES]],
}

impl<'a> Table<'a> {
    /// Checks everything that a later access relies on. The bytes must be exactly one table, without a
    /// stamp; [`Published::verify`](crate::Published::verify) takes stamp and table.
    ///
    /// Takes about a tenth of a millisecond for 2,016 targets: a client does it once per table, not per
    /// file.
    ///
    /// # Errors
    /// The first thing that is wrong. Every change of a single byte and every missing or added byte is
    /// found.
    pub fn verify(bytes: &'a [u8]) -> Result<Self, Refused> {
        let (header, checksum) = checked_header(bytes)?;
        let table = split(bytes, header, checksum)
            .ok_or(Refused::Sections { wanted: header.wanted_bytes(), found: bytes.len() })?;
        table.check_targets()?;
        table.check_classes()?;
        table.check_rings()?;
        table.check_jobs()?;
        Ok(table)
    }

    /// Opens bytes that this process has verified before and kept to itself, without reading all of
    /// them again: a client does this for every file. `checksum` is what [`Table::checksum`] said then.
    ///
    /// Bytes that somebody changed meanwhile are not noticed; reading them still never leaves the table
    /// nor panics.
    ///
    /// # Errors
    /// The bytes are not framed as a table, or as another one than that of `checksum`.
    pub fn reopen(bytes: &'a [u8], checksum: u32) -> Result<Self, Refused> {
        let (header, stated, _) = framed(bytes)?;
        if stated != checksum {
            return Err(Refused::Checksum { stated, computed: checksum });
        }
        split(bytes, header, checksum)
            .ok_or(Refused::Sections { wanted: header.wanted_bytes(), found: bytes.len() })
    }

    /// The file system that it is of.
    #[must_use]
    pub const fn fs(&self) -> FsIdentity {
        FsIdentity { id: FsId(self.header.fs_id), name_hash: self.header.fs_name_hash }
    }

    /// When its plan was made.
    #[must_use]
    pub const fn order(&self) -> Order {
        Order { term: self.header.term, seq: self.header.seq }
    }

    /// The interval between two plans.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.header.interval_ms as u64)
    }

    /// What it says about itself as a whole.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        Flags { steady_only: self.header.flags & Flags::STEADY_ONLY != 0 }
    }

    /// Its checksum, which also names its content.
    #[must_use]
    pub const fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Number of targets of the file system.
    #[must_use]
    pub const fn targets(&self) -> usize {
        self.targets.len()
    }

    /// The OST index of a target, `None` for a target that the table does not have.
    #[must_use]
    pub fn ost_index(&self, target: TargetId) -> Option<OstIndex> {
        let bytes = self.targets.get(target.index())?;
        Some(OstIndex(u32::from(u16::from_le_bytes(*bytes))))
    }

    /// Number of size classes.
    #[must_use]
    pub const fn classes(&self) -> usize {
        self.classes.len()
    }

    /// A size class, `None` for one that the table does not have.
    #[must_use]
    pub fn class(&self, class: usize) -> Option<Class> {
        self.classes.get(class).map(read_class)
    }

    /// The place of the class that files of this size belong to, `None` between and outside classes.
    #[must_use]
    pub fn class_of(&self, expected_bytes: u64) -> Option<usize> {
        self.classes.iter().position(|record| {
            let class = read_class(record);
            (class.smallest_bytes..=class.largest_bytes).contains(&expected_bytes)
        })
    }

    /// Number of rings.
    #[must_use]
    pub const fn rings(&self) -> usize {
        self.rings.len()
    }

    /// A ring, `None` for one that the table does not have.
    #[must_use]
    pub fn ring(&self, ring: usize) -> Option<RingView<'a>> {
        let record = self.rings.get(ring)?;
        let first = u32_at(record, 0) as usize;
        let length = u32_at(record, 4) as usize;
        Some(RingView {
            tickets: self.tickets.get(first..first.checked_add(length)?)?,
            seed: u64_at(record, 8),
            distinct: u16_at(record, 16),
            targets: u16_at(record, 18),
        })
    }

    /// Number of job entries.
    #[must_use]
    pub const fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// A job entry by its place, in rising order of keys.
    #[must_use]
    pub fn job(&self, place: usize) -> Option<JobEntry> {
        self.jobs.get(place).map(read_job)
    }

    /// The entry for a file: the exact one, else that for all files of the executable, else that for
    /// all files of the job.
    #[must_use]
    pub fn lookup(&self, name: &JobName) -> Option<JobEntry> {
        name.keys().into_iter().find_map(|key| self.find(key))
    }

    fn find(&self, key: JobKey) -> Option<JobEntry> {
        let place = self.jobs.binary_search_by_key(&key.0, |record| u64_at(record, 0)).ok()?;
        self.job(place)
    }

    fn check_targets(&self) -> Result<(), Refused> {
        // One bit for each possible index: 8 KiB of stack instead of an allocation.
        let mut seen = [0u64; (OST_INDEX_MAX as usize + 1).div_ceil(64)];
        for (target, bytes) in self.targets.iter().enumerate() {
            let index = u16::from_le_bytes(*bytes);
            let word = seen.get_mut(usize::from(index / 64));
            let bit = 1u64 << (index % 64);
            match word {
                Some(word) if u32::from(index) <= OST_INDEX_MAX && *word & bit == 0 => *word |= bit,
                _ => return Err(Refused::OstIndex { target: target as u32 }),
            }
        }
        Ok(())
    }

    fn check_classes(&self) -> Result<(), Refused> {
        let mut below: Option<u64> = None;
        for (number, record) in self.classes.iter().enumerate() {
            let number = number as u16;
            let class = read_class(record);
            let above = below.is_none_or(|below| class.smallest_bytes > below);
            if !above || class.smallest_bytes > class.largest_bytes {
                return Err(Refused::ClassRange { class: number });
            }
            if !striping_fits(class.stripe_count, class.stripe_size) {
                return Err(Refused::ClassStriping { class: number });
            }
            let highest = usize::from(class.ring_now.max(class.ring_steady));
            if highest >= self.rings.len() || u16_at(record, 26) != 0 {
                return Err(Refused::ClassRing { class: number });
            }
            below = Some(class.largest_bytes);
        }
        Ok(())
    }

    fn check_rings(&self) -> Result<(), Refused> {
        let mut next_ticket = 0u64;
        for (number, record) in self.rings.iter().enumerate() {
            let ring = number as u16;
            let (first, length) = (u32_at(record, 0), u32_at(record, 4));
            if u64::from(first) != next_ticket || length == 0 {
                return Err(Refused::RingExtent { ring });
            }
            next_ticket += u64::from(length);
            let view = self.ring(number).ok_or(Refused::RingExtent { ring })?;
            self.check_ring(ring, &view)?;
        }
        // Tickets that no ring claims would be bytes that nobody checks.
        if next_ticket != self.tickets.len() as u64 {
            return Err(Refused::RingExtent { ring: self.rings.len() as u16 });
        }
        Ok(())
    }

    fn check_ring(&self, ring: u16, view: &RingView<'_>) -> Result<(), Refused> {
        let mut found = TargetSet::default();
        for (ticket, target) in view.tickets().enumerate() {
            if target.index() >= self.targets.len() {
                return Err(Refused::Ticket { ring, ticket: ticket as u32 });
            }
            found.insert(target);
        }
        if found.len() != u32::from(view.targets) {
            return Err(Refused::RingTargets { ring, stated: view.targets, found: found.len() });
        }
        let window = view.distinct();
        if window == 0 || window > view.targets().min(DISTINCT_TICKETS) {
            return Err(Refused::RingDistinct { ring });
        }
        // A window slides once around the ring; a target that enters while it is still inside repeats.
        let mut inside = TargetSet::default();
        let entering = view.tickets().chain(view.tickets().take(window - 1));
        let mut leaving = view.tickets();
        for (place, target) in entering.enumerate() {
            if place >= window
                && let Some(left) = leaving.next()
            {
                inside.remove(left);
            }
            if !inside.insert(target) {
                return Err(Refused::RingDistinct { ring });
            }
        }
        Ok(())
    }

    fn check_jobs(&self) -> Result<(), Refused> {
        let mut below: Option<JobKey> = None;
        for (number, record) in self.jobs.iter().enumerate() {
            let job = number as u32;
            let entry = read_job(record);
            if below.is_some_and(|below| entry.key <= below) {
                return Err(Refused::JobOrder { job });
            }
            if !job_fits(&entry, self.classes.len()) || !place_fits(record) {
                return Err(Refused::JobEntry { job });
            }
            below = Some(entry.key);
        }
        Ok(())
    }
}

/// Whether a class's stripes are what Lustre takes.
pub(crate) fn striping_fits(stripe_count: u16, stripe_size: u32) -> bool {
    (1..=STRIPES_MAX).contains(&usize::from(stripe_count))
        && stripe_size > 0
        && stripe_size.is_multiple_of(STRIPE_SIZE_UNIT)
}

/// Whether a job entry fits a table with so many classes; a striping of 0 is the class's.
pub(crate) fn job_fits(entry: &JobEntry, classes: usize) -> bool {
    usize::from(entry.class) < classes
        && entry.confidence_percent <= 100
        && usize::from(entry.stripe_count) <= STRIPES_MAX
        && entry.stripe_size.is_multiple_of(STRIPE_SIZE_UNIT)
}

/// Whether the bytes behind a job entry's place say one of the two things that they may say.
fn place_fits(record: &[u8; JOB_BYTES]) -> bool {
    let without = || u32_at(record, 24) == 0 && u16_at(record, 28) == 0 && u16_at(record, 30) == 0;
    u16_at(record, 30) == PLACED || without()
}

/// The header and the checksum, checked from the cheapest to the dearest; the checksum before any
/// section is looked at.
/// Header, stated checksum and the bytes that it is of.
fn framed(bytes: &[u8]) -> Result<(Header, u32, &[u8]), Refused> {
    let found = bytes.len();
    if found > BODY_BYTES_MAX {
        return Err(Refused::TooLong { found });
    }
    let (Some(record), Some((content, stated))) =
        (bytes.first_chunk::<HEADER_BYTES>(), bytes.split_last_chunk::<CHECKSUM_BYTES>())
    else {
        return Err(Refused::TooShort { found });
    };
    if content.len() < HEADER_BYTES {
        return Err(Refused::TooShort { found });
    }
    if !record.starts_with(&MAGIC) {
        return Err(Refused::Magic);
    }
    let header = Header::read(record);
    if header.version != VERSION {
        return Err(Refused::Version { found: header.version });
    }
    if header.total_bytes as usize != found {
        return Err(Refused::Length { stated: header.total_bytes, found });
    }
    Ok((header, u32::from_le_bytes(*stated), content))
}

fn checked_header(bytes: &[u8]) -> Result<(Header, u32), Refused> {
    let (header, stated, content) = framed(bytes)?;
    let computed = crc32fast::hash(content);
    if stated != computed {
        return Err(Refused::Checksum { stated, computed });
    }
    check_header(&header, bytes.len())?;
    Ok((header, stated))
}

fn check_header(header: &Header, found: usize) -> Result<(), Refused> {
    if header.flags & !Flags::STEADY_ONLY != 0 {
        return Err(Refused::Flags { found: header.flags });
    }
    if !(INTERVAL_MS_MIN..=INTERVAL_MS_MAX).contains(&header.interval_ms) {
        return Err(Refused::Interval { found: header.interval_ms });
    }
    if !(1..=TARGETS_MAX).contains(&(header.targets as usize)) {
        return Err(Refused::Targets { found: header.targets });
    }
    if usize::from(header.classes) > CLASSES_MAX {
        return Err(Refused::Classes { found: header.classes });
    }
    if usize::from(header.rings) > RINGS_MAX {
        return Err(Refused::Rings { found: header.rings });
    }
    if header.jobs as usize > TABLE_JOBS_MAX {
        return Err(Refused::Jobs { found: header.jobs });
    }
    let wanted = header.wanted_bytes();
    if wanted != found as u64 {
        return Err(Refused::Sections { wanted, found });
    }
    Ok(())
}

/// Cuts the bytes into their sections; `None` where they do not fit, which [`check_header`] excludes.
fn split(bytes: &[u8], header: Header, checksum: u32) -> Option<Table<'_>> {
    let rest = bytes.get(HEADER_BYTES..)?;
    let (targets, rest) = section(rest, header.targets)?;
    let (classes, rest) = section(rest, u32::from(header.classes))?;
    let (rings, rest) = section(rest, u32::from(header.rings))?;
    let (tickets, rest) = section(rest, header.tickets)?;
    let (jobs, rest) = section(rest, header.jobs)?;
    (rest.len() == CHECKSUM_BYTES).then_some(Table {
        header,
        checksum,
        targets,
        classes,
        rings,
        tickets,
        jobs,
    })
}

fn section<const N: usize>(rest: &[u8], count: u32) -> Option<(&[[u8; N]], &[u8])> {
    let (records, rest) = rest.split_at_checked((count as usize).checked_mul(N)?)?;
    Some((records.as_chunks().0, rest))
}

fn read_class(record: &[u8; CLASS_BYTES]) -> Class {
    Class {
        smallest_bytes: u64_at(record, 0),
        largest_bytes: u64_at(record, 8),
        stripe_size: u32_at(record, 16),
        stripe_count: u16_at(record, 20),
        ring_now: u16_at(record, 22),
        ring_steady: u16_at(record, 24),
    }
}

fn read_job(record: &[u8; JOB_BYTES]) -> JobEntry {
    JobEntry {
        key: JobKey(u64_at(record, 0)),
        expected_bytes: u64_at(record, 8),
        stripe_size: u32_at(record, 16),
        stripe_count: u16_at(record, 20),
        class: record[22] & !WORTHWHILE,
        confidence_percent: record[23],
        worthwhile: record[22] & WORTHWHILE != 0,
        place: (u16_at(record, 30) == PLACED)
            .then(|| Place { begin: u32_at(record, 24), deal: u16_at(record, 28) }),
    }
}
