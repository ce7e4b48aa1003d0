//! From what client processes said to what the controller is told. Pure.

use tarazu::spool::{Advice, Body, Record};
use tarazu_layout::limits::STRIPES_MAX;
use tarazu_layout::{JobId, OstIndex, Time};
use tarazu_proto::limits::WORLD_MAX;
use tarazu_proto::v1;
use tarazu_table::{JobKey, STRIPE_SIZE_UNIT, Tier};

use super::jobs::{Jobs, Session};
use super::outbox::{Outbox, Report};

/// Files that a job is believed to make in one burst: 256 for each of the most processes of any machine would be more
/// than a file system holds.
const FILES_MAX: u32 = 1 << 28;

/// Stripe size where a client does not know it: that of tables.
const STRIPE_SIZE: u64 = 4 << 20;

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It claims another user than the owner of its file.
    OtherUser,
    /// It speaks of a file system that this node has no table of.
    OtherFileSystem,
    /// More jobs or processes than [`super::jobs`] keeps, of the node or of the user.
    NoRoom,
    /// It names no targets.
    NoTargets,
}

impl NotTaken {
    /// Its name in counters.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OtherUser => "records_of_another_user",
            Self::OtherFileSystem => "records_of_another_file_system",
            Self::NoRoom => "records_beyond_jobs_max",
            Self::NoTargets => "records_without_targets",
        }
    }
}

/// What the daemon knows when it takes a record.
pub(crate) struct Intake<'a> {
    /// Hashes of the names of the node's file systems, in their order.
    pub(crate) name_hashes: &'a [u64],
    pub(crate) jobs: &'a mut Jobs,
    pub(crate) outbox: &'a mut Outbox,
    /// Now, on the boot clock: no record is from later.
    pub(crate) now: Time,
}

impl Intake<'_> {
    /// Takes one record of a session's file.
    pub(crate) fn take(&mut self, record: &Record, session: &Session) -> Result<(), NotTaken> {
        if record.uid != session.owner {
            return Err(NotTaken::OtherUser);
        }
        let file_system = self.name_hashes.iter().position(|hash| *hash == record.fs_name_hash);
        if record.lost > 0 {
            self.outbox.lose(file_system.unwrap_or(0), u64::from(record.lost));
        }
        if matches!(record.body, Body::End) {
            self.jobs.over(record.job, session);
            return Ok(());
        }
        if !self.jobs.heard(record.job, session, record.at.min(self.now), file_system) {
            return Err(NotTaken::NoRoom);
        }
        match &record.body {
            Body::Advise(advice) => self.advise(record, session.owner, advice, file_system),
            Body::Created(created) => {
                let outcome = v1::placed::Created { steady: created.tier == Tier::Steady };
                let outcome = v1::placed::Outcome::Created(outcome);
                let file = (created.key, created.got.as_slice(), created.expected_bytes);
                self.placed(record.job, file_system, file, outcome)
            }
            Body::Closed { key, osts, expected_bytes, written_bytes } => {
                let outcome =
                    v1::placed::Outcome::Closed(v1::placed::Closed { written_bytes: *written_bytes });
                self.placed(record.job, file_system, (*key, osts, *expected_bytes), outcome)
            }
            // Told to the user only.
            Body::Left { .. } | Body::End => Ok(()),
        }
    }

    /// A job that does not say where it will write is foreseen on every file system of the node.
    fn advise(
        &mut self,
        record: &Record,
        owner: u32,
        advice: &Advice,
        file_system: Option<usize>,
    ) -> Result<(), NotTaken> {
        let everywhere = 0..self.name_hashes.len();
        let places = match file_system {
            Some(place) => place..place + 1,
            None if record.fs_name_hash == 0 => everywhere,
            None => return Err(NotTaken::OtherFileSystem),
        };
        let (world, profile) = foreseen(advice);
        for place in places {
            self.jobs.heard_of(owner, record.job, place);
            self.jobs.foresees(owner, record.job, place, world, profile);
        }
        self.flush_starts();
        Ok(())
    }

    fn placed(
        &mut self,
        job: JobId,
        file_system: Option<usize>,
        (key, osts, expected_bytes): (JobKey, &[OstIndex], u64),
        outcome: v1::placed::Outcome,
    ) -> Result<(), NotTaken> {
        let file_system = file_system.ok_or(NotTaken::OtherFileSystem)?;
        if osts.is_empty() {
            return Err(NotTaken::NoTargets);
        }
        let ost_indices = osts.iter().map(|ost| ost.0).collect();
        let outcome = Some(outcome);
        let placed = v1::Placed { job: job.0, key: key.0, ost_indices, expected_bytes, outcome };
        self.outbox.push(file_system, Report::Placed(placed));
        Ok(())
    }

    /// Starts go before what their jobs placed.
    pub(crate) fn flush_starts(&mut self) {
        for (file_system, start) in self.jobs.starts() {
            self.outbox.push(file_system, Report::Start(start));
        }
    }
}

