//! Brokers elsewhere, over HTTP.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use api::v4::StateAnswer;
use api::{BrokerClient, ClientError, ClientOptions, Endpoint};
use control_core::{Command, Reply, State};
use service::config::Secret;

use super::metadata::{MetadataError, MetadataSource};

/// How long one broker may take before the next is asked: failing over must not wait for long.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a broker is to wait for a change: well below what it may take to answer.
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// How long connecting to one broker may take.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// One or more brokers that share their metadata. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RemoteBroker {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: ClientOptions,
    current: RwLock<(Vec<String>, BrokerClient)>,
    last: Mutex<(u64, Arc<State>)>,
}

impl RemoteBroker {
    /// The brokers at these addresses.
    ///
    /// # Errors
    /// When an address cannot be one.
    pub fn new(brokers: Vec<String>, token: Option<&Secret>) -> Result<Self, ClientError> {
        let token = token.map(|token| token.expose().to_owned());
        let options = ClientOptions {
            token,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            ..ClientOptions::default()
        };
        let client = client(&brokers, &options)?;
        let current = RwLock::new((brokers, client));
        Ok(Self { shared: Arc::new(Shared { options, current, last: Mutex::default() }) })
    }

    fn client(&self) -> BrokerClient {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

fn client(brokers: &[String], options: &ClientOptions) -> Result<BrokerClient, ClientError> {
    let endpoints: Result<Vec<Endpoint>, _> = brokers.iter().map(|broker| broker.parse()).collect();
    BrokerClient::new(endpoints?, options)
}

impl MetadataSource for RemoteBroker {
    async fn read(&self) -> Result<Arc<State>, MetadataError> {
        let client = self.client();
        let (known, state) = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer: StateAnswer<State> = client.confirmed_state(known).await.map_err(unreachable)?;
        let Some(newer) = answer.state else { return Ok(state) };
        let state = Arc::new(newer);
        let mut last = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (answer.change, Arc::clone(&state));
        Ok(state)
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        let client = self.client();
        let known = self.shared.last.lock().unwrap_or_else(PoisonError::into_inner).0;
        client.change_after(known, CHANGE_WAIT).await.map(|change| change > known).map_err(unreachable)
    }

    async fn apply(&self, command: Command) -> Result<Reply, MetadataError> {
        self.client().command(&command).await.map_err(|error| match error {
            ClientError::Refused { .. } if !is_of_the_store(&error) => {
                MetadataError::Refused(error.to_string())
            }
            other => unreachable(other),
        })
    }

    fn brokers(&self) -> Vec<String> {
        self.shared.current.read().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    fn set_brokers(&self, brokers: Vec<String>) -> bool {
        let Ok(client) = client(&brokers, &self.shared.options) else { return false };
        *self.shared.current.write().unwrap_or_else(PoisonError::into_inner) = (brokers, client);
        true
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
fn unreachable(error: ClientError) -> MetadataError {
    MetadataError::Unreachable(error.to_string())
}

/// Whether the broker understood, and could not use its store, or had too much to do.
fn is_of_the_store(error: &ClientError) -> bool {
    matches!(error.code(), Some("EXTERNAL" | "EXTERNAL_TIMEOUT" | "BUSY"))
}
