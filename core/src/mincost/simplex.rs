//! Primal network simplex on strongly feasible spanning trees.
//!
//! Bland-like pivots may cycle; with a strongly feasible tree (every node can send a unit to the root along tree arcs)
//! and the leaving arc taken last along the cycle from its apex, they cannot (Cunningham, Mathematical Programming 11,
//! 1976). The entering arc is the best of a block of arcs, blocks taken in turn (Grigoriadis 1986; Király and Kovács,
//! Acta Universitatis Sapientiae Informatica 4, 2012, find it the best rule on most networks).
//!
//! The root is the sink. Units that cannot be brought go over one artificial arc from source to sink that costs more
//! than any path. Nodes that cannot reach the sink carry nothing and stay out of the tree.

use super::network::{Arc, Errand, Network, Touching};
use super::tree::{NONE, Start, Tree};

/// Arcs looked at for one pivot, as a multiple of the square root of their number: the size that Király and Kovács
/// recommend.
const BLOCK_PER_ROOT: f64 = 1.0;

/// Shorter blocks would find poor arcs on small networks.
const BLOCK_MIN: usize = 16;

/// Where an arc outside the tree stands; the sign by which its reduced cost counts.
const EMPTY: i8 = 1;
const IN_TREE: i8 = 0;
const FULL: i8 = -1;

struct Simplex {
    arcs: Vec<Arc>,
    capacities: Vec<i64>,
    flows: Vec<i64>,
    states: Vec<i8>,
    tree: Tree,
    /// Arc at which the next block begins.
    next_arc: usize,
    block: usize,
}

/// The arc that leaves, and how many units the cycle takes until it does.
struct Leaving {
    /// Node below the leaving arc; `None` where the entering arc goes from one bound to the other.
    node: Option<u32>,
    /// Whether that node lies on the side where flow comes down from the apex.
    on_down_side: bool,
    units: i64,
}

/// Units brought and units by arc. Arguments have been checked by [`Network::solve`].
pub(super) fn solve(network: &Network, errand: Errand, start: Vec<i64>) -> (i64, Vec<i64>) {
    let mut simplex = Simplex::new(network, errand, start);
    simplex.settle();
    while let Some(entering) = simplex.entering() {
        simplex.pivot(entering, simplex.states[entering as usize] == EMPTY);
    }
    let mut flows = simplex.flows;
    let left = flows.pop().unwrap_or(0);
    (errand.wanted - left, flows)
}

impl Simplex {
    /// `start` is a flow of the network that brings at most what is wanted.
    fn new(network: &Network, errand: Errand, start: Vec<i64>) -> Self {
        let Errand { source, sink, wanted, overflow_cost, .. } = errand;
        let mut arcs = network.arcs().to_vec();
        let mut capacities = network.capacities().to_vec();
        let overflow = arcs.len() as u32;
        arcs.push(Arc { tail: source, head: sink, cost: overflow_cost });
        // One more than flows: the arc never becomes full, and the tree stays strongly feasible.
        capacities.push(wanted + 1);
        let mut flows = start;
        flows.push(wanted - errand.brought);
        let touching = Touching::of(network.nodes(), &arcs);
        let begin = Start { arcs: &arcs, capacities: &capacities, flows: &flows, touching: &touching };
        let tree = Tree::towards(begin, network.nodes(), sink, overflow);
        let full = |(flow, capacity): (&i64, &i64)| if flow < capacity { EMPTY } else { FULL };
        let mut states: Vec<i8> = flows.iter().zip(&capacities).map(full).collect();
        for (state, arc) in states.iter_mut().zip(&arcs) {
            if !tree.holds(arc.tail, sink) || !tree.holds(arc.head, sink) {
                *state = IN_TREE;
            }
        }
        for node in tree.nodes.iter().filter(|node| node.parent != NONE) {
            states[node.arc as usize] = IN_TREE;
        }
        let block = ((arcs.len() as f64).sqrt() * BLOCK_PER_ROOT) as usize;
        Self { arcs, capacities, flows, states, tree, next_arc: 0, block: block.max(BLOCK_MIN) }
    }

