//! One client connection: its place in the order of replies and the bytes that wait on either side.
//!
//! A session is plain data owned by the engine. It never touches a socket and knows no other session.

use std::collections::VecDeque;

use resp::RequestParser;

use super::buffers::{BufferPool, OutQueue};
use super::gather::Gather;
use super::stream::Stream;
use crate::command::CommandId;
use crate::profile::Profile;

/// A session's index in its worker; reused after the driver has released it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u32);

/// Why a session's next request is not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// It is: nothing is waited for.
    None,
    /// Until every reply that is due has been delivered: the next request must not overtake them.
    Drained,
    /// Until there is room again: it owes or is owed too much.
    Room,
    /// Until commands are let through again (CLIENT PAUSE, or a handoff of slots).
    Held,
    /// Forever: it has said QUIT, broken the protocol or been killed, and is closed when it has its replies.
    Over,
}

/// A reply that is due, for requests after the one at the head of the session.
#[derive(Debug)]
pub(crate) enum Slot {
    /// Nothing of it is here.
    Waiting,
    /// Its beginning is here; the rest is still passing through a backend.
    Partial(Box<OutQueue>),
    /// It is here, and waits for those before it.
    Ready(Box<OutQueue>),
    /// It is put together from several backends' replies.
    Gather(Box<Gather>),
}

/// The replies that are due to a session of which some have come before their turn.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Place `i` is for the reply with sequence `head + i`.
    slots: VecDeque<Slot>,
    /// Bytes that wait in them.
    bytes: usize,
}

/// What only a session in an unusual state needs; boxed so that the others do not pay for it.
#[derive(Debug, Default)]
pub(crate) struct Unusual {
    /// A long request that has been understood in part: parsing goes on where it stopped.
    pub(crate) parser: Option<RequestParser>,
    /// A huge request that is passing through to a backend of its own.
    pub(crate) stream: Option<Stream>,
}

impl Unusual {
    pub(crate) fn is_empty(&self) -> bool {
        self.parser.is_none() && self.stream.is_none()
    }
}

#[derive(Debug)]
pub(crate) struct Session {
    /// Distinguishes this session from earlier ones of the same index; 0 when the place is free.
    pub(crate) generation: u32,
    /// Sequence number of the next request to be taken.
    pub(crate) next: u32,
    /// Sequence number of the reply that the client is to receive next.
    pub(crate) head: u32,
    /// When it was last read from: the worker's clock in µs, wrapping.
    pub(crate) last_read: u32,
    /// The command that it sent last.
    pub(crate) last_command: CommandId,
    pub(crate) wait: Wait,
    /// No more requests are read: close once every reply has been sent.
    pub(crate) closing: bool,
    /// Nothing about it needs a closer look at each request: authenticated, database 0, no READONLY.
    pub(crate) is_plain: bool,
    /// Listed for a flush at the end of the turn.
    pub(crate) dirty: bool,
    /// The driver asked whether to read and was told no: tell it when that changes.
    pub(crate) read_paused: bool,
    /// A backend is not read from because this client does not read.
    pub(crate) stalls: bool,
    /// Request bytes that were received but not yet taken.
    pub(crate) input: Vec<u8>,
    pub(crate) out: OutQueue,
    /// None while replies come in order.
    pub(crate) parked: Option<Box<Parked>>,
    pub(crate) unusual: Option<Box<Unusual>>,
    pub(crate) profile: Profile,
}

impl Session {
    pub(crate) fn new(generation: u32, profile: Profile) -> Self {
        let mut session = Session {
            is_plain: false,
            generation,
            next: 0,
            head: 0,
            last_read: 0,
            last_command: CommandId(u16::MAX),
            wait: Wait::None,
            closing: false,
            dirty: false,
            read_paused: false,
            stalls: false,
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
        self.is_plain = self.profile.authenticated && self.profile.db == 0 && !self.profile.readonly;
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

    /// The place of a reply that is not (or not only) to be copied to the client as it comes.
    pub(crate) fn slot(&mut self, sequence: u32) -> &mut Slot {
        let index = sequence.wrapping_sub(self.head) as usize;
        let slots = &mut self.parked.get_or_insert_default().slots;
        while slots.len() <= index {
            slots.push_back(Slot::Waiting);
        }
        &mut slots[index]
    }

    /// Keeps a reply, or more of it, until it is its turn. `last`: it is whole then.
    pub(crate) fn park(&mut self, sequence: u32, last: bool, write: impl FnOnce(&mut OutQueue)) {
        let slot = self.slot(sequence);
        let mut queue = match std::mem::replace(slot, Slot::Waiting) {
            Slot::Partial(queue) => queue,
            Slot::Waiting | Slot::Ready(_) | Slot::Gather(_) => Box::default(),
        };
        let before = queue.len();
        write(&mut queue);
        let added = queue.len() - before;
        *slot = match last {
            true => Slot::Ready(queue),
            false => Slot::Partial(queue),
        };
        self.parked.get_or_insert_default().bytes += added;
    }

    /// Bytes of replies that wait for their turn.
    #[inline]
    pub(crate) fn parked_bytes(&self) -> usize {
        self.parked.as_ref().map_or(0, |parked| parked.bytes)
    }

    /// The reply at the head is complete and in `out`: moves on, with those that waited behind it.
    #[inline]
    pub(crate) fn advance(&mut self, pool: &mut BufferPool) {
        self.head = self.head.wrapping_add(1);
        if let Some(parked) = self.parked.as_mut() {
            parked.slots.pop_front();
            self.drain_slots(pool);
        }
    }

    /// Moves what is ready at the head to `out`.
    pub(crate) fn drain_slots(&mut self, pool: &mut BufferPool) {
        let Some(parked) = self.parked.as_mut() else { return };
        let Parked { slots, bytes: parked_bytes } = &mut **parked;
        while let Some(front) = slots.front_mut() {
            match front {
                Slot::Ready(bytes) => {
                    *parked_bytes -= bytes.len();
                    self.out.append(std::mem::take(&mut **bytes), pool);
                    slots.pop_front();
                    self.head = self.head.wrapping_add(1);
                }
                Slot::Partial(bytes) => {
                    *parked_bytes -= bytes.len();
                    self.out.append(std::mem::take(&mut **bytes), pool);
                    *front = Slot::Waiting;
                    return;
                }
                Slot::Waiting | Slot::Gather(_) => return,
            }
        }
        self.parked = None;
    }

    /// The stream passing through, where there is one.
    #[inline]
    pub(crate) fn stream(&mut self) -> Option<&mut Stream> {
        self.unusual.as_mut()?.stream.as_mut()
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
