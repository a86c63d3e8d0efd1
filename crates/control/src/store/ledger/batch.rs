//! A batch of changes, applied to a copy of the metadata: what it would make of them, what each change answers, and the events
//! that tell of it.

use api::v4::Event;
use control_core::{ApplyError, Command, FenceClock, Reply, TimeMs, apply, explain};

use super::super::document::Document;
use super::super::event_log::bounded;
use super::super::history::{HistoryId, begins_history};
use super::super::reading_log::ReadingLog;
use super::super::subject::{recorded, remarks};
use super::request::Change;

/// The changes, and when they are made.
pub(super) struct Batch<'a> {
    pub(super) changes: &'a [Change],
    /// By the clock on the wall, for the events.
    pub(super) now: TimeMs,
    /// How long each fence has stood.
    pub(super) fences: &'a FenceClock,
    /// Who has read the metadata, and how long this process has run.
    pub(super) log: &'a ReadingLog,
}

/// What came of applying a batch.
pub(super) struct Applied {
    /// Who makes the change is not noted in it yet.
    pub(super) next: Document,
    pub(super) replies: Vec<Result<Reply, ApplyError>>,
    pub(super) events: Vec<Event>,
}

impl Batch<'_> {
    /// Applies it to a copy, without the changes at the places that are given up.
    pub(super) fn apply(&self, document: &Document, is_given_up: impl Fn(usize) -> bool) -> Applied {
        let mut next = document.clone();
        let mut events = Vec::new();
        let mut replies = Vec::with_capacity(self.changes.len());
        for (place, Change { command, by, .. }) in self.changes.iter().enumerate() {
            if is_given_up(place) {
                replies.push(Err(ApplyError::Retry("whoever asked for this may have given up")));
                continue;
            }
            if let Err(refusal) = self.log.check(self.fences, &next.state, command) {
                replies.push(Err(refusal));
                continue;
            }
            let Some(about) = recorded(command) else {
                replies.push(apply(&mut next.state, command.clone()));
                continue;
            };
            let before = next.state.clone();
            let reply = apply(&mut next.state, command.clone());
            if let Ok(reply) = &reply
                && next.state != before
            {
                let mut words = explain(&before, &next.state);
                words.extend(remarks(command, reply));
                if words.is_empty() {
                    // Only something that is said again and again has been renewed.
                    replies.push(Ok(reply.clone()));
                    continue;
                }
                let kind = about.kind.to_owned();
                let (cluster, address, words) = (about.cluster, about.address, bounded(words));
                let (number, at_ms, by) = (next.next_event, self.now.0, by.clone());
                events.push(Event { number, at_ms, kind, cluster, address, by, words });
                next.next_event += 1;
            }
            replies.push(reply);
        }
        self.begin_history(document, &mut next, &replies);
        next.forget_removed(document);
        Applied { next, replies, events }
    }

    /// Whether another history of the metadata begins with this, and what is not known of it then.
    fn begin_history(&self, before: &Document, next: &mut Document, replies: &[Result<Reply, ApplyError>]) {
        let is_anew =
            |(change, reply): (&Change, &Result<_, _>)| begins_history(&change.command) && reply.is_ok();
        let begins = self.changes.iter().zip(replies).any(is_anew);
        if before.history == HistoryId::default() || begins {
            next.history = HistoryId::random();
        }
        let is_restored = |(change, reply): (&Change, &Result<_, _>)| {
            matches!(change.command, Command::Restore(_)) && reply.is_ok()
        };
        if self.changes.iter().zip(replies).any(is_restored) {
            next.forget_kept();
        }
    }
}
