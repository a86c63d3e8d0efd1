//! The handle by which the rest of a process reads and changes the metadata.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::v4::EventPage;
use control_core::{Command, ReadingNote, Reply, State};
use model::Address;
use tokio::sync::{mpsc, oneshot, watch};

use super::change_error::ChangeError;
use super::contract::HeadReader;
use super::event_log::EventLog;
use super::history::Mark;
use super::ledger::{Change, Ledger, Request};
use super::observations::ObservationBoard;
use super::reading_log::ReadingLog;
use super::snapshot::Snapshot;
use super::{Store, StoreError};
use crate::stalls::Asked;

/// How many changes and confirmations may wait for the store; more are refused.
const QUEUE_MAX: usize = 1024;

/// Reads and changes the metadata. Cheap to clone.
#[derive(Clone)]
pub struct Metadata {
    queue: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    problem: watch::Receiver<Option<String>>,
    events: Arc<Mutex<EventLog>>,
    board: Arc<ObservationBoard>,
    log: Arc<ReadingLog>,
    confirming: Confirming,
    store_name: &'static str,
}

/// How it is known that what is known is all, without waiting for a change that is being written: a disk may take longer
/// for that than a lease lasts.
#[derive(Clone)]
enum Confirming {
    /// Nobody else changes anything. What is being written nobody has been told of, so it may come after.
    Alone,
    /// The store tells the revision of the last change, beside everything else.
    ByHead(HeadReader),
    /// The ledger reads it, when it is its turn.
    ByLedger,
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
        let confirming = match store.head_reader() {
            _ if !S::IS_SHARED => Confirming::Alone,
            Some(reader) => Confirming::ByHead(reader),
            None => Confirming::ByLedger,
        };
        let log = Arc::new(ReadingLog::new(S::IS_SHARED));
        let (ledger, snapshots, problem) = Ledger::open(store, Arc::clone(&events), Arc::clone(&log)).await?;
        tokio::spawn(ledger.run(requests));
        Ok(Self {
            queue,
            snapshots,
            problem,
            events,
            board: Arc::default(),
            log,
            confirming,
            store_name: S::NAME,
        })
    }

    /// The metadata as it is known here: after this process's own changes, and a moment behind those of others.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshots.borrow())
    }

    /// The metadata as the store has it: everything that anybody was told is changed before this is called is in
    /// it. For what must not rest on a view that is behind, such as granting a lease.
    ///
    /// # Errors
    /// [`ChangeError::Busy`] or [`ChangeError::Unavailable`]; nothing can be said then.
    pub async fn confirmed(&self) -> Result<Arc<Snapshot>, ChangeError> {
        match &self.confirming {
            Confirming::Alone => return Ok(self.snapshot()),
            // While something is wrong the ledger reads, and notes when it is over.
            Confirming::ByHead(read) if self.problem().is_none() => {
                let head = read().await;
                let known = self.snapshot();
                if head.is_ok_and(|head| head == known.head) {
                    return Ok(known);
                }
            }
            Confirming::ByHead(_) | Confirming::ByLedger => {}
        }
        let (answer, answered) = oneshot::channel();
        self.send(Request::Confirm(answer))?;
        let closed = |_| Err(ChangeError::Unavailable("the store is closed".to_owned()));
        answered.await.unwrap_or_else(closed)
    }

    /// The metadata once it holds what is not known at `mark`; `None` if that takes longer than `wait`.
    pub async fn newer_than(&self, mark: Mark, wait: Duration) -> Option<Arc<Snapshot>> {
        let mut snapshots = self.snapshots.clone();
        let newer = snapshots.wait_for(|snapshot| snapshot.is_news(mark));
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
        self.change_by(command, None).await
    }

    /// Makes a change for a caller whom the event names.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub async fn change_by(&self, command: Command, by: Option<String>) -> Result<Reply, ChangeError> {
        self.change_asked(command, by, None).await
    }

    /// The same for somebody who asks over a connection, and may have given up. It is not made when he has closed it, nor
    /// when this process has stood still since, unless an attempt was under way.
    ///
    /// # Errors
    /// As [`ChangeError`] says.
    pub(crate) async fn change_asked(
        &self,
        command: Command,
        by: Option<String>,
        asked: Option<Asked>,
    ) -> Result<Reply, ChangeError> {
        let (answer, answered) = oneshot::channel();
        self.send(Request::Change { change: Change { command, by, asked }, answer })?;
        let lost = |_| Err(ChangeError::Unknown("the store was closed while it was asked".to_owned()));
        answered.await.unwrap_or_else(lost)
    }

    fn send(&self, request: Request) -> Result<(), ChangeError> {
        self.queue.try_send(request).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ChangeError::Busy,
            mpsc::error::TrySendError::Closed(_) => {
                ChangeError::Unavailable("the store is closed".to_owned())
            }
        })
    }

    /// The events after a cursor, at most `limit` of them.
    #[must_use]
    pub fn events(&self, after: u64, limit: usize) -> EventPage {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).page(after, limit)
    }

    /// Somebody reads the metadata, who may grant leases by that, and says this. To be called before the metadata is looked
    /// at that is answered.
    pub fn note_reading(&self, note: Option<ReadingNote>) {
        self.log.note(note);
    }

    /// How much longer a lease may last of each proxy that a fence is to stop, in milliseconds. Empty where another process
    /// may give out the same metadata.
    #[must_use]
    pub fn leases_left(&self, state: &State) -> BTreeMap<Address, u64> {
        self.log.leases_left(state)
    }

    /// What coordinators have told this process; it is not in the store.
    #[must_use]
    pub fn board(&self) -> &ObservationBoard {
        &self.board
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
