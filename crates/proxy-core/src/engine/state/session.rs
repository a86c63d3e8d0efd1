//! One client connection: its place in the order of replies and the bytes that wait on either side.
//!
//! A session is plain data owned by the engine. It never touches a socket and knows no other session.
//!
//! ```text
//!            ┌────────── what it waited for is there ──────────┐
//!            ▼                                                 │
//!  accept ▶ Taking ── a request cannot go on now ──▶ Waiting(Replies | Room | Held | Turn)
//!            │                                                 │
//!            └──── QUIT, broken protocol, CLIENT KILL ────▶ Over ──▶ gone, when its replies are written
//! ```
//! From every state it may be gone at once: the connection broke, a fence, no memory.

use std::collections::HashSet;

use resp::RequestParser;

use super::buffers::{BufferPool, OutQueue};
use super::ids::BackendId;
use super::order::{Parked, ReplySlot};
use super::reached::Reached;
use super::stream::Stream;
use crate::command::CommandId;
use crate::face::Face;
use crate::profile::Profile;

/// What a session is doing with what its client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It takes requests as they come.
    Taking,
    /// Its next request is not taken yet.
    Waiting(WaitFor),
    /// It takes no more: it is closed when its replies are written.
    Over,
}

/// What a session's next request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitFor {
    /// A barrier: every reply that is due has come, or will not come. What follows may run on another connection, and
    /// must not overtake what came before.
    Replies,
    /// Room: it is owed very many replies, or its node takes no more for the moment.
    Room,
    /// Commands are let through again (CLIENT PAUSE), or slots have an owner again.
    Held,
    /// The next turn: others have theirs first.
    Turn,
}

/// What only a session in an unusual state needs; boxed so that the others do not pay for it.
#[derive(Debug, Default)]
pub(crate) struct Unusual {
    /// A long request that has been understood in part: parsing goes on where it stopped.
    pub(crate) parser: Option<RequestParser>,
    /// A huge request that is passing through to a backend of its own.
    pub(crate) stream: Option<Stream>,
    /// It is a connection of another proxy, which wants no request of its sessions held here.
    pub(crate) link: Option<Link>,
}

/// What a session that is another proxy's connection has agreed on with it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// What is answered in place of holding a request.
    pub(crate) held_reply: Box<[u8]>,
    /// The other proxy's sessions with a request that was to be held: no later request of them is executed here until
    /// they begin again, because it would run before that request.
    pub(crate) refused: HashSet<u64>,
    /// The reply that the other proxy was last found to be behind with.
    pub(crate) behind: Option<Behind>,
}

/// A reply that waits for another proxy to take it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind {
    /// Its sequence number.
    sequence: u32,
    /// Since when it is known to wait (worker clock, µs).
    since_us: u64,
}

impl Link {
    /// Memory that one number in a set takes, bytes: itself, its mark, and the places that are left free.
    const REFUSED_BYTES: usize = 16;

    /// The other proxy is behind with the reply that has this number: since when, worker clock, µs.
    pub(crate) fn behind_since_us(&mut self, sequence: u32, now_us: u64) -> u64 {
        let known = self.behind.filter(|behind| behind.sequence == sequence);
        self.behind.insert(known.unwrap_or(Behind { sequence, since_us: now_us })).since_us
    }

    /// The memory that it takes, bytes.
    fn held(&self) -> usize {
        self.held_reply.len() + self.refused.capacity() * Link::REFUSED_BYTES
    }
}

impl Unusual {
    /// The memory that grows with what a client or another proxy sends, bytes.
    fn held(&self) -> usize {
        let parser = self.parser.as_ref().map_or(0, RequestParser::held);
        parser + self.link.as_ref().map_or(0, Link::held)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parser.is_none() && self.stream.is_none() && self.link.is_none()
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    /// Sequence number of the next request to be taken.
    pub(crate) next: u32,
    /// Sequence number of the reply that the client is to receive next.
    pub(crate) head: u32,
    /// When it was last read from: the worker's clock in µs, wrapping.
    pub(crate) last_read: u32,
    /// When it was last read from or written to: the same clock in ms, which wraps after 49 days.
    pub(crate) last_active_ms: u32,
    /// The command that it sent last.
    pub(crate) last_command: Option<CommandId>,
    pub(crate) phase: Phase,
    pub(crate) reached: Reached,
    /// When the present wait is over, the next request waits for the replies that are due then.
    pub(crate) barrier: bool,
    /// The hops that went with what was forwarded for it last.
    pub(crate) forwarded_hops: Option<u8>,
    /// The client has sent its last byte.
    pub(crate) input_ended: bool,
    /// Nothing about it needs a closer look at each request: authenticated, database 0, no READONLY, at the proxy's own
    /// address.
    pub(crate) is_plain: bool,
    /// Listed for a flush at the end of the turn.
    pub(crate) dirty: bool,
    /// Its socket takes no more for the moment: the driver tells when it does.
    pub(crate) blocked: bool,
    /// The driver asked whether to read and was told no: tell it when that changes.
    pub(crate) read_paused: bool,
    /// Its value is left unread there while it is far behind.
    pub(crate) unread_backend: Option<BackendId>,
    /// What it was last counted to hold, bytes.
    pub(crate) counted: usize,
    /// Request bytes that were received but not yet taken.
    pub(crate) input: Vec<u8>,
    pub(crate) out: OutQueue,
    /// None while replies come in order.
    pub(crate) parked: Option<Box<Parked>>,
    pub(crate) unusual: Option<Box<Unusual>>,
    pub(crate) profile: Profile,
}

impl Session {
    pub(crate) fn new(profile: Profile) -> Self {
        let mut session = Session {
            is_plain: false,
            next: 0,
            head: 0,
            last_read: 0,
            last_active_ms: 0,
            last_command: None,
            phase: Phase::Taking,
            reached: Reached::default(),
            barrier: false,
            forwarded_hops: None,
            input_ended: false,
            dirty: false,
            blocked: false,
            read_paused: false,
            unread_backend: None,
            counted: 0,
            input: Vec::new(),
            out: OutQueue::default(),
            parked: None,
            unusual: None,
            profile,
        };
        session.profile_changed();
        session
    }

