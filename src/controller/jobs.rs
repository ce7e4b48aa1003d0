//! Which nodes run which job: a job has ended when all nodes that spoke of it say so or are gone.

use std::collections::{BTreeMap, BTreeSet};

use tarazu_layout::JobId;

/// Pairs of a job and a node that are remembered: a machine of 65,536 nodes with a few jobs on each.
const PAIRS_MAX: usize = 1 << 18;

/// The nodes of each running job.
#[derive(Debug, Default)]
pub(crate) struct JobNodes {
    nodes: BTreeMap<JobId, BTreeSet<u64>>,
    pairs: usize,
}

impl JobNodes {
    /// A node speaks of a job.
    pub(crate) fn runs(&mut self, job: JobId, node: u64) {
        if self.pairs < PAIRS_MAX && self.nodes.entry(job).or_default().insert(node) {
            self.pairs += 1;
        }
    }

    /// A node has no process of the job left. Returns whether no other node has any.
    pub(crate) fn ended(&mut self, job: JobId, node: u64) -> bool {
        let Some(nodes) = self.nodes.get_mut(&job) else { return false };
        self.pairs -= usize::from(nodes.remove(&node));
        if !nodes.is_empty() {
            return false;
        }
        self.nodes.remove(&job);
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
            jobs.runs(JobId(job), node);
        }
        assert!(!jobs.ended(JobId(1), 10));
        assert!(!jobs.ended(JobId(1), 10), "said twice");
        assert!(!jobs.ended(JobId(9), 10), "never heard of");
        assert_eq!(jobs.gone(11), [JobId(1), JobId(2)]);
        assert_eq!(jobs.pairs, 0);
    }
}
