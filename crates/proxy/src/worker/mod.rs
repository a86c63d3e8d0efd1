//! A worker: one thread with its own listeners, event loop, sessions and backends. It shares nothing with the other
//! workers but what the control thread gives to all of them.

mod accepting;
mod actions;
mod clock;
mod event_loop;
mod io;
mod killed;
mod linger;
mod low_mark;
mod mailbox;
mod messages;
mod registration;
mod socket_tables;
mod sockets;
mod spare;
mod start;
mod transfers;

pub(crate) use mailbox::{
    ControlLine, Errand, Inquiry, KillErrand, Mailbox, OwedAsk, SessionAsk, SessionFilter, SessionLine,
    WorkerMessage,
};
pub(crate) use start::{FaceAddresses, Totals, WorkerStart};

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use proxy_core::stats::WorkerStats;

use self::event_loop::EventLoop;
use self::registration::Bound;
use crate::RunError;

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
