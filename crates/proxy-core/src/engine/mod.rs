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

pub mod buffers;
pub mod policy;
pub mod stream;

mod answers;
mod backend;
mod backends;
mod batches;
mod dispatch;
mod failures;
mod fan_out;
mod fences;
mod gather;
mod greetings;
mod nodes;
mod pace;
mod redirect;
mod replies;
mod requests;
mod sending;
mod session;
mod sessions;
mod streaming;
mod turn;

use std::rc::Rc;
use std::sync::Arc;

use model::Slot;
use resp::RequestParser;

use self::backend::Backend;
pub use self::backend::BackendId;
use self::buffers::BufferPool;
pub use self::fences::WriteFences;
use self::nodes::Nodes;
pub use self::nodes::{CONNECTIONS_MAX, NodeState};
use self::pace::Pace;
pub use self::policy::Policy;
use self::session::Session;
pub use self::session::SessionId;
pub use self::sessions::SessionSketch;
use crate::command::CommandTable;
use crate::local;
use crate::profile::Profile;
use crate::routing::WorkerView;
use crate::settings::{Secret, Settings};
use crate::slowlog::SlowEntry;
use crate::stats::WorkerStats;

/// The worker's clock, read once a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, µs; never 0.
    pub us: u64,
    /// Since the Unix epoch, µs.
    pub unix_us: u64,
}

/// What the driver is to do beyond writing output.
#[derive(Debug)]
pub enum Action {
    /// Open a connection to the node and report `backend_connected` or `backend_closed`.
    Connect(BackendId, model::Address),
    /// Close the connection. Its place is used again only for what is opened after the actions were taken.
    CloseBackend(BackendId),
    /// Write what can be written at once, close the connection, call `session_released`.
    CloseSession(SessionId),
    /// Read again from a session that was not to be read from.
    ReadSession(SessionId),
    /// Read again from a backend that was not to be read from.
    ReadBackend(BackendId),
    /// A request took too long: for the slow log.
    Slow(Box<SlowEntry>),
    /// A question that the control thread answers, with [`Engine::control_replied`].
    Control(Box<Ask>),
}

/// A question to the control thread.
#[derive(Debug)]
pub struct Ask {
    /// Where the answer belongs.
    pub place: ReplyPlace,
    /// What is asked.
    pub question: Question,
    /// Who asks.
    pub profile: Profile,
}

/// What one worker cannot answer by itself.
#[derive(Debug)]
pub enum Question {
    /// A command that concerns all workers.
    Local(Box<local::ControlRequest>),
    /// UMCTL with its arguments, the word UMCTL first.
    Umctl(Vec<Vec<u8>>),
    /// How many keys a slot holds.
    CountKeysInSlot(Slot),
    /// Some keys of a slot.
    KeysInSlot {
        /// The slot.
        slot: Slot,
        /// The most keys to return.
        count: u64,
    },
}

/// One reply's place in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyPlace {
    /// The session.
    pub session: SessionId,
    /// Tells later sessions of the same index apart.
    pub generation: u32,
    /// The reply's number in the session.
    pub sequence: u32,
}

/// What every worker of a proxy shares and may be replaced while it runs.
#[derive(Clone)]
pub struct Shared {
    /// The commands.
    pub table: Arc<CommandTable>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// What the nodes ask of those who connect.
    pub backend_password: Option<Secret>,
    /// The version of the nodes, which clients take for that of the proxy.
    pub server_version: Arc<str>,
    /// The view, once there is one.
    pub view: Option<Arc<WorkerView>>,
    /// Until when the primaries here take writes.
    pub fences: WriteFences,
}

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

/// CLIENT PAUSE: commands, or only those that write, wait until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Until when (Unix time, µs).
    pub until_unix_us: u64,
    /// Reads are let through.
    pub writes_only: bool,
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
