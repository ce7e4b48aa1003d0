//! The ledger: work that was placed and has not been seen on disk yet, per job and target.
//!
//! An entry opens when a file is placed, sinks as the target moves bytes, and ends when the file or
//! its job is closed or its time is over. Every byte that ever entered is, at any moment, in exactly
//! one of four sums: outstanding, delivered, closed (closed before it was delivered) or expired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{Bytes, JobId, TargetId, Time};

use crate::sample::{Placed, PlacedOutcome};

/// An entry without news for this long is dropped: a job that died silently must not haunt its targets.
/// Four times the longest burst of a usual checkpoint.
pub const EXPIRES_AFTER: Duration = Duration::from_secs(600);

/// Bytes of one file on one target that are believed. Larger than any target, so a claim above it is a
/// mistake or a lie, and must not drown the work of others.
pub const EXPECTED_MAX: u64 = 1 << 50;

/// Entries, one a job and target: 2,000 jobs on 2,000 targets. Placements beyond are not booked.
pub const ENTRIES_MAX: usize = 1 << 22;

/// The four sums; their total only changes by placing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// All bytes ever placed.
    pub placed: u128,
    /// Placed and still expected on their target.
    pub outstanding: u128,
    /// Seen on their target.
    pub delivered: u128,
    /// Given up because their file or job was closed first.
    pub closed: u128,
    /// Given up for want of news.
    pub expired: u128,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Expected bytes of the files that are still open: the most that can be outstanding.
    open: u64,
    /// How many those files are.
    files: u32,
    outstanding: u64,
    last_news: Time,
}

/// Placed work per (job, target).
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By target first, because that is how it is read and lowered.
    entries: BTreeMap<(TargetId, JobId), Entry>,
    /// Where each job has entries, so that its end does not walk those of all others.
    by_job: BTreeMap<JobId, BTreeSet<TargetId>>,
    per_target: Vec<u64>,
    /// Open files by target.
    streams: Vec<u32>,
    per_job: BTreeMap<JobId, u128>,
    books: Books,
}

