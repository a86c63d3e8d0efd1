//! The epoll driver: tells the engine what happened on the sockets and has written what it wants written.
//!
//! Sockets are edge-triggered; a read that comes back short is taken for the last, which saves a system call for each.
//! It decides nothing: what to hold, whom to close and where to connect is the engine's.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use proxy_core::engine::buffers::Chunk;
use proxy_core::engine::{BackendId, Engine, EngineStart, Moment, SessionId};
use proxy_core::face::Face;
use proxy_core::stats::WorkerStats;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use tokio::sync::oneshot;
use tracing::warn;

use super::clock::moment;
use super::killed::Killed;
use super::linger::Linger;
use super::mailbox::{ControlLine, Inbox, OwedAsk};
use super::registration::{
    Bound, LISTENER, Listeners, MAILBOX, REPLICA_LISTENER, Source, index_of, is_backend,
};
use super::socket_tables::{BackendSocket, SessionSocket};
use super::spare::Spare;
use super::start::{Totals, WorkerStart};

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

/// One worker's event loop.
pub(super) struct EventLoop {
    pub(super) index: usize,
    pub(super) epoll: OwnedFd,
    pub(super) listeners: Option<Listeners>,
    pub(super) address: SocketAddr,
    pub(super) inbox: Inbox,
    pub(super) control: ControlLine,
    /// Sessions whose client waits for an answer that takes long: dropping the sender ends it.
    pub(super) patient: HashMap<SessionId, oneshot::Sender<()>>,
    pub(super) totals: Arc<Totals>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) engine: Engine,
    pub(super) sessions: Vec<Option<SessionSocket>>,
    pub(super) backends: Vec<Option<BackendSocket>>,
    /// Sockets that had more than one read took.
    pub(super) again: Vec<Source>,
    /// Who asked in this turn what is due to clients.
    pub(super) owed_asks: Vec<OwedAsk>,
    /// Whose CLIENT KILL is not answered yet, oldest first.
    pub(super) killed: Vec<Killed>,
    /// Clients that were refused and may still be sending.
    pub(super) linger: Linger,
    /// For the limit of open files.
    pub(super) spare: Spare,
    pub(super) chunk: Chunk,
    pub(super) chunk_large: Chunk,
    pub(super) now: Moment,
    next_tick_us: u64,
    pub(super) authenticated: bool,
    pub(super) maxclients: usize,
    pub(super) running: bool,
    pub(super) draining: bool,
}

impl EventLoop {
    /// An event loop that serves what is bound. To be made on the thread that runs it: its buffers stay there.
    pub(super) fn new(start: WorkerStart, inbox: Inbox, bound: Bound) -> EventLoop {
        let now = moment();
        let maxclients = start.shared.settings.maxclients as usize;
        let authenticated = start.shared.settings.password.is_none();
        let seed = now.unix_us ^ (start.index as u64).rotate_left(32);
        let engine = EngineStart {
            shared: start.shared,
            policy: start.policy,
            stats: start.stats.clone(),
            memory: start.memory,
            seed,
        };
        let mut engine = Engine::new(engine, now);
        let (chunk, chunk_large) = (engine.pool().chunk(false), engine.pool().chunk(true));
        EventLoop {
            index: start.index,
            epoll: bound.epoll,
            address: bound.address,
            listeners: Some(bound.listeners),
            inbox,
            control: start.control,
            patient: HashMap::new(),
            totals: start.totals,
            stats: start.stats,
            engine,
            sessions: Vec::with_capacity(maxclients),
            backends: Vec::new(),
            again: Vec::new(),
            owed_asks: Vec::new(),
            killed: Vec::new(),
            linger: Linger::default(),
            spare: Spare::new(),
            chunk,
            chunk_large,
            now,
            next_tick_us: 0,
            authenticated,
            maxclients,
            running: true,
            draining: false,
        }
    }

