//! One connection to a node: what it owes to whom, and when to write to it.
//!
//! ```text
//!   sessions ──copy──▶ out ────── one write a turn ──────▶ node
//!                       │                                      │
//!                  owed (FIFO)  ◀──────── replies, in order ───┘
//! ```

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;

use resp::{Protocol, ReplyScanner};

use super::abandoned::AbandonedId;
use super::batches::Batches;
use super::buffers::OutQueue;
use super::connection_name::ConnectionName;
use super::ids::{NodeKey, SessionId};
use super::reached::Reached;
use crate::command::CommandId;
use crate::merge::ScanProcess;
use crate::stats::BackendStats;

/// Which part of a gathered reply a backend owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part(NonZeroU16);

impl Part {
    /// The part with this index.
    pub(crate) fn new(index: usize) -> Part {
        let number = u16::try_from(index + 1).ok().and_then(NonZeroU16::new);
        Part(number.expect("a reply has at most as many parts as a view has targets"))
    }

    /// Its index.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0.get()) - 1
    }
}

/// One reply that a backend owes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed {
    /// To whom; `None` is the proxy itself, which greeted the node.
    pub(crate) session: Option<SessionId>,
    pub(crate) sequence: u32,
    /// When the request was taken: the worker's clock in µs, wrapping.
    pub(crate) started: u32,
    pub(crate) command: CommandId,
    /// Which part of a gathered reply it is; `None` for one that goes to the client as it comes.
    pub(crate) part: Option<Part>,
}

impl Owed {
    /// A reply that the proxy itself awaits, to a request made at `started`.
    pub(crate) fn to_nobody(started: u32) -> Owed {
        Owed { session: None, sequence: 0, started, command: CommandId(0), part: None }
    }
}

/// The user as whom one script runs, on a connection that ends with it.
#[derive(Debug)]
pub(crate) struct ScriptUser {
    pub(crate) name: Box<str>,
    /// Two requests that make the user and have the connection become it.
    pub(crate) greeting: Box<[u8]>,
}

/// What a connection to another proxy agrees on with it, so that requests of one session that the other holds keep those
/// of other sessions waiting for nothing.
#[derive(Debug)]
pub(crate) struct HeldAnswer {
    /// What the other answers in place of holding a request: it was not executed.
    pub(crate) reply: Box<[u8]>,
    /// The other has agreed.
    pub(crate) is_agreed: bool,
}

/// A request that was forwarded, kept until it is answered.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) session: SessionId,
    pub(crate) sequence: u32,
    pub(crate) frame: Box<[u8]>,
}

/// What the proxy itself asks a node between the requests of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Which process it is.
    Process,
    /// To close a connection that was given up.
    Kill(AbandonedId),
}

/// What is known of the process at the other end of a connection, which SCAN's cursors name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessSeen {
    /// Nothing: it is asked at the next SCAN.
    Unknown,
    /// It has been asked, and its answer comes before that to any SCAN.
    Asked,
    /// It has told its run id.
    Known(ScanProcess),
}

/// What a backend connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose {
    pub(crate) node: NodeKey,
    pub(crate) db: u32,
    pub(crate) protocol: Protocol,
    /// To another proxy: how many more proxies may forward what goes this way. A proxy that forwards back uses another
    /// connection than the one that waits for it.
    pub(crate) hops: Option<u8>,
    /// The session that has it to itself; `None` for one that all share.
    pub(crate) owner: Option<SessionId>,
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for the driver to connect, until the deadline (worker clock, µs).
    Connecting { deadline_us: u64 },
    /// Connected; `due` handshake replies are still to come before requests may be sent.
    Handshake { due: u16 },
    /// Takes requests.
    Ready,
    /// Not connected; to be tried again at this time (worker clock, µs).
    Down { retry_us: u64 },
}

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) purpose: Purpose,
    /// That of its node.
    pub(crate) mark: Reached,
    pub(crate) stats: Arc<BackendStats>,
    pub(crate) phase: Phase,
    /// By what its node knows it.
    pub(in crate::engine) name: Option<ConnectionName>,
    /// Its greeting asks by what its node knows it.
    pub(crate) asks_name: bool,
    /// Its greeting ends with PING.
    pub(crate) pings: bool,
    /// The abandoned connections that the node was told to close before requests, and has not answered about.
    pub(crate) told: VecDeque<AbandonedId>,
    /// Its greeting was answered, and before requests the node only has more abandoned connections to close.
    pub(crate) is_greeted: bool,
    /// The connection is for one script that runs as this user.
    pub(crate) script: Option<Box<ScriptUser>>,
    /// To another proxy, shared.
    pub(crate) held_answer: Option<HeldAnswer>,
    /// Requests that the other proxy may not want to hold.
    pub(crate) kept: VecDeque<Kept>,
    pub(crate) kept_bytes: usize,
    /// Sessions of which the other proxy takes nothing more here until it is told to.
    pub(crate) refused: Vec<SessionId>,
    /// Requests that had been forwarded before have gone over it.
    pub(crate) passes_on: bool,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    /// It failed, or its node did: until it has answered a PING, requests are answered at once with an error.
    pub(crate) must_prove: bool,
    /// What the node answers to everything for the moment (`-BUSY …`), in place of the error that it is not reachable.
    pub(crate) refusal: Option<Box<[u8]>>,
    pub(crate) process: ProcessSeen,
    /// When the connection was made (worker clock, µs).
    pub(crate) connected_us: u64,
    /// The node has to close all that had been given up before this one, before it takes requests.
    pub(crate) told_before: AbandonedId,
    /// No new requests: closes once nothing is owed any more.
    pub(crate) retired: bool,
    /// Another proxy, whose session's client has left: nothing more is asked over it, and the other is told so when all is
    /// written. It closes when nothing is owed any more.
    pub(crate) is_last: bool,
    pub(crate) dirty: bool,
    /// The socket took less than it was given: it tells when it takes more.
    pub(crate) blocked: bool,
    /// What is in `out` begins in the middle of a request.
    pub(crate) cut: bool,
    /// What is said on a new connection before any request.
    pub(crate) greeting: OutQueue,
    pub(crate) out: OutQueue,
    /// When bytes last came from the node, or, where a session has the connection to itself, were taken by it (worker
    /// clock, µs).
    pub(crate) last_heard_us: u64,
    pub(crate) owed: VecDeque<Owed>,
    /// What those entries of `owed` are that are owed to nobody and come after the greeting's.
    pub(crate) own: VecDeque<Own>,
    pub(crate) batches: Batches,
    /// Entries at the end of `owed` whose requests are still in `out`, counted for no batch yet.
    pub(crate) unsent: usize,
    /// When the batch was given to the socket of which nothing has come back yet (worker clock, µs).
    pub(crate) sent_at_us: Option<u64>,
    /// The beginning of a reply whose rest has not come.
    pub(crate) partial: Vec<u8>,
    pub(crate) scanner: ReplyScanner,
    /// Not read from for the moment, because the client of its only reply is far behind.
    pub(crate) left_unread_for: Option<SessionId>,
    /// What it was last counted to hold, bytes.
    pub(crate) counted: usize,
    /// The reply at the head passes through as it comes, instead of being gathered in `partial`.
    pub(crate) streaming: bool,
    /// Sessions that wait for room in `out`, or for what is agreed on with another proxy.
    pub(crate) waiters: Vec<SessionId>,
}

