//! Connections of the control thread's own that are of no use at the moment and may be soon.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Address;

use super::super::node_client::NodeClient;

/// Connections kept to one node.
const IDLE_PER_NODE_MAX: usize = 8;

/// Connections that nobody uses, by their node. Each owes no reply.
#[derive(Debug, Default)]
pub(super) struct IdleClients(Mutex<BTreeMap<Address, Vec<NodeClient>>>);

impl IdleClients {
    /// One to this node. It may have been closed by the node in the meantime.
    pub(super) fn take(&self, node: &Address) -> Option<NodeClient> {
        self.lock().get_mut(node)?.pop()
    }

    /// Keeps one for later, or closes it where there are enough.
    pub(super) fn put(&self, node: Address, client: NodeClient) {
        let mut nodes = self.lock();
        let clients = nodes.entry(node).or_default();
        if clients.len() < IDLE_PER_NODE_MAX {
            clients.push(client);
        }
    }

    /// Closes those to other nodes.
    pub(super) fn keep_only(&self, nodes: &[Address]) {
        self.lock().retain(|node, _| nodes.contains(node));
    }

    /// Every change is one step, so that what a panic leaves behind is whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Vec<NodeClient>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
