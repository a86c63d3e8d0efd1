//! Moving bytes: what is read from a socket goes to the engine, what the engine holds for it is written.

use proxy_core::engine::buffers::{READ_BYTES, READ_BYTES_LARGE};
use proxy_core::engine::{BackendId, SessionId};

use super::clock;
use super::event_loop::EventLoop;
use super::io::{self, Read, Written};
use super::low_mark;
use super::registration::Source;

/// Bytes written to one client in one turn, of a large reply that its socket keeps taking: others have their turn too.
const WRITTEN_PER_TURN_MAX: usize = 1024 * 1024;

impl EventLoop {
    /// Reads once from a client. `ends`: something is known to follow what was read, if only the end.
    pub(super) fn read_session(&mut self, id: SessionId, ends: bool) {
        let Some(Some(session)) = self.sessions.get_mut(id.index()) else { return };
        if session.id != id {
            return;
        }
        if !self.engine.wants_read(id) {
            session.unread = true;
            if session.ended {
                self.engine.session_leaves(id, io::unread_bytes(&session.socket));
            }
            return;
        }
        match io::read(&session.socket, self.chunk.space()) {
            Read::Bytes(bytes) => {
                if bytes == READ_BYTES || ends {
                    self.again.push(Source::Session(id));
                }
                self.engine.session_received(id, &self.chunk, bytes);
                if self.chunk.is_shared() {
                    self.chunk = self.engine.pool().chunk(false);
                }
            }
            Read::Nothing => {}
            Read::End => {
                session.ended = true;
                self.patient.remove(&id);
                self.engine.session_ended(id);
            }
            Read::Broken => self.drop_session(id),
        }
    }

    pub(super) fn read_backend(&mut self, id: BackendId, ends: bool) {
        let Some(Some(backend)) = self.backends.get_mut(id.index()) else { return };
        if backend.id != id {
            return;
        }
        if !self.engine.wants_backend_read(id) {
            backend.unread = true;
            return;
        }
        let large = self.engine.reads_large(id);
        let (chunk, size) =
            if large { (&mut self.chunk_large, READ_BYTES_LARGE) } else { (&mut self.chunk, READ_BYTES) };
        match io::read(&backend.socket, chunk.space()) {
            Read::Bytes(bytes) => {
                if bytes == size || ends {
                    self.again.push(Source::Backend(id));
                }
                self.engine.backend_received(id, chunk, bytes);
                if chunk.is_shared() {
                    *chunk = self.engine.pool().chunk(large);
                }
                self.mark_backend(id);
            }
            Read::Nothing => {}
            Read::End => self.engine.backend_failed(id, "it closed the connection"),
            Read::Broken => self.engine.backend_failed(id, "the connection broke"),
        }
    }

    /// Has this worker woken when as much of a large reply has come as is worth reading.
    #[inline]
    fn mark_backend(&mut self, id: BackendId) {
        let Some(Some(backend)) = self.backends.get_mut(id.index()) else { return };
        let mark = if backend.is_near { self.engine.worth_reading(id) } else { 1 };
        if mark != backend.low_mark {
            backend.low_mark = mark;
            // Woken earlier is as good, only dearer.
            let _ = low_mark::set(&backend.socket, mark);
        }
    }

    pub(super) fn write_session(&mut self, id: SessionId) {
        let Some(Some(session)) = self.sessions.get(id.index()) else { return };
        if session.id != id {
            return;
        }
        let mut written = 0;
        loop {
            // Only proxies that are watched by coordinators have to.
            if self.engine.must_look_before_delivery() {
                self.engine.look_before_delivery(clock::now_us());
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
                    written += bytes;
                    if written >= WRITTEN_PER_TURN_MAX {
                        return self.engine.session_unfinished(id);
                    }
                }
                Written::Nothing => return self.engine.session_blocked(id),
                Written::Broken => return self.drop_session(id),
            }
        }
    }

    pub(super) fn write_backend(&mut self, id: BackendId) {
        let Some(Some(backend)) = self.backends.get(id.index()) else { return };
        if backend.id != id {
            return;
        }
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
                Written::Nothing => return self.engine.backend_blocked(id),
                Written::Broken => return self.engine.backend_failed(id, "the connection broke"),
            }
        }
    }
}
