//! A descriptor that a worker keeps for when the process has none left.

use std::os::fd::OwnedFd;

use rustix::event::{EventfdFlags, eventfd};

/// The spare descriptor, and what came of having to use it.
pub(super) struct Spare {
    /// Given up for a moment to accept and refuse a connection, which else would wait without a word.
    descriptor: Option<OwnedFd>,
    /// The listener is not watched until the next tick.
    pub(super) rests: bool,
    /// Before this there is no other warning, µs.
    pub(super) next_warning_us: u64,
}

impl Spare {
    pub(super) fn new() -> Spare {
        Spare { descriptor: open(), rests: false, next_warning_us: 0 }
    }

    /// Makes room for one connection; false where there was no spare descriptor.
    pub(super) fn give_up(&mut self) -> bool {
        self.descriptor.take().is_some()
    }

    /// Has a spare descriptor again; false where the process still has none left.
    pub(super) fn take_back(&mut self) -> bool {
        self.descriptor = self.descriptor.take().or_else(open);
        self.descriptor.is_some()
    }
}

fn open() -> Option<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}
