//! What the file system is built of: targets below servers below enclosures, as a tree.
//!
//! Slow facts only. What a target is doing is in [`crate::view`].

use petgraph::algo::is_cyclic_directed;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, EdgeRef};
use tarazu_layout::limits::TARGETS_MAX;
use tarazu_layout::{Bytes, OstIndex, ServerId, TargetId};

/// What is known of a target before it has been observed.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetSpec {
    /// Its index in Lustre.
    pub ost: OstIndex,
    /// The server that serves it.
    pub server: ServerId,
    /// Prior read bandwidth of its hardware class, bytes/s.
    pub read_bps: f64,
    /// Prior write bandwidth of its hardware class, bytes/s.
    pub write_bps: f64,
    /// Its size.
    pub capacity: Bytes,
}

/// What is known of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSpec {
    /// Bandwidth of its network link, bytes/s.
    pub link_bps: f64,
    /// The enclosure it stands in; servers without one stand alone.
    pub enclosure: Option<u32>,
}

/// A node of the containment tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The whole file system.
    System,
    /// A set of servers with shared hardware.
    Enclosure(u32),
    /// A server.
    Server(ServerId),
    /// A target.
    Target(TargetId),
}

/// Targets and servers with their containment, checked once when it is made.
#[derive(Clone, Debug)]
pub struct Topology {
    targets: Vec<TargetSpec>,
    servers: Vec<ServerSpec>,
    by_server: Vec<Vec<TargetId>>,
    tree: DiGraph<Place, ()>,
}

/// Why a topology was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// No targets, or more than a table can name.
    #[error("a file system has 1 to {TARGETS_MAX} targets, not {found}")]
    Targets {
        /// Targets found.
        found: usize,
    },
    /// A target names a server that is not there.
    #[error("{target} names {server}, but there are only {servers} servers")]
    UnknownServer {
        /// The target.
        target: TargetId,
        /// The server it names.
        server: ServerId,
        /// Servers that exist.
        servers: usize,
    },
    /// Two targets have one OST index.
    #[error("{ost} is the index of both {first} and {second}")]
    TwiceTheIndex {
        /// The index.
        ost: OstIndex,
        /// The first target with it.
        first: TargetId,
        /// The second one.
        second: TargetId,
    },
    /// A bandwidth is not a positive number.
    #[error("{place:?} has a bandwidth that is not a positive number of bytes per second")]
    Bandwidth {
        /// Where.
        place: Place,
    },
    /// The containment is no tree.
    #[error("targets, servers and enclosures do not form a tree")]
    NotATree,
}

impl Topology {
    /// Checks and builds a topology; `targets[i]` is `TargetId(i)`, `servers[i]` is `ServerId(i)`.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(targets: Vec<TargetSpec>, servers: Vec<ServerSpec>) -> Result<Self, TopologyError> {
        if targets.is_empty() || targets.len() > TARGETS_MAX {
            return Err(TopologyError::Targets { found: targets.len() });
        }
        check_targets(&targets, &servers)?;
        for (number, server) in servers.iter().enumerate() {
            if !is_positive(server.link_bps) {
                return Err(TopologyError::Bandwidth { place: Place::Server(ServerId(number as u32)) });
            }
        }
        let mut by_server = vec![Vec::new(); servers.len()];
        for (number, target) in targets.iter().enumerate() {
            by_server[target.server.index()].push(TargetId(number as u32));
        }
        let tree = containment(&targets, &servers);
        if is_cyclic_directed(&tree) || tree.edge_count() + 1 != tree.node_count() {
            return Err(TopologyError::NotATree);
        }
        Ok(Self { targets, servers, by_server, tree })
    }

    /// All targets in order of their id.
    #[must_use]
    pub fn targets(&self) -> &[TargetSpec] {
        &self.targets
    }

    /// All servers in order of their id.
    #[must_use]
    pub fn servers(&self) -> &[ServerSpec] {
        &self.servers
    }

    /// The targets of each server, in order of their id.
    #[must_use]
    pub fn by_server(&self) -> &[Vec<TargetId>] {
        &self.by_server
    }

    /// Every target id.
    pub fn ids(&self) -> impl Iterator<Item = TargetId> + use<> {
        (0..self.targets.len() as u32).map(TargetId)
    }

    /// All targets below a place, in order of their id; none where the place does not exist.
    #[must_use]
    pub fn targets_below(&self, place: Place) -> Vec<TargetId> {
        let Some(root) = self.tree.node_indices().find(|node| self.tree[*node] == place) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut walk = Dfs::new(&self.tree, root);
        while let Some(node) = walk.next(&self.tree) {
            if let Place::Target(target) = self.tree[node] {
                found.push(target);
            }
        }
        found.sort_unstable();
        found
    }

    /// The chain of places that contain a target, from its server up to the system.
    #[must_use]
    pub fn above(&self, target: TargetId) -> Vec<Place> {
        let mut chain = Vec::new();
        let mut node = self.tree.node_indices().find(|node| self.tree[*node] == Place::Target(target));
        while let Some(here) = node {
            node = self
                .tree
                .edges_directed(here, petgraph::Direction::Incoming)
                .next()
                .map(|edge| edge.source());
            chain.extend(node.map(|above| self.tree[above]));
        }
        chain
    }
}

fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

fn check_targets(targets: &[TargetSpec], servers: &[ServerSpec]) -> Result<(), TopologyError> {
    let mut by_index = std::collections::BTreeMap::new();
    for (number, spec) in targets.iter().enumerate() {
        let target = TargetId(number as u32);
        if spec.server.index() >= servers.len() {
            return Err(TopologyError::UnknownServer { target, server: spec.server, servers: servers.len() });
        }
        if !is_positive(spec.read_bps) || !is_positive(spec.write_bps) {
            return Err(TopologyError::Bandwidth { place: Place::Target(target) });
        }
        if let Some(first) = by_index.insert(spec.ost, target) {
            return Err(TopologyError::TwiceTheIndex { ost: spec.ost, first, second: target });
        }
    }
    Ok(())
}

fn containment(targets: &[TargetSpec], servers: &[ServerSpec]) -> DiGraph<Place, ()> {
    let mut tree = DiGraph::with_capacity(targets.len() + servers.len() + 1, targets.len() + servers.len());
    let root = tree.add_node(Place::System);
    let mut enclosures = std::collections::BTreeMap::<u32, NodeIndex>::new();
    let mut server_nodes = Vec::with_capacity(servers.len());
    for (number, server) in servers.iter().enumerate() {
        let parent = match server.enclosure {
            None => root,
            Some(enclosure) => *enclosures.entry(enclosure).or_insert_with(|| {
                let node = tree.add_node(Place::Enclosure(enclosure));
                tree.add_edge(root, node, ());
                node
            }),
        };
        let node = tree.add_node(Place::Server(ServerId(number as u32)));
        tree.add_edge(parent, node, ());
        server_nodes.push(node);
    }
    for (number, target) in targets.iter().enumerate() {
        let node = tree.add_node(Place::Target(TargetId(number as u32)));
        tree.add_edge(server_nodes[target.server.index()], node, ());
    }
    tree
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// `servers` servers with `per_server` equal targets of 1 GB/s each.
    pub(crate) fn uniform(servers: u32, per_server: u32) -> Topology {
        let target = |number: u32| TargetSpec {
            ost: OstIndex(number),
            server: ServerId(number / per_server),
            read_bps: 1e9,
            write_bps: 1e9,
            capacity: Bytes(1 << 44),
        };
        let server = ServerSpec { link_bps: 1e9 * f64::from(per_server), enclosure: None };
        let targets = (0..servers * per_server).map(target).collect();
        Topology::new(targets, vec![server; servers as usize]).expect("a valid topology")
    }

    #[test]
    fn containment_is_a_tree() {
        let mut servers = vec![ServerSpec { link_bps: 1e9, enclosure: Some(4) }; 2];
        servers.push(ServerSpec { link_bps: 1e9, enclosure: None });
        let targets = uniform(3, 2).targets().to_vec();
        let topology = Topology::new(targets, servers).expect("a valid topology");
        assert_eq!(topology.targets_below(Place::Enclosure(4)), [0, 1, 2, 3].map(TargetId));
        assert_eq!(topology.targets_below(Place::Server(ServerId(2))), [4, 5].map(TargetId));
        assert_eq!(topology.targets_below(Place::System).len(), 6);
        let chain = topology.above(TargetId(3));
        assert_eq!(chain, [Place::Server(ServerId(1)), Place::Enclosure(4), Place::System]);
        assert_eq!(topology.targets_below(Place::Enclosure(9)), []);
    }

    #[test]
    fn wrong_topologies_are_refused() {
        let good = uniform(2, 2);
        let refuse = |change: fn(&mut Vec<TargetSpec>)| {
            let mut targets = good.targets().to_vec();
            change(&mut targets);
            Topology::new(targets, good.servers().to_vec()).expect_err("must be refused")
        };
        assert!(matches!(refuse(Vec::clear), TopologyError::Targets { found: 0 }));
        assert!(matches!(refuse(|t| t[1].server = ServerId(9)), TopologyError::UnknownServer { .. }));
        assert!(matches!(refuse(|t| t[1].ost = OstIndex(0)), TopologyError::TwiceTheIndex { .. }));
        assert!(matches!(refuse(|t| t[1].read_bps = f64::NAN), TopologyError::Bandwidth { .. }));
    }
}
