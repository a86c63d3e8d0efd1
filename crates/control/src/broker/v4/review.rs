//! What is under review, and an operator's decision about it.

use api::ErrorBody;
use api::v4::{ClusterReview, ProxyReview, Review, ReviewDecision, ReviewedBy};
use axum::Json;
use axum::extract::State;
use control_core::{ApplyError, TimeMs};

use super::super::error::ApiError;
use super::super::input::Body;
use super::super::review::look;
use super::super::shared::{Done, Shared};
use crate::config::ReviewPolicy;

/// What is under review because the metadata may be older than what the proxies know, with what the proxies answer now:
/// how each cluster is served, what that would change in the metadata, and what the metadata would make of the nodes.
#[utoipa::path(get, path = "/api/v4/review", tag = "review", responses((status = 200, body = Review)))]
pub(crate) async fn review(State(broker): Shared) -> Json<Review> {
    let snapshot = broker.metadata.snapshot();
    let is_automatic = broker.review_policy == ReviewPolicy::Adopt;
    if !snapshot.state.is_under_review() {
        return Json(Review { is_automatic, ..Review::default() });
    }
    let found = look(&snapshot.state, broker.proxy_password.as_ref()).await;
    let clusters = found.clusters.into_iter().map(|(cluster, found)| ClusterReview {
        cluster,
        stored_epoch: found.stored,
        served_epoch: found.served,
        obstacles: found.obstacles,
        by_proxies: found.serving.map(|_| found.by_proxies),
        by_metadata: found.stored.map(|_| found.by_metadata),
    });
    let proxies = found.proxies.into_iter().map(|(proxy, found)| ProxyReview {
        proxy,
        epoch: found.seen,
        obstacle: found.obstacle,
    });
    Json(Review {
        is_under_review: true,
        is_automatic,
        clusters: clusters.collect(),
        proxies: proxies.collect(),
    })
}

/// Ends a review: a cluster is as its proxies serve it, or as the metadata has it; a proxy of the pool serves nobody, and
/// is emptied.
#[utoipa::path(post, path = "/api/v4/review", tag = "review", request_body = ReviewDecision,
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, PROXY_NOT_FOUND"),
        (status = 409, body = ErrorBody,
            description = "NOT_UNDER_REVIEW: there is nothing to decide; NOT_ADOPTABLE: nobody can tell how it is served; RETRY")))]
pub(crate) async fn decide(State(broker): Shared, Body(decision): Body<ReviewDecision>) -> Done {
    let state = &broker.metadata.snapshot().state;
    let found = look(state, broker.proxy_password.as_ref()).await;
    let command = match decision {
        ReviewDecision { cluster: Some(name), by: Some(by), proxy: None } => {
            // It may be one that is served, and that the metadata does not have.
            let Some(cluster) = found.clusters.get(&name) else {
                state.cluster(&name)?;
                return Err(ApplyError::NotUnderReview(format!("cluster {name}")).into());
            };
            let command = match by {
                ReviewedBy::Proxies => found.adopt(&name, TimeMs::default()),
                ReviewedBy::Metadata => found.trust(&name, TimeMs::default()),
            };
            command.ok_or_else(|| ApplyError::NotAdoptable(cluster.obstacles.join("; ")))?
        }
        ReviewDecision { cluster: None, by: None, proxy: Some(proxy) } => {
            if !state.proxies.contains_key(&proxy) {
                return Err(ApplyError::ProxyNotFound(proxy).into());
            }
            if !found.proxies.contains_key(&proxy) {
                return Err(ApplyError::NotUnderReview(format!("proxy {proxy}")).into());
            }
            let command = found.settle(&proxy);
            command.ok_or_else(|| ApplyError::NotAdoptable(format!("proxy {proxy} does not answer")))?
        }
        _ => {
            let text = "say a `cluster` and `by` what, or a `proxy`";
            return Err(ApiError::bad_input("INVALID_REQUEST", "cluster", text));
        }
    };
    broker.change(command).await
}
