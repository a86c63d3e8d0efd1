//! A small blocking client with raw access: it sends any bytes and gives back each reply's exact bytes.
//!
//! It never retries and never hides a closed connection or a late reply; those are what tests look for.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use resp::{ReplyScanner, ReplyStep, encode};

use crate::frame::{Frame, show};

/// How long a reply may take when a test does not say otherwise. A reply that comes later counts as a hang.
pub const REPLY_LIMIT: Duration = Duration::from_secs(20);

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const READ_CHUNK_BYTES: usize = 64 * 1024;

/// Why a connection gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The server did not accept a connection.
    #[error("no connection to {0}: {1}")]
    Refused(SocketAddr, std::io::Error),
    /// No reply within the time limit: a hang.
    #[error("no whole reply within {limit:?}; received so far: {received}")]
    TimedOut {
        /// The time limit.
        limit: Duration,
        /// What was received of the reply, cut for reading.
        received: String,
    },
    /// The server closed or reset the connection. `partial` says how many bytes of a reply it left.
    #[error("the server closed the connection, {partial} bytes into a reply")]
    Closed {
        /// Bytes of an unfinished reply.
        partial: usize,
    },
    /// What came is no reply.
    #[error("not a reply: {0} in {1}")]
    Malformed(resp::ReplyError, String),
    /// Another error of the socket.
    #[error(transparent)]
    Socket(std::io::Error),
}

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    reply_limit: Duration,
    buffer: Vec<u8>,
    /// Where the next reply begins in `buffer`.
    start: usize,
}

impl Connection {
    /// Connects, with [`REPLY_LIMIT`] for each reply.
    ///
    /// # Errors
    /// [`ConnectionError::Refused`].
    pub fn open(address: SocketAddr) -> Result<Self, ConnectionError> {
        Self::open_within(address, CONNECT_LIMIT)
    }

    /// [`open`](Self::open) with another limit for the connection to be accepted.
    ///
    /// # Errors
    /// [`ConnectionError::Refused`].
    pub fn open_within(address: SocketAddr, limit: Duration) -> Result<Self, ConnectionError> {
        let stream = TcpStream::connect_timeout(&address, limit)
            .map_err(|error| ConnectionError::Refused(address, error))?;
        stream.set_nodelay(true).map_err(ConnectionError::Socket)?;
        let mut connection = Self { stream, reply_limit: REPLY_LIMIT, buffer: Vec::new(), start: 0 };
        connection.set_reply_limit(REPLY_LIMIT)?;
        Ok(connection)
    }

    /// Sets how long each read may take from now on.
    ///
    /// # Errors
    /// Of the socket.
    pub fn set_reply_limit(&mut self, limit: Duration) -> Result<(), ConnectionError> {
        self.reply_limit = limit;
        self.stream.set_read_timeout(Some(limit)).map_err(ConnectionError::Socket)?;
        self.stream.set_write_timeout(Some(limit)).map_err(ConnectionError::Socket)
    }

    /// The socket, for tests that need what this client does not offer.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends one request as a RESP array.
    ///
    /// # Errors
    /// Of the socket; [`ConnectionError::Closed`] when the server is gone.
    pub fn send(&mut self, args: &[&[u8]]) -> Result<(), ConnectionError> {
        let mut request = Vec::new();
        encode::request(&mut request, args);
        self.send_raw(&request)
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        self.stream.write_all(bytes).map_err(|error| self.classify(error))
    }

    /// Tells the server that nothing more will be sent; replies can still be read.
    ///
    /// # Errors
    /// Of the socket.
    pub fn finish_sending(&mut self) -> Result<(), ConnectionError> {
        self.stream.shutdown(Shutdown::Write).map_err(ConnectionError::Socket)
    }

    /// Sends one request and reads one reply.
    ///
    /// # Errors
    /// As [`send`](Self::send) and [`read`](Self::read).
    pub fn call(&mut self, args: &[&[u8]]) -> Result<Frame, ConnectionError> {
        self.send(args)?;
        self.read()
    }

