//! How fast tables leave the controller, and which nodes it has heard of.
//!
//! Pure: a queue of bytes and a book of nodes. It keeps a storm of nodes that all come back at once from filling the
//! controller's network, and reports that come twice from counting twice.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::{Time, hash};

/// Bytes of tables and deltas that leave in a second, for all nodes together (DESIGN: at most 10 MB/s).
pub(crate) const FANOUT_BPS: f64 = 10e6;

/// Work that may wait in the network before nodes are told to come later: a fifth of a second's.
const BACKLOG_MAX: Duration = Duration::from_millis(200);

/// A node that is told to come later is told so at most so far ahead, and its place is kept so much longer than that.
const PROMISE_MAX: Duration = Duration::from_secs(60);

/// Nodes that are remembered. Larger machines are served, but what their nodes repeat may count twice.
const NODES_MAX: usize = 65_536;

/// Whether a node's bytes leave now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Now.
    Now,
    /// After this time: its place is kept.
    In(Duration),
}

/// A queue of bytes that leave at [`FANOUT_BPS`], kept by the nodes themselves: whoever finds it long is told when its
/// turn is. Without that, all that were turned away would come back together.
#[derive(Debug)]
pub(crate) struct Queue {
    /// When everything that is promised has left.
    free_at: Time,
    /// When each node that waits is to come.
    promised: BTreeMap<u64, Time>,
    cleared_at: Time,
}

impl Queue {
    /// An empty one.
    pub(crate) fn new(now: Time) -> Self {
        Self { free_at: now, promised: BTreeMap::new(), cleared_at: now }
    }

    /// Whether so many bytes for a node leave now, or when.
    pub(crate) fn turn(&mut self, node: u64, bytes: usize, now: Time) -> Turn {
        self.clear(now);
        if let Some(due) = self.promised.get(&node).copied() {
            if now < due {
                return Turn::In(due.since(now));
            }
            // Its bytes were booked when it was promised.
            self.promised.remove(&node);
            return Turn::Now;
        }
        let start = self.free_at.max(now);
        let wait = start.since(now);
        let is_full = self.promised.len() >= NODES_MAX || wait > PROMISE_MAX;
        if wait > BACKLOG_MAX && is_full {
            return Turn::In(PROMISE_MAX);
        }
        self.free_at = start + Duration::from_secs_f64(bytes as f64 / FANOUT_BPS);
        if wait <= BACKLOG_MAX {
            return Turn::Now;
        }
        self.promised.insert(node, start);
        Turn::In(wait)
    }

    /// Forgets, now and then, the places of nodes that never came.
    fn clear(&mut self, now: Time) {
        if now.since(self.cleared_at) < PROMISE_MAX {
            return;
        }
        self.cleared_at = now;
        self.promised.retain(|_, due| now.since(*due) < PROMISE_MAX);
    }
}

/// One node.
#[derive(Clone, Copy, Debug)]
struct Node {
    instance: u64,
    sequence: u64,
    heard_at: Time,
}

/// What is known of nodes.
#[derive(Debug, Default)]
pub(crate) struct NodeBook {
    nodes: BTreeMap<u64, Node>,
}

/// A node's key: its name never needs to be kept.
pub(crate) fn node_key(name: &str) -> u64 {
    hash::bytes(name.as_bytes())
}

impl NodeBook {
    /// Notes an exchange. Returns whether its reports are new: not those of an exchange that is repeated.
    pub(crate) fn hear(&mut self, node: u64, instance: u64, sequence: u64, now: Time) -> bool {
        let known = self.nodes.get(&node).copied();
        if known.is_none() && self.nodes.len() >= NODES_MAX {
            return true;
        }
        let is_new = known.is_none_or(|known| known.instance != instance || known.sequence < sequence);
        let sequence = known
            .filter(|known| known.instance == instance)
            .map_or(sequence, |known| known.sequence.max(sequence));
        self.nodes.insert(node, Node { instance, sequence, heard_at: now });
        is_new
    }

    /// Nodes heard of within a time.
    pub(crate) fn heard_within(&self, span: Duration, now: Time) -> usize {
        self.nodes.values().filter(|node| now.since(node.heard_at) <= span).count()
    }

    /// Forgets nodes that were not heard of for so long, and returns them.
    pub(crate) fn forget(&mut self, silent_for: Duration, now: Time) -> Vec<u64> {
        let gone: Vec<u64> = self
            .nodes
            .iter()
            .filter(|(_, node)| now.since(node.heard_at) > silent_for)
            .map(|(key, _)| *key)
            .collect();
        for key in &gone {
            self.nodes.remove(key);
        }
        gone
    }
}

