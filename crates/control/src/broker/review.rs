//! Ends the review of what its proxies speak for, without an operator where the policy says so.

use std::time::Duration;

use control_core::{Found, Review, State, TimeMs, review};
use link::{Link, within};
use model::Address;
use service::config::Secret;
use tracing::{info, warn};

use super::inspection::inspect;
use crate::config::ReviewPolicy;
use crate::store::Metadata;

/// How long to wait for a change at a time, while nothing is under review.
const WAIT: Duration = Duration::from_secs(3600);
/// The pause between the first two looks at the proxies; each is twice as long as the last.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The longest pause: an operator is waited for.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// How long a connection to a proxy that does not answer may take: what takes longer is taken for nobody.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);

/// Asks the proxies, and compares.
pub(super) async fn look(state: &State, password: Option<&Secret>) -> Review {
    review(state, &inspect(concerned(state), password).await)
}

/// Whom to ask: all, where a cluster is under review, because any of them may serve it; else only the proxies of the pool
/// that are.
fn concerned(state: &State) -> Vec<Address> {
    let is_cluster = state.clusters.values().any(|cluster| cluster.review);
    let concerned = state.proxies.iter().filter(|(_, record)| is_cluster || record.review);
    concerned.map(|(address, _)| address.clone()).collect()
}

/// What a proxy that is to be registered has; `None` where it does not say.
pub(super) async fn found_at(proxy: &Address, password: Option<&Secret>) -> Option<Found> {
    inspect(vec![proxy.clone()], password).await.remove(proxy)?
}

/// Whether anything takes connections at the address of a proxy that cannot be asked.
pub(super) async fn is_there(proxy: &Address) -> bool {
    Link::connect(proxy, None, within(CONNECT_LIMIT)).await.is_ok()
}

/// Runs until it is dropped.
pub(super) async fn follow(metadata: Metadata, password: Option<Secret>, policy: ReviewPolicy) {
    let mut pause = PAUSE_FIRST;
    loop {
        let snapshot = metadata.snapshot();
        let has_work = match policy {
            ReviewPolicy::Adopt => snapshot.state.is_under_review(),
            // Where an operator decides, that is about what was known.
            ReviewPolicy::Ask => snapshot.state.proxies.values().any(|record| record.is_new && record.review),
        };
        if !has_work {
            metadata.newer_than(snapshot.mark(), WAIT).await;
            pause = PAUSE_FIRST;
            continue;
        }
        // A broker that only keeps a copy leaves it as it is: it would be refused the next one.
        if !metadata.board().is_spoken_to() {
            tokio::time::sleep(PAUSE_FIRST).await;
            continue;
        }
        let found = look(&snapshot.state, password.as_ref()).await;
        let mut has_settled = false;
        let commands = match policy {
            ReviewPolicy::Adopt => found.automatic(TimeMs::default()),
            ReviewPolicy::Ask => found.automatic_for_new(&snapshot.state),
        };
        for command in commands {
            match metadata.change(command).await {
                Ok(_) => has_settled = true,
                // Another broker was first, or something has changed: it is looked at again.
                Err(error) => info!(%error, "a review goes on"),
            }
        }
        if !has_settled && policy == ReviewPolicy::Adopt {
            for (cluster, found) in &found.clusters {
                let why = found.obstacles.join("; ");
                warn!(%cluster, why, "an operator is asked who is right: see GET /api/v4/review");
            }
        }
        pause = if has_settled { PAUSE_FIRST } else { (pause * 2).min(PAUSE_MAX) };
        tokio::time::sleep(pause).await;
    }
}
