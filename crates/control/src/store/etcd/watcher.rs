//! Follows the head in etcd and hints that it has changed.
//!
//! Only hints: what has changed is read by the ledger, at its own revision, so a hint may come late, twice or
//! not at all without harm beyond a late view.

use std::time::Duration;

use etcd_client::Client;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, warn};

/// The first pause after the watch broke; each one is twice as long as the last.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A hint is given at least so often, in case that one was lost.
const HINT_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// Watches until nobody listens any more.
pub(super) async fn watch(client: Client, key: String, hints: watch::Sender<u64>) {
    let mut pause = PAUSE_FIRST;
    while !hints.is_closed() {
        let began = Instant::now();
        match follow(&client, &key, &hints).await {
            Ok(()) => debug!("the watch has ended"),
            Err(error) => warn!(%error, "the watch of etcd broke"),
        }
        if began.elapsed() > PAUSE_MAX {
            pause = PAUSE_FIRST;
        }
        hint(&hints);
        tokio::time::sleep(pause).await;
        // A watch whose token etcd has forgotten is ended, not refused; so the next one has a new token.
        if let Err(error) = client.refresh_token().await {
            debug!(%error, "no new token");
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

async fn follow(client: &Client, key: &str, hints: &watch::Sender<u64>) -> Result<(), etcd_client::Error> {
    let mut stream = client.watch_client().watch(key, None).await?;
    // What changed before the watch stood is not told.
    hint(hints);
    loop {
        tokio::select! {
            message = stream.message() => match message? {
                Some(message) if message.canceled() => return Ok(()),
                Some(_) => hint(hints),
                None => return Ok(()),
            },
            () = tokio::time::sleep(HINT_AT_LEAST_EVERY) => hint(hints),
            () = hints.closed() => return Ok(()),
        }
    }
}

fn hint(hints: &watch::Sender<u64>) {
    hints.send_modify(|number| *number = number.wrapping_add(1));
}
