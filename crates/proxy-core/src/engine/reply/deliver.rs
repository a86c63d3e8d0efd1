//! From a backend's reply bytes to the sessions that they are owed to, in each session's order.
//!
//! The loop over the replies stands on the whole engine: on a context each of its steps would reach what it needs by one
//! more step through memory.

use std::ops::Range;

use resp::{ReplyStep, reply_length};

use crate::engine::contexts::Clients;
use crate::engine::contexts::Connections;
use crate::engine::state::backend::{Owed, Own, Part, Phase};
use crate::engine::state::buffers::Chunk;
use crate::engine::state::ids::BackendId;
use crate::engine::state::ids::SessionId;
use crate::engine::{Action, Engine};
use crate::errors;
use crate::slowlog::SlowEntry;

/// A reply whose known length is at least this passes through as it comes.
const STREAM_REPLY_BYTES_MIN: usize = 32 * 1024;

/// Consecutive replies for one session, copied as one.
struct Run {
    session: Option<SessionId>,
    start: usize,
    /// Several replies are copied, however long they are together: a chunk is kept for a large value only.
    is_single: bool,
}

/// The node sent something that is not a reply, or a reply that nobody asked for.
struct Nonsense;

impl Engine {
    /// Bytes came from a node: the first `len` of `chunk`.
    pub fn backend_received(&mut self, id: BackendId, chunk: &Chunk, len: usize) {
        let Some(backend) = self.backends.get_mut(id) else { return };
        if matches!(backend.phase, Phase::Down { .. }) {
            return;
        }
        if let Some(sent_at_us) = backend.sent_at_us.take() {
            backend.stats.latency.record(self.now.us.saturating_sub(sent_at_us), 1);
        }
        backend.last_heard_us = self.now.us;
        let resumed = backend.streaming || !backend.partial.is_empty();
        backend.stats.bytes_in.add(len as u64);
        let due = backend.owed.len();
        let outcome =
            if resumed { self.continue_reply(id, chunk, len) } else { self.take_replies(id, chunk, 0, len) };
        if outcome.is_err() {
            return self.connections().fail_senseless(id);
        }
        let Some(backend) = self.backends.get(id) else { return };
        backend.stats.replies.add(due.saturating_sub(backend.owed.len()) as u64);
        if backend.owed.is_empty() {
            self.connections().backend_idle(id);
        }
        self.sending().recount_backend(id);
    }

    /// Takes whole replies from `chunk[start..len]`, then the beginning of one that is not whole.
    fn take_replies(
        &mut self,
        id: BackendId,
        chunk: &Chunk,
        start: usize,
        len: usize,
    ) -> Result<(), Nonsense> {
        let bytes = &chunk.bytes()[..len];
        let mut position = start;
        let mut run = Run { session: None, start, is_single: true };
        let outcome = loop {
            if position == len {
                break Ok(());
            }
            let reply = match reply_length(&bytes[position..]) {
                Ok(Some(reply)) => reply,
                Ok(None) => break Ok(()),
                Err(_) => break Err(Nonsense),
            };
            if bytes[position] == b'>' {
                self.end_reply_run(&mut run, chunk, position);
                position += reply;
                continue; // a push that no session subscribed to
            }
            let Ok(owed) = self.answered(id) else { break Err(Nonsense) };
            if let Some(kept) = self.kept_of(id, &owed)
                && self.is_held_elsewhere(id, &bytes[position..position + reply])
            {
                self.end_reply_run(&mut run, chunk, position);
                self.connections().ask_again(id, &owed, &kept.frame);
                position += reply;
                continue;
            }
            self.connections().note_reply(Some(id), &owed, &bytes[position..position + reply]);
            let next = position + reply;
            if self.is_next_in_order(&owed) {
                if owed.session != run.session {
                    self.end_reply_run(&mut run, chunk, position);
                    run = Run { session: owed.session, start: position, is_single: true };
                } else {
                    run.is_single = false;
                }
                if let Some(session) = owed.session {
                    let session = &mut self.sessions[session];
                    session.head = session.head.wrapping_add(1);
                }
            } else {
                self.end_reply_run(&mut run, chunk, position);
                self.deliver(id, &owed, &bytes[position..next])?;
            }
            position = next;
        };
        // What came before the nonsense was a reply all the same.
        self.end_reply_run(&mut run, chunk, position);
        outcome?;
        if position < len { self.begin_reply(id, chunk, position, len) } else { Ok(()) }
    }

    /// Who is owed the reply that came. One to a request that was not sent yet is no reply to it.
    #[inline]
    fn answered(&mut self, id: BackendId) -> Result<Owed, Nonsense> {
        let backend = &mut self.backends[id];
        match backend.in_flight() {
            0 => Err(Nonsense),
            _ => backend.owed.pop_front().ok_or(Nonsense),
        }
    }

    /// The common case: a live session's head, nothing waiting behind it.
    #[inline]
    fn is_next_in_order(&self, owed: &Owed) -> bool {
        let Some(session) = owed.session.and_then(|session| self.sessions.get(session)) else { return false };
        session.head == owed.sequence && owed.part.is_none() && session.parked.is_none()
    }

