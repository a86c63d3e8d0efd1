//! The calls that are this project's own: events, jobs, health, dry runs, and what coordinators need.

use std::collections::BTreeMap;
use std::time::Duration;

use api::ErrorBody;
use api::v4::{CommandAnswer, EventPage, FailOver, Health, Jobs, Plan, PlannedChange, StateAnswer};
use axum::Json;
use axum::extract::{Path, State};
use control_core::{Command, FenceReason, HostName, NewProxy, Reply, TimeMs, apply, explain};
use service::build_info::BUILD;

use super::error::ApiError;
use super::input::{Body, Parameters, cluster_name, parameter};
use super::{Done, Shared, shapes};

/// How many events one page holds unless asked otherwise, and at most.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;
/// How long a call may wait for a change at most, in milliseconds.
const WAIT_MAX_MS: u64 = 30_000;

/// What has changed, oldest first. Give `next` of one page as `after` of the following one.
#[utoipa::path(get, path = "/api/v4/events", tag = "events",
    params(("after" = Option<u64>, Query, description = "The cursor; 0 is the beginning"),
        ("limit" = Option<usize>, Query, description = "How many at most; 100 unless given, 1000 in any case")),
    responses((status = 200, body = EventPage), (status = 400, body = ErrorBody)))]
pub(super) async fn events(
    State(broker): Shared,
    parameters: Parameters,
) -> Result<Json<EventPage>, ApiError> {
    let after = parameter(&parameters, "after")?.unwrap_or(0);
    let limit = parameter(&parameters, "limit")?.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    Ok(Json(broker.metadata.events(after, limit)))
}

/// Migrations and scalings: those that wait and run, and the last that ended.
#[utoipa::path(get, path = "/api/v4/jobs", tag = "jobs", responses((status = 200, body = Jobs)))]
pub(super) async fn jobs(State(broker): Shared) -> Json<Jobs> {
    Json(shapes::jobs(&broker.metadata.snapshot().state))
}

/// Calls off what a cluster has not committed: nothing of it has moved.
#[utoipa::path(delete, path = "/api/v4/jobs/{cluster}", tag = "jobs", params(("cluster" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND")))]
pub(super) async fn cancel_jobs(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    broker.change(Command::CancelMigrations { cluster: cluster_name(&cluster)? }).await
}

/// How the broker is. Answers 503 when its store cannot be used.
#[utoipa::path(get, path = "/api/v4/health", tag = "broker",
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub(super) async fn health(State(broker): Shared) -> (axum::http::StatusCode, Json<Health>) {
    let snapshot = broker.metadata.snapshot();
    let (state, problem) = (&snapshot.state, broker.metadata.problem());
    let status = match problem {
        None => axum::http::StatusCode::OK,
        Some(_) => axum::http::StatusCode::SERVICE_UNAVAILABLE,
    };
    let health = Health {
        healthy: problem.is_none(),
        problem,
        store: broker.metadata.store_name().to_owned(),
        version: BUILD.version.to_owned(),
        change: snapshot.change,
        epoch: state.global_epoch,
        clusters: state.clusters.len(),
        proxies: state.proxies.len(),
        free_proxies: state.proxies.values().filter(|proxy| proxy.is_free()).count(),
        failed_proxies: state.proxies.values().filter(|proxy| proxy.failed_since.is_some()).count(),
    };
    (status, Json(health))
}

/// A dry run: what a change would do now. Nothing is changed.
#[utoipa::path(post, path = "/api/v4/plan", tag = "plans", request_body = PlannedChange,
    responses((status = 200, body = Plan), (status = 400, body = ErrorBody)))]
pub(super) async fn plan(State(broker): Shared, Body(change): Body<PlannedChange>) -> Json<Plan> {
    let before = &broker.metadata.snapshot().state;
    let mut after = before.clone();
    Json(match apply(&mut after, planned(change)) {
        Ok(_) => Plan { accepted: true, error: None, words: explain(before, &after) },
        Err(error) => {
            Plan { accepted: false, error: Some(error.code().to_owned()), words: vec![error.to_string()] }
        }
    })
}

