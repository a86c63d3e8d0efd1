//! What each part of the engine may touch. Its blocks of methods stand on contexts that borrow what they need:
//!
//! ```text
//!  Engine      requests: what is asked, whose it is, who answers     views, fences, pauses, the parser
//!  Clients     replies in their order; who waits, and goes on        sessions alone
//! ```
//!
//! A context is made for one call, costs nothing, and is never kept.

use super::Engine;
use super::session::Clients;

impl Engine {
    /// What moves sessions.
    #[inline]
    pub(in crate::engine) fn clients(&mut self) -> Clients<'_> {
        Clients {
            sessions: &mut self.sessions,
            agenda: &mut self.agenda,
            memory: &mut self.memory,
            pool: &mut self.pool,
            policy: &self.policy,
            stats: &self.stats,
        }
    }
}
