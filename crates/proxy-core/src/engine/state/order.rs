//! Replies that have come before their turn. They wait here, each in its place, for those before them.

use std::collections::VecDeque;

use super::buffers::{BufferPool, OutQueue};
use super::gather::Gather;

/// A reply that is due, for requests after the one at the head of the session.
#[derive(Debug)]
pub(crate) enum ReplySlot {
    /// Nothing of it is here.
    Waiting,
    /// Its beginning is here; the rest is still passing through a backend.
    Partial(Box<OutQueue>),
    /// It is here, and waits for those before it.
    Ready(Box<OutQueue>),
    /// It is put together from several backends' replies.
    Gather(Box<Gather>),
    /// There was no memory for it: what is still to come of it is passed over, and then an error takes its place.
    Refused,
}

impl ReplySlot {
    fn held(&self) -> usize {
        match self {
            ReplySlot::Waiting | ReplySlot::Refused => 0,
            ReplySlot::Partial(queue) | ReplySlot::Ready(queue) => queue.held(),
            ReplySlot::Gather(gather) => gather.held(),
        }
    }
}

/// The replies that are due to a session of which some have come before their turn.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    /// Place `i` is for the reply with sequence `head + i`.
    slots: VecDeque<ReplySlot>,
    /// Memory that waits in them, bytes.
    held: usize,
}

impl Parked {
    /// The place that is `ahead` replies behind the head.
    pub(crate) fn slot(&mut self, ahead: usize) -> &mut ReplySlot {
        while self.slots.len() <= ahead {
            self.slots.push_back(ReplySlot::Waiting);
        }
        &mut self.slots[ahead]
    }

    /// Keeps a reply, or more of it. `last`: it is whole then.
    pub(crate) fn park(&mut self, ahead: usize, last: bool, write: impl FnOnce(&mut OutQueue)) {
        let slot = self.slot(ahead);
        let before = slot.held();
        let mut queue = match std::mem::replace(slot, ReplySlot::Waiting) {
            ReplySlot::Partial(queue) => queue,
            ReplySlot::Waiting | ReplySlot::Ready(_) | ReplySlot::Gather(_) | ReplySlot::Refused => {
                Box::default()
            }
        };
        write(&mut queue);
        *slot = if last { ReplySlot::Ready(queue) } else { ReplySlot::Partial(queue) };
        let now = slot.held();
        self.held = self.held + now - before;
    }

    /// Notes one part of a gathered reply; the whole when no part is missing any more.
    pub(crate) fn gather(&mut self, ahead: usize, part: usize, reply: &[u8]) -> Option<Box<Gather>> {
        let slot = self.slot(ahead);
        let ReplySlot::Gather(gather) = slot else { return None };
        let before = gather.held();
        let is_whole = gather.put(part, reply);
        let after = gather.held();
        let whole = if is_whole { std::mem::replace(slot, ReplySlot::Waiting) } else { ReplySlot::Waiting };
        self.held = self.held + after - before;
        let ReplySlot::Gather(gather) = whole else { return None };
        self.held -= after;
        Some(gather)
    }

    /// Gives up all replies that are put together.
    pub(crate) fn refuse_gathers(&mut self) {
        for slot in &mut self.slots {
            if let ReplySlot::Gather(gather) = slot {
                self.held -= gather.held();
                gather.refuse();
            }
        }
    }

    /// Gives up the replies that wait and hold at least so much; whether there were any. `error` takes the place of those
    /// that are whole.
    pub(crate) fn refuse_large(&mut self, bytes_min: usize, error: &[u8], pool: &mut BufferPool) -> bool {
        let mut any = false;
        for slot in &mut self.slots {
            let held = slot.held();
            let in_place = match slot {
                ReplySlot::Ready(_) if held >= bytes_min => {
                    let mut queue = Box::<OutQueue>::default();
                    queue.copy(error, pool);
                    ReplySlot::Ready(queue)
                }
                ReplySlot::Partial(_) if held >= bytes_min => ReplySlot::Refused,
                _ => continue,
            };
            any = true;
            self.held = self.held - held + in_place.held();
            *slot = in_place;
        }
        any
    }

    /// Gives up the beginning of a reply that waits so many places behind the head, if there is one; whether there was.
    pub(crate) fn refuse_partial(&mut self, ahead: usize) -> bool {
        let Some(slot @ ReplySlot::Partial(_)) = self.slots.get_mut(ahead) else { return false };
        self.held -= slot.held();
        *slot = ReplySlot::Refused;
        true
    }

    /// The memory that replies in the making take, bytes.
    pub(crate) fn gathered(&self) -> usize {
        let gathered = |slot: &ReplySlot| if matches!(slot, ReplySlot::Gather(_)) { slot.held() } else { 0 };
        self.slots.iter().map(gathered).sum()
    }

    /// Whether the reply so many places behind the head was given up.
    pub(crate) fn is_refused(&self, ahead: usize) -> bool {
        match self.slots.get(ahead) {
            Some(ReplySlot::Gather(gather)) => gather.is_refused(),
            Some(ReplySlot::Refused) => true,
            Some(ReplySlot::Waiting | ReplySlot::Partial(_) | ReplySlot::Ready(_)) | None => false,
        }
    }

    /// The reply at the head was delivered past its place.
    pub(crate) fn pop(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.held -= slot.held();
        }
    }

    /// Moves what is ready at the head to `out`; returns how many replies are whole with that.
    pub(crate) fn release(&mut self, out: &mut OutQueue, pool: &mut BufferPool) -> u32 {
        let mut released = 0;
        while let Some(front) = self.slots.front_mut() {
            match front {
                ReplySlot::Ready(queue) => {
                    self.held -= queue.held();
                    out.append(std::mem::take(&mut **queue), pool);
                    self.slots.pop_front();
                    released += 1;
                }
                ReplySlot::Partial(queue) => {
                    self.held -= queue.held();
                    out.append(std::mem::take(&mut **queue), pool);
                    *front = ReplySlot::Waiting;
                    break;
                }
                ReplySlot::Waiting | ReplySlot::Gather(_) | ReplySlot::Refused => break,
            }
        }
        released
    }

    /// Whether no reply waits, and none is being put together.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The memory that waits here, bytes.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Every place, from the head on.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &ReplySlot> {
        self.slots.iter()
    }

    /// Asserts that the memory is counted rightly.
    pub(crate) fn check(&self) {
        let held: usize = self.slots.iter().map(ReplySlot::held).sum();
        assert_eq!(held, self.held, "memory of replies that wait is counted wrongly");
    }
}
