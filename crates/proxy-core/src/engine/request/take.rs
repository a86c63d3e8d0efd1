//! From request bytes to requests: taken in place, and the common ones forwarded as they came.
//!
//! It stands on the whole engine, as dispatch does: any request may come to need any part of it.

use resp::{PendingBulk, ProtocolError, RequestLimits, RequestParser, RequestStep};

use crate::command::Args;
use crate::engine::Engine;
use crate::engine::contexts::Clients;
use crate::engine::request::dispatch::{Request, Taken};
use crate::engine::state::buffers::{Chunk, LARGE_BYTES_MIN};
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::state::session::{Phase, Unusual, WaitFor};
use crate::engine::state::stream::STREAM_BYTES_MIN;
use crate::errors;
use crate::local::needs_auth;

/// A half-understood request longer than this keeps its parser; a shorter one is read again from its start.
const KEEP_PARSER_BYTES: usize = 4096;

/// Consecutive requests for one backend, copied as one.
struct Run {
    backend: Option<BackendId>,
    start: usize,
    /// Several requests are copied, however long they are together: a chunk is kept for a large value only.
    is_single: bool,
}

impl Run {
    const EMPTY: Run = Run { backend: None, start: 0, is_single: true };
}

impl Engine {
    /// Bytes came from a client: the first `len` of `chunk`.
    pub fn session_received(&mut self, id: SessionId, chunk: &Chunk, len: usize) {
        let Some(session) = self.sessions.get_mut(id).filter(|session| !session.is_ending()) else { return };
        session.profile.last_used_ms = self.now.unix_us / 1000;
        session.last_active_ms = (self.now.us / 1000) as u32;
        let now = self.now.us as u32;
        self.pace.read(now.wrapping_sub(std::mem::replace(&mut session.last_read, now)));
        self.stats.bytes_in.add(len as u64);
        let mut start = 0;
        let (is_unusual, is_left) = (session.unusual.is_some(), session.unread_backend.is_some());
        if is_left {
            self.sending().read_what_was_left(id);
        }
        if is_unusual {
            start = self.stream_received(id, chunk, len);
        }
        let session = &self.sessions[id];
        if session.phase == Phase::Taking && session.input.is_empty() {
            let used = start + self.take_requests(id, &chunk.bytes()[start..len], Some((chunk, start)));
            self.clients().keep(id, &chunk.bytes()[used..len]);
        } else {
            self.clients().keep(id, &chunk.bytes()[start..len]);
            if self.sessions.get(id).is_some_and(|session| session.phase == Phase::Taking) {
                self.take_input(id);
            }
        }
    }

    /// Takes the requests that wait in a session's input.
    pub(in crate::engine) fn take_input(&mut self, id: SessionId) {
        let mut input = std::mem::take(&mut self.sessions[id].input);
        let used = if input.len() < LARGE_BYTES_MIN {
            self.take_requests(id, &input, None)
        } else {
            let chunk = Chunk::from_vec(input);
            let used = self.take_requests(id, chunk.bytes(), Some((&chunk, 0)));
            input = match used {
                0 => chunk.into_vec(),
                used => chunk.bytes()[used..].to_vec(),
            };
            return self.clients().put_back(id, input);
        };
        input.drain(..used);
        self.clients().put_back(id, input);
    }

    /// Takes requests from `bytes` until they end or the session has to wait; returns the bytes used.
    /// `origin` is the chunk that holds `bytes`, and where in it they begin.
    fn take_requests(&mut self, id: SessionId, bytes: &[u8], origin: Option<(&Chunk, usize)>) -> usize {
        self.hear_of_abandoned();
        let mut parser = self.take_parser(id);
        let mut limits = self.request_limits(id);
        let mut run = Run::EMPTY;
        let mut position = 0;
        let first = self.sessions[id].next;
        while position < bytes.len() {
            let rest = &bytes[position..];
            match parser.parse(rest, &limits) {
                Ok(RequestStep::Request { len }) => {
                    let args = Args { frame: &rest[..len], spans: parser.spans() };
                    let backend = self.route_fast(id, args);
                    if backend.is_none() {
                        self.end_run(&run, bytes, position, origin);
                        run = Run::EMPTY;
                        let whole = origin.map(|(chunk, at)| (chunk, at + position));
                        if self.dispatch(id, Request { args, origin: whole, hops: None }) == Taken::Later {
                            parser.reset();
                            break;
                        }
                        limits = self.request_limits(id); // AUTH and RESET change them for what follows
                    } else if backend == run.backend {
                        run.is_single = false;
                    } else {
                        self.end_run(&run, bytes, position, origin);
                        run = Run { backend, start: position, is_single: true };
                    }
                    position += len;
                }
                Ok(RequestStep::Inline { len }) => {
                    self.end_run(&run, bytes, position, origin);
                    run = Run::EMPTY;
                    let args = Args { frame: parser.inline_frame(), spans: parser.spans() };
                    if self.dispatch(id, Request { args, origin: None, hops: None }) == Taken::Later {
                        parser.reset();
                        break;
                    }
                    limits = self.request_limits(id);
                    position += len;
                }
                Ok(RequestStep::Skip { len }) => {
                    self.end_run(&run, bytes, position, origin);
                    run = Run::EMPTY;
                    position += len;
                }
                Ok(RequestStep::Incomplete { bulk }) => {
                    self.end_run(&run, bytes, position, origin);
                    run = Run::EMPTY;
                    let whole = origin.map(|(chunk, at)| (chunk, at + position));
                    position += self.take_beginning(id, &mut parser, (rest, whole), bulk);
                    break;
                }
                Err(error) => {
                    self.end_run(&run, bytes, position, origin);
                    run = Run::EMPTY;
                    parser.reset();
                    self.refuse_bytes(id, &error);
                    position = bytes.len();
                }
            }
            if self.must_wait(id) {
                break;
            }
        }
        self.end_run(&run, bytes, position, origin);
        self.parser = parser;
        self.count_taken(id, first);
        self.clients().usual_again(id);
        position
    }

