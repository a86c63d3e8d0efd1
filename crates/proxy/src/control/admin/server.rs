//! Connections of the HTTP server, and their limits.

use std::net::TcpListener;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::net::TcpStream;
use tracing::{debug, error, warn};

use super::super::places::{Place, Places};
use super::access::Ends;

/// Connections at a time; one more takes the place of the one that has been idle for longest.
const CONNECTIONS_MAX: usize = 64;
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
    let places = Places::new(CONNECTIONS_MAX);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(local) = stream.local_addr() else { continue };
                let router = router.clone().layer(Extension(Ends { peer, local }));
                tokio::spawn(serve_connection(stream, router, Arc::new(places.take().await)));
            }
            Err(error) => {
                warn!(%error, "the admin server cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, place: Arc<Place>) {
    let at_work = place.clone();
    let router = router.layer(from_fn(move |request: Request, next: Next| {
        let place = at_work.clone();
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
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = place.wanted() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(EVICTION_LIMIT, connection).await.unwrap_or(Ok(()))
        }
        () = tokio::time::sleep(CONNECTION_LIFE_MAX) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(LAST_RESPONSE_LIMIT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = outcome {
        debug!(%error, "an admin connection ended");
    }
}