impl Ledger {
    /// An empty ledger for targets `0..targets`.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self { per_target: vec![0; targets], streams: vec![0; targets], ..Self::default() }
    }

    /// Goes on with more targets.
    pub(crate) fn grow(&mut self, targets: usize) {
        self.per_target.resize(targets.max(self.per_target.len()), 0);
        self.streams.resize(self.per_target.len(), 0);
    }

    /// Work expected on a target; 0 for one that does not exist.
    #[must_use]
    pub fn outstanding(&self, target: TargetId) -> Bytes {
        Bytes(self.per_target.get(target.index()).copied().unwrap_or(0))
    }

    /// Placed files that are open on a target; 0 for one that does not exist.
    #[must_use]
    pub fn streams(&self, target: TargetId) -> u32 {
        self.streams.get(target.index()).copied().unwrap_or(0)
    }

    /// Work of a job on all targets.
    #[must_use]
    pub fn outstanding_of(&self, job: JobId) -> Bytes {
        Bytes(self.per_job.get(&job).map_or(0, |sum| u64::try_from(*sum).unwrap_or(u64::MAX)))
    }

    /// The sums over everything.
    #[must_use]
    pub fn books(&self) -> Books {
        self.books
    }

    /// Books what a client placed or closed, in equal parts on its targets.
    pub fn take_placed(&mut self, placed: &Placed, now: Time) {
        let part = |bytes: Bytes| Bytes(bytes.0 / placed.targets.len().max(1) as u64);
        for target in placed.targets.iter().take(STRIPES_MAX) {
            match placed.outcome {
                PlacedOutcome::Created { .. } => self.place(placed.job, *target, part(placed.expected), now),
                PlacedOutcome::Closed { written } => {
                    self.close_file(placed.job, *target, part(placed.expected), part(written));
                }
            }
        }
    }

    /// Books `bytes` that `job` is expected to write to `target`. Unknown targets are ignored.
    pub fn place(&mut self, job: JobId, target: TargetId, bytes: Bytes, now: Time) {
        let Some(sum) = self.per_target.get_mut(target.index()) else { return };
        let known = self.entries.contains_key(&(target, job));
        if !known && self.entries.len() >= ENTRIES_MAX {
            return;
        }
        // However often it is claimed, a target's sum stays far from the end of its 64 bits.
        let bytes = bytes.0.min(EXPECTED_MAX).min((u64::MAX >> 1) - *sum);
        let entry = self.entries.entry((target, job)).or_insert(Entry {
            open: 0,
            files: 0,
            outstanding: 0,
            last_news: now,
        });
        if !known {
            self.by_job.entry(job).or_default().insert(target);
        }
        entry.files = entry.files.saturating_add(1);
        self.streams[target.index()] = self.streams[target.index()].saturating_add(1);
        entry.open = entry.open.saturating_add(bytes);
        entry.outstanding += bytes;
        entry.last_news = now;
        *sum += bytes;
        *self.per_job.entry(job).or_default() += u128::from(bytes);
        self.books.placed += u128::from(bytes);
        self.books.outstanding += u128::from(bytes);
    }

    /// Lowers the work on `target` by bytes that it has written, each job in proportion to what it
    /// still has there. Returns the bytes attributed; the rest is work that nobody announced.
    ///
    /// This is no news of any job: others' bytes may be among them, so it does not put off expiry.
    pub fn attribute(&mut self, target: TargetId, written: Bytes) -> Bytes {
        let total = self.outstanding(target).0;
        if total == 0 {
            return Bytes::ZERO;
        }
        let attributed = written.0.min(total);
        let mut left = attributed;
        let range = (target, JobId(0))..=(target, JobId(u64::MAX));
        // The last entry takes the rounding, so walk with the totals still to serve.
        let mut total_left = total;
        for ((_, job), entry) in self.entries.range_mut(range) {
            if total_left == 0 {
                break;
            }
            let share = u128::from(left) * u128::from(entry.outstanding) / u128::from(total_left);
            // At most `left`, since an entry is at most the total.
            let share = share as u64;
            total_left -= entry.outstanding;
            entry.outstanding -= share;
            left -= share;
            if let Some(sum) = self.per_job.get_mut(job) {
                *sum -= u128::from(share);
            }
        }
        self.per_target[target.index()] -= attributed;
        self.books.outstanding -= u128::from(attributed);
        self.books.delivered += u128::from(attributed);
        Bytes(attributed)
    }

    /// Closes a file that was expected to put `expected` bytes on a target and put `written` there.
    ///
    /// What the job still has there is at most what its other open files expect: that also settles a
    /// file whose bytes were seen before its placing was reported. Returns the bytes that ended.
    pub fn close_file(&mut self, job: JobId, target: TargetId, expected: Bytes, written: Bytes) -> Bytes {
        let Some(entry) = self.entries.get_mut(&(target, job)) else { return Bytes::ZERO };
        entry.open = entry.open.saturating_sub(expected.0);
        if entry.files > 0 {
            entry.files -= 1;
            self.streams[target.index()] = self.streams[target.index()].saturating_sub(1);
        }
        let released = entry.outstanding.saturating_sub(entry.open);
        entry.outstanding -= released;
        let delivered = released.min(written.0);
        self.lower(job, target, released);
        self.books.delivered += u128::from(delivered);
        self.books.closed += u128::from(released - delivered);
        Bytes(released)
    }

    /// Ends all entries of a job.
    pub fn close_job(&mut self, job: JobId) -> Bytes {
        let targets = self.by_job.remove(&job).unwrap_or_default();
        let ended = targets.into_iter().filter_map(|target| {
            let entry = self.entries.remove(&(target, job))?;
            Some(((target, job), entry.outstanding, entry.files))
        });
        let ended: Vec<_> = ended.collect();
        let released = self.release(&ended);
        self.per_job.remove(&job);
        self.books.closed += released;
        Bytes(u64::try_from(released).unwrap_or(u64::MAX))
    }

    /// Ends entries without news since [`EXPIRES_AFTER`].
    pub fn expire(&mut self, now: Time) -> Bytes {
        let mut ended = Vec::new();
        self.entries.retain(|key, entry| {
            let is_over = now.since(entry.last_news) > EXPIRES_AFTER;
            if is_over {
                ended.push((*key, entry.outstanding, entry.files));
            }
            !is_over
        });
        for ((target, job), ..) in &ended {
            if let Some(targets) = self.by_job.get_mut(job) {
                targets.remove(target);
            }
        }
        self.by_job.retain(|_, targets| !targets.is_empty());
        let released = self.release(&ended);
        self.books.expired += released;
        // Sums of jobs that have no entry left: late or invented reports must not fill the memory.
        let alive = &self.by_job;
        self.per_job.retain(|job, _| alive.contains_key(job));
        Bytes(u64::try_from(released).unwrap_or(u64::MAX))
    }

    /// Lowers the sums by entries that are gone. Returns the bytes that they still had.
    fn release(&mut self, ended: &[((TargetId, JobId), u64, u32)]) -> u128 {
        for ((target, job), bytes, files) in ended {
            self.lower(*job, *target, *bytes);
            let streams = &mut self.streams[target.index()];
            *streams = streams.saturating_sub(*files);
        }
        ended.iter().map(|(_, bytes, _)| u128::from(*bytes)).sum()
    }

    fn lower(&mut self, job: JobId, target: TargetId, bytes: u64) {
        self.per_target[target.index()] -= bytes;
        self.books.outstanding -= u128::from(bytes);
        if let Some(sum) = self.per_job.get_mut(&job) {
            *sum -= u128::from(bytes);
        }
    }

    /// Recomputes every sum from the entries.
    ///
    /// Returns whether sums and entries agree and no byte was lost: for tests and a debug endpoint.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let mut per_target = vec![0u64; self.per_target.len()];
        let mut streams = vec![0u32; self.per_target.len()];
        let mut per_job = BTreeMap::<JobId, u128>::new();
        for ((target, job), entry) in &self.entries {
            per_target[target.index()] += entry.outstanding;
            streams[target.index()] += entry.files;
            *per_job.entry(*job).or_default() += u128::from(entry.outstanding);
        }
        let indexed: BTreeSet<(TargetId, JobId)> = self
            .by_job
            .iter()
            .flat_map(|(job, targets)| targets.iter().map(|target| (*target, *job)))
            .collect();
        if !self.entries.keys().eq(indexed.iter()) {
            return false;
        }
        let books = self.books;
        let outstanding: u128 = per_target.iter().map(|sum| u128::from(*sum)).sum();
        let same = |(job, sum): (&JobId, &u128)| per_job.get(job).copied().unwrap_or(0) == *sum;
        per_target == self.per_target
            && streams == self.streams
            && self.per_job.iter().all(same)
            && outstanding == books.outstanding
            && books.placed == books.outstanding + books.delivered + books.closed + books.expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Place(u64, u32, u64),
        Attribute(u32, u64),
        CloseFile(u64, u32, u64, u64),
        CloseJob(u64),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = prop_oneof![4 => 0u64..1000, 1 => Just(u64::MAX)];
        prop_oneof![
            (0u64..4, 0u32..5, bytes.clone()).prop_map(|(j, t, b)| Step::Place(j, t, b)),
            (0u32..5, bytes.clone()).prop_map(|(t, b)| Step::Attribute(t, b)),
            (0u64..4, 0u32..5, bytes, 0u64..1000).prop_map(|(j, t, b, w)| Step::CloseFile(j, t, b, w)),
            (0u64..4).prop_map(Step::CloseJob),
            (0u64..400).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_made(steps in prop::collection::vec(step(), 0..60)) {
            let mut ledger = Ledger::new(4);
            let mut now = Time::ZERO;
            for step in steps {
                match step {
                    Step::Place(j, t, b) => ledger.place(JobId(j), TargetId(t), Bytes(b), now),
                    Step::Attribute(t, b) => {
                        let before = ledger.outstanding(TargetId(t));
                        let attributed = ledger.attribute(TargetId(t), Bytes(b));
                        prop_assert_eq!(attributed.0, b.min(before.0));
                    }
                    Step::CloseFile(j, t, b, w) => {
                        ledger.close_file(JobId(j), TargetId(t), Bytes(b), Bytes(w));
                    }
                    Step::CloseJob(j) => {
                        ledger.close_job(JobId(j));
                    }
                    Step::Wait(seconds) => {
                        now += Duration::from_secs(seconds);
                        ledger.expire(now);
                    }
                }
                prop_assert!(ledger.is_consistent());
            }
        }
    }

    #[test]
    fn delivery_is_shared_in_proportion() {
        let mut ledger = Ledger::new(1);
        ledger.place(JobId(1), TargetId(0), Bytes(300), Time::ZERO);
        ledger.place(JobId(2), TargetId(0), Bytes(100), Time::ZERO);
        ledger.attribute(TargetId(0), Bytes(200));
        assert_eq!(ledger.close_job(JobId(1)), Bytes(150));
        assert_eq!(ledger.close_job(JobId(2)), Bytes(50));
    }

    #[test]
    fn closing_settles_a_file_whose_bytes_came_before_its_report() {
        let mut ledger = Ledger::new(1);
        let (job, target) = (JobId(1), TargetId(0));
        ledger.place(job, target, Bytes(300), Time::ZERO);
        ledger.place(job, target, Bytes(100), Time::ZERO);
        assert_eq!(ledger.close_file(job, target, Bytes(300), Bytes(300)), Bytes(300));
        assert_eq!(ledger.outstanding(target), Bytes(100));
        // Once more for the other one, after its bytes were seen: nothing is left to end.
        ledger.attribute(target, Bytes(100));
        assert_eq!(ledger.close_file(job, target, Bytes(100), Bytes(40)), Bytes::ZERO);
        assert_eq!(ledger.books().delivered, 400);
    }

    #[test]
    fn one_liar_does_not_drown_the_others() {
        let mut ledger = Ledger::new(1);
        for _ in 0..10_000 {
            ledger.place(JobId(1), TargetId(0), Bytes(u64::MAX), Time::ZERO);
        }
        ledger.close_job(JobId(1));
        ledger.place(JobId(2), TargetId(0), Bytes(1000), Time::ZERO);
        assert_eq!(ledger.outstanding(TargetId(0)), Bytes(1000));
        assert_eq!(ledger.outstanding_of(JobId(2)), Bytes(1000));
        assert!(ledger.is_consistent());
    }

    #[test]
    fn others_bytes_do_not_keep_a_silent_job() {
        let mut ledger = Ledger::new(1);
        ledger.place(JobId(1), TargetId(0), Bytes(300), Time::ZERO);
        ledger.attribute(TargetId(0), Bytes(1));
        let late = Time::ZERO + EXPIRES_AFTER + Duration::from_secs(1);
        assert_eq!(ledger.expire(late), Bytes(299));
    }

    #[test]
    fn silence_ends_an_entry() {
        let mut ledger = Ledger::new(1);
        ledger.place(JobId(1), TargetId(0), Bytes(300), Time::ZERO);
        assert_eq!(ledger.expire(Time::ZERO + EXPIRES_AFTER), Bytes::ZERO);
        assert_eq!(ledger.expire(Time::ZERO + EXPIRES_AFTER + Duration::from_secs(1)), Bytes(300));
    }
}
