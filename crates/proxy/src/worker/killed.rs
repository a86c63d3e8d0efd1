//! CLIENT KILL between closing clients and its answer, which waits until nothing more of them is carried out.

use tokio::sync::oneshot;

/// A CLIENT KILL whose clients are closed.
pub(super) struct Killed {
    /// How many there were.
    pub(super) closed: usize,
    /// When they were closed (worker clock, µs).
    pub(super) at_us: u64,
    /// Who asked.
    pub(super) answer: oneshot::Sender<usize>,
}

impl Killed {
    /// Answers. Who asked may have ended.
    pub(super) fn tell(self) {
        let _ = self.answer.send(self.closed);
    }
}
