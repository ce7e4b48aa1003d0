//! Minimum-cost maximum flow on a network of dense node numbers.
//!
//! This module owns the network, its limits and what is reported; the algorithm lives in `simplex`.

use thiserror::Error;

use super::simplex;

/// Most nodes: beyond any file system's targets, servers and groups together; keeps node numbers in 32 bits.
pub const NODES_MAX: u32 = 1 << 22;

/// Most arcs: 16 segments for each of a million targets, at 40 bytes an arc; keeps arc numbers in 32 bits.
pub const ARCS_MAX: usize = 1 << 24;

/// Most units wanted: the arc for those that are not brought never becomes full.
pub const WANTED_MAX: i64 = i64::MAX / 2;

/// Why a network was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// More than [`NODES_MAX`].
    #[error("{nodes} nodes, but at most {NODES_MAX} are supported; split the network")]
    TooManyNodes {
        /// Nodes asked for.
        nodes: u32,
    },
    /// More than [`ARCS_MAX`].
    #[error("more than {ARCS_MAX} arcs; merge parallel ones or split the network")]
    TooManyArcs,
    /// A node number that the network does not have.
    #[error("node {node} does not exist: nodes are numbered 0 to {}", i64::from(*nodes) - 1)]
    NoSuchNode {
        /// The number.
        node: u32,
        /// Nodes of the network.
        nodes: u32,
    },
    /// A negative capacity or amount.
    #[error("arc {arc}: capacity {capacity} is negative")]
    NegativeCapacity {
        /// Number of the arc.
        arc: usize,
        /// Its capacity.
        capacity: i64,
    },
    /// A negative cost: with cycles of negative cost a flow that nobody asked for would be cheapest.
    #[error("arc {arc}: unit cost {cost} is negative; add one constant to all costs of a path")]
    NegativeCost {
        /// Number of the arc.
        arc: usize,
        /// Its cost.
        cost: i64,
    },
    /// Source and sink are one node, or less than nothing or more than [`WANTED_MAX`] is wanted.
    #[error(
        "{wanted} units from node {source_node} to node {sink}: two nodes and an amount from 0 to {WANTED_MAX} are needed"
    )]
    NoErrand {
        /// Where flow begins.
        source_node: u32,
        /// Where it ends.
        sink: u32,
        /// Units wanted.
        wanted: i64,
    },
    /// Costs whose sums could leave 64 bits.
    #[error(
        "{wanted} units at up to {cost} a unit and arc over {nodes} nodes may cost more than fits 64 bits; scale the costs down"
    )]
    CostTooLarge {
        /// Units wanted.
        wanted: i64,
        /// Largest unit cost of an arc.
        cost: i64,
        /// Nodes of the network.
        nodes: u32,
    },
}

/// An arc without its capacity: what pricing reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arc {
    pub(super) tail: u32,
    pub(super) head: u32,
    pub(super) cost: i64,
}

/// A directed network with capacities and unit costs, both at least 0. Parallel arcs with rising costs make a convex
/// cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    nodes: u32,
    arcs: Vec<Arc>,
    capacities: Vec<i64>,
    /// The largest unit cost.
    cost_max: i64,
    /// Cost of filling every arc, as far as 128 bits hold it.
    cost_of_all: i128,
}

/// A cheapest one among the largest flows, with its proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Units that arrive: as many as were wanted, or as many as the network can carry.
    pub value: i64,
    /// Their total cost.
    pub cost: i64,
    /// Units on each arc, by its number.
    pub by_arc: Vec<i64>,
    /// Arcs, all full, whose capacities are what keeps more units from arriving: a minimum cut. Empty where all
    /// that were wanted arrive.
    pub cut: Vec<u32>,
}

impl Network {
    /// A network without arcs; nodes are numbered from 0.
    ///
    /// # Errors
    /// More than [`NODES_MAX`] nodes.
    pub fn new(nodes: u32) -> Result<Self, NetworkError> {
        if nodes > NODES_MAX {
            return Err(NetworkError::TooManyNodes { nodes });
        }
        Ok(Self { nodes, arcs: Vec::new(), capacities: Vec::new(), cost_max: 0, cost_of_all: 0 })
    }

    /// Adds an arc and returns its number; arcs are numbered from 0 in the order they are added.
    ///
    /// # Errors
    /// A node that does not exist, a negative capacity or cost, or more than [`ARCS_MAX`] arcs.
    pub fn add_arc(&mut self, tail: u32, head: u32, capacity: i64, cost: i64) -> Result<u32, NetworkError> {
        let arc = self.arcs.len();
        if arc >= ARCS_MAX {
            return Err(NetworkError::TooManyArcs);
        }
        self.check_node(tail)?;
        self.check_node(head)?;
        if capacity < 0 {
            return Err(NetworkError::NegativeCapacity { arc, capacity });
        }
        if cost < 0 {
            return Err(NetworkError::NegativeCost { arc, cost });
        }
        self.arcs.push(Arc { tail, head, cost });
        self.capacities.push(capacity);
        self.cost_max = self.cost_max.max(cost);
        let whole = i128::from(capacity) * i128::from(cost);
        self.cost_of_all = self.cost_of_all.saturating_add(whole);
        Ok(arc as u32)
    }

    /// Brings up to `wanted` units from `source` to `sink`: as many as possible, and these as cheaply as possible.
    ///
    /// Primal network simplex; the worst case is exponential in theory and has not been met on networks of layers,
    /// where it takes about as many pivots as arcs become full.
    ///
    /// # Errors
    /// Nodes that do not exist or are one, a negative amount, or costs whose sums could leave 64 bits.
    pub fn solve(&self, source: u32, sink: u32, wanted: i64) -> Result<Flow, NetworkError> {
        self.check_node(source)?;
        self.check_node(sink)?;
        if source == sink || !(0..=WANTED_MAX).contains(&wanted) {
            return Err(NetworkError::NoErrand { source_node: source, sink, wanted });
        }
        self.solve_from(source, sink, wanted, vec![0; self.arcs.len()])
    }

