//! The nodes beside this proxy, the proxies that it forwards to, and this worker's connections to them.

use model::Address;
use resp::Protocol;

use super::session::SessionId;
use crate::routing::TargetIndex;

/// No backend.
pub(in crate::engine) const NONE: u32 = u32::MAX;
/// [`crate::routing`] targets that are not local nodes.
const NOT_LOCAL: u32 = u32::MAX;
/// Connections for database 0 that a worker may have to one node, for each protocol version.
pub const CONNECTIONS_MAX: usize = 4;

/// What a worker knows of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// A connection is ready.
    Connected,
    /// None is.
    Disconnected,
}

#[derive(Debug)]
pub(in crate::engine) struct Node {
    pub(in crate::engine) address: Address,
    /// Database 0, by protocol: the connections that all sessions share.
    pub(in crate::engine) main: [[u32; CONNECTIONS_MAX]; 2],
    /// Other databases.
    pub(in crate::engine) others: Vec<((u32, Protocol), u32)>,
    /// Connections of their own that no session uses now.
    pub(in crate::engine) idle: Vec<u32>,
    /// Part of the current view.
    pub(in crate::engine) current: bool,
    /// Not a node but another proxy, to which requests are forwarded.
    pub(in crate::engine) is_proxy: bool,
}

/// All nodes, and which of them the current view's targets are.
#[derive(Debug)]
pub(in crate::engine) struct Nodes {
    pub(in crate::engine) nodes: Vec<Node>,
    /// For each target of the view, the index of its node.
    targets: Vec<u32>,
    /// For each target that is another proxy, its index among the nodes.
    proxies: Vec<u32>,
    primaries: Vec<TargetIndex>,
    pub(in crate::engine) connections: u32,
}

impl Default for Nodes {
    fn default() -> Self {
        Nodes {
            nodes: Vec::new(),
            targets: Vec::new(),
            proxies: Vec::new(),
            primaries: Vec::new(),
            connections: 1,
        }
    }
}

impl Nodes {
    /// The shared connection for database 0 of the node of `target`, if there is one.
    #[inline]
    pub(in crate::engine) fn shared_backend(
        &self,
        target: TargetIndex,
        protocol: Protocol,
        id: SessionId,
    ) -> u32 {
        let node = self.targets[target as usize];
        if node == NOT_LOCAL {
            return NONE;
        }
        let way = if self.connections == 1 { 0 } else { (id.0 % self.connections) as usize };
        self.nodes[node as usize].main[protocol as usize][way]
    }

    /// The node of a target.
    pub(in crate::engine) fn of_target(&self, target: TargetIndex) -> Option<u32> {
        self.targets.get(target as usize).copied().filter(|&node| node != NOT_LOCAL)
    }

    /// The proxy that a target is, where requests are forwarded to it.
    pub(in crate::engine) fn proxy_of_target(&self, target: TargetIndex) -> Option<u32> {
        self.proxies.get(target as usize).copied().filter(|&node| node != NOT_LOCAL)
    }

    /// The targets that commands without a key go to.
    pub(in crate::engine) fn primaries(&self) -> &[TargetIndex] {
        &self.primaries
    }

    /// The index of the node with this address, made where it is new.
    pub(in crate::engine) fn index_of(&mut self, address: &Address, is_proxy: bool) -> u32 {
        let is_it = |node: &Node| node.address == *address && node.is_proxy == is_proxy;
        if let Some(index) = self.nodes.iter().position(is_it) {
            return index as u32;
        }
        self.nodes.push(Node {
            address: address.clone(),
            main: [[NONE; CONNECTIONS_MAX]; 2],
            others: Vec::new(),
            idle: Vec::new(),
            current: true,
            is_proxy,
        });
        (self.nodes.len() - 1) as u32
    }

    /// Takes over the targets of a new view: for each the local node, or the proxy to forward to.
    pub(in crate::engine) fn set_targets(
        &mut self,
        targets: Vec<Option<u32>>,
        proxies: Vec<Option<u32>>,
        primaries: Vec<TargetIndex>,
    ) {
        for (index, node) in (0u32..).zip(&mut self.nodes) {
            node.current = targets.contains(&Some(index)) || proxies.contains(&Some(index));
        }
        self.proxies = proxies.into_iter().map(|node| node.unwrap_or(NOT_LOCAL)).collect();
        self.targets = targets.into_iter().map(|node| node.unwrap_or(NOT_LOCAL)).collect();
        self.primaries = primaries;
    }

    /// Takes a backend out of every list, so that nothing new is sent to it.
    pub(in crate::engine) fn forget(&mut self, node: u32, backend: u32) {
        let node = &mut self.nodes[node as usize];
        node.main.iter_mut().flatten().filter(|entry| **entry == backend).for_each(|entry| *entry = NONE);
        node.others.retain(|&(_, entry)| entry != backend);
        node.idle.retain(|&entry| entry != backend);
    }
}
