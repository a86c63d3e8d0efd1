//! Orders to the control thread from others than sessions: from the control port, from HTTP, and from the questions'
//! thread. The caller has checked the sender's authority.

use proxy_core::local::Assignment;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::reply_to::ReplyTo;

/// Orders that may wait; who has one more waits to hand it in.
const ORDERS_MAX: usize = 256;

/// What is to be done.
#[derive(Debug)]
pub(super) enum Order {
    /// UMCTL, its own word first.
    Umctl(Vec<Vec<u8>>, ReplyTo),
    /// CONFIG SET.
    Settings(Vec<Assignment>, ReplyTo),
}

/// The queue that is taken before every question of a client.
pub(super) fn queue() -> (Sender<Order>, Receiver<Order>) {
    channel(ORDERS_MAX)
}
