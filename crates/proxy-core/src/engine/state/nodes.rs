//! The nodes beside this proxy, the proxies that it forwards to, and this worker's connections to them.

use model::Address;
use resp::Protocol;

use super::abandoned::AbandonedId;
use super::creditors::Creditors;
use super::ids::{BackendId, NodeKey, SessionId};
use super::node_kind::NodeKind;
use super::reached::Reached;
use super::slab::Slab;
use crate::route::TargetIndex;

/// Connections for database 0 that a worker may have to one node, for each protocol version.
pub const CONNECTIONS_MAX: usize = 4;

/// What a connection that sessions share is for, besides database 0 of a local node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Way {
    pub(in crate::engine) db: u32,
    pub(in crate::engine) protocol: Protocol,
    /// To another proxy: how many more proxies may forward what goes this way.
    pub(in crate::engine) hops: Option<u8>,
}

#[derive(Debug)]
pub(in crate::engine) struct Node {
    pub(in crate::engine) address: Address,
    pub(in crate::engine) kind: NodeKind,
    /// Who has sent anything there has this noted.
    pub(in crate::engine) mark: Reached,
    /// Database 0, by protocol: the connections that all sessions share.
    pub(in crate::engine) main: [[Option<BackendId>; CONNECTIONS_MAX]; 2],
    /// Other databases, and what goes to another proxy, by the hops that are left.
    pub(in crate::engine) others: Vec<(Way, BackendId)>,
    /// By protocol: what must not wait behind anything else (SCRIPT KILL), of all sessions.
    pub(in crate::engine) apart: [Option<BackendId>; 2],
    /// Connections of their own that no session uses now.
    pub(in crate::engine) idle: Vec<BackendId>,
    /// Sessions that connections to it owed something when they were given up.
    pub(in crate::engine) creditors: Creditors,
    /// Part of the current view.
    pub(in crate::engine) current: bool,
    /// A shared connection to it failed, and no connection has been answered since: a new one has to prove itself.
    pub(in crate::engine) doubted: bool,
    /// When a new connection's greeting was last answered (worker clock, µs).
    pub(in crate::engine) greeted_us: u64,
    /// The connection on which another proxy is asked whether it lives.
    pub(in crate::engine) sign_of_life: Option<BackendId>,
    /// Connections to it of any kind. A node that no view has is forgotten with its last connection.
    pub(in crate::engine) backends: u32,
}

impl Node {
    /// The connections that sessions share.
    pub(in crate::engine) fn shared(&self) -> impl Iterator<Item = BackendId> {
        let main = self.main.iter().flatten().filter_map(|entry| *entry);
        let apart = self.apart.iter().filter_map(|entry| *entry);
        main.chain(self.others.iter().map(|&(_, entry)| entry)).chain(apart)
    }
}

/// All nodes, and which of them the current view's targets are.
#[derive(Debug)]
pub(in crate::engine) struct Nodes {
    pub(in crate::engine) nodes: Slab<NodeKey, Node>,
    /// For each target of the view, its local node.
    targets: Vec<Option<NodeKey>>,
    /// For each target of the view, the proxy that it is.
    proxies: Vec<Option<NodeKey>>,
    primaries: Vec<TargetIndex>,
    /// The proxies that own slots.
    owning_proxies: Vec<NodeKey>,
    pub(in crate::engine) connections: u32,
    /// Of connections that any worker gave up before this one, this worker has heard.
    pub(in crate::engine) heard: AbandonedId,
}

impl Default for Nodes {
    fn default() -> Self {
        Nodes {
            nodes: Slab::with_capacity(0),
            targets: Vec::new(),
            proxies: Vec::new(),
            primaries: Vec::new(),
            owning_proxies: Vec::new(),
            connections: 1,
            heard: AbandonedId::default(),
        }
    }
}

impl Nodes {
    /// Which of the connections to a node a session's requests for database 0 take.
    #[inline]
    pub(in crate::engine) fn way(&self, id: SessionId) -> usize {
        if self.connections == 1 { 0 } else { id.index() % self.connections as usize }
    }