    /// The arc with the most to gain in the first block that has one.
    fn entering(&mut self) -> Option<u32> {
        let count = self.arcs.len();
        let mut at = self.next_arc;
        let mut left = count;
        while left > 0 {
            let length = self.block.min(count - at).min(left);
            let (mut best, mut best_cost) = (None, 0);
            let block = self.arcs[at..at + length].iter().zip(&self.states[at..at + length]);
            for (number, (arc, state)) in (at as u32..).zip(block) {
                let potentials = &self.tree.potentials;
                let reduced = arc.cost + potentials[arc.tail as usize] - potentials[arc.head as usize];
                let reduced = i64::from(*state) * reduced;
                if reduced < best_cost {
                    (best, best_cost) = (Some(number), reduced);
                }
            }
            left -= length;
            at = if at + length == count { 0 } else { at + length };
            if best.is_some() {
                self.next_arc = at;
                return best;
            }
        }
        None
    }

    /// Arcs that carry something but not all they can and are not in the tree: each is pushed the cheaper way until
    /// it is empty, full, or in the tree.
    fn settle(&mut self) {
        for number in 0..self.arcs.len() {
            let between = 0 < self.flows[number] && self.flows[number] < self.capacities[number];
            if between && self.states[number] != IN_TREE {
                self.pivot(number as u32, self.reduced(number) <= 0);
            }
        }
    }

    fn reduced(&self, number: usize) -> i64 {
        let arc = &self.arcs[number];
        arc.cost + self.tree.potentials[arc.tail as usize] - self.tree.potentials[arc.head as usize]
    }

    /// Pushes flow over an arc outside the tree, along it or against it, and around; then the arc that lets no more
    /// through leaves the tree for it.
    fn pivot(&mut self, entering: u32, forwards: bool) {
        let arc = self.arcs[entering as usize];
        let (first, second) = if forwards { (arc.tail, arc.head) } else { (arc.head, arc.tail) };
        let apex = self.tree.apex(first, second);
        let flow = self.flows[entering as usize];
        let room = if forwards { self.capacities[entering as usize] - flow } else { flow };
        let leaving = self.leaving(room, first, second, apex);
        if leaving.units > 0 {
            self.push(entering, forwards, leaving.units);
            self.push_along(first, apex, leaving.units, false);
            self.push_along(second, apex, leaving.units, true);
        }
        let Some(out) = leaving.node else {
            self.states[entering as usize] = if forwards { FULL } else { EMPTY };
            return;
        };
        let out_arc = self.tree.nodes[out as usize].arc as usize;
        self.states[out_arc] = if self.flows[out_arc] == 0 { EMPTY } else { FULL };
        self.states[entering as usize] = IN_TREE;
        let (stem, parent) = if leaving.on_down_side { (first, second) } else { (second, first) };
        let reduced = self.reduced(entering as usize);
        let up = arc.tail == stem;
        let shift = if up { -reduced } else { reduced };
        self.tree.rehang(stem, out, parent, entering, up, shift);
    }

    /// The last arc of the cycle, from the apex in the direction of the push, that lets the least through.
    fn leaving(&self, room: i64, first: u32, second: u32, apex: u32) -> Leaving {
        let mut found = Leaving { node: None, on_down_side: false, units: room };
        let mut node = first;
        while node != apex {
            let units = self.room(node, false);
            if units < found.units {
                found = Leaving { node: Some(node), on_down_side: true, units };
            }
            node = self.tree.nodes[node as usize].parent;
        }
        let mut node = second;
        while node != apex {
            let units = self.room(node, true);
            if units <= found.units {
                found = Leaving { node: Some(node), on_down_side: false, units };
            }
            node = self.tree.nodes[node as usize].parent;
        }
        found
    }

    /// Units that may still be pushed between a node and its parent.
    fn room(&self, node: u32, upwards: bool) -> i64 {
        let node = &self.tree.nodes[node as usize];
        let flow = self.flows[node.arc as usize];
        if node.up == upwards { self.capacities[node.arc as usize] - flow } else { flow }
    }

    fn push(&mut self, arc: u32, forwards: bool, units: i64) {
        let flow = &mut self.flows[arc as usize];
        if forwards { *flow += units } else { *flow -= units }
    }

    fn push_along(&mut self, from: u32, apex: u32, units: i64, upwards: bool) {
        let mut at = from;
        while at != apex {
            let node = self.tree.nodes[at as usize];
            self.push(node.arc, node.up == upwards, units);
            at = node.parent;
        }
    }
}
