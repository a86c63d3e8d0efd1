//! A broker in the same process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use control_core::{Command, Reply, State};

use super::metadata::{MetadataError, MetadataSource};
use crate::store::{ChangeError, Metadata};

/// How long a change is waited for.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// What was read, with the number of the last change in it.
type LastRead = (u64, Arc<State>);

/// The metadata of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalBroker {
    metadata: Metadata,
    /// What was read last, so that it is copied once for each change and not for each reading.
    last: Arc<Mutex<Option<LastRead>>>,
}

impl LocalBroker {
    /// Reads and changes this metadata.
    #[must_use]
    pub fn new(metadata: Metadata) -> Self {
        Self { metadata, last: Arc::default() }
    }
}

impl MetadataSource for LocalBroker {
    async fn read(&self) -> Result<Arc<State>, MetadataError> {
        let snapshot =
            self.metadata.confirmed().await.map_err(|error| MetadataError::Unreachable(error.to_string()))?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((change, state)) if *change == snapshot.change => Ok(Arc::clone(state)),
            _ => {
                let state = Arc::new(snapshot.state.clone());
                *last = Some((snapshot.change, Arc::clone(&state)));
                Ok(state)
            }
        }
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        let known =
            self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(known, _)| *known);
        match known {
            Some(known) => Ok(self.metadata.newer_than(known, CHANGE_WAIT).await.is_some()),
            None => Ok(false),
        }
    }

    async fn apply(&self, command: Command) -> Result<Reply, MetadataError> {
        self.metadata.change(command).await.map_err(|error| match error {
            ChangeError::Refused(error) => MetadataError::Refused(error.to_string()),
            other => MetadataError::Unreachable(other.to_string()),
        })
    }

    fn brokers(&self) -> Vec<String> {
        Vec::new()
    }

    fn set_brokers(&self, _brokers: Vec<String>) -> bool {
        false
    }
}
