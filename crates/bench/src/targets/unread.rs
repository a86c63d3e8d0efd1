//! Clients that send requests and never read a reply. They must never take part in what is counted.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::load::data;
use crate::plan::UNREAD_CLIENTS;
use crate::wire::{Connection, Reply, encode};

/// Bytes of each value that is asked for and not read.
const VALUE_BYTES: usize = 64 << 10;
/// Requests that each client sends: 64 MiB of replies are owed to each, more than buffers of the kernel hold.
const REQUESTS: usize = 1024;
/// How long a client tries to send all of them. A server may stop reading from it.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// Pause before a full socket is tried again.
const SEND_AGAIN: Duration = Duration::from_millis(5);
/// The key of the value.
const KEY: &[u8] = b"bench:unread";

/// A client that reads nothing, for as long as it is kept.
#[derive(Debug)]
pub struct Unread {
    _stream: TcpStream,
}

/// Stores a value, opens the clients, and lets each send its requests.
pub(super) fn open(port: u16, store_port: u16) -> anyhow::Result<Vec<Unread>> {
    let reply = Connection::open(store_port)?.call(&[b"SET", KEY, &data::value(VALUE_BYTES)])?;
    ensure!(reply == Reply::Simple("OK".to_owned()), "SET answered {reply:?}");
    (0..UNREAD_CLIENTS).map(|_| one(port)).collect()
}

fn one(port: u16) -> anyhow::Result<Unread> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nonblocking(true)?;
    let bytes = encode(&[b"GET", KEY]).repeat(REQUESTS);
    let (begin, mut sent) = (Instant::now(), 0);
    while sent < bytes.len() && begin.elapsed() < SEND_LIMIT {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(SEND_AGAIN),
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(sent > 0, "no request could be sent");
    Ok(Unread { _stream: stream })
}
