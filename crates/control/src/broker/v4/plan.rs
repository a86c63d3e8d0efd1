//! Dry runs.

use std::collections::BTreeMap;

use api::ErrorBody;
use api::v4::{Plan, PlannedChange};
use axum::Json;
use axum::extract::State;
use control_core::{Command, HostName, NewProxy, State as Metadata, TimeMs, foresee};

use super::super::error::ApiError;
use super::super::input::Body;
use super::super::shared::Shared;
use super::failover;

/// A dry run: what a change would do now. Nothing is changed.
#[utoipa::path(post, path = "/api/v4/plan", tag = "plans", request_body = PlannedChange,
    responses((status = 200, body = Plan), (status = 400, body = ErrorBody)))]
pub(crate) async fn plan(State(broker): Shared, Body(change): Body<PlannedChange>) -> Json<Plan> {
    Json(match words(&broker.metadata.snapshot().state, change) {
        Ok(words) => Plan { accepted: true, error: None, words },
        Err(ApiError { body: ErrorBody { error, message, .. }, .. }) => {
            Plan { accepted: false, error: Some(error), words: message.into_iter().collect() }
        }
    })
}

fn words(state: &Metadata, change: PlannedChange) -> Result<Vec<String>, ApiError> {
    let now = TimeMs::default();
    let command = match change {
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
            Command::FailOverProxy { proxy: address, force: false, decided_after: None, now }
        }
        PlannedChange::ReplaceProxy { address } => Command::ReplaceProxy { proxy: address },
        PlannedChange::FailOver { cluster, which } => return failover::foreseen(state, &cluster, &which),
    };
    Ok(foresee(state, command)?)
}
