//! What a session's next request waits for, and how it goes on.
//!
//! The **barrier**: a session's next request waits until everything that it is owed has been answered or has failed.
//! It is taken wherever the next request could run before an earlier one, because it goes another way: the earlier one
//! is at a connection that was retired, at a node that has lost slots, at a connection that was another's for a while.
//! Ruled out:
//! ```text
//!   SET k 1 ─▶ old owner's proxy, held there ─ k moves ─ SET k 2 ─▶ new owner: OK ─ old one forwards k = 1   no
//!   SET k 1 ─▶ retired connection, unread by the node ─ SET k 2 ─▶ new connection: OK ─ the node reads k = 1  no
//! ```

use crate::engine::contexts::Clients;
use crate::engine::contexts::Sending;
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase, WaitFor};

impl Clients<'_> {
    /// This session's next request waits until everything that it is owed now has come or failed.
    pub(in crate::engine) fn take_barrier(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        // Nothing is taken before the reply to an upload anyway, and its bytes must go on.
        if session.outstanding() == 0 || session.is_uploading() {
            return;
        }
        match session.phase {
            Phase::Taking => session.phase = Phase::Waiting(WaitFor::Replies),
            Phase::Waiting(WaitFor::Room | WaitFor::Held | WaitFor::Turn) => session.barrier = true,
            Phase::Waiting(WaitFor::Replies) | Phase::Over => {}
        }
    }

    /// A barrier for every session.
    pub(in crate::engine) fn take_all_barriers(&mut self) {
        for id in self.sessions.keys(|session| session.outstanding() > 0) {
            self.take_barrier(id);
        }
    }

    /// Lets a session take requests again, unless a barrier was taken while it waited.
    #[inline]
    pub(in crate::engine) fn resume(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        if std::mem::take(&mut session.barrier) && session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return;
        }
        session.phase = Phase::Taking;
        self.agenda.resumed.push(id);
    }

    /// After a reply was delivered: what waited for it may go on.
    #[inline]
    pub(in crate::engine) fn delivered(&mut self, id: SessionId) {
        let session = &self.sessions[id];
        match session.phase {
            Phase::Taking | Phase::Waiting(WaitFor::Held | WaitFor::Turn) | Phase::Over => {}
            Phase::Waiting(WaitFor::Replies) if session.outstanding() == 0 => self.resume(id),
            Phase::Waiting(WaitFor::Room)
                if session.outstanding() <= self.policy.outstanding_max_of(session) / 2 =>
            {
                self.resume(id);
            }
            Phase::Waiting(WaitFor::Replies | WaitFor::Room) => {}
        }
    }

    /// The backend that a session waited for has room.
    pub(in crate::engine) fn room_again(&mut self, id: SessionId) {
        let waits =
            self.sessions.get(id).is_some_and(|session| session.phase == Phase::Waiting(WaitFor::Room));
        if waits {
            self.resume(id);
        }
    }

    /// The session waits until what holds it is over. For a client that has sent its last byte nothing is held, as in Redis:
    /// it may have given up, and ask for something else elsewhere before this is over.
    pub(in crate::engine) fn hold(&mut self, id: SessionId) {
        if self.sessions[id].input_ended {
            return self.close_after_replies(id);
        }
        self.sessions[id].phase = Phase::Waiting(WaitFor::Held);
        self.agenda.held_sessions.push(id);
        self.stats.sessions_held.set(self.agenda.held_sessions.len() as u64);
    }

    /// The session's request was to be held, and is not: it goes on at once.
    pub(in crate::engine) fn let_go_of_held(&mut self, id: SessionId) {
        self.agenda.held_sessions.retain(|&held| held != id);
        self.stats.sessions_held.set(self.agenda.held_sessions.len() as u64);
        self.sessions[id].phase = Phase::Taking;
    }

    /// A turn ends: sessions that leave others their turn go on, as far as what is left of this one allows.
    pub(in crate::engine) fn resume_deferred(&mut self) {
        for id in std::mem::take(&mut self.agenda.deferred) {
            let waits =
                self.sessions.get(id).is_some_and(|session| session.phase == Phase::Waiting(WaitFor::Turn));
            if waits {
                self.resume(id);
            }
        }
    }

    /// Sessions held by a pause, or for an owner of their slots, look again.
    pub(in crate::engine) fn release_held_sessions(&mut self) {
        self.stats.sessions_held.set(0);
        for id in std::mem::take(&mut self.agenda.held_sessions) {
            let waits =
                self.sessions.get(id).is_some_and(|session| session.phase == Phase::Waiting(WaitFor::Held));
            if waits {
                self.resume(id);
            }
        }
    }

    /// Sessions that left while they were held are counted no more.
    pub(in crate::engine) fn forget_held_sessions(&mut self) {
        if !self.agenda.held_sessions.is_empty() {
            self.agenda.held_sessions.retain(|&id| self.sessions.get(id).is_some());
            self.stats.sessions_held.set(self.agenda.held_sessions.len() as u64);
        }
    }
}

impl Sending<'_> {
    /// A barrier for every session that this connection owes a reply.
    pub(in crate::engine) fn take_barriers_behind(&mut self, backend: BackendId) {
        let owed = self.backends[backend].owed.iter().filter_map(|owed| owed.session);
        let mut sessions: Vec<SessionId> = owed.collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions.into_iter().for_each(|id| self.clients().take_barrier(id));
    }

    /// A session waits until `backend` has room for its request.
    #[inline]
    pub(in crate::engine) fn wait_for_room(&mut self, id: SessionId, backend: BackendId) {
        self.sessions[id].phase = Phase::Waiting(WaitFor::Room);
        self.backends[backend].waiters.push(id);
    }
}
