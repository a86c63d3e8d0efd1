//! What opens, closes and gives up connections, to clients and to nodes. It takes no request, and knows no view, pause or
//! fence: it is told what to do.

use super::clients::Clients;
use super::sending::Sending;
use crate::engine::port::{Moment, Shared};
use crate::engine::state::agenda::Agenda;
use crate::engine::state::backend::Backend;
use crate::engine::state::buffers::BufferPool;
use crate::engine::state::departed::Departed;
use crate::engine::state::ids::{BackendId, SessionId};
use crate::engine::state::memory::MemoryShare;
use crate::engine::state::nodes::Nodes;
use crate::engine::state::policy::Policy;
use crate::engine::state::random::Random;
use crate::engine::state::session::Session;
use crate::engine::state::slab::Slab;
use crate::engine::state::slow::SlowRequests;
use crate::stats::WorkerStats;

/// Both ends of everything that a worker passes on, the nodes, and what it takes to connect and to give up.
pub(in crate::engine) struct Connections<'a> {
    pub(in crate::engine) nodes: &'a mut Nodes,
    pub(in crate::engine) backends: &'a mut Slab<BackendId, Backend>,
    pub(in crate::engine) sessions: &'a mut Slab<SessionId, Session>,
    pub(in crate::engine) departed: &'a mut Departed,
    pub(in crate::engine) agenda: &'a mut Agenda,
    pub(in crate::engine) memory: &'a mut MemoryShare,
    pub(in crate::engine) pool: &'a mut BufferPool,
    pub(in crate::engine) policy: &'a Policy,
    pub(in crate::engine) stats: &'a WorkerStats,
    pub(in crate::engine) now: Moment,
    /// With this much unwritten output a backend takes no more requests, bytes.
    pub(in crate::engine) backend_room: usize,
    /// Jitter of reconnects.
    pub(in crate::engine) random: &'a mut Random,
    /// Which of the requests that are answered, or fail, are logged.
    pub(in crate::engine) slow: &'a mut SlowRequests,
    /// For names of commands, and which nodes live.
    pub(in crate::engine) shared: &'a Shared,
}

impl Connections<'_> {
    /// A second borrow of this context, for a rare call.
    #[inline]
    pub(in crate::engine) fn cold(&mut self) -> Connections<'_> {
        Connections {
            nodes: self.nodes,
            backends: self.backends,
            sessions: self.sessions,
            departed: self.departed,
            agenda: self.agenda,
            memory: self.memory,
            pool: self.pool,
            policy: self.policy,
            stats: self.stats,
            now: self.now,
            backend_room: self.backend_room,
            random: self.random,
            slow: self.slow,
            shared: self.shared,
        }
    }

    /// What moves sessions.
    #[inline]
    pub(in crate::engine) fn clients(&mut self) -> Clients<'_> {
        Clients {
            sessions: self.sessions,
            agenda: self.agenda,
            memory: self.memory,
            pool: self.pool,
            policy: self.policy,
            stats: self.stats,
        }
    }

    /// What sends to nodes.
    #[inline]
    pub(in crate::engine) fn sending(&mut self) -> Sending<'_> {
        Sending {
            backends: self.backends,
            sessions: self.sessions,
            agenda: self.agenda,
            memory: self.memory,
            pool: self.pool,
            policy: self.policy,
            stats: self.stats,
            now: self.now,
            backend_room: self.backend_room,
        }
    }
}
