//! A connection that asks one thing at a time, each within a time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use model::Address;
use resp::{ReplyScanner, ReplyStep, Value, encode, is_error, parse_value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::{LinkError, Places, Reply};

/// How long a reply may be where the user of a link says nothing else: a proxy's answer to a probe has a line for each node
/// and each import.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Read at once, at least. Answers to a probe are well below it.
const READ_BYTES: usize = 4096;

/// A connection to one server.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    /// The server's end.
    at: SocketAddr,
    /// What was received and not given to anybody.
    buffer: Vec<u8>,
    /// The last question.
    request: Vec<u8>,
    reply_bytes_max: usize,
    /// Whether a question was sent, at least in part, whose reply is not whole.
    owes_reply: bool,
}

impl Link {
    /// Connects, and authenticates as the default user where there is a password, until `deadline`.
    ///
    /// # Errors
    /// [`LinkError`]; `Refused` when the password is wrong.
    pub async fn connect(
        server: &Address,
        password: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let places = Places::of(server.host(), server.port(), deadline).await?;
        let mut link = Self::open(&places, deadline).await?;
        if let Some(password) = password {
            link.ask(&[b"AUTH", password], deadline).await?;
        }
        Ok(link)
    }

    /// Connects to the first of these places that accepts, until `deadline`.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] and [`LinkError::TimedOut`].
    pub async fn open(places: &Places, deadline: Instant) -> Result<Self, LinkError> {
        let begun = Instant::now();
        let mut failed = None;
        for at in places.iter() {
            let late = |_| LinkError::TimedOut(deadline.saturating_duration_since(begun));
            let connected = timeout_at(deadline, TcpStream::connect(at)).await.map_err(late)?;
            match connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream)) {
                Ok(stream) => {
                    return Ok(Self {
                        stream,
                        at,
                        buffer: Vec::new(),
                        request: Vec::new(),
                        reply_bytes_max: REPLY_BYTES_MAX,
                        owes_reply: false,
                    });
                }
                Err(source) => failed = Some(LinkError::Unreachable { at, source }),
            }
        }
        Err(failed.expect("a server has at least one place"))
    }

    /// Lets replies be this long, and not 4 MiB.
    #[must_use]
    pub fn with_reply_bytes_max(self, reply_bytes_max: usize) -> Self {
        Self { reply_bytes_max, ..self }
    }

    /// Whether the server is on this machine: both ends have the same address.
    #[must_use]
    pub fn is_near(&self) -> bool {
        self.stream.local_addr().is_ok_and(|local| local.ip() == self.at.ip())
    }

    /// Sends a question, and waits for its reply until `deadline`.
    ///
    /// It may be given up at any time. Then, and after an error other than `Refused`, no other question is sent, because
    /// the reply to this one could be taken for its answer:
    /// ```text
    ///   ask 1 ───▶ (no answer in time)
    ///   ask 2 ───▶ OutOfStep              and not: ◀─── the late reply to 1
    /// ```
    ///
    /// # Errors
    /// [`LinkError`]; `Refused` is the server's own error reply.
    pub async fn ask(&mut self, words: &[&[u8]], deadline: Instant) -> Result<Reply, LinkError> {
        if self.owes_reply || !self.buffer.is_empty() {
            return Err(LinkError::OutOfStep { at: self.at });
        }
        self.owes_reply = true;
        self.request.clear();
        encode::request(&mut self.request, words);
        let begun = Instant::now();
        let answered = timeout_at(deadline, self.talk()).await;
        let reply =
            answered.map_err(|_| LinkError::TimedOut(deadline.saturating_duration_since(begun)))??;
        self.owes_reply = false;
        if is_error(&reply) { Err(refusal(&reply)) } else { Ok(Reply::new(reply)) }
    }

    /// Waits, between two questions, until the connection breaks. It may be given up at any time.
    pub async fn broken(&mut self) -> LinkError {
        let at = self.at;
        loop {
            if let Err(source) = self.stream.readable().await {
                return LinkError::Broken { at, source };
            }
            match self.stream.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(source) => return LinkError::Broken { at, source },
                Ok(0) => return LinkError::Closed { at },
                Ok(_) => {
                    self.owes_reply = true;
                    return LinkError::OutOfStep { at };
                }
            }
        }
    }

    /// Sends the request, and takes the reply.
    async fn talk(&mut self) -> Result<Vec<u8>, LinkError> {
        let at = self.at;
        let broken = |source| LinkError::Broken { at, source };
        self.stream.write_all(&self.request).await.map_err(broken)?;
        let (mut scanner, mut scanned) = (ReplyScanner::new(), 0);
        loop {
            if self.buffer.len() > self.reply_bytes_max {
                return Err(LinkError::TooLong { at, bytes_max: self.reply_bytes_max });
            }
            self.buffer.reserve(READ_BYTES);
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(LinkError::Closed { at });
            }
            let step = scanner.scan(&self.buffer[scanned..]);
            match step.map_err(|source| LinkError::Malformed { at, source })? {
                ReplyStep::End(used) => {
                    let rest = self.buffer.split_off(scanned + used);
                    return Ok(std::mem::replace(&mut self.buffer, rest));
                }
                ReplyStep::More => scanned = self.buffer.len(),
            }
        }
    }
}

/// The error that an error reply stands for.
fn refusal(reply: &[u8]) -> LinkError {
    match parse_value(reply) {
        Ok(Some((Value::Error(text) | Value::BulkError(text), _))) => {
            LinkError::Refused(String::from_utf8_lossy(text).into_owned())
        }
        // An error reply is not nested, but what describes it may be.
        _ => LinkError::TooDeep,
    }
}

/// The time until which something may take that may take this long from now.
#[must_use]
pub fn within(limit: Duration) -> Instant {
    Instant::now() + limit
}
