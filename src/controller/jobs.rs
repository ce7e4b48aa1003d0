//! Which nodes run which job: a job has ended when all nodes that spoke of it say so or are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tarazu_layout::{JobId, Time};

/// Pairs of a job and a node that are remembered: a machine of 65,536 nodes with a few jobs on each.
const PAIRS_MAX: usize = 1 << 18;

/// A job of which nothing was heard for so long has ended, whatever its nodes failed to say: longer than sites let a
/// job run between two of its checkpoints.
const SILENT_MAX: Duration = Duration::from_secs(24 * 3600);

/// The nodes of each running job.
#[derive(Debug, Default)]
pub(crate) struct JobNodes {
    nodes: BTreeMap<JobId, BTreeSet<u64>>,
    heard_at: BTreeMap<JobId, Time>,
    pairs: usize,
}

impl JobNodes {
    /// A node speaks of a job that starts.
    pub(crate) fn runs(&mut self, job: JobId, node: u64, now: Time) {
        self.heard_at.insert(job, now);
        if self.pairs < PAIRS_MAX && self.nodes.entry(job).or_default().insert(node) {
            self.pairs += 1;
        }
    }

    /// Something was heard of a job that runs.
    pub(crate) fn heard(&mut self, job: JobId, now: Time) {
        if let Some(at) = self.heard_at.get_mut(&job) {
            *at = now;
        }
    }

    /// Jobs of which nothing was heard for too long; they are forgotten.
    pub(crate) fn silent(&mut self, now: Time) -> Vec<JobId> {
        let silent: Vec<JobId> = self
            .heard_at
            .iter()
            .filter(|(_, at)| now.since(**at) > SILENT_MAX)
            .map(|(job, _)| *job)
            .collect();
        for job in &silent {
            self.forget(*job);
        }
        silent
    }

    fn forget(&mut self, job: JobId) {
        self.heard_at.remove(&job);
        self.pairs -= self.nodes.remove(&job).map_or(0, |nodes| nodes.len());
    }

    /// A node has no process of the job left. Returns whether no other node has any.
    pub(crate) fn ended(&mut self, job: JobId, node: u64) -> bool {
        let Some(nodes) = self.nodes.get_mut(&job) else { return false };
        self.pairs -= usize::from(nodes.remove(&node));
        if !nodes.is_empty() {
            return false;
        }
        self.forget(job);
        true
    }

    /// A node is gone. Returns the jobs that have no other.
    pub(crate) fn gone(&mut self, node: u64) -> Vec<JobId> {
        let jobs: Vec<JobId> =
            self.nodes.iter().filter(|(_, nodes)| nodes.contains(&node)).map(|(job, _)| *job).collect();
        jobs.into_iter().filter(|job| self.ended(*job, node)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_ends_with_its_last_node() {
        let mut jobs = JobNodes::default();
        for (job, node) in [(1, 10), (1, 11), (1, 10), (2, 11)] {
            jobs.runs(JobId(job), node, Time::ZERO);
        }
        assert!(!jobs.ended(JobId(1), 10));
        assert!(!jobs.ended(JobId(1), 10), "said twice");
        assert!(!jobs.ended(JobId(9), 10), "never heard of");
        assert_eq!(jobs.gone(11), [JobId(1), JobId(2)]);
        assert_eq!(jobs.pairs, 0);
        jobs.runs(JobId(3), 12, Time::ZERO);
        jobs.heard(JobId(3), Time::ZERO + SILENT_MAX);
        assert_eq!(jobs.silent(Time::ZERO + SILENT_MAX * 2), []);
        assert_eq!(jobs.silent(Time::ZERO + SILENT_MAX * 2 + Duration::from_secs(1)), [JobId(3)]);
        assert_eq!((jobs.pairs, jobs.nodes.len(), jobs.heard_at.len()), (0, 0, 0));
    }
}
