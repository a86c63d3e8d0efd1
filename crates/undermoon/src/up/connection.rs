//! A connection to a Redis server or a proxy, for one question at a time.

use anyhow::{Context as _, bail};
use model::Address;
use resp::Value;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long connecting, and each wait for bytes, may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer may be: what is asked here is answered in a page.
const REPLY_BYTES_MAX: usize = 1024 * 1024;

/// What an error answer begins with that may be another one a little later.
const TEMPORARY: [&str; 3] = ["TRY_AGAIN", "LOADING", "CLUSTERDOWN"];

/// An error answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refusal(String);

impl Refusal {
    /// Whether asking again may help.
    pub(crate) fn is_temporary(&self) -> bool {
        TEMPORARY.iter().any(|code| self.0.starts_with(code))
    }
}

/// A blocking connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects, and authenticates where there is a password.
    pub(crate) fn open(address: &Address, password: Option<&str>) -> anyhow::Result<Self> {
        let mut resolved = (address.host(), address.port()).to_socket_addrs()?;
        let target = resolved.next().with_context(|| format!("{address} has no IP address"))?;
        let stream = TcpStream::connect_timeout(&target, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let mut connection = Connection { stream };
        if let Some(password) = password {
            connection.ask(&["AUTH", password])?;
        }
        Ok(connection)
    }

    /// Sends a command and returns its answer as text; an error answer is an error.
    pub(crate) fn ask(&mut self, arguments: &[&str]) -> anyhow::Result<String> {
        let arguments: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
        let mut request = Vec::new();
        resp::encode::request(&mut request, &arguments);
        self.stream.write_all(&request)?;
        let mut buffer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            if let Some((value, _)) = resp::parse_value(&buffer)? {
                return text_of(&value);
            }
            if buffer.len() > REPLY_BYTES_MAX {
                bail!("an answer of more than {REPLY_BYTES_MAX} bytes");
            }
            match self.stream.read(&mut chunk)? {
                0 => bail!("the connection was closed"),
                length => buffer.extend_from_slice(&chunk[..length]),
            }
        }
    }
}

fn text_of(value: &Value<'_>) -> anyhow::Result<String> {
    match value {
        Value::Simple(text) | Value::Bulk(text) | Value::Verbatim(text) => {
            Ok(String::from_utf8_lossy(text).into_owned())
        }
        Value::Integer(number) => Ok(number.to_string()),
        Value::Error(text) | Value::BulkError(text) => {
            Err(Refusal(String::from_utf8_lossy(text).into_owned()).into())
        }
        other => bail!("an answer of an unexpected kind: {other:?}"),
    }
}
