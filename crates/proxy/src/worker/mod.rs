//! A worker: one thread with its own listeners, event loop, sessions and backends. It shares nothing with the other
//! workers but what the control thread gives to all of them.

mod accepting;
mod actions;
mod clock;
mod event_loop;
mod io;
mod linger;
mod low_mark;
mod mailbox;
mod messages;
mod registration;
mod sockets;
mod transfers;

pub(crate) use mailbox::{
    ControlLine, Errand, Inquiry, Mailbox, SessionAsk, SessionFilter, SessionLine, WorkerMessage,
};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::thread::JoinHandle;

use proxy_core::engine::memory::MemoryShare;
use proxy_core::engine::{Policy, Shared};
use proxy_core::stats::WorkerStats;

use self::event_loop::EventLoop;
use self::registration::Bound;
use crate::RunError;

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

/// A running worker as the control thread holds it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) mailbox: Mailbox,
    pub(crate) thread: JoinHandle<()>,
    pub(crate) stats: Arc<WorkerStats>,
    /// Where its listener is bound: of use when the port was chosen by the system.
    pub(crate) address: SocketAddr,
}

impl Worker {
    /// Binds the worker's listeners and starts its thread.
    ///
    /// # Errors
    /// When the address cannot be bound, or the system refuses an epoll instance or a thread.
    pub(crate) fn start(start: WorkerStart) -> Result<Worker, RunError> {
        let (mailbox, inbox) = mailbox::pair().map_err(RunError::system("making a mailbox"))?;
        let stats = start.stats.clone();
        let name = format!("worker-{}", start.index);
        let bound = Bound::new(start.addresses, &inbox)?;
        let address = bound.address;
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || EventLoop::new(start, inbox, bound).run())
            .map_err(RunError::system("starting a worker thread"))?;
        Ok(Worker { mailbox, thread, stats, address })
    }
}
