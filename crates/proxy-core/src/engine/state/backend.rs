//! One connection to a node: what it owes to whom, and when to write to it.
//!
//! ```text
//!   sessions ──copy──▶ out ────── one write a turn ──────▶ node
//!                       │                                      │
//!                  owed (FIFO)  ◀──────── replies, in order ───┘
//! ```

use std::collections::VecDeque;

use resp::{Protocol, ReplyScanner};

use super::batches::Batches;
use super::buffers::OutQueue;
use super::session::SessionId;
use crate::command::CommandId;
use crate::stats::BackendStats;
use std::sync::Arc;

/// A backend's index in its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackendId(pub u32);

/// [`Owed::part`] of a reply that goes to the client as it comes.
pub(crate) const PLAIN: u16 = u16::MAX;
/// [`Owed::session`] of a reply to the proxy's own handshake.
pub(crate) const HANDSHAKE: u32 = u32::MAX;

/// One reply that a backend owes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owed {
    pub(crate) session: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u32,
    /// When the request was taken: the worker's clock in µs, wrapping.
    pub(crate) started: u32,
    pub(crate) command: CommandId,
    /// Which part of a gathered reply it is, or [`PLAIN`].
    pub(crate) part: u16,
}

/// What a backend connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose {
    /// Index of the node in the engine.
    pub(crate) node: u32,
    pub(crate) db: u32,
    pub(crate) protocol: Protocol,
    /// The session that has it to itself; none for a shared one.
    pub(crate) owner: Option<SessionId>,
}

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The place is free.
    Free,
    /// Waits for the driver to connect, until the deadline (worker clock, µs).
    Connecting { deadline_us: u64 },
    /// Connected; so many handshake replies are still due before requests may be sent.
    Handshake { due: u8 },
    /// Takes requests.
    Ready,
    /// Not connected; to be tried again at this time (worker clock, µs).
    Down { retry_us: u64 },
}

#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) purpose: Purpose,
    pub(crate) stats: Arc<BackendStats>,
    pub(crate) phase: Phase,
    /// Failed attempts since the last success.
    pub(crate) failures: u32,
    /// No new requests: closes once nothing is owed any more.
    pub(crate) retired: bool,
    pub(crate) dirty: bool,
    /// The socket took less than it was given: it tells when it takes more.
    pub(crate) blocked: bool,
    /// What is said on a new connection before any request.
    pub(crate) greeting: OutQueue,
    pub(crate) out: OutQueue,
    /// When bytes last came from the node (worker clock, µs).
    pub(crate) last_heard_us: u64,
    pub(crate) owed: VecDeque<Owed>,
    pub(crate) batches: Batches,
    /// Entries at the end of `owed` whose requests are still in `out`, counted for no batch yet.
    pub(crate) unsent: usize,
    /// When the last batch was given to the socket (worker clock, µs).
    pub(crate) sent_at_us: u64,
    /// The beginning of a reply whose rest has not come.
    pub(crate) partial: Vec<u8>,
    pub(crate) scanner: ReplyScanner,
    /// The reply at the head passes through as it comes, instead of being gathered in `partial`.
    pub(crate) streaming: bool,
    /// Since when it is not read from because a client does not read (worker clock, µs); 0 when it is.
    pub(crate) stalled_since_us: u64,
    /// The session whose client does not read.
    pub(crate) stalled_by: SessionId,
    pub(crate) read_paused: bool,
    /// Sessions that wait for room in `out`.
    pub(crate) waiters: Vec<SessionId>,
}

impl Backend {
    pub(crate) fn new(purpose: Purpose, stats: Arc<BackendStats>) -> Self {
        Backend {
            purpose,
            stats,
            phase: Phase::Free,
            failures: 0,
            retired: false,
            dirty: false,
            blocked: false,
            greeting: OutQueue::default(),
            out: OutQueue::default(),
            last_heard_us: 0,
            owed: VecDeque::new(),
            batches: Batches::default(),
            unsent: 0,
            sent_at_us: 0,
            partial: Vec::new(),
            scanner: ReplyScanner::default(),
            streaming: false,
            stalled_since_us: 0,
            stalled_by: SessionId(u32::MAX),
            read_paused: false,
            waiters: Vec::new(),
        }
    }

    /// Replies due for requests that were given to the socket.
    #[inline]
    pub(crate) fn in_flight(&self) -> usize {
        self.owed.len() - self.unsent
    }
}
