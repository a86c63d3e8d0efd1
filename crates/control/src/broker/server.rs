//! Starting and ending a broker.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use service::shutdown::{Phase, Shutdown};
use tracing::info;

use super::access::{Access, DeniedCommands, Tokens};
use super::app::app;
use super::late::Connection;
use super::limits::{Limits, RequestCounts};
use super::migration_speed::{self, MigrationSpeed};
use super::open::open_metadata;
use super::replicas::Copies;
use super::shared::Broker;
use super::{metrics, replicas, review};
use crate::config::BrokerConfig;
use crate::run_error::RunError;
use crate::store::Metadata;

/// A request's line and headers must be here within this time, and the next request of a connection within it
/// too: so it is longer than callers keep a connection that they do not use.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
/// Threads that answer.
const THREADS: usize = 2;

/// Runs a broker until it is told to stop.
///
/// # Errors
/// As [`RunError`] says.
pub fn run(config: &BrokerConfig, shutdown: Shutdown) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("broker")
        .enable_all()
        .build()
        .map_err(RunError::system("starting the threads"))?;
    let listener = bind(config)?;
    runtime.block_on(async {
        let metadata = open_metadata(config).await?;
        serve(config, metadata, listener, shutdown).await
    })
}

/// Listens on the broker's address; nothing is answered yet.
///
/// # Errors
/// [`RunError::Listen`].
pub fn bind(config: &BrokerConfig) -> Result<TcpListener, RunError> {
    let listen = || {
        let listener = TcpListener::bind(config.address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|error| RunError::Listen(config.address, error))
}

/// Answers calls until it is told to stop, then those that are under way.
///
/// # Errors
/// As [`RunError`] says.
pub async fn serve(
    config: &BrokerConfig,
    metadata: Metadata,
    listener: TcpListener,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    let counts = Arc::new(RequestCounts::default());
    let limits =
        Limits::new(config.requests_max.size(), config.request_timeout_ms.duration(), Arc::clone(&counts));
    let looking = tokio::spawn(limits.stalls().follow());
    let speed = Arc::new(Mutex::new(MigrationSpeed::default()));
    let watching = tokio::spawn(migration_speed::follow(metadata.clone(), Arc::clone(&speed)));
    let denied = Arc::new(DeniedCommands::default());
    let copies = Arc::new(Copies::default());
    let broker = Broker {
        speed,
        metadata: metadata.clone(),
        proxy_password: config.proxy_password.clone(),
        review_policy: config.review_policy,
        metrics: metrics::metrics(&metadata, counts, Arc::clone(&denied)),
        denied: Arc::clone(&denied),
        copies: Arc::clone(&copies),
    };
    let tokens = Tokens { write: config.write_token.clone(), read: config.read_token.clone() };
    let app = app(Arc::new(broker), Access { tokens, denied }, limits, config.body_bytes_max.size());
    let reviewing =
        tokio::spawn(review::follow(metadata.clone(), config.proxy_password.clone(), config.review_policy));
    let copying = tokio::spawn(replicas::follow(metadata, replicas::Tokens::of(config), copies));
    let handle = Handle::new();
    let ending = tokio::spawn(end(handle.clone(), shutdown, config.shutdown_timeout_ms.duration()));
    let address = listener.local_addr().map_err(RunError::system("reading the address"))?;
    let served = match (&config.tls_certificate, &config.tls_key) {
        (Some(certificate), Some(key)) => {
            api::tls::prepare();
            let tls = RustlsConfig::from_pem_file(&certificate.0, &key.0).await;
            let tls = tls.map_err(|error| RunError::Tls(error.to_string()))?;
            info!(%address, "the broker answers HTTPS");
            let mut server =
                axum_server::from_tcp_rustls(listener, tls).map_err(RunError::system("listening"))?;
            server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            server.handle(handle).serve(app.into_make_service_with_connect_info::<Connection>()).await
        }
        _ => {
            info!(%address, "the broker answers HTTP");
            let mut server = axum_server::from_tcp(listener).map_err(RunError::system("listening"))?;
            server.http_builder().http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            server.handle(handle).serve(app.into_make_service_with_connect_info::<Connection>()).await
        }
    };
    looking.abort();
    copying.abort();
    reviewing.abort();
    watching.abort();
    ending.abort();
    served.map_err(RunError::system("answering"))
}

async fn end(handle: Handle<SocketAddr>, shutdown: Shutdown, patience: Duration) {
    shutdown.reached(Phase::Draining).await;
    info!("the broker finishes what it was asked");
    handle.graceful_shutdown(Some(patience));
    shutdown.reached(Phase::Stopping).await;
    handle.shutdown();
}
