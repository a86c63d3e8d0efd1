//! The epoll driver: tells the engine what happened on the sockets and writes what it wants written.
//!
//! Every socket is registered once, edge-triggered, for reading and writing; a read that comes back short is taken
//! for the last, which saves a system call for each. It decides nothing: what to hold, whom to close and where to
//! connect is the engine's.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proxy_core::engine::buffers::{Chunk, READ_BYTES, READ_BYTES_LARGE};
use proxy_core::engine::{Action, BackendId, Engine, Moment, SessionId};
use proxy_core::stats::WorkerStats;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc::UnboundedSender;
use tracing::{debug, warn};

use super::io::{self, Read, Written};
use super::mailbox::Inbox;
use super::messages::OwedAsk;
use super::{ControlMessage, Totals, WorkerStart, sockets};
use crate::RunError;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;

const LISTENER: u64 = u64::MAX;
const MAILBOX: u64 = u64::MAX - 1;
const BACKEND: u64 = 1 << 40;

/// A session's socket.
pub(super) struct SessionSocket {
    pub(super) socket: OwnedFd,
    /// Readable, but the engine does not want more now.
    pub(super) unread: bool,
}

/// A backend's socket.
struct BackendSocket {
    socket: OwnedFd,
    connected: bool,
    unread: bool,
}

/// What a worker needs of the system before its thread starts, so that a failure is told to whoever starts it.
pub(super) struct Bound {
    epoll: OwnedFd,
    listener: socket2::Socket,
    pub(super) address: SocketAddr,
}

impl Bound {
    /// Binds the listener and registers it, and the mailbox, with an epoll instance.
    pub(super) fn new(address: SocketAddr, inbox: &Inbox) -> Result<Bound, RunError> {
        let listener = sockets::listener(address).map_err(|error| RunError::Listen(address, error))?;
        let local = listener.local_addr().map_err(RunError::system("asking for a listener's address"))?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(|error| RunError::system("making an epoll instance")(error.into()))?;
        for (socket, token) in [(listener.as_fd(), LISTENER), (inbox.wake.as_fd(), MAILBOX)] {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
                .map_err(|error| RunError::system("registering with epoll")(error.into()))?;
        }
        Ok(Bound { epoll, listener, address: local.as_socket().unwrap_or(address) })
    }
}

/// One worker's event loop.
pub(super) struct EventLoop {
    pub(super) index: usize,
    pub(super) epoll: OwnedFd,
    pub(super) listener: Option<socket2::Socket>,
    pub(super) address: SocketAddr,
    pub(super) inbox: Inbox,
    control: UnboundedSender<ControlMessage>,
    pub(super) totals: Arc<Totals>,
    pub(super) stats: Arc<WorkerStats>,
    pub(super) engine: Engine,
    pub(super) sessions: Vec<Option<SessionSocket>>,
    backends: Vec<Option<BackendSocket>>,
    /// Sockets that had more than one read took.
    pub(super) again: Vec<u64>,
    /// Who asked in this turn what is due to clients.
    pub(super) owed_asks: Vec<OwedAsk>,
    chunk: Chunk,
    chunk_large: Chunk,
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
        let mut engine = Engine::new(start.shared, start.policy, start.stats.clone(), seed, now);
        let (chunk, chunk_large) = (engine.pool().chunk(false), engine.pool().chunk(true));
        EventLoop {
            index: start.index,
            epoll: bound.epoll,
            address: bound.address,
            listener: Some(bound.listener),
            inbox,
            control: start.control,
            totals: start.totals,
            stats: start.stats,
            engine,
            sessions: Vec::with_capacity(maxclients),
            backends: Vec::new(),
            again: Vec::new(),
            owed_asks: Vec::new(),
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
            for token in std::mem::take(&mut self.again) {
                self.readable(token);
            }
            if self.now.us >= self.next_tick_us {
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
            self.nap();
        }
    }

