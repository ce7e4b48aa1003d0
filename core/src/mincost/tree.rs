//! The spanning tree of the network simplex: parents, children, depths and potentials.

use super::network::{Arc, Touching};

/// No node, no arc.
pub(super) const NONE: u32 = u32::MAX;

/// A node of the spanning tree: the arc to its parent, and its children as a doubly linked list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    pub(super) arc: u32,
    first_child: u32,
    next: u32,
    previous: u32,
    depth: u32,
    /// Whether the arc points from the node to its parent.
    pub(super) up: bool,
}

const OUTSIDE: Node =
    Node { parent: NONE, arc: NONE, first_child: NONE, next: NONE, previous: NONE, depth: 0, up: true };

pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// Reduced cost of an arc is cost + potential(tail) − potential(head); 0 on tree arcs.
    pub(super) potentials: Vec<i64>,
}

/// A flow to begin with: what the arcs can take and what they carry.
#[derive(Clone, Copy)]
pub(super) struct Start<'a> {
    pub(super) arcs: &'a [Arc],
    pub(super) capacities: &'a [i64],
    pub(super) flows: &'a [i64],
    pub(super) touching: &'a Touching,
}

impl Start<'_> {
    /// How one more unit could come to `node` over an arc: from where, whether along the arc, and the potential there.
    fn step_to(&self, node: u32, number: u32, potential: i64) -> Option<(u32, bool, i64)> {
        let (arc, flow) = (self.arcs[number as usize], self.flows[number as usize]);
        if arc.head == node && flow < self.capacities[number as usize] {
            return Some((arc.tail, true, potential - arc.cost));
        }
        (arc.tail == node && flow > 0).then_some((arc.head, false, potential + arc.cost))
    }
}

impl Tree {
    /// Every node from which a unit could still reach the sink hangs by the cheapest such step to a node one step
    /// nearer; the source by the overflow arc. A unit can be sent up every arc: strongly feasible.
    pub(super) fn towards(start: Start, nodes: u32, sink: u32, overflow: u32) -> Self {
        let mut tree = Self { nodes: vec![OUTSIDE; nodes as usize], potentials: vec![0; nodes as usize] };
        let source = start.arcs[overflow as usize].tail;
        let hung = &mut tree.nodes[source as usize];
        (hung.parent, hung.arc, hung.depth) = (sink, overflow, 1);
        tree.potentials[source as usize] = -start.arcs[overflow as usize].cost;
        let mut level = vec![sink];
        let mut waiting = vec![source];
        let mut depth = 0;
        while !level.is_empty() {
            depth += 1;
            for parent in level {
                let potential = tree.potentials[parent as usize];
                for number in start.touching.arcs(parent) {
                    let Some((from, up, potential)) = start.step_to(parent, *number, potential) else {
                        continue;
                    };
                    if from == sink || from == source {
                        continue;
                    }
                    let node = &mut tree.nodes[from as usize];
                    if node.parent == NONE {
                        waiting.push(from);
                    } else if node.depth != depth || tree.potentials[from as usize] >= potential {
                        continue;
                    }
                    (node.parent, node.arc, node.depth, node.up) = (parent, *number, depth, up);
                    tree.potentials[from as usize] = potential;
                }
            }
            for node in &waiting {
                let Node { parent, arc, up, .. } = tree.nodes[*node as usize];
                tree.attach(*node, parent, arc, up);
            }
            level = std::mem::take(&mut waiting);
        }
        tree
    }

    pub(super) fn holds(&self, node: u32, root: u32) -> bool {
        node == root || self.nodes[node as usize].parent != NONE
    }

    fn attach(&mut self, node: u32, parent: u32, arc: u32, up: bool) {
        let next = std::mem::replace(&mut self.nodes[parent as usize].first_child, node);
        if next != NONE {
            self.nodes[next as usize].previous = node;
        }
        let entry = &mut self.nodes[node as usize];
        (entry.parent, entry.arc, entry.up) = (parent, arc, up);
        (entry.next, entry.previous) = (next, NONE);
    }

    fn detach(&mut self, node: u32) {
        let Node { parent, next, previous, .. } = self.nodes[node as usize];
        if next != NONE {
            self.nodes[next as usize].previous = previous;
        }
        if previous == NONE {
            self.nodes[parent as usize].first_child = next;
        } else {
            self.nodes[previous as usize].next = next;
        }
    }

    /// Where the ways of two nodes to the root meet.
    pub(super) fn apex(&self, mut a: u32, mut b: u32) -> u32 {
        while a != b {
            let (node_a, node_b) = (&self.nodes[a as usize], &self.nodes[b as usize]);
            let (depth_a, depth_b) = (node_a.depth, node_b.depth);
            if depth_a >= depth_b {
                a = node_a.parent;
            }
            if depth_b >= depth_a {
                b = node_b.parent;
            }
        }
        a
    }

    /// Takes off the subtree below `out`, and hangs it by its node `stem` on `parent`: the way from `stem` to `out`
    /// is turned round, and everything in it is shifted by `shift`.
    pub(super) fn rehang(&mut self, stem: u32, out: u32, parent: u32, arc: u32, up: bool, shift: i64) {
        let (mut node, mut parent, mut arc, mut up) = (stem, parent, arc, up);
        loop {
            let old = self.nodes[node as usize];
            self.detach(node);
            self.attach(node, parent, arc, up);
            if node == out {
                break;
            }
            (parent, arc, up, node) = (node, old.arc, !old.up, old.parent);
        }
        self.refresh(stem, shift);
    }

    /// Depths below a node anew, potentials shifted.
    fn refresh(&mut self, top: u32, shift: i64) {
        let mut at = top;
        loop {
            let parent = self.nodes[at as usize].parent;
            let depth = self.nodes[parent as usize].depth + 1;
            let node = &mut self.nodes[at as usize];
            node.depth = depth;
            self.potentials[at as usize] += shift;
            let mut node = *node;
            if node.first_child != NONE {
                at = node.first_child;
                continue;
            }
            while at != top && node.next == NONE {
                at = node.parent;
                node = self.nodes[at as usize];
            }
            if at == top {
                return;
            }
            at = node.next;
        }
    }
}
