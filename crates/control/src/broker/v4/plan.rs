//! Dry runs.

use std::collections::BTreeMap;

use api::ErrorBody;
use api::v4::{Plan, PlannedChange};
use axum::Json;
use axum::extract::State;
use control_core::{Command, HostName, NewProxy, TimeMs, foresee};

use super::super::Shared;
use super::super::input::Body;

/// A dry run: what a change would do now. Nothing is changed.
#[utoipa::path(post, path = "/api/v4/plan", tag = "plans", request_body = PlannedChange,
    responses((status = 200, body = Plan), (status = 400, body = ErrorBody)))]
pub(crate) async fn plan(State(broker): Shared, Body(change): Body<PlannedChange>) -> Json<Plan> {
    Json(match foresee(&broker.metadata.snapshot().state, planned(change)) {
        Ok(words) => Plan { accepted: true, error: None, words },
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
            Command::FailOverProxy { proxy: address, force: false, decided_after: None, now }
        }
    }
}
