//! Refuses changes that may have been asked for before this process went on: see [`crate::stalls`].

use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use model::Moment;

use super::error::ApiError;
use crate::stalls::{self, Asked, Stalls};

/// What is known of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// Who called.
    pub(super) peer: SocketAddr,
    /// When it was accepted.
    accepted: Moment,
}

impl Connected<SocketAddr> for Connection {
    fn connect_info(peer: SocketAddr) -> Self {
        Self { peer, accepted: stalls::now() }
    }
}

tokio::task_local! {
    /// From when the request is that this task answers.
    static ASKED: Asked;
}

/// Refuses a change that may be from before, and closes its connection; of others it is noted from when they are.
pub(super) async fn check(State(stalls): State<Stalls>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return next.run(request).await;
    }
    let now = stalls::now();
    let connection = request.extensions().get::<ConnectInfo<Connection>>();
    let accepted = connection.map_or(now, |ConnectInfo(connection)| connection.accepted);
    match stalls.ask(accepted, now) {
        Ok(asked) => ASKED.scope(asked, next.run(request)).await,
        Err(stood_still) => {
            let refusal =
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, api::STOOD_STILL, stood_still.to_string());
            let mut response = refusal.into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

/// From when the request is that this task answers; none outside of a request.
pub(super) fn asked() -> Option<Asked> {
    ASKED.try_with(Clone::clone).ok()
}
