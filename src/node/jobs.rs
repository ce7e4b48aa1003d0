//! Which jobs run on this node, by the processes that said so. Pure: whether a process lives is asked of the caller.
//!
//! A job's number is what a process says it is, so each user has jobs of his own: nobody fixes what another's job
//! foresees, ends it, or fills the room of others. The controller knows numbers only. Where several users name the same,
//! it hears the one with the most processes first, since a job's ranks outnumber what only claims to be one of them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tarazu_layout::{JobId, Time};
use tarazu_proto::limits::PROFILES_MAX;
use tarazu_proto::v1;
use tarazu_table::JobKey;

/// Jobs of one user on one node at a time: one on each hardware thread of a shared node.
pub(crate) const JOBS_OF_USER_MAX: usize = 256;

/// Jobs of one node at a time: sixteen users with all that one may have.
pub(crate) const JOBS_MAX: usize = 16 * JOBS_OF_USER_MAX;

/// Processes of one user's jobs on one node: the most that a node has hardware threads, and sessions of libraries beside.
pub(crate) const PROCESSES_OF_USER_MAX: usize = 4096;

/// One session of one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session {
    /// Who owns its file of records.
    pub(crate) owner: u32,
    /// Process id, as the name of that file has it.
    pub(crate) pid: u32,
    /// The name of that file.
    pub(crate) name: String,
}

/// What a job foresees of one kind of files, on the file system at that place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Foreseen {
    world: u32,
    profile: v1::FileProfile,
}

#[derive(Debug, Default)]
struct Job {
    /// When each session was heard last.
    sessions: BTreeMap<Session, Time>,
    foreseen: BTreeMap<(usize, JobKey), Foreseen>,
    /// File systems on which the job said or made something.
    file_systems: BTreeSet<usize>,
}

/// The jobs of this node.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    /// By user and number.
    running: BTreeMap<(u32, JobId), Job>,
    /// Users of each number: one, unless somebody claims another's.
    users: BTreeMap<JobId, BTreeSet<u32>>,
    /// Jobs, each with a file system, of which something foreseen was not reported yet.
    fresh: BTreeSet<(JobId, usize)>,
}

impl Jobs {
    /// A session of a job spoke at `at`. False where there is no room for it.
    pub(crate) fn heard(
        &mut self,
        job: JobId,
        session: &Session,
        at: Time,
        file_system: Option<usize>,
    ) -> bool {
        let place = (session.owner, job);
        let known = self.running.get(&place);
        let is_new = known.is_none_or(|entry| !entry.sessions.contains_key(session));
        if is_new && !self.has_room(session.owner, known.is_none()) {
            // A job that runs goes on without this process.
            return known.is_some();
        }
        let entry = self.running.entry(place).or_default();
        entry.file_systems.extend(file_system);
        let heard = entry.sessions.entry(session.clone()).or_insert(at);
        *heard = at.max(*heard);
        let users = self.users.entry(job).or_default();
        users.insert(session.owner);
        if is_new && users.len() > 1 {
            // Another user may have the most processes now.
            self.refresh(job);
        }
        true
    }

    fn has_room(&self, owner: u32, for_a_job: bool) -> bool {
        let of_user =
            || self.running.range((owner, JobId(0))..=(owner, JobId(u64::MAX))).map(|(_, entry)| entry);
        let jobs_fit = || self.running.len() < JOBS_MAX && of_user().count() < JOBS_OF_USER_MAX;
        let sessions: usize = of_user().map(|entry| entry.sessions.len()).sum();
        sessions < PROCESSES_OF_USER_MAX && (!for_a_job || jobs_fit())
    }

    /// A job said something of one more file system.
    pub(crate) fn heard_of(&mut self, owner: u32, job: JobId, file_system: usize) {
        if let Some(entry) = self.running.get_mut(&(owner, job)) {
            entry.file_systems.insert(file_system);
        }
    }

    /// A job foresees files. Reported once for each key and file system, however many processes say it.
    pub(crate) fn foresees(
        &mut self,
        owner: u32,
        job: JobId,
        file_system: usize,
        world: u32,
        profile: v1::FileProfile,
    ) {
        let Some(entry) = self.running.get_mut(&(owner, job)) else { return };
        let place = (file_system, JobKey(profile.key));
        if entry.foreseen.len() < PROFILES_MAX && !entry.foreseen.contains_key(&place) {
            entry.foreseen.insert(place, Foreseen { world, profile });
            self.fresh.insert((job, file_system));
        }
    }

    /// A session is over.
    pub(crate) fn over(&mut self, job: JobId, session: &Session) {
        if let Some(entry) = self.running.get_mut(&(session.owner, job)) {
            entry.sessions.remove(session);
        }
    }

