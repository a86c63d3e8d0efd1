//! Jobs that take long: slots that move, nodes that are being added.

use std::sync::PoisonError;
use std::time::Instant;

use api::ErrorBody;
use api::v4::Jobs;
use axum::Json;
use axum::extract::{Path, State};
use control_core::Command;

use super::super::input::cluster_name;
use super::super::shapes;
use super::super::shared::{Done, Shared};

/// Migrations and scalings: those that wait and run, and the last that ended.
#[utoipa::path(get, path = "/api/v4/jobs", tag = "jobs", responses((status = 200, body = Jobs)))]
pub(crate) async fn jobs(State(broker): Shared) -> Json<Jobs> {
    let speed = broker.speed.lock().unwrap_or_else(PoisonError::into_inner);
    Json(shapes::jobs(&broker.metadata.snapshot().state, &speed, Instant::now()))
}

/// Calls off what a cluster has not committed: nothing of it has moved.
#[utoipa::path(delete, path = "/api/v4/jobs/{cluster}", tag = "jobs", params(("cluster" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND")))]
pub(crate) async fn cancel_jobs(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    broker.change(Command::CancelMigrations { cluster: cluster_name(&cluster)? }).await
}

/// Stops a cluster's migrations until they are resumed. What is under way begins again then: nothing of it has moved.
#[utoipa::path(post, path = "/api/v4/jobs/{cluster}/pause", tag = "jobs", params(("cluster" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, JOB_NOT_FOUND")))]
pub(crate) async fn pause_jobs(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    broker.change(Command::PauseMigrations { cluster: cluster_name(&cluster)? }).await
}

/// Lets a cluster's migrations go on.
#[utoipa::path(post, path = "/api/v4/jobs/{cluster}/resume", tag = "jobs", params(("cluster" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, JOB_NOT_FOUND")))]
pub(crate) async fn resume_jobs(State(broker): Shared, Path(cluster): Path<String>) -> Done {
    broker.change(Command::ResumeMigrations { cluster: cluster_name(&cluster)? }).await
}
