//! Connections that fail: how it is noticed, what becomes of the requests that were owed a reply, and when it is tried
//! again.

use model::Address;
use resp::ReplyScanner;

use crate::engine::state::backend::{Owed, Phase, Purpose};
use crate::engine::state::ids::BackendId;
use crate::engine::{Action, Engine};
use crate::errors;

/// Waiting time before the first new attempt to connect, µs; doubled for each further one.
const BACKOFF_US_MIN: u64 = 10_000;
/// The longest waiting time between attempts, µs.
const BACKOFF_US_MAX: u64 = 1_000_000;

impl Engine {
    /// The connection broke or could not be made. What was in flight has failed with an unknown outcome, what had not
    /// been sent has failed for certain; both are told so.
    pub fn backend_failed(&mut self, id: BackendId, why: &str) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        if matches!(backend.phase, Phase::Down { .. }) {
            return;
        }
        let purpose = backend.purpose;
        self.forget_reader(id);
        let backend = &mut self.backends[id];
        let address = self.nodes.nodes[purpose.node].address.clone();
        let in_flight = backend.in_flight();
        let owed = std::mem::take(&mut backend.owed);
        let mut cut_short = std::mem::take(&mut backend.streaming);
        backend.failures += 1;
        backend.batches.clear(&mut self.pool);
        backend.stats.lost.add(owed.len() as u64);
        backend.stats.connected.set(0);
        if matches!(backend.phase, Phase::Connecting { .. }) {
            backend.stats.connect_failures.increment();
        }
        backend.out.clear(&mut self.pool);
        backend.greeting.clear(&mut self.pool);
        backend.partial = Vec::new();
        backend.scanner = ReplyScanner::default();
        backend.unsent = 0;
        backend.blocked = false;
        backend.sent_at_us = None;
        backend.phase = Phase::Down { retry_us: u64::MAX };
        let waiters = std::mem::take(&mut backend.waiters);
        self.actions.push(Action::CloseBackend(id));
        for (index, owed) in owed.into_iter().enumerate() {
            if std::mem::take(&mut cut_short) {
                self.close_session_of(&owed); // it has received half of a reply
            } else {
                self.fail_owed(&owed, index < in_flight, &address, why);
            }
        }
        waiters.into_iter().for_each(|waiter| self.room_again(waiter));
        self.recount_backend(id);
        self.after_failure(id);
    }

    fn fail_owed(&mut self, owed: &Owed, in_flight: bool, address: &Address, why: &str) {
        if owed.session.is_none_or(|session| self.sessions.get(session).is_none()) {
            return;
        }
        let mut error = Vec::new();
        match in_flight {
            true => errors::backend_failed(&mut error, address, why),
            false => errors::backend_unreachable(&mut error, address),
        }
        self.fail_reply(owed, &error);
    }

    /// Decides what becomes of a place whose connection failed: a shared one is tried again later.
    fn after_failure(&mut self, id: BackendId) {
        let Purpose { node, owner, .. } = self.backends[id].purpose;
        let is_known = self.nodes.nodes[node].shared().any(|entry| entry == id);
        if is_known && owner.is_none() {
            let jitter = self.random();
            let backend = &mut self.backends[id];
            let pause = (BACKOFF_US_MIN << backend.failures.clamp(1, 8)).min(BACKOFF_US_MAX);
            backend.phase = Phase::Down { retry_us: self.now.us + pause / 2 + jitter % (pause / 2) };
            return;
        }
        if let Some(owner) = owner {
            self.stream_backend_lost(owner, id);
        }
        self.free_backend(id);
    }

    /// Connects again where it is time to, and gives up on connections that are too slow.
    pub(in crate::engine) fn check_backends(&mut self) {
        for id in self.backends.keys(|_| true) {
            let Some(backend) = self.backends.get(id) else { continue };
            match backend.phase {
                Phase::Connecting { deadline_us } if deadline_us <= self.now.us => {
                    self.backend_failed(id, "connecting took too long");
                }
                Phase::Down { retry_us } if retry_us <= self.now.us => self.connect(id),
                Phase::Connecting { .. } | Phase::Down { .. } => {}
                Phase::Handshake { .. } | Phase::Ready => self.check_answering(id),
            }
        }
    }

    fn check_answering(&mut self, id: BackendId) {
        let backend = &self.backends[id];
        let Some(first) = backend.owed.front() else { return };
        if backend.left_unread_for.is_some() || self.is_uploading(id) {
            return;
        }
        let waited = u64::from((self.now.us as u32).wrapping_sub(first.started));
        let silent = self.now.us.saturating_sub(backend.last_heard_us);
        if waited.min(silent) > self.policy.backend_timeout_us {
            backend.stats.timeouts.increment();
            self.backend_failed(id, "it did not answer in time");
        }
    }
}
