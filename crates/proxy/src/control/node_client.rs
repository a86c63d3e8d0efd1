//! A connection of the control thread's own to a node: a [`Link`] whose questions all have the same time limit.

use std::time::Duration;

use link::{Link, LinkError, Reply, within};
use model::Address;
use proxy_core::settings::Password;

/// The longest reply that is taken: COMMAND of a server with many modules has about a megabyte.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A connection that has authenticated.
#[derive(Debug)]
pub(super) struct NodeClient {
    link: Link,
    limit: Duration,
}

impl NodeClient {
    /// Connects and authenticates where there is a password. All of that, and each question later, may take `limit`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub(super) async fn connect(
        node: &Address,
        password: Option<&Password>,
        limit: Duration,
    ) -> Result<NodeClient, LinkError> {
        let link = Link::connect(node, password.map(Password::reveal), within(limit)).await?;
        Ok(NodeClient { link: link.with_reply_bytes_max(REPLY_BYTES_MAX), limit })
    }

    /// Whether the node is on this machine.
    pub(super) fn is_near(&self) -> bool {
        self.link.is_near()
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`LinkError`]; `Refused` is the node's own error reply.
    pub(super) async fn call(&mut self, words: &[&[u8]]) -> Result<Reply, LinkError> {
        self.call_waiting(words, Duration::ZERO).await
    }

    /// As [`NodeClient::call`], for a request that the node may answer later than others, by this much.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub(super) async fn call_waiting(
        &mut self,
        words: &[&[u8]],
        longer: Duration,
    ) -> Result<Reply, LinkError> {
        self.link.ask(words, within(self.limit + longer)).await
    }
}
