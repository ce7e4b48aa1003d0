//! Which jobs run on this node, by the processes that said so. Pure: whether a process lives is asked of the caller.

use std::collections::{BTreeMap, BTreeSet};

use tarazu_layout::{JobId, Time};
use tarazu_proto::v1;
use tarazu_table::JobKey;

/// Jobs of one node at a time: as many as a shared node has cores, and room.
pub(crate) const JOBS_MAX: usize = 1024;

/// Processes of one job on one node: the most that a node has hardware threads, and sessions of libraries beside.
pub(crate) const PROCESSES_MAX: usize = 4096;

/// Kinds of files of one job: what one job start may name.
pub(crate) const PROFILES_MAX: usize = 16;

/// One session of one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Session {
    /// Process id, as the name of its file of records has it.
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
    running: BTreeMap<JobId, Job>,
    /// Jobs, each with a file system, of which something foreseen was not reported yet.
    fresh: BTreeSet<(JobId, usize)>,
}

impl Jobs {
    /// A session of a job spoke at `at`. False where there is no room for the job.
    pub(crate) fn heard(
        &mut self,
        job: JobId,
        session: &Session,
        at: Time,
        file_system: Option<usize>,
    ) -> bool {
        if !self.running.contains_key(&job) && self.running.len() >= JOBS_MAX {
            return false;
        }
        let entry = self.running.entry(job).or_default();
        entry.file_systems.extend(file_system);
        if entry.sessions.len() < PROCESSES_MAX || entry.sessions.contains_key(session) {
            let heard = entry.sessions.entry(session.clone()).or_insert(at);
            *heard = at.max(*heard);
        }
        true
    }

    /// A job said something of one more file system.
    pub(crate) fn heard_of(&mut self, job: JobId, file_system: usize) {
        if let Some(entry) = self.running.get_mut(&job) {
            entry.file_systems.insert(file_system);
        }
    }

    /// A job foresees files. Reported once for each key and file system, however many processes say it.
    pub(crate) fn foresees(&mut self, job: JobId, file_system: usize, world: u32, profile: v1::FileProfile) {
        let Some(entry) = self.running.get_mut(&job) else { return };
        let place = (file_system, JobKey(profile.key));
        if entry.foreseen.len() < PROFILES_MAX && !entry.foreseen.contains_key(&place) {
            entry.foreseen.insert(place, Foreseen { world, profile });
            self.fresh.insert((job, file_system));
        }
    }

    /// A session is over.
    pub(crate) fn over(&mut self, job: JobId, session: &Session) {
        if let Some(entry) = self.running.get_mut(&job) {
            entry.sessions.remove(session);
        }
    }

    /// Reports every start again: a controller of a new term knows none.
    pub(crate) fn repeat_starts(&mut self) {
        for (job, entry) in &self.running {
            self.fresh.extend(entry.foreseen.keys().map(|(file_system, _)| (*job, *file_system)));
        }
    }

    /// Starts that are to be reported, with the place of their file system; they count as reported from now on. A start
    /// names everything that the job foresees there, since it replaces the one before.
    pub(crate) fn starts(&mut self) -> Vec<(usize, v1::JobStart)> {
        let fresh = std::mem::take(&mut self.fresh);
        let start = |(job, file_system): (JobId, usize)| {
            let foreseen = &self.running.get(&job)?.foreseen;
            let here =
                || foreseen.iter().filter(|((place, _), _)| *place == file_system).map(|(_, said)| said);
            let world = here().map(|said| said.world).max()?;
            let files = here().map(|said| said.profile).collect();
            Some((file_system, v1::JobStart { job: job.0, world, files }))
        };
        fresh.into_iter().filter_map(start).collect()
    }

    /// Drops sessions whose process is gone and names the jobs that have none left, with their file systems. `spooled`
    /// are the sessions whose file still holds records: their job is not over yet.
    pub(crate) fn ended(
        &mut self,
        lives: impl Fn(u32, Time) -> bool,
        spooled: &BTreeSet<Session>,
    ) -> Vec<(JobId, BTreeSet<usize>)> {
        let mut ended = Vec::new();
        self.running.retain(|job, entry| {
            entry.sessions.retain(|session, at| spooled.contains(session) || lives(session.pid, *at));
            let runs = !entry.sessions.is_empty();
            if !runs {
                ended.push((*job, std::mem::take(&mut entry.file_systems)));
            }
            runs
        });
        self.fresh.retain(|(job, _)| self.running.contains_key(job));
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
        Session { pid, name: format!("{pid}-1-0") }
    }

    #[test]
    fn a_start_is_reported_once_for_all_processes_and_again_to_a_new_controller() {
        let mut jobs = Jobs::default();
        for pid in 1..=64 {
            assert!(jobs.heard(JOB, &session(pid), Time(5), Some(0)));
            jobs.foresees(JOB, 0, 64, profile(1));
            jobs.foresees(JOB, 0, 64, profile(2));
            jobs.foresees(JOB, 1, 64, profile(1));
        }
        let starts = jobs.starts();
        let kinds: Vec<_> =
            starts.iter().map(|(fs, start)| (*fs, start.job, start.world, start.files.len())).collect();
        assert_eq!(kinds, [(0, 7, 64, 2), (1, 7, 64, 1)]);
        assert!(jobs.starts().is_empty());
        jobs.repeat_starts();
        assert_eq!(jobs.starts(), starts);
        jobs.foresees(JOB, 1, 64, profile(3));
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
        assert!(jobs.ended(|pid, _| pid == 2, &BTreeSet::new()).is_empty());
        let spooled = BTreeSet::from([session(2)]);
        assert!(jobs.ended(|_, _| false, &spooled).is_empty(), "its records are not read yet");
        assert_eq!(jobs.ended(|_, _| false, &BTreeSet::new()), [(JOB, BTreeSet::from([0, 1]))]);
        assert!(jobs.ended(|_, _| false, &BTreeSet::new()).is_empty(), "said once");
        assert_eq!(jobs.len(), 0);
        jobs.over(JOB, &session(1));
        jobs.foresees(JOB, 0, 1, profile(1));
        assert!(jobs.starts().is_empty(), "an unknown job foresees nothing");
    }

    #[test]
    fn nothing_grows_without_end() {
        let mut jobs = Jobs::default();
        for number in 0..2 * JOBS_MAX as u64 {
            assert_eq!(jobs.heard(JobId(number), &session(1), Time(5), None), number < JOBS_MAX as u64);
        }
        assert_eq!(jobs.len(), JOBS_MAX);
        for key in 0..100 {
            jobs.foresees(JobId(0), 0, 1, profile(key));
        }
        let starts = jobs.starts();
        assert_eq!((starts.len(), starts[0].1.files.len()), (1, PROFILES_MAX));
    }
}
