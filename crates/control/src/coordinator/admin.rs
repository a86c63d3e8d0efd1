//! What a coordinator answers to operators, in Redis's protocol: PING, and CONFIG GET and SET of `brokers` and
//! `reporter_id`.

use std::collections::VecDeque;

use resp::{RequestLimits, RequestParser, RequestStep, encode};
use service::config::{Secret, Setting as _};
use subtle::ConstantTimeEq as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tracing::debug;

use super::config::BrokerAddress;
use super::metadata::MetadataSource;

/// How many clients are connected at a time; for one more the one that has been longest is dropped. So connections that are
/// left open keep nobody from asking.
const CLIENTS_MAX: usize = 64;
/// Requests here are short.
const LIMITS: RequestLimits =
    RequestLimits { bulk_bytes_max: 64 * 1024, args_max: 64, ..RequestLimits::AUTHENTICATED };
/// The longest request as a whole.
const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// Read at once.
const READ_BYTES: usize = 4096;

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Admin<M> {
    /// Knows the brokers.
    pub(crate) metadata: M,
    /// Who reports failures.
    pub(crate) reporter: String,
    /// What an operator has to say first; where there is none, who is on this host is one.
    pub(crate) password: Option<Secret>,
}

/// What is refused to those who are no operators.
const NOT_AN_OPERATOR: &str = "NOPERM CONFIG SET is for operators: say AUTH <admin_password> first, or, where none is set, \
                               ask from the coordinator's own host";

