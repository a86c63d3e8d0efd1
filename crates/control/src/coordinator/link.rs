//! A connection to a proxy that asks one thing at a time, each within a time limit.

use std::io;
use std::time::Duration;

use model::Address;
use resp::{ReplyError, ReplyScanner, ReplyStep, Value, encode, parse_value};
use service::config::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The longest reply that is taken: a proxy's answer to a probe has a line for each node and each import.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Read at once. An answer to a probe is well below it, and each link keeps that much.
const READ_BYTES: usize = 2048;

/// Why a proxy gave no answer. The connection is of no use afterwards, except after `Refused`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// No connection, or it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing came in time.
    #[error("no answer in time")]
    TimedOut,
    /// What came is no reply.
    #[error("it sent something that is not a reply: {0}")]
    Malformed(#[from] ReplyError),
    /// The reply is too long.
    #[error("its reply is longer than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    /// It answered with an error.
    #[error("it answered: {0}")]
    Refused(String),
    /// It answered with something of another kind than asked for.
    #[error("its answer lacks {0}")]
    Unexpected(&'static str),
}

/// A connection that has authenticated.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Link {
    /// Connects, and authenticates where there is a password, until `deadline`.
    pub(crate) async fn connect(
        proxy: &Address,
        password: Option<&Secret>,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let connecting = TcpStream::connect((proxy.host(), proxy.port()));
        let stream = timeout_at(deadline, connecting).await.map_err(|_| LinkError::TimedOut)??;
        stream.set_nodelay(true)?;
        let mut link = Self { stream, buffer: Vec::new(), request: Vec::new() };
        if let Some(password) = password {
            link.ask(&[b"AUTH", password.expose().as_bytes()], deadline, |_| Ok(())).await?;
        }
        Ok(link)
    }

    /// Sends a request, waits for its reply until `deadline`, and reads it.
    pub(crate) async fn ask<T>(
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
    pub(crate) async fn broken(&mut self) -> LinkError {
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
            return Err(LinkError::TooLong);
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// How long something may take from now.
pub(crate) fn within(limit: Duration) -> Instant {
    Instant::now() + limit
}
