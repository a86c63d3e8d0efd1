//! What each part of the engine may touch. Its blocks of methods stand on contexts that borrow what they need:
//!
//! ```text
//!  Engine      requests: what is asked, whose it is, who answers     views, fences, pauses, the parser
//!  Sending     bytes to nodes; who waits for room                    sessions, backends
//!  Clients     replies in their order; who waits, and goes on        sessions alone
//! ```
//!
//! A context is made for one call, costs nothing, and is never kept.

mod clients;
mod sending;

pub(in crate::engine) use self::clients::Clients;
pub(in crate::engine) use self::sending::Sending;
use super::Engine;

impl Engine {
    /// What sends to nodes.
    #[inline]
    pub(in crate::engine) fn sending(&mut self) -> Sending<'_> {
        Sending {
            backends: &mut self.backends,
            sessions: &mut self.sessions,
            agenda: &mut self.agenda,
            memory: &mut self.memory,
            pool: &mut self.pool,
            policy: &self.policy,
            stats: &self.stats,
            now: self.now,
            backend_room: self.backend_room,
        }
    }

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
