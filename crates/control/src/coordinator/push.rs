//! Giving a proxy what it should have: its roles, then its view; and having it emptied.

use std::time::Duration;

use link::{Link, LinkError, within};
use model::{Address, Epoch, RunId, SetCluster, SetRepl};
use resp::Value;
use tokio::time::Instant;

use super::access::{ProxyAccess, health};

/// What the error reply of a proxy that has something newer, or the same, begins with.
const OLD_EPOCH: &str = "OLD_EPOCH";

/// Why a proxy was not given what it should have.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// It did not answer as it should.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// It has started anew since it was decided what to send.
    #[error("it has started anew meanwhile")]
    AnotherProcess,
}

/// A proxy, and the process of it that something was decided for: none where it does not tell which it is.
pub(crate) type Meant<'a> = (&'a Address, Option<&'a RunId>);

/// How proxies are talked to.
#[derive(Clone, Debug)]
pub(crate) struct Pusher {
    /// How they are reached.
    pub(crate) access: ProxyAccess,
    /// How long all of it may take.
    pub(crate) limit: Duration,
    /// Whether views are compressed.
    pub(crate) compress: bool,
}

impl Pusher {
    /// Sends the roles, and when they are accepted the view. That the proxy has either already, or something
    /// newer, is no failure: another coordinator was first.
    pub(crate) async fn push(
        &self,
        proxy: Meant<'_>,
        roles: &SetRepl,
        view: &SetCluster,
    ) -> Result<(), PushError> {
        let deadline = within(self.limit);
        let mut link = self.connect(proxy, deadline).await?;
        for (word, arguments) in
            [("SETREPL", roles.to_args(self.compress)), ("SETCLUSTER", view.to_args(self.compress))]
        {
            let mut words: Vec<&[u8]> = vec![b"UMCTL", word.as_bytes()];
            words.extend(arguments.iter().map(String::as_bytes));
            match link.ask(&words, deadline).await {
                Err(LinkError::Refused(error)) if error.starts_with(OLD_EPOCH) => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Has the proxy empty its nodes, which it does only while the empty view of that epoch is what it has.
    pub(crate) async fn clean(&self, proxy: Meant<'_>, epoch: Epoch) -> Result<(), PushError> {
        let deadline = within(self.limit);
        let mut link = self.connect(proxy, deadline).await?;
        let epoch = epoch.to_string();
        match link.ask(&[b"UMCTL", b"CLEAN", epoch.as_bytes()], deadline).await?.value()? {
            Value::Simple(b"OK") => Ok(()),
            _ => Err(LinkError::Unexpected("OK").into()),
        }
    }

    /// A connection to that process of the proxy. What is sent over it goes to this process or to nobody, however late:
    /// ```text
    ///   proxy         process 1 answers ──▶ restarts ──▶ process 2, epoch 0
    ///   coordinator   decides for process 1 ───────────▶ connects, and finds process 2: sends nothing
    ///   coordinator   decides ─▶ connects ─▶ sleeps ──────────────────────▶ sends to process 1: the connection is broken
    /// ```
    async fn connect(&self, (proxy, process): Meant<'_>, deadline: Instant) -> Result<Link, PushError> {
        let mut link = self.access.connect(proxy, deadline).await?;
        if process.is_some() {
            let answer = health(&link.ask(&[b"UMCTL", b"HEALTH"], deadline).await?)?;
            if answer.health.run_id.as_ref() != process {
                return Err(PushError::AnotherProcess);
            }
        }
        Ok(link)
    }
}

#[cfg(test)]
mod tests {
    use model::{HealthAnswer, MetaFlags, ProxyHealth};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A proxy that is this process, and says OK to whatever else it is asked: what one caller has asked it.
    async fn serve(listener: TcpListener, run_id: Option<RunId>) -> String {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        // Each request is written at once, and is shorter than this.
        let mut request = [0; 4096];
        loop {
            let length = stream.read(&mut request).await.unwrap();
            if length == 0 {
                return String::from_utf8(asked).unwrap();
            }
            asked.extend_from_slice(&request[..length]);
            let mut reply = b"+OK\r\n".to_vec();
            if asked.ends_with(b"HEALTH\r\n") {
                reply.clear();
                let health = ProxyHealth { run_id: run_id.clone(), ..ProxyHealth::default() };
                HealthAnswer { health, ..HealthAnswer::default() }.write(&mut reply);
            }
            stream.write_all(&reply).await.unwrap();
        }
    }

    #[tokio::test]
    async fn another_process_than_was_meant_is_sent_nothing() {
        let run_id = |text: &str| text.parse::<RunId>().unwrap();
        for (meant, found, is_sent) in [
            (Some(run_id("first")), Some(run_id("first")), true),
            (Some(run_id("first")), Some(run_id("second")), false),
            (Some(run_id("first")), None, false),
            // Of a version that does not tell.
            (None, None, true),
        ] {
            for cleans in [false, true] {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let proxy = Address::new("127.0.0.1", port).unwrap();
                let served = tokio::spawn(serve(listener, found.clone()));
                let pusher = Pusher {
                    access: ProxyAccess::default(),
                    limit: Duration::from_secs(10),
                    compress: false,
                };
                let outcome = if cleans {
                    pusher.clean((&proxy, meant.as_ref()), Epoch(4)).await
                } else {
                    let (flags, processes, roles) = (MetaFlags::default(), Vec::new(), Vec::new());
                    let roles = SetRepl { epoch: Epoch(4), flags, processes, roles };
                    let view = model::View::empty(Epoch(4), "@pool".parse().unwrap());
                    pusher.push((&proxy, meant.as_ref()), &roles, &SetCluster::new(view, false)).await
                };
                let asked = served.await.unwrap();
                let has_changed = ["CLEAN", "SETREPL", "SETCLUSTER"].iter().any(|word| asked.contains(word));
                assert_eq!(
                    (outcome.is_ok(), has_changed),
                    (is_sent, is_sent),
                    "{meant:?} {found:?}: {outcome:?}"
                );
            }
        }
    }
}
