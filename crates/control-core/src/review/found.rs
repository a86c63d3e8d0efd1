//! What a proxy answered when it was asked what it has.

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch, NodeHealth, NodeState, ProxyHealth, Role, SlotRanges, View};

/// What each proxy that was asked answered; `None` for one that did not.
pub type AskedProxies = BTreeMap<Address, Option<Found>>;

/// What a proxy has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How it and its nodes are.
    pub health: ProxyHealth,
    /// Its view; `None` before the first.
    pub view: Option<View>,
    /// What its nodes hold, as far as they answer.
    pub contents: BTreeMap<Address, NodeContents>,
}

/// What a node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeContents {
    /// Names its process.
    pub run_id: String,
    /// How many keys it has, in all databases.
    pub keys: u64,
}

impl Found {
    /// The epoch of its view or of its nodes' roles, whichever is newer.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.health.view_epoch.max(self.health.roles_epoch)
    }

    /// The view of the cluster that it serves; `None` where it has no part in any.
    pub(super) fn serving_view(&self) -> Option<&View> {
        self.view.as_ref().filter(|view| !view.is_empty())
    }

    /// Whether it serves nobody, and these nodes of its hold nothing; `None` where it cannot tell, because it was not
    /// given them yet.
    #[must_use]
    pub fn is_idle(&self, nodes: &[Address]) -> Option<bool> {
        let has_keys = |node: &Address| self.keys(node).is_some_and(|keys| keys > 0);
        if self.cluster().is_some() || nodes.iter().any(has_keys) {
            return Some(false);
        }
        nodes.iter().all(|node| self.keys(node) == Some(0)).then_some(true)
    }

    /// The cluster that it serves.
    pub(super) fn cluster(&self) -> Option<&ClusterName> {
        self.serving_view().map(|view| &view.cluster)
    }

    /// The slots that it serves in that cluster by its own view.
    pub(super) fn owned(&self, cluster: &ClusterName) -> SlotRanges {
        let view = self.serving_view().filter(|view| view.cluster == *cluster);
        view.map(View::owned_locally).unwrap_or_default()
    }

    /// What it says of a node.
    pub(super) fn node(&self, node: &Address) -> Option<&NodeHealth> {
        self.health.nodes.iter().find(|health| health.address == *node)
    }

    /// Whether a node answers and takes writes.
    pub(super) fn is_primary(&self, node: &Address) -> bool {
        self.node(node).is_some_and(|health| {
            health.state == NodeState::Up && health.role == Role::Primary && !health.restarted
        })
    }

    /// How many keys a node has; `None` where that is not known.
    pub(super) fn keys(&self, node: &Address) -> Option<u64> {
        self.contents.get(node).map(|contents| contents.keys)
    }
}
