//! Gives other brokers a copy of the metadata after each change.
//!
//! For brokers with stores of their own, one of which stands in by hand when this one is lost. A copy never
//! names further brokers, so copies do not go round.

use std::time::Duration;

use api::{BrokerClient, ClientError, ClientOptions};
use control_core::State;
use service::config::Secret;
use tracing::warn;

use crate::store::{Mark, Metadata};

/// The pause after a copy, so that many changes become one.
const PAUSE: Duration = Duration::from_millis(200);
/// The pause after some broker could not be given its copy.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How long to wait for a change at a time.
const WAIT: Duration = Duration::from_secs(3600);

/// Runs until it is dropped. `token` is the token for changes, the same for all brokers.
pub(super) async fn follow(metadata: Metadata, token: Option<Secret>) {
    let options =
        ClientOptions { token: token.map(|token| token.expose().to_owned()), ..ClientOptions::default() };
    let mut copied = Mark::default();
    loop {
        let Some(snapshot) = metadata.newer_than(copied, WAIT).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let mut failed = false;
        for address in &snapshot.state.replica_addresses {
            let copy = State { replica_addresses: Vec::new(), ..snapshot.state.clone() };
            if let Err(error) = push(address, &options, &copy).await {
                warn!(address, %error, "a broker was not given its copy of the metadata");
                failed = true;
            }
        }
        if failed {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        } else {
            copied = snapshot.mark();
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn push(address: &str, options: &ClientOptions, copy: &State) -> Result<(), ClientError> {
    BrokerClient::new(vec![address.parse()?], options)?.restore(copy).await
}
