//! Asks proxies how they and their nodes are, when somebody wants to know now.

use std::time::Duration;

use control_core::query::Asked;
use model::Address;
use service::config::Secret;

use super::crowd;
use crate::coordinator::health;

/// How long one proxy may take; what is slower counts as silent.
const PROXY_TIMEOUT: Duration = Duration::from_millis(500);

/// What each of these proxies answers; `None` for one that does not.
pub(super) async fn ask(proxies: Vec<Address>, password: Option<&Secret>) -> Asked {
    let answers = crowd::each(proxies, password, PROXY_TIMEOUT, async |mut link, deadline| {
        health(&link.ask(&[b"UMCTL", b"HEALTH"], deadline).await?)
    });
    let known = answers.await.into_iter().map(|(proxy, answer)| match answer {
        Ok(answer) => (proxy, Some(answer.health)),
        Err(error) => {
            tracing::debug!(%proxy, %error, "the proxy did not say how it is");
            (proxy, None)
        }
    });
    known.collect()
}
