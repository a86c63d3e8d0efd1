//! What the driver and the engine say to each other besides bytes.

use std::sync::Arc;

use model::{Address, Slot};

use super::state::abandoned::Abandonments;
use super::state::fences::WriteFences;
use super::state::ids::BackendId;
use super::state::ids::SessionId;
use super::state::lives::NodeLives;
use crate::command::{CommandId, CommandTable};
use crate::local;
use crate::profile::Profile;
use crate::route::WorkerView;
use crate::settings::{Password, Settings};
use crate::slowlog::SlowEntry;

/// The worker's clock, read once a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Monotonic, µs; never 0.
    pub us: u64,
    /// Since the Unix epoch, µs.
    pub unix_us: u64,
}

/// What the driver is to do beyond writing output.
#[derive(Debug)]
pub enum Action {
    /// Open a connection to the node and report `backend_connected` or `backend_closed`.
    Connect(BackendId, Address),
    /// Close the connection.
    CloseBackend(BackendId),
    /// Nothing more is asked over the connection: its other end is to see that, and may still answer.
    EndBackend(BackendId),
    /// Close the connection, if it is still open.
    CloseSession(SessionId),
    /// Close the connection, if it is still open, so that a client which is still sending reads what was written.
    EndSession(SessionId),
    /// A session was closed because it held the most when memory was short: for the log.
    Dropped(Box<DroppedSession>),
    /// Read again from a session that was not to be read from.
    ReadSession(SessionId),
    /// Read again from a backend that was not to be read from.
    ReadBackend(BackendId),
    /// A node refuses to close a connection that was given up, for the first time: for the log.
    CloseRefused {
        /// The node, or the proxy.
        node: Address,
        /// What it answers.
        answer: String,
    },
    /// A request took too long: for the slow log.
    Slow(Box<SlowEntry>),
    /// A question that the control thread answers, with [`Engine::control_replied`].
    Control(Box<Ask>),
}

/// A question to the control thread.
#[derive(Debug)]
pub struct Ask {
    /// Where the answer belongs.
    pub place: ReplyPlace,
    /// What is asked.
    pub question: Question,
    /// Who asks.
    pub profile: Profile,
}

/// What one worker cannot answer by itself.
#[derive(Debug)]
pub enum Question {
    /// A command that concerns all workers.
    Local(Box<local::ControlRequest>),
    /// UMCTL with its arguments, the word UMCTL first.
    Umctl(Vec<Vec<u8>>),
    /// How many keys a slot holds.
    CountKeysInSlot(Slot),
    /// Some keys of a slot.
    KeysInSlot {
        /// The slot.
        slot: Slot,
        /// The most keys to return.
        count: u64,
    },
}

impl Question {
    /// Whether the answer may take long, so that a client may leave before it comes.
    #[must_use]
    pub fn takes_long(&self) -> bool {
        let Question::Local(request) = self else { return false };
        match &**request {
            local::ControlRequest::Wait(_) => true,
            local::ControlRequest::ClientKill(kill) => kill.filter.address.is_some(),
            _ => false,
        }
    }
}

/// Replies that a session may be owed when it puts a question to the control side: with more of them due, the question
/// waits in the session. So what one client can pile up there is bounded, however much it pipelines.
pub const QUESTIONS_PENDING_MAX: u32 = 8;

/// A session that was closed for the memory that it held.
#[derive(Debug)]
pub struct DroppedSession {
    /// Who it was.
    pub profile: Profile,
    /// What it held, bytes.
    pub held_bytes: usize,
    /// What all workers held together, and what they may hold, bytes.
    pub all_bytes: (u64, u64),
}

/// One reply's place in its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyPlace {
    /// The session.
    pub session: SessionId,
    /// The reply's number in the session.
    pub sequence: u32,
}

/// What CLIENT LIST tells of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionSketch<'a> {
    /// Which one.
    pub id: SessionId,
    /// Who it is.
    pub profile: &'a Profile,
    /// The command that it sent last.
    pub command: Option<CommandId>,
    /// Bytes received and not taken yet.
    pub input_bytes: usize,
    /// Bytes not written yet.
    pub output_bytes: usize,
    /// All the memory that it holds, bytes.
    pub held_bytes: usize,
}

/// What every worker of a proxy shares and may be replaced while it runs.
#[derive(Clone)]
pub struct Shared {
    /// The commands.
    pub table: Arc<CommandTable>,
    /// The settings.
    pub settings: Arc<Settings>,
    /// What the nodes ask of those who connect.
    pub backend_password: Option<Password>,
    /// The version of the nodes, which clients take for that of the proxy.
    pub server_version: Arc<str>,
    /// The view, once there is one.
    pub view: Option<Arc<WorkerView>>,
    /// Until when the primaries here take writes.
    pub fences: WriteFences,
    /// Which nodes are known to live although they do not answer.
    pub lives: NodeLives,
    /// What any worker has given up: the same for all of them, as long as they live.
    pub abandonments: Abandonments,
}

/// CLIENT PAUSE: commands, or only those that may write or replicate, wait until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Until when: [`Moment::us`], so that a clock that is set does not matter.
    pub until_us: u64,
    /// Reads are let through.
    pub writes_only: bool,
}

impl Pause {
    /// What holds after `self` was asked for while `before` holds: the later end and the stricter kind, as in Redis.
    pub(in crate::engine) fn after(self, before: Option<Pause>) -> Pause {
        let Some(before) = before else { return self };
        Pause {
            until_us: self.until_us.max(before.until_us),
            writes_only: self.writes_only && before.writes_only,
        }
    }
}
