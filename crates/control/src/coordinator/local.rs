//! A broker in the same process.

use std::sync::{Arc, Mutex, PoisonError};

use control_core::{Command, Reply, State};

use super::metadata::{MetadataError, MetadataSource};
use crate::store::{ChangeError, Metadata};

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
        // What others have changed is not known while the store is away, and a lease must not be granted by it.
        if let Some(problem) = self.metadata.problem() {
            return Err(MetadataError::Unreachable(problem));
        }
        let snapshot = self.metadata.snapshot();
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
