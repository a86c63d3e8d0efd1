//! What a process wants to happen: messages to others, and calls of itself later on.

use model::Moment;

use crate::event::{Event, Process, ReplyTo};

/// When a process wants to be called.
#[derive(Debug)]
pub(crate) enum When {
    /// After so long.
    After(u64),
    /// At some time before so long.
    Within(u64),
    /// When its machine's clock shows this.
    At(Moment),
}

/// What one call of a process wants.
#[derive(Debug)]
pub(crate) struct Out {
    /// Who it is.
    pub(crate) process: Process,
    /// Which process of it.
    pub(crate) incarnation: u32,
    /// Messages: to whom, to which process of it if that matters.
    pub(crate) messages: Vec<(Process, Option<u32>, Event)>,
    /// Calls of itself.
    pub(crate) calls: Vec<(When, Event)>,
}

impl Out {
    /// Nothing yet.
    #[must_use]
    pub(crate) const fn new(process: Process, incarnation: u32) -> Self {
        Self { process, incarnation, messages: Vec::new(), calls: Vec::new() }
    }

    /// Where an answer to this process goes.
    #[must_use]
    pub(crate) const fn reply(&self, request: u64) -> ReplyTo {
        ReplyTo { process: self.process, incarnation: self.incarnation, request }
    }

    /// Sends something to whoever is there when it arrives.
    pub(crate) fn send(&mut self, to: Process, event: Event) {
        self.messages.push((to, None, event));
    }

    /// Answers.
    pub(crate) fn answer(&mut self, to: ReplyTo, event: Event) {
        self.messages.push((to.process, Some(to.incarnation), event));
    }

    /// Calls itself after so many microseconds.
    pub(crate) fn later(&mut self, after_us: u64, event: Event) {
        self.calls.push((When::After(after_us), event));
    }

    /// Calls itself within so many microseconds.
    pub(crate) fn soon(&mut self, within_us: u64, event: Event) {
        self.calls.push((When::Within(within_us), event));
    }

    /// Calls itself when its clock shows that.
    pub(crate) fn at(&mut self, at: Moment, event: Event) {
        self.calls.push((When::At(at), event));
    }
}
