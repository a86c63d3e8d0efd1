//! Asks proxies what they have: their health, their views, and what their nodes hold.
//!
//! ```text
//! UMCTL VIEW
//!
//! view [<words of SETCLUSTER>…] nodes [[address <text> run_id <text> keys <n>]…]
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use control_core::{AskedProxies, Found, NodeContents};
use link::{Link, LinkError, Reply};
use model::{Address, Fields, HealthFault, SetCluster};
use resp::Value;
use service::config::Secret;
use tokio::time::Instant;

use super::crowd;
use crate::coordinator::health;

/// How long one proxy may take; what is slower counts as silent.
const PROXY_TIMEOUT: Duration = Duration::from_secs(1);
/// What each of these proxies has; `None` for one that does not answer.
pub(super) async fn inspect(proxies: Vec<Address>, password: Option<&Secret>) -> AskedProxies {
    let answers = crowd::each(proxies, password, PROXY_TIMEOUT, found_at).await;
    let known = answers.into_iter().map(|(proxy, answer)| match answer {
        Ok(found) => (proxy, Some(found)),
        Err(error) => {
            tracing::debug!(%proxy, %error, "the proxy did not say what it has");
            (proxy, None)
        }
    });
    known.collect()
}

async fn found_at(mut link: Link, deadline: Instant) -> Result<Found, LinkError> {
    let mut found = read(&link.ask(&[b"UMCTL", b"VIEW"], deadline).await?)?;
    // Asked last: what it says of the nodes is not older than the view.
    let health = health(&link.ask(&[b"UMCTL", b"HEALTH"], deadline).await?)?.health;
    if found.view.as_ref().is_some_and(|view| view.epoch != health.view_epoch) {
        return Err(LinkError::Unexpected("a view that stays"));
    }
    found.health = health;
    Ok(found)
}

fn read(reply: &Reply) -> Result<Found, LinkError> {
    found(&reply.value()?).map_err(|HealthFault(missing)| LinkError::Unexpected(missing))
}

fn found(reply: &Value<'_>) -> Result<Found, HealthFault> {
    let fields = Fields::of(reply)?;
    let words = fields.list("view")?.iter().map(|word| match word {
        Value::Bulk(bytes) | Value::Simple(bytes) => Ok(*bytes),
        _ => Err(HealthFault("words")),
    });
    let words = words.collect::<Result<Vec<&[u8]>, _>>()?;
    let view = match words.as_slice() {
        [] => None,
        words => Some(SetCluster::parse(words).map_err(|_| HealthFault("a view"))?.view),
    };
    let mut contents = BTreeMap::new();
    for node in fields.list("nodes")? {
        let node = Fields::of(node)?;
        let held = NodeContents { run_id: node.text("run_id")?.to_owned(), keys: node.number("keys")? };
        contents.insert(node.parsed("address")?, held);
    }
    Ok(Found { view, contents, ..Found::default() })
}
