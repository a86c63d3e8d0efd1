//! Connections that were given up while their node may still have requests of them in its socket.
//!
//! A node that was stopped executes what lies there when it goes on, although the connection is closed, and in whatever
//! order it looks at its sockets. So over every other connection to it the node is told to close the abandoned one
//! (CLIENT KILL) before anything more is asked. What comes behind that is executed after all that is ever executed
//! of what was abandoned. Ruled out:
//! ```text
//!   SET k old ─▶ a connection of the session's own: no answer ─ SET k new ─▶ the shared one: OK ─ the node reads k = old
//! ```
//! A connection that is made later says so when it greets the node, until one such greeting or order was answered. An order
//! in a greeting takes the node a moment, so one greeting has a limit of them; where there are more, the connection is not
//! used until the node has closed all.
//!
//! A node may refuse to close it, because its user may not ask that, or because it is busy with a script. Then the sessions
//! that were owed something over it are closed: that answer comes before those to what they have asked since.
//!
//! The same holds for the connections of the other workers (`state/abandoned.rs`). And it holds for another proxy, also where
//! that has closed the connection itself, because its node may still have what came over it (`session/strays.rs`).

use super::greetings::refuses_to_close;
use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::port::Action;
use crate::engine::state::abandoned::{AbandonedId, Full, GivenUp};
use crate::engine::state::backend::{Backend, Owed, Own, Phase};
use crate::engine::state::connection_name::ConnectionName;
use crate::engine::state::ids::{BackendId, NodeKey, SessionId};
use crate::engine::state::nodes::Node;

/// Orders to close that are given over one connection at once, before it takes requests. A node looks at all its clients
/// for each of them.
const ORDERS_MAX: usize = 64;

impl Engine {
    /// Has nodes close what other workers have given up: before a request is taken that may be of somebody who knows of the
    /// failure.
    #[inline]
    pub(in crate::engine) fn hear_of_abandoned(&mut self) {
        if self.shared.abandonments.next() != self.nodes.heard {
            self.connections().call_back_news(None);
        }
    }
}

