//! The admin HTTP server: metrics, liveness, readiness. It only looks; nothing can be changed through it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use service::metrics::{CONTENT_TYPE, Metrics};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, error, warn};

use super::metrics::ProxyCollector;
use super::picture::Picture;
use crate::RunError;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// A request's line and headers must be here within this time, and the next request within it too.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// A request's line and headers take no more than this.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// After so long a connection is closed behind the response that is on its way.
const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(300);
/// How long that response may still take.
const LAST_RESPONSE_LIMIT: Duration = Duration::from_secs(10);
/// After accepting failed, as it does when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const HELP: &str = "\
An Undermoon server proxy.

/metrics   counters and gauges for Prometheus
/healthz   200 while the process works
/readyz    200 while clients of a cluster are served, else 503 and the reason
";

/// Binds the server's address.
///
/// # Errors
/// [`RunError::Listen`].
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, RunError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| RunError::Listen(address, error))
}

/// What the handlers read.
#[derive(Debug)]
struct Sources {
    metrics: Metrics,
    picture: watch::Receiver<Picture>,
}

/// Serves for ever; ends by being aborted. To be called inside the runtime.
pub(super) async fn serve(listener: TcpListener, collector: ProxyCollector) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "the admin server cannot listen"),
    };
    let picture = collector.picture.clone();
    let mut metrics = Metrics::new();
    metrics.registry().register_collector(Box::new(collector));
    let router = Router::new()
        .route("/", get(async || HELP))
        .route("/metrics", get(scrape))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(Arc::new(Sources { metrics, picture }));
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    serve_connection(stream, router).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "the admin server cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_buf_size(HEADER_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = tokio::time::sleep(CONNECTION_LIFE_MAX) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_RESPONSE_LIMIT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "an admin connection ended");
    }
}

async fn scrape(State(sources): State<Arc<Sources>>) -> Response {
    match sources.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")).into_response(),
    }
}

async fn ready(State(sources): State<Arc<Sources>>) -> Result<&'static str, (StatusCode, &'static str)> {
    let picture = sources.picture.borrow();
    let not = |reason| Err((StatusCode::SERVICE_UNAVAILABLE, reason));
    match (picture.draining, picture.ready) {
        (true, _) => not("draining\n"),
        (false, false) => not("no cluster: waiting for UMCTL SETCLUSTER\n"),
        (false, true) => Ok("ready\n"),
    }
}