    #[inline]
    fn end_reply_run(&mut self, run: &mut Run, chunk: &Chunk, end: usize) {
        let Some(id) = run.session.take() else { return };
        let session = &mut self.sessions[id];
        if run.is_single {
            session.out.refer(chunk, run.start, end, &mut self.pool);
        } else {
            session.out.copy(&chunk.bytes()[run.start..end], &mut self.pool);
        }
        self.clients().mark_session(id);
        self.clients().delivered(id);
    }

    /// The reply to something of our own.
    #[cold]
    fn own_answered(&mut self, from: BackendId, reply: &[u8]) {
        let backend = &mut self.backends[from];
        backend.batches.answered(&mut self.pool);
        match backend.own.pop_front() {
            Some(Own::Process) => self.process_told(from, reply),
            Some(Own::Kill(abandoned)) => {
                let node = backend.purpose.node;
                self.connections().kill_answered(node, abandoned, reply);
            }
            None => {}
        }
    }

    /// A whole reply that is not simply the next one of its session.
    #[cold]
    fn deliver(&mut self, from: BackendId, owed: &Owed, reply: &[u8]) -> Result<(), Nonsense> {
        match owed.session {
            Some(session) => {
                if owed.part.is_some() {
                    self.note_process(from, session, owed);
                }
                self.clients().deliver_to(session, owed, reply);
            }
            // The node has forgotten the user of a script.
            None if self.backends[from].script.is_some() && self.backends[from].phase == Phase::Ready => {}
            None if self.backends[from].phase == Phase::Ready => {
                self.own_answered(from, reply);
                if self.backends.get(from).is_none() {
                    return Err(Nonsense); // it was a session's that is closed
                }
            }
            // Whatever follows a refusal is of no use.
            None if !self.connections().handshake_replied(from, reply) => return Err(Nonsense),
            None => {}
        }
        Ok(())
    }

