//! What a store is asked, and what it answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use api::v4::Event;
use tokio::sync::watch;

use super::document::DocumentError;
use super::parts::Parts;

/// What was read from a store.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The documents: all of them, or those that have changed.
    pub parts: Parts,
    /// Events that go with them, oldest first.
    pub events: Vec<Event>,
    /// The point of the store's history at which this was read.
    pub base: Base,
}

/// A point of a store's history: what a commit builds on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// The revision at which everything was read.
    pub(crate) read: i64,
    /// The last change.
    pub(crate) head: HeadMark,
}

/// Names one change. The revision alone does not: a store that is put back from a copy counts on from there, and gives the
/// same revisions to other changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadMark {
    /// Its revision; 0 if there was none.
    pub(crate) revision: i64,
    /// A checksum of the head that it wrote, where others may change the store.
    pub(crate) checksum: u64,
}

/// A batch to be committed.
#[derive(Debug)]
pub struct Update {
    /// The documents that change.
    pub parts: Parts,
    /// Events to be added.
    pub events: Vec<Event>,
    /// Events with smaller numbers are dropped.
    pub events_from: u64,
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else has changed the metadata meanwhile; nothing was written. Read again and retry.
    #[error("the metadata was changed meanwhile")]
    Conflict,
    /// The store cannot be used, and nothing was written.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// The connection was lost: the batch was written, or it was not.
    #[error("the store did not answer, the change may have been made: {0}")]
    Unknown(String),
    /// The store does not hold what was read from it: it has lost its data, or was put back from a copy. Nothing of what is
    /// known can be built on.
    #[error("the store has gone back in time: {0}")]
    WentBack(String),
    /// What the store holds cannot be understood.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// Answers which the last change is at some moment while it is asked.
pub type HeadReader = Arc<dyn Fn() -> ReadingHead + Send + Sync>;
/// Its answer.
pub type ReadingHead = Pin<Box<dyn Future<Output = Result<HeadMark, StoreError>> + Send>>;

/// A place where the metadata is kept.
pub trait Store: Send + 'static {
    /// What it is called in settings and in answers.
    const NAME: &'static str;
    /// Whether other processes may change it at the same time.
    const IS_SHARED: bool;

    /// Reads everything.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Document`].
    fn load(&mut self) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// Reads what has changed since `base`; nothing changed when the head is the same.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::WentBack`] or [`StoreError::Document`].
    fn newer(&mut self, base: Base) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// Writes a batch, whole and durably, if the last change is still that of `base`.
    ///
    /// # Errors
    /// Any of [`StoreError`].
    fn commit(
        &mut self,
        base: Base,
        update: &Update,
    ) -> impl Future<Output = Result<Base, StoreError>> + Send;

    /// Whether a batch could be written now: writes something that means nothing, as durably. To be asked after a commit
    /// failed, so that the end of the trouble is noticed before somebody wants a change.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Unknown`].
    fn check_writing(&mut self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Why what this process writes would not be found by the next one, although it can be written. Asked every second, so it
    /// costs little.
    fn lost(&self) -> Option<String> {
        None
    }

    /// Asks a shared store for the last change, beside whatever is being committed: by that it is told
    /// whether what is known is all. `None` where that is known without asking, or only by reading.
    fn head_reader(&self) -> Option<HeadReader>;

    /// Tells, with ever new values, when somebody else may have changed something.
    fn changes(&self) -> watch::Receiver<u64>;
}
