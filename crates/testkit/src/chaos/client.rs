//! A client that knows of clusters and tells apart what certainly did not happen from what may have happened.
//!
//! It follows MOVED, connects again, and never repeats a request by itself: a request that was sent and got no
//! clear answer may still take effect.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::Slot;

use crate::connection::Connection;
use crate::frame::Frame;

/// How many redirections one request follows.
const REDIRECTIONS_MAX: usize = 6;
/// How long it waits after a second redirection of one request, and after each further one.
const REDIRECTION_PAUSE: Duration = Duration::from_millis(2);
/// How long a connection may take to be accepted, where a reply may take longer.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// Errors with these first words say that the command was not executed.
const REFUSALS: [&str; 12] = [
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "NOREPLICAS",
    "OOM",
    "MISCONF",
    "ERR_CLUSTER_NOT_FOUND",
    "ERR_TOO_MANY_REDIRECTIONS",
];

/// Why a request has no answer that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It certainly was not executed, and never will be; with the reason.
    Refused(String),
    /// It may have been executed, may be later, or never; with the reason.
    Unknown(String),
}

/// A client of one cluster.
#[derive(Debug)]
pub struct ClusterClient {
    seeds: Vec<SocketAddr>,
    /// Which of the seeds is asked where no route is known.
    seed: usize,
    routes: HashMap<Slot, SocketAddr>,
    connections: HashMap<SocketAddr, Connection>,
    reply_limit: Duration,
}

impl ClusterClient {
    /// A client that begins at the proxy with the index `seed` among `seeds`.
    #[must_use]
    pub fn new(seeds: Vec<SocketAddr>, seed: usize, reply_limit: Duration) -> Self {
        Self { seeds, seed, routes: HashMap::new(), connections: HashMap::new(), reply_limit }
    }

    /// Sends one request for a key of `slot` to whoever owns it; the reply, and who gave it. An error reply comes
    /// back as a failure.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn call(&mut self, slot: Slot, words: &[&[u8]]) -> Result<(Frame, SocketAddr), Failure> {
        let mut moved = String::new();
        for hop in 0..REDIRECTIONS_MAX {
            if hop >= 2 {
                std::thread::sleep(REDIRECTION_PAUSE);
            }
            let proxy = self.routes.get(&slot).copied().unwrap_or(self.seeds[self.seed]);
            let reply = match self.ask(proxy, words) {
                Ok(reply) => reply,
                Err(failure) => {
                    self.connections.remove(&proxy);
                    self.look_elsewhere(slot);
                    return Err(failure);
                }
            };
            let Some(text) = reply.error() else { return Ok((reply, proxy)) };
            match moved_to(&text) {
                Some(owner) => {
                    self.routes.insert(slot, owner);
                    moved = text;
                }
                None => {
                    self.look_elsewhere(slot);
                    return Err(failure_of(text));
                }
            }
        }
        self.look_elsewhere(slot);
        Err(Failure::Refused(moved))
    }

    fn ask(&mut self, proxy: SocketAddr, words: &[&[u8]]) -> Result<Frame, Failure> {
        let refused =
            |error: crate::connection::ConnectionError| Failure::Refused(kind_of(&error).to_owned());
        let connection = match self.connections.entry(proxy) {
            std::collections::hash_map::Entry::Occupied(open) => open.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let limit = self.reply_limit.min(CONNECT_LIMIT);
                let mut connection = Connection::open_within(proxy, limit).map_err(refused)?;
                connection.set_reply_limit(self.reply_limit).map_err(refused)?;
                place.insert(connection)
            }
        };
        connection.call(words).map_err(|error| Failure::Unknown(kind_of(&error).to_owned()))
    }

    fn look_elsewhere(&mut self, slot: Slot) {
        self.routes.remove(&slot);
        self.seed = (self.seed + 1) % self.seeds.len().max(1);
    }
}

/// What an error reply says about the request.
fn failure_of(text: String) -> Failure {
    if was_not_executed(&text) { Failure::Refused(text) } else { Failure::Unknown(text) }
}

/// Whether the text of an error reply says that the request was not executed and never will be.
#[must_use]
pub fn was_not_executed(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    REFUSALS.contains(&first) || text.ends_with("the command was not executed")
}

fn moved_to(text: &str) -> Option<SocketAddr> {
    text.strip_prefix("MOVED ")?.split(' ').nth(1)?.parse().ok()
}

/// A few words for the tally of failures.
fn kind_of(error: &crate::connection::ConnectionError) -> &'static str {
    use crate::connection::ConnectionError as E;
    match error {
        E::Refused(..) => "no connection",
        E::TimedOut { .. } => "no reply in time",
        E::Closed { .. } => "connection closed",
        E::Malformed(..) => "not a reply",
        E::Socket(_) => "socket error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis_server::{RedisOptions, RedisServer};

    #[test]
    fn errors_are_told_apart() {
        let cases = [
            ("CLUSTERDOWN Hash slot not served", true),
            ("ERR backend 127.0.0.1:1 failed: x; the command was not executed", true),
            (
                "ERR connection to backend 127.0.0.1:1 was lost; the command may or may not have been executed",
                false,
            ),
            ("ERR what is this", false),
        ];
        for (text, refused) in cases {
            assert_eq!(matches!(failure_of(text.to_owned()), Failure::Refused(_)), refused, "{text}");
        }
        assert_eq!(moved_to("MOVED 3 127.0.0.1:70"), Some("127.0.0.1:70".parse().unwrap()));
    }

    #[test]
    fn a_dead_server_refuses_and_a_frozen_one_leaves_it_open() {
        let mut server = RedisServer::start(RedisOptions::default()).unwrap();
        let mut client = ClusterClient::new(vec![server.address()], 0, Duration::from_millis(100));
        let set = |client: &mut ClusterClient| client.call(Slot::of_key(b"a"), &[b"SET", b"a", b"1"]);
        set(&mut client).unwrap();
        server.process().freeze().unwrap();
        assert_eq!(set(&mut client), Err(Failure::Unknown("no reply in time".to_owned())));
        server.process().thaw().unwrap();
        server.process().kill();
        assert_eq!(set(&mut client), Err(Failure::Refused("no connection".to_owned())));
    }
}
