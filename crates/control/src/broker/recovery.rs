//! Asks proxies for their epochs, after metadata was lost or restored from an old dump.

use std::time::Duration;

use link::{LinkError, Reply};
use model::{Address, Epoch};
use resp::Value;
use service::config::Secret;

use super::crowd;

/// How long one proxy may take.
const PROXY_TIMEOUT: Duration = Duration::from_secs(2);

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
    let answers = crowd::each(proxies, password, PROXY_TIMEOUT, async |mut link, deadline| {
        read(&link.ask(&[b"UMCTL", b"GETEPOCH"], deadline).await?)
    });
    for (proxy, answer) in answers.await {
        match answer {
            Ok(epoch) => found.highest = found.highest.max(epoch),
            Err(error) => {
                tracing::warn!(%proxy, %error, "the proxy did not tell its epoch");
                found.silent.push(proxy);
            }
        }
    }
    found
}

fn read(reply: &Reply) -> Result<Epoch, LinkError> {
    let number = match reply.value()? {
        Value::Integer(number) => u64::try_from(number).ok(),
        _ => None,
    };
    number.map(Epoch).ok_or(LinkError::Unexpected("an epoch"))
}
