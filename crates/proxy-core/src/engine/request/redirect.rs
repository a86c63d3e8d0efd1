//! Forwarding to the proxy that owns a slot, for clients that know nothing of clusters (`active_redirection`).
//!
//! The request travels as `UMFORWARD hops command…`, where `hops` is how many more proxies may forward it: views may
//! differ for a moment, and a request must not go round in circles. A command without keys travels so to every proxy that
//! owns slots, and each answers for itself alone.

use crate::command::{Args, Class, CommandId};
use crate::engine::Engine;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::state::ids::NodeKey;
use crate::engine::state::ids::SessionId;
use crate::{decimal, errors};
use model::Slot;
use resp::{RequestLimits, encode};

impl Engine {
    /// The proxy to forward a request for `slot` to: where it is somebody else's, and forwarding was asked for, by
    /// the settings or by the proxy that the request came from.
    pub(in crate::engine) fn forwards_to(&self, slot: Slot, hops: Option<u8>) -> Option<NodeKey> {
        if hops.is_none() && !self.shared.settings.active_redirection {
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
            self.reply_now(id, |out| errors::write(out, errors::TOO_MANY_REDIRECTIONS));
            return Taken::Yes;
        };
        let Some(backend) = self.backend_of_node(id, proxy, Some(hops)) else { return Taken::Yes };
        if !self.owe(backend, id, command, None) {
            return Taken::Later;
        }
        let mut frame = self.pool.buffer();
        wrap(hops, request.args, &mut frame);
        self.send(backend, &frame, None);
        self.pool.recycle(frame);
        Taken::Yes
    }

    /// `UMFORWARD hops command…`: the command of a client of another proxy, served here or forwarded on.
    pub(in crate::engine) fn take_forwarded(&mut self, id: SessionId, args: Args<'_>) -> Taken {
        let hops = (args.len() > 2).then(|| decimal::parse(args.get(1))).flatten();
        let Some(hops) = hops.and_then(|hops| u8::try_from(hops).ok()) else {
            self.reply_now(id, |out| errors::write(out, errors::NOT_INTEGER));
            return Taken::Yes;
        };
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
            self.reply_now(id, |out| errors::write(out, errors::SYNTAX));
            return Taken::Yes;
        }
        let taken = self.dispatch(id, Request { args: inner, origin: None, hops: Some(hops) });
        self.pool.recycle(frame);
        taken
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

/// Writes `UMFORWARD hops` and the request's own arguments as one request.
pub(super) fn wrap(hops: u8, args: Args<'_>, out: &mut Vec<u8>) {
    encode::array(out, args.len() + 2);
    encode::bulk(out, b"UMFORWARD");
    encode::bulk(out, itoa::Buffer::new().format(hops).as_bytes());
    args.iter().for_each(|arg| encode::bulk(out, arg));
}
