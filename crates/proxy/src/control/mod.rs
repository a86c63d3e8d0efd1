//! The control side of a server proxy, ordinary tokio beside the workers; no request for data passes through here.
//!
//! Two threads. The *control thread* has metadata, roles, leases, settings, the watch over the nodes, and the ending of
//! it all. The *questions' thread* answers what clients ask that one worker cannot know, and HTTP. So what clients ask,
//! and however much of it, delays no lease and no view.
//!
//! ```text
//!  workers ──UMCTL──────────────▶ control thread ──orders──▶ workers
//!     │      control port ─Order─▶  │ ▲  ▲
//!     │                    tasks ◀──┘ │  └─Order─┐
//!     │                      └─Event──┘          │
//!     └──Inquiry──▶ questions' thread (desk, HTTP)┘ ──errands──▶ workers
//!                       ▲ Picture, DeskCall from the control thread
//! ```

mod acknowledge;
mod admin;
mod callers;
mod clean;
mod control_port;
mod event;
mod fair_queue;
mod fences;
mod former;
mod from_config;
mod heartbeat;
mod holding;
mod keeping;
mod machine_memory;
mod metadata;
mod metrics;
mod node_client;
mod node_line;
mod node_process;
mod node_status;
mod nodes;
mod orders;
mod picture;
mod places;
mod port_claim;
mod process;
mod questions;
mod reply_to;
mod report;
mod settings;
mod texts;
mod thread;
mod umctl;
mod worker_view;
mod workers;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use proxy_core::command::CommandTable;
use proxy_core::engine::{Abandonments, NodeLives, Shared, WriteFences};
use service::logging::LogControl;
use service::shutdown::Shutdown;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::oneshot;
use tracing::{info, warn};

use self::admin::AdminStart;
use self::control_port::ControlPort;
use self::port_claim::FaceClaims;
use self::process::ProcessFacts;
use self::questions::{Desk, DeskStart, desk_line};
use self::thread::{Control, Queues, Start, VERSION_UNKNOWN};
use self::workers::Workers;
use crate::RunError;
use crate::config::ProxyConfig;
use crate::open_files;
use crate::worker::ControlLine;

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
    let control_runtime = runtime()?;
    let questions_runtime = runtime()?;
    let claims = FaceClaims::take(config.address, config.replica_address())?;
    let faces = claims.addresses();
    let admin = config.admin_address.map(bind).transpose()?;
    let control_port = config.control_address.map(bind).transpose()?;
    let bound = from_config::Bound {
        clients: faces.primary,
        admin: admin.as_ref().and_then(|listener| listener.local_addr().ok()),
        control: control_port.as_ref().and_then(|listener| listener.local_addr().ok()),
    };
    let mut settings = from_config::settings(&config, &bound);
    settings.maxclients = open_files::fit(settings.maxclients);
    let backend_password = from_config::backend_password(&config);
    let abandonments = Abandonments::default();
    former::give_up(&abandonments);
    let shared = Shared {
        table: Arc::new(CommandTable::builtin()),
        settings: Arc::new(settings.clone()),
        backend_password: backend_password.clone(),
        server_version: VERSION_UNKNOWN.into(),
        view: None,
        fences: WriteFences::default(),
        lives: NodeLives::default(),
        abandonments,
    };
    let (asks_sender, asks) = unbounded_channel();
    let (inquiries_sender, inquiries) = unbounded_channel();
    let control_line = ControlLine { orders: asks_sender, questions: inquiries_sender };
    let threads = config.thread_number.unsigned();
    let workers = Workers::start(
        faces,
        &shared,
        from_config::policy(&config, open_files::uploads_max()),
        &control_line,
    )?;
    info!(
        address = %faces.primary,
        replica_face = faces.replica.map(tracing::field::display),
        announced = %settings.announce_address,
        admin = bound.admin.map(tracing::field::display),
        control = bound.control.map(tracing::field::display),
        workers = threads,
        "serving"
    );
    drop(claims);
    let process = Arc::new(ProcessFacts::gather());
    let (desk, calls) = desk_line();
    let (orders, orders_queue) = orders::queue();
    let control_password = settings.control_password.clone();
    let start = Start {
        settings,
        node_addresses: config.node_addresses.into_iter().map(|node| node.0).collect(),
        backend_password: backend_password.clone(),
        shared,
        workers,
        shutdown: shutdown.clone(),
        shutdown_timeout: config.shutdown_timeout_ms.duration(),
        log,
        process: process.clone(),
        desk: desk.clone(),
    };
    let (stats, line) = (start.workers.stats(), start.workers.line());
    control_runtime.block_on(async {
        let (events_sender, events) = unbounded_channel();
        let (control, picture) = Control::new(start, events_sender);
        if let Some(listener) = control_port {
            let port = ControlPort { password: control_password.clone(), orders: orders.clone() };
            tokio::spawn(port.serve(listener));
        }
        let admin = admin.map(|listener| AdminStart {
            listener,
            stats: stats.clone(),
            picture: picture.clone(),
            line: line.clone(),
            orders: orders.clone(),
            desk,
            shutdown: shutdown.clone(),
        });
        let desk = Desk::new(DeskStart { line, stats, picture, orders, process, backend_password, shutdown });
        let (end, ended) = oneshot::channel();
        let questions = std::thread::Builder::new().name("questions".to_owned()).spawn(move || {
            questions_runtime.block_on(async {
                if let Some(admin) = admin {
                    tokio::spawn(admin.serve());
                }
                desk.run(inquiries, calls, ended).await;
            });
        });
        let questions = questions.map_err(RunError::system("starting the questions' thread"))?;
        control.run(Queues { events, orders: orders_queue, asks }).await;
        drop(end);
        if questions.join().is_err() {
            warn!("the questions' thread ended by a panic");
        }
        Ok(())
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(RunError::system("starting the control side's runtime"))
}

/// Binds a listener of the control side.
fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| RunError::Listen(address, error))
}
