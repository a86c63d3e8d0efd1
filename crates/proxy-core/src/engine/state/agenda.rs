//! What the turn has still to do: sessions that go on, output that is written, and what the driver is asked for.

use super::ids::{BackendId, SessionId};
use crate::engine::port::Action;

/// The lists of one worker. A session or backend that ended meanwhile may still be named in them.
#[derive(Debug, Default)]
pub(in crate::engine) struct Agenda {
    /// Sessions with output to write.
    pub(in crate::engine) dirty_sessions: Vec<SessionId>,
    /// Backends with output to write.
    pub(in crate::engine) dirty_backends: Vec<BackendId>,
    /// Sessions that may take requests again.
    pub(in crate::engine) resumed: Vec<SessionId>,
    /// Sessions whose next request waits for the next turn.
    pub(in crate::engine) deferred: Vec<SessionId>,
    /// Sessions held by a pause.
    pub(in crate::engine) held_sessions: Vec<SessionId>,
    /// What the driver is to do, in this order.
    pub(in crate::engine) actions: Vec<Action>,
}

impl Agenda {
    /// Whether nothing is left to do before the next event.
    #[inline]
    pub(in crate::engine) fn is_done(&self) -> bool {
        self.resumed.is_empty()
            && self.deferred.is_empty()
            && self.dirty_sessions.is_empty()
            && self.dirty_backends.is_empty()
            && self.actions.is_empty()
    }
}
