//! Requests that another proxy would hold: no other client's request waits behind them.
//!
//! Requests of all sessions go to another proxy over one connection, and are answered in their order. So the other proxy
//! holds nothing there (for a pause, or for an owner of slots): it answers that it was to hold the request, which it has not
//! executed, and answers so to everything more of that session. The session's requests are then asked again, in their
//! order, over a connection of the session's own, where they may be held.
//!
//! ```text
//!  A: SET k 1 ─┐                     ┌─ SET k 1 of A ─▶ held: "+UMHELD"          ─▶ asked again on A's own connection
//!  B: GET k   ─┼─ one connection ───▶┼─ GET k of B   ─▶ its reply
//!  A: GET k   ─┘                     └─ GET k of A   ─▶ after a held one: "+UMHELD" ─▶ asked again behind SET k 1
//! ```
//!
//! Until all that A is owed has come, none of its further requests is taken (barrier). Its next one over the connection that
//! all share says that the session begins again. Ruled out: GET k of A executed there before its SET k 1, in whatever
//! order hold, replies and requests pass each other.
//!
//! `UMFORWARD SESSIONS token` agrees on this when a connection is made; until that is answered, sessions wait as they do
//! for room, because a request that names no session is held, and everybody behind it. Then `hops/session` or `hops/session!` takes the
//! place of `hops`. The token is in the answer, so that no reply of a node can be taken for it. A proxy of an older version
//! refuses, and holds as before. A request that is forwarded twice is held where it is.
//!
//! A connection that the other closes in peace is made again, with what was not written yet: it names its sessions, so the
//! requests stay kept, and what comes behind them names its session too. Ruled out: a token that nobody expects, given to a
//! client as its reply; and a request that was to be refused, executed over the new connection before the one that was held.

use resp::encode;

use crate::command::Args;
use crate::decimal;
use crate::engine::Engine;
use crate::engine::contexts::Connections;
use crate::engine::request::dispatch::Taken;
use crate::engine::state::backend::{Backend, Kept, Owed, Phase};
use crate::engine::state::ids::{BackendId, NodeKey, SessionId};
use crate::engine::state::node_kind::NodeKind;
use crate::engine::state::session::{Link, Phase as SessionPhase, WaitFor};
use crate::errors;

/// Sessions of another proxy that one of its connections is refused for at a time; more are held.
const REFUSED_MAX: usize = 65_536;

/// The longest token that another proxy may choose, bytes; ours have 16.
const TOKEN_BYTES_MAX: usize = 64;

/// What is answered in place of holding a request.
pub(in crate::engine) fn held_reply(token: &[u8]) -> Box<[u8]> {
    [b"+UMHELD ", token, b"\r\n"].concat().into()
}

/// A session of another proxy, and whether it begins again here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stranger {
    number: u64,
    begins_anew: bool,
}

/// Reads `hops`, `hops/session` or `hops/session!`.
pub(super) fn read_label(label: &[u8]) -> Option<(u8, Option<Stranger>)> {
    let mut parts = label.splitn(2, |byte| *byte == b'/');
    let hops = u8::try_from(decimal::parse(parts.next()?)?).ok()?;
    let Some(session) = parts.next() else { return Some((hops, None)) };
    let digits = session.strip_suffix(b"!");
    let number = u64::try_from(decimal::parse(digits.unwrap_or(session))?).ok()?;
    Some((hops, Some(Stranger { number, begins_anew: digits.is_some() })))
}

impl Engine {
    /// Whether a request that names its session may go over this connection now. Where it may not, the session waits for that
    /// with [`crate::engine::contexts::Sending::wait_for_room`].
    pub(super) fn takes_more(&self, to: BackendId) -> bool {
        let Backend { phase, purpose, out, kept, .. } = &self.backends[to];
        let is_link = purpose.owner.is_none() && self.nodes.nodes[purpose.node].kind == NodeKind::Proxy;
        let is_greeting = matches!(phase, Phase::Connecting { .. } | Phase::Handshake { .. });
        // Behind what is named already everything is named.
        out.len() < self.backend_room && !(is_link && is_greeting && kept.is_empty())
    }

