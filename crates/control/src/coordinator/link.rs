//! A connection to a proxy that asks one thing at a time, each within a time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use model::{Address, HealthAnswer, HealthFault};
use resp::{ReplyError, ReplyScanner, ReplyStep, Value, encode, parse_value};
use service::config::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
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
    /// Its name stands for no address.
    #[error("its name cannot be resolved: {0}")]
    Unresolved(io::Error),
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
    /// It has started anew since it was decided what to send.
    #[error("it has started anew meanwhile")]
    AnotherProcess,
}

impl From<HealthFault> for LinkError {
    fn from(HealthFault(missing): HealthFault) -> Self {
        Self::Unexpected(missing)
    }
}

/// Reads an answer to UMCTL HEALTH.
pub(crate) fn health(reply: &Value<'_>) -> Result<HealthAnswer, LinkError> {
    Ok(HealthAnswer::read(reply)?)
}

/// Errors of the machine that asks: out of addresses, its interface down, or forbidden to connect. That a network cannot be
/// reached is none: a router on the way to a dead host says so, too.
const OWN_FAULTS: [io::ErrorKind; 3] =
    [io::ErrorKind::AddrNotAvailable, io::ErrorKind::NetworkDown, io::ErrorKind::PermissionDenied];
/// EMFILE and ENFILE of Linux: too many open files, of the process and of the machine. No kind stands for them.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

impl LinkError {
    /// Whether the proxy may be as well as can be: it answered, though not what was asked for, or this side could not ask.
    /// What is no reply at all comes from another program in the proxy's place.
    pub(crate) fn says_nothing(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unexpected(_) | Self::Unresolved(_) | Self::AnotherProcess => true,
            Self::TimedOut | Self::Malformed(_) | Self::TooLong => false,
            Self::Io(error) => {
                let is_full = error.raw_os_error().is_some_and(|code| TOO_MANY_FILES.contains(&code));
                is_full || OWN_FAULTS.contains(&error.kind())
            }
        }
    }
}

/// How a coordinator reaches proxies, and what it says who it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxyAccess {
    /// The password of clients.
    pub(crate) password: Option<Secret>,
    /// The control password.
    pub(crate) control_password: Option<Secret>,
    /// How far the control port is above the one for clients; 0 where they are the same.
    pub(crate) control_port_offset: u16,
}

impl ProxyAccess {
    /// Where a proxy answers UMCTL.
    pub(crate) fn place<'a>(&self, proxy: &'a Address) -> (&'a str, u16) {
        // The configuration says that the offset fits the ports of its proxies.
        (proxy.host(), proxy.port().saturating_add(self.control_port_offset))
    }

    /// Says who it is.
    async fn introduce(&self, link: &mut Link, deadline: Instant) -> Result<(), LinkError> {
        let has_own_port = self.control_port_offset > 0;
        if !has_own_port && let Some(password) = &self.password {
            link.ask(&[b"AUTH", password.expose().as_bytes()], deadline, |_| Ok(())).await?;
        }
        let fallback = self.password.as_ref().filter(|_| has_own_port);
        let Some(password) = self.control_password.as_ref().or(fallback) else { return Ok(()) };
        let words: [&[u8]; 3] = [b"UMCTL", b"AUTH", password.expose().as_bytes()];
        match link.ask(&words, deadline, |_| Ok(())).await {
            // A proxy of an older version knows no control password.
            Err(LinkError::Refused(error)) if error.starts_with("ERR ") => Ok(()),
            outcome => outcome,
        }
    }
}

/// A connection that has authenticated.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    request: Vec<u8>,
}

impl Link {
    /// Connects as a coordinator, until `deadline`.
    pub(crate) async fn connect_as(
        access: &ProxyAccess,
        proxy: &Address,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let found = timeout_at(deadline, resolve(access.place(proxy))).await;
        Self::connect_to(access, &found.map_err(|_| LinkError::TimedOut)??, deadline).await
    }

    /// Connects as a coordinator, at addresses that were found before.
    pub(crate) async fn connect_to(
        access: &ProxyAccess,
        found: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let mut link = Self::open(found, deadline).await?;
        access.introduce(&mut link, deadline).await?;
        Ok(link)
    }

    /// Connects as a client, and authenticates where there is a password, until `deadline`.
    pub(crate) async fn connect(
        proxy: &Address,
        password: Option<&Secret>,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let found = timeout_at(deadline, resolve((proxy.host(), proxy.port()))).await;
        let mut link = Self::open(&found.map_err(|_| LinkError::TimedOut)??, deadline).await?;
        if let Some(password) = password {
            link.ask(&[b"AUTH", password.expose().as_bytes()], deadline, |_| Ok(())).await?;
        }
        Ok(link)
    }

    async fn open(found: &[SocketAddr], deadline: Instant) -> Result<Self, LinkError> {
        let connecting = TcpStream::connect(found);
        let stream = timeout_at(deadline, connecting).await.map_err(|_| LinkError::TimedOut)??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), request: Vec::new() })
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

/// The addresses that a host's name stands for, with its port.
pub(crate) async fn resolve(place: (&str, u16)) -> Result<Vec<SocketAddr>, LinkError> {
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
