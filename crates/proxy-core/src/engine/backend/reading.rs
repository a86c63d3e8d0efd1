//! How much of a node's reply is read at once, and when it is left in its socket for a while: where one client takes a
//! large value more slowly than its node sends it, and nobody else waits.
//!
//! It saves the memory of a second copy of the value and costs nobody anything: as soon as anything else is asked over
//! that connection, or the client sends anything, reading goes on, and what the client has not taken is set aside.
//!
//! Another proxy is one reader for many clients, whose replies come in their order anyway. So for it a value is left unread,
//! too, while others are owed something behind it there, if those are its own; and, for a limited time, whoever they are,
//! where memory is short: else its connection would be the one that holds most, and all of its clients would lose their
//! replies with it. What others ask from then on goes over another connection.

use crate::engine::contexts::Connections;
use crate::engine::contexts::Sending;
use crate::engine::state::backend::{Backend, Owed};
use crate::engine::state::buffers::{LARGE_BYTES_MIN, READ_BYTES_LARGE};
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::{Action, Engine};

/// A client is this far behind before its value is left in the node's socket, bytes.
const BEHIND_BYTES: usize = 1024 * 1024;

impl Engine {
    /// Whether the driver may read from this backend. When told no, it is told later with [`Action::ReadBackend`].
    #[inline]
    pub fn wants_backend_read(&mut self, id: BackendId) -> bool {
        let Some(backend) = self.backends.get(id) else { return false };
        !backend.streaming || !self.connections().leave_unread(id)
    }

    /// How many bytes of this backend are worth waking up for: one, but more while a large value passes through, and
    /// never more than are still to come of it.
    #[inline]
    pub fn worth_reading(&self, id: BackendId) -> usize {
        if self.reads_large(id) {
            self.backends[id].scanner.bulk_remaining().min(READ_BYTES_LARGE)
        } else {
            1
        }
    }

    /// How much to read at once from this backend: more while a large reply passes through.
    #[inline]
    pub fn reads_large(&self, id: BackendId) -> bool {
        let streams =
            |backend: &Backend| backend.streaming && backend.scanner.bulk_remaining() > LARGE_BYTES_MIN;
        self.backends.get(id).is_some_and(streams)
    }
}

impl Connections<'_> {
    #[cold]
    fn leave_unread(&mut self, id: BackendId) -> bool {
        let backend = &self.backends[id];
        let Some(&Owed { session: Some(reader), sequence, part: None, .. }) = backend.owed.front() else {
            return false;
        };
        let is_alone = backend.owed.iter().all(|owed| owed.session == Some(reader));
        let Some(session) = self.sessions.get_mut(reader) else { return false };
        if !session.blocked || session.out.len() < BEHIND_BYTES || session.is_ending() {
            return false;
        }
        let (is_head, is_only) = (session.head == sequence, session.outstanding() <= 1);
        let leaves = match session.link() {
            None => is_alone && is_only,
            Some(link) => {
                let waits_us = self.now.us.saturating_sub(link.behind_since_us(sequence, self.now.us));
                let may_wait = waits_us < self.policy.backend_timeout_us && self.memory.is_pressed();
                is_head && (is_alone || may_wait)
            }
        };
        if leaves {
            session.unread_backend = Some(id);
            let is_link = session.link().is_some();
            self.backends[id].left_unread_for = Some(reader);
            if is_link && self.is_shared(id) {
                self.retire(id);
            }
        }
        leaves
    }

    /// The value of a client that is behind was left unread until now: another proxy has only so much time.
    pub(super) fn look_at_reader_again(&mut self, id: BackendId, reader: SessionId) {
        if self.sessions.get_mut(reader).is_some_and(|session| session.link().is_some()) {
            self.sending().read_on(id);
        }
    }
}

impl Sending<'_> {
    /// The client reads again, sends something or is gone: what was left unread for it is read.
    #[inline]
    pub(in crate::engine) fn read_what_was_left(&mut self, id: SessionId) {
        if let Some(backend) = self.sessions.get(id).and_then(|session| session.unread_backend) {
            self.cold().read_on(backend);
        }
    }

    /// Something else was asked over this connection.
    #[cold]
    pub(in crate::engine) fn read_on(&mut self, id: BackendId) {
        if self.forget_reader(id) {
            self.backends[id].last_heard_us = self.now.us; // its silence was ours
            self.agenda.actions.push(Action::ReadBackend(id));
        }
    }

    /// Nothing is left unread at this connection any more; whether it was.
    pub(in crate::engine) fn forget_reader(&mut self, id: BackendId) -> bool {
        let Some(reader) = self.backends.get_mut(id).and_then(|backend| backend.left_unread_for.take())
        else {
            return false;
        };
        if let Some(session) = self.sessions.get_mut(reader) {
            session.unread_backend = None;
        }
        true
    }
}
