//! What moves sessions: it brings replies to them, has them wait and lets them go on.
//!
//! It knows no node and no connection to one, and takes no request. Closing a session is not among it, because a session
//! may have a connection to a node to itself.

use crate::engine::state::agenda::Agenda;
use crate::engine::state::buffers::BufferPool;
use crate::engine::state::ids::SessionId;
use crate::engine::state::memory::MemoryShare;
use crate::engine::state::policy::Policy;
use crate::engine::state::session::Session;
use crate::engine::state::slab::Slab;
use crate::stats::WorkerStats;

/// The sessions of a worker, and what it takes to move them.
pub(in crate::engine) struct Clients<'a> {
    pub(in crate::engine) sessions: &'a mut Slab<SessionId, Session>,
    pub(in crate::engine) agenda: &'a mut Agenda,
    pub(in crate::engine) memory: &'a mut MemoryShare,
    pub(in crate::engine) pool: &'a mut BufferPool,
    pub(in crate::engine) policy: &'a Policy,
    pub(in crate::engine) stats: &'a WorkerStats,
}
