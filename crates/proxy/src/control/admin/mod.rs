//! HTTP (`admin_address`): metrics and health for everybody who can connect, and for operators what a proxy is and
//! does. It runs on the questions' thread. What it changes goes as an order to the control thread, before every
//! question of a client; nothing here waits for clients.

mod access;
mod error;
mod probes;
mod routes;
mod scrapes;
mod server;
mod sources;
mod v1;

use std::net::TcpListener;
use std::sync::Arc;

use proxy_core::stats::WorkerStats;
use service::metrics::Metrics;
use service::shutdown::Shutdown;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, watch};

use self::scrapes::Scrapes;
use self::sources::Sources;
use super::metrics::ProxyCollector;
use super::orders::Order;
use super::picture::Picture;
use super::questions::DeskLine;
use super::workers::WorkersLine;

/// Looks at all sessions that are under way at a time.
const SESSION_LOOKS_MAX: usize = 1;

/// What the server is started with.
pub(super) struct AdminStart {
    pub(super) listener: TcpListener,
    pub(super) stats: Vec<Arc<WorkerStats>>,
    pub(super) picture: watch::Receiver<Picture>,
    pub(super) line: WorkersLine,
    pub(super) orders: Sender<Order>,
    pub(super) desk: DeskLine,
    pub(super) shutdown: Shutdown,
}

impl AdminStart {
    /// Serves until it is aborted. To be called inside the runtime.
    pub(super) async fn serve(self) {
        let mut metrics = Metrics::new();
        let collector = ProxyCollector { stats: self.stats.clone(), picture: self.picture.clone() };
        metrics.registry().register_collector(Box::new(collector));
        let sources = Sources {
            scrapes: Scrapes::new(metrics),
            stats: self.stats,
            picture: self.picture,
            line: self.line,
            orders: self.orders,
            desk: self.desk,
            shutdown: self.shutdown,
            session_looks: Semaphore::new(SESSION_LOOKS_MAX),
        };
        server::serve(self.listener, routes::router(Arc::new(sources))).await;
    }
}
