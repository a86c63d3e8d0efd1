//! Scaling: nodes that come and go, slots that move.

use api::ErrorBody;
use api::v3::{ClusterNodeNumber, MigrationTask, NodeNumber};
use axum::extract::{Path, State};
use control_core::{ApplyError, Command, TimeMs};
use model::SlotTag;

use super::super::error::ApiError;
use super::super::input::{Body, IfMatch, cluster_name, node_number};
use super::super::shared::{Done, Shared};

/// Adds that many nodes without slots.
#[utoipa::path(patch, path = "/api/v3/clusters/nodes/{cluster}", tag = "scaling",
    params(("cluster" = String, Path)), request_body = NodeNumber,
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_NODE_NUMBER"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody,
            description = "NO_AVAILABLE_RESOURCE, MIGRATION_RUNNING, NODE_NUMBER_CHANGING, RETRY")))]
pub(crate) async fn add_nodes(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(body): Body<NodeNumber>,
) -> Done {
    let (cluster, now) = (cluster_name(&cluster)?, TimeMs::default());
    broker.change(Command::AddNodes { cluster, node_number: body.node_number, now }).await
}

/// Adds nodes without slots up to a total.
#[utoipa::path(put, path = "/api/v3/clusters/nodes/{cluster}", tag = "scaling",
    params(("cluster" = String, Path)), request_body = ClusterNodeNumber,
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_NODE_NUMBER"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody,
            description = "NODE_NUM_ALREADY_ENOUGH, NO_AVAILABLE_RESOURCE, MIGRATION_RUNNING, RETRY")))]
pub(crate) async fn grow_to(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(body): Body<ClusterNodeNumber>,
) -> Done {
    let (cluster, now) = (cluster_name(&cluster)?, TimeMs::default());
    broker.change(Command::GrowTo { cluster, node_number: body.cluster_node_number, now }).await
}

/// Gives back the chunks without slots.
#[utoipa::path(delete, path = "/api/v3/clusters/free_nodes/{cluster}", tag = "scaling",
    params(("cluster" = String, Path),
        ("If-Match" = Option<String>, Header, description = "The cluster's epoch: only if it still has that")),
    responses((status = 200),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, FREE_NODE_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "MIGRATION_RUNNING, NODE_NUMBER_CHANGING, RETRY"),
        (status = 412, body = ErrorBody, description = "CHANGED")))]
pub(crate) async fn remove_free_nodes(
    State(broker): Shared,
    Path(cluster): Path<String>,
    only: IfMatch,
) -> Done {
    let cluster = cluster_name(&cluster)?;
    broker.change(only.guard(&cluster, Command::RemoveFreeNodes { cluster: cluster.clone() })).await
}

/// Starts to spread the slots evenly over all nodes.
#[utoipa::path(post, path = "/api/v3/clusters/migrations/expand/{cluster}", tag = "scaling",
    params(("cluster" = String, Path)),
    responses((status = 200), (status = 400, body = ErrorBody, description = "SLOTS_ALREADY_EVEN"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "MIGRATION_RUNNING, NODE_NUMBER_CHANGING, RETRY")))]
pub(crate) async fn expand(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    broker.change(Command::Expand { cluster: cluster_name(&cluster)? }).await
}

/// Starts to move the slots onto that many nodes; the others are kept without slots.
#[utoipa::path(post, path = "/api/v3/clusters/migrations/shrink/{cluster}/{node_number}", tag = "scaling",
    params(("cluster" = String, Path), ("node_number" = usize, Path)),
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_NODE_NUMBER"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "FREE_NODE_FOUND, MIGRATION_RUNNING, RETRY")))]
pub(crate) async fn shrink(State(broker): Shared, Path((cluster, number)): Path<(String, String)>) -> Done {
    let (cluster, node_number) = (cluster_name(&cluster)?, node_number(&number)?);
    broker.change(Command::Shrink { cluster, node_number }).await
}

/// Scales to that many nodes with slots: adds nodes and moves slots to them when they are ready, or moves the
/// slots onto fewer nodes.
#[utoipa::path(post, path = "/api/v3/clusters/migrations/auto/{cluster}/{node_number}", tag = "scaling",
    params(("cluster" = String, Path), ("node_number" = usize, Path),
        ("If-Match" = Option<String>, Header, description = "The cluster's epoch: only if it still has that")),
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_NODE_NUMBER"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "NO_AVAILABLE_RESOURCE, MIGRATION_RUNNING, RETRY"),
        (status = 412, body = ErrorBody, description = "CHANGED")))]
pub(crate) async fn scale(
    State(broker): Shared,
    Path((cluster, number)): Path<(String, String)>,
    only: IfMatch,
) -> Done {
    let (name, node_number) = (cluster_name(&cluster)?, node_number(&number)?);
    let (cluster, now) = (name.clone(), TimeMs::default());
    broker.change(only.guard(&name, Command::Scale { cluster, node_number, now })).await
}

/// Commits a finished migration: the target owns the slots from now on.
#[utoipa::path(put, path = "/api/v3/clusters/migrations", tag = "scaling", request_body = MigrationTask,
    responses((status = 200), (status = 400, body = ErrorBody, description = "INVALID_MIGRATION_TASK"),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, MIGRATION_TASK_NOT_FOUND")))]
pub(crate) async fn commit(State(broker): Shared, Body(task): Body<MigrationTask>) -> Done {
    let SlotTag::Migrating(meta) = task.slot_range.tag else {
        return Err(ApiError::from(ApplyError::InvalidMigrationTask).of_field("slot_range.tag"));
    };
    let (cluster, ranges) = (task.cluster_name, task.slot_range.ranges);
    broker.change(Command::CommitMigration { cluster, ranges, meta }).await
}
