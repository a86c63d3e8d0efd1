//! Requests of clients that are gone, which nodes may still carry out.
//!
//! A Redis server that has closed a client's connection executes nothing more of it. A proxy has passed the requests on: they
//! lie in its connections to nodes, and what another worker asks of the same node may be executed before them. So CLIENT
//! KILL of an address is answered when those of that client are over, also where it was gone before. Another proxy asks so
//! before it asks anything more. Ruled out:
//! ```text
//!   SET k old ─▶ worker 1 ─▶ its connection, the node is slow ─ the link ends ─ error
//!   CLIENT KILL ADDR, SET k new ─▶ worker 2 ─▶ another connection: OK ─ the node reads k = old
//! ```
//!
//! The order waits for nobody else's requests, and what one proxy passes on for another waits for no such order. Else two
//! proxies that have lost connections to each other could wait for one another. Ruled out:
//! ```text
//!   A ── CLIENT KILL ──▶ B    which waits for what B has passed on to A, for A's session that is gone
//!   A ◀── CLIENT KILL ── B    which waits for what A passes on to B behind the other order
//! ```
//! A request that has been forwarded is refused where it would go to a proxy that has not closed all connections that were
//! given up. Only while views differ is a request forwarded twice.

use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::state::departed::{Killed, Strays};
use crate::engine::state::ids::{NodeKey, SessionId};
use crate::errors;
use crate::profile::Profile;

impl Engine {
    /// CLIENT KILL: closes the sessions that the filter picks, at once, whether they read or not; only `asker`, the
    /// client id of the one that asks, gets its replies first.
    pub fn kill_sessions(&mut self, asker: Option<u64>, mut picks: impl FnMut(&Profile) -> bool) -> Killed {
        let sessions = self.sessions.iter().filter(|(_, session)| picks(&session.profile));
        let picked: Vec<(SessionId, bool)> =
            sessions.map(|(id, session)| (id, asker == Some(session.profile.id))).collect();
        for &(id, asks) in &picked {
            if asks { self.clients().close_after_replies(id) } else { self.connections().close_session(id) }
        }
        Killed { closed: picked.len(), strays: self.departed.strays(picks) }
    }

    /// Whether all that was taken from these has been answered, or has failed: what was called back counts as over, because
    /// every worker asks its node so before anything more ([`crate::engine::Abandonments`]).
    #[must_use]
    pub fn are_over(&self, strays: &Strays) -> bool {
        let mut owed = self.backends.iter().flat_map(|(_, backend)| &backend.owed);
        strays.is_empty() || !owed.any(|owed| owed.session.is_some_and(|session| strays.has(session)))
    }

    /// Whether a request that was forwarded here may be forwarded on to `proxy`; else it has been refused. There is a
    /// connection then that has the other proxy close what is left.
    pub(in crate::engine) fn may_pass_on(&mut self, id: SessionId, proxy: NodeKey, hops: u8) -> bool {
        let is_waited_for = self.connections().has_abandoned(proxy);
        if is_waited_for {
            // Without room for it others stand, which have been told.
            let _ = self.connections().way_to(id, proxy, hops);
            let address = self.nodes.nodes[proxy].address.clone();
            self.clients().reply_now(id, |out| errors::still_closing(out, &address));
        }
        !is_waited_for
    }
}

impl Connections<'_> {
    /// A session is gone to which something may be owed.
    pub(in crate::engine) fn note_departed(&mut self, id: SessionId, profile: Profile) {
        let owed = self.backends.iter().flat_map(|(_, backend)| &backend.owed);
        self.departed.add(id, profile, || owed.filter_map(|owed| owed.session).collect());
    }
}
