//! The end of a turn: what is written, and when to look again.

use crate::engine::state::backend::{BackendId, Phase};
use crate::engine::state::session::{SessionId, Wait};
use crate::engine::{Engine, Moment};

/// Time-outs and retries are looked at this often, µs.
const TICK_US: u64 = 50_000;
/// Sessions let on in one turn, so that one turn ends.
const RESUMED_PER_TURN_MAX: usize = 1024;

impl Engine {
    /// A turn begins at this moment.
    #[inline]
    pub fn begin_turn(&mut self, now: Moment) {
        self.now = now;
        self.look_at_fences();
    }

    /// Everything ready has been read: lets waiting sessions go on and decides what is written.
    /// The lists are for the driver, which hands them back empty.
    pub fn end_turn(&mut self, sessions: &mut Vec<SessionId>, backends: &mut Vec<BackendId>) {
        if !self.resumed.is_empty() {
            self.run_resumed();
        }
        let mut dirty = std::mem::take(&mut self.dirty_backends);
        for id in dirty.drain(..) {
            if self.writes_now(id) {
                backends.push(BackendId(id));
            }
        }
        self.dirty_backends = dirty;
        let mut dirty = std::mem::take(&mut self.dirty_sessions);
        for id in dirty.drain(..) {
            let session = &mut self.sessions[id as usize];
            session.dirty = false;
            if session.generation != 0 {
                sessions.push(SessionId(id));
            }
        }
        self.dirty_sessions = dirty;
        self.pace.turn(self.now.us, sessions.len());
    }

    #[inline]
    fn writes_now(&mut self, id: u32) -> bool {
        let backend = &mut self.backends[id as usize];
        backend.dirty = false;
        if matches!(backend.phase, Phase::Handshake { .. }) {
            return !backend.greeting.is_empty();
        }
        backend.phase == Phase::Ready && !backend.blocked && !backend.out.is_empty()
    }

    fn run_resumed(&mut self) {
        let mut resumed = std::mem::take(&mut self.resumed);
        let later = resumed.split_off(resumed.len().min(RESUMED_PER_TURN_MAX));
        for id in resumed {
            let session = &mut self.sessions[id.0 as usize];
            if session.generation == 0 || session.wait != Wait::None {
                continue;
            }
            if !session.input.is_empty() {
                self.take_input(id);
            }
            let session = &mut self.sessions[id.0 as usize];
            if session.read_paused && session.wait == Wait::None && !session.closing {
                session.read_paused = false;
                self.actions.push(crate::engine::Action::ReadSession(id));
            }
            self.close_if_done(id);
        }
        self.resumed.extend(later);
    }

    /// How long the driver is to nap before it looks for events, µs; 0 is not at all.
    #[inline]
    #[must_use]
    pub fn nap_us(&self) -> u64 {
        match self.policy.nap_us_max == 0 || self.sleep_us() == 0 {
            true => 0,
            false => self.pace.nap_us(&self.policy),
        }
    }

    /// How long the driver may sleep when nothing happens, µs.
    #[inline]
    #[must_use]
    pub fn sleep_us(&self) -> u64 {
        if !self.resumed.is_empty() || !self.dirty_sessions.is_empty() || !self.dirty_backends.is_empty() {
            return 0;
        }
        TICK_US
    }

    /// How often [`Engine::tick`] is to be called, µs.
    #[must_use]
    pub fn tick_us(&self) -> u64 {
        TICK_US
    }

    /// Time has passed: time-outs, retries, pauses that ended.
    pub fn tick(&mut self) {
        self.check_backends();
        self.check_stalls();
        if self.pause.is_some_and(|pause| pause.until_unix_us <= self.now.unix_us) {
            self.pause(None);
        }
        self.end_hold();
        self.check_idle_sessions();
        if self.draining {
            self.close_idle_sessions();
        }
    }

    fn check_idle_sessions(&mut self) {
        let timeout_ms = self.shared.settings.session_timeout_ms;
        if timeout_ms == 0 {
            return;
        }
        let oldest = (self.now.unix_us / 1000).saturating_sub(timeout_ms);
        for index in 0..self.sessions.len() {
            let session = &self.sessions[index];
            let idle = session.generation != 0
                && session.outstanding() == 0
                && session.profile.last_used_ms < oldest;
            if idle {
                self.stats.sessions_timed_out.increment();
                self.close_session(SessionId(index as u32));
            }
        }
    }

    /// Sessions held by a pause go on.
    pub(in crate::engine) fn release_held_sessions(&mut self) {
        for id in std::mem::take(&mut self.held_sessions) {
            if self.sessions[id.0 as usize].wait == Wait::Held {
                self.resume(id);
            }
        }
    }

    /// A session waits until `backend` has room for its request.
    pub(in crate::engine) fn wait_for_room(&mut self, id: SessionId, backend: u32) {
        self.sessions[id.0 as usize].wait = Wait::Room;
        self.backends[backend as usize].waiters.push(id);
    }

    /// The backend that a session waited for has room.
    pub(in crate::engine) fn room_again(&mut self, id: SessionId) {
        let session = &self.sessions[id.0 as usize];
        if session.generation != 0 && session.wait == Wait::Room {
            self.resume(id);
        }
    }

    /// A backend's reply fills this session's output: the backend waits for the client.
    pub(in crate::engine) fn stall(&mut self, backend: BackendId, id: SessionId) {
        self.sessions[id.0 as usize].stalls = true;
        let backend = &mut self.backends[backend.0 as usize];
        if backend.stalled_since_us == 0 {
            backend.stalled_since_us = self.now.us;
            backend.stalled_by = id;
        }
    }

    /// The client that some backends waited for reads again, or is gone.
    pub(in crate::engine) fn end_stalls(&mut self, id: SessionId) {
        for index in 0..self.backends.len() {
            let backend = &mut self.backends[index];
            if backend.stalled_since_us != 0 && backend.stalled_by == id {
                backend.stalled_since_us = 0;
                backend.last_heard_us = self.now.us; // its silence was ours
                if std::mem::take(&mut backend.read_paused) {
                    self.actions.push(crate::engine::Action::ReadBackend(BackendId(index as u32)));
                }
            }
        }
    }

    /// Whether the driver may read from this backend. When told no, it is told later with
    /// [`crate::engine::Action::ReadBackend`].
    #[inline]
    pub fn wants_backend_read(&mut self, id: BackendId) -> bool {
        let backend = &mut self.backends[id.0 as usize];
        backend.read_paused = backend.stalled_since_us != 0;
        !backend.read_paused
    }

    fn check_stalls(&mut self) {
        for index in 0..self.backends.len() {
            let backend = &self.backends[index];
            if backend.stalled_since_us == 0 {
                continue;
            }
            let stalled = self.now.us - backend.stalled_since_us;
            let by = backend.stalled_by;
            let others_wait = backend.owed.iter().any(|owed| owed.session != by.0);
            if stalled > self.policy.stall_us_retire && !backend.retired && backend.purpose.owner.is_none() {
                self.retire(index as u32);
            }
            if stalled > self.policy.stall_us_max && others_wait {
                self.stats.sessions_output_limit.increment();
                self.close_session(by);
            }
        }
    }
}
