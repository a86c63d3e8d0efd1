//! A broker in the same process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::v4::Observations;
use control_core::{Command, ReadingNote, Reply, State};

use super::metadata::{MetadataError, MetadataSource, Reading};
use crate::store::{ChangeError, Mark, Metadata};

/// How long a change is waited for.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

/// What was read, with its place in the history.
type LastRead = (Mark, Arc<State>);

/// The metadata of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LocalBroker {
    metadata: Metadata,
    /// What the coordinator is called in events.
    actor: String,
    /// What was read last, so that it is copied once for each change and not for each reading.
    last: Arc<Mutex<Option<LastRead>>>,
}

impl LocalBroker {
    /// Reads and changes this metadata, for the coordinator of that name.
    #[must_use]
    pub fn new(metadata: Metadata, reporter: &str) -> Self {
        Self { metadata, actor: format!("coordinator {reporter}"), last: Arc::default() }
    }
}

impl MetadataSource for LocalBroker {
    async fn read(&self, note: &ReadingNote) -> Result<Reading, MetadataError> {
        // A token that comes between the two is of no use to this reading: the broker counts it as not there.
        let at = Instant::now();
        self.metadata.note_reading(Some(note.clone()));
        // What others have changed must be known, or a lease might be granted that they think is over.
        let confirmed = self.metadata.confirmed().await;
        let snapshot = confirmed.map_err(|error| MetadataError::Unreachable(error.to_string()))?;
        let history = snapshot.history.to_string();
        let leases_left_ms = self.metadata.leases_left(&snapshot.state);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let state = match &*last {
            Some((mark, state)) if *mark == snapshot.mark() => Arc::clone(state),
            _ => {
                let state = Arc::new(snapshot.state.clone());
                *last = Some((snapshot.mark(), Arc::clone(&state)));
                state
            }
        };
        Ok(Reading { leases_left_ms, history, ..Reading::new(state, at) })
    }

    async fn changed(&self) -> Result<bool, MetadataError> {
        let known = self.last.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(mark, _)| *mark);
        match known {
            Some(known) => Ok(self.metadata.newer_than(known, CHANGE_WAIT).await.is_some()),
            None => Ok(false),
        }
    }

    async fn apply(&self, command: Command) -> Result<Reply, MetadataError> {
        self.metadata.change_by(command, Some(self.actor.clone())).await.map_err(|error| match error {
            ChangeError::Refused(error) => MetadataError::Refused(error.to_string()),
            other => MetadataError::Unreachable(other.to_string()),
        })
    }

    async fn observe(&self, seen: Observations) {
        // Only one coordinator is in this process, so there is room for it.
        self.metadata.board().note(seen);
    }

    fn brokers(&self) -> Vec<String> {
        Vec::new()
    }

    fn set_brokers(&self, _brokers: Vec<String>) -> bool {
        false
    }
}