    /// Sends what `backend`, a connection to another proxy, owes `id` last.
    pub(super) fn send_forwarded<'a>(
        &mut self,
        id: SessionId,
        backend: BackendId,
        hops: (u8, bool),
        (count, words): (usize, impl Iterator<Item = &'a [u8]>),
    ) {
        let (hops, is_first_hop) = hops;
        let to = &mut self.backends[backend];
        let is_agreed =
            to.phase == Phase::Ready && to.held_answer.as_ref().is_some_and(|held| held.is_agreed);
        // Behind what is named, what is not would be held while that is refused, and could come first in the end.
        let names_session = is_first_hop && (is_agreed || !to.kept.is_empty());
        let mut label = hops.to_string();
        if names_session {
            let refused = to.refused.iter().position(|&refused| refused == id);
            let mark = refused.map(|place| to.refused.swap_remove(place)).map_or("", |_| "!");
            label = format!("{label}/{}{mark}", id.number());
        }
        let mut frame = self.pool.buffer();
        encode::array(&mut frame, count + 2);
        encode::bulk(&mut frame, b"UMFORWARD");
        encode::bulk(&mut frame, label.as_bytes());
        words.for_each(|word| encode::bulk(&mut frame, word));
        if names_session && let Some(&Owed { sequence, .. }) = to.owed.back() {
            to.kept_bytes += frame.len();
            to.kept.push_back(Kept { session: id, sequence, frame: frame.as_slice().into() });
        }
        self.sending().send(backend, &frame, None);
        self.pool.recycle(frame);
    }

    /// What was kept of the request that was answered now; nothing where it cannot be asked again.
    #[inline]
    pub(in crate::engine) fn kept_of(&mut self, from: BackendId, owed: &Owed) -> Option<Kept> {
        let backend = &mut self.backends[from];
        let is_it = |kept: &Kept| owed.session == Some(kept.session) && owed.sequence == kept.sequence;
        let kept = backend.kept.pop_front_if(|kept| is_it(kept))?;
        backend.kept_bytes -= kept.frame.len();
        Some(kept)
    }

    /// Whether the other proxy answers that it was to hold the request.
    pub(in crate::engine) fn is_held_elsewhere(&self, from: BackendId, reply: &[u8]) -> bool {
        self.backends[from].held_answer.as_ref().is_some_and(|held| *held.reply == *reply)
    }

    /// `UMFORWARD SESSIONS token`: the session is another proxy's connection, which wants nothing held here.
    pub(super) fn become_link(&mut self, id: SessionId, token: &[u8]) {
        if token.len() > TOKEN_BYTES_MAX {
            return self.clients().reply_now(id, |out| errors::write(out, errors::SYNTAX));
        }
        let link = Link { held_reply: held_reply(token), ..Link::default() };
        self.sessions[id].unusual.get_or_insert_default().link = Some(link);
        self.clients().recount(id);
        self.clients().reply_now(id, |out| encode::simple(out, "OK"));
    }

    /// Before a request of this stranger: whether it is refused, because an earlier one of it was to be held.
    pub(super) fn refuses(&mut self, id: SessionId, stranger: Option<Stranger>) -> bool {
        let Some(Stranger { number, begins_anew }) = stranger else { return false };
        let Some(link) = self.link(id) else { return false };
        if begins_anew {
            link.refused.remove(&number);
        }
        let is_refused = link.refused.contains(&number);
        if is_refused {
            self.answer_held(id);
        }
        is_refused
    }

