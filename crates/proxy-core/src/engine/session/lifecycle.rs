//! Sessions as the driver sees them: accepted, written to, closed.

use crate::engine::contexts::Clients;
use crate::engine::contexts::Connections;
use crate::engine::state::buffers::{OutQueue, READ_BYTES};
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase, Session, WaitFor};
use crate::engine::state::stream::{STREAM_WINDOW_BYTES, Stream};
use crate::engine::{Action, Engine, SessionSketch};
use crate::profile::Profile;

impl Engine {
    /// A client connected.
    pub fn accept(&mut self, profile: Profile) -> SessionId {
        let mut session = Session::new(profile);
        session.last_active_ms = (self.now.us / 1000) as u32;
        self.sessions.insert(session)
    }

    /// The client sent its last byte: what it asked for is still answered, but for what is held.
    pub fn session_ended(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.input_ended = true;
        self.sending().read_what_was_left(id);
        if self.sessions.get(id).is_some_and(Session::is_uploading) {
            // The rest of its request will never come.
            self.connections().abandon_stream(id);
            self.clients().close_after_replies(id);
        }
        let is_held = |session: &Session| session.phase == Phase::Waiting(WaitFor::Held);
        if self.sessions.get(id).is_some_and(is_held) {
            self.clients().close_after_replies(id);
        }
        if self.sessions.get(id).is_some_and(|session| session.outstanding() > 0) {
            self.connections().ask_last_elsewhere(id);
        }
        self.connections().close_if_done(id);
    }

    /// The client has sent its last byte, of which so many are still to be read. Nothing is held for a client that has left,
    /// as in Redis: what it asked for would be executed long after it has given up. And a large request whose rest never
    /// comes is given up at once, however long its node takes nothing more.
    pub fn session_leaves(&mut self, id: SessionId, unread_bytes: usize) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let is_over = |stream: &Stream| stream.is_kept_back || stream.bytes_left_min() > unread_bytes;
        let is_cut = session.stream().is_some_and(|stream| is_over(stream));
        let is_held = session.phase == Phase::Waiting(WaitFor::Held);
        if is_cut {
            self.session_ended(id);
        } else if is_held {
            session.input_ended = true;
            self.clients().close_after_replies(id);
            self.connections().close_if_done(id);
        }
    }

    /// The connection broke, and the driver has closed it.
    pub fn session_closed(&mut self, id: SessionId) {
        self.connections().forget_session(id);
    }

    /// Whether the driver may read more from this client. When told no, it is told later with
    /// [`Action::ReadSession`].
    #[inline]
    pub fn wants_read(&mut self, id: SessionId) -> bool {
        let backlog = match self.sessions.get(id) {
            None => return false,
            Some(session) if session.unusual.is_none() => 0,
            Some(_) => self.stream_backlog(id),
        };
        let session = &mut self.sessions[id];
        let wants = session.phase == Phase::Taking || session.input.len() < READ_BYTES;
        if !wants || session.is_ending() || backlog >= STREAM_WINDOW_BYTES {
            session.read_paused = true;
            return false;
        }
        true
    }

    /// Bytes to write to the client; nothing for a session that is gone.
    #[inline]
    pub fn session_output(&self, id: SessionId) -> &OutQueue {
        match self.sessions.get(id) {
            Some(session) => &session.out,
            None => &self.no_output,
        }
    }

    /// The driver has written `bytes` of this output. It tells of what is left with [`Engine::session_blocked`] or
    /// [`Engine::session_unfinished`].
    #[inline]
    pub fn session_sent(&mut self, id: SessionId, bytes: usize) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.out.sent(bytes, &mut self.pool);
        if bytes > 0 {
            session.last_active_ms = (self.now.us / 1000) as u32;
        }
        self.stats.bytes_out.add(bytes as u64);
        let is_left = !session.out.is_empty();
        if is_left || session.counted != 0 || session.parked.is_some() {
            self.clients().recount(id);
        }
        if !is_left && self.sessions[id].is_ending() {
            self.connections().close_if_done(id);
        }
    }

    /// Enough was written to this client in this turn; the rest is written in the next, after the others.
    #[inline]
    pub fn session_unfinished(&mut self, id: SessionId) {
        if self.sessions.get(id).is_some() {
            self.clients().mark_session(id);
        }
    }

    /// The client's socket takes no more for the moment; [`Engine::session_writable`] tells when it does.
    #[inline]
    pub fn session_blocked(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.blocked = true;
            self.clients().recount(id);
        }
    }

    /// The client's socket takes bytes again. They are written at the end of the turn.
    #[inline]
    pub fn session_writable(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        session.blocked = false;
        if !session.out.is_empty() {
            self.clients().mark_session(id);
        }
        self.sending().read_what_was_left(id);
    }

    /// What CLIENT LIST tells of this worker's sessions.
    pub fn session_sketches(&self) -> impl Iterator<Item = SessionSketch<'_>> {
        self.sessions.iter().map(|(id, session)| SessionSketch {
            id,
            profile: &session.profile,
            command: session.last_command,
            input_bytes: session.input.len(),
            output_bytes: session.out.len(),
            held_bytes: session.held(),
        })
    }

    /// Takes no more connections' requests once they are idle: each session is closed when nothing is due to it.
    pub fn drain(&mut self) {
        self.draining = true;
        self.connections().close_idle_sessions();
    }
}

