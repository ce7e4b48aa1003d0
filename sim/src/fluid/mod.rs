//! Exact max-min fluid flows over three levels: client NIC, server link, target disk.
//!
//! At every instant the rates of all active flows are the max-min fair allocation (all flows weigh the same, no
//! other bound on a rate). No latency, window or protocol effects. Between two changes rates are constant, so flows
//! end at times that can be computed; nothing is rounded to a step.
//!
//! Owns time, flows and their service on the resources. Must not know transfers, files or policies. The work is
//! split: `shares` knows who is how fast, `progress` how far, `tournament` which ends first. [`naive`] is the
//! obvious solver that the tests compare with.

pub mod naive;
mod progress;
mod shares;
#[cfg(test)]
mod tests;
mod tournament;

use std::ops::RangeInclusive;

use progress::Progress;
use shares::Shares;

/// Resources of one network. They are numbered in 32 bits; the largest systems have some ten thousand.
const RESOURCES_MAX: usize = 1 << 24;

/// Bandwidths in bytes/s. No real one is near the ends; within them no sum or quotient leaves the range of f64.
pub const BANDWIDTH_BPS: RangeInclusive<f64> = 1e-6..=1e18;

/// Bytes of one flow, for the same reason.
pub const FLOW_BYTES: RangeInclusive<f64> = 0.0..=1e21;

/// Disk costs of a flow, for the same reason. A system's ranges allow 1e3 for reading, 2e5 for sharing and 20 for a crowd.
pub const DISK_COST: RangeInclusive<f64> = 1e-6..=1e10;

/// Capacities in bytes/s, all within [`BANDWIDTH_BPS`]. Positions are the ids used everywhere else.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    /// Per client: its network interface.
    pub nic_bps: Vec<f64>,
    /// Per server: its network link.
    pub link_bps: Vec<f64>,
    /// Per target: its disk.
    pub disk_bps: Vec<f64>,
    /// Per target: the server link it is behind, a position in `link_bps`.
    pub disk_link: Vec<u32>,
}

/// Why a network cannot be simulated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FluidError {
    /// A capacity is zero, negative, not a number or beyond all measure.
    #[error("{what} {index} has a bandwidth of {bps} bytes/s; give a number from {} to {}", BANDWIDTH_BPS.start(), BANDWIDTH_BPS.end())]
    Capacity {
        /// NIC, link or disk.
        what: &'static str,
        /// Its position.
        index: usize,
        /// The capacity given.
        bps: f64,
    },
    /// The number of disks and the number of their links differ.
    #[error("{disks} disks but {links} entries that name their link; give one link per disk")]
    DiskLinks {
        /// Length of `disk_bps`.
        disks: usize,
        /// Length of `disk_link`.
        links: usize,
    },
    /// A disk is behind a link that does not exist.
    #[error("disk {disk} is behind link {link}, but there are {links} links, numbered from 0")]
    UnknownLink {
        /// The disk.
        disk: usize,
        /// The link it names.
        link: u32,
        /// Number of links.
        links: usize,
    },
    /// More resources than can be numbered.
    #[error("{count} NICs, links and disks; at most {RESOURCES_MAX} are supported")]
    TooLarge {
        /// Resources given.
        count: usize,
    },
}

impl Network {
    /// Checks what the fields' descriptions promise.
    pub fn check(&self) -> Result<(), FluidError> {
        let count = self.nic_bps.len() + self.link_bps.len() + self.disk_bps.len();
        if count > RESOURCES_MAX {
            return Err(FluidError::TooLarge { count });
        }
        for (what, list) in [("nic", &self.nic_bps), ("link", &self.link_bps), ("disk", &self.disk_bps)] {
            if let Some((index, &bps)) =
                list.iter().enumerate().find(|&(_, bps)| !BANDWIDTH_BPS.contains(bps))
            {
                return Err(FluidError::Capacity { what, index, bps });
            }
        }
        if self.disk_bps.len() != self.disk_link.len() {
            return Err(FluidError::DiskLinks { disks: self.disk_bps.len(), links: self.disk_link.len() });
        }
        let links = self.link_bps.len();
        match self.disk_link.iter().enumerate().find(|&(_, &link)| link as usize >= links) {
            Some((disk, &link)) => Err(FluidError::UnknownLink { disk, link, links }),
            None => Ok(()),
        }
    }
}

