//! Asking the replica that the metadata names whether it has everything that its primary has now.
//!
//! Something harmless is put into the replication stream (a message on a channel that nobody listens to), the primary says
//! where its stream is then, and the replica whether it has come that far ([`keeper::StreamPlace`]).

use std::time::{Duration, Instant};

use keeper::StreamPlace;

use super::node_client::NodeClient;
use link::LinkError;

/// Between two looks at how far the replica is.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Where a primary's stream is after all that it has now.
///
/// # Errors
/// [`LinkError`], when the primary does not answer as it should.
pub(super) async fn place(primary: &mut NodeClient, channel: &[u8]) -> Result<StreamPlace, LinkError> {
    // Also where nobody asks the replica: a link over which nothing comes looks broken.
    primary.call(&[b"PUBLISH", channel, b""]).await?;
    stream_place(primary).await
}

/// Where a primary's stream is now.
///
/// # Errors
/// As [`place`].
pub(super) async fn stream_place(primary: &mut NodeClient) -> Result<StreamPlace, LinkError> {
    let info = primary.call(&[b"INFO", b"replication"]).await?.text()?;
    StreamPlace::of_primary(&info).ok_or(LinkError::Unexpected("how far its replication stream is"))
}

/// Whether a replica has reached that place now.
///
/// # Errors
/// [`LinkError`], when the replica does not answer as it should.
pub(super) async fn has_reached(replica: &mut NodeClient, place: &StreamPlace) -> Result<bool, LinkError> {
    let info = replica.call(&[b"INFO", b"replication"]).await?.text()?;
    Ok(place.is_reached_by(&info))
}

/// Whether a replica reaches that place within `limit`: when it was asked that has said so.
///
/// # Errors
/// As [`has_reached`].
pub(super) async fn reaches(
    replica: &mut NodeClient,
    place: &StreamPlace,
    limit: Duration,
) -> Result<Option<Instant>, LinkError> {
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        if has_reached(replica, place).await? {
            return Ok(Some(asked));
        }
        if begun.elapsed() >= limit {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