    /// The first bytes of a reply: kept until it is whole, or, where it is long, passed on at once.
    fn begin_reply(
        &mut self,
        id: BackendId,
        chunk: &Chunk,
        start: usize,
        len: usize,
    ) -> Result<(), Nonsense> {
        let bytes = &chunk.bytes()[start..len];
        let backend = &mut self.backends[id];
        match backend.scanner.scan(bytes) {
            Ok(ReplyStep::More) => {}
            Ok(ReplyStep::End(_)) | Err(_) => return Err(Nonsense),
        }
        if bytes[0] != b'>' && self.streams(id, bytes.len()) {
            self.backends[id].streaming = true;
            self.pass_on(id, chunk, start..len, false);
        } else {
            self.backends[id].partial.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Whether the reply at the head, of which `bytes` are here, is to pass through as it comes.
    fn streams(&self, id: BackendId, bytes: usize) -> bool {
        let backend = &self.backends[id];
        let Some(owed) = backend.owed.front().filter(|_| backend.in_flight() > 0) else { return false };
        let Some(session) = owed.session else { return false };
        // What nobody wants any more is kept nowhere.
        let is_wanted = owed.part.is_some()
            && self.sessions.get(session).is_some_and(|session| !session.is_refused(owed.sequence));
        !is_wanted && bytes + backend.scanner.bulk_remaining() >= STREAM_REPLY_BYTES_MIN
    }

    fn continue_reply(&mut self, id: BackendId, chunk: &Chunk, len: usize) -> Result<(), Nonsense> {
        let bytes = &chunk.bytes()[..len];
        let backend = &mut self.backends[id];
        let step = backend.scanner.scan(bytes).map_err(|_| Nonsense)?;
        let (used, ended) = match step {
            ReplyStep::End(used) => (used, true),
            ReplyStep::More => (len, false),
        };
        if backend.streaming {
            self.pass_on(id, chunk, 0..used, ended);
        } else if ended {
            let mut whole = std::mem::take(&mut backend.partial);
            whole.extend_from_slice(&bytes[..used]);
            if whole[0] != b'>' {
                let owed = self.answered(id)?;
                match self.kept_of(id, &owed).filter(|_| self.is_held_elsewhere(id, &whole)) {
                    Some(kept) => self.connections().ask_again(id, &owed, &kept.frame),
                    None => {
                        self.connections().note_reply(Some(id), &owed, &whole);
                        self.deliver(id, &owed, &whole)?;
                    }
                }
            }
            whole.clear();
            if whole.capacity() <= STREAM_REPLY_BYTES_MIN {
                self.backends[id].partial = whole;
            }
        } else {
            let had = backend.partial.len();
            if backend.partial[0] != b'>' && self.streams(id, had + used) {
                let partial = std::mem::take(&mut self.backends[id].partial);
                self.backends[id].streaming = true;
                let whole = Chunk::from_vec(partial);
                self.pass_on(id, &whole, 0..had, false);
                self.pass_on(id, chunk, 0..used, false);
            } else {
                self.backends[id].partial.extend_from_slice(bytes);
            }
        }
        if ended { self.take_replies(id, chunk, used, len) } else { Ok(()) }
    }

    /// Gives a part of the reply at the head of `from` to its session.
    fn pass_on(&mut self, from: BackendId, chunk: &Chunk, bytes: Range<usize>, last: bool) {
        let Range { start, end } = bytes;
        let backend = &mut self.backends[from];
        let Some(owed) = backend.owed.front().copied() else { return };
        if last {
            backend.owed.pop_front();
            backend.streaming = false;
            self.kept_of(from, &owed);
            self.connections().note_reply(Some(from), &owed, &[]);
        }
        let Some(id) = owed.session else { return };
        if let Some(part) = owed.part {
            if last && self.sessions.get(id).is_some() {
                self.clients().deliver_part(id, owed.sequence, part, &[]);
            }
            return;
        }
        let Some(session) = self.sessions.get_mut(id) else { return };
        if session.is_refused(owed.sequence) {
            if last {
                self.clients().deliver_to(id, &owed, &errors::line(errors::REPLY_TOO_LARGE));
            }
            return;
        }
        if session.head == owed.sequence {
            session.out.refer(chunk, start, end, &mut self.pool);
            if last {
                session.advance(&mut self.pool);
            }
        } else {
            session.park(owed.sequence, last, |queue| queue.refer(chunk, start, end, &mut self.pool));
        }
        self.clients().mark_session(id);
        if last {
            self.clients().delivered(id);
        }
    }
}

impl Connections<'_> {
    /// Counts a reply, and has slow ones logged. `reply` is as much of it as is here.
    #[inline]
    fn note_reply(&mut self, from: Option<BackendId>, owed: &Owed, reply: &[u8]) {
        if owed.session.is_none() {
            return;
        }
        let took = (self.now.us as u32).wrapping_sub(owed.started);
        let command = self.stats.command(owed.command);
        command.calls.increment();
        command.record(u64::from(took));
        if reply.first() == Some(&b'-') {
            command.failed.increment();
            self.stats.count_error(reply);
        }
        if self.slow.is_slow(took) {
            self.cold().note_slow(from, owed, took);
        }
        if let Some(backend) = from.and_then(|from| self.backends.get_mut(from)) {
            backend.batches.answered(self.pool);
        }
    }

    /// Counts a slow request, and puts one in `slowlog_sample_rate` of them in the slow log.
    #[cold]
    fn note_slow(&mut self, from: Option<BackendId>, owed: &Owed, took: u32) {
        self.stats.slow_requests.increment();
        if !self.slow.is_sampled(self.shared.settings.slowlog_sample_rate) {
            return;
        }
        let Some(session) = owed.session.and_then(|session| self.sessions.get(session)) else { return };
        let backend = from.and_then(|from| self.backends.get_mut(from));
        let args = backend.and_then(|backend| backend.batches.oldest_args());
        // A large request is not kept: its name has to do.
        let name = || vec![self.shared.table.by_id(owed.command).name.as_bytes().into()];
        self.agenda.actions.push(Action::Slow(Box::new(SlowEntry {
            unix_s: self.now.unix_us / 1_000_000,
            us: u64::from(took),
            args: args.unwrap_or_else(name),
            client: session.profile.peer.to_string(),
            name: session.profile.name().into(),
        })));
    }

    /// An error in the place of a reply that will not come.
    pub(in crate::engine) fn fail_reply(&mut self, owed: &Owed, error: &[u8]) {
        let Some(session) = owed.session else { return };
        self.note_reply(None, owed, error);
        self.clients().deliver_to(session, owed, error);
    }

    /// A session that has been sent half of a reply cannot be told anything any more.
    pub(in crate::engine) fn close_session_of(&mut self, owed: &Owed) {
        if let Some(session) = owed.session {
            self.close_session(session);
        }
    }
}

impl Clients<'_> {
    fn deliver_to(&mut self, id: SessionId, owed: &Owed, reply: &[u8]) {
        let Some(session) = self.sessions.get_mut(id) else { return }; // the client is gone
        if let Some(part) = owed.part {
            return self.deliver_part(id, owed.sequence, part, reply);
        }
        if session.head == owed.sequence {
            session.out.copy(reply, self.pool);
            session.advance(self.pool);
        } else {
            session.park(owed.sequence, true, |queue| _ = queue.copy(reply, self.pool));
        }
        self.mark_session(id);
        self.delivered(id);
    }

    /// One part of a gathered reply is here; with the last, the reply is whole.
    pub(in crate::engine) fn deliver_part(&mut self, id: SessionId, sequence: u32, part: Part, reply: &[u8]) {
        let session = &mut self.sessions[id];
        let ahead = sequence.wrapping_sub(session.head) as usize;
        let Some(parked) = session.parked.as_mut() else { return };
        let Some(gather) = parked.gather(ahead, part.index(), reply) else { return self.recount(id) };
        session.park(sequence, true, |queue| gather.finish(queue.tail(self.pool)));
        if session.head == sequence {
            session.release_parked(self.pool);
        }
        self.mark_session(id);
        self.delivered(id);
    }
}
