//! Messages between the control thread and a worker.
//!
//! To a worker: a channel, and an eventfd that wakes its event loop. From a worker: an unbounded channel, bounded
//! in fact by what each session may have outstanding.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use model::Address;
use proxy_core::command::CommandId;
use proxy_core::engine::{Ask, Pause, ReplyPlace, Shared};
use proxy_core::profile::Profile;
use proxy_core::slowlog::SlowEntry;
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

/// Picks the sessions that CLIENT KILL closes.
pub(crate) type SessionFilter = Arc<dyn Fn(&Profile) -> bool + Send + Sync>;

/// One session, as CLIENT LIST shows it.
#[derive(Debug, Clone)]
pub(crate) struct SessionLine {
    pub(crate) profile: Profile,
    pub(crate) command: Option<CommandId>,
    pub(crate) fd: i32,
    pub(crate) input_bytes: usize,
    pub(crate) output_bytes: usize,
}

/// What the control thread tells a worker.
pub(crate) enum WorkerMessage {
    /// New shared state: a view, settings, the command table. Answered when it holds.
    Update(Shared, oneshot::Sender<()>),
    /// The answer to a request.
    Reply(ReplyPlace, Vec<u8>),
    /// How many replies of these nodes are due to clients.
    Owed(Arc<[Address]>, oneshot::Sender<usize>),
    /// What these nodes owe is given up; answered when it is.
    CutOff(Arc<[Address]>, oneshot::Sender<()>),
    /// CLIENT PAUSE or UNPAUSE.
    Pause(Option<Pause>),
    /// CLIENT LIST.
    List(oneshot::Sender<Vec<SessionLine>>),
    /// CLIENT KILL by the client `asker`; answered with how many were closed.
    Kill { filter: SessionFilter, asker: u64, answer: oneshot::Sender<usize> },
    /// Accept no more clients, and end when those connected have their replies.
    Drain,
    /// End now.
    Stop,
}

/// What a worker tells the control thread.
pub(crate) enum ControlMessage {
    /// A question to be answered.
    Ask { worker: usize, ask: Box<Ask> },
    /// A request that took too long.
    Slow(Box<SlowEntry>),
}

/// The control thread's end.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    sender: Sender<WorkerMessage>,
    wake: Arc<OwnedFd>,
}

/// The worker's end.
pub(super) struct Inbox {
    pub(super) receiver: Receiver<WorkerMessage>,
    pub(super) wake: Arc<OwnedFd>,
}

/// A mailbox and its inbox.
pub(super) fn pair() -> std::io::Result<(Mailbox, Inbox)> {
    let (sender, receiver) = channel();
    let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    Ok((Mailbox { sender, wake: wake.clone() }, Inbox { receiver, wake }))
}

impl Mailbox {
    /// Sends a message. False if the worker has ended.
    pub(crate) fn send(&self, message: WorkerMessage) -> bool {
        let sent = self.sender.send(message).is_ok();
        // A full counter means that the worker is woken already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
        sent
    }
}

impl Inbox {
    /// Forgets the wake-up, before the messages are taken.
    pub(super) fn clear(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }
}
