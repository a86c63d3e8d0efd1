//! Who asks for a change, for the record: what the caller says that it is, and the address that it calls from.
//!
//! The name is the caller's own word. What it may do depends on its token alone ([`super::access`]).

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;

use super::late::Connection;

/// The longest name that is recorded, in characters.
const NAME_CHARS_MAX: usize = 80;

tokio::task_local! {
    /// The caller of the request that this task answers.
    static CALLER: String;
}

/// Notes who calls, for the changes that the call makes.
pub(super) async fn note(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Connection>>();
    let peer = peer.map(|ConnectInfo(connection)| connection.peer.ip());
    let said =
        request.headers().get(api::ACTOR_HEADER).and_then(|name| name.to_str().ok()).unwrap_or_default();
    let name: String = said.chars().filter(|letter| !letter.is_control()).take(NAME_CHARS_MAX).collect();
    let name = if name.is_empty() { "somebody" } else { &name };
    let caller = match peer {
        Some(peer) => format!("{name} at {peer}"),
        None => name.to_owned(),
    };
    CALLER.scope(caller, next.run(request)).await
}

/// Who asks for what this task does; `None` outside of a request.
pub(super) fn current() -> Option<String> {
    CALLER.try_with(Clone::clone).ok()
}
