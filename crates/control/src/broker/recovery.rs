//! Asks proxies for their epochs, after metadata was lost or restored from an old dump.

use std::io;
use std::time::Duration;

use model::{Address, Epoch};
use service::config::Secret;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long one proxy may take.
const PROXY_TIMEOUT: Duration = Duration::from_secs(2);
/// How many proxies are asked at a time.
const ASKED_AT_A_TIME: usize = 256;
/// A reply's line is no longer than this.
const LINE_BYTES_MAX: u64 = 1024;

/// What the proxies said.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The highest epoch of any of them.
    pub(super) highest: Epoch,
    /// Those that did not say.
    pub(super) silent: Vec<Address>,
}

/// The highest epoch that any of these proxies has.
pub(super) async fn highest_epoch(proxies: Vec<Address>, password: Option<&Secret>) -> Found {
    let mut found = Found::default();
    let mut waiting = proxies.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < ASKED_AT_A_TIME
            && let Some(proxy) = waiting.next()
        {
            let password = password.cloned();
            asked.spawn(async move {
                let epoch = timeout(PROXY_TIMEOUT, epoch_of(&proxy, password.as_ref())).await;
                (proxy, epoch.map_err(io::Error::from).flatten())
            });
        }
        let Some(answer) = asked.join_next().await else { break };
        match answer {
            Ok((_, Ok(epoch))) => found.highest = found.highest.max(epoch),
            Ok((proxy, Err(error))) => {
                tracing::warn!(%proxy, %error, "the proxy did not tell its epoch");
                found.silent.push(proxy);
            }
            Err(error) => tracing::error!(%error, "asking a proxy for its epoch failed"),
        }
    }
    found.silent.sort();
    found
}

async fn epoch_of(proxy: &Address, password: Option<&Secret>) -> io::Result<Epoch> {
    let stream = TcpStream::connect((proxy.host(), proxy.port())).await?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        let reply = ask(&mut stream, &["AUTH", password.expose()]).await?;
        if reply != "+OK" {
            return Err(io::Error::other(reply));
        }
    }
    let reply = ask(&mut stream, &["UMCTL", "GETEPOCH"]).await?;
    let number = reply.strip_prefix(':').and_then(|number| number.parse().ok());
    number.map(Epoch).ok_or_else(|| io::Error::other(reply))
}

async fn ask(stream: &mut BufReader<TcpStream>, words: &[&str]) -> io::Result<String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.get_mut().write_all(request.as_bytes()).await?;
    let mut line = String::new();
    tokio::io::AsyncReadExt::take(&mut *stream, LINE_BYTES_MAX).read_line(&mut line).await?;
    if !line.ends_with("\r\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}