/// When a node is to come again: once an interval, each at its own moment of it, so that they never come together.
pub(crate) fn next_exchange(node: u64, interval: Duration, now: Time) -> Duration {
    let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
    let phase = hash::mix(node) % interval_ns;
    let into = now.0 % interval_ns;
    let wait = (phase + interval_ns - into) % interval_ns;
    // Not sooner than half an interval: whoever has just come has nothing new to say.
    let wait = if wait < interval_ns / 2 { wait + interval_ns } else { wait };
    Duration::from_nanos(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_secs_f64(seconds)
    }

    /// All nodes come at once, and come again as they are told.
    fn storm(nodes: u64, bytes: usize) -> (Vec<Time>, usize) {
        let mut queue = Queue::new(at(0.0));
        let mut coming: BTreeMap<(Time, u64), ()> = (0..nodes).map(|node| ((at(0.0), node), ())).collect();
        let (mut served, mut visits) = (Vec::new(), 0);
        while let Some(((now, node), ())) = coming.pop_first() {
            visits += 1;
            match queue.turn(node, bytes, now) {
                Turn::Now => served.push(now),
                Turn::In(wait) => drop(coming.insert((now + wait, node), ())),
            }
        }
        (served, visits)
    }

    #[test]
    fn a_storm_leaves_at_the_rate_and_nobody_comes_in_vain() {
        let (served, visits) = storm(5000, 17_000);
        assert_eq!(
            (served.len(), visits),
            (5000, 5000 + 5000 - 118),
            "118 leave at once, the others come twice"
        );
        let last_s = served.last().expect("somebody").as_secs_f64();
        let wanted_s = 5000.0 * 17_000.0 / FANOUT_BPS;
        assert!((wanted_s - 0.3..=wanted_s).contains(&last_s), "{last_s} s, at the rate {wanted_s} s");
        for second in 0..8u32 {
            let (from, to) = (at(f64::from(second)), at(f64::from(second) + 1.0));
            let bytes = served.iter().filter(|time| **time >= from && **time < to).count() as f64 * 17_000.0;
            assert!(bytes <= FANOUT_BPS * 1.21, "{bytes} in second {second}");
        }
    }

    #[test]
    fn whoever_comes_early_waits_and_whoever_never_comes_is_forgotten() {
        let mut queue = Queue::new(at(0.0));
        assert_eq!(queue.turn(1, 10_000_000, at(0.0)), Turn::Now);
        assert_eq!(queue.turn(2, 1000, at(0.0)), Turn::In(Duration::from_secs(1)));
        assert_eq!(queue.turn(2, 1000, at(0.4)), Turn::In(Duration::from_millis(600)));
        assert_eq!(queue.turn(3, 1000, at(0.9)), Turn::Now, "the queue is short again");
        assert_eq!(queue.turn(2, 1000, at(1.0)), Turn::Now);
        queue.turn(4, 30_000_000, at(1.1));
        assert!(matches!(queue.turn(5, 1000, at(1.1)), Turn::In(_)));
        queue.turn(6, 0, at(200.0));
        assert_eq!(queue.promised.len(), 0);
    }

    #[test]
    fn a_queue_that_is_too_long_is_not_made_longer() {
        let mut queue = Queue::new(at(0.0));
        queue.turn(1, 700_000_000, at(0.0));
        assert_eq!(queue.turn(2, 1000, at(0.0)), Turn::In(PROMISE_MAX));
        assert_eq!(queue.promised.len(), 0);
    }

    #[test]
    fn what_is_repeated_counts_once() {
        let mut book = NodeBook::default();
        assert!(book.hear(1, 7, 1, at(0.0)));
        assert!(!book.hear(1, 7, 1, at(1.0)));
        assert!(book.hear(1, 7, 2, at(2.0)));
        assert!(!book.hear(1, 7, 1, at(3.0)), "a late copy");
        assert!(!book.hear(1, 7, 2, at(3.0)), "a late copy does not make the newest new");
        assert!(book.hear(1, 8, 1, at(4.0)), "a daemon that was started again");
        assert_eq!(book.heard_within(Duration::from_secs(1), at(4.5)), 1);
        assert_eq!(book.forget(Duration::from_secs(1), at(6.0)), [1]);
    }

    #[test]
    fn nodes_come_once_an_interval_at_their_own_moment() {
        let interval = Duration::from_secs(5);
        let waits: Vec<Duration> = (0..1000).map(|node| next_exchange(node, interval, at(1234.5))).collect();
        assert!(waits.iter().all(|wait| *wait >= interval / 2 && *wait < interval * 3 / 2));
        let early = waits.iter().filter(|wait| **wait < interval).count();
        assert!((350..650).contains(&early), "{early} of 1000 in the first half");
    }
}
