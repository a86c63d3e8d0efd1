//! The health of the broker, of each cluster, and of everything together.

use api::ErrorBody;
use api::v4::{ClusterHealth, Health, Overview};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control_core::query::Asked;
use model::Address;
use service::build_info::BUILD;

use super::super::condition::Evidence;
use super::super::error::ApiError;
use super::super::input::{Parameters, cluster_name, parameter};
use super::super::shared::{Broker, Shared};
use super::super::{asking, condition};
use crate::store::Seen;
use crate::wall_clock;

/// How the broker is. Answers 503 when its store cannot be used.
#[utoipa::path(get, path = "/api/v4/health", tag = "broker",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(crate) async fn health(State(broker): Shared) -> (StatusCode, Json<Health>) {
    let health = of_broker(&broker);
    let status = if health.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health))
}

fn of_broker(broker: &Broker) -> Health {
    let snapshot = broker.metadata.snapshot();
    let (state, problem) = (&snapshot.state, broker.metadata.problem());
    let missing = || broker.metadata.board().now().missing(|name| state.clusters.contains_key(name));
    Health {
        healthy: problem.is_none(),
        problem: problem.or_else(missing),
        store: broker.metadata.store_name().to_owned(),
        version: BUILD.version.to_owned(),
        change: snapshot.change,
        epoch: state.global_epoch,
        clusters: state.clusters.len(),
        proxies: state.proxies.len(),
        free_proxies: state.free().count(),
        failed_proxies: state.proxies.values().filter(|proxy| proxy.failed_since.is_some()).count(),
    }
}

/// How each shard of a cluster is: where its primary and its replica are, whether the replica may take over, and
/// what is wrong in words. By the metadata; with `live`, its proxies are asked as well, and offsets are known.
#[utoipa::path(get, path = "/api/v4/clusters/{cluster}/health", tag = "clusters",
    params(("cluster" = String, Path),
        ("live" = Option<bool>, Query, description = "Whether to ask the proxies; false unless given")),
    responses((status = 200, body = ClusterHealth), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND")))]
pub(crate) async fn cluster_health(
    State(broker): Shared,
    Path(cluster): Path<String>,
    parameters: Parameters,
) -> Result<Json<ClusterHealth>, ApiError> {
    let name = cluster_name(&cluster)?;
    let is_live = parameter::<bool>(&parameters, "live")?.unwrap_or(false);
    let state = &broker.metadata.snapshot().state;
    let cluster = state.cluster(&name)?;
    let asked = if is_live {
        let proxies = cluster.chunks.iter().flat_map(|chunk| chunk.proxies.clone()).collect();
        asking::ask(proxies, broker.proxy_password.as_ref()).await
    } else {
        Asked::new()
    };
    let (seen, now) = (broker.metadata.board().now(), wall_clock::now());
    Ok(Json(condition::cluster(state, (&name, cluster), &Evidence { asked: &asked, seen: &seen, now })))
}

/// Everything in short: what is wrong, each cluster, each host.
#[utoipa::path(get, path = "/api/v4/overview", tag = "broker", responses((status = 200, body = Overview)))]
pub(crate) async fn overview(State(broker): Shared) -> Json<Overview> {
    let snapshot = broker.metadata.snapshot();
    let seen = broker.metadata.board().now();
    let mut overview = condition::overview(&snapshot.state, of_broker(&broker), &seen, wall_clock::now());
    overview.problems.extend(in_review(&snapshot.state));
    overview.problems.extend(unknown(&snapshot.state));
    overview.problems.extend(late_in_pool(&snapshot.state, &seen));
    overview.problems.extend(broker.denied.problem().into_iter().chain(seen.problems()));
    overview.problems.extend(broker.copies.problems());
    Json(overview)
}

/// That the metadata may be older than what is served.
fn in_review(state: &control_core::State) -> Option<String> {
    let clusters = state.clusters.values().filter(|cluster| cluster.review).count();
    let proxies = state.proxies.values().filter(|proxy| proxy.review && !proxy.is_new).count();
    (clusters + proxies > 0).then(|| {
        format!(
            "{clusters} clusters and {proxies} proxies of the pool are under review: the metadata may be older than what \
             is served, and nothing is done about them; `undermoon ctl review` shows what differs"
        )
    })
}

/// That proxies are registered of which nobody knows whom they serve.
fn unknown(state: &control_core::State) -> Option<String> {
    let new = state.proxies.values().filter(|proxy| proxy.is_new && proxy.review).count();
    (new > 0).then(|| {
        format!(
            "{new} registered proxies serve a cluster that is not known here, or their nodes have keys or do not answer: they \
             are given to no cluster; `undermoon ctl review` shows why"
        )
    })
}

/// That proxies of the pool have not taken their empty views: those of clusters stand with their shards.
fn late_in_pool(state: &control_core::State, seen: &Seen) -> Vec<String> {
    let in_pool = |proxy: &&Address| state.proxies.get(*proxy).is_some_and(|record| record.cluster.is_none());
    seen.late_proxies().filter(in_pool).filter_map(|proxy| seen.late(proxy)).collect()
}