/// The end of a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Done {
    /// What the flow was started with.
    pub tag: u64,
    /// When its last byte arrived, s.
    pub end_s: f64,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    disk: u32,
    bytes: f64,
    tag: u64,
    /// Order of starts, which orders flows that end together.
    order: u64,
}

/// The fluid engine. The same calls give the same bits.
#[derive(Debug)]
pub struct Fluid {
    now_s: f64,
    nics: u32,
    links: u32,
    disks: u32,
    disk_link: Vec<u32>,
    /// Bytes of flows that ended, per disk.
    ended_bytes: Vec<f64>,
    shares: Shares,
    progress: Progress,
    /// Slots; those in `free` are empty.
    flows: Vec<Flow>,
    free: Vec<u32>,
    /// Flows started since the last settling.
    started: Vec<u32>,
    /// Flows that ended now and are not reported yet, with the order of their starts.
    ended_now: Vec<(u64, Done)>,
    starts: u64,
    /// Kept for their storage.
    moved: Vec<u32>,
    ended: Vec<u32>,
}

impl Fluid {
    /// An idle engine at time 0.
    pub fn new(network: Network) -> Result<Self, FluidError> {
        network.check()?;
        let Network { nic_bps, link_bps, disk_bps, disk_link } = network;
        let (nics, links, disks) = (nic_bps.len() as u32, link_bps.len() as u32, disk_bps.len() as u32);
        let capacities: Vec<f64> = nic_bps.into_iter().chain(link_bps).chain(disk_bps).collect();
        Ok(Self {
            now_s: 0.0,
            nics,
            links,
            disks,
            disk_link,
            ended_bytes: vec![0.0; disks as usize],
            progress: Progress::new(capacities.len()),
            shares: Shares::new(capacities),
            flows: Vec::new(),
            free: Vec::new(),
            started: Vec::new(),
            ended_now: Vec::new(),
            starts: 0,
            moved: Vec::new(),
            ended: Vec::new(),
        })
    }

    /// The present, s.
    pub fn now_s(&self) -> f64 {
        self.now_s
    }

    /// Starts a flow of `bytes` (within [`FLOW_BYTES`]) now, from a client's NIC to a disk. Moving one byte takes `disk_cost`
    /// (within [`DISK_COST`]) bytes of the disk's capacity: 1 where the disk's bandwidth is meant for this kind of flow,
    /// `write bandwidth / read bandwidth` for a read on a disk described by its write bandwidth. `tag` comes back
    /// in [`Done`]. A flow without bytes ends at once and is reported by the next [`Fluid::advance`].
    ///
    /// # Panics
    ///
    /// If a number is out of its range or an id is not one of the network's: callers check foreign input.
    pub fn start(&mut self, nic: u32, disk: u32, bytes: f64, disk_cost: f64, tag: u64) {
        assert!(nic < self.nics && disk < self.disks, "no such nic {nic} or disk {disk}");
        assert!(FLOW_BYTES.contains(&bytes), "a flow of {bytes} bytes");
        assert!(DISK_COST.contains(&disk_cost), "a disk cost of {disk_cost}");
        let order = self.starts;
        self.starts += 1;
        if bytes == 0.0 {
            self.ended_now.push((order, Done { tag, end_s: self.now_s }));
            return;
        }
        let flow = Flow { disk, bytes, tag, order };
        let slot = self.free.pop().unwrap_or(self.flows.len() as u32);
        match self.flows.get_mut(slot as usize) {
            Some(place) => *place = flow,
            None => self.flows.push(flow),
        }
        let path = [self.disk_resource(disk), self.link_resource(self.disk_link[disk as usize]), nic];
        self.shares.insert(slot, path, [disk_cost, 1.0, 1.0]);
        self.progress.insert(slot, bytes);
        self.started.push(slot);
    }

    /// When the next flow ends if nothing else changes, s; never before now. `None` when idle.
    pub fn next_end_s(&mut self) -> Option<f64> {
        if !self.ended_now.is_empty() {
            return Some(self.now_s);
        }
        self.settle();
        let end_s = self.progress.next_end_s();
        // Rounding may put it a last bit before now.
        end_s.is_finite().then(|| end_s.max(self.now_s))
    }

