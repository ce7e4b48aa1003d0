//! First come, first served: which nodes a job gets, and when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use tarazu_layout::{NodeId, Time};

/// Nodes `[first, first + count)`.
type Run = (u32, u32);

/// A machine's free nodes and running jobs.
pub(super) struct Allocator {
    nodes: u32,
    /// Free nodes as runs that do not touch: first node and length.
    free: BTreeMap<u32, u32>,
    free_count: u32,
    /// Planned ends of running jobs, earliest first, with their nodes.
    running: BinaryHeap<Reverse<(Time, Vec<Run>)>>,
    /// No job starts before the one that came before it.
    last_start: Time,
}

/// A job's nodes and start.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) start: Time,
    /// Rising.
    pub(super) nodes: Vec<NodeId>,
}

impl Allocator {
    /// A machine of `nodes` nodes, all free.
    pub(super) fn new(nodes: u32) -> Self {
        let free = if nodes == 0 { BTreeMap::new() } else { BTreeMap::from([(0, nodes)]) };
        Self { nodes, free, free_count: nodes, running: BinaryHeap::new(), last_start: Time::ZERO }
    }

    /// Gives `count` nodes for `run` to a job that arrives now, behind all that came before it; `None` where
    /// the machine has fewer. Arrivals do not go back in time.
    pub(super) fn place(&mut self, arrival: Time, count: u32, run: Duration) -> Option<Grant> {
        if count > self.nodes {
            return None;
        }
        let mut start = arrival.max(self.last_start);
        self.release_until(start);
        while self.free_count < count {
            // Nodes are free or held: while too few are free, some job holds others.
            let Reverse((end, _)) = self.running.peek()?;
            start = *end;
            self.release_until(start);
        }
        self.last_start = start;
        let runs = self.take(count);
        let nodes = runs.iter().flat_map(|(first, count)| *first..first + count).map(NodeId).collect();
        self.running.push(Reverse((start + run, runs)));
        Some(Grant { start, nodes })
    }

    /// Frees the nodes of all jobs that have ended.
    fn release_until(&mut self, now: Time) {
        while let Some(Reverse((end, _))) = self.running.peek()
            && *end <= now
        {
            let Some(Reverse((_, runs))) = self.running.pop() else { return };
            for run in runs {
                self.release(run);
            }
        }
    }

    /// Joins a run with the free ones beside it.
    fn release(&mut self, (mut first, mut count): Run) {
        self.free_count += count;
        if let Some(behind) = self.free.remove(&(first + count)) {
            count += behind;
        }
        let before = self.free.range(..first).next_back().map(|(start, length)| (*start, *length));
        if let Some((start, length)) = before.filter(|(start, length)| start + length == first) {
            first = start;
            count += length;
        }
        self.free.insert(first, count);
    }

    /// Takes the first run that is long enough, else the lowest free nodes. As many are free.
    fn take(&mut self, count: u32) -> Vec<Run> {
        self.free_count -= count;
        let fitting = self.free.iter().find(|(_, length)| **length >= count).map(|(first, _)| *first);
        let mut taken = Vec::new();
        let mut left = count;
        while left > 0 {
            let first = fitting.or_else(|| self.free.keys().next().copied());
            let Some((first, length)) = first.and_then(|first| self.free.remove_entry(&first)) else { break };
            let part = length.min(left);
            if part < length {
                self.free.insert(first + part, length - part);
            }
            taken.push((first, part));
            left -= part;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The obvious twin: one moment for each node from which it is free, and every moment at which a node
    /// becomes free is tried in turn.
    struct Plain {
        free_from: Vec<Time>,
        last_start: Time,
    }

    impl Plain {
        fn place(&mut self, arrival: Time, count: usize, run: Duration) -> Option<Grant> {
            if count > self.free_from.len() {
                return None;
            }
            let earliest = arrival.max(self.last_start);
            let mut moments: Vec<Time> = self.free_from.iter().copied().filter(|at| *at > earliest).collect();
            moments.push(earliest);
            moments.sort_unstable();
            for start in moments {
                let free: Vec<usize> =
                    (0..self.free_from.len()).filter(|node| self.free_from[*node] <= start).collect();
                if free.len() < count {
                    continue;
                }
                let row = free.windows(count.max(1)).find(|row| row[row.len() - 1] - row[0] + 1 == count);
                let nodes = row.unwrap_or(&free[..count]).to_vec();
                for node in &nodes {
                    self.free_from[*node] = start + run;
                }
                self.last_start = start;
                return Some(Grant {
                    start,
                    nodes: nodes.into_iter().map(|node| NodeId(node as u32)).collect(),
                });
            }
            None
        }
    }

    #[test]
    fn a_job_gets_the_first_row_that_fits_or_waits() {
        let mut machine = Allocator::new(8);
        let mut place = |at: u64, count, run| {
            let grant = machine.place(Time(at), count, Duration::from_nanos(run)).expect("fits");
            (grant.start.0, grant.nodes.into_iter().map(|node| node.0).collect::<Vec<_>>())
        };
        assert_eq!(place(0, 2, 10), (0, vec![0, 1]));
        assert_eq!(place(0, 2, 100), (0, vec![2, 3]));
        assert_eq!(place(0, 2, 20), (0, vec![4, 5]));
        // Nodes 0 and 1 are free, and 6 and 7: the first row is taken.
        assert_eq!(place(10, 1, 5), (10, vec![0]));
        // No row of three: the lowest free ones.
        assert_eq!(place(10, 3, 5), (10, vec![1, 6, 7]));
        // Waits for the jobs that end at 20; the next does not overtake it.
        assert_eq!(place(16, 5, 5), (20, vec![0, 1, 4, 5, 6]));
        assert_eq!(place(17, 1, 1), (20, vec![7]));
        assert!(Allocator::new(8).place(Time(0), 9, Duration::ZERO).is_none());
        assert!(Allocator::new(0).place(Time(0), 1, Duration::ZERO).is_none());
    }

    proptest! {
        #[test]
        fn nodes_and_starts_are_those_of_the_twin(
            nodes in 1u32..20,
            jobs in prop::collection::vec((0u64..10, 1u32..22, 0u64..30), 0..60),
        ) {
            let mut quick = Allocator::new(nodes);
            let mut plain = Plain { free_from: vec![Time::ZERO; nodes as usize], last_start: Time::ZERO };
            let mut now = Time::ZERO;
            for (gap, count, run) in jobs {
                now += Duration::from_nanos(gap);
                let run = Duration::from_nanos(run);
                prop_assert_eq!(quick.place(now, count, run), plain.place(now, count as usize, run));
            }
        }
    }
}
