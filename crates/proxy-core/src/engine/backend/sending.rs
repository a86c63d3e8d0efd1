//! What goes to a backend: requests are appended to its output, with a note of who is owed the reply, and the driver
//! writes it at the end of the turn.

use crate::command::CommandId;
use crate::engine::Engine;
use crate::engine::state::backend::{Backend, BackendId, Owed, PLAIN, Phase};
use crate::engine::state::buffers::{Chunk, LARGE_BYTES_MIN, OutQueue};
use crate::engine::state::session::{SessionId, Wait};
use crate::engine::state::stream::STREAM_WINDOW_BYTES;

impl Engine {
    /// Notes that `backend` owes `id` one more reply; false, and the session waits, if it cannot take more.
    #[inline]
    pub(in crate::engine) fn owe(
        &mut self,
        backend: u32,
        id: SessionId,
        command: CommandId,
        part: u16,
    ) -> bool {
        let session = &mut self.sessions[id.0 as usize];
        let backend = &mut self.backends[backend as usize];
        if backend.out.len() >= self.policy.backend_output_bytes {
            session.wait = Wait::Room;
            backend.waiters.push(id);
            return false;
        }
        let sequence = if part == PLAIN { session.take_sequence() } else { session.next };
        let generation = session.generation;
        let started = self.now.us as u32;
        backend.owed.push_back(Owed { session: id.0, generation, sequence, started, command, part });
        backend.unsent += 1;
        backend.batches.add();
        session.last_command = command;
        true
    }

    /// Queues bytes for a backend: by reference where they are many and lie in a chunk.
    #[inline]
    pub(in crate::engine) fn send(&mut self, backend: u32, bytes: &[u8], origin: Option<(&Chunk, usize)>) {
        let Backend { out, batches, .. } = &mut self.backends[backend as usize];
        match origin {
            Some((chunk, at)) if bytes.len() >= LARGE_BYTES_MIN => {
                out.refer(chunk, at, at + bytes.len(), &mut self.pool);
                batches.written(Vec::new(), &mut self.pool);
            }
            _ => {
                out.gather(&mut self.pool);
                if out.copy(bytes, &mut self.pool) {
                    batches.cut(&mut self.pool);
                }
            }
        }
        self.mark_backend(backend);
    }

    #[inline]
    pub(in crate::engine) fn mark_backend(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        if !backend.dirty {
            backend.dirty = true;
            self.dirty_backends.push(id);
        }
    }

    /// Bytes to write to the node.
    #[inline]
    pub fn backend_output(&self, id: BackendId) -> &OutQueue {
        let backend = &self.backends[id.0 as usize];
        match backend.phase {
            Phase::Handshake { .. } => &backend.greeting,
            _ => &backend.out,
        }
    }

    /// So many of them were written.
    #[inline]
    pub fn backend_sent(&mut self, id: BackendId, bytes: usize) {
        let backend = &mut self.backends[id.0 as usize];
        if matches!(backend.phase, Phase::Handshake { .. }) {
            return backend.greeting.sent(bytes, &mut self.pool);
        }
        if let Some(spent) = backend.out.sent_keeping(bytes, &mut self.pool) {
            backend.batches.written(spent, &mut self.pool);
        }
        backend.blocked = !backend.out.is_empty();
        self.stats.batches.increment();
        self.stats.batched_requests.add(backend.unsent as u64);
        backend.stats.batches.increment();
        backend.stats.requests.add(backend.unsent as u64);
        backend.stats.bytes_out.add(bytes as u64);
        backend.unsent = 0;
        if backend.sent_at_us == 0 {
            backend.sent_at_us = self.now.us;
        }
        if !backend.waiters.is_empty() || backend.purpose.owner.is_some() {
            self.backend_drained(id.0);
        }
    }

    /// The socket takes bytes again.
    pub fn backend_writable(&mut self, id: BackendId) {
        self.backends[id.0 as usize].blocked = false;
        self.mark_backend(id.0);
    }

    fn backend_drained(&mut self, id: u32) {
        let backend = &mut self.backends[id as usize];
        if backend.out.len() <= self.policy.backend_output_bytes / 2 {
            let waiters = std::mem::take(&mut backend.waiters);
            waiters.into_iter().for_each(|waiter| self.room_again(waiter));
        }
        let backend = &self.backends[id as usize];
        if let Some(owner) = backend.purpose.owner
            && backend.out.len() <= STREAM_WINDOW_BYTES / 2
        {
            self.stream_window_opened(owner);
        }
    }
}