    /// Moves time to `to_s` (finite, ≥ now; an earlier time counts as now) and pushes the flows that ended until then, by
    /// end time, those with the same end time in the order of their starts.
    pub fn advance(&mut self, to_s: f64, done: &mut Vec<Done>) {
        let to_s = to_s.max(self.now_s);
        loop {
            self.settle();
            let end_s = self.progress.next_end_s();
            if end_s > self.now_s {
                self.report(done);
                if end_s > to_s || end_s == f64::INFINITY {
                    break;
                }
                self.now_s = end_s;
            }
            self.end_flows();
        }
        self.now_s = to_s;
    }

    /// Changes a disk's bandwidth (within [`BANDWIDTH_BPS`]) from now on: slow-down, sickness, a share used by others.
    ///
    /// # Panics
    ///
    /// If the disk or the bandwidth is not valid.
    pub fn set_disk_bps(&mut self, disk: u32, bps: f64) {
        assert!(disk < self.disks && BANDWIDTH_BPS.contains(&bps), "disk {disk} with {bps} bytes/s");
        self.shares.set_capacity(self.disk_resource(disk), bps);
    }

    /// Changes a link's bandwidth (within [`BANDWIDTH_BPS`]) from now on.
    ///
    /// # Panics
    ///
    /// If the link or the bandwidth is not valid.
    pub fn set_link_bps(&mut self, link: u32, bps: f64) {
        assert!(link < self.links && BANDWIDTH_BPS.contains(&bps), "link {link} with {bps} bytes/s");
        self.shares.set_capacity(self.link_resource(link), bps);
    }

    /// Bytes moved by flows on a disk until now. Costs a look at each of its flows.
    pub fn disk_served_bytes(&self, disk: u32) -> f64 {
        let moved =
            |&flow: &u32| self.flows[flow as usize].bytes - self.progress.remaining_bytes(flow, self.now_s);
        self.ended_bytes[disk as usize] + self.on_disk(disk).map(|flow| moved(&flow)).sum::<f64>()
    }

    /// Bytes that the active flows on a disk have not moved yet. Costs a look at each of its flows.
    pub fn disk_backlog_bytes(&self, disk: u32) -> f64 {
        self.on_disk(disk).map(|flow| self.progress.remaining_bytes(flow, self.now_s)).sum()
    }

    /// Active flows on a disk.
    pub fn disk_flows(&self, disk: u32) -> u32 {
        self.shares.on(self.disk_resource(disk) as usize).len() as u32
    }

    /// Active flows.
    pub fn active(&self) -> usize {
        self.flows.len() - self.free.len()
    }

    // Resources are numbered NICs first, then links, then disks.
    fn link_resource(&self, link: u32) -> u32 {
        self.nics + link
    }

    fn disk_resource(&self, disk: u32) -> u32 {
        self.nics + self.links + disk
    }

    fn on_disk(&self, disk: u32) -> impl Iterator<Item = u32> {
        self.shares.on(self.disk_resource(disk) as usize).iter().map(|share| share.flow)
    }

    /// Applies all changes made at this instant together.
    fn settle(&mut self) {
        if self.shares.is_settled() {
            return;
        }
        self.shares.settle(&mut self.moved);
        self.progress.follow(&self.shares, &self.moved, &self.started, self.now_s);
        self.started.clear();
    }

    /// Ends the flows that end now.
    fn end_flows(&mut self) {
        self.progress.take_ended(&self.shares, self.now_s, &mut self.ended);
        for slot in self.ended.drain(..) {
            let flow = self.flows[slot as usize];
            self.ended_now.push((flow.order, Done { tag: flow.tag, end_s: self.now_s }));
            self.ended_bytes[flow.disk as usize] += flow.bytes;
            self.shares.remove(slot);
            self.free.push(slot);
        }
    }

    /// Reports the flows that ended now, in the order of their starts.
    fn report(&mut self, done: &mut Vec<Done>) {
        self.ended_now.sort_unstable_by_key(|&(order, _)| order);
        done.extend(self.ended_now.drain(..).map(|(_, end)| end));
    }
}
