//! Gives other brokers a copy of the metadata after each change.
//!
//! For brokers with stores of their own, one of which stands in by hand when this one is lost. A copy never
//! names further brokers. A broker that gives copies takes none, so copies do not go round, and two brokers that give to each
//! other do not overwrite each other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{BrokerClient, COPIER, ClientError, ClientOptions};
use control_core::State;
use service::config::Secret;
use tracing::warn;

use crate::config::BrokerConfig;
use crate::store::{Mark, Metadata};

/// The pause after a copy, so that many changes become one.
const PAUSE: Duration = Duration::from_millis(200);
/// The pause after some broker could not be given its copy.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(2);
/// How long to wait for a change at a time.
const WAIT: Duration = Duration::from_secs(3600);

/// Which token goes to which broker. The token for changes is sent to brokers of this broker's own configuration only: who
/// named the others did not need it, perhaps.
pub(super) struct Tokens {
    configured: Vec<String>,
    write: Option<Secret>,
    replica: Option<Secret>,
}

impl Tokens {
    /// Those of a configuration.
    pub(super) fn of(config: &BrokerConfig) -> Self {
        Self {
            configured: config.replica_addresses.iter().map(|address| address.0.clone()).collect(),
            write: config.write_token.clone(),
            replica: config.replica_token.clone(),
        }
    }

    /// The token for a broker; `None` where it gets no token.
    fn token_for(&self, address: &str) -> Option<&Secret> {
        let is_configured = self.configured.iter().any(|configured| configured == address);
        self.replica.as_ref().or(self.write.as_ref().filter(|_| is_configured))
    }

    fn options_for(&self, address: &str) -> ClientOptions {
        let token = self.token_for(address).map(|token| token.expose().to_owned());
        ClientOptions { token, actor: Some(COPIER.to_owned()), ..ClientOptions::default() }
    }
}

/// The brokers that were not given their copy, each with the reason.
#[derive(Debug, Default)]
pub(super) struct Copies(Mutex<BTreeMap<String, String>>);

impl Copies {
    /// What is wrong, one sentence each.
    pub(super) fn problems(&self) -> Vec<String> {
        let failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let problem = |(address, why): (&String, &String)| {
            format!("broker {address} was not given a copy of the metadata: {why}")
        };
        failed.iter().map(problem).collect()
    }

    fn set(&self, failed: BTreeMap<String, String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }
}

/// Runs until it is dropped.
pub(super) async fn follow(metadata: Metadata, tokens: Tokens, copies: Arc<Copies>) {
    let mut copied = Mark::default();
    loop {
        let Some(snapshot) = metadata.newer_than(copied, WAIT).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let mut failed = BTreeMap::new();
        for address in &snapshot.state.replica_addresses {
            let copy = State { replica_addresses: Vec::new(), ..snapshot.state.clone() };
            if let Err(error) = push(address, &tokens.options_for(address), &copy).await {
                warn!(address, %error, "a broker was not given its copy of the metadata");
                failed.insert(address.clone(), error.to_string());
            }
        }
        let is_complete = failed.is_empty();
        copies.set(failed);
        if !is_complete {
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

#[cfg(test)]
mod tests {
    use service::config::Secret;

    use super::Tokens;

    #[test]
    fn the_token_for_changes_goes_to_configured_brokers_only() {
        let tokens = |replica: Option<&str>| Tokens {
            configured: vec!["mine:7799".to_owned()],
            write: Some(Secret::new("write")),
            replica: replica.map(Secret::new),
        };
        for (replica, address, expected) in [
            (None, "mine:7799", Some("write")),
            // Named by a call, perhaps one from before there was a token.
            (None, "somebody:7799", None),
            (Some("copies"), "mine:7799", Some("copies")),
            (Some("copies"), "somebody:7799", Some("copies")),
        ] {
            let found = tokens(replica).token_for(address).map(|token| token.expose().to_owned());
            assert_eq!(found.as_deref(), expected, "{replica:?} {address}");
        }
    }
}
