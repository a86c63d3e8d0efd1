//! Emptying nodes, for UMCTL CLEAN.

use std::time::Duration;

use link::LinkError;
use model::Address;
use proxy_core::settings::Password;
use tokio::time::Instant;
use tracing::warn;

use super::node_client::NodeClient;

/// Between two attempts to save while a save in the background is being ended.
const SAVE_RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Empties these nodes, one after the other; the first that cannot be emptied, and why.
pub(super) async fn empty_all(
    nodes: Vec<Address>,
    password: Option<&Password>,
    limit: Duration,
) -> Result<(), (Address, String)> {
    for node in nodes {
        if let Err(error) = empty(&node, password, limit).await {
            return Err((node, error.to_string()));
        }
    }
    Ok(())
}

async fn empty(node: &Address, password: Option<&Password>, limit: Duration) -> Result<(), LinkError> {
    let mut client = NodeClient::connect(node, password, limit).await?;
    client.call(&[b"FLUSHALL", b"ASYNC"]).await?;
    client.call(&[b"SCRIPT", b"FLUSH"]).await?;
    match client.call(&[b"FUNCTION", b"FLUSH"]).await {
        // Servers before 7.0 have none.
        Ok(_) | Err(LinkError::Refused(_)) => {}
        Err(error) => return Err(error),
    }
    empty_file(node, &mut client, limit).await
}

/// Writes an empty file over the one that the node would read when it restarts. FLUSHALL does so only where the node is
/// set to save by itself; but replication leaves a file with any node. A node that refuses counts as empty all the same:
/// coordinators have it emptied again when it comes back with keys.
async fn empty_file(node: &Address, client: &mut NodeClient, limit: Duration) -> Result<(), LinkError> {
    let deadline = Instant::now() + limit;
    loop {
        match client.call(&[b"SAVE"]).await {
            Ok(_) => return Ok(()),
            // FLUSHALL has ended a save in the background; the node notices within a tenth of a second.
            Err(LinkError::Refused(reason))
                if reason.contains("in progress") && Instant::now() < deadline =>
            {
                tokio::time::sleep(SAVE_RETRY_INTERVAL).await;
            }
            Err(LinkError::Refused(reason)) => {
                warn!(%node, reason, "its file may still hold what it held: SAVE is refused");
                return Ok(());
            }
            Err(error) => return Err(error),
        }
    }
}
