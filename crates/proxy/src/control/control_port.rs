//! The control port (`control_address`): UMCTL in Redis's protocol for operators and coordinators, and nothing else.
//!
//! Connections are tasks of the control thread and hand their orders to it directly, so that no client is before them.
//! With a `control_password` a connection must give it before anything else; without one it must come from this
//! machine. Each connection has one request under way at a time; the kernel holds what it pipelines.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use proxy_core::authority::{self, Lack};
use proxy_core::errors;
use proxy_core::settings::Password;
use resp::{Protocol, RequestLimits, RequestParser, RequestStep, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{debug, error, warn};

use super::orders::Order;
use super::places::{Place, Places};
use super::reply_to::ReplyTo;
use super::texts;

/// Connections of operators at a time; one more is refused.
const OPERATORS_MAX: usize = 256;
/// Connections at a time that have not given the password yet; one more takes the place of the oldest. They have places
/// of their own, so that a client without the password takes no place of an operator's.
const STRANGERS_MAX: usize = 64;
/// A connection must give the password within this time.
const LOGIN_LIMIT: Duration = Duration::from_secs(3);
/// An operator that asks nothing for this long is disconnected, and one that does not read its answer, too.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// The longest request: a view of the largest cluster takes a few megabytes.
const REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest request before the password.
const LOGIN_BYTES_MAX: usize = 64 * 1024;
/// Read at once.
const READ_BYTES: usize = 16 * 1024;
/// After accepting failed, as it does when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the port needs.
#[derive(Debug, Clone)]
pub(super) struct ControlPort {
    pub(super) password: Option<Password>,
    pub(super) orders: Sender<Order>,
}

impl ControlPort {
    /// Serves until it is aborted. To be called inside the control thread's runtime.
    pub(super) async fn serve(self, listener: TcpListener) {
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => return error!(%error, "the control port cannot listen"),
        };
        let (strangers, operators) = (Places::new(STRANGERS_MAX), Arc::new(Semaphore::new(OPERATORS_MAX)));
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let stranger = strangers.take().await;
                    let (port, operators) = (self.clone(), operators.clone());
                    tokio::spawn(async move {
                        if let Err(error) = port.serve_connection(stream, stranger, &operators).await {
                            debug!(%error, "a connection to the control port ended");
                        }
                    });
                }
                Err(error) => {
                    warn!(%error, "the control port cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve_connection(
        self,
        stream: TcpStream,
        stranger: Place,
        operators: &Arc<Semaphore>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let lack = match self.password {
            Some(_) => Err(Lack::Password),
            None => authority::of_place(stream.peer_addr()?, stream.local_addr()?),
        };
        let mut connection = Connection::new(stream);
        if let Err(lack) = lack {
            let outcome = tokio::select! {
                outcome = timeout(LOGIN_LIMIT, self.log_in(&mut connection, lack)) => outcome,
                () = stranger.wanted() => return Ok(()),
            };
            if !outcome.unwrap_or(Ok(false))? {
                return Ok(());
            }
        }
        let Ok(_operator) = operators.clone().try_acquire_owned() else {
            return connection.refuse(errors::MAX_CLIENTS).await;
        };
        drop(stranger);
        while let Some(request) =
            connection.read(IDLE_MAX, REQUEST_BYTES_MAX, &RequestLimits::default()).await?
        {
            let Some(reply) = self.answer(&request).await else { return Ok(()) };
            connection.write(&reply).await?;
        }
        Ok(())
    }

    /// Waits for the password; false if the connection is to end without it.
    async fn log_in(&self, connection: &mut Connection, lack: Lack) -> io::Result<bool> {
        while let Some(request) =
            connection.read(LOGIN_LIMIT, LOGIN_BYTES_MAX, &RequestLimits::UNAUTHENTICATED).await?
        {
            let mut reply = Vec::new();
            match (password_in(&request), &self.password) {
                (Some(given), Some(password)) if password.is(given) => {
                    encode::simple(&mut reply, "OK");
                    connection.write(&reply).await?;
                    return Ok(true);
                }
                (Some(_), Some(_)) => errors::write(&mut reply, errors::WRONG_CONTROL_PASSWORD),
                (None, Some(_)) => errors::write(&mut reply, errors::NOAUTH),
                (_, None) => {
                    errors::write(&mut reply, &errors::not_an_operator("this port", lack));
                    connection.write(&reply).await?;
                    return Ok(false);
                }
            }
            connection.write(&reply).await?;
        }
        Ok(false)
    }

    /// The reply; `None` when the proxy ends.
    async fn answer(&self, request: &[Vec<u8>]) -> Option<Vec<u8>> {
        let mut reply = Vec::new();
        let is = |name: &[u8]| request[0].eq_ignore_ascii_case(name);
        match (password_in(request), &self.password) {
            (Some(given), Some(password)) if !password.is(given) => {
                errors::write(&mut reply, errors::WRONG_CONTROL_PASSWORD);
            }
            (Some(_), Some(_)) => encode::simple(&mut reply, "OK"),
            (Some(_), None) => encode::simple(&mut reply, errors::CONTROL_PASSWORD_NOT_SET),
            (None, _) if is(b"UMCTL") => {
                let (caller, answered) = oneshot::channel();
                self.orders.send(Order::Umctl(request.to_vec(), ReplyTo::Caller(caller))).await.ok()?;
                reply = answered.await.ok()?;
            }
            (None, _) if is(b"PING") => encode::simple(&mut reply, "PONG"),
            (None, _) if is(b"COMMAND") => encode::map(&mut reply, Protocol::Resp2, 0),
            (None, _) => errors::write(&mut reply, texts::NOT_ON_CONTROL_PORT),
        }
        Some(reply)
    }
}

/// The password in `AUTH [user] password` or `UMCTL AUTH password`.
fn password_in(request: &[Vec<u8>]) -> Option<&[u8]> {
    let is = |place: usize, word: &[u8]| request[place].eq_ignore_ascii_case(word);
    match request.len() {
        2 if is(0, b"AUTH") => Some(&request[1]),
        3 if is(0, b"AUTH") || (is(0, b"UMCTL") && is(1, b"AUTH")) => Some(&request[2]),
        _ => None,
    }
}

/// One connection's bytes.
struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    parser: RequestParser,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection { stream, received: Vec::new(), parser: RequestParser::new() }
    }

    /// The next request, with at least one argument; `None` when there is none any more, or none comes in time.
    async fn read(
        &mut self,
        limit: Duration,
        bytes_max: usize,
        limits: &RequestLimits,
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        loop {
            let step = match self.parser.parse(&self.received, limits) {
                Ok(step) => step,
                Err(error) => {
                    let mut reply = Vec::new();
                    errors::protocol(&mut reply, &error.to_string());
                    self.write(&reply).await?;
                    return Ok(None);
                }
            };
            let (frame, taken) = match step {
                RequestStep::Request { len } => (&self.received[..], len),
                RequestStep::Inline { len } => (self.parser.inline_frame(), len),
                RequestStep::Skip { len } => {
                    self.received.drain(..len);
                    continue;
                }
                RequestStep::Incomplete { .. } => {
                    if self.received.len() > bytes_max {
                        self.refuse(texts::CONTROL_REQUEST_TOO_LARGE).await?;
                        return Ok(None);
                    }
                    self.received.reserve(READ_BYTES);
                    match timeout(limit, self.stream.read_buf(&mut self.received)).await {
                        Err(_) | Ok(Ok(0)) => return Ok(None),
                        Ok(Err(error)) => return Err(error),
                        Ok(Ok(_)) => continue,
                    }
                }
            };
            let words: Vec<Vec<u8>> =
                self.parser.spans().iter().map(|span| span.of(frame).to_vec()).collect();
            self.received.drain(..taken);
            if !words.is_empty() {
                return Ok(Some(words));
            }
        }
    }

    async fn write(&mut self, reply: &[u8]) -> io::Result<()> {
        let written = timeout(IDLE_MAX, self.stream.write_all(reply)).await;
        written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn refuse(&mut self, text: &str) -> io::Result<()> {
        let mut reply = Vec::new();
        errors::write(&mut reply, text);
        self.write(&reply).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_password_stands() {
        for (line, expected) in [
            ("AUTH a", Some("a")),
            ("auth default a", Some("a")),
            ("umctl auth a", Some("a")),
            ("AUTH", None),
            ("UMCTL AUTH", None),
            ("UMCTL READY x", None),
            ("UMCTL AUTH a b", None),
            ("PING", None),
        ] {
            let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(password_in(&words), expected.map(str::as_bytes), "{line}");
        }
    }
}
