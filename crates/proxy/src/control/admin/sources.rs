//! What the handlers read, and whom they ask.

use std::sync::Arc;

use proxy_core::settings::Password;
use proxy_core::stats::{Snapshot, WorkerStats};
use service::shutdown::Shutdown;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, watch};

use super::super::orders::Order;
use super::super::picture::Picture;
use super::super::questions::DeskLine;
use super::super::workers::WorkersLine;
use super::scrapes::Scrapes;

/// All of it.
pub(super) struct Sources {
    pub(super) scrapes: Scrapes,
    pub(super) stats: Vec<Arc<WorkerStats>>,
    pub(super) picture: watch::Receiver<Picture>,
    pub(super) line: WorkersLine,
    pub(super) orders: Sender<Order>,
    pub(super) desk: DeskLine,
    pub(super) shutdown: Shutdown,
    pub(super) session_looks: Semaphore,
}

/// How handlers get at them.
pub(super) type Shared = axum::extract::State<Arc<Sources>>;

impl Sources {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.stats.iter().map(|stats| &**stats))
    }

    pub(super) fn control_password(&self) -> Option<Password> {
        self.picture.borrow().settings.control_password.clone()
    }
}
