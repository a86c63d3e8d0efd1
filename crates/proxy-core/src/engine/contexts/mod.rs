//! What each part of the engine may touch. Its blocks of methods stand on contexts that borrow what they need:
//!
//! ```text
//!  Engine      requests: what is asked, whose it is, who answers     views, fences, pauses, the parser
//!  Connections what is opened, closed, given up                      sessions, backends, nodes
//!  Sending     bytes to nodes; who waits for room                    sessions, backends
//!  Clients     replies in their order; who waits, and goes on        sessions alone
//! ```
//!
//! A context is made for one call and never kept. It costs nothing as long as what is called with it is inlined: handed
//! on to anything else it has to be written to memory first. So what is called for each request and each reply hands on
//! `cold()`, a copy that is made only where it is needed.

mod clients;
mod connections;
mod sending;

pub(in crate::engine) use self::clients::Clients;
pub(in crate::engine) use self::connections::Connections;
pub(in crate::engine) use self::sending::Sending;
use super::Engine;

impl Engine {
    /// What opens, closes and gives up connections.
    #[inline]
    pub(in crate::engine) fn connections(&mut self) -> Connections<'_> {
        Connections {
            nodes: &mut self.nodes,
            backends: &mut self.backends,
            sessions: &mut self.sessions,
            departed: &mut self.departed,
            agenda: &mut self.agenda,
            memory: &mut self.memory,
            pool: &mut self.pool,
            policy: &self.policy,
            stats: &self.stats,
            now: self.now,
            backend_room: self.backend_room,
            random: &mut self.random,
            slow: &mut self.slow,
            shared: &self.shared,
        }
    }

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
