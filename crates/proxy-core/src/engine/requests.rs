//! From request bytes to a route: taken in place, forwarded as they came.

use resp::{PendingBulk, RequestLimits, RequestParser, RequestStep};

use super::Engine;
use super::backend::{Backend, Owed, PLAIN};
use super::buffers::{Chunk, LARGE_BYTES_MIN};
use super::session::{SessionId, Unusual, Wait};
use super::stream::STREAM_BYTES_MIN;
use crate::command::{
    Args, Class, Command, CommandId, Flags, KeyPlan, Reason, is_blocking_form, key_positions,
};
use crate::errors;
use crate::routing::TargetIndex;
use model::Slot;

/// A half-understood request longer than this keeps its parser; a shorter one is read again from its start.
const KEEP_PARSER_BYTES: usize = 4096;
/// No backend.
const NONE: u32 = u32::MAX;

/// Whether a request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Yes,
    /// The session waits; the same request is looked at again afterwards.
    Later,
}

/// One request as it is handed from decision to decision.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) args: Args<'a>,
    /// The chunk that holds the request's bytes, and where in it they begin.
    pub(super) origin: Option<(&'a Chunk, usize)>,
    /// How many more proxies may forward it, where another proxy has forwarded it to this one.
    pub(super) hops: Option<u8>,
}

/// Consecutive requests for one backend, copied as one.
struct Run {
    backend: u32,
    start: usize,
    /// Several requests are copied, however long they are together: a chunk is kept for a large value only.
    is_single: bool,
}

impl Run {
    const EMPTY: Run = Run { backend: NONE, start: 0, is_single: true };
}

impl Engine {
    /// Bytes came from a client: the first `len` of `chunk`.
    pub fn session_received(&mut self, id: SessionId, chunk: &Chunk, len: usize) {
        let session = &mut self.sessions[id.0 as usize];
        if session.generation == 0 || session.closing {
            return;
        }
        session.profile.last_used_ms = self.now.unix_us / 1000;
        let now = self.now.us as u32;
        self.pace.read(now.wrapping_sub(std::mem::replace(&mut session.last_read, now)));
        self.stats.bytes_in.add(len as u64);
        let mut start = 0;
        if session.unusual.is_some() {
            start = self.stream_received(id, chunk, len);
        }
        let session = &mut self.sessions[id.0 as usize];
        if session.wait == Wait::None && session.input.is_empty() {
            let used = start + self.take_requests(id, &chunk.bytes()[start..len], Some((chunk, start)));
            self.keep(id, &chunk.bytes()[used..len]);
        } else {
            self.keep(id, &chunk.bytes()[start..len]);
            if self.sessions[id.0 as usize].wait == Wait::None {
                self.take_input(id);
            }
        }
    }

    /// Keeps bytes for later.
    fn keep(&mut self, id: SessionId, bytes: &[u8]) {
        let session = &mut self.sessions[id.0 as usize];
        if bytes.is_empty() || session.generation == 0 || session.closing {
            return;
        }
        if session.input.capacity() == 0 {
            session.input = self.pool.buffer();
        }
        session.input.extend_from_slice(bytes);
    }

    /// Takes the requests that wait in a session's input.
    pub(super) fn take_input(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        let mut input = std::mem::take(&mut session.input);
        let used = if input.len() < LARGE_BYTES_MIN {
            self.take_requests(id, &input, None)
        } else {
            let chunk = Chunk::from_vec(input);
            let used = self.take_requests(id, chunk.bytes(), Some((&chunk, 0)));
            input = match used {
                0 => chunk.into_vec(),
                used => chunk.bytes()[used..].to_vec(),
            };
            let session = &mut self.sessions[id.0 as usize];
            if session.wait != Wait::Over {
                session.input = input;
            }
            return;
        };
        input.drain(..used);
        let session = &mut self.sessions[id.0 as usize];
        match input.is_empty() || session.generation == 0 || session.wait == Wait::Over {
            true => self.pool.recycle(input),
            false => session.input = input,
        }
    }

