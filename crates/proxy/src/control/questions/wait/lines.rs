//! Connections on which nodes are asked and wait.

use std::sync::Arc;
use std::time::Duration;

use link::LinkError;
use model::Address;
use proxy_core::settings::Password;

use super::super::super::node_client::NodeClient;
use super::super::idle_clients::IdleClients;

/// Where they come from, and where they are kept meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) password: Option<Password>,
    /// How long each step may take.
    pub(super) limit: Duration,
    pub(super) idle: Arc<IdleClients>,
}

impl Lines {
    /// One that was used before. The node may have closed it in the meantime.
    pub(super) fn take(&self, node: &Address) -> Option<NodeClient> {
        self.idle.take(node)
    }

    /// A new one.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) async fn connect(&self, node: &Address) -> Result<NodeClient, LinkError> {
        NodeClient::connect(node, self.password.as_ref(), self.limit).await
    }

    /// Keeps one that owes no reply for later.
    pub(super) fn put(&self, node: Address, client: NodeClient) {
        self.idle.put(node, client);
    }
}
