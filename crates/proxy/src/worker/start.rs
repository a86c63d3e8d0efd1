//! What a worker is started with, and what it shares with the others.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use proxy_core::engine::memory::MemoryShare;
use proxy_core::engine::{Policy, Shared};
use proxy_core::stats::WorkerStats;

use super::mailbox::ControlLine;

/// What the workers of a proxy count together.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// Sessions connected now, for `maxclients`.
    pub(crate) sessions: AtomicUsize,
    /// The last client id given out.
    pub(crate) last_client_id: AtomicU64,
}

/// Where a proxy listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaceAddresses {
    /// The primary face.
    pub(crate) primary: SocketAddr,
    /// The replica face, where there is one.
    pub(crate) replica: Option<SocketAddr>,
}

/// What a worker is started with.
pub(crate) struct WorkerStart {
    pub(crate) index: usize,
    pub(crate) addresses: FaceAddresses,
    pub(crate) shared: Shared,
    pub(crate) policy: Policy,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) memory: MemoryShare,
    pub(crate) totals: Arc<Totals>,
    pub(crate) control: ControlLine,
}