impl<M: MetadataSource> Admin<M> {
    /// Serves until it is aborted.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    open.retain(|client| !client.is_finished());
                    if open.len() >= CLIENTS_MAX
                        && let Some(oldest) = open.pop_front()
                    {
                        oldest.abort();
                    }
                    let admin = self.clone();
                    let is_operator = self.password.is_none() && is_local(&stream);
                    let client = tokio::spawn(async move {
                        if let Err(error) = admin.talk(stream, is_operator).await {
                            debug!(%error, "an operator's connection broke");
                        }
                    });
                    open.push_back(client.abort_handle());
                }
                // Out of descriptors, or the client is gone already: neither is helped by spinning.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            }
        }
    }

    async fn talk(&self, mut stream: TcpStream, mut is_operator: bool) -> std::io::Result<()> {
        let (mut parser, mut buffer, mut reply) = (RequestParser::new(), Vec::new(), Vec::new());
        loop {
            let is_open = self.answer_all(&mut parser, &mut buffer, (&mut is_operator, &mut reply));
            stream.write_all(&reply).await?;
            reply.clear();
            buffer.reserve(READ_BYTES);
            if !is_open || buffer.len() > REQUEST_BYTES_MAX || stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Answers the whole requests in the buffer; false when the connection is to be closed.
    fn answer_all(
        &self,
        parser: &mut RequestParser,
        buffer: &mut Vec<u8>,
        (is_operator, reply): (&mut bool, &mut Vec<u8>),
    ) -> bool {
        let mut used = 0;
        let is_open = loop {
            let words = |frame: &[u8], parser: &RequestParser| -> Vec<Vec<u8>> {
                parser.spans().iter().map(|span| span.of(frame).to_vec()).collect()
            };
            let (words, length) = match parser.parse(&buffer[used..], &LIMITS) {
                Err(error) => {
                    encode::error(reply, &error.to_string());
                    break false;
                }
                Ok(RequestStep::Incomplete { .. }) => break true,
                Ok(RequestStep::Skip { len }) => (Vec::new(), len),
                Ok(RequestStep::Inline { len }) => (words(parser.inline_frame(), parser), len),
                Ok(RequestStep::Request { len }) => (words(&buffer[used..], parser), len),
            };
            used += length;
            // A web page made a browser send this: what follows is not to reach a command, as in Redis.
            if is_http(&words) {
                break false;
            }
            if !words.is_empty() && !self.answer(&words, (&mut *is_operator, &mut *reply)) {
                break false;
            }
        };
        buffer.drain(..used);
        is_open
    }

    fn answer(&self, words: &[Vec<u8>], (is_operator, reply): (&mut bool, &mut Vec<u8>)) -> bool {
        let texts: Vec<String> =
            words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let lower: Vec<String> = texts.iter().map(|text| text.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["ping"] => encode::simple(reply, "PONG"),
            ["ping", _] | ["echo", _] => encode::bulk(reply, &words[1]),
            ["quit"] => {
                encode::simple(reply, "OK");
                return false;
            }
            ["auth", _] => self.authenticate(&words[1], (is_operator, reply)),
            ["auth", "default", _] => self.authenticate(&words[2], (is_operator, reply)),
            ["config", "set", ..] if !*is_operator => encode::error(reply, NOT_AN_OPERATOR),
            ["config", "get", "brokers"] => pair(reply, "brokers", &self.metadata.brokers().join(",")),
            ["config", "get", "reporter_id"] => pair(reply, "reporter_id", &self.reporter),
            ["config", "get", "*"] => {
                encode::array(reply, 4);
                for text in ["brokers", &self.metadata.brokers().join(","), "reporter_id", &self.reporter] {
                    encode::bulk(reply, text.as_bytes());
                }
            }
            ["config", "get", _] => encode::array(reply, 0),
            ["config", "set", "brokers", _] => self.set_brokers(&texts[3], reply),
            ["config", "set", field, _] => {
                encode::error(reply, &format!("ERR '{field}' cannot be set; brokers can"));
            }
            [name, ..] => {
                let known = "AUTH, PING, ECHO, QUIT, CONFIG GET brokers|reporter_id, CONFIG SET brokers";
                encode::error(reply, &format!("ERR unknown command '{name}'; a coordinator knows {known}"));
            }
            [] => {}
        }
        true
    }

    /// The password is compared without telling by the time it takes how much was right.
    fn authenticate(&self, given: &[u8], (is_operator, reply): (&mut bool, &mut Vec<u8>)) {
        let is_right = |password: &Secret| bool::from(password.expose().as_bytes().ct_eq(given));
        match &self.password {
            None => encode::error(reply, "ERR AUTH was given, but no admin_password is set"),
            Some(password) if is_right(password) => {
                *is_operator = true;
                encode::simple(reply, "OK");
            }
            Some(_) => encode::error(reply, "WRONGPASS invalid password"),
        }
    }

    fn set_brokers(&self, text: &str, reply: &mut Vec<u8>) {
        let brokers: Result<Vec<_>, _> = text.split(',').map(BrokerAddress::from_text).collect();
        match brokers {
            Err(_) => {
                let accepted = BrokerAddress::accepts();
                encode::error(reply, &format!("ERR brokers: a list of {accepted}, with commas"));
            }
            Ok(brokers) => {
                if self.metadata.set_brokers(brokers.into_iter().map(|broker| broker.0).collect()) {
                    encode::simple(reply, "OK");
                } else {
                    encode::error(reply, "ERR the broker is in this process: brokers cannot be set");
                }
            }
        }
    }
}

/// The first words of a request in HTTP.
fn is_http(words: &[Vec<u8>]) -> bool {
    let first = words.first().map_or(&[][..], Vec::as_slice);
    first.eq_ignore_ascii_case(b"POST") || first.eq_ignore_ascii_case(b"Host:")
}

/// Whether a connection comes from this host: over the loopback, or from the address that it came to.
fn is_local(stream: &TcpStream) -> bool {
    match (stream.peer_addr(), stream.local_addr()) {
        (Ok(peer), Ok(own)) => peer.ip().to_canonical().is_loopback() || peer.ip() == own.ip(),
        _ => false,
    }
}

fn pair(reply: &mut Vec<u8>, field: &str, value: &str) {
    encode::array(reply, 2);
    encode::bulk(reply, field.as_bytes());
    encode::bulk(reply, value.as_bytes());
}
