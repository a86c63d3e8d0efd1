//! Who waits for an answer of the keeper's, and what the answer looks like.

use std::collections::BTreeMap;

use keeper::{Answer, Caller};
use proxy_core::errors;

use super::reply_to::ReplyTo;
use super::texts;

/// Who waits for an answer of the keeper's.
#[derive(Debug, Default)]
pub(super) struct Callers {
    waiting: BTreeMap<Caller, Waiting>,
    last: u64,
}

/// One of them.
#[derive(Debug)]
struct Waiting {
    to: ReplyTo,
    /// The reply if it is done.
    done: Vec<u8>,
}

impl Callers {
    /// Somebody waits; `done` is the reply if what was asked for is done.
    pub(super) fn add(&mut self, to: ReplyTo, done: Vec<u8>) -> Caller {
        self.last += 1;
        let caller = Caller(self.last);
        self.waiting.insert(caller, Waiting { to, done });
        caller
    }

    /// Gives the caller its answer, if it still waits.
    pub(super) fn answer(&mut self, caller: Caller, answer: Answer) {
        let Some(Waiting { to, done }) = self.waiting.remove(&caller) else { return };
        let mut reply = Vec::new();
        match answer {
            Answer::Done => reply = done,
            Answer::Refused(refusal) => errors::write(&mut reply, texts::refusal(refusal)),
            Answer::Health(answer) => answer.write(&mut reply),
            Answer::NotEmptyView => errors::write(&mut reply, texts::NOT_EMPTY_VIEW),
            Answer::NotCleaned { node, reason } => {
                errors::write(&mut reply, &texts::cleaning_failed(&node, &reason));
            }
        }
        to.send(reply);
    }
}