    /// After a request of this stranger was not taken: where it is to be held, it is refused instead.
    pub(super) fn refuse_instead_of_holding(&mut self, id: SessionId, stranger: Option<Stranger>) -> Taken {
        let is_held = |engine: &Engine| engine.sessions[id].phase == SessionPhase::Waiting(WaitFor::Held);
        let Some(stranger) = stranger.filter(|_| is_held(self)) else { return Taken::Later };
        let Some(link) = self.link(id).filter(|link| link.refused.len() < REFUSED_MAX) else {
            return Taken::Later;
        };
        link.refused.insert(stranger.number);
        self.clients().let_go_of_held(id);
        self.answer_held(id);
        Taken::Yes
    }

    fn answer_held(&mut self, id: SessionId) {
        let Some(link) = self.link(id) else { return };
        let reply = link.held_reply.clone();
        self.clients().recount(id);
        self.clients().reply_now(id, |out| out.extend_from_slice(&reply));
    }

    fn link(&mut self, id: SessionId) -> Option<&mut Link> {
        self.sessions[id].link()
    }
}

impl Connections<'_> {
    /// Asks for what is owed over a connection of the session's own.
    pub(in crate::engine) fn ask_again(&mut self, from: BackendId, owed: &Owed, frame: &[u8]) {
        let backend = &mut self.backends[from];
        backend.batches.answered(self.pool);
        let Some(id) = owed.session.filter(|&id| self.sessions.get(id).is_some()) else { return };
        if !backend.refused.contains(&id) {
            backend.refused.retain(|&refused| self.sessions.get(refused).is_some());
            backend.refused.push(id);
        }
        let (node, db) = (backend.purpose.node, backend.purpose.db);
        if self.sessions[id].input_ended {
            // Nothing is held for a client that has left, here or there.
            return self.fail_reply(owed, &errors::line(errors::HELD_AND_LEFT));
        }
        let to = match self.connection_for_held(id, node) {
            Some(known) => known,
            None => self.own_backend(id, node, db),
        };
        let backend = &mut self.backends[to];
        backend.owed.push_back(*owed);
        backend.unsent += 1;
        backend.batches.add();
        self.sending().send(to, frame, None);
        self.clients().take_barrier(id);
    }

    /// The connection where earlier requests of this session are asked again; where there are too many of those, another
    /// session's.
    fn connection_for_held(&self, id: SessionId, node: NodeKey) -> Option<BackendId> {
        let profile = &self.sessions[id].profile;
        let (db, protocol) = (profile.db, profile.protocol);
        let fits = |(at, backend): &(BackendId, &Backend)| {
            let purpose = backend.purpose;
            purpose.owner.is_some()
                && (purpose.node, purpose.db, purpose.protocol) == (node, db, protocol)
                && !backend.owed.is_empty()
                && !backend.retired
                && !backend.is_last
                && !self.is_uploading(*at)
        };
        let is_owed =
            |(_, backend): &(BackendId, &Backend)| backend.owed.iter().any(|owed| owed.session == Some(id));
        let known = || self.backends.iter().filter(fits);
        let its_own = known().find(is_owed);
        let others = || if self.may_upload() { None } else { known().next() };
        its_own.or_else(others).map(|(at, _)| at)
    }
}

/// The words of a request, for [`Engine::send_forwarded`].
pub(super) fn words<'a>(args: Args<'a>) -> (usize, impl Iterator<Item = &'a [u8]>) {
    (args.len(), args.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let stranger = |number, begins_anew| Some(Stranger { number, begins_anew });
        for (label, expected) in [
            ("3", Some((3, None))),
            ("0/17", Some((0, stranger(17, false)))),
            ("255/9223372036854775807!", Some((255, stranger(i64::MAX as u64, true)))),
            ("256", None),
            ("", None),
            ("3/", None),
            ("3/!", None),
            ("3/x", None),
            ("3!", None),
            ("3/1/2", None),
        ] {
            assert_eq!(read_label(label.as_bytes()), expected, "{label}");
        }
    }
}
