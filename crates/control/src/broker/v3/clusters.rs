//! Clusters: looking, creating, deleting, configuring, balancing.

use std::collections::BTreeMap;

use api::ErrorBody;
use api::v3::{ClusterAnswer, ClusterInfo, Names, NodeNumber};
use axum::Json;
use axum::extract::{Path, State};
use control_core::{ApplyError, Command, TimeMs, query};

use super::super::error::ApiError;
use super::super::input::{Body, IfMatch, Parameters, cluster_name, page};
use super::super::shapes;
use super::super::shared::{Done, Shared};

/// The clusters, by name.
#[utoipa::path(get, path = "/api/v3/clusters/names", tag = "clusters",
    params(("offset" = Option<usize>, Query, description = "How many to leave out"),
        ("limit" = Option<usize>, Query, description = "How many at most")),
    responses((status = 200, body = Names), (status = 400, body = ErrorBody)))]
pub(crate) async fn names(State(broker): Shared, parameters: Parameters) -> Result<Json<Names>, ApiError> {
    let page = page(&parameters)?;
    Ok(Json(Names { names: query::cluster_names(&broker.metadata.snapshot().state, page) }))
}

/// A cluster with its nodes; null if there is none of that name.
#[utoipa::path(get, path = "/api/v3/clusters/meta/{cluster}", tag = "clusters",
    params(("cluster" = String, Path)),
    responses((status = 200, body = ClusterAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn meta(
    State(broker): Shared,
    Path(cluster): Path<String>,
) -> Result<Json<ClusterAnswer>, ApiError> {
    let name = cluster_name(&cluster)?;
    let meta = query::cluster_meta(&broker.metadata.snapshot().state, &name);
    Ok(Json(ClusterAnswer { cluster: meta.map(shapes::cluster) }))
}

/// A cluster in numbers.
#[utoipa::path(get, path = "/api/v3/clusters/info/{cluster}", tag = "clusters",
    params(("cluster" = String, Path)),
    responses((status = 200, body = ClusterInfo), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND")))]
pub(crate) async fn info(
    State(broker): Shared,
    Path(cluster): Path<String>,
) -> Result<Json<ClusterInfo>, ApiError> {
    let name = cluster_name(&cluster)?;
    let info = query::cluster_info(&broker.metadata.snapshot().state, &name);
    Ok(Json(shapes::info(info.ok_or(ApplyError::ClusterNotFound(name))?)))
}

/// Makes a cluster with all the slots.
#[utoipa::path(post, path = "/api/v3/clusters/meta/{cluster}", tag = "clusters",
    params(("cluster" = String, Path, description = "1 to 30 of A-Z, a-z, 0-9, '@', '_' and '-'")),
    request_body = NodeNumber,
    responses((status = 200),
        (status = 400, body = ErrorBody, description = "INVALID_CLUSTER_NAME, INVALID_NODE_NUMBER"),
        (status = 409, body = ErrorBody,
            description = "ALREADY_EXISTED, NO_AVAILABLE_RESOURCE, RESOURCE_NOT_BALANCE, RETRY")))]
pub(crate) async fn create(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(body): Body<NodeNumber>,
) -> Done {
    let (cluster, now) = (cluster_name(&cluster)?, TimeMs::default());
    let (node_number, config) = (body.node_number, BTreeMap::new());
    broker.change(Command::CreateCluster { cluster, node_number, config, now }).await
}

/// Ends a cluster and gives its proxies back.
#[utoipa::path(delete, path = "/api/v3/clusters/meta/{cluster}", tag = "clusters",
    params(("cluster" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The cluster's epoch: only if it still has that")),
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 412, body = ErrorBody, description = "CHANGED")))]
pub(crate) async fn delete(State(broker): Shared, Path(cluster): Path<String>, only: IfMatch) -> Done {
    let cluster = cluster_name(&cluster)?;
    broker.change(only.guard(&cluster, Command::DeleteCluster { cluster: cluster.clone() })).await
}

/// Changes settings; refused while slots move.
#[utoipa::path(patch, path = "/api/v3/clusters/config/{cluster}", tag = "clusters",
    params(("cluster" = String, Path)), request_body = BTreeMap<String, String>,
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_CONFIG"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "MIGRATION_RUNNING")))]
pub(crate) async fn configure(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(fields): Body<BTreeMap<String, String>>,
) -> Done {
    broker.change(Command::SetConfig { cluster: cluster_name(&cluster)?, fields }).await
}

/// Begins to bring roles back to normal where no failure stands.
#[utoipa::path(put, path = "/api/v3/clusters/balance/{cluster}", tag = "clusters",
    params(("cluster" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND")))]
pub(crate) async fn balance(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    let (cluster, now) = (cluster_name(&cluster)?, TimeMs::default());
    broker.change(Command::Balance { cluster, now }).await
}
