//! What sessions hold, and which of them is closed when all hold too much together.

use crate::engine::contexts::Clients;
use crate::engine::contexts::Connections;
use crate::engine::contexts::Sending;
use crate::engine::state::backend::Backend;
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::memory::DROPPED_BYTES_MIN;
use crate::engine::{Action, DroppedSession};
use crate::errors;

impl Clients<'_> {
    /// Counts what a session holds now.
    #[inline]
    pub(in crate::engine) fn recount(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let held = session.held();
        let before = std::mem::replace(&mut session.counted, held);
        self.memory.changed(before, held);
    }
}

impl Connections<'_> {
    /// At the end of a turn: closes sessions that hold most until all hold no more than they may.
    #[inline]
    pub(in crate::engine) fn look_at_memory(&mut self) {
        if self.memory.is_short() {
            self.cold().close_largest();
        }
    }

    #[cold]
    fn close_largest(&mut self) {
        while self.memory.is_short() {
            let arriving: Vec<(SessionId, usize)> =
                self.backends.iter().filter_map(|(_, backend)| backend.gathers()).collect();
            let arriving_for = |id: SessionId| -> usize {
                arriving.iter().filter(|(session, _)| *session == id).map(|(_, bytes)| bytes).sum()
            };
            let sessions = self.sessions.iter().map(|(id, session)| (session.counted + arriving_for(id), id));
            let Some((held, id)) = sessions.max() else { return self.memory.enough() };
            if held < DROPPED_BYTES_MIN {
                return self.memory.enough(); // what is held is not theirs
            }
            if !self.memory.holds_most(held) {
                return; // another worker has the one that holds most
            }
            if self.refuse_gathers(id, arriving_for(id)) || self.refuse_parked(id) {
                continue;
            }
            if self.has_patience_with(id) {
                return; // what is due to it is not read meanwhile
            }
            self.stats.sessions_dropped.increment();
            let all_bytes = self.memory.all_bytes();
            let profile = self.sessions[id].profile.clone();
            let dropped = DroppedSession { profile, held_bytes: held, all_bytes };
            self.agenda.actions.push(Action::Dropped(Box::new(dropped)));
            self.close_session(id);
        }
        self.memory.enough();
    }

    /// Gives up the replies that are put together for a session, if they hold enough to matter; whether it did. `arriving`
    /// is what connections hold of them, bytes. The client gets an error in their place.
    fn refuse_gathers(&mut self, id: SessionId, arriving: usize) -> bool {
        let Some(parked) = self.sessions[id].parked.as_deref() else { return false };
        if parked.gathered() + arriving < DROPPED_BYTES_MIN {
            return false;
        }
        let is_for_it = |backend: &Backend| backend.gathers().is_some_and(|(session, _)| session == id);
        for backend in self.backends.keys(is_for_it) {
            let Some(gathering) = self.backends.get_mut(backend) else { continue };
            gathering.partial = Vec::new();
            gathering.streaming = true;
            self.sending().recount_backend(backend);
        }
        if let Some(parked) = self.sessions[id].parked.as_deref_mut() {
            parked.refuse_gathers();
        }
        self.clients().recount(id);
        true
    }

    /// Gives up the large replies that wait for earlier ones of another proxy's connection; whether there were any. Each is
    /// one client's there, and the connection is many clients'.
    fn refuse_parked(&mut self, id: SessionId) -> bool {
        let session = &mut self.sessions[id];
        if session.link().is_none() {
            return false;
        }
        let Some(parked) = session.parked.as_deref_mut() else { return false };
        let error = errors::line(errors::REPLY_TOO_LARGE);
        let any = parked.refuse_large(DROPPED_BYTES_MIN, &error, self.pool);
        self.clients().recount(id);
        any
    }

    /// Whether another proxy's connection is given time to take the reply that it is behind with.
    fn has_patience_with(&mut self, id: SessionId) -> bool {
        let session = &mut self.sessions[id];
        let head = session.head;
        let Some(link) = session.link() else { return false };
        let behind_us = self.now.us.saturating_sub(link.behind_since_us(head, self.now.us));
        behind_us < self.policy.backend_timeout_us
    }
}

impl Sending<'_> {
    /// Counts what a backend holds now.
    #[inline]
    pub(in crate::engine) fn recount_backend(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        let held = backend.held();
        let before = std::mem::replace(&mut backend.counted, held);
        self.memory.changed(before, held);
    }
}