    /// The shared connection for database 0 of the node of `target`, if there is one.
    #[inline]
    pub(in crate::engine) fn shared_backend(
        &self,
        target: TargetIndex,
        protocol: Protocol,
        id: SessionId,
    ) -> Option<BackendId> {
        let node = self.targets[target as usize]?;
        self.nodes[node].main[protocol as usize][self.way(id)]
    }

    /// The node of a target.
    pub(in crate::engine) fn of_target(&self, target: TargetIndex) -> Option<NodeKey> {
        self.targets.get(target as usize).copied().flatten()
    }

    /// The proxy that a target is, where requests are forwarded to it.
    pub(in crate::engine) fn proxy_of_target(&self, target: TargetIndex) -> Option<NodeKey> {
        self.proxies.get(target as usize).copied().flatten()
    }

    /// The targets that commands without a key go to.
    pub(in crate::engine) fn primaries(&self) -> &[TargetIndex] {
        &self.primaries
    }

    /// The other proxies that own slots.
    pub(in crate::engine) fn owning_proxies(&self) -> &[NodeKey] {
        &self.owning_proxies
    }

    /// The node with this address, if there is one.
    pub(in crate::engine) fn known(&self, address: &Address, kind: NodeKind) -> Option<NodeKey> {
        let is_it = |node: &Node| node.address == *address && node.kind == kind;
        self.nodes.iter().find(|(_, node)| is_it(node)).map(|(key, _)| key)
    }

    /// The node with this address, made where it is new.
    pub(in crate::engine) fn key_of(&mut self, address: &Address, kind: NodeKind) -> NodeKey {
        if let Some(key) = self.known(address, kind) {
            return key;
        }
        let mark = match kind {
            NodeKind::Proxy => Reached::OTHER_PROXY,
            NodeKind::Local => Reached::unlike(self.nodes.iter().map(|(_, node)| node.mark)),
        };
        self.nodes.insert(Node {
            address: address.clone(),
            kind,
            mark,
            main: [[None; CONNECTIONS_MAX]; 2],
            others: Vec::new(),
            apart: [None; 2],
            idle: Vec::new(),
            creditors: Creditors::default(),
            current: true,
            doubted: false,
            greeted_us: 0,
            sign_of_life: None,
            backends: 0,
        })
    }

    /// Takes over the targets of a new view: for each the local node, or the proxy to forward to. `owners` are those of the
    /// proxies that own slots.
    pub(in crate::engine) fn set_targets(
        &mut self,
        targets: Vec<Option<NodeKey>>,
        proxies: Vec<Option<NodeKey>>,
        primaries: Vec<TargetIndex>,
        owners: &[TargetIndex],
    ) {
        for key in self.nodes.keys(|_| true) {
            let is_current = targets.contains(&Some(key)) || proxies.contains(&Some(key));
            self.nodes[key].current = is_current;
            self.forget_if_unused(key);
        }
        self.owning_proxies = owners.iter().filter_map(|&target| proxies[target as usize]).collect();
        self.proxies = proxies;
        self.targets = targets;
        self.primaries = primaries;
    }

    /// Takes a backend out of every list, so that nothing new is sent to it.
    pub(in crate::engine) fn unlist(&mut self, node: NodeKey, backend: BackendId) {
        let Some(node) = self.nodes.get_mut(node) else { return };
        node.main
            .iter_mut()
            .flatten()
            .chain(&mut node.apart)
            .filter(|entry| **entry == Some(backend))
            .for_each(|entry| *entry = None);
        node.others.retain(|&(_, entry)| entry != backend);
        node.idle.retain(|&entry| entry != backend);
    }

    /// A backend of this node is gone for good.
    pub(in crate::engine) fn backend_gone(&mut self, node: NodeKey) {
        self.nodes[node].backends -= 1;
        self.forget_if_unused(node);
    }

    fn forget_if_unused(&mut self, key: NodeKey) {
        let node = &self.nodes[key];
        if !node.current && node.backends == 0 {
            self.nodes.remove(key);
            // Nobody outside knows of nodes.
            self.nodes.reuse();
        }
    }
}
