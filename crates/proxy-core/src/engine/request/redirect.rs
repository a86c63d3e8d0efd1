//! Forwarding to the proxy that owns a slot, for clients that know nothing of clusters (`active_redirection`).
//!
//! The request travels as `UMFORWARD hops command…`, where `hops` is how many more proxies may forward it: views may
//! differ for a moment, and a request must not go round in circles. A command without keys travels so to every proxy that
//! owns slots, and each answers for itself alone. What the other proxy would hold is in `held`.

use crate::command::{Args, Class, CommandId};
use crate::engine::Engine;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::request::held::{read_label, words};
use crate::engine::state::ids::NodeKey;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase, WaitFor};
use crate::engine::state::stream::STREAM_BYTES_MIN;
use crate::errors;
use model::Slot;
use resp::{RequestLimits, encode};

impl Engine {
    /// The proxy to forward a request for `slot` to: where it is somebody else's, and forwarding is switched on here. Who
    /// asks for it may be any client.
    pub(in crate::engine) fn forwards_to(&self, slot: Slot) -> Option<NodeKey> {
        if !self.shared.settings.active_redirection {
            return None;
        }
        let view = self.shared.view.as_deref()?;
        self.nodes.proxy_of_target(view.routes.owner(slot))
    }

    pub(in crate::engine) fn forward_to_proxy(
        &mut self,
        id: SessionId,
        proxy: NodeKey,
        command: CommandId,
        request: Request<'_>,
    ) -> Taken {
        let Some(hops) = request.hops.unwrap_or(self.shared.settings.max_redirections).checked_sub(1) else {
            self.clients().reply_now(id, |out| errors::write(out, errors::TOO_MANY_REDIRECTIONS));
            return Taken::Yes;
        };
        if !self.goes_as_before(id, hops) {
            return Taken::Later;
        }
        let is_first_hop = request.hops.is_none();
        if !is_first_hop && !self.may_pass_on(id, proxy, hops) {
            return Taken::Yes;
        }
        let is_large = request.args.frame.len() >= STREAM_BYTES_MIN;
        if is_large && is_first_hop {
            // What does not name its session must not be behind what does.
            if self.sessions[id].outstanding() > 0 {
                self.sessions[id].phase = Phase::Waiting(WaitFor::Replies);
                return Taken::Later;
            }
            if self.connections().may_upload() {
                return self.forward_apart(id, proxy, command, (hops, request.args));
            }
        }
        let Some(backend) = self.connections().backend_of_node(id, proxy, Some(hops)) else {
            return Taken::Yes;
        };
        let names_session = is_first_hop && !is_large;
        if names_session && !self.takes_more(backend) {
            self.sending().wait_for_room(id, backend);
            return Taken::Later;
        }
        if !self.sending().owe(backend, id, command, None) {
            return Taken::Later;
        }
        self.backends[backend].passes_on |= !is_first_hop;
        self.send_forwarded(id, backend, (hops, names_session), words(request.args));
        Taken::Yes
    }

    /// What is forwarded with other hops takes another connection, and waits for what this session is owed over the one
    /// before: whether it need not.
    pub(in crate::engine) fn goes_as_before(&mut self, id: SessionId, hops: u8) -> bool {
        let session = &mut self.sessions[id];
        let before = session.forwarded_hops;
        if session.outstanding() > 0 && before.is_some_and(|before| before != hops) {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return false;
        }
        session.forwarded_hops = Some(hops);
        true
    }

    /// Forwards a large request over a connection of the session's own: no other session's waits behind it there.
    fn forward_apart(
        &mut self,
        id: SessionId,
        proxy: NodeKey,
        command: CommandId,
        (hops, args): (u8, Args<'_>),
    ) -> Taken {
        let Some(backend) = self.connections().dedicated_backend(id, proxy) else {
            self.connections().reply_unreachable(id, proxy);
            return Taken::Yes;
        };
        let owed = self.sending().owe(backend, id, command, None);
        assert!(owed, "a connection of the session's own has room");
        self.send_forwarded(id, backend, (hops, false), words(args));
        self.clients().take_barrier(id);
        Taken::Yes
    }

    /// `UMFORWARD hops command…`: the command of a client of another proxy, served here or forwarded on.
    pub(in crate::engine) fn take_forwarded(&mut self, id: SessionId, args: Args<'_>) -> Taken {
        if args.is(1, "sessions") && args.len() == 3 {
            self.become_link(id, args.get(2));
            return Taken::Yes;
        }
        let label = (args.len() > 2).then(|| read_label(args.get(1))).flatten();
        let Some((hops, stranger)) = label else {
            self.clients().reply_now(id, |out| errors::write(out, errors::NOT_INTEGER));
            return Taken::Yes;
        };
        // A client could ask for any number, and each has a connection of its own.
        let hops = hops.min(self.shared.settings.max_redirections);
        if self.refuses(id, stranger) {
            return Taken::Yes;
        }
        let words: Vec<&[u8]> = args.skip(2).iter().collect();
        let mut frame = self.pool.buffer();
        encode::request(&mut frame, &words);
        let mut parser = resp::RequestParser::new();
        // Its arguments were within the limits when they came, whatever those are by now.
        let limits = RequestLimits { bulk_bytes_max: u32::MAX, ..RequestLimits::default() };
        let parsed = parser.parse(&frame, &limits);
        assert!(parsed.is_ok(), "a request that we wrote can be read");
        let inner = Args::new(&frame, parser.spans());
        if !self.is_forwardable(inner) {
            self.pool.recycle(frame);
            self.clients().reply_now(id, |out| errors::write(out, errors::SYNTAX));
            return Taken::Yes;
        }
        let taken = self.dispatch(id, Request { args: inner, origin: None, hops: Some(hops) });
        self.pool.recycle(frame);
        match taken {
            Taken::Yes => Taken::Yes,
            Taken::Later => self.refuse_instead_of_holding(id, stranger),
        }
    }

    /// Whether one proxy may send this to another. What is wrong with its number of arguments is said as always.
    fn is_forwardable(&self, args: Args<'_>) -> bool {
        let table = &self.shared.table;
        match table.resolve(args) {
            Ok(command) => matches!(command.class, Class::Forward | Class::FanOut(_)),
            Err(_) => table.lookup(args.get(0)).is_some_and(|command| command.class == Class::Forward),
        }
    }
}
