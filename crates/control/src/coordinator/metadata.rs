//! Where a coordinator reads the metadata and sends its commands: a broker in the same process, or brokers
//! elsewhere.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use api::v4::Observations;
use control_core::{Command, ReadingNote, Reply, State};
use model::Address;

/// Why the metadata could not be read or changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MetadataError {
    /// The broker understood the command and refused it: it was late, or another coordinator was first. Not to
    /// be sent again as it is.
    #[error("the broker refuses: {0}")]
    Refused(String),
    /// The broker does not let this coordinator change anything: its token is missing or wrong. To be tried again, because
    /// an operator may set that right at either end, and to be said loudly.
    #[error("the broker does not let this coordinator change anything, see broker_token: {0}")]
    NotAllowed(String),
    /// No broker answered in time, or none in a way that makes sense. To be tried again.
    #[error("no broker answers: {0}")]
    Unreachable(String),
}

/// What was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The metadata; the same `Arc` for as long as nothing changes.
    pub state: Arc<State>,
    /// When the store was asked: the metadata is not older.
    pub at: Instant,
    /// Which history of metadata it belongs to: another one begins where metadata is restored, or the store is another.
    pub history: String,
    /// How much longer a lease may last of each proxy that a fence is to stop, in milliseconds from when this came; where the
    /// broker knows.
    pub leases_left_ms: BTreeMap<Address, u64>,
    /// When this came.
    pub came: Instant,
}

impl Reading {
    /// One that has just come, and says nothing of its history nor of leases.
    #[must_use]
    pub fn new(state: Arc<State>, at: Instant) -> Self {
        let (history, leases_left_ms) = (String::new(), BTreeMap::new());
        Self { state, at, history, leases_left_ms, came: Instant::now() }
    }
}

/// The metadata, as a coordinator needs it.
pub trait MetadataSource: Clone + Send + Sync + 'static {
    /// The state as it is now, because the store itself is asked during the call. When nothing has changed since the
    /// last call it is the same `Arc`, so that the caller can tell.
    /// `note` is what this coordinator says with it: which proxies have been silent.
    fn read(&self, note: &ReadingNote) -> impl Future<Output = Result<Reading, MetadataError>> + Send;

    /// Waits until a broker knows of something newer than what was read last, and no longer than a broker is willing
    /// to wait. True only if there is; to be read then.
    fn changed(&self) -> impl Future<Output = Result<bool, MetadataError>> + Send;

    /// Applies a command. When it answers, it is lasting.
    fn apply(&self, command: Command) -> impl Future<Output = Result<Reply, MetadataError>> + Send;

    /// Tells every broker what this coordinator sees now. A broker that does not hear it is told again soon.
    fn observe(&self, seen: Observations) -> impl Future<Output = ()> + Send;

    /// The brokers' addresses, as `CONFIG GET brokers` shows them.
    fn brokers(&self) -> Vec<String>;

    /// Replaces the brokers' addresses; false where there is nothing to replace.
    fn set_brokers(&self, brokers: Vec<String>) -> bool;
}
