//! What the ledger is asked for.

use std::sync::Arc;

use control_core::{Command, Reply};
use tokio::sync::oneshot;

use super::super::change_error::ChangeError;
use super::super::snapshot::Snapshot;
use crate::stalls::Asked;

/// Who waits for a change.
pub(super) type Answer = oneshot::Sender<Result<Reply, ChangeError>>;
/// Who waits for the store's word that what is known is all.
pub(super) type Confirmation = oneshot::Sender<Result<Arc<Snapshot>, ChangeError>>;

/// A change, and who asks for it: `None` for the broker itself.
#[derive(Debug)]
pub(in crate::store) struct Change {
    pub(in crate::store) command: Command,
    pub(in crate::store) by: Option<String>,
    /// From when it is, where it was asked for over a connection: it is not made once it is from before a time in which
    /// this process stood still.
    pub(in crate::store) asked: Option<Asked>,
}

/// What somebody waits for.
#[derive(Debug)]
pub(in crate::store) enum Request {
    /// A change.
    Change {
        /// What to do, and for whom.
        change: Change,
        /// Where to tell what came of it.
        answer: Answer,
    },
    /// A reading of the store that begins after this was asked for.
    Confirm(Confirmation),
}
