//! Whether another proxy lives that owes a reply for long.
//!
//! Its node may be busy with a script, or hold a request. What its process does cannot be seen from here, and on the
//! connection that owes the reply everything waits. So it is greeted on a connection made for that: as long as it answers,
//! its own limits say when it gives up. But that shows nothing of the connection itself, so there is an end to it, ten times
//! `backend_timeout`, for a connection that all sessions share.

use crate::engine::contexts::Connections;
use crate::engine::state::backend::Purpose;
use crate::engine::state::ids::NodeKey;
use resp::Protocol;

impl Connections<'_> {
    /// Greets another proxy on a new connection, which is closed when it has answered. One is enough at a time.
    pub(in crate::engine) fn ask_whether_it_lives(&mut self, proxy: NodeKey) {
        let under_way =
            self.nodes.nodes[proxy].sign_of_life.is_some_and(|id| self.backends.get(id).is_some());
        if under_way {
            return;
        }
        let purpose = Purpose { node: proxy, db: 0, protocol: Protocol::Resp2, hops: None, owner: None };
        let opened = self.open(purpose);
        let backend = &mut self.backends[opened];
        backend.retired = true;
        backend.must_prove = true;
        self.nodes.nodes[proxy].sign_of_life = Some(opened);
    }
}
