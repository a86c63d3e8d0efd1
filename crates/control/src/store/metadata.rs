//! The handle by which the rest of a process reads and changes the metadata.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::v4::EventPage;
use control_core::{ApplyError, Command, Reply, State};
use tokio::sync::{mpsc, oneshot, watch};

use super::event_log::EventLog;
use super::ledger::{Confirmation, Ledger, Request};
use super::{Store, StoreError};

/// How many changes may wait for the store; more are refused.
const QUEUE_MAX: usize = 1024;

/// The metadata at one point of its history.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The number of the last change in it; 0 if there was none.
    pub change: u64,
    /// The metadata.
    pub state: State,
}

/// Why a change was not made, or not surely.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// The metadata refuses it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] ApplyError),
    /// Too many others change the metadata; nothing was changed. Retry.
    #[error("others keep changing the metadata; retry")]
    Conflict,
    /// Too many changes wait; nothing was changed. Retry later.
    #[error("too many changes wait for the store; retry later")]
    Busy,
    /// The store cannot be used; nothing was changed. Retry later.
    #[error("{0}")]
    Unavailable(String),
    /// The store was lost while it was asked: look before you retry.
    #[error("{0}")]
    Unknown(String),
}

/// Reads and changes the metadata. Cheap to clone.
#[derive(Clone)]
pub struct Metadata {
    queue: mpsc::Sender<Request>,
    confirmations: mpsc::Sender<Confirmation>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    problem: watch::Receiver<Option<String>>,
    events: Arc<Mutex<EventLog>>,
    store_name: &'static str,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").field("store", &self.store_name).finish_non_exhaustive()
    }
}

impl Metadata {
    /// Reads everything from the store and begins to follow it, in a task of its own that ends when the last
    /// handle is gone. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// What the store says.
    pub async fn open<S: Store>(store: S) -> Result<Self, StoreError> {
        let events = Arc::new(Mutex::new(EventLog::default()));
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let (confirmations, asked) = mpsc::channel(QUEUE_MAX);
        let (ledger, snapshots, problem) = Ledger::open(store, Arc::clone(&events)).await?;
        tokio::spawn(ledger.run(requests, asked));
        Ok(Self { queue, confirmations, snapshots, problem, events, store_name: S::NAME })
    }

    /// The metadata as it is known here: after this process's own changes, and a moment behind those of others.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// The metadata as the store itself has it: with every change that was made by anybody before the call.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn confirmed(&self) -> Result<Arc<Snapshot>, ChangeError> {
        let (answer, answered) = oneshot::channel();
        let closed = || ChangeError::Unavailable("the store is closed".to_owned());
        self.confirmations.try_send(answer).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ChangeError::Busy,
            mpsc::error::TrySendError::Closed(_) => closed(),
        })?;
        answered.await.map_err(|_| closed())?.map_err(ChangeError::Unavailable)
    }

    /// The metadata once it is newer than a change; none if that takes longer than `wait`.
    pub async fn newer_than(&self, change: u64, wait: Duration) -> Option<Arc<Snapshot>> {
        let mut snapshots = self.snapshots.clone();
        let newer = snapshots.wait_for(|snapshot| snapshot.change > change);
        match tokio::time::timeout(wait, newer).await {
            Ok(Ok(snapshot)) => Some(Arc::clone(&snapshot)),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// Makes a change, with the time of this process in it, and answers when it is durable.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn change(&self, command: Command) -> Result<Reply, ChangeError> {
        let (answer, answered) = oneshot::channel();
        self.queue.try_send(Request { command, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ChangeError::Busy,
            mpsc::error::TrySendError::Closed(_) => {
                ChangeError::Unavailable("the store is closed".to_owned())
            }
        })?;
        let lost = |_| Err(ChangeError::Unknown("the store was closed while it was asked".to_owned()));
        answered.await.unwrap_or_else(lost)
    }

    /// The events after a cursor, at most `limit` of them.
    #[must_use]
    pub fn events(&self, after: u64, limit: usize) -> EventPage {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).page(after, limit)
    }

    /// What keeps the store from being used, if anything does.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.problem.borrow().clone()
    }

    /// What the store is called.
    #[must_use]
    pub const fn store_name(&self) -> &'static str {
        self.store_name
    }
}