    /// Counts the requests that were taken since the session's next one was `first`.
    #[inline]
    fn count_taken(&mut self, id: SessionId, first: u32) {
        let Some(session) = self.sessions.get(id) else { return };
        let taken = session.next.wrapping_sub(first);
        self.stats.requests.add(u64::from(taken));
        self.pace.requests(taken);
    }

    /// Begins to stream a request that is not whole and has a large bulk, or keeps the parser for when more comes;
    /// returns the bytes used.
    fn take_beginning(
        &mut self,
        id: SessionId,
        parser: &mut RequestParser,
        (bytes, origin): (&[u8], Option<(&Chunk, usize)>),
        bulk: Option<PendingBulk>,
    ) -> usize {
        // The last byte of the bulk's header may be still to come.
        // Of a client that has sent its last byte the rest never comes.
        let is_cut = self.sessions[id].input_ended;
        let begun = |bulk: &PendingBulk| !is_cut && bulk.len >= STREAM_BYTES_MIN && bulk.start <= bytes.len();
        if let Some(bulk) = bulk.filter(begun)
            && let Some(used) = self.begin_stream(id, parser, (bytes, origin), bulk)
        {
            parser.reset();
            return used;
        }
        self.keep_parser(id, parser, bytes.len());
        0
    }

    /// What came is not a request: the client is told so, and that is the end.
    fn refuse_bytes(&mut self, id: SessionId, error: &ProtocolError) {
        self.stats.protocol_errors.increment();
        self.clients().reply_now(id, |out| error.reply(out));
        self.clients().close_after_replies(id);
    }

    /// After a request: whether the session has to stop here.
    #[inline]
    fn must_wait(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return true };
        if session.phase == Phase::Taking && session.outstanding() >= self.policy.outstanding_max_of(session)
        {
            session.phase = Phase::Waiting(WaitFor::Room);
        }
        session.phase != Phase::Taking
    }

    fn take_parser(&mut self, id: SessionId) -> RequestParser {
        if let Some(unusual) = self.sessions[id].unusual.as_mut()
            && let Some(parser) = unusual.parser.take()
        {
            return parser;
        }
        std::mem::take(&mut self.parser)
    }

    fn keep_parser(&mut self, id: SessionId, parser: &mut RequestParser, bytes: usize) {
        if bytes > self.memory.request_bytes_max() {
            self.clients().reply_now(id, |out| errors::write(out, errors::REQUEST_TOO_LARGE));
            self.clients().close_after_replies(id);
            parser.reset();
        } else if bytes > KEEP_PARSER_BYTES {
            let unusual = self.sessions[id].unusual.get_or_insert_default();
            unusual.parser = Some(std::mem::take(parser));
        } else {
            parser.reset();
        }
    }

    pub(in crate::engine) fn request_limits(&self, id: SessionId) -> RequestLimits {
        let settings = &self.shared.settings;
        if self.sessions.get(id).is_none_or(|session| needs_auth(&session.profile, settings)) {
            return RequestLimits::UNAUTHENTICATED;
        }
        RequestLimits { bulk_bytes_max: settings.bulk_bytes_max, ..RequestLimits::default() }
    }

    /// The common case: a known command with one key, whose slot is served by a node beside this proxy.
    /// Notes who is owed the reply and returns the backend, or nothing to have `dispatch` look closer.
    #[inline]
    fn route_fast(&mut self, id: SessionId, args: Args<'_>) -> Option<BackendId> {
        let session = &self.sessions[id];
        if !session.is_plain || self.pause.is_some() || !self.fenced_nodes.is_empty() || args.spans.len() < 2
        {
            return None;
        }
        let command = self.shared.table.lookup(args.get(0))?;
        if !command.is_simple() || !command.accepts(args.len()) {
            return None;
        }
        let view = self.shared.view.as_deref()?;
        let target = view.routes.route(args.get(1));
        let backend = self.nodes.shared_backend(target, session.profile.protocol, id)?;
        if self.backends[backend].is_unreachable() {
            return None; // the client is told at once
        }
        let command = command.id;
        self.sending().owe(backend, id, command, None).then_some(backend)
    }

    #[inline]
    fn end_run(&mut self, run: &Run, bytes: &[u8], end: usize, origin: Option<(&Chunk, usize)>) {
        if let Some(backend) = run.backend {
            let origin = origin.filter(|_| run.is_single).map(|(chunk, at)| (chunk, at + run.start));
            self.sending().send(backend, &bytes[run.start..end], origin);
        }
    }
}

impl Clients<'_> {
    /// Keeps bytes for later.
    fn keep(&mut self, id: SessionId, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(id).filter(|session| !session.is_ending()) else { return };
        if bytes.is_empty() {
            return;
        }
        if session.input.capacity() == 0 {
            session.input = self.pool.buffer();
        }
        session.input.extend_from_slice(bytes);
        self.recount(id);
    }

    /// What was not taken of a session's input waits on, unless nobody will ever look at it.
    fn put_back(&mut self, id: SessionId, input: Vec<u8>) {
        match self.sessions.get_mut(id) {
            Some(session) if session.phase != Phase::Over && !input.is_empty() => session.input = input,
            _ => self.pool.recycle(input),
        }
        self.recount(id);
    }

    /// Forgets the parser of a session that no longer needs its own.
    #[inline]
    pub(in crate::engine) fn usual_again(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.unusual.as_deref().is_some_and(Unusual::is_empty) {
            session.unusual = None;
        }
    }
}
