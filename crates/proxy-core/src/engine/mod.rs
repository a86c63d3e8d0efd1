//! The engine: all decisions of one worker, without IO.
//!
//! The driver tells what happened (`accept`, `session_received`, `backend_connected`, …), ends the turn, writes
//! what is marked for a flush and carries out the actions. The engine knows no sockets and reads no clock.
//!
//! ```text
//!            session_received ──▶ requests ──▶ route ──▶ backend.out ─┐
//!  driver                                                             ├─ end_turn ──▶ flush lists, actions
//!            backend_received ──▶ replies  ──▶ order ──▶ session.out ─┘
//! ```

mod backend;
mod port;
mod reply;
mod request;
mod session;
mod state;
mod turn;

use std::rc::Rc;
use std::sync::Arc;

use resp::RequestParser;

pub use self::port::{Action, Ask, Moment, Pause, Question, ReplyPlace, Shared};
pub use self::session::SessionSketch;
use self::state::backend::Backend;
pub use self::state::backend::BackendId;
use self::state::buffers::BufferPool;
pub use self::state::fences::WriteFences;
use self::state::nodes::Nodes;
pub use self::state::nodes::{CONNECTIONS_MAX, NodeState};
use self::state::pace::Pace;
pub use self::state::policy::Policy;
use self::state::session::Session;
pub use self::state::session::SessionId;
pub use self::state::{buffers, policy, stream};
use crate::stats::WorkerStats;

/// One worker's sessions and backends.
pub struct Engine {
    sessions: Vec<Session>,
    free_sessions: Vec<u32>,
    generations: u32,
    live_sessions: usize,
    backends: Vec<Backend>,
    free_backends: Vec<u32>,
    /// Places of connections that the driver has not closed yet: what it still hears of them is not for others.
    freed_backends: Vec<u32>,
    nodes: Nodes,
    /// `Rc` around what is shared by threads, so that holding on to it for one request is not an atomic operation.
    shared: Rc<Shared>,
    policy: Policy,
    pace: Pace,
    stats: Arc<WorkerStats>,
    pool: BufferPool,
    parser: RequestParser,
    key_positions: Vec<u32>,
    random: u64,
    /// A request that takes at least so many µs is slow.
    slow_us: u32,
    slow_requests: u32,
    now: Moment,
    pause: Option<Pause>,
    draining: bool,
    /// Nodes to which nothing is sent for clients in this turn.
    fenced_nodes: Vec<model::Address>,
    /// Sessions with output to write.
    dirty_sessions: Vec<u32>,
    /// Backends with output to write.
    dirty_backends: Vec<u32>,
    /// Sessions that may take requests again.
    resumed: Vec<SessionId>,
    /// Sessions held by a pause.
    held_sessions: Vec<SessionId>,
    actions: Vec<Action>,
}

impl Engine {
    /// An engine without sessions. `seed` decides the jitter of reconnects.
    #[must_use]
    pub fn new(shared: Shared, policy: Policy, stats: Arc<WorkerStats>, seed: u64, now: Moment) -> Self {
        // Address space for all of them: growing would leave holes as large as what was outgrown.
        let sessions_max = shared.settings.maxclients as usize;
        let mut engine = Engine {
            sessions: Vec::with_capacity(sessions_max),
            free_sessions: Vec::new(),
            generations: 0,
            live_sessions: 0,
            backends: Vec::new(),
            free_backends: Vec::new(),
            freed_backends: Vec::new(),
            nodes: Nodes::default(),
            shared: Rc::new(shared),
            policy,
            pace: Pace::default(),
            stats,
            pool: BufferPool::default(),
            parser: RequestParser::new(),
            key_positions: Vec::new(),
            random: seed | 1,
            slow_us: u32::MAX,
            slow_requests: 0,
            now,
            pause: None,
            draining: false,
            fenced_nodes: Vec::new(),
            dirty_sessions: Vec::new(),
            dirty_backends: Vec::new(),
            resumed: Vec::new(),
            held_sessions: Vec::new(),
            actions: Vec::new(),
        };
        engine.apply_settings();
        engine.apply_view();
        engine
    }

    /// Takes over new shared state. A new view holds from the next request on; what is in flight stays where it is.
    pub fn update(&mut self, shared: Shared) {
        self.shared = Rc::new(shared);
        self.apply_settings();
        self.apply_view();
        // What this turn still reads goes by the new view, and so by its fences.
        self.look_at_fences();
    }

    /// What can be changed while the proxy runs.
    fn apply_settings(&mut self) {
        let settings = &self.shared.settings;
        self.policy.apply(settings);
        self.slow_us = u32::try_from(settings.slowlog_log_slower_than_us).unwrap_or(u32::MAX);
    }

    /// Sets or ends a pause of commands.
    pub fn pause(&mut self, pause: Option<Pause>) {
        self.pause = pause.filter(|pause| pause.until_unix_us > self.now.unix_us);
        // What another kind of pause still holds back waits again.
        self.release_held_sessions();
    }

    /// Sessions connected to this worker.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.live_sessions
    }

    /// What the driver is to do; in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        self.free_backends.append(&mut self.freed_backends);
        std::mem::take(&mut self.actions)
    }

    /// The buffers that the driver reads into come from here.
    pub fn pool(&mut self) -> &mut BufferPool {
        &mut self.pool
    }

    /// xorshift: good enough for jitter and for choosing a victim.
    fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
