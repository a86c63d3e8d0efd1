//! Emptying nodes, for UMCTL CLEAN.

use std::time::Duration;

use model::Address;
use proxy_core::settings::Secret;

use super::node_client::{NodeClient, NodeError};

/// Empties these nodes, one after the other; the first that cannot be emptied, and why.
pub(super) async fn empty_all(
    nodes: Vec<Address>,
    password: Option<&Secret>,
    limit: Duration,
) -> Result<(), (Address, String)> {
    for node in nodes {
        if let Err(error) = empty(&node, password, limit).await {
            return Err((node, error.to_string()));
        }
    }
    Ok(())
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
