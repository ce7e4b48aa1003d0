//! The obvious solver of the same model: at each event all rates afresh, all flows moved, all ends compared.
//! It is here to be compared with: quadratic, and right by inspection.

use super::{Done, FluidError, Network};

/// An active flow.
#[derive(Debug, Clone)]
struct Flow {
    nic: usize,
    disk: usize,
    bytes: f64,
    remaining_bytes: f64,
    disk_cost: f64,
    rate_bps: f64,
    tag: u64,
}

/// The naive engine; its calls mean what those of [`super::Fluid`] mean.
#[derive(Debug, Clone)]
pub struct Naive {
    network: Network,
    now_s: f64,
    /// In the order of their starts.
    flows: Vec<Flow>,
    ended_bytes: Vec<f64>,
}

impl Naive {
    /// See [`super::Fluid::new`].
    pub fn new(network: Network) -> Result<Self, FluidError> {
        network.check()?;
        let ended_bytes = vec![0.0; network.disk_bps.len()];
        Ok(Self { network, now_s: 0.0, flows: Vec::new(), ended_bytes })
    }

    /// See [`super::Fluid::start`].
    pub fn start(&mut self, nic: u32, disk: u32, bytes: f64, disk_cost: f64, tag: u64) {
        let (nic, disk) = (nic as usize, disk as usize);
        self.flows.push(Flow { nic, disk, bytes, remaining_bytes: bytes, disk_cost, rate_bps: 0.0, tag });
    }

    /// See [`super::Fluid::advance`].
    pub fn advance(&mut self, to_s: f64, done: &mut Vec<Done>) {
        while !self.flows.is_empty() {
            self.fill();
            let end_s = |flow: &Flow| self.now_s + flow.remaining_bytes / flow.rate_bps;
            let next_s = self.flows.iter().map(end_s).fold(f64::INFINITY, f64::min);
            if next_s > to_s {
                break;
            }
            let ends: Vec<bool> = self.flows.iter().map(|flow| end_s(flow) <= next_s).collect();
            self.pass(next_s);
            for (flow, _) in self.flows.iter().zip(&ends).filter(|&(_, &ends)| ends) {
                done.push(Done { tag: flow.tag, end_s: next_s });
                self.ended_bytes[flow.disk] += flow.bytes;
            }
            let mut ends = ends.into_iter();
            self.flows.retain(|_| ends.next() == Some(false));
        }
        self.pass(to_s);
    }

    /// See [`super::Fluid::set_disk_bps`].
    pub fn set_disk_bps(&mut self, disk: u32, bps: f64) {
        self.network.disk_bps[disk as usize] = bps;
    }

    /// See [`super::Fluid::set_link_bps`].
    pub fn set_link_bps(&mut self, link: u32, bps: f64) {
        self.network.link_bps[link as usize] = bps;
    }

    /// See [`super::Fluid::disk_served_bytes`].
    pub fn disk_served_bytes(&self, disk: u32) -> f64 {
        let moved = |flow: &Flow| flow.bytes - flow.remaining_bytes;
        self.ended_bytes[disk as usize] + self.on_disk(disk).map(moved).sum::<f64>()
    }

    /// See [`super::Fluid::disk_backlog_bytes`].
    pub fn disk_backlog_bytes(&self, disk: u32) -> f64 {
        self.on_disk(disk).map(|flow| flow.remaining_bytes).sum()
    }

    /// See [`super::Fluid::disk_flows`].
    pub fn disk_flows(&self, disk: u32) -> u32 {
        self.on_disk(disk).count() as u32
    }

    fn on_disk(&self, disk: u32) -> impl Iterator<Item = &Flow> {
        self.flows.iter().filter(move |flow| flow.disk == disk as usize)
    }

    fn pass(&mut self, to_s: f64) {
        for flow in &mut self.flows {
            flow.remaining_bytes = (flow.remaining_bytes - flow.rate_bps * (to_s - self.now_s)).max(0.0);
        }
        self.now_s = to_s;
    }

    /// Progressive filling: raise all rates together, stop the flows of the resource that is full first, go on.
    fn fill(&mut self) {
        let Network { nic_bps, link_bps, disk_bps, disk_link } = &self.network;
        let (first_link, first_disk) = (nic_bps.len(), nic_bps.len() + link_bps.len());
        let mut left: Vec<f64> = [nic_bps.as_slice(), link_bps, disk_bps].concat();
        let path = |flow: &Flow| {
            let link = disk_link[flow.disk] as usize;
            [(flow.nic, 1.0), (first_link + link, 1.0), (first_disk + flow.disk, flow.disk_cost)]
        };
        let mut stopped = vec![false; self.flows.len()];
        while stopped.contains(&false) {
            let mut weight = vec![0.0; left.len()];
            for (flow, _) in self.flows.iter().zip(&stopped).filter(|&(_, &stopped)| !stopped) {
                for (resource, cost) in path(flow) {
                    weight[resource] += cost;
                }
            }
            let share = |resource: usize| left[resource] / weight[resource];
            let Some(full) =
                (0..left.len()).filter(|&r| weight[r] > 0.0).min_by(|&a, &b| share(a).total_cmp(&share(b)))
            else {
                return;
            };
            let level = share(full);
            for (flow, stopped) in self.flows.iter_mut().zip(&mut stopped).filter(|(_, stopped)| !**stopped) {
                let path = path(flow);
                if path.iter().all(|&(resource, _)| resource != full) {
                    continue;
                }
                *stopped = true;
                flow.rate_bps = level;
                for (resource, cost) in path {
                    left[resource] -= cost * level;
                }
            }
        }
    }
}
