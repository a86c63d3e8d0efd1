//! The command table against real servers: what it says of commands, keys and errors is what they say.

mod description;
mod errors;
mod keys;
mod request;

use testkit::binary::ServerBinary;
use testkit::connection::Connection;
use testkit::redis_server::{RedisOptions, RedisServer};

/// Runs `body` with a connection to a fresh server of each kind.
fn on_each_server(body: impl Fn(ServerBinary, &mut Connection)) {
    for binary in ServerBinary::ALL {
        let server = RedisServer::start(RedisOptions::of(binary)).expect("a server");
        let mut connection = server.connect().expect("a connection");
        body(binary, &mut connection);
    }
}
