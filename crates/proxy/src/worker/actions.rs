//! Carrying out what the engine decided: connections opened and closed, reading taken up again, questions passed on.

use std::sync::atomic::Ordering;

use proxy_core::engine::{Action, BackendId, SessionId};
use tracing::{debug, warn};

use super::event_loop::{BackendSocket, EventLoop};
use super::registration::{BACKEND, register};
use super::{ControlMessage, sockets};

impl EventLoop {
    pub(super) fn act(&mut self) {
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
            register(&self.epoll, &socket, BACKEND + u64::from(id.0))?;
            Ok(socket)
        });
        if self.backends.len() <= id.0 as usize {
            self.backends.resize_with(id.0 as usize + 1, || None);
        }
        match opened {
            Ok(socket) => {
                let backend =
                    BackendSocket { socket, connected: false, unread: false, is_near: false, low_mark: 1 };
                self.backends[id.0 as usize] = Some(backend);
            }
            Err(error) => {
                warn!(worker = self.index, node = %address, %error, "cannot connect to a node");
                self.engine.backend_failed(id, "it could not be reached");
            }
        }
    }

    /// Whether a backend is connected; finds out where that was still open.
    pub(super) fn backend_ready(&mut self, id: BackendId) -> bool {
        let Some(Some(backend)) = self.backends.get_mut(id.0 as usize) else { return false };
        if backend.connected {
            return true;
        }
        match sockets::connect_outcome(&backend.socket) {
            Ok(()) => {
                backend.connected = true;
                backend.is_near = sockets::is_near(&backend.socket);
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

    pub(super) fn drop_session(&mut self, id: SessionId) {
        if self.close_session_socket(id) {
            self.engine.session_closed(id);
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
}
