//! Requests of clients that are gone, which nodes may still carry out.
//!
//! A Redis server that has closed a client's connection executes nothing more of it. A proxy has passed the requests on: they
//! lie in its connections to nodes, and what another worker asks of the same node may be executed before them. So CLIENT
//! KILL of an address is answered when they are over. Another proxy asks so before it asks anything more. Ruled out:
//! ```text
//!   SET k old ─▶ worker 1 ─▶ its connection, the node is slow ─ the link ends ─ error
//!   CLIENT KILL ADDR, SET k new ─▶ worker 2 ─▶ another connection: OK ─ the node reads k = old
//! ```

use crate::engine::Engine;
use crate::engine::state::backend::Owed;

impl Engine {
    /// Whether everything that was taken until `taken_us` (worker clock) from sessions that are gone by now has been
    /// answered, or has failed: what was called back counts as over, because every worker asks its node so
    /// before anything more ([`crate::engine::Abandonments`]).
    #[must_use]
    pub fn are_strays_over(&self, taken_us: u64) -> bool {
        let is_stray = |owed: &Owed| {
            let is_gone = owed.session.is_some_and(|session| self.sessions.get(session).is_none());
            is_gone && (taken_us as u32).wrapping_sub(owed.started) <= i32::MAX as u32
        };
        !self.backends.iter().any(|(_, backend)| backend.owed.iter().any(is_stray))
    }
}
