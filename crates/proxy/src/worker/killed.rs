//! CLIENT KILL between closing clients and its answer, which waits until nothing more of them is carried out.

use proxy_core::engine::Strays;
use tokio::sync::oneshot;

/// A CLIENT KILL whose clients are closed.
pub(super) struct Killed {
    /// How many there were.
    pub(super) closed: usize,
    /// What may still be carried out of them.
    pub(super) strays: Strays,
    /// Who asked.
    pub(super) answer: oneshot::Sender<usize>,
}

impl Killed {
    /// Answers. Who asked may have ended.
    pub(super) fn tell(self) {
        let _ = self.answer.send(self.closed);
    }
}
