//! The control thread of a server proxy: metadata, settings, the watch over its nodes, questions that one worker
//! cannot answer, the admin HTTP server, and the ending of it all. Ordinary tokio beside the workers; no request for
//! data passes through here.
//!
//! ```text
//!  workers ──ControlMessage──▶ thread ──WorkerMessage──▶ workers
//!                                │ ▲
//!                   tasks ◀──────┘ └── Event (nodes seen, metadata in force)
//! ```

mod admin;
mod clean;
mod event;
mod fence;
mod from_config;
mod health;
mod heartbeat;
mod lease;
mod machine_memory;
mod metadata;
mod metrics;
mod node_client;
mod node_status;
mod node_watch;
mod nodes;
mod picture;
mod port_claim;
mod process;
mod questions;
mod report;
mod state;
mod stopping;
mod texts;
mod thread;
mod umctl;
mod workers;

use std::sync::Arc;

use proxy_core::command::CommandTable;
use proxy_core::engine::{Shared, WriteFences};
use service::logging::LogControl;
use service::shutdown::Shutdown;
use tokio::sync::mpsc::unbounded_channel;
use tracing::info;

use self::metrics::ProxyCollector;
use self::port_claim::PortClaim;
use self::thread::{Control, Start, VERSION_UNKNOWN};
use self::workers::Workers;
use crate::RunError;
use crate::config::ProxyConfig;

/// Runs a server proxy on the calling thread and on threads of its own, until `shutdown` asks it to end and it has
/// finished what was in flight.
///
/// # Errors
/// When it cannot start: an address is taken, or the system refuses threads or descriptors.
pub fn run(config: ProxyConfig, shutdown: Shutdown) -> Result<(), RunError> {
    run_logged(config, shutdown, None)
}

/// As [`run`], in a process whose log is `log`: CONFIG SET can then change its level.
///
/// # Errors
/// As [`run`].
pub fn run_logged(config: ProxyConfig, shutdown: Shutdown, log: Option<LogControl>) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::system("starting the control thread's runtime"))?;
    let claim = PortClaim::take(config.address)?;
    let admin = config.admin_address.map(admin::bind).transpose()?;
    let admin_address = admin.as_ref().and_then(|listener| listener.local_addr().ok());
    let settings = from_config::settings(&config, claim.address(), admin_address);
    let backend_password = from_config::backend_password(&config);
    let shared = Shared {
        table: Arc::new(CommandTable::builtin()),
        settings: Arc::new(settings.clone()),
        backend_password: backend_password.clone(),
        server_version: VERSION_UNKNOWN.into(),
        view: None,
        fences: WriteFences::default(),
    };
    let (asks_sender, asks) = unbounded_channel();
    let threads = config.thread_number.unsigned();
    let workers = Workers::start(&claim, &shared, from_config::policy(&config), &asks_sender)?;
    info!(
        address = %claim.address(),
        announced = %settings.announce_address,
        admin = admin_address.map(tracing::field::display),
        workers = threads,
        "serving"
    );
    drop(claim);
    let start = Start {
        settings,
        node_addresses: config.node_addresses.into_iter().map(|node| node.0).collect(),
        backend_password,
        shared,
        workers,
        shutdown,
        shutdown_timeout: config.shutdown_timeout_ms.duration(),
        log,
    };
    let stats = start.workers.stats();
    runtime.block_on(async {
        let (events_sender, events) = unbounded_channel();
        let (control, picture) = Control::new(start, events_sender);
        if let Some(listener) = admin {
            tokio::spawn(admin::serve(listener, ProxyCollector { stats, picture }));
        }
        control.run(asks, events).await;
    });
    Ok(())
}
