//! UMCTL CLEAN: emptying the nodes of a proxy that has left its cluster, so that the next cluster never reads what
//! the last one left behind.

use std::time::Duration;

use model::{Address, Epoch};
use proxy_core::errors;
use proxy_core::settings::Secret;
use resp::encode;

use super::node_client::{NodeClient, NodeError};
use super::reply_to::ReplyTo;
use super::texts;
use super::thread::Control;

impl Control {
    /// Empties the nodes, if the empty view of that epoch is in force. Answered when they are empty.
    pub(super) fn clean(&self, epoch: Epoch, to: ReplyTo) {
        let mut reply = Vec::new();
        // What is in force decides, and so does what has been accepted: a view that is on its way is a cluster's.
        if self.cluster.is_ready() || self.cluster.view().is_some() || self.cluster.epoch() != epoch {
            errors::write(&mut reply, texts::NOT_EMPTY_VIEW);
            return to.send(reply);
        }
        let roles = self.cluster.roles().map_or(&[][..], |roles| &roles.roles);
        let nodes: Vec<Address> = roles.iter().map(|role| role.node.clone()).collect();
        let limit = Duration::from_millis(self.shared.settings.backend_timeout_ms);
        let password = self.backend_password.clone();
        tokio::spawn(async move {
            for node in nodes {
                if let Err(error) = empty(&node, password.as_ref(), limit).await {
                    errors::write(&mut reply, &texts::cleaning_failed(&node, &error));
                    return to.send(reply);
                }
            }
            encode::simple(&mut reply, "OK");
            to.send(reply);
        });
    }
}

async fn empty(node: &Address, password: Option<&Secret>, limit: Duration) -> Result<(), NodeError> {
    let mut client = NodeClient::connect(node, password, limit).await?;
    client.call(&[b"FLUSHALL", b"ASYNC"]).await?;
    client.call(&[b"SCRIPT", b"FLUSH"]).await?;
    match client.call(&[b"FUNCTION", b"FLUSH"]).await {
        // Servers before 7.0 have none.
        Ok(_) | Err(NodeError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