impl Backend {
    pub(crate) fn new(purpose: Purpose, mark: Reached, stats: Arc<BackendStats>) -> Self {
        Backend {
            purpose,
            mark,
            stats,
            phase: Phase::Down { retry_us: u64::MAX },
            name: None,
            asks_name: false,
            pings: false,
            told: VecDeque::new(),
            is_greeted: false,
            script: None,
            held_answer: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            refused: Vec::new(),
            passes_on: false,
            failures: 0,
            must_prove: false,
            refusal: None,
            process: ProcessSeen::Unknown,
            connected_us: 0,
            told_before: AbandonedId::default(),
            retired: false,
            is_last: false,
            dirty: false,
            blocked: false,
            cut: false,
            greeting: OutQueue::default(),
            out: OutQueue::default(),
            last_heard_us: 0,
            owed: VecDeque::new(),
            own: VecDeque::new(),
            batches: Batches::default(),
            unsent: 0,
            sent_at_us: None,
            partial: Vec::new(),
            scanner: ReplyScanner::default(),
            left_unread_for: None,
            counted: 0,
            streaming: false,
            waiters: Vec::new(),
        }
    }

    /// Replies due for requests that were given to the socket.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.owed.len() - self.unsent
    }

    /// For which session the beginning of a part of a reply is here, and the memory that it takes, bytes.
    pub(crate) fn gathers(&self) -> Option<(SessionId, usize)> {
        let owed = self.owed.front().filter(|owed| owed.part.is_some())?;
        // A push is nobody's.
        let is_part = self.partial.first().is_some_and(|&first| first != b'>');
        Some((owed.session?, self.partial.capacity())).filter(|_| is_part)
    }

    /// A request is not to wait here: there is no connection, or one that has yet to prove that its node answers.
    #[inline]
    pub(crate) fn is_unreachable(&self) -> bool {
        self.phase != Phase::Ready && (self.must_prove || matches!(self.phase, Phase::Down { .. }))
    }

    /// Notes that a reply to something of our own is due; what asks for it has still to be sent.
    pub(crate) fn owe_own(&mut self, own: Own, started: u32) {
        self.own.push_back(own);
        self.owed.push_back(Owed::to_nobody(started));
        self.unsent += 1;
        self.batches.add();
    }

    /// Whether a request waits here of a session of which the other proxy takes nothing on this connection: another
    /// connection would take it, before what was refused.
    pub(crate) fn owes_refused(&self) -> bool {
        let is_refused = |owed: &Owed| owed.session.is_some_and(|session| self.refused.contains(&session));
        !self.refused.is_empty() && self.owed.iter().any(is_refused)
    }

    /// Forgets what was kept of forwarded requests, and what was agreed on.
    pub(crate) fn forget_forwarded(&mut self) {
        self.held_answer = None;
        self.kept.clear();
        self.kept_bytes = 0;
        self.refused.clear();
    }

    /// All the memory that waits here, bytes.
    #[inline]
    pub(crate) fn held(&self) -> usize {
        let copies = self.partial.capacity() + self.batches.held() + self.kept_bytes;
        let owed = self.owed.capacity() * size_of::<Owed>();
        let kept =
            self.kept.capacity() * size_of::<Kept>() + self.refused.capacity() * size_of::<SessionId>();
        self.greeting.held() + self.out.held() + copies + owed + kept
    }
}
