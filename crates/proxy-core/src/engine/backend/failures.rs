//! Connections that fail: how it is noticed, what becomes of the requests that were owed a reply, and when it is tried
//! again.

use model::Address;
use resp::ReplyScanner;

use crate::engine::contexts::Connections;
use crate::engine::state::abandoned::Full;
use crate::engine::state::backend::{Backend, Owed, Phase, Purpose};
use crate::engine::state::ids::{BackendId, SessionId};
use crate::engine::state::node_kind::NodeKind;
use crate::engine::{Action, Engine};
use crate::errors;

/// Waiting time before the first new attempt to connect, µs; doubled for each further one.
const BACKOFF_US_MIN: u64 = 10_000;
/// The longest waiting time between attempts, µs.
const BACKOFF_US_MAX: u64 = 1_000_000;
/// A connection that stood for less and ends is a failure even if nothing was asked on it, µs. The shortest `timeout`
/// after which a node closes idle connections is a second.
const STOOD_US_MIN: u64 = 500_000;
/// A connection to another proxy that all sessions share may be silent for so many times `backend_timeout` while the other
/// proxy answers new connections. A firewall may have forgotten it, and then nobody would be answered over it.
const LINK_TIMEOUTS_MAX: u64 = 10;
/// A node that is busy with a script is greeted again after this time, µs.
const BUSY_RETRY_US: u64 = 50_000;

impl Engine {
    /// The connection broke or could not be made. What was in flight has failed with an unknown outcome, what had not
    /// been sent has failed for certain; both are told so. A connection that ends while the node owes nothing is not
    /// a failure: a node closes those that it thinks idle, and this one is made again at once.
    pub fn backend_failed(&mut self, id: BackendId, why: &str) {
        if self.connections().ended_in_peace(id) {
            self.connections().reopen(id);
        } else {
            self.connections().doubt_node_of(id);
            self.connections().ended(id, why);
        }
    }
}

