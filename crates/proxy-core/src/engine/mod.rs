//! The engine: all decisions of one worker, without IO.
//!
//! It knows no sockets and reads no clock. A driver tells it what happened and carries out what it wants.
//!
//! ```text
//!            session_received ──▶ request ──▶ route ──▶ backend.out ─┐
//!  driver                                                            ├─ end_turn ──▶ what to write, actions
//!            backend_received ──▶ reply   ──▶ order ──▶ session.out ─┘
//! ```
//!
//! # The calls of one turn, in their order
//!
//! 1. [`Engine::begin_turn`] with the time, before anything else. Fences are looked at here.
//! 2. What happened, in any order and number: [`Engine::accept`]; [`Engine::session_received`] and
//!    [`Engine::backend_received`], each only after [`Engine::wants_read`] or [`Engine::wants_backend_read`] said yes;
//!    [`Engine::session_ended`], [`Engine::session_closed`]; [`Engine::backend_connected`],
//!    [`Engine::backend_failed`]; [`Engine::session_writable`], [`Engine::backend_writable`];
//!    [`Engine::control_replied`], [`Engine::update`], [`Engine::pause`].
//! 3. [`Engine::tick`], where [`Engine::tick_us`] have passed since the last.
//! 4. [`Engine::end_turn`]: sessions that waited go on, and two lists say what is to be written.
//! 5. Each backend of the list is written: [`Engine::backend_output`], then [`Engine::backend_sent`] with what the
//!    socket took, again and again until all is written or, with [`Engine::backend_blocked`], the socket takes no more.
//! 6. Each session of the list is written: [`Engine::look_before_delivery`] where
//!    [`Engine::must_look_before_delivery`], [`Engine::session_output`], [`Engine::session_sent`]; and
//!    [`Engine::session_blocked`] when the socket takes no more, [`Engine::session_unfinished`] when the driver will
//!    not write more in this turn.
//! 7. [`Engine::take_actions`], each carried out in its order. Names of what was closed are used again only after this
//!    call, so a table that is kept by index never has two entries for one index.
//! 8. [`Engine::nap_us`] and [`Engine::sleep_us`] say how long to wait for the next event.
//!
//! A name that is no longer known is never an error: what is told of it is passed over.
//!
//! [`Engine::check`] asserts what always holds between two calls.

mod backend;
mod check;
mod contexts;
mod port;
mod reply;
mod request;
mod session;
mod state;
mod turn;

use std::rc::Rc;
use std::sync::Arc;

use resp::RequestParser;

pub use self::port::{
    Action, Ask, DroppedSession, Moment, Pause, QUESTIONS_PENDING_MAX, Question, ReplyPlace, SessionSketch,
    Shared,
};
pub use self::state::abandoned::Abandonments;
use self::state::agenda::Agenda;
use self::state::backend::Backend;
use self::state::buffers::{BufferPool, OutQueue};
use self::state::departed::Departed;
pub use self::state::departed::{Killed, Strays};
pub use self::state::fences::WriteFences;
pub use self::state::ids::BackendId;
pub use self::state::ids::SessionId;
pub use self::state::lives::NodeLives;
use self::state::memory::MemoryShare;
pub use self::state::nodes::CONNECTIONS_MAX;
use self::state::nodes::Nodes;
use self::state::pace::Pace;
pub use self::state::policy::Policy;
use self::state::random::Random;
use self::state::session::Session;
use self::state::slab::Slab;
use self::state::slow::SlowRequests;
pub use self::state::{buffers, memory, policy, stream};
use crate::stats::WorkerStats;

/// What an engine is made from.
pub struct EngineStart {
    /// What all workers of the proxy share.
    pub shared: Shared,
    /// The limits and batching rules.
    pub policy: Policy,
    /// Where this worker counts.
    pub stats: Arc<WorkerStats>,
    /// This worker's share of the proxy's memory.
    pub memory: MemoryShare,
    /// Decides the jitter of reconnects.
    pub seed: u64,
}

