//! What one worker counts.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::Address;

use super::error_counts::ErrorCounts;
use super::{Counter, Histogram};
use crate::command::CommandId;

/// Commands that are counted one by one; ids from here on share the last place. The table of Redis 8 with its
/// modules has about 700 with subcommands.
pub const COMMANDS_MAX: usize = 1024;

/// Counters of one worker. The worker is the only writer; it keeps an `Arc` of this, as do the readers.
#[derive(Debug)]
pub struct WorkerStats {
    /// Sessions open now.
    pub sessions: Counter,
    /// Sessions whose next request a pause holds back, or slots without an owner.
    pub sessions_held: Counter,
    /// Sessions accepted since the start.
    pub sessions_accepted: Counter,
    /// Connections refused because of `maxclients`.
    pub sessions_rejected: Counter,
    /// Sessions closed because they held the most when memory was short.
    pub sessions_dropped: Counter,
    /// Sessions closed because they were idle too long.
    pub sessions_timed_out: Counter,
    /// Times that a node refused to close a connection that was given up.
    pub closes_refused: Counter,
    /// Sessions closed because of a protocol error.
    pub protocol_errors: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Requests taken from sessions, of any kind.
    pub requests: Counter,
    /// Turns of the event loop that had something to do.
    pub turns: Counter,
    /// Writes to backends, each of one batch.
    pub batches: Counter,
    /// Requests in those batches.
    pub batched_requests: Counter,
    /// Requests that took longer than `slowlog_log_slower_than`, whether or not the slow log sampled them.
    pub slow_requests: Counter,
    /// Error replies sent to clients, by code.
    errors: ErrorCounts,
    /// By command id. A command's counters are made when it is first used: few commands ever are.
    commands: Box<[OnceLock<Box<CommandStats>>]>,
    /// Locked when a backend is opened, when it goes for good, and by readers; never for a request.
    backends: Mutex<Vec<Arc<BackendStats>>>,
}

/// Counters of one command on one worker.
#[derive(Debug, Default)]
pub struct CommandStats {
    /// Requests that were forwarded or answered.
    pub calls: Counter,
    /// Requests refused before they were executed: arity, NOAUTH, CROSSSLOT, MOVED …
    pub rejected: Counter,
    /// Requests whose reply was an error.
    pub failed: Counter,
    /// Sum of the times from reading a timed request to having its reply, in µs.
    pub us: Counter,
    /// Requests that were timed.
    pub timed: Counter,
    /// The times of these requests, in µs.
    pub latency: Histogram,
}

/// Counters of one backend connection, or of one after the other to the same node and database.
#[derive(Debug)]
pub struct BackendStats {
    /// The node or proxy behind it.
    pub address: Address,
    /// The database that the connection has selected.
    pub db: u32,
    /// Requests sent.
    pub requests: Counter,
    /// Requests answered.
    pub replies: Counter,
    /// Error replies received.
    pub errors: Counter,
    /// Requests that failed because the connection did.
    pub lost: Counter,
    /// Requests not answered within `backend_timeout`.
    pub timeouts: Counter,
    /// Connections made after the first.
    pub reconnects: Counter,
    /// Attempts to connect that failed.
    pub connect_failures: Counter,
    /// 1 while the connection is usable, else 0.
    pub connected: Counter,
    /// Writes, each of one batch.
    pub batches: Counter,
    /// Bytes written to the node.
    pub bytes_out: Counter,
    /// Bytes read from the node.
    pub bytes_in: Counter,
    /// Times from sending a request to having its reply, in µs.
    pub latency: Histogram,
}

impl Default for WorkerStats {
    fn default() -> WorkerStats {
        WorkerStats::new()
    }
}

impl WorkerStats {
    /// All zero.
    pub fn new() -> WorkerStats {
        WorkerStats {
            sessions: Counter::default(),
            sessions_held: Counter::default(),
            sessions_accepted: Counter::default(),
            sessions_rejected: Counter::default(),
            sessions_dropped: Counter::default(),
            sessions_timed_out: Counter::default(),
            closes_refused: Counter::default(),
            protocol_errors: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            requests: Counter::default(),
            turns: Counter::default(),
            batches: Counter::default(),
            batched_requests: Counter::default(),
            slow_requests: Counter::default(),
            errors: ErrorCounts::new(),
            commands: std::iter::repeat_with(OnceLock::new).take(COMMANDS_MAX).collect(),
            backends: Mutex::new(Vec::new()),
        }
    }

    /// The counters of a command, to be written by this worker only.
    #[inline]
    pub fn command(&self, id: CommandId) -> &CommandStats {
        self.commands[id.index().min(COMMANDS_MAX - 1)].get_or_init(Box::default)
    }

    /// Counts an error reply sent to a client.
    pub fn count_error(&self, reply: &[u8]) {
        self.errors.count(reply);
    }

    /// Error replies sent to clients, by code; only codes that were sent.
    pub fn errors(&self) -> impl Iterator<Item = (Cow<'static, str>, u64)> {
        self.errors.counted()
    }

    /// Adds a backend's counters; the worker keeps the `Arc` beside the connection and writes through it.
    pub fn add_backend(&self, address: Address, db: u32) -> Arc<BackendStats> {
        let stats = Arc::new(BackendStats::new(address, db));
        self.lock_backends().push(stats.clone());
        stats
    }

    /// Forgets a backend that is gone for good.
    pub fn remove_backend(&self, stats: &Arc<BackendStats>) {
        self.lock_backends().retain(|other| !Arc::ptr_eq(other, stats));
    }

    /// The backends of this worker, now.
    pub fn backends(&self) -> Vec<Arc<BackendStats>> {
        self.lock_backends().clone()
    }

    /// The commands used so far, by id.
    pub fn commands(&self) -> impl Iterator<Item = (usize, &CommandStats)> {
        self.commands.iter().enumerate().filter_map(|(id, stats)| Some((id, &**stats.get()?)))
    }

    /// The list holds no invariant that a panic could break half-way.
    fn lock_backends(&self) -> std::sync::MutexGuard<'_, Vec<Arc<BackendStats>>> {
        self.backends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CommandStats {
    /// Counts one timed request.
    #[inline]
    pub fn record(&self, us: u64) {
        self.us.add(us);
        self.timed.increment();
        self.latency.record(us, 1);
    }
}

impl BackendStats {
    /// All zero.
    pub fn new(address: Address, db: u32) -> BackendStats {
        BackendStats {
            address,
            db,
            requests: Counter::default(),
            replies: Counter::default(),
            errors: Counter::default(),
            lost: Counter::default(),
            timeouts: Counter::default(),
            reconnects: Counter::default(),
            connect_failures: Counter::default(),
            connected: Counter::default(),
            batches: Counter::default(),
            bytes_out: Counter::default(),
            bytes_in: Counter::default(),
            latency: Histogram::default(),
        }
    }
}
