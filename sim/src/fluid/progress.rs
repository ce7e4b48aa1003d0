//! How far each flow is. Owns the bytes of flows and the times of their ends; what rate a flow gets is decided in
//! `shares`.
//!
//! All flows held by one resource (the one with the lowest level on their path) move at one rate, so each
//! resource keeps one *odometer*: the bytes that a flow held by it since the beginning would have moved. A flow's
//! end is a fixed reading of it. A new level then costs one odometer reading instead of an update of each flow,
//! and a flow is touched only when another resource takes hold of it. Odometers start again at zero when they hold
//! no flow, so rounding does not grow with the length of a run.

use super::shares::{HOPS, Share, Shares, lower};
use super::tournament::Tournament;

/// The holder of a flow that has no rate yet.
const NOBODY: u32 = u32::MAX;

/// The flows held by one resource.
#[derive(Debug, Clone)]
struct Holder {
    /// Reading at `since_s`.
    odometer_bytes: f64,
    since_s: f64,
    rate_bps: f64,
    /// The lowest reading at which one of the flows ends; infinite without flows.
    next_end_bytes: f64,
    flows: u32,
    /// `next_end_bytes` may belong to a flow that left.
    is_stale: bool,
    /// The resource is in the list of those whose next end is to be computed again.
    is_touched: bool,
}

impl Holder {
    fn reading(&self, now_s: f64) -> f64 {
        if self.flows == 0 {
            return 0.0;
        }
        // While flows are handed over the new rate may be infinite, but no time passes then.
        if now_s == self.since_s {
            return self.odometer_bytes;
        }
        self.odometer_bytes + self.rate_bps * (now_s - self.since_s)
    }

    fn read(&mut self, now_s: f64) {
        self.odometer_bytes = self.reading(now_s);
        self.since_s = now_s;
    }
}

/// Flows, who holds them, and when they end.
#[derive(Debug)]
pub(super) struct Progress {
    holders: Vec<Holder>,
    ends: Tournament,
    touched: Vec<u32>,
    /// Per flow slot: its holder, and the reading of the holder's odometer at its end. A flow without a holder has
    /// its bytes there.
    held_by: Vec<u32>,
    end_bytes: Vec<f64>,
}

impl Progress {
    /// No flows on this many resources.
    pub(super) fn new(resources: usize) -> Self {
        let holder = Holder {
            odometer_bytes: 0.0,
            since_s: 0.0,
            rate_bps: 0.0,
            next_end_bytes: f64::INFINITY,
            flows: 0,
            is_stale: false,
            is_touched: false,
        };
        Self {
            holders: vec![holder; resources],
            ends: Tournament::new(resources),
            touched: Vec::new(),
            held_by: Vec::new(),
            end_bytes: Vec::new(),
        }
    }

    /// A new flow in a slot; it moves after the next `follow`.
    pub(super) fn insert(&mut self, flow: u32, bytes: f64) {
        let slot = flow as usize;
        if slot == self.held_by.len() {
            self.held_by.push(NOBODY);
            self.end_bytes.push(bytes);
        }
        self.held_by[slot] = NOBODY;
        self.end_bytes[slot] = bytes;
    }

    /// Bytes that a flow still has to move.
    pub(super) fn remaining_bytes(&self, flow: u32, now_s: f64) -> f64 {
        let end = self.end_bytes[flow as usize];
        match self.held_by[flow as usize] {
            NOBODY => end,
            holder => (end - self.holders[holder as usize].reading(now_s)).max(0.0),
        }
    }

    /// When the next flow ends at the present rates; infinite without flows.
    pub(super) fn next_end_s(&self) -> f64 {
        self.ends.min()
    }

