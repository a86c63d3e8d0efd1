//! Asks many proxies the same thing at once. It must never let one that is silent hold up more than itself.

use std::collections::BTreeMap;
use std::time::Duration;

use link::{Link, LinkError, within};
use model::Address;
use service::config::Secret;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How many proxies are asked at a time.
const ASKED_AT_A_TIME: usize = 256;

/// What each of these proxies answers, or why it did not within `limit`. `ask` is given a connection on which the password
/// was said, and the time by which it must end.
pub(super) async fn each<T, F>(
    proxies: Vec<Address>,
    password: Option<&Secret>,
    limit: Duration,
    ask: impl Fn(Link, Instant) -> F + Clone + Send + 'static,
) -> BTreeMap<Address, Result<T, LinkError>>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LinkError>> + Send,
{
    let mut answers = BTreeMap::new();
    let mut waiting = proxies.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < ASKED_AT_A_TIME
            && let Some(proxy) = waiting.next()
        {
            let (password, ask) = (password.cloned(), ask.clone());
            asked.spawn(async move {
                let deadline = within(limit);
                let password = password.as_ref().map(|password| password.expose().as_bytes());
                let answer = match Link::connect(&proxy, password, deadline).await {
                    Ok(link) => ask(link, deadline).await,
                    Err(error) => Err(error),
                };
                (proxy, answer)
            });
        }
        match asked.join_next().await {
            None => return answers,
            Some(Ok((proxy, answer))) => drop(answers.insert(proxy, answer)),
            Some(Err(error)) => tracing::error!(%error, "asking a proxy failed"),
        }
    }
}
