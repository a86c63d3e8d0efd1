//! Where the answer to a question goes. The asker may be gone by then.

use std::sync::Arc;

use proxy_core::engine::ReplyPlace;
use tokio::sync::oneshot;

use crate::worker::{Errand, Mailbox, WorkerMessage};

/// Where the answer to a question goes.
#[derive(Debug)]
pub(super) enum ReplyTo {
    /// UMCTL of a session: delivered before what other clients asked for.
    Operator(Mailbox, ReplyPlace),
    /// A client's question.
    Client(Mailbox, ReplyPlace),
    /// Somebody in this process who waits for it.
    Caller(oneshot::Sender<Vec<u8>>),
}

impl ReplyTo {
    /// Sends the answer.
    pub(super) fn send(self, reply: Vec<u8>) {
        match self {
            ReplyTo::Operator(mailbox, place) => mailbox.send(WorkerMessage::Reply(place, reply)),
            ReplyTo::Client(mailbox, place) => mailbox.run(Errand::Reply(place, reply.into())),
            ReplyTo::Caller(caller) => drop(caller.send(reply)),
        }
    }

    /// Sends an answer that others get as well.
    pub(super) fn send_shared(self, reply: &Arc<[u8]>) {
        match self {
            ReplyTo::Client(mailbox, place) => mailbox.run(Errand::Reply(place, reply.clone())),
            ReplyTo::Operator(..) | ReplyTo::Caller(_) => self.send(reply.to_vec()),
        }
    }
}
