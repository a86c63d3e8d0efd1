//! Carrying out what the engine decided: connections opened and closed, reading taken up again, questions passed on.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;

use proxy_core::engine::{Action, BackendId, DroppedSession, SessionId};
use rustix::net::{Shutdown, shutdown};
use tokio::sync::oneshot;
use tracing::{debug, warn};

use super::event_loop::EventLoop;
use super::registration::{Source, register};
use super::socket_tables::BackendSocket;
use super::{SessionAsk, sockets};

impl EventLoop {
    pub(super) fn act(&mut self) {
        for action in self.engine.take_actions() {
            match action {
                Action::Connect(id, address) => match sockets::without_lookup(&address) {
                    Some(direct) => self.connect(id, direct),
                    // Looking a name up may take seconds: other threads do that.
                    None => {
                        let worker = self.index;
                        self.control.resolve(worker, id, address);
                    }
                },
                Action::CloseBackend(id) => {
                    if self.backend_socket(id).is_some() {
                        self.backends[id.index()] = None;
                    }
                }
                Action::EndBackend(id) => {
                    if let Some(backend) = self.backend_socket(id) {
                        // Where it is broken already, that is seen when it is read.
                        let _ = shutdown(&backend.socket, Shutdown::Write);
                    }
                }
                Action::ReadBackend(id) => {
                    if self.backend_socket(id).is_some_and(|backend| std::mem::take(&mut backend.unread)) {
                        self.again.push(Source::Backend(id));
                    }
                }
                // The client may have broken the connection after the engine decided.
                Action::CloseSession(id) => _ = self.close_session_socket(id),
                Action::EndSession(id) => {
                    if let Some(socket) = self.take_session_socket(id) {
                        self.linger.add(Source::Session(id).number(), socket, self.now.us);
                    }
                }
                Action::Dropped(dropped) => self.tell_dropped(&dropped),
                Action::ReadSession(id) => {
                    if self.session_socket(id).is_some_and(|session| std::mem::take(&mut session.unread)) {
                        self.again.push(Source::Session(id));
                    }
                }
                Action::Control(ask) => {
                    let left = ask.question.takes_long().then(|| self.patience(ask.place.session));
                    self.control.ask(SessionAsk { worker: self.index, ask, left });
                }
                Action::CloseRefused { node, answer } => {
                    warn!(
                        %node,
                        answer,
                        "the node does not close a connection that was given up, so clients that were owed something are \
                         disconnected; its user must be allowed CLIENT KILL",
                    );
                }
                Action::Slow(entry) => self.control.slow(entry),
            }
        }
    }

    fn tell_dropped(&self, dropped: &DroppedSession) {
        let (held_together, memory_max) = dropped.all_bytes;
        warn!(
            worker = self.index,
            client = dropped.profile.id,
            peer = %dropped.profile.peer,
            held_bytes = dropped.held_bytes,
            held_together,
            memory_max,
            "closed the client that holds most: memory is short",
        );
    }

    /// A node's name was looked up for this connection, if it is still wanted.
    pub(super) fn resolved(&mut self, id: BackendId, address: std::io::Result<SocketAddr>) {
        if !self.engine.is_connecting(id) || self.backend_socket(id).is_some() {
            return;
        }
        match address {
            Ok(address) => self.connect(id, address),
            Err(error) => {
                warn!(worker = self.index, %error, "cannot look up a node's name");
                self.engine.backend_failed(id, "its name could not be looked up");
            }
        }
    }

    fn connect(&mut self, id: BackendId, address: SocketAddr) {
        let opened = sockets::connect(address).and_then(|socket| {
            register(&self.epoll, &socket, Source::Backend(id).number())?;
            Ok(socket)
        });
        if self.backends.len() <= id.index() {
            self.backends.resize_with(id.index() + 1, || None);
        }
        match opened {
            Ok(socket) => {
                let backend = BackendSocket {
                    id,
                    socket,
                    connected: false,
                    unread: false,
                    is_near: false,
                    low_mark: 1,
                };
                self.backends[id.index()] = Some(backend);
            }
            Err(error) => {
                warn!(worker = self.index, node = %address, %error, "cannot connect to a node");
                self.engine.backend_failed(id, "it could not be reached");
            }
        }
    }

    /// Whether a backend is connected; finds out where that was still open.
    pub(super) fn backend_ready(&mut self, id: BackendId) -> bool {
        let Some(backend) = self.backend_socket(id) else { return false };
        if backend.connected {
            return true;
        }
        match sockets::connect_outcome(&backend.socket) {
            Ok(()) => {
                backend.connected = true;
                backend.is_near = sockets::is_near(&backend.socket);
                let end = sockets::end(&backend.socket);
                self.engine.backend_connected(id, end);
                true
            }
            Err(error) => {
                debug!(worker = self.index, backend = id.index(), %error, "cannot connect to a node");
                self.engine.backend_failed(id, "it could not be reached");
                false
            }
        }
    }

    /// What ends when the session's client leaves. A session waits for one such answer at a time.
    fn patience(&mut self, id: SessionId) -> oneshot::Receiver<()> {
        let (patience, left) = oneshot::channel();
        let stays = self.session_socket(id).is_some_and(|session| !session.ended);
        if stays {
            self.patient.insert(id, patience);
        }
        left
    }

    /// The client has closed its end, or the connection broke: it waits for nothing any more.
    pub(super) fn client_left(&mut self, id: SessionId) {
        if let Some(session) = self.session_socket(id) {
            session.ended = true;
            self.patient.remove(&id);
        }
    }

    pub(super) fn drop_session(&mut self, id: SessionId) {
        if self.close_session_socket(id) {
            self.engine.session_closed(id);
        }
    }

    /// Closes a client's socket; false if it was closed before.
    fn close_session_socket(&mut self, id: SessionId) -> bool {
        self.take_session_socket(id).is_some()
    }

    /// A client's socket, which is no longer a session's; nothing if it was closed before.
    pub(super) fn take_session_socket(&mut self, id: SessionId) -> Option<OwnedFd> {
        self.patient.remove(&id);
        self.session_socket(id)?;
        let session = self.sessions[id.index()].take()?;
        self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
        self.stats.sessions.subtract(1);
        Some(session.socket)
    }
}
