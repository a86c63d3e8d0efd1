//! Connections that were given up while their node may still have requests of them in its socket.
//!
//! A node that was stopped executes what lies there when it goes on, although the connection is closed, and in whatever
//! order it looks at its sockets. So over every other connection to it the node is told to close the abandoned one
//! (CLIENT KILL ADDR) before anything more is asked. What comes behind that is executed after all that is ever executed
//! of what was abandoned. Ruled out:
//! ```text
//!   SET k old ─▶ a connection of the session's own: no answer ─ SET k new ─▶ the shared one: OK ─ the node reads k = old
//! ```
//! A connection that is made later says so when it greets the node, until one such greeting or order was answered.
//!
//! The same holds for the connections of the other workers: they are told. And it holds for another proxy, also where that
//! has closed the connection itself, because its node may still have what came over it (`session/strays.rs`).

use std::net::SocketAddr;

use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::port::{Action, CalledBack};
use crate::engine::state::abandoned::AbandonedId;
use crate::engine::state::backend::{Backend, Own, Phase};
use crate::engine::state::ids::{BackendId, NodeKey};
use crate::engine::state::nodes::{Node, NodeKind};

impl Engine {
    /// Another worker has given up a connection.
    pub fn called_back(&mut self, called_back: &CalledBack) {
        let CalledBack { node, is_proxy, end } = called_back;
        let kind = if *is_proxy { NodeKind::Proxy } else { NodeKind::Local };
        let is_it = |known: &Node| known.address == *node && known.kind == kind;
        let known = self.nodes.nodes.iter().find(|(_, known)| is_it(known)).map(|(key, _)| key);
        if let Some(key) = known {
            self.connections().call_back(key, None, *end);
        }
    }
}

impl Connections<'_> {
    /// A connection is about to be given up, and its node may still have requests of it.
    pub(super) fn abandon(&mut self, id: BackendId) {
        let Some(backend) = self.backends.get(id).filter(|backend| !matches!(backend.phase, Phase::Down { .. }))
        else {
            return;
        };
        let is_waited_for = backend.owed.iter().take(backend.in_flight()).any(|owed| owed.session.is_some());
        let Some(end) = backend.end.filter(|_| is_waited_for) else { return };
        let node = backend.purpose.node;
        let Node { address, kind, .. } = &self.nodes.nodes[node];
        let called_back = CalledBack { node: address.clone(), is_proxy: *kind == NodeKind::Proxy, end };
        self.agenda.actions.push(Action::CalledBack(Box::new(called_back)));
        self.call_back(node, Some(id), end);
    }

    /// Has the node close the connection with this end of ours before anything more is asked of it. `id` is that
    /// connection, where it is this worker's.
    fn call_back(&mut self, node: NodeKey, id: Option<BackendId>, end: SocketAddr) {
        let abandoned = self.nodes.nodes[node].abandoned.add(end);
        let is_told = |backend: &Backend| {
            let stands = matches!(backend.phase, Phase::Handshake { .. } | Phase::Ready);
            backend.purpose.node == node && stands && !backend.retired && backend.script.is_none()
        };
        for other in self.backends.keys(is_told) {
            // In the middle of a large request nothing can be said; such a connection is not used again.
            if Some(other) != id && !self.is_uploading(other) {
                self.order_kill(other, abandoned, end);
            }
        }
    }

    fn order_kill(&mut self, over: BackendId, abandoned: AbandonedId, end: SocketAddr) {
        self.backends[over].owe_own(Own::Kill(abandoned), self.now.us as u32);
        let mut frame = self.pool.buffer();
        kill(&mut frame, end);
        self.sending().send(over, &frame, None);
        self.pool.recycle(frame);
    }

    /// A node has answered the order to close a connection.
    pub(in crate::engine) fn kill_answered(&mut self, over: BackendId, abandoned: AbandonedId) {
        self.nodes.nodes[self.backends[over].purpose.node].abandoned.closed(abandoned);
    }
}

/// The order to close the connection whose other end is this.
pub(super) fn kill(out: &mut Vec<u8>, end: SocketAddr) {
    resp::encode::request(out, &[b"CLIENT", b"KILL", b"ADDR", end.to_string().as_bytes()]);
}
