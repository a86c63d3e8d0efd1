//! What goes to a backend: requests are appended to its output, with a note of who is owed the reply, and the driver
//! writes it at the end of the turn.

use crate::command::CommandId;
use crate::engine::contexts::Sending;
use crate::engine::state::backend::{Backend, Owed, Part, Phase};
use crate::engine::state::buffers::{Chunk, LARGE_BYTES_MIN, OutQueue};
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::stream::STREAM_WINDOW_BYTES;
use crate::engine::{Action, Engine};

impl Sending<'_> {
    /// Notes that `backend` owes `id` one more reply; false, and the session waits, if it cannot take more.
    #[inline]
    pub(in crate::engine) fn owe(
        &mut self,
        to: BackendId,
        id: SessionId,
        command: CommandId,
        part: Option<Part>,
    ) -> bool {
        let backend = &mut self.backends[to];
        if backend.out.len() >= self.backend_room {
            self.wait_for_room(id, to);
            return false;
        }
        if backend.left_unread_for.is_some() {
            self.cold().read_on(to);
        }
        let backend = &mut self.backends[to];
        let session = &mut self.sessions[id];
        let sequence = if part.is_none() { session.take_sequence() } else { session.next };
        let started = self.now.us as u32;
        backend.owed.push_back(Owed { session: Some(id), sequence, started, command, part });
        backend.unsent += 1;
        backend.batches.add();
        session.last_command = Some(command);
        session.reached.add(backend.mark);
        true
    }

    /// Queues bytes for a backend: by reference where they are many and lie in a chunk.
    #[inline]
    pub(in crate::engine) fn send(
        &mut self,
        backend: BackendId,
        bytes: &[u8],
        origin: Option<(&Chunk, usize)>,
    ) {
        let Backend { out, batches, .. } = &mut self.backends[backend];
        match origin {
            Some((chunk, at)) if bytes.len() >= LARGE_BYTES_MIN => {
                out.refer(chunk, at, at + bytes.len(), self.pool);
                batches.written(Vec::new(), self.pool);
            }
            _ => {
                out.gather(self.pool);
                if out.copy(bytes, self.pool) {
                    batches.cut(self.pool);
                }
            }
        }
        self.mark_backend(backend);
    }

    #[inline]
    pub(in crate::engine) fn mark_backend(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        if !backend.dirty {
            backend.dirty = true;
            self.agenda.dirty_backends.push(id);
        }
    }

    fn backend_drained(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        if backend.out.len() <= self.backend_room / 2 {
            let waiters = std::mem::take(&mut backend.waiters);
            waiters.into_iter().for_each(|waiter| self.clients().room_again(waiter));
        }
        let backend = &self.backends[id];
        if let Some(owner) = backend.purpose.owner
            && backend.out.len() <= STREAM_WINDOW_BYTES / 2
        {
            self.clients().stream_window_opened(owner);
        }
    }
}

impl Engine {
    /// Bytes to write to the node; nothing for a connection that is gone.
    #[inline]
    pub fn backend_output(&self, id: BackendId) -> &OutQueue {
        let Some(backend) = self.backends.get(id) else { return &self.no_output };
        match backend.phase {
            Phase::Handshake { .. } => &backend.greeting,
            _ => &backend.out,
        }
    }

    /// The driver has written `bytes` of this output.
    #[inline]
    pub fn backend_sent(&mut self, id: BackendId, bytes: usize) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        if matches!(backend.phase, Phase::Handshake { .. }) {
            backend.greeting.sent(bytes, &mut self.pool);
            return self.sending().recount_backend(id);
        }
        if let Some(spent) = backend.out.sent_keeping(bytes, &mut self.pool) {
            backend.batches.written(spent, &mut self.pool);
        }
        backend.cut = !backend.out.is_empty();
        backend.blocked = backend.cut;
        self.stats.batches.increment();
        self.stats.batched_requests.add(backend.unsent as u64);
        backend.stats.batches.increment();
        backend.stats.requests.add(backend.unsent as u64);
        backend.stats.bytes_out.add(bytes as u64);
        backend.unsent = 0;
        backend.sent_at_us.get_or_insert(self.now.us);
        if backend.purpose.owner.is_some() && bytes > 0 {
            backend.last_heard_us = self.now.us;
        }
        let is_awaited = !backend.waiters.is_empty() || backend.purpose.owner.is_some();
        if backend.is_last && backend.out.is_empty() {
            self.agenda.actions.push(Action::EndBackend(id));
        }
        self.sending().recount_backend(id);
        if is_awaited {
            self.sending().backend_drained(id);
        }
    }

    /// The socket takes no more for the moment; [`Engine::backend_writable`] tells when it does.
    pub fn backend_blocked(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id) {
            backend.blocked = true;
            self.sending().recount_backend(id);
        }
    }

    /// The socket takes bytes again.
    pub fn backend_writable(&mut self, id: BackendId) {
        if let Some(backend) = self.backends.get_mut(id) {
            backend.blocked = false;
            self.sending().mark_backend(id);
        }
    }
}
