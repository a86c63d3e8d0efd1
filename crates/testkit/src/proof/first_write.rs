//! The first write that a proxy takes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::connection::Connection;

/// Between two attempts to write where it is not possible yet.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(2);
/// How long one attempt waits for its reply.
const REPLY_LIMIT: Duration = Duration::from_millis(500);

/// Writes a key at that proxy until it is taken; how long after `since`.
///
/// # Errors
/// When none is taken within `limit` after `since`; with the last answer.
pub fn first_write(proxy: SocketAddr, key: &str, since: Instant, limit: Duration) -> Result<Duration> {
    let mut connection: Option<Connection> = None;
    let mut last = String::new();
    while since.elapsed() < limit {
        let outcome = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(proxy),
        };
        let outcome = outcome.and_then(|mut open| {
            open.set_reply_limit(REPLY_LIMIT)?;
            let reply = open.call(&[b"SET", key.as_bytes(), b"first"])?;
            connection = Some(open);
            Ok(reply)
        });
        match outcome {
            Ok(reply) if reply.bytes() == b"+OK\r\n" => return Ok(since.elapsed()),
            Ok(reply) => last = format!("{reply:?}"),
            Err(error) => {
                connection = None;
                last = error.to_string();
            }
        }
        std::thread::sleep(ATTEMPT_INTERVAL);
    }
    bail!("{proxy} took no write of {key} within {limit:?}; last: {last}")
}