fn planned(change: PlannedChange) -> Command {
    let now = TimeMs::default();
    match change {
        PlannedChange::CreateCluster { cluster, node_number } => {
            Command::CreateCluster { cluster, node_number, config: BTreeMap::new(), now }
        }
        PlannedChange::DeleteCluster { cluster } => Command::DeleteCluster { cluster },
        PlannedChange::AddNodes { cluster, node_number } => Command::AddNodes { cluster, node_number, now },
        PlannedChange::RemoveFreeNodes { cluster } => Command::RemoveFreeNodes { cluster },
        PlannedChange::Scale { cluster, node_number } => Command::Scale { cluster, node_number, now },
        PlannedChange::Balance { cluster } => Command::Balance { cluster, now },
        PlannedChange::AddProxy { proxy } => Command::RegisterProxy(NewProxy {
            address: proxy.proxy_address,
            nodes: proxy.nodes,
            host: proxy.host.map(HostName),
            index: proxy.index,
        }),
        PlannedChange::RemoveProxy { address } => Command::RemoveProxy { proxy: address },
        PlannedChange::FailOverProxy { address } => {
            Command::FailOverProxy { proxy: address, force: false, now }
        }
    }
}

/// The whole of the metadata once it is newer than the change that is given, or null after the time that is
/// given: how coordinators learn of changes at once.
#[utoipa::path(get, path = "/api/v4/state", tag = "coordinators",
    params(("after" = Option<u64>, Query, description = "The number of the change that the caller knows"),
        ("wait_ms" = Option<u64>, Query, description = "How long to wait for a newer one; 30000 at most"),
        ("confirm" = Option<bool>, Query, description = "Whether the store itself is asked first"),
        ("brief" = Option<bool>, Query, description = "Whether the number is enough")),
    responses((status = 200, body = StateAnswer<Object>), (status = 400, body = ErrorBody),
        (status = 500, body = ErrorBody, description = "EXTERNAL: the store cannot be asked")))]
pub(super) async fn state(
    State(broker): Shared,
    parameters: Parameters,
) -> Result<Json<StateAnswer<control_core::State>>, ApiError> {
    let wait = parameter::<u64>(&parameters, "wait_ms")?.unwrap_or(0).min(WAIT_MAX_MS);
    if parameter::<bool>(&parameters, "confirm")?.unwrap_or(false) {
        broker.metadata.confirmed().await?;
    }
    let is_brief = parameter::<bool>(&parameters, "brief")?.unwrap_or(false);
    let Some(after) = parameter::<u64>(&parameters, "after")? else {
        let now = broker.metadata.snapshot();
        return Ok(Json(StateAnswer { change: now.change, state: Some(now.state.clone()) }));
    };
    Ok(Json(match broker.metadata.newer_than(after, Duration::from_millis(wait)).await {
        Some(newer) => StateAnswer { change: newer.change, state: (!is_brief).then(|| newer.state.clone()) },
        None => StateAnswer { change: after, state: None },
    }))
}

/// Moves a shard's primary to its replica, and leaves it there until the cluster is balanced or it fails. Nothing is
/// lost: the primary stops, the replica takes what is missing, and takes over; clients wait meanwhile. With `force`
/// the replica takes over at once with what it has. Answered when it has begun; `/api/v3/clusters/meta` shows the end.
#[utoipa::path(post, path = "/api/v4/clusters/{cluster}/failover", tag = "clusters",
    params(("cluster" = String, Path)), request_body = FailOver,
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND or PROXY_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "MIGRATION_RUNNING"),
        (status = 500, body = ErrorBody, description = "PROXY_NOT_SYNC: the replica may lack data")))]
pub(super) async fn fail_over(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(order): Body<FailOver>,
) -> Done {
    let (cluster, now) = (cluster_name(&cluster)?, TimeMs::default());
    let primary = order.primary;
    broker
        .change(match order.force {
            false => Command::FenceShard { cluster, primary, reason: FenceReason::Planned, now },
            true => {
                let (fence, behind_bytes) = (None, None);
                Command::FailOverShard { cluster, primary, fence, force: true, behind_bytes, now }
            }
        })
        .await
}

/// Applies a command of the metadata's own, in its JSON form, with the broker's time in it.
#[utoipa::path(post, path = "/api/v4/commands", tag = "coordinators", request_body = Object,
    responses((status = 200, body = CommandAnswer<Object>), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody), (status = 500, body = ErrorBody)))]
pub(super) async fn command(
    State(broker): Shared,
    Body(command): Body<Command>,
) -> Result<Json<CommandAnswer<Reply>>, ApiError> {
    Ok(Json(CommandAnswer { reply: broker.metadata.change(command).await? }))
}