    /// Follows new levels: `moved` are the resources whose level changed, `started` the flows without a holder.
    pub(super) fn follow(&mut self, shares: &Shares, moved: &[u32], started: &[u32], now_s: f64) {
        for &resource in moved {
            let holder = &mut self.holders[resource as usize];
            holder.read(now_s);
            holder.rate_bps = shares.level(resource);
            self.touch(resource);
        }
        for &flow in started {
            self.hand_over(shares, flow, now_s);
        }
        for &resource in moved {
            let level = shares.level(resource);
            for share in shares.on(resource as usize) {
                let holder = self.held_by[share.flow as usize];
                let lowest = lowest_level(shares, share, level);
                if shares.level(holder) > lowest {
                    self.hand_over(shares, share.flow, now_s);
                }
            }
        }
        while let Some(resource) = self.touched.pop() {
            self.foresee(shares, resource);
        }
    }

    /// Takes out the flows that end first, if that is at or before `now_s`, and pushes their slots.
    pub(super) fn take_ended(&mut self, shares: &Shares, now_s: f64, ended: &mut Vec<u32>) {
        while self.ends.min() <= now_s {
            let resource = self.ends.winner();
            let holder = &mut self.holders[resource];
            let end = holder.next_end_bytes;
            let mut next = f64::INFINITY;
            for share in shares.on(resource) {
                let slot = share.flow as usize;
                if self.held_by[slot] != resource as u32 {
                    continue;
                }
                if self.end_bytes[slot] <= end {
                    self.held_by[slot] = NOBODY;
                    self.end_bytes[slot] = 0.0;
                    holder.flows -= 1;
                    ended.push(share.flow);
                } else {
                    next = next.min(self.end_bytes[slot]);
                }
            }
            holder.next_end_bytes = next;
            self.set_end(resource);
        }
    }

    /// Gives a flow to the resource of its path with the lowest level.
    fn hand_over(&mut self, shares: &Shares, flow: u32, now_s: f64) {
        let slot = flow as usize;
        let mut bytes = self.end_bytes[slot];
        let from = self.held_by[slot];
        if from != NOBODY {
            let holder = &mut self.holders[from as usize];
            holder.read(now_s);
            holder.is_stale |= bytes <= holder.next_end_bytes;
            bytes = (bytes - holder.odometer_bytes).max(0.0);
            holder.flows -= 1;
            self.touch(from);
        }
        let to = tightest(shares, shares.path(flow));
        let holder = &mut self.holders[to as usize];
        holder.read(now_s);
        holder.flows += 1;
        let end = holder.odometer_bytes + bytes;
        holder.next_end_bytes = holder.next_end_bytes.min(end);
        self.held_by[slot] = to;
        self.end_bytes[slot] = end;
        self.touch(to);
    }

    fn touch(&mut self, resource: u32) {
        let holder = &mut self.holders[resource as usize];
        if !holder.is_touched {
            holder.is_touched = true;
            self.touched.push(resource);
        }
    }

    /// Computes the next end of a touched resource.
    fn foresee(&mut self, shares: &Shares, resource: u32) {
        let holder = &mut self.holders[resource as usize];
        holder.is_touched = false;
        if holder.is_stale {
            holder.is_stale = false;
            holder.next_end_bytes = shares
                .on(resource as usize)
                .iter()
                .filter(|share| self.held_by[share.flow as usize] == resource)
                .map(|share| self.end_bytes[share.flow as usize])
                .fold(f64::INFINITY, f64::min);
        }
        self.set_end(resource as usize);
    }

    fn set_end(&mut self, resource: usize) {
        let holder = &mut self.holders[resource];
        let end_s = if holder.flows == 0 {
            holder.next_end_bytes = f64::INFINITY;
            f64::INFINITY
        } else {
            holder.since_s + (holder.next_end_bytes - holder.odometer_bytes) / holder.rate_bps
        };
        self.ends.set(resource, end_s);
    }
}

fn lowest_level(shares: &Shares, share: &Share, level: f64) -> f64 {
    let [a, b] = share.others;
    lower(level, lower(shares.level(a), shares.level(b)))
}

fn tightest(shares: &Shares, path: [u32; HOPS]) -> u32 {
    let mut best = path[0];
    for &resource in &path[1..] {
        if shares.level(resource) < shares.level(best) {
            best = resource;
        }
    }
    best
}
