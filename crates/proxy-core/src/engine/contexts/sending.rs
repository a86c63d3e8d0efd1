//! What sends to nodes over the connections that are there. It opens and closes none, and does not know which node a
//! connection leads to.

use super::clients::Clients;
use crate::engine::port::Moment;
use crate::engine::state::agenda::Agenda;
use crate::engine::state::backend::Backend;
use crate::engine::state::buffers::BufferPool;
use crate::engine::state::ids::{BackendId, SessionId};
use crate::engine::state::memory::MemoryShare;
use crate::engine::state::policy::Policy;
use crate::engine::state::session::Session;
use crate::engine::state::slab::Slab;
use crate::stats::WorkerStats;

/// The backends of a worker, the sessions that they owe replies to, and what it takes to send.
pub(in crate::engine) struct Sending<'a> {
    pub(in crate::engine) backends: &'a mut Slab<BackendId, Backend>,
    pub(in crate::engine) sessions: &'a mut Slab<SessionId, Session>,
    pub(in crate::engine) agenda: &'a mut Agenda,
    pub(in crate::engine) memory: &'a mut MemoryShare,
    pub(in crate::engine) pool: &'a mut BufferPool,
    pub(in crate::engine) policy: &'a Policy,
    pub(in crate::engine) stats: &'a WorkerStats,
    pub(in crate::engine) now: Moment,
    /// With this much unwritten output a backend takes no more requests, bytes.
    pub(in crate::engine) backend_room: usize,
}

impl Sending<'_> {
    /// A second borrow of this context, for a rare call.
    #[inline]
    pub(in crate::engine) fn cold(&mut self) -> Sending<'_> {
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
}
