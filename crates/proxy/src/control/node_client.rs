//! A connection of the control thread's own to a node: one request at a time, each with a time limit.

use std::io;
use std::time::Duration;

use model::Address;
use proxy_core::settings::Secret;
use resp::{ReplyError, ReplyScanner, ReplyStep, Value, encode, parse_value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The longest reply that is taken: COMMAND of a server with many modules has about a megabyte.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Read at once.
const READ_BYTES: usize = 16 * 1024;

/// Why a node gave no answer. The connection is of no use afterwards, except after `Refused`.
#[derive(Debug, thiserror::Error)]
pub(super) enum NodeError {
    /// No connection, or it broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The node closed the connection.
    #[error("it closed the connection")]
    Closed,
    /// What came is no reply.
    #[error("it sent something that is not a reply: {0}")]
    Malformed(#[from] ReplyError),
    /// The reply is too long.
    #[error("its reply is longer than {REPLY_BYTES_MAX} bytes")]
    TooLong,
    /// The node answered with an error.
    #[error("it answered: {0}")]
    Refused(String),
    /// The node answered with something of another kind than asked for.
    #[error("it sent an unexpected reply")]
    Unexpected,
}

/// A connection that has authenticated.
#[derive(Debug)]
pub(super) struct NodeClient {
    stream: TcpStream,
    buffer: Vec<u8>,
    limit: Duration,
}

/// The bytes of one whole reply that is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NodeReply(Vec<u8>);

impl NodeReply {
    /// The reply as a tree.
    ///
    /// # Errors
    /// When it is nested too deeply.
    pub(super) fn value(&self) -> Result<Value<'_>, NodeError> {
        let (value, _) = parse_value(&self.0)?.ok_or(NodeError::Unexpected)?;
        Ok(value)
    }

    /// The text of a simple, bulk or verbatim string.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn text(&self) -> Result<String, NodeError> {
        match self.value()? {
            Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(text) => {
                Ok(String::from_utf8_lossy(text).into_owned())
            }
            _ => Err(NodeError::Unexpected),
        }
    }
}

impl NodeClient {
    /// Connects and authenticates where there is a password. Each step, now and later, may take `limit`.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(super) async fn connect(
        node: &Address,
        password: Option<&Secret>,
        limit: Duration,
    ) -> Result<NodeClient, NodeError> {
        let connecting = TcpStream::connect((node.host(), node.port()));
        let stream =
            tokio::time::timeout(limit, connecting).await.map_err(|_| NodeError::TimedOut(limit))??;
        stream.set_nodelay(true)?;
        let mut client = NodeClient { stream, buffer: Vec::new(), limit };
        if let Some(password) = password {
            client.call(&[b"AUTH", password.reveal()]).await?;
        }
        Ok(client)
    }

    /// Whether the node is on this machine: both ends have the same address.
    pub(super) fn is_near(&self) -> bool {
        let ends = (self.stream.local_addr(), self.stream.peer_addr());
        matches!(ends, (Ok(local), Ok(peer)) if local.ip() == peer.ip())
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`NodeError`]; `Refused` is the node's own error reply.
    pub(super) async fn call(&mut self, args: &[&[u8]]) -> Result<NodeReply, NodeError> {
        self.call_waiting(args, Duration::ZERO).await
    }

    /// As [`NodeClient::call`], for a request that the node may answer later than others, by this much.
    ///
    /// # Errors
    /// As [`NodeClient::call`].
    pub(super) async fn call_waiting(
        &mut self,
        args: &[&[u8]],
        longer: Duration,
    ) -> Result<NodeReply, NodeError> {
        let mut request = Vec::new();
        encode::request(&mut request, args);
        let limit = self.limit + longer;
        let deadline = Instant::now() + limit;
        let late = |_| NodeError::TimedOut(limit);
        timeout_at(deadline, self.stream.write_all(&request)).await.map_err(late)??;
        let reply = timeout_at(deadline, self.read()).await.map_err(late)??;
        match reply.first() {
            Some(b'-') => Err(NodeError::Refused(String::from_utf8_lossy(&reply[1..]).trim_end().to_owned())),
            _ => Ok(NodeReply(reply)),
        }
    }

    async fn read(&mut self) -> Result<Vec<u8>, NodeError> {
        let mut scanner = ReplyScanner::new();
        let mut scanned = 0;
        loop {
            if scanned < self.buffer.len() {
                match scanner.scan(&self.buffer[scanned..])? {
                    ReplyStep::End(used) => {
                        let rest = self.buffer.split_off(scanned + used);
                        return Ok(std::mem::replace(&mut self.buffer, rest));
                    }
                    ReplyStep::More => scanned = self.buffer.len(),
                }
            }
            if self.buffer.len() > REPLY_BYTES_MAX {
                return Err(NodeError::TooLong);
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(NodeError::Closed);
            }
        }
    }
}
