//! Sessions whose request is so large that it passes through to a backend of its own.
//!
//! Everything that the session asked for before has been answered when the streaming begins, and nothing after it
//! is taken before its reply: so the order of execution is the order of the requests.
//!
//! A node executes a request when its last byte comes. So where a pause holds the command by then, the last byte is kept
//! back until the pause is over.

use resp::{PendingBulk, RequestParser};

use crate::command::{Class, Command, CommandTable, Flags, KeyPlan};
use crate::engine::contexts::Clients;
use crate::engine::contexts::Connections;
use crate::engine::state::buffers::Chunk;
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::misplaced::Misplaced;
use crate::engine::state::session::{Phase, WaitFor};
use crate::engine::state::stream::Stream;
use crate::engine::{Action, Engine};
use crate::local::needs_auth;
use crate::route::TargetIndex;
use model::Slot;

impl Engine {
    /// A large bulk of a request has begun. Begins to stream the request if its route is known already, or has the
    /// session wait until it can. Returns how many of `rest`'s bytes were taken; `None` if the request has to be
    /// gathered like any other.
    pub(in crate::engine) fn begin_stream(
        &mut self,
        id: SessionId,
        parser: &RequestParser,
        rest: (&[u8], Option<(&Chunk, usize)>),
        bulk: PendingBulk,
    ) -> Option<usize> {
        let (bytes, origin) = rest;
        let shared = self.shared.clone();
        let command = streamable(&shared.table, parser, bytes)?;
        let session = &mut self.sessions[id];
        if needs_auth(&session.profile, &shared.settings) {
            return None;
        }
        if session.outstanding() > 0 {
            session.phase = Phase::Waiting(WaitFor::Replies);
            return Some(0);
        }
        if self.hold_back(id, command) {
            return Some(0);
        }
        let slot = Slot::of_key(parser.spans()[1].of(bytes));
        if self.hold_slot_for_owner(id, slot) {
            return Some(0);
        }
        if self.forwards_to(slot).is_some() {
            return None; // what is wrapped for another proxy has to be whole
        }
        if !self.connections().may_upload() {
            return None;
        }
        let placed = self.placement(id, slot, command.flags.contains(Flags::READONLY));
        let (backend, refusal) = match placed.and_then(|target| self.connections().upload_backend(id, target))
        {
            Ok(backend) => (Some(backend), None),
            // What is down is told at once: the client need not send the rest.
            Err(down @ (Misplaced::Unreachable(_) | Misplaced::Fenced)) => {
                self.reply_misplaced(id, slot, &down);
                (None, None)
            }
            Err(misplaced) => (None, Some((slot, misplaced))),
        };
        let mut stream = Stream::new(command.id, backend, bulk.len, parser.declared() - bulk.index - 1);
        stream.refusal = refusal;
        let used = bulk.start
            + stream
                .consume(&bytes[bulk.start..], &Default::default())
                .expect("the parser has been over these bytes");
        if let Some(backend) = backend {
            let owed = self.sending().owe(backend, id, command.id, None);
            assert!(owed, "a connection of the session's own has room");
            self.sending().send(backend, &bytes[..used], origin);
        }
        self.sessions[id].unusual.get_or_insert_default().stream = Some(stream);
        Some(used)
    }

    /// More of a streaming session's bytes came; returns how many belonged to the request.
    pub(in crate::engine) fn stream_received(&mut self, id: SessionId, chunk: &Chunk, len: usize) -> usize {
        let limits = self.request_limits(id);
        let Some(stream) = self.sessions[id].stream() else { return 0 };
        if stream.is_kept_back {
            self.let_upload_end(id);
            return 0;
        }
        let bytes = &chunk.bytes()[..len];
        let backend = stream.backend;
        let used = match stream.consume(bytes, &limits) {
            Ok(used) => used,
            Err(error) => {
                self.connections().abandon_stream(id);
                self.clients().reply_now(id, |out| error.reply(out));
                self.clients().close_after_replies(id);
                return len;
            }
        };
        let finished = stream.is_finished();
        let command = stream.command;
        let is_kept_back = finished && backend.is_some() && self.is_paused(self.shared.table.by_id(command));
        if let Some(backend) = backend {
            let known = &mut self.backends[backend];
            if known.out.is_empty() {
                known.last_heard_us = self.now.us; // until now it was the client that was waited for
            }
            self.sending().send(backend, &bytes[..used - usize::from(is_kept_back)], Some((chunk, 0)));
        }
        if is_kept_back {
            if let Some(stream) = self.sessions[id].stream() {
                stream.is_kept_back = true;
            }
            self.clients().hold(id);
        } else if finished {
            self.end_stream(id);
        }
        used
    }