    /// To be called after a change of the profile.
    pub(crate) fn profile_changed(&mut self) {
        let usual = self.profile.face == Face::Primary && !self.profile.readonly;
        self.is_plain = usual && self.profile.authenticated && self.profile.db == 0;
    }

    /// No more bytes of the client will be looked at, or come.
    #[inline]
    pub(crate) fn is_ending(&self) -> bool {
        self.input_ended || self.phase == Phase::Over
    }

    /// How many replies are due.
    #[inline]
    pub(crate) fn outstanding(&self) -> u32 {
        self.next.wrapping_sub(self.head)
    }

    /// Takes the next sequence number.
    #[inline]
    pub(crate) fn take_sequence(&mut self) -> u32 {
        let sequence = self.next;
        self.next = sequence.wrapping_add(1);
        sequence
    }

    /// All the memory that waits here, bytes: requests that are not taken, replies that are not written.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        let parked = self.parked.as_deref().map_or(0, Parked::held);
        let unusual = self.unusual.as_deref().map_or(0, Unusual::held);
        self.input.capacity() + self.out.held() + parked + unusual
    }

    /// Whether the reply with this number was given up before its turn.
    pub(crate) fn is_refused(&self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.head) as usize;
        self.parked.as_deref().is_some_and(|parked| parked.is_refused(ahead))
    }

    /// Gives up the beginning of the reply with this number, if it waits for its turn; whether it did.
    pub(crate) fn refuse_partial(&mut self, sequence: u32) -> bool {
        let ahead = sequence.wrapping_sub(self.head) as usize;
        self.parked.as_deref_mut().is_some_and(|parked| parked.refuse_partial(ahead))
    }

    /// The place of a reply that is not (or not only) to be copied to the client as it comes.
    pub(crate) fn reply_slot(&mut self, sequence: u32) -> &mut ReplySlot {
        let ahead = sequence.wrapping_sub(self.head) as usize;
        self.parked.get_or_insert_default().slot(ahead)
    }

    /// Keeps a reply, or more of it, until it is its turn. `last`: it is whole then.
    pub(crate) fn park(&mut self, sequence: u32, last: bool, write: impl FnOnce(&mut OutQueue)) {
        let ahead = sequence.wrapping_sub(self.head) as usize;
        self.parked.get_or_insert_default().park(ahead, last, write);
    }

    /// The reply at the head is complete and in `out`: moves on, with those that waited behind it.
    #[inline]
    pub(crate) fn advance(&mut self, pool: &mut BufferPool) {
        self.head = self.head.wrapping_add(1);
        if let Some(parked) = self.parked.as_mut() {
            parked.pop();
            self.release_parked(pool);
        }
    }

    /// Moves what is ready at the head to `out`.
    pub(crate) fn release_parked(&mut self, pool: &mut BufferPool) {
        let Some(parked) = self.parked.as_mut() else { return };
        let released = parked.release(&mut self.out, pool);
        self.head = self.head.wrapping_add(released);
        if parked.is_empty() {
            self.parked = None;
        }
    }

    /// What it has agreed on with another proxy, where it is one's connection.
    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        self.unusual.as_mut()?.link.as_mut()
    }

    /// The stream passing through, where there is one.
    #[inline]
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.unusual.as_mut()?.stream.as_mut()
    }

    /// Whether it is in the middle of sending a request through a connection of its own.
    #[inline]
    pub(crate) fn is_uploading(&self) -> bool {
        self.unusual.as_ref().is_some_and(|unusual| unusual.stream.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_session_is_small() {
        let bytes = size_of::<Session>();
        assert!(bytes <= 280, "a session takes {bytes} B; connections are mostly idle, and there are many");
    }
}
