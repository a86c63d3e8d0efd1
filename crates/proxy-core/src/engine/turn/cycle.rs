//! The end of a turn: what is written, and when to look again.

use crate::engine::state::backend::Phase;
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase as SessionPhase, Session, WaitFor};
use crate::engine::{Action, Engine, Moment};

/// Time-outs and retries are looked at this often, µs.
const TICK_US: u64 = 50_000;
/// Sessions let on in one turn, so that one turn ends.
const RESUMED_PER_TURN_MAX: usize = 1024;

impl Engine {
    /// A turn begins at this moment.
    #[inline]
    pub fn begin_turn(&mut self, now: Moment) {
        self.now = now;
        self.costly_bytes = 0;
        self.look_at_fences();
        if !self.agenda.held_sessions.is_empty() {
            self.end_waits();
        }
    }

    /// Lets go on what was held until now, before anything is read: what comes in this turn comes after it.
    #[cold]
    fn end_waits(&mut self) {
        if self.pause.is_some_and(|pause| pause.until_us <= self.now.us) {
            self.pause(None);
        }
        self.end_hold();
        if self.agenda.held_sessions.is_empty() {
            self.run_resumed();
        }
    }

    /// Everything ready has been read: lets waiting sessions go on and decides what is written.
    /// The lists are for the driver, which hands them back empty.
    pub fn end_turn(&mut self, sessions: &mut Vec<SessionId>, backends: &mut Vec<BackendId>) {
        if !self.agenda.deferred.is_empty() {
            self.clients().resume_deferred();
        }
        if !self.agenda.resumed.is_empty() {
            self.run_resumed();
        }
        let mut dirty = std::mem::take(&mut self.agenda.dirty_backends);
        for id in dirty.drain(..) {
            if self.writes_now(id) { backends.push(id) } else { self.sending().recount_backend(id) }
        }
        self.agenda.dirty_backends = dirty;
        let mut dirty = std::mem::take(&mut self.agenda.dirty_sessions);
        for id in dirty.drain(..) {
            let Some(session) = self.sessions.get_mut(id) else { continue };
            session.dirty = false;
            if session.blocked { self.clients().recount(id) } else { sessions.push(id) }
        }
        self.agenda.dirty_sessions = dirty;
        self.connections().look_at_memory();
        self.pace.turn(self.now.us, sessions.len());
    }

    #[inline]
    fn writes_now(&mut self, id: BackendId) -> bool {
        let Some(backend) = self.backends.get_mut(id) else { return false };
        backend.dirty = false;
        if matches!(backend.phase, Phase::Handshake { .. }) {
            return !backend.blocked && !backend.greeting.is_empty();
        }
        backend.phase == Phase::Ready && !backend.blocked && !backend.out.is_empty()
    }

    fn run_resumed(&mut self) {
        let mut resumed = std::mem::take(&mut self.agenda.resumed);
        let later = resumed.split_off(resumed.len().min(RESUMED_PER_TURN_MAX));
        for id in resumed {
            let is_taking = |session: &Session| session.phase == SessionPhase::Taking;
            if self.sessions.get(id).is_none_or(|session| !is_taking(session)) {
                continue;
            }
            self.let_upload_end(id);
            let session = &self.sessions[id];
            if is_taking(session) && !session.input.is_empty() {
                self.take_input(id);
            }
            let Some(session) = self.sessions.get_mut(id) else { continue };
            if session.read_paused && is_taking(session) && !session.input_ended {
                session.read_paused = false;
                self.agenda.actions.push(Action::ReadSession(id));
            }
            self.connections().close_if_done(id);
        }
        self.agenda.resumed.extend(later);
    }

    /// How long the driver is to nap before it looks for events, µs; 0 is not at all.
    #[inline]
    #[must_use]
    pub fn nap_us(&self) -> u64 {
        if self.policy.nap_us_max == 0 || self.sleep_us() == 0 { 0 } else { self.pace.nap_us(&self.policy) }
    }

    /// How long the driver may sleep when nothing happens, µs.
    #[inline]
    #[must_use]
    pub fn sleep_us(&self) -> u64 {
        if self.agenda.is_done() { TICK_US.min(self.hold_left_us()) } else { 0 }
    }

    /// How long sessions are still held, µs; the longest time where none is.
    fn hold_left_us(&self) -> u64 {
        if self.agenda.held_sessions.is_empty() {
            return u64::MAX;
        }
        let hold_until_us = self.shared.view.as_deref().map(|view| view.hold_until_us);
        let ends = self.pause.map(|pause| pause.until_us).into_iter().chain(hold_until_us);
        ends.filter(|&end| end > self.now.us).map(|end| end - self.now.us).min().unwrap_or(0)
    }

    /// How often [`Engine::tick`] is to be called, µs.
    #[must_use]
    pub fn tick_us(&self) -> u64 {
        TICK_US
    }

    /// Time has passed: time-outs, retries, pauses that ended.
    pub fn tick(&mut self) {
        self.connections().check_backends();
        if self.pause.is_some_and(|pause| pause.until_us <= self.now.us) {
            self.pause(None);
        }
        self.end_hold();
        self.clients().forget_held_sessions();
        self.check_idle_sessions();
        if self.draining {
            self.connections().close_idle_sessions();
        }
    }

    fn check_idle_sessions(&mut self) {
        let timeout_ms = self.shared.settings.session_timeout_ms;
        if timeout_ms == 0 {
            return;
        }
        let now_ms = (self.now.us / 1000) as u32;
        // An upload that stopped in the middle is owed a reply that never comes. Who is held waits for us, and so does who
        // goes on or is answered in this turn.
        let is_idle = |session: &Session| {
            (session.outstanding() == 0 || session.is_uploading())
                && session.phase != SessionPhase::Waiting(WaitFor::Held)
                && !session.dirty
                && u64::from(now_ms.wrapping_sub(session.last_active_ms)) > timeout_ms
        };
        let mut idle = self.sessions.keys(is_idle);
        idle.retain(|id| !self.agenda.resumed.contains(id));
        for id in idle {
            self.stats.sessions_timed_out.increment();
            self.connections().close_session(id);
        }
    }
}