    /// Lets events gather where the engine thinks that worth it.
    #[inline]
    fn nap(&self) {
        let nap_us = match self.again.is_empty() {
            true => self.engine.nap_us(),
            false => 0,
        };
        if nap_us > 0 {
            let time = Timespec { tv_sec: 0, tv_nsec: nap_us as i64 * 1000 };
            // Woken early is as good.
            let _ = rustix::thread::nanosleep(&time);
        }
    }

    fn wait(&self, events: &mut Vec<epoll::Event>) {
        let sleep_us = match self.again.is_empty() {
            true => self.engine.sleep_us(),
            false => 0,
        };
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
            LISTENER => self.accept(),
            MAILBOX => self.take_messages(),
            _ if token >= BACKEND => {
                let id = BackendId((token - BACKEND) as u32);
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
                let id = SessionId(token as u32);
                if writable && !self.engine.session_output(id).is_empty() {
                    self.write_session(id);
                }
                if readable {
                    self.read_session(id, ends);
                }
            }
        }
    }

    fn readable(&mut self, token: u64) {
        match token >= BACKEND {
            true => self.read_backend(BackendId((token - BACKEND) as u32), true),
            false => self.read_session(SessionId(token as u32), true),
        }
    }

    /// Reads once from a client. `ends`: something is known to follow what was read, if only the end.
    fn read_session(&mut self, id: SessionId, ends: bool) {
        let Some(Some(session)) = self.sessions.get_mut(id.0 as usize) else { return };
        if !self.engine.wants_read(id) {
            session.unread = true;
            return;
        }
        match io::read(&session.socket, self.chunk.space()) {
            Read::Bytes(bytes) => {
                if bytes == READ_BYTES || ends {
                    self.again.push(u64::from(id.0));
                }
                self.engine.session_received(id, &self.chunk, bytes);
                if self.chunk.is_shared() {
                    self.chunk = self.engine.pool().chunk(false);
                }
            }
            Read::Nothing => {}
            Read::End => self.engine.session_ended(id),
            Read::Broken => self.drop_session(id),
        }
    }

    fn read_backend(&mut self, id: BackendId, ends: bool) {
        let Some(Some(backend)) = self.backends.get_mut(id.0 as usize) else { return };
        if !self.engine.wants_backend_read(id) {
            backend.unread = true;
            return;
        }
        let large = self.engine.reads_large(id);
        let (chunk, size) = match large {
            true => (&mut self.chunk_large, READ_BYTES_LARGE),
            false => (&mut self.chunk, READ_BYTES),
        };
        match io::read(&backend.socket, chunk.space()) {
            Read::Bytes(bytes) => {
                if bytes == size || ends {
                    self.again.push(BACKEND + u64::from(id.0));
                }
                self.engine.backend_received(id, chunk, bytes);
                if chunk.is_shared() {
                    *chunk = self.engine.pool().chunk(large);
                }
            }
            Read::Nothing => {}
            Read::End => self.engine.backend_failed(id, "it closed the connection"),
            Read::Broken => self.engine.backend_failed(id, "the connection broke"),
        }
    }

    /// Whether a backend is connected; finds out where that was still open.
    fn backend_ready(&mut self, id: BackendId) -> bool {
        let Some(Some(backend)) = self.backends.get_mut(id.0 as usize) else { return false };
        if backend.connected {
            return true;
        }
        match sockets::connect_outcome(&backend.socket) {
            Ok(()) => {
                backend.connected = true;
                self.engine.backend_connected(id);
                true
            }
            Err(error) => {
                debug!(worker = self.index, backend = id.0, %error, "cannot connect to a node");
                self.engine.backend_failed(id, "it could not be reached");
                false
            }
        }
    }

    fn write_session(&mut self, id: SessionId) {
        let Some(Some(session)) = self.sessions.get(id.0 as usize) else { return };
        loop {
            // Only proxies that are watched by coordinators have to.
            if self.engine.must_look_before_delivery() {
                self.engine.look_before_delivery(micros(ClockId::MonotonicCoarse));
            }
            let queue = self.engine.session_output(id);
            let due = queue.len();
            if due == 0 {
                return self.engine.session_sent(id, 0);
            }
            match io::write(&session.socket, queue) {
                Written::Bytes(bytes) => {
                    self.engine.session_sent(id, bytes);
                    if bytes == due {
                        return;
                    }
                }
                Written::Nothing => return,
                Written::Broken => return self.drop_session(id),
            }
        }
    }

    fn write_backend(&mut self, id: BackendId) {
        let Some(Some(backend)) = self.backends.get(id.0 as usize) else { return };
        loop {
            let queue = self.engine.backend_output(id);
            let due = queue.len();
            if due == 0 {
                return;
            }
            match io::write(&backend.socket, queue) {
                Written::Bytes(bytes) => {
                    self.engine.backend_sent(id, bytes);
                    if bytes == due {
                        return;
                    }
                }
                Written::Nothing => return,
                Written::Broken => return self.engine.backend_failed(id, "the connection broke"),
            }
        }
    }

    /// Closes a client's socket; false if it was closed before.
    fn close_session_socket(&mut self, id: SessionId) -> bool {
        let closed = self.sessions[id.0 as usize].take().is_some();
        if closed {
            self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
            self.stats.sessions.subtract(1);
        }
        closed
    }

    fn drop_session(&mut self, id: SessionId) {
        if self.close_session_socket(id) {
            self.engine.session_closed(id);
        }
    }

    fn act(&mut self) {
        for action in self.engine.take_actions() {
            match action {
                Action::Connect(id, address) => self.connect(id, &address),
                Action::CloseBackend(id) => {
                    if let Some(backend) = self.backends.get_mut(id.0 as usize) {
                        *backend = None;
                    }
                }
                Action::CloseSession(id) => {
                    // The client may have broken the connection after the engine decided.
                    self.close_session_socket(id);
                    self.engine.session_released(id);
                }
                Action::ReadSession(id) => {
                    if let Some(Some(session)) = self.sessions.get_mut(id.0 as usize)
                        && std::mem::take(&mut session.unread)
                    {
                        self.again.push(u64::from(id.0));
                    }
                }
                Action::ReadBackend(id) => {
                    if let Some(Some(backend)) = self.backends.get_mut(id.0 as usize)
                        && std::mem::take(&mut backend.unread)
                    {
                        self.again.push(BACKEND + u64::from(id.0));
                    }
                }
                // The control thread outlives the workers.
                Action::Control(ask) => {
                    let _ = self.control.send(ControlMessage::Ask { worker: self.index, ask });
                }
                Action::Slow(entry) => {
                    let _ = self.control.send(ControlMessage::Slow(entry));
                }
            }
        }
    }

    fn connect(&mut self, id: BackendId, address: &model::Address) {
        let opened = sockets::connect(address).and_then(|socket| {
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            let data = epoll::EventData::new_u64(BACKEND + u64::from(id.0));
            epoll::add(&self.epoll, &socket, data, flags)?;
            Ok(socket)
        });
        if self.backends.len() <= id.0 as usize {
            self.backends.resize_with(id.0 as usize + 1, || None);
        }
        match opened {
            Ok(socket) => {
                self.backends[id.0 as usize] =
                    Some(BackendSocket { socket, connected: false, unread: false });
            }
            Err(error) => {
                warn!(worker = self.index, node = %address, %error, "cannot connect to a node");
                self.engine.backend_failed(id, "it could not be reached");
            }
        }
    }

    fn stop_if_drained(&mut self) {
        if self.draining && self.engine.session_count() == 0 {
            self.running = false;
        }
    }
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32).as_micros() as u64
}

fn moment() -> Moment {
    Moment { us: micros(ClockId::Monotonic), unix_us: micros(ClockId::Realtime) }
}
