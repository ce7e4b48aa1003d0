//! How fast tables leave the controller, and which nodes it has heard of.
//!
//! Pure: a bucket of bytes and a book of nodes. It keeps a storm of nodes that all come back at once from filling the
//! controller's network, and reports that come twice from counting twice.

use std::collections::BTreeMap;
use std::time::Duration;

use tarazu_layout::{Time, hash};

/// Bytes of tables and deltas that leave in a second, for all nodes together (DESIGN: at most 10 MB/s).
pub(crate) const FANOUT_BPS: f64 = 10e6;

/// Bytes that may leave at once after a quiet time: a fifth of a second's.
const FANOUT_BURST_BYTES: f64 = 2e6;

/// Nodes that are remembered. Larger machines are served, but what their nodes repeat may count twice.
const NODES_MAX: usize = 65_536;

/// A bucket that fills at [`FANOUT_BPS`].
#[derive(Debug)]
pub(crate) struct Bucket {
    bytes: f64,
    at: Time,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(now: Time) -> Self {
        Self { bytes: FANOUT_BURST_BYTES, at: now }
    }

    /// Whether so many bytes may leave now; takes them out if so. What is larger than the whole bucket leaves when
    /// that is full.
    pub(crate) fn take(&mut self, bytes: usize, now: Time) -> bool {
        let filled = self.bytes + now.since(self.at).as_secs_f64() * FANOUT_BPS;
        self.bytes = filled.min(FANOUT_BURST_BYTES);
        self.at = self.at.max(now);
        let wanted = bytes as f64;
        if self.bytes < wanted.min(FANOUT_BURST_BYTES) {
            return false;
        }
        self.bytes -= wanted;
        true
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

    #[test]
    fn the_bucket_holds_the_rate() {
        let mut bucket = Bucket::new(at(0.0));
        let mut sent = 0usize;
        for step in 0..5000 {
            let now = at(f64::from(step) / 1000.0);
            while bucket.take(49_464, now) {
                sent += 49_464;
            }
        }
        let most = FANOUT_BURST_BYTES + 5.0 * FANOUT_BPS;
        assert!(sent as f64 <= most && sent as f64 > 0.95 * most - FANOUT_BURST_BYTES, "{sent} of {most}");
    }

    #[test]
    fn what_is_larger_than_the_bucket_still_leaves_and_is_paid_for() {
        let mut bucket = Bucket::new(at(0.0));
        assert!(bucket.take(4_000_000, at(0.0)));
        assert!(!bucket.take(1, at(0.1)));
        assert!(bucket.take(1, at(0.3)));
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