    /// [`call`](Self::call) with the words of `line`, for arguments without spaces.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn say(&mut self, line: &str) -> Result<Frame, ConnectionError> {
        let args: Vec<&[u8]> = line.split_whitespace().map(str::as_bytes).collect();
        self.call(&args)
    }

    /// Reads one reply (or push).
    ///
    /// # Errors
    /// [`ConnectionError::TimedOut`] when the server is silent for longer than the limit, `Closed`, `Malformed`.
    pub fn read(&mut self) -> Result<Frame, ConnectionError> {
        let mut scanner = ReplyScanner::new();
        let mut scanned = self.start;
        loop {
            if scanned < self.buffer.len() {
                match scanner.scan(&self.buffer[scanned..]) {
                    Ok(ReplyStep::End(length)) => return Ok(self.take(scanned + length)),
                    Ok(ReplyStep::More) => scanned = self.buffer.len(),
                    Err(error) => {
                        return Err(ConnectionError::Malformed(error, show(&self.buffer[self.start..])));
                    }
                }
            }
            self.receive()?;
        }
    }

    /// Reads replies until the server closes the connection.
    ///
    /// # Errors
    /// As [`read`](Self::read), but for a close between two replies, which ends the list.
    pub fn read_until_closed(&mut self) -> Result<Vec<Frame>, ConnectionError> {
        let mut frames = Vec::new();
        loop {
            match self.read() {
                Ok(frame) => frames.push(frame),
                Err(ConnectionError::Closed { partial: 0 }) => return Ok(frames),
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the server has sent something that was not read yet; waits no longer than `within`.
    ///
    /// # Errors
    /// `Closed` and errors of the socket.
    pub fn has_data(&mut self, within: Duration) -> Result<bool, ConnectionError> {
        if self.start < self.buffer.len() {
            return Ok(true);
        }
        let limit = self.reply_limit;
        self.set_reply_limit(within)?;
        let received = self.receive();
        self.set_reply_limit(limit)?;
        match received {
            Ok(()) => Ok(true),
            Err(ConnectionError::TimedOut { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A second handle of the same connection that can only write, for sending while replies are read.
    ///
    /// # Errors
    /// Of the socket.
    pub fn writer(&self) -> Result<TcpStream, ConnectionError> {
        self.stream.try_clone().map_err(ConnectionError::Socket)
    }

    fn take(&mut self, end: usize) -> Frame {
        let frame = Frame::new(self.buffer[self.start..end].to_vec());
        self.start = end;
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        frame
    }

    fn receive(&mut self) -> Result<(), ConnectionError> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + READ_CHUNK_BYTES, 0);
        let received = self.stream.read(&mut self.buffer[filled..]);
        self.buffer.truncate(filled + received.as_ref().copied().unwrap_or(0));
        match received {
            Ok(0) => Err(ConnectionError::Closed { partial: self.buffer.len() - self.start }),
            Ok(_) => Ok(()),
            Err(error) => Err(self.classify(error)),
        }
    }

    fn classify(&self, error: std::io::Error) -> ConnectionError {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ConnectionError::TimedOut {
                limit: self.reply_limit,
                received: show(&self.buffer[self.start..]),
            },
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                ConnectionError::Closed { partial: self.buffer.len() - self.start }
            }
            _ => ConnectionError::Socket(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A connection to a server that sends `bytes` and then closes, or keeps the connection open.
    fn against(bytes: &'static [u8], close: bool) -> (Connection, Option<TcpStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = Connection::open(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(bytes).unwrap();
        (connection, (!close).then_some(peer))
    }

    #[test]
    fn replies_are_cut_at_their_exact_ends() {
        let (mut connection, _peer) = against(b"+OK\r\n*2\r\n:1\r\n$3\r\na\r\n\r\n_\r\n", true);
        let frames = connection.read_until_closed().unwrap();
        let bytes: Vec<&[u8]> = frames.iter().map(Frame::bytes).collect();
        assert_eq!(bytes, [b"+OK\r\n".as_slice(), b"*2\r\n:1\r\n$3\r\na\r\n\r\n", b"_\r\n"]);
    }

    #[test]
    fn each_failure_is_told_apart() {
        let (mut connection, _peer) = against(b"$5\r\nab", true);
        assert!(matches!(connection.read(), Err(ConnectionError::Closed { partial: 6 })));

        let (mut connection, _peer) = against(b"$5\r\nab", false);
        connection.set_reply_limit(Duration::from_millis(20)).unwrap();
        assert!(matches!(connection.read(), Err(ConnectionError::TimedOut { .. })));

        let (mut connection, _peer) = against(b"nonsense\r\n", false);
        assert!(matches!(connection.read(), Err(ConnectionError::Malformed(..))));

        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(matches!(Connection::open(closed), Err(ConnectionError::Refused(..))));
    }

    #[test]
    fn silence_is_not_data() {
        let (mut connection, peer) = against(b"", false);
        assert!(!connection.has_data(Duration::from_millis(20)).unwrap());
        peer.unwrap().write_all(b"+OK\r\n").unwrap();
        assert!(connection.has_data(Duration::from_secs(5)).unwrap());
        connection.read().unwrap().expect_ok().unwrap();
    }
}