    /// Reports every start again: a controller of a new term knows none.
    pub(crate) fn repeat_starts(&mut self) {
        for ((_, job), entry) in &self.running {
            self.fresh.extend(entry.foreseen.keys().map(|(file_system, _)| (*job, *file_system)));
        }
    }

    /// All that the users of a number foresee is to be reported again.
    fn refresh(&mut self, job: JobId) {
        let places: Vec<_> =
            self.entries(job).flat_map(|entry| entry.foreseen.keys()).map(|(place, _)| *place).collect();
        self.fresh.extend(places.into_iter().map(|place| (job, place)));
    }

    /// The jobs of a number, one a user.
    fn entries(&self, job: JobId) -> impl Iterator<Item = &Job> {
        self.users.get(&job).into_iter().flatten().filter_map(move |user| self.running.get(&(*user, job)))
    }

    /// Starts that are to be reported, with the place of their file system; they count as reported from now on. A start
    /// names everything that the job foresees there, since it replaces the one before.
    pub(crate) fn starts(&mut self) -> Vec<(usize, v1::JobStart)> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter_map(|(job, place)| Some((place, self.start(job, place)?))).collect()
    }

    fn start(&self, job: JobId, file_system: usize) -> Option<v1::JobStart> {
        let mut entries: Vec<&Job> = self.entries(job).collect();
        entries.sort_by_key(|entry| Reverse(entry.sessions.len()));
        let here = |entry: &'_ &Job| {
            let here = entry.foreseen.iter().filter(|((place, _), _)| *place == file_system);
            here.map(|(_, said)| *said).collect::<Vec<_>>()
        };
        let said: Vec<Vec<Foreseen>> = entries.iter().map(here).filter(|said| !said.is_empty()).collect();
        let world = said.first()?.iter().map(|said| said.world).max()?;
        let mut keys = BTreeSet::new();
        let profiles = said.iter().flatten().map(|said| said.profile);
        let files = profiles.filter(|profile| keys.insert(profile.key)).take(PROFILES_MAX).collect();
        Some(v1::JobStart { job: job.0, world, files })
    }

    /// Drops sessions whose process is gone, as `lives` says of a process, its user and when it spoke, and names the jobs
    /// that have none left, with their file systems. `spooled` are the sessions whose file still holds records: their job
    /// is not over yet.
    pub(crate) fn ended(
        &mut self,
        lives: impl Fn(u32, u32, Time) -> bool,
        spooled: &BTreeSet<Session>,
    ) -> Vec<(JobId, BTreeSet<usize>)> {
        let mut gone: BTreeMap<JobId, BTreeSet<usize>> = BTreeMap::new();
        self.running.retain(|(owner, job), entry| {
            let runs = |session: &Session, at: &mut Time| {
                spooled.contains(session) || lives(session.pid, session.owner, *at)
            };
            entry.sessions.retain(runs);
            if entry.sessions.is_empty() {
                gone.entry(*job).or_default().extend(&entry.file_systems);
                if let Some(users) = self.users.get_mut(job) {
                    users.remove(owner);
                }
            }
            !entry.sessions.is_empty()
        });
        self.users.retain(|_, users| !users.is_empty());
        let mut ended = Vec::new();
        for (job, mut file_systems) in gone {
            // Another user's job of that number goes on, without what this one foresaw.
            let others: BTreeSet<usize> =
                self.entries(job).flat_map(|entry| &entry.file_systems).copied().collect();
            self.refresh(job);
            file_systems.retain(|place| !others.contains(place));
            if others.is_empty() || !file_systems.is_empty() {
                ended.push((job, file_systems));
            }
        }
        self.fresh.retain(|(job, _)| self.users.contains_key(job));
        ended
    }

    /// Number of running jobs.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(7);

    fn profile(key: u64) -> v1::FileProfile {
        v1::FileProfile { key, ..v1::FileProfile::default() }
    }

    fn session(pid: u32) -> Session {
        Session { owner: 5, pid, name: format!("{pid}-1-0") }
    }

    #[test]
    fn a_start_is_reported_once_for_all_processes_and_again_to_a_new_controller() {
        let mut jobs = Jobs::default();
        for pid in 1..=64 {
            assert!(jobs.heard(JOB, &session(pid), Time(5), Some(0)));
            jobs.foresees(5, JOB, 0, 64, profile(1));
            jobs.foresees(5, JOB, 0, 64, profile(2));
            jobs.foresees(5, JOB, 1, 64, profile(1));
        }
        let starts = jobs.starts();
        let kinds: Vec<_> =
            starts.iter().map(|(fs, start)| (*fs, start.job, start.world, start.files.len())).collect();
        assert_eq!(kinds, [(0, 7, 64, 2), (1, 7, 64, 1)]);
        assert!(jobs.starts().is_empty());
        jobs.repeat_starts();
        assert_eq!(jobs.starts(), starts);
        jobs.foresees(5, JOB, 1, 64, profile(3));
        let more = jobs.starts();
        assert_eq!(
            (more.len(), more[0].0, more[0].1.files.len()),
            (1, 1, 2),
            "a start replaces the one before"
        );
    }

    #[test]
    fn a_job_ends_with_its_last_process_and_its_last_record() {
        let mut jobs = Jobs::default();
        for pid in 1..=3 {
            jobs.heard(JOB, &session(pid), Time(5), Some(pid as usize % 2));
        }
        jobs.over(JOB, &session(1));
        assert!(jobs.ended(|pid, _, _| pid == 2, &BTreeSet::new()).is_empty());
        let spooled = BTreeSet::from([session(2)]);
        assert!(jobs.ended(|_, _, _| false, &spooled).is_empty(), "its records are not read yet");
        assert_eq!(jobs.ended(|_, _, _| false, &BTreeSet::new()), [(JOB, BTreeSet::from([0, 1]))]);
        assert!(jobs.ended(|_, _, _| false, &BTreeSet::new()).is_empty(), "said once");
        assert_eq!(jobs.len(), 0);
        jobs.over(JOB, &session(1));
        jobs.foresees(5, JOB, 0, 1, profile(1));
        assert!(jobs.starts().is_empty(), "an unknown job foresees nothing");
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut jobs = Jobs::default();
        for number in 0..2 * JOBS_OF_USER_MAX as u64 {
            let fits = number < JOBS_OF_USER_MAX as u64;
            assert_eq!(jobs.heard(JobId(number), &session(1), Time(5), None), fits);
        }
        assert_eq!(jobs.len(), JOBS_OF_USER_MAX);
        // One user with all that he may have leaves room for others, up to the node's.
        for owner in 100..200 {
            for number in 0..JOBS_OF_USER_MAX as u64 {
                jobs.heard(JobId(1_000_000 + number), &Session { owner, ..session(1) }, Time(5), None);
            }
        }
        assert_eq!(jobs.len(), JOBS_MAX);
        for pid in 2..3 * PROCESSES_OF_USER_MAX as u32 {
            assert!(jobs.heard(JobId(0), &session(pid), Time(5), None));
        }
        let kept: usize = jobs.running.values().map(|entry| entry.sessions.len()).sum();
        assert_eq!(kept, JOBS_MAX - JOBS_OF_USER_MAX + PROCESSES_OF_USER_MAX);
        for key in 0..100 {
            jobs.foresees(5, JobId(0), 0, 1, profile(key));
        }
        let starts = jobs.starts();
        assert_eq!((starts.len(), starts[0].1.files.len()), (1, PROFILES_MAX));
    }

    #[test]
    fn nobody_speaks_for_anothers_job() {
        let thief = Session { owner: 6, ..session(1) };
        let mut jobs = Jobs::default();
        let claimed = v1::FileProfile { files_per_burst: 9, ..profile(1) };
        assert!(jobs.heard(JOB, &thief, Time(5), Some(1)));
        jobs.foresees(6, JOB, 0, 1 << 20, claimed);
        assert_eq!(jobs.starts()[0].1.files, [claimed], "nobody else has the number yet");
        for pid in 10..14 {
            assert!(jobs.heard(JOB, &session(pid), Time(5), Some(0)));
            jobs.foresees(5, JOB, 0, 4, profile(1));
        }
        let starts = jobs.starts();
        assert_eq!((starts.len(), starts[0].1.world, &starts[0].1.files[..]), (1, 4, &[profile(1)][..]));
        // The thief's session ends, which is no end of the job where it runs.
        jobs.over(JOB, &thief);
        assert_eq!(jobs.ended(|_, owner, _| owner == 5, &BTreeSet::new()), [(JOB, BTreeSet::from([1]))]);
        assert_eq!((jobs.len(), jobs.starts().len()), (1, 1));
        jobs.over(JOB, &Session { owner: 6, ..session(10) });
        assert!(jobs.ended(|_, owner, _| owner == 5, &BTreeSet::new()).is_empty());
        assert_eq!(jobs.ended(|_, owner, _| owner == 6, &BTreeSet::new()), [(JOB, BTreeSet::from([0]))]);
        assert!(jobs.users.is_empty());
    }
}
