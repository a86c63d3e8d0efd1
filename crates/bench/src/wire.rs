//! A blocking connection that speaks just enough RESP2 to fill, check and question a server.
//! It must never be used where time is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// How long a server may take for one reply before the run is given up.
const REPLY_LIMIT: Duration = Duration::from_secs(10);
/// Longest bulk string that is read: nothing larger is ever stored.
const BULK_BYTES_MAX: usize = 64 << 20;
/// Most elements of an array that is read.
const ARRAY_MAX: usize = 1 << 20;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(String),
    /// `:number`
    Integer(i64),
    /// `$length`, or nothing for `$-1` and `*-1`
    Bulk(Option<Vec<u8>>),
    /// `*count`
    Array(Vec<Reply>),
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to a port of 127.0.0.1.
    ///
    /// # Errors
    /// When nothing listens there.
    pub fn open(port: u16) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("port {port}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_LIMIT))?;
        stream.set_write_timeout(Some(REPLY_LIMIT))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// Sends one command and reads its reply.
    ///
    /// # Errors
    /// When the connection breaks or the reply is not RESP2. An error reply is a [`Reply::Error`].
    pub fn call(&mut self, words: &[&[u8]]) -> anyhow::Result<Reply> {
        self.send(&encode(words))?;
        self.reply()
    }

    /// Sends bytes as they are; a reply must be read for each command in them.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// Reads the next reply.
    ///
    /// # Errors
    /// As for [`Connection::call`].
    pub fn reply(&mut self) -> anyhow::Result<Reply> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let text = line.strip_suffix("\r\n").context("the connection was closed")?;
        let (kind, rest) = text.split_at_checked(1).context("an empty line")?;
        Ok(match kind {
            "+" => Reply::Simple(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Integer(rest.parse()?),
            "$" if rest == "-1" => Reply::Bulk(None),
            "*" if rest == "-1" => Reply::Bulk(None),
            "$" => Reply::Bulk(Some(self.bulk(rest.parse()?)?)),
            "*" => {
                let count: usize = rest.parse()?;
                ensure!(count <= ARRAY_MAX, "an array of {count}");
                Reply::Array((0..count).map(|_| self.reply()).collect::<Result<_, _>>()?)
            }
            _ => bail!("not a reply: {text:?}"),
        })
    }

    fn bulk(&mut self, length: usize) -> anyhow::Result<Vec<u8>> {
        ensure!(length <= BULK_BYTES_MAX, "a bulk string of {length} bytes");
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

/// A command in the form in which clients send it.
#[must_use]
pub fn encode(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn check(sent: &'static [u8]) -> anyhow::Result<Reply> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || listener.accept().unwrap().0.write_all(sent).unwrap());
        let reply = Connection::open(port).unwrap().reply();
        server.join().unwrap();
        reply
    }

    #[test]
    fn replies() {
        let cases: [(&[u8], Option<Reply>); 9] = [
            (b"+OK\r\n", Some(Reply::Simple("OK".into()))),
            (b"-ERR no\r\n", Some(Reply::Error("ERR no".into()))),
            (b":-7\r\n", Some(Reply::Integer(-7))),
            (b"$4\r\na\r\nb\r\n", Some(Reply::Bulk(Some(b"a\r\nb".to_vec())))),
            (b"$-1\r\n", Some(Reply::Bulk(None))),
            (
                b"*2\r\n:1\r\n$1\r\nx\r\n",
                Some(Reply::Array(vec![Reply::Integer(1), Reply::Bulk(Some(b"x".to_vec()))])),
            ),
            (b"", None),
            (b"?\r\n", None),
            (b"$99999999999\r\n", None),
        ];
        for (sent, expected) in cases {
            assert_eq!(check(sent).ok(), expected, "{}", sent.escape_ascii());
        }
        assert_eq!(encode(&[b"GET", b"k"]), b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n");
    }
}