impl Connections<'_> {
    /// A connection is about to be given up, and its node may still have requests of it.
    ///
    /// # Errors
    /// There are too many of those: this one is not going to be called back.
    pub(super) fn abandon(&mut self, id: BackendId) -> Result<(), Full> {
        let Some(backend) = self.backends.get(id) else { return Ok(()) };
        let stands = matches!(backend.phase, Phase::Handshake { .. } | Phase::Ready);
        let owed = backend.owed.iter().take(backend.in_flight());
        let creditors: Vec<SessionId> = owed.filter_map(|owed| owed.session).collect();
        let Some(name) = backend.name.clone().filter(|_| stands && !creditors.is_empty()) else {
            return Ok(());
        };
        let node = &mut self.nodes.nodes[backend.purpose.node];
        let given_up = GivenUp { node: node.address.clone(), kind: node.kind, name };
        let abandoned = self.shared.abandonments.add(given_up)?;
        node.creditors.add(abandoned, creditors);
        self.call_back_news(Some(id));
        Ok(())
    }

    /// Has nodes close what was given up since this worker looked last, before anything more is asked of them. `id` is about
    /// to be given up itself.
    #[cold]
    fn call_back_news(&mut self, id: Option<BackendId>) {
        for (abandoned, GivenUp { node, kind, name }) in self.shared.abandonments.news(&mut self.nodes.heard)
        {
            // A node that is not known is told when a connection to it is made.
            if let Some(node) = self.nodes.known(&node, kind) {
                self.call_back(node, id, abandoned, &name);
            }
        }
    }

    fn call_back(
        &mut self,
        node: NodeKey,
        id: Option<BackendId>,
        abandoned: AbandonedId,
        name: &ConnectionName,
    ) {
        let is_told = |backend: &Backend| {
            let stands = matches!(backend.phase, Phase::Handshake { .. } | Phase::Ready);
            let is_open = !backend.retired && !backend.is_last;
            backend.purpose.node == node && stands && is_open && backend.script.is_none()
        };
        for other in self.backends.keys(is_told) {
            // In the middle of a large request nothing can be said; such a connection is not used again.
            if Some(other) != id && !self.is_uploading(other) {
                self.order_kill(other, abandoned, name);
            }
        }
    }

    fn order_kill(&mut self, over: BackendId, abandoned: AbandonedId, name: &ConnectionName) {
        self.backends[over].owe_own(Own::Kill(abandoned), self.now.us as u32);
        let mut frame = self.pool.buffer();
        name.kill(&mut frame);
        self.sending().send(over, &frame, None);
        self.pool.recycle(frame);
    }

    /// Whether a node may still have requests of connections that were given up.
    pub(in crate::engine) fn has_abandoned(&self, node: NodeKey) -> bool {
        let Node { address, kind, .. } = &self.nodes.nodes[node];
        let all = self.shared.abandonments.next();
        !self.shared.abandonments.of_node(address, *kind, all).is_empty()
    }

    /// Writes orders to close what a new connection's node may still have of those that were given up before the connection
    /// was made; notes on it whom they are about.
    pub(super) fn order_kills(&mut self, over: BackendId, out: &mut Vec<u8>) {
        let backend = &mut self.backends[over];
        let Node { address, kind, .. } = &self.nodes.nodes[backend.purpose.node];
        let open = self.shared.abandonments.of_node(address, *kind, backend.told_before);
        // Who may do nothing more afterwards says all at once.
        let most = if backend.script.is_some() { open.len() } else { ORDERS_MAX };
        // Where there are more, each connection begins with others.
        let first = if open.len() > most { over.index() * most % open.len() } else { 0 };
        backend.told.clear();
        for (abandoned, name) in open.iter().cycle().skip(first).take(most.min(open.len())) {
            name.kill(out);
            backend.told.push_back(*abandoned);
        }
    }

    /// Whether what was forwarded here waits in a new connection while its node has something to close. It had not when
    /// the request was taken; now it fails, because such requests wait for no order to close (`session/strays.rs`).
    pub(super) fn fails_what_is_passed_on(&mut self, over: BackendId) -> bool {
        let backend = &self.backends[over];
        let fails = backend.passes_on && backend.unsent > 0 && self.has_abandoned(backend.purpose.node);
        if fails {
            self.fail_backend(over, "other connections to it have still to be closed");
        }
        fails
    }

    /// A new connection has been greeted: has its node close what is left, if anything is.
    pub(super) fn order_more_kills(&mut self, over: BackendId) -> bool {
        let mut orders = self.pool.buffer();
        self.order_kills(over, &mut orders);
        let backend = &mut self.backends[over];
        let due = backend.told.len() as u16;
        if due > 0 {
            backend.is_greeted = true;
            (0..due).for_each(|_| backend.owed.push_front(Owed::to_nobody(self.now.us as u32)));
            backend.greeting.copy(&orders, self.pool);
            backend.phase = Phase::Handshake { due };
            self.sending().mark_backend(over);
        }
        self.pool.recycle(orders);
        due > 0
    }

    /// A node has answered the order to close a connection.
    pub(in crate::engine) fn kill_answered(&mut self, node: NodeKey, abandoned: AbandonedId, reply: &[u8]) {
        let Node { address, kind, .. } = &self.nodes.nodes[node];
        let is_refusal = reply.first() == Some(&b'-');
        // Else the node closes it at the next order, which comes with the next new connection: it runs a script now.
        let is_for_now = is_refusal && !refuses_to_close(reply);
        if is_refusal && !is_for_now {
            self.stats.closes_refused.increment();
            // Before it is taken off the list: a worker that does not find it there asks whether its node refuses.
            if self.shared.abandonments.note_refusal(address, *kind) {
                let answer = String::from_utf8_lossy(&reply[1..]).trim_end().to_owned();
                self.agenda.actions.push(Action::CloseRefused { node: address.clone(), answer });
            }
        }
        if !is_for_now {
            self.shared.abandonments.closed(abandoned);
        }
        let creditors = self.nodes.nodes[node].creditors.of(abandoned);
        if is_refusal {
            self.close_all(creditors);
        }
    }

    /// Before requests go over a new connection: other workers may have heard what the node answers about connections that
    /// this one gave up before the new one was made.
    pub(super) fn rely_on_answers_to_others(&mut self, over: BackendId) {
        let backend = &self.backends[over];
        let (node, before) = (backend.purpose.node, backend.told_before);
        let creditors = self.nodes.nodes[node].creditors.before(before);
        let Node { address, kind, .. } = &self.nodes.nodes[node];
        if !creditors.is_empty() && self.shared.abandonments.has_refused(address, *kind) {
            self.close_all(creditors);
        }
    }

    /// A node does not close a connection, and may execute what lies in it at any time. So those that were owed something
    /// over it are closed before they are told of anything that they asked after it.
    fn close_all(&mut self, creditors: Vec<SessionId>) {
        creditors.into_iter().for_each(|creditor| self.close_session(creditor));
    }
}