/// One worker's sessions and backends.
pub struct Engine {
    sessions: Slab<SessionId, Session>,
    departed: Departed,
    backends: Slab<BackendId, Backend>,
    nodes: Nodes,
    memory: MemoryShare,
    /// `Rc` around what is shared by threads, so that holding on to it for one request is not an atomic operation.
    shared: Rc<Shared>,
    policy: Policy,
    /// With this much unwritten output a backend takes no more requests, bytes.
    backend_room: usize,
    pace: Pace,
    stats: Arc<WorkerStats>,
    pool: BufferPool,
    parser: RequestParser,
    key_positions: Vec<u32>,
    random: Random,
    slow: SlowRequests,
    now: Moment,
    pause: Option<Pause>,
    draining: bool,
    /// Bytes of answers of this turn that are long or costly to make.
    costly_bytes: usize,
    /// Nodes to which nothing is sent for clients in this turn.
    fenced_nodes: Vec<model::Address>,
    agenda: Agenda,
    /// What there is to write to a session that is gone.
    no_output: OutQueue,
}

impl Engine {
    /// An engine without sessions.
    #[must_use]
    pub fn new(start: EngineStart, now: Moment) -> Self {
        let EngineStart { shared, policy, stats, memory, seed } = start;
        // Address space for all of them: growing would leave holes as large as what was outgrown.
        let sessions_max = shared.settings.maxclients as usize;
        let mut engine = Engine {
            sessions: Slab::with_capacity(sessions_max),
            departed: Departed::default(),
            backends: Slab::with_capacity(0),
            nodes: Nodes::default(),
            memory,
            shared: Rc::new(shared),
            policy,
            backend_room: 0,
            pace: Pace::default(),
            stats,
            pool: BufferPool::default(),
            parser: RequestParser::new(),
            key_positions: Vec::new(),
            random: Random::new(seed),
            slow: SlowRequests::default(),
            now,
            pause: None,
            draining: false,
            costly_bytes: 0,
            fenced_nodes: Vec::new(),
            agenda: Agenda::default(),
            no_output: OutQueue::default(),
        };
        engine.apply_settings();
        engine.apply_view(None);
        engine
    }

    /// Takes over new shared state. A new view holds from the next request on; what is in flight stays where it is, and
    /// a session whose next request could overtake what it is owed waits for that first.
    pub fn update(&mut self, shared: Shared) {
        let before = std::mem::replace(&mut self.shared, Rc::new(shared));
        self.apply_settings();
        if before.settings.max_redirections != self.shared.settings.max_redirections {
            // What is forwarded takes another connection from now on.
            self.clients().take_all_barriers();
        }
        self.apply_view(before.view.as_deref());
        // What this turn still reads goes by the new view, and so by its fences.
        self.look_at_fences();
    }

    /// What can be changed while the proxy runs.
    fn apply_settings(&mut self) {
        let settings = self.shared.settings.clone();
        self.policy.apply(&settings);
        self.memory.set_max(settings.memory_max_bytes);
        self.backend_room = self.policy.backend_output_bytes.min(self.memory.backend_bytes_max());
        if self.nodes.connections != self.policy.connections_per_node {
            // From now on a session's requests may take another connection.
            self.nodes.connections = self.policy.connections_per_node;
            self.clients().take_all_barriers();
        }
        self.slow.set_threshold(settings.slowlog_log_slower_than_us);
    }

    /// Begins or ends a pause of commands. One that is there is not made shorter or laxer by another.
    pub fn pause(&mut self, pause: Option<Pause>) {
        let is_on = |pause: &Pause| pause.until_us > self.now.us;
        let before = self.pause.filter(is_on);
        self.pause = pause.map(|pause| pause.after(before)).filter(is_on);
        // What another kind of pause still holds back waits again.
        self.clients().release_held_sessions();
    }

    /// Sessions connected to this worker.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// What the driver is to do, in this order. Names of closed connections are used again after this call only.
    pub fn take_actions(&mut self) -> Vec<Action> {
        self.sessions.reuse();
        self.backends.reuse();
        std::mem::take(&mut self.agenda.actions)
    }

    /// The buffers that the driver reads into come from here.
    pub fn pool(&mut self) -> &mut BufferPool {
        &mut self.pool
    }
}