impl Connections<'_> {
    /// Closes a session that has nothing left to do.
    pub(in crate::engine) fn close_if_done(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(id) else { return };
        let waits = !session.input.is_empty()
            && (matches!(session.phase, Phase::Waiting(_)) || self.agenda.resumed.contains(&id));
        if session.is_ending() && session.outstanding() == 0 && session.out.is_empty() && !waits {
            // A client that has sent everything needs no patience.
            let sends = !session.input_ended;
            if self.forget_session(id) {
                self.agenda.actions.push(if sends {
                    Action::EndSession(id)
                } else {
                    Action::CloseSession(id)
                });
            }
        }
    }

    /// Closes a session now; replies that are due to it are dropped when they come.
    pub(in crate::engine) fn close_session(&mut self, id: SessionId) {
        if self.forget_session(id) {
            self.agenda.actions.push(Action::CloseSession(id));
        }
    }

    fn forget_session(&mut self, id: SessionId) -> bool {
        self.sending().read_what_was_left(id);
        let Some(mut session) = self.sessions.remove(id) else { return false };
        self.memory.changed(session.counted, 0);
        self.pool.recycle(std::mem::take(&mut session.input));
        session.out.clear(self.pool);
        let stream = session.unusual.take().and_then(|unusual| unusual.stream);
        if let Some(backend) = stream.and_then(|stream| stream.backend) {
            self.close_backend(backend);
        }
        if session.outstanding() > 0 {
            self.ask_last_elsewhere(id);
            self.note_departed(id, session.profile);
        }
        true
    }

    pub(in crate::engine) fn close_idle_sessions(&mut self) {
        let is_idle = |session: &Session| {
            session.outstanding() == 0 && session.input.is_empty() && session.out.is_empty()
        };
        for id in self.sessions.keys(is_idle) {
            self.close_session(id);
        }
    }
}

impl Clients<'_> {
    /// Something is to be written to this client.
    #[inline]
    pub(in crate::engine) fn mark_session(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        if session.blocked {
            self.recount(id);
        } else if !session.dirty {
            session.dirty = true;
            self.agenda.dirty_sessions.push(id);
        }
    }

    /// No more requests; close when everything due has been answered and written.
    pub(in crate::engine) fn close_after_replies(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        session.phase = Phase::Over;
        session.barrier = false;
        session.input = Vec::new();
        self.recount(id);
        self.mark_session(id);
    }
}
