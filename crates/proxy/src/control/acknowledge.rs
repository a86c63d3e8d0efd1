//! Asking a primary whether the replica that the metadata names has everything that the primary has now.
//!
//! Something harmless is put into the replication stream (a message on a channel that nobody listens to); WAIT has all
//! replicas say at once how far they are, and INFO tells which of them has said what ([`keeper::has_acknowledged`]).

use std::time::{Duration, Instant};

use keeper::{NamedReplica, has_acknowledged, primary_offset, replica_count};
use model::Address;
use tokio::net::lookup_host;

use super::node_client::{NodeClient, NodeError};

/// How long one WAIT may take, in milliseconds: another replica that hangs must not hold up the news of the named one.
const WAIT_MS: &[u8] = b"20";
/// Between two looks at what replicas have said.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// The replica with the addresses of its name.
///
/// # Errors
/// When its name cannot be resolved.
pub(super) async fn resolve(replica: &Address) -> Result<NamedReplica, NodeError> {
    let found = lookup_host((replica.host(), replica.port())).await?;
    Ok(NamedReplica { address: replica.clone(), ips: found.map(|address| address.ip()).collect() })
}

/// Whether the replica acknowledges within `limit` all that the primary has when this is called.
///
/// # Errors
/// [`NodeError`], when the primary does not answer as it should.
pub(super) async fn acknowledges(
    primary: &mut NodeClient,
    replica: &NamedReplica,
    channel: &[u8],
    limit: Duration,
) -> Result<bool, NodeError> {
    let begun = Instant::now();
    // WAIT speaks of the connection's own last write: this one comes after all others.
    primary.call(&[b"PUBLISH", channel, b""]).await?;
    let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
    let Some(offset) = primary_offset(&info) else { return Ok(false) };
    let count = replica_count(&info).max(1).to_string();
    loop {
        primary.call(&[b"WAIT", count.as_bytes(), WAIT_MS]).await?;
        let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
        if has_acknowledged(&info, replica, offset) {
            return Ok(true);
        }
        if begun.elapsed() >= limit {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