/// World and profile of an advice, within the protocol's ranges.
fn foreseen(advice: &Advice) -> (u32, v1::FileProfile) {
    let world = advice.world.clamp(1, WORLD_MAX);
    let files_per_process = advice.files_per_process.clamp(1, FILES_MAX);
    let files_per_burst = match advice.files_per_burst {
        0 => world.saturating_mul(files_per_process),
        stated => stated,
    };
    let unit = u64::from(STRIPE_SIZE_UNIT);
    let fits = |size: &u64| *size > 0 && *size <= u64::from(u32::MAX) && size.is_multiple_of(unit);
    #[allow(clippy::needless_update, reason = "fields that the protocol gains keep their default")]
    let profile = v1::FileProfile {
        key: advice.key.0,
        files_per_burst: files_per_burst.clamp(1, FILES_MAX),
        files_per_process,
        stripe_count: u32::from(advice.stripe_count).clamp(1, STRIPES_MAX as u32),
        stripe_size_bytes: Some(advice.stripe_size).filter(fits).unwrap_or(STRIPE_SIZE),
        expected_bytes: advice.expected_bytes,
        placed_bytes: advice.expected_bytes,
        confidence_percent: u32::from(advice.confidence_percent.min(100)),
        ..v1::FileProfile::default()
    };
    (world, profile)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu::spool::Created;
    use tarazu_table::Order;

    const NAMES: [u64; 2] = [11, 22];

    fn record(fs_name_hash: u64, body: Body) -> Record {
        Record { uid: 5, pid: 9, at: Time(40), fs_name_hash, job: JobId(7), lost: 0, body }
    }

    fn advice(key: u64) -> Advice {
        Advice {
            key: JobKey(key),
            rank: 3,
            world: 64,
            files_per_process: 2,
            files_per_burst: 0,
            expected_bytes: 1 << 30,
            stripe_size: 0,
            stripe_count: 0,
            confidence_percent: 90,
        }
    }

    fn created(got: &[u32]) -> Body {
        Body::Created(Created {
            key: JobKey(1),
            path_hash: 3,
            order: Order { term: 1, seq: 2 },
            tier: Tier::Steady,
            expected_bytes: 100,
            asked: vec![OstIndex(1)],
            got: got.iter().map(|ost| OstIndex(*ost)).collect(),
        })
    }

    fn taken(records: &[Record]) -> (Vec<Result<(), NotTaken>>, Vec<super::super::outbox::Batch>, u64) {
        let (mut jobs, mut outbox) = (Jobs::default(), Outbox::new(NAMES.len()));
        let mut intake = Intake { name_hashes: &NAMES, jobs: &mut jobs, outbox: &mut outbox, now: Time(50) };
        let session = Session { owner: 5, pid: 9, name: "9-1-0".into() };
        let results = records.iter().map(|record| intake.take(record, &session)).collect();
        let batches = outbox.next().1;
        (results, batches, outbox.lost())
    }

    #[test]
    fn what_ranks_say_becomes_one_start_and_their_files() {
        let said = record(22, Body::Advise(advice(1)));
        let closed =
            Body::Closed { key: JobKey(1), osts: vec![OstIndex(4)], expected_bytes: 100, written_bytes: 60 };
        let records =
            [said.clone(), said, record(22, created(&[4])), record(22, closed), record(0, Body::End)];
        let (results, batches, lost) = taken(&records);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(batches[0], super::super::outbox::Batch::default());
        let start = &batches[1].starts[0];
        assert_eq!((batches[1].starts.len(), start.job, start.world), (1, 7, 64));
        let file = start.files[0];
        assert_eq!((file.files_per_burst, file.files_per_process, file.stripe_count), (128, 2, 1));
        assert_eq!((file.stripe_size_bytes, file.confidence_percent), (4 << 20, 90));
        let placed = &batches[1].placed;
        let steady = Some(v1::placed::Outcome::Created(v1::placed::Created { steady: true }));
        assert_eq!(
            (placed.len(), placed[0].ost_indices.as_slice(), &placed[0].outcome),
            (2, &[4][..], &steady)
        );
        let written = Some(v1::placed::Outcome::Closed(v1::placed::Closed { written_bytes: 60 }));
        assert_eq!((&placed[1].outcome, lost), (&written, 0));
    }

    #[test]
    fn nobody_speaks_for_another_user_or_of_what_is_not_here() {
        let other_user = Record { uid: 6, ..record(22, Body::Advise(advice(1))) };
        let lost = Record { lost: 3, ..record(11, created(&[])) };
        let records = [other_user, record(33, Body::Advise(advice(1))), record(33, created(&[1])), lost];
        let (results, batches, lost) = taken(&records);
        let wanted =
            [NotTaken::OtherUser, NotTaken::OtherFileSystem, NotTaken::OtherFileSystem, NotTaken::NoTargets];
        assert_eq!(results, wanted.map(Err));
        assert!(batches.iter().all(|batch| batch.starts.is_empty() && batch.placed.is_empty()));
        assert_eq!((batches[0].records_lost, lost), (3, 3));
    }

    #[test]
    fn an_advice_without_a_place_counts_everywhere_and_odd_numbers_are_bounded() {
        let odd = Advice {
            world: u32::MAX,
            files_per_process: u32::MAX,
            stripe_size: 77,
            stripe_count: u16::MAX,
            ..advice(1)
        };
        let (_, batches, _) = taken(&[record(0, Body::Advise(odd))]);
        for batch in batches {
            let file = batch.starts[0].files[0];
            assert_eq!((batch.starts[0].world, file.files_per_burst), (WORLD_MAX, FILES_MAX));
            assert_eq!((file.stripe_count, file.stripe_size_bytes), (2000, 4 << 20));
        }
    }
}
