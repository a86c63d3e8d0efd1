//! Messages between the control side and a worker.
//!
//! To a worker: orders and errands, each in a channel of their own, and an eventfd that wakes its event loop. All
//! orders are taken at the beginning of a turn; of errands, which clients cause, at most their limit.
//! From a worker: UMCTL goes to the control thread, everything else that clients ask to the questions' thread, so that
//! neither waits for the other. These channels are bounded by what each session may have asked
//! ([`proxy_core::engine::QUESTIONS_PENDING_MAX`]).

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use model::Address;
use proxy_core::command::CommandId;
use proxy_core::engine::{Ask, BackendId, Pause, Question, ReplyPlace, Shared};
use proxy_core::profile::Profile;
use proxy_core::slowlog::SlowEntry;
use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::mpsc::UnboundedSender;
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

/// Some of a worker's sessions.
#[derive(Debug)]
pub(crate) struct SessionsPiece {
    pub(crate) lines: Vec<SessionLine>,
    /// Where the next piece begins; `None` after the last.
    pub(crate) next: Option<u32>,
}

/// The question how many replies of some nodes are due to clients. Who asked may have ended.
pub(crate) struct OwedAsk {
    pub(crate) nodes: Arc<[Address]>,
    pub(crate) answer: oneshot::Sender<usize>,
}

/// What a worker does before anything else in a turn.
pub(crate) enum WorkerMessage {
    /// New shared state: a view, settings, the command table. Answered when it holds.
    Update(Shared, oneshot::Sender<()>),
    /// The answer to UMCTL.
    Reply(ReplyPlace, Vec<u8>),
    /// How many replies of these nodes are due to clients.
    Owed(OwedAsk),
    /// What these nodes owe is given up; answered when it is.
    CutOff(Arc<[Address]>, oneshot::Sender<()>),
    /// CLIENT PAUSE or UNPAUSE.
    Pause(Option<Pause>),
    /// Accept no more clients, and end when those connected have their replies.
    Drain,
    /// What a node's name was found to be.
    Resolved(BackendId, std::io::Result<SocketAddr>),
    /// End now.
    Stop,
}

/// CLIENT KILL, by the client `asker` where one asks; answered with how many were closed.
pub(crate) struct KillErrand {
    pub(crate) filter: SessionFilter,
    pub(crate) asker: Option<u64>,
    /// It is answered when nothing more of clients that are gone is carried out.
    pub(crate) waits_for_strays: bool,
    pub(crate) answer: oneshot::Sender<usize>,
}

/// What a worker does for clients that ask about other clients: a bounded part of it in each turn.
pub(crate) enum Errand {
    /// The answer to a question; several sessions may get the same one.
    Reply(ReplyPlace, Arc<[u8]>),
    /// CLIENT LIST: the sessions from this place on, one piece.
    List(u32, oneshot::Sender<SessionsPiece>),
    /// CLIENT KILL.
    Kill(KillErrand),
}

/// A question of a session.
#[derive(Debug)]
pub(crate) struct SessionAsk {
    /// The worker that the session belongs to.
    pub(crate) worker: usize,
    /// What is asked.
    pub(crate) ask: Box<Ask>,
    /// Ends when the client leaves; only for questions that take long.
    pub(crate) left: Option<oneshot::Receiver<()>>,
}

/// What goes to the questions' thread.
#[derive(Debug)]
pub(crate) enum Inquiry {
    /// A question to be answered.
    Ask(SessionAsk),
    /// A request that took too long.
    Slow(Box<SlowEntry>),
    /// A node's name is to be looked up, for a connection to it.
    Resolve { worker: usize, backend: BackendId, address: Address },
}

/// A worker's line to the control side. Its threads outlive the workers.
#[derive(Debug, Clone)]
pub(crate) struct ControlLine {
    /// UMCTL.
    pub(crate) orders: UnboundedSender<SessionAsk>,
    /// Everything else.
    pub(crate) questions: UnboundedSender<Inquiry>,
}

impl ControlLine {
    /// Passes a question on to the thread that answers its kind.
    pub(super) fn ask(&self, ask: SessionAsk) {
        let is_order = matches!(ask.ask.question, Question::Umctl(_));
        let _ = if is_order {
            self.orders.send(ask).is_ok()
        } else {
            self.questions.send(Inquiry::Ask(ask)).is_ok()
        };
    }

    /// Has a node's name looked up; the answer is [`WorkerMessage::Resolved`].
    pub(super) fn resolve(&self, worker: usize, backend: BackendId, address: Address) {
        let _ = self.questions.send(Inquiry::Resolve { worker, backend, address });
    }

    /// Hands in an entry of the slow log.
    pub(super) fn slow(&self, entry: Box<SlowEntry>) {
        let _ = self.questions.send(Inquiry::Slow(entry));
    }
}

/// The control side's end.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    orders: Sender<WorkerMessage>,
    errands: Sender<Errand>,
    wake: Arc<OwnedFd>,
}

/// The worker's end.
pub(super) struct Inbox {
    pub(super) orders: Receiver<WorkerMessage>,
    pub(super) errands: Receiver<Errand>,
    pub(super) wake: Arc<OwnedFd>,
}

/// A mailbox and its inbox.
pub(super) fn pair() -> std::io::Result<(Mailbox, Inbox)> {
    let ((orders, orders_inbox), (errands, errands_inbox)) = (channel(), channel());
    let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
    let inbox = Inbox { orders: orders_inbox, errands: errands_inbox, wake: wake.clone() };
    Ok((Mailbox { orders, errands, wake }, inbox))
}

impl Mailbox {
    /// Sends an order. Nothing happens if the worker has ended.
    pub(crate) fn send(&self, message: WorkerMessage) {
        let _ = self.orders.send(message);
        wake(&self.wake);
    }

    /// Sends an errand. Nothing happens if the worker has ended.
    pub(crate) fn run(&self, errand: Errand) {
        let _ = self.errands.send(errand);
        wake(&self.wake);
    }
}

impl Inbox {
    /// Forgets the wake-up, before the messages are taken.
    pub(super) fn clear(&self) {
        let mut count = [0u8; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
    }

    /// Wakes the worker in its next turn: messages were left.
    pub(super) fn again(&self) {
        wake(&self.wake);
    }
}

/// A full counter means that the worker is woken already.
fn wake(eventfd: &OwnedFd) {
    let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
}