    /// As [`Self::solve`], beginning with a flow that is near the optimum. What is no flow is not begun with.
    pub(super) fn solve_from(
        &self,
        source: u32,
        sink: u32,
        wanted: i64,
        mut start: Vec<i64>,
    ) -> Result<Flow, NetworkError> {
        let overflow_cost = self.overflow_cost(wanted)?;
        let brought = self.brought(source, sink, &start).filter(|brought| (0..=wanted).contains(brought));
        if brought.is_none() {
            start = vec![0; self.arcs.len()];
        }
        let errand = Errand { source, sink, wanted, brought: brought.unwrap_or(0), overflow_cost };
        let (value, by_arc) = simplex::solve(self, errand, start);
        let cost = self.arcs.iter().zip(&by_arc).map(|(arc, units)| arc.cost * units).sum();
        let cut = if value < wanted { self.cut(source, &by_arc) } else { Vec::new() };
        Ok(Flow { value, cost, by_arc, cut })
    }

    /// Units that a flow brings; `None` where it is none.
    fn brought(&self, source: u32, sink: u32, flows: &[i64]) -> Option<i64> {
        let mut net = vec![0i64; self.nodes as usize];
        for ((arc, capacity), flow) in self.arcs.iter().zip(&self.capacities).zip(flows) {
            if !(0..=*capacity).contains(flow) {
                return None;
            }
            net[arc.tail as usize] = net[arc.tail as usize].checked_add(*flow)?;
            net[arc.head as usize] = net[arc.head as usize].checked_sub(*flow)?;
        }
        let brought = net[source as usize];
        net[source as usize] = 0;
        net[sink as usize] += brought;
        (flows.len() == self.arcs.len() && net.iter().all(|net| *net == 0)).then_some(brought)
    }

    /// What a unit costs that is not brought: more than any path, so that no unit is left behind to save cost.
    /// Potentials stay within two of it and reduced costs within six, which must fit as well.
    fn overflow_cost(&self, wanted: i64) -> Result<i64, NetworkError> {
        let too_large = NetworkError::CostTooLarge { wanted, cost: self.cost_max, nodes: self.nodes };
        let path = i128::from(self.cost_max) * i128::from(self.nodes);
        // A cheapest flow is a sum of paths and of cycles without cost.
        let total = self.cost_of_all.min(path.saturating_mul(i128::from(wanted)));
        if total > i128::from(i64::MAX) || path >= i128::from(i64::MAX / 8) {
            return Err(too_large);
        }
        i64::try_from(path + 1).map_err(|_| too_large)
    }

    fn check_node(&self, node: u32) -> Result<(), NetworkError> {
        if node < self.nodes { Ok(()) } else { Err(NetworkError::NoSuchNode { node, nodes: self.nodes }) }
    }

    /// The full arcs that leave the nodes which one more unit could still reach.
    fn cut(&self, source: u32, by_arc: &[i64]) -> Vec<u32> {
        let touching = Touching::of(self.nodes, &self.arcs);
        let mut reached = vec![false; self.nodes as usize];
        reached[source as usize] = true;
        let mut open = vec![source];
        while let Some(node) = open.pop() {
            for number in touching.arcs(node) {
                let (number, arc) = (*number as usize, self.arcs[*number as usize]);
                let forward = arc.tail == node && by_arc[number] < self.capacities[number];
                let backward = arc.head == node && by_arc[number] > 0;
                let next = if forward { arc.head } else { arc.tail };
                if (forward || backward) && !reached[next as usize] {
                    reached[next as usize] = true;
                    open.push(next);
                }
            }
        }
        let crosses = |arc: &Arc| reached[arc.tail as usize] && !reached[arc.head as usize];
        (0u32..).zip(&self.arcs).filter(|(_, arc)| crosses(arc)).map(|(number, _)| number).collect()
    }

    /// Nodes of the network.
    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.nodes
    }

    pub(super) fn arcs(&self) -> &[Arc] {
        &self.arcs
    }

    /// Capacities of the arcs, by their number.
    #[must_use]
    pub fn capacities(&self) -> &[i64] {
        &self.capacities
    }
}

/// What is to be brought, and how much a start brings already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    pub(super) source: u32,
    pub(super) sink: u32,
    pub(super) wanted: i64,
    pub(super) brought: i64,
    /// What a unit costs that is not brought.
    pub(super) overflow_cost: i64,
}

/// The arcs that begin or end at each node.
pub(super) struct Touching {
    starts: Vec<u32>,
    arcs: Vec<u32>,
}

impl Touching {
    pub(super) fn of(nodes: u32, arcs: &[Arc]) -> Self {
        let mut starts = vec![0u32; nodes as usize + 1];
        for arc in arcs {
            starts[arc.tail as usize + 1] += 1;
            starts[arc.head as usize + 1] += 1;
        }
        for node in 0..nodes as usize {
            starts[node + 1] += starts[node];
        }
        let mut places = starts.clone();
        let mut by_node = vec![0; 2 * arcs.len()];
        for (number, arc) in (0u32..).zip(arcs) {
            for node in [arc.tail, arc.head] {
                let place = &mut places[node as usize];
                by_node[*place as usize] = number;
                *place += 1;
            }
        }
        Self { starts, arcs: by_node }
    }

    pub(super) fn arcs(&self, node: u32) -> &[u32] {
        let node = node as usize;
        &self.arcs[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}