    /// Takes requests from `bytes` until they end or the session has to wait; returns the bytes used.
    /// `origin` is the chunk that holds `bytes`, and where in it they begin.
    fn take_requests(&mut self, id: SessionId, bytes: &[u8], origin: Option<(&Chunk, usize)>) -> usize {
        let mut parser = self.take_parser(id);
        let limits = self.request_limits(id);
        let mut run = Run::EMPTY;
        let mut position = 0;
        let first = self.sessions[id.0 as usize].next;
        while position < bytes.len() {
            let rest = &bytes[position..];
            match parser.parse(rest, &limits) {
                Ok(RequestStep::Request { len }) => {
                    let args = Args { frame: &rest[..len], spans: parser.spans() };
                    let backend = self.route_fast(id, args);
                    if backend != NONE {
                        if backend != run.backend {
                            self.end_run(&run, bytes, position, origin);
                            run = Run { backend, start: position, is_single: true };
                        } else {
                            run.is_single = false;
                        }
                    } else {
                        self.end_run(&run, bytes, position, origin);
                        run = Run::EMPTY;
                        let whole = origin.map(|(chunk, at)| (chunk, at + position));
                        if self.dispatch(id, Request { args, origin: whole, hops: None }) == Taken::Later {
                            parser.reset();
                            break;
                        }
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
                    // The last byte of the bulk's header may be still to come.
                    let begun = |bulk: &PendingBulk| bulk.len >= STREAM_BYTES_MIN && bulk.start <= rest.len();
                    if let Some(bulk) = bulk.filter(begun) {
                        let whole = origin.map(|(chunk, at)| (chunk, at + position));
                        if let Some(used) = self.begin_stream(id, &parser, (rest, whole), bulk) {
                            parser.reset();
                            position += used;
                            break;
                        }
                    }
                    self.keep_parser(id, &mut parser, rest.len());
                    break;
                }
                Err(error) => {
                    self.end_run(&run, bytes, position, origin);
                    run = Run::EMPTY;
                    parser.reset();
                    self.stats.protocol_errors.increment();
                    self.reply_now(id, |out| error.reply(out));
                    self.close_after_replies(id);
                    position = bytes.len();
                }
            }
            if self.must_wait(id) {
                break;
            }
        }
        self.end_run(&run, bytes, position, origin);
        self.parser = parser;
        let taken = self.sessions[id.0 as usize].next.wrapping_sub(first);
        self.stats.requests.add(u64::from(taken));
        self.pace.requests(taken);
        if self.sessions[id.0 as usize].unusual.is_some() {
            self.usual_again(id);
        }
        position
    }

    /// After a request: whether the session has to stop here.
    #[inline]
    fn must_wait(&mut self, id: SessionId) -> bool {
        let session = &mut self.sessions[id.0 as usize];
        if session.wait != Wait::None || session.generation == 0 {
            return true;
        }
        let owes = session.outstanding() >= self.policy.outstanding_max;
        if owes || session.out.len() + session.parked_bytes() >= self.policy.session_output_bytes {
            session.wait = Wait::Room;
            return true;
        }
        false
    }

    fn take_parser(&mut self, id: SessionId) -> RequestParser {
        if let Some(unusual) = self.sessions[id.0 as usize].unusual.as_mut()
            && let Some(parser) = unusual.parser.take()
        {
            return parser;
        }
        std::mem::take(&mut self.parser)
    }

    fn keep_parser(&mut self, id: SessionId, parser: &mut RequestParser, bytes: usize) {
        if bytes > self.policy.request_bytes_max {
            self.reply_now(id, |out| errors::write(out, errors::REQUEST_TOO_LARGE));
            self.close_after_replies(id);
            parser.reset();
        } else if bytes > KEEP_PARSER_BYTES {
            let unusual = self.sessions[id.0 as usize].unusual.get_or_insert_default();
            unusual.parser = Some(std::mem::take(parser));
        } else {
            parser.reset();
        }
    }

    pub(super) fn request_limits(&self, id: SessionId) -> RequestLimits {
        match self.sessions[id.0 as usize].profile.authenticated {
            true => RequestLimits {
                bulk_bytes_max: self.shared.settings.bulk_bytes_max,
                ..RequestLimits::default()
            },
            false => RequestLimits::UNAUTHENTICATED,
        }
    }

    /// The common case: a known command with one key, whose slot is served by a node beside this proxy.
    /// Notes who is owed the reply and returns the backend, or [`NONE`] to have `dispatch` look closer.
    #[inline]
    fn route_fast(&mut self, id: SessionId, args: Args<'_>) -> u32 {
        let session = &mut self.sessions[id.0 as usize];
        if !session.is_plain || self.pause.is_some() || !self.fenced_nodes.is_empty() || args.spans.len() < 2
        {
            return NONE;
        }
        let Some(command) = self.shared.table.lookup(args.get(0)) else { return NONE };
        if command.is_simple() && command.accepts(args.len()) {
            let Some(view) = self.shared.view.as_deref() else { return NONE };
            let target = view.routes.owner(Slot::of_key(args.get(1)));
            let backend = self.nodes.shared_backend(target, session.profile.protocol, id);
            if backend == NONE {
                return NONE;
            }
            let command = command.id;
            return match self.owe(backend, id, command, PLAIN) {
                true => backend,
                false => NONE,
            };
        }
        NONE
    }

    /// Notes that `backend` owes `id` one more reply; false, and the session waits, if it cannot take more.
    #[inline]
    pub(super) fn owe(&mut self, backend: u32, id: SessionId, command: CommandId, part: u16) -> bool {
        let session = &mut self.sessions[id.0 as usize];
        let backend = &mut self.backends[backend as usize];
        if backend.out.len() >= self.policy.backend_output_bytes {
            session.wait = Wait::Room;
            backend.waiters.push(id);
            return false;
        }
        let sequence = if part == PLAIN { session.take_sequence() } else { session.next };
        let generation = session.generation;
        let started = self.now.us as u32;
        backend.owed.push_back(Owed { session: id.0, generation, sequence, started, command, part });
        backend.unsent += 1;
        backend.batches.add();
        session.last_command = command;
        true
    }

    #[inline]
    fn end_run(&mut self, run: &Run, bytes: &[u8], end: usize, origin: Option<(&Chunk, usize)>) {
        if run.backend != NONE {
            let origin = origin.filter(|_| run.is_single).map(|(chunk, at)| (chunk, at + run.start));
            self.send(run.backend, &bytes[run.start..end], origin);
        }
    }

    /// Queues bytes for a backend: by reference where they are many and lie in a chunk.
    #[inline]
    pub(super) fn send(&mut self, backend: u32, bytes: &[u8], origin: Option<(&Chunk, usize)>) {
        let Backend { out, batches, .. } = &mut self.backends[backend as usize];
        match origin {
            Some((chunk, at)) if bytes.len() >= LARGE_BYTES_MIN => {
                out.refer(chunk, at, at + bytes.len(), &mut self.pool);
                batches.written(Vec::new(), &mut self.pool);
            }
            _ => {
                out.gather(&mut self.pool);
                if out.copy(bytes, &mut self.pool) {
                    batches.cut(&mut self.pool);
                }
            }
        }
        self.mark_backend(backend);
    }

    /// Everything that the fast path does not take.
    pub(super) fn dispatch(&mut self, id: SessionId, request: Request<'_>) -> Taken {
        let args = request.args;
        if self.sessions[id.0 as usize].wait != Wait::None {
            return Taken::Later; // the fast path found no room
        }
        let shared = self.shared.clone();
        let command = match shared.table.resolve(args) {
            Ok(command) => command,
            Err(unknown) => {
                let authenticated = self.sessions[id.0 as usize].profile.authenticated;
                self.reply_now(id, |out| match authenticated {
                    true => unknown.write(&shared.table, args, out),
                    false => errors::write(out, errors::NOAUTH),
                });
                return Taken::Yes;
            }
        };
        if !self.sessions[id.0 as usize].profile.authenticated && !command.flags.contains(Flags::NO_AUTH) {
            self.reject(id, command, |out| errors::write(out, errors::NOAUTH));
            return Taken::Yes;
        }
        if !matches!(command.class, Class::Local(_)) && self.hold_back(id, command.flags) {
            return Taken::Later;
        }
        if self.hold_for_owner(id, command, args) {
            return Taken::Later;
        }
        let is_everywhere = matches!(command.class, Class::FanOut(_)) && command.flags.contains(Flags::WRITE);
        if self.is_any_fenced() && is_everywhere {
            self.reject(id, command, |out| errors::write(out, errors::FENCED));
            return Taken::Yes;
        }
        match &command.class {
            Class::Local(local) => self.answer(id, command, *local, args),
            Class::Forward => match command.keys {
                KeyPlan::None => self.forward_anywhere(id, command.id, request),
                _ => self.forward_by_keys(id, command, request),
            },
            Class::ForwardAny => self.forward_anywhere(id, command.id, request),
            Class::FanOut(merge) => self.fan_out(id, command, *merge, args),
            Class::Refuse(reason) => {
                self.reject(id, command, |out| errors::write(out, &reason.text(&command.name)));
                Taken::Yes
            }
            Class::Container => unreachable!("resolving a command never ends at a container"),
        }
    }

    /// Answers a known command with an error instead of executing it.
    fn reject(&mut self, id: SessionId, command: &Command, write: impl FnOnce(&mut Vec<u8>)) {
        self.stats.command(command.id).rejected.increment();
        self.reply_now(id, write);
    }

    pub(super) fn is_paused(&self, flags: Flags) -> bool {
        self.pause.is_some_and(|pause| {
            pause.until_unix_us > self.now.unix_us && (!pause.writes_only || flags.contains(Flags::WRITE))
        })
    }

    fn forward_by_keys(&mut self, id: SessionId, command: &Command, request: Request<'_>) -> Taken {
        let args = request.args;
        if command.flags.contains(Flags::BLOCKING) && is_blocking_form(command, args) {
            self.reject(id, command, |out| errors::write(out, &Reason::Blocking.text(&command.name)));
            return Taken::Yes;
        }
        let mut positions = std::mem::take(&mut self.key_positions);
        positions.clear();
        let found = key_positions(command, args, &mut positions);
        let slot = match &found {
            Ok(()) => common_slot(args, &positions),
            Err(_) => Err(CrossSlot),
        };
        let has_keys = !positions.is_empty();
        self.key_positions = positions;
        match (found, slot) {
            // Without keys that can be told, the command fails: a node says how, to the byte.
            (Err(error), _) if error.is_for_the_node() => {
                return self.forward_anywhere(id, command.id, request);
            }
            (Err(error), _) => self.reject(id, command, |out| errors::write(out, &error.text(command))),
            (Ok(()), _) if !has_keys => return self.forward_anywhere(id, command.id, request),
            (Ok(()), Err(CrossSlot)) => self.reject(id, command, |out| errors::write(out, errors::CROSSSLOT)),
            (Ok(()), Ok(slot)) => return self.forward_to_slot(id, command, slot, request),
        }
        Taken::Yes
    }

    fn forward_to_slot(
        &mut self,
        id: SessionId,
        command: &Command,
        slot: Slot,
        request: Request<'_>,
    ) -> Taken {
        let reads = command.flags.contains(Flags::READONLY);
        if let Some(proxy) = self.forwards_to(slot, request.hops) {
            return self.forward_to_proxy(id, proxy, command.id, request);
        }
        match self.place(id, slot, reads) {
            Ok(target) => self.forward(id, target, command.id, request),
            Err(()) => Taken::Yes,
        }
    }

    /// The local target that serves `slot` for this session; else the client has been told where it is.
    pub(super) fn place(&mut self, id: SessionId, slot: Slot, reads: bool) -> Result<TargetIndex, ()> {
        let shared = self.shared.clone();
        let Some(view) = shared.view.as_deref() else {
            self.reply_without_view(id, slot);
            return Err(());
        };
        let readonly = self.sessions[id.0 as usize].profile.readonly;
        let target = match reads && readonly {
            true => view.routes.reader(slot),
            false => view.routes.owner(slot),
        };
        match &view.routes.targets()[target as usize] {
            // Another may be the primary by now. Who has asked for READONLY takes what may be old.
            crate::routing::Target::Local(node) if self.is_fenced(node) && !(reads && readonly) => {
                self.reply_now(id, |out| errors::write(out, errors::FENCED));
            }
            crate::routing::Target::Local(_) => return Ok(target),
            crate::routing::Target::Peer(address) => {
                self.reply_now(id, |out| errors::moved(out, slot, address));
            }
            crate::routing::Target::Nowhere | crate::routing::Target::Held => {
                self.reply_now(id, |out| errors::write(out, errors::SLOT_NOT_SERVED));
            }
        }
        Err(())
    }

    fn reply_without_view(&mut self, id: SessionId, slot: Slot) {
        let shared = self.shared.clone();
        self.reply_now(id, |out| match &shared.settings.default_redirection_address {
            Some(address) => errors::moved(out, slot, address),
            None => errors::write(out, errors::CLUSTER_NOT_FOUND),
        });
    }

    /// Forwards a request as it came to the node of `target`.
    pub(super) fn forward(
        &mut self,
        id: SessionId,
        target: TargetIndex,
        command: CommandId,
        request: Request<'_>,
    ) -> Taken {
        let backend = match self.backend_for(id, target) {
            Ok(backend) => backend,
            Err(down) => {
                self.reply_now(id, |out| errors::backend_unreachable(out, &down.0));
                return Taken::Yes;
            }
        };
        if !self.owe(backend, id, command, PLAIN) {
            return Taken::Later;
        }
        self.send(backend, request.args.frame, request.origin);
        Taken::Yes
    }

    /// A command that any of this proxy's own nodes can answer.
    fn forward_anywhere(&mut self, id: SessionId, command: CommandId, request: Request<'_>) -> Taken {
        match self.nodes.primaries().first().copied() {
            Some(target) => self.forward(id, target, command, request),
            None => {
                self.reply_now(id, |out| errors::write(out, errors::CLUSTER_NOT_FOUND));
                Taken::Yes
            }
        }
    }

    /// Forgets the parser of a session that no longer needs its own.
    pub(super) fn usual_again(&mut self, id: SessionId) {
        let session = &mut self.sessions[id.0 as usize];
        if session.unusual.as_deref().is_some_and(Unusual::is_empty) {
            session.unusual = None;
        }
    }
}

struct CrossSlot;

fn common_slot(args: Args<'_>, positions: &[u32]) -> Result<Slot, CrossSlot> {
    let mut slots = positions.iter().map(|&position| Slot::of_key(args.get(position as usize)));
    let Some(first) = slots.next() else { return Err(CrossSlot) };
    match slots.all(|slot| slot == first) {
        true => Ok(first),
        false => Err(CrossSlot),
    }
}
