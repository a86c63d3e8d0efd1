//! Connections of the HTTP server, and their limits.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tracing::{debug, error, warn};

use super::super::places::{Place, Places};
use super::access::Ends;

/// Connections at a time; one more takes the place of the one that has been idle for longest.
const CONNECTIONS_MAX: usize = 64;
/// New connections that wait for a place at a time. The kernel keeps more, but those would get a place one after the other.
const WAITING_MAX: usize = 64;
/// A new connection does not count as idle for this long. While all others wait for a response it would be the only idle one,
/// and would be closed before its first request was read.
const FIRST_REQUEST_GRACE: Duration = Duration::from_millis(100);
/// A request's line and headers must be here within this time, and the next request within it too.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// A request's line and headers take no more than this.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// A connection this old is closed behind the response that is on its way.
const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(300);
/// How long that response may still take.
const LAST_RESPONSE_LIMIT: Duration = Duration::from_secs(10);
/// How long the response of a connection that has to make room may still take. Half a request never ends, and each that
/// makes room keeps a new connection waiting for so long.
const EVICTION_LIMIT: Duration = Duration::from_millis(5);
/// After accepting failed, as it does when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until it is aborted.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return error!(%error, "the admin server cannot listen"),
    };
    let (places, waiting) = (Places::new(CONNECTIONS_MAX), Arc::new(Semaphore::new(WAITING_MAX)));
    loop {
        let waits = waiting.clone().acquire_owned().await.expect("nobody closes the semaphore");
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(local) = stream.local_addr() else { continue };
                let router = router.clone().layer(Extension(Ends { peer, local }));
                let places = places.clone();
                tokio::spawn(async move {
                    let place = places.take().await;
                    place.work();
                    drop(waits);
                    serve_connection(stream, router, Arc::new(place)).await;
                });
            }
            Err(error) => {
                warn!(%error, "the admin server cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection, which has its place and is not idle yet.
async fn serve_connection(stream: TcpStream, router: Router, place: Arc<Place>) {
    let has_asked = Arc::new(AtomicBool::new(false));
    let (at_work, asks) = (place.clone(), has_asked.clone());
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let place = at_work.clone();
        asks.store(true, Ordering::Relaxed);
        async move {
            place.work();
            let response = next.run(request).await;
            place.rest();
            response
        }
    }));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT).max_buf_size(HEADER_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let mut grace = std::pin::pin!(tokio::time::sleep(FIRST_REQUEST_GRACE));
    let mut life = std::pin::pin!(tokio::time::sleep(CONNECTION_LIFE_MAX));
    let mut is_new = true;
    let last_response_limit = loop {
        tokio::select! {
            outcome = connection.as_mut() => return note(outcome),
            () = place.wanted() => break EVICTION_LIMIT,
            () = life.as_mut() => break LAST_RESPONSE_LIMIT,
            () = grace.as_mut(), if is_new => {
                is_new = false;
                if !has_asked.load(Ordering::Relaxed) {
                    place.rest();
                }
            }
        }
    };
    connection.as_mut().graceful_shutdown();
    note(tokio::time::timeout(last_response_limit, connection).await.unwrap_or(Ok(())));
}

fn note(outcome: hyper::Result<()>) {
    if let Err(error) = outcome {
        debug!(%error, "an admin connection ended");
    }
}
