//! What a worker cannot answer alone: what it hands on, its arguments understood.

use model::Address;

use super::client;
use crate::slowlog::SlowlogRequest;

/// A request that concerns all workers, its arguments understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlRequest {
    /// CLIENT LIST: answer with [`client::list_reply`].
    ClientList(client::ClientFilter),
    /// CLIENT KILL: answer with [`client::ClientKill::reply`].
    ClientKill(client::ClientKill),
    /// CLIENT PAUSE: answer `OK`.
    ClientPause(client::ClientPause),
    /// CLIENT UNPAUSE: answer `OK`.
    ClientUnpause,
    /// CLIENT UNBLOCK: answer the integer 1 if the client was blocked, else 0.
    ClientUnblock {
        /// The client.
        id: u64,
        /// Whether it gets an error instead of its timeout's reply.
        with_error: bool,
    },
    /// CONFIG SET: answer with [`super::config::apply`].
    ConfigSet(Vec<Assignment>),
    /// CONFIG RESETSTAT: answer `OK`.
    ConfigResetStat,
    /// SLOWLOG: answer with [`crate::slowlog::SlowLog::answer`].
    Slowlog(SlowlogRequest),
    /// INFO with the sections asked for, in lower case: answer with [`crate::info::reply`].
    Info(Vec<String>),
    /// WAIT and WAITAOF: answer what was reached on the primary that reached least.
    Wait(WaitRequest),
}

/// A setting and what it is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The setting, in any case.
    pub name: Box<[u8]>,
    /// The value.
    pub value: Box<[u8]>,
}

/// What a client waits for, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitRequest {
    /// What is to be reached on each primary.
    pub goal: WaitGoal,
    /// How long at most, ms; 0 is without an end.
    pub timeout_ms: u64,
    /// Where the client's writes may be.
    pub written: Written,
}

/// Where what a session wrote may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// On these nodes beside this proxy, and nowhere else.
    Here(Vec<Address>),
    /// On nodes that this proxy cannot ask, too: on some that have lost slots since, or behind other proxies.
    Elsewhere,
}

impl Default for Written {
    /// Nothing was written.
    fn default() -> Self {
        Self::Here(Vec::new())
    }
}

/// Who must have the client's writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitGoal {
    /// WAIT: this many replicas have received them. As in Redis, this may be negative.
    Replicas(i64),
    /// WAITAOF: they are synced to append-only files.
    Aof {
        /// The number of files of the primary itself: 0 or 1.
        local: i64,
        /// The number of replicas.
        replicas: i64,
    },
}