    /// Serves until told to stop.
    pub(super) fn run(mut self) {
        // Naps are shorter than the slack that timers have by default.
        if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
            warn!(worker = self.index, %error, "cannot make timers precise");
        }
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let (mut sessions, mut backends) = (Vec::new(), Vec::new());
        while self.running {
            events.clear();
            self.wait(&mut events);
            self.now = moment();
            self.engine.begin_turn(self.now);
            if !events.is_empty() {
                self.stats.turns.increment();
            }
            for event in &events {
                self.happened(event.data.u64(), event.flags);
            }
            for source in std::mem::take(&mut self.again) {
                match source {
                    Source::Session(id) => self.read_session(id, true),
                    Source::Backend(id) => self.read_backend(id, true),
                }
            }
            if !self.linger.is_empty() {
                self.linger.drain(self.chunk.space(), self.now.us);
            }
            if self.now.us >= self.next_tick_us {
                self.accept_again();
                if self.draining {
                    self.engine.drain();
                }
                self.engine.tick();
                self.next_tick_us = self.now.us + self.engine.tick_us();
                self.stop_if_drained();
            }
            self.engine.end_turn(&mut sessions, &mut backends);
            for id in backends.drain(..) {
                self.write_backend(id);
            }
            for id in sessions.drain(..) {
                self.write_session(id);
            }
            self.answer_owed();
            self.act();
            if !self.killed.is_empty() {
                self.answer_killed();
            }
            self.nap();
        }
    }

    /// Lets events gather where the engine thinks that worth it.
    #[inline]
    fn nap(&self) {
        let nap_us = if self.again.is_empty() && !self.linger.is_behind() { self.engine.nap_us() } else { 0 };
        if nap_us > 0 {
            let time = Timespec { tv_sec: 0, tv_nsec: nap_us as i64 * 1000 };
            // Woken early is as good.
            let _ = rustix::thread::nanosleep(&time);
        }
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) {
        let sleep_us =
            if self.again.is_empty() && !self.linger.is_behind() { self.engine.sleep_us() } else { 0 };
        let timeout = Timespec { tv_sec: 0, tv_nsec: sleep_us.min(999_999) as i64 * 1000 };
        match epoll::wait(&self.epoll, spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("waiting on our own epoll instance cannot fail: {error}"),
        }
    }

    #[inline]
    fn happened(&mut self, token: u64, flags: epoll::EventFlags) {
        let readable = flags.intersects(
            epoll::EventFlags::IN
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::HUP
                | epoll::EventFlags::ERR,
        );
        let ends =
            flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        let writable = flags.intersects(epoll::EventFlags::OUT);
        match token {
            LISTENER => self.accept(Face::Primary),
            REPLICA_LISTENER => self.accept(Face::Replica),
            MAILBOX => self.take_messages(),
            _ if is_backend(token) => {
                let Some(id) = self.backend_of(token) else { return };
                if self.backend_ready(id) {
                    if writable && !self.engine.backend_output(id).is_empty() {
                        self.engine.backend_writable(id);
                    }
                    if readable {
                        self.read_backend(id, ends);
                    }
                }
            }
            _ => {
                let Some(id) = self.session_of(token) else { return self.linger.told(token) };
                // What a client sent before it broke the connection is of no use to anybody: it can be told nothing.
                if flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
                    return self.drop_session(id);
                }
                if ends {
                    self.client_left(id);
                }
                if writable {
                    self.engine.session_writable(id);
                }
                if readable {
                    self.read_session(id, ends);
                }
            }
        }
    }

    /// The session that the kernel means; nothing where it was closed earlier in this turn.
    #[inline]
    fn session_of(&self, token: u64) -> Option<SessionId> {
        let id = self.sessions.get(index_of(token))?.as_ref()?.id;
        (Source::Session(id).number() == token).then_some(id)
    }

    /// As [`EventLoop::session_of`], for a backend.
    #[inline]
    fn backend_of(&self, token: u64) -> Option<BackendId> {
        let id = self.backends.get(index_of(token))?.as_ref()?.id;
        (Source::Backend(id).number() == token).then_some(id)
    }

    /// The socket of a session, unless it is closed.
    #[inline]
    pub(super) fn session_socket(&mut self, id: SessionId) -> Option<&mut SessionSocket> {
        self.sessions.get_mut(id.index())?.as_mut().filter(|session| session.id == id)
    }

    /// The socket of a backend, unless it is closed.
    #[inline]
    pub(super) fn backend_socket(&mut self, id: BackendId) -> Option<&mut BackendSocket> {
        self.backends.get_mut(id.index())?.as_mut().filter(|backend| backend.id == id)
    }

    fn stop_if_drained(&mut self) {
        if self.draining && self.engine.session_count() == 0 {
            self.running = false;
        }
    }
}
