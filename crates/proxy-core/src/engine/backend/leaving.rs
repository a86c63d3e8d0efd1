//! What another proxy was asked for a client that has left, over a connection of the client's session alone.
//!
//! The other proxy may hold the request, and sees only that connection. So the connection ends with the client: our end is
//! shut when all is written, as the client's is. The other proxy answers what it has begun, and holds nothing any more
//! (`session/lifecycle.rs`). Ruled out: a write that is executed when a pause is over, long after its client has given up.

use crate::engine::Action;
use crate::engine::contexts::Connections;
use crate::engine::state::backend::{Backend, Owed, Phase};
use crate::engine::state::ids::SessionId;
use crate::engine::state::node_kind::NodeKind;

impl Connections<'_> {
    /// This session's client has sent its last byte, or is gone.
    pub(in crate::engine) fn ask_last_elsewhere(&mut self, id: SessionId) {
        let is_its_own = |backend: &Backend| {
            let is_owed_to_it = |owed: &Owed| owed.session.is_none_or(|session| session == id);
            backend.purpose.owner == Some(id)
                && self.nodes.nodes[backend.purpose.node].kind == NodeKind::Proxy
                && !backend.is_last
                && backend.owed.iter().all(is_owed_to_it)
        };
        for last in self.backends.keys(is_its_own) {
            let backend = &mut self.backends[last];
            backend.is_last = true;
            if backend.phase == Phase::Ready && backend.out.is_empty() {
                self.agenda.actions.push(Action::EndBackend(last));
            }
        }
    }
}