    /// Where the last byte of an upload was kept back: sends it, unless it is held still.
    pub(in crate::engine) fn let_upload_end(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        let is_taking = session.phase == Phase::Taking;
        let Some(stream) = session.stream().filter(|stream| stream.is_kept_back && is_taking) else { return };
        let (backend, command) = (stream.backend, stream.command);
        if self.is_paused(self.shared.table.by_id(command)) {
            return self.clients().hold(id);
        }
        if let Some(backend) = backend {
            self.backends[backend].last_heard_us = self.now.us; // until now it was waited for us
            self.sending().send(backend, b"\n", None);
        }
        self.end_stream(id);
    }

    fn end_stream(&mut self, id: SessionId) {
        let stream = self.sessions[id].unusual.as_mut().and_then(|unusual| unusual.stream.take());
        self.clients().usual_again(id);
        let Some(stream) = stream else { return };
        if let Some((slot, misplaced)) = &stream.refusal {
            return self.reply_misplaced(id, *slot, misplaced);
        }
        let Some(backend) = stream.backend else { return };
        if let Some(owed) = self.backends[backend].owed.back_mut() {
            owed.started = self.now.us as u32;
            self.sessions[id].phase = Phase::Waiting(WaitFor::Replies);
        } else {
            self.connections().give_back(backend); // it answered before it had everything
        }
    }

    /// Bytes of a session's stream that its backend has not taken yet.
    pub(in crate::engine) fn stream_backlog(&self, id: SessionId) -> usize {
        let session = &self.sessions[id];
        let stream = session.unusual.as_deref().and_then(|unusual| unusual.stream.as_ref());
        stream.and_then(|stream| stream.backend).map_or(0, |backend| self.backends[backend].out.len())
    }
}

impl Connections<'_> {
    fn upload_backend(&mut self, id: SessionId, target: TargetIndex) -> Result<BackendId, Misplaced> {
        let node = self.nodes.of_target(target).expect("a target that serves is a local node");
        let address = &self.nodes.nodes[node].address;
        let unreachable = Misplaced::Unreachable(Box::new(address.clone()));
        self.dedicated_backend(id, node).ok_or(unreachable)
    }

    /// The request that passes through goes no further: its connection is closed, and no reply is due.
    pub(in crate::engine) fn abandon_stream(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        let stream = session.unusual.as_mut().and_then(|unusual| unusual.stream.take());
        if let Some(backend) = stream.and_then(|stream| stream.backend) {
            session.head = session.next;
            self.close_backend(backend);
        }
        self.clients().usual_again(id);
    }

    /// The backend that took a stream is gone: the rest of the request is thrown away.
    pub(in crate::engine) fn stream_backend_lost(&mut self, owner: SessionId, backend: BackendId) {
        let Some(session) = self.sessions.get_mut(owner) else { return };
        if let Some(stream) = session.stream().filter(|stream| stream.backend == Some(backend)) {
            stream.backend = None;
            self.clients().stream_window_opened(owner);
        }
    }

    /// Whether one more session may have a connection to itself.
    pub(super) fn may_upload(&self) -> bool {
        let uploads = self.backends.iter().filter(|(_, backend)| backend.purpose.owner.is_some()).count();
        uploads < self.policy.uploads_max as usize
    }

    /// Whether a session is in the middle of sending a request through this connection of its own.
    pub(in crate::engine) fn is_uploading(&self, backend: BackendId) -> bool {
        let owner = self.backends[backend].purpose.owner;
        let session = owner.and_then(|owner| self.sessions.get(owner));
        let unusual = session.and_then(|session| session.unusual.as_deref());
        let stream = unusual.and_then(|unusual| unusual.stream.as_ref());
        stream.is_some_and(|stream| stream.backend == Some(backend))
    }
}

impl Clients<'_> {
    /// A streaming session may be read from again.
    pub(in crate::engine) fn stream_window_opened(&mut self, owner: SessionId) {
        let Some(session) = self.sessions.get_mut(owner) else { return };
        if session.phase == Phase::Taking && std::mem::take(&mut session.read_paused) {
            self.agenda.actions.push(Action::ReadSession(owner));
        }
    }
}

/// The command of a request whose key, its only one, stands before the bulk that has begun.
fn streamable<'t>(table: &'t CommandTable, parser: &RequestParser, bytes: &[u8]) -> Option<&'t Command> {
    let spans = parser.spans();
    let command = table.lookup(spans.first()?.of(bytes))?;
    let fits = matches!(command.class, Class::Forward)
        && matches!(command.keys, KeyPlan::First)
        && spans.len() > 1
        && command.accepts(parser.declared())
        && !command.flags.contains(Flags::BLOCKING);
    fits.then_some(command)
}
