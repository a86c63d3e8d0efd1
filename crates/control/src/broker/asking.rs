//! Asks proxies how they and their nodes are, when somebody wants to know now.

use std::time::Duration;

use control_core::query::Asked;
use model::{Address, HealthAnswer};
use service::config::Secret;
use tokio::task::JoinSet;

use crate::coordinator::{Link, LinkError, health, within};

/// How long one proxy may take; what is slower counts as silent.
const PROXY_TIMEOUT: Duration = Duration::from_millis(500);
/// How many proxies are asked at a time.
const ASKED_AT_A_TIME: usize = 256;

/// What each of these proxies answers; none for one that does not.
pub(super) async fn ask(proxies: Vec<Address>, password: Option<&Secret>) -> Asked {
    let mut found = Asked::new();
    let mut waiting = proxies.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < ASKED_AT_A_TIME
            && let Some(proxy) = waiting.next()
        {
            let password = password.cloned();
            asked.spawn(async move {
                let answer = health_of(&proxy, password.as_ref()).await;
                (proxy, answer)
            });
        }
        match asked.join_next().await {
            None => return found,
            Some(Ok((proxy, Ok(answer)))) => {
                found.insert(proxy, Some(answer.health));
            }
            Some(Ok((proxy, Err(error)))) => {
                tracing::debug!(%proxy, %error, "the proxy did not say how it is");
                found.insert(proxy, None);
            }
            Some(Err(error)) => tracing::error!(%error, "asking a proxy failed"),
        }
    }
}

async fn health_of(proxy: &Address, password: Option<&Secret>) -> Result<HealthAnswer, LinkError> {
    let deadline = within(PROXY_TIMEOUT);
    let mut link = Link::connect(proxy, password, deadline).await?;
    link.ask(&[b"UMCTL", b"HEALTH"], deadline, health).await
}