impl Connections<'_> {
    /// Whether a connection that has ended had no request under way, and stood for long enough that making it again is
    /// no busy loop.
    fn ended_in_peace(&self, id: BackendId) -> bool {
        self.backends.get(id).is_some_and(|backend| {
            backend.phase == Phase::Ready
                && backend.in_flight() == 0
                && !backend.cut
                && backend.purpose.owner.is_none()
                && !backend.retired
                && self.is_shared(id)
                && !backend.owes_refused()
                && self.now.us.saturating_sub(backend.connected_us) >= STOOD_US_MIN
        })
    }

    /// Makes a connection again that ended in peace. What was not yet written of is kept for the new one, and so is what
    /// was kept of forwarded requests: all of those are still to be written.
    fn reopen(&mut self, id: BackendId) {
        let backend = &mut self.backends[id];
        backend.held_answer = None;
        backend.refused.clear();
        backend.partial = Vec::new();
        backend.scanner = ReplyScanner::default();
        backend.blocked = false;
        backend.sent_at_us = None;
        backend.stats.connected.set(0);
        backend.stats.reconnects.increment();
        self.agenda.actions.push(Action::CloseBackend(id));
        self.connect(id);
        self.sending().recount_backend(id);
    }

    /// A connection has ended at its other end. A node executes nothing more of it; another proxy's node may.
    fn ended(&mut self, id: BackendId, why: &str) {
        let Some(backend) = self.backends.get(id) else { return };
        match self.nodes.nodes[backend.purpose.node].kind {
            NodeKind::Local => self.fail_ended(id, why),
            NodeKind::Proxy => self.fail_backend(id, why),
        }
    }

    /// Whether this connection is one of those that sessions share, and is tried again when it fails.
    pub(super) fn is_shared(&self, id: BackendId) -> bool {
        let node = self.backends[id].purpose.node;
        self.nodes.nodes[node].shared().any(|entry| entry == id)
    }

    /// From now on a new connection to this one's node has to prove itself before requests are put on it. A shared
    /// connection that failed is tried until one has.
    fn doubt_node_of(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(id) else { return };
        let node = backend.purpose.node;
        if self.is_shared(id) {
            self.nodes.nodes[node].doubted = true;
        }
    }

    /// The node does not answer. Connections to it that owe nothing are given up too, or the next request on each of
    /// them would wait as long again.
    fn node_is_silent(&mut self, id: BackendId) {
        self.doubt_node_of(id);
        let node = self.backends[id].purpose.node;
        if self.nodes.nodes[node].doubted {
            let is_idle = |backend: &Backend| {
                backend.purpose.node == node && backend.phase == Phase::Ready && backend.owed.is_empty()
            };
            let why = "its node did not answer in time";
            self.backends.keys(is_idle).into_iter().for_each(|idle| self.fail_backend(idle, why));
        }
        self.fail_backend(id, "it did not answer in time");
    }

    /// What came is not a reply, or nobody asked for it.
    pub(in crate::engine) fn fail_senseless(&mut self, id: BackendId) {
        if self.backends.get(id).is_some_and(|backend| !matches!(backend.phase, Phase::Down { .. })) {
            self.fail_backend(id, "it sent something that is not a reply");
        }
    }

    /// The node says that it is busy and refuses to be greeted: what waits here is answered so, and so is what comes
    /// until a greeting is answered.
    pub(in crate::engine) fn backend_is_busy(&mut self, id: BackendId, refusal: &[u8]) {
        let backend = &mut self.backends[id];
        backend.refusal = Some(refusal.into());
        self.fail_backend(id, "it is busy");
        if let Some(backend) = self.backends.get_mut(id) {
            backend.failures = 0;
            backend.refusal = Some(refusal.into());
            backend.phase = Phase::Down { retry_us: self.now.us + BUSY_RETRY_US };
        }
    }

    /// Fails a connection that is of no more use, whatever the reason. What its node was asked over it may be carried out
    /// all the same, so it is called back before anything more is asked.
    pub(in crate::engine) fn fail_backend(&mut self, id: BackendId, why: &str) {
        if let Err(Full) = self.abandon(id) {
            self.close_sessions_of(id);
        }
        self.fail_ended(id, why);
    }

    /// Closes the sessions that wait for what this connection's node was asked. As with a Redis server, who is not answered
    /// knows nothing of what became of it, and nothing more is taken from it.
    fn close_sessions_of(&mut self, id: BackendId) {
        let backend = &self.backends[id];
        let in_flight = backend.owed.iter().take(backend.in_flight());
        let sessions: Vec<SessionId> = in_flight.filter_map(|owed| owed.session).collect();
        sessions.into_iter().for_each(|session| self.close_session(session));
    }

    /// As [`Self::fail_backend`], for the only connections that need not be called back: those that a Redis server itself
    /// has ended. It executes nothing more of them.
    fn fail_ended(&mut self, id: BackendId, why: &str) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        if matches!(backend.phase, Phase::Down { .. }) {
            return;
        }
        let purpose = backend.purpose;
        self.sending().forget_reader(id);
        let backend = &mut self.backends[id];
        let address = self.nodes.nodes[purpose.node].address.clone();
        let in_flight = backend.in_flight();
        let owed = std::mem::take(&mut backend.owed);
        backend.own.clear();
        let mut cut_short = std::mem::take(&mut backend.streaming);
        backend.failures += 1;
        backend.must_prove = true;
        backend.forget_forwarded();
        let refusal = backend.refusal.take();
        backend.batches.clear(self.pool);
        backend.stats.lost.add(owed.len() as u64);
        backend.stats.connected.set(0);
        if matches!(backend.phase, Phase::Connecting { .. }) {
            backend.stats.connect_failures.increment();
        }
        backend.out.clear(self.pool);
        backend.greeting.clear(self.pool);
        backend.partial = Vec::new();
        backend.scanner = ReplyScanner::default();
        backend.unsent = 0;
        backend.blocked = false;
        backend.cut = false;
        backend.sent_at_us = None;
        backend.phase = Phase::Down { retry_us: u64::MAX };
        let waiters = std::mem::take(&mut backend.waiters);
        self.agenda.actions.push(Action::CloseBackend(id));
        for (index, owed) in owed.into_iter().enumerate() {
            if std::mem::take(&mut cut_short) && self.is_half_sent(&owed) {
                self.close_session_of(&owed);
            } else {
                match &refusal {
                    Some(refusal) => self.fail_with(&owed, refusal),
                    None => self.fail_owed(&owed, index < in_flight, &address, why),
                }
            }
        }
        waiters.into_iter().for_each(|waiter| self.clients().room_again(waiter));
        self.sending().recount_backend(id);
        self.after_failure(id);
    }

    /// Whether the client may have been sent the beginning of a reply that was passing through. What waited for its turn is
    /// thrown away.
    fn is_half_sent(&mut self, owed: &Owed) -> bool {
        let Some(session) = owed.session.and_then(|session| self.sessions.get_mut(session)) else {
            return false;
        };
        owed.part.is_none() && !session.is_refused(owed.sequence) && !session.refuse_partial(owed.sequence)
    }

    fn fail_owed(&mut self, owed: &Owed, in_flight: bool, address: &Address, why: &str) {
        let mut error = Vec::new();
        if in_flight {
            errors::backend_failed(&mut error, address, why);
        } else {
            errors::backend_unreachable(&mut error, address);
        }
        self.fail_with(owed, &error);
    }

    fn fail_with(&mut self, owed: &Owed, error: &[u8]) {
        if owed.session.is_some_and(|session| self.sessions.get(session).is_some()) {
            self.fail_reply(owed, error);
        }
    }

    /// Decides what becomes of a place whose connection failed: a shared one is tried again later.
    fn after_failure(&mut self, id: BackendId) {
        let Purpose { owner, .. } = self.backends[id].purpose;
        if self.is_shared(id) && owner.is_none() {
            let jitter = self.random.next();
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
            let Some(phase) = self.backends.get(id).map(|backend| backend.phase) else { continue };
            match phase {
                Phase::Connecting { deadline_us } if deadline_us <= self.now.us => {
                    self.doubt_node_of(id);
                    self.fail_backend(id, "connecting took too long");
                }
                Phase::Down { .. } | Phase::Ready if self.close_if_unused(id) => {}
                Phase::Down { retry_us } if retry_us <= self.now.us => self.connect(id),
                Phase::Connecting { .. } | Phase::Down { .. } => {}
                Phase::Handshake { .. } | Phase::Ready => self.check_answering(id),
            }
        }
    }

    fn check_answering(&mut self, id: BackendId) {
        let backend = &self.backends[id];
        let Some(first) = backend.owed.front() else { return };
        // Of a large request the rest may be still to come; what is here waits for the node.
        let waits_for_client = backend.out.is_empty() && self.is_uploading(id);
        if let Some(reader) = backend.left_unread_for {
            return self.look_at_reader_again(id, reader);
        }
        if waits_for_client {
            return;
        }
        let waited = u64::from((self.now.us as u32).wrapping_sub(first.started));
        let purpose = backend.purpose;
        let node = &self.nodes.nodes[purpose.node];
        let timeout_us = self.policy.backend_timeout_us;
        let mute_us = waited.min(self.now.us.saturating_sub(backend.last_heard_us));
        let may_be_dead = purpose.owner.is_none() && mute_us > timeout_us.saturating_mul(LINK_TIMEOUTS_MAX);
        let heard_us = match node.kind {
            NodeKind::Proxy if !may_be_dead => backend.last_heard_us.max(node.greeted_us),
            NodeKind::Proxy | NodeKind::Local => backend.last_heard_us,
        };
        let silent = waited.min(self.now.us.saturating_sub(heard_us));
        if node.kind == NodeKind::Proxy && silent > timeout_us / 2 {
            self.ask_whether_it_lives(purpose.node);
        }
        if silent > timeout_us {
            let node = &self.nodes.nodes[purpose.node];
            // Slow is not dead: a node that runs a long script answers afterwards.
            if node.kind == NodeKind::Local && self.shared.lives.is_known_to_live(&node.address, self.now.us)
            {
                return;
            }
            self.backends[id].stats.timeouts.increment();
            self.node_is_silent(id);
        }
    }
}
