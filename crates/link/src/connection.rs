//! A connection that asks one thing at a time, each within a time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use model::Address;
use resp::{ReplyScanner, ReplyStep, Value, encode, parse_value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::LinkError;

/// The longest reply that is taken: a proxy's answer to a probe has a line for each node and each import.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Read at once. An answer to a probe is well below it, and each link keeps that much.
const READ_BYTES: usize = 2048;

/// A connection that has authenticated.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Link {
    /// Connects, and authenticates where there is a password, until `deadline`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn connect(
        server: &Address,
        password: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let found = timeout_at(deadline, resolve((server.host(), server.port()))).await;
        let mut link = Self::open(&found.map_err(|_| LinkError::TimedOut)??, deadline).await?;
        if let Some(password) = password {
            link.ask(&[b"AUTH", password], deadline, |_| Ok(())).await?;
        }
        Ok(link)
    }

    /// Connects to the first of these addresses that accepts, until `deadline`.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn open(found: &[SocketAddr], deadline: Instant) -> Result<Self, LinkError> {
        let connecting = TcpStream::connect(found);
        let stream = timeout_at(deadline, connecting).await.map_err(|_| LinkError::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), request: Vec::new() })
    }

    /// Sends a request, waits for its reply until `deadline`, and reads it.
    ///
    /// # Errors
    /// [`LinkError`]; `Refused` is the server's own error reply.
    pub async fn ask<T>(
        &mut self,
        arguments: &[&[u8]],
        deadline: Instant,
        read: impl FnOnce(&Value<'_>) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        self.request.clear();
        encode::request(&mut self.request, arguments);
        let talk = async {
            self.stream.write_all(&self.request).await?;
            receive(&mut self.stream, &mut self.buffer).await
        };
        let length = timeout_at(deadline, talk).await.map_err(|_| LinkError::TimedOut)??;
        let (value, _) = parse_value(&self.buffer[..length])?.ok_or(LinkError::Unexpected("an end"))?;
        let outcome = match &value {
            Value::Error(text) | Value::BulkError(text) => {
                Err(LinkError::Refused(String::from_utf8_lossy(text).into_owned()))
            }
            value => read(value),
        };
        self.buffer.drain(..length);
        outcome
    }

    /// Waits, between two questions, until the connection breaks. It may be given up at any time.
    pub async fn broken(&mut self) -> LinkError {
        loop {
            if let Err(error) = self.stream.readable().await {
                return error.into();
            }
            match self.stream.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return error.into(),
                Ok(0) => return io::Error::from(io::ErrorKind::UnexpectedEof).into(),
                Ok(_) => return LinkError::Unexpected("a question before it"),
            }
        }
    }
}

/// The addresses that a host's name stands for, with its port.
///
/// # Errors
/// [`LinkError::Unresolved`].
pub async fn resolve(place: (&str, u16)) -> Result<Vec<SocketAddr>, LinkError> {
    let found = lookup_host(place).await.map_err(LinkError::Unresolved)?;
    Ok(found.collect())
}

/// Reads until the buffer begins with a whole reply; its length.
async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<usize, LinkError> {
    let mut scanner = ReplyScanner::new();
    let mut scanned = 0;
    loop {
        if scanned < buffer.len() {
            match scanner.scan(&buffer[scanned..])? {
                ReplyStep::End(used) => return Ok(scanned + used),
                ReplyStep::More => scanned = buffer.len(),
            }
        }
        if buffer.len() > REPLY_BYTES_MAX {
            return Err(LinkError::TooLong(REPLY_BYTES_MAX));
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// The time until which something may take that may take this long from now.
#[must_use]
pub fn within(limit: Duration) -> Instant {
    Instant::now() + limit
}
