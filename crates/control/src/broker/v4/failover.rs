//! Failover by an operator's order: he moves primaries of his choice to their replicas.

use std::collections::BTreeSet;

use api::ErrorBody;
use api::v4::{FailoverAnswer, FailoverRequest, FailoverState, ServeRequest, ShardFailover};
use axum::Json;
use axum::extract::{Path, State};
use control_core::query::{self, Asked};
use control_core::{
    ApplyError, Cluster, Comeback, Command, FenceReason, ShardId, State as Metadata, TimeMs, apply, foresee,
};
use model::{Address, ClusterName};

use super::super::error::ApiError;
use super::super::input::{Body, cluster_name};
use super::super::shared::{Broker, Done, Shared};
use super::super::{asking, shapes};

/// Moves primaries to their replicas, for upkeep of a host or as an exercise. Without `force` nothing is lost: the
/// primary is asked to stop, and a coordinator promotes the replica when it has everything, or lets the primary go
/// on when that takes too long; clients wait meanwhile. The new primary stays where it is until the cluster is
/// balanced or it fails. With `force` the replica is the primary at once by the metadata, and it is served when the old
/// primary has stopped; the answer says what it waits for, and whether the new primary's own proxy says that it can serve.
#[utoipa::path(post, path = "/api/v4/clusters/{cluster}/failover", tag = "failures",
    params(("cluster" = String, Path)), request_body = FailoverRequest,
    responses((status = 200, body = FailoverAnswer), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, PROXY_NOT_FOUND, SHARD_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "MIGRATION_RUNNING, RETRY"),
        (status = 500, body = ErrorBody, description = "PROXY_NOT_SYNC: the replica may lack writes")))]
pub(crate) async fn fail_over(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(wanted): Body<FailoverRequest>,
) -> Result<Json<FailoverAnswer>, ApiError> {
    let name = cluster_name(&cluster)?;
    let state = &broker.metadata.snapshot().state;
    let cluster = state.cluster(&name)?;
    let shards = chosen(cluster, &wanted)?;
    let commands: Vec<Command> = shards.iter().map(|id| command(&name, cluster, *id, wanted.force)).collect();
    if !wanted.force {
        check_replicas(state, cluster, &shards)?;
    }
    // All or none, as far as can be known beforehand.
    let mut trial = state.clone();
    for command in &commands {
        apply(&mut trial, command.clone())?;
    }
    for command in commands {
        broker.apply(command).await?;
    }
    let asked = if wanted.force { ask_takers(&broker, cluster, &shards).await } else { Asked::new() };
    let now = &broker.metadata.snapshot().state;
    let outcome = |id: &ShardId| became(now.clusters.get(&name), cluster, *id, &asked);
    Ok(Json(FailoverAnswer { shards: shards.iter().map(outcome).collect() }))
}

/// Has a primary serve with what it has that came back with less than its replica may have, and waits for an operator.
/// What only the replica has is lost.
#[utoipa::path(post, path = "/api/v4/clusters/{cluster}/serve", tag = "failures",
    params(("cluster" = String, Path)), request_body = ServeRequest,
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "CLUSTER_NOT_FOUND, PROXY_NOT_FOUND, SHARD_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "RETRY: it does not wait")))]
pub(crate) async fn serve(
    State(broker): Shared,
    Path(cluster): Path<String>,
    Body(wanted): Body<ServeRequest>,
) -> Done {
    let name = cluster_name(&cluster)?;
    let state = &broker.metadata.snapshot().state;
    let cluster = state.cluster(&name)?;
    let ServeRequest { node, shard, process: meant } = wanted;
    for id in chosen(cluster, &FailoverRequest { node, shard, ..FailoverRequest::default() })? {
        let primary = cluster.chunks[id.chunk].primary(id.shard).clone();
        // It is about what the shard waits with, not about what the primary may come back with next.
        let waiting = cluster.shard(id);
        let process = meant.clone().or_else(|| waiting.comeback_process.clone());
        let keys = waiting.comeback_keys.unwrap_or_default();
        let (cluster, comeback, by_operator) = (name.clone(), Comeback::Serves, true);
        broker
            .change(Command::DecideComeback { cluster, primary, comeback, process, keys, by_operator })
            .await?;
    }
    Ok(())
}

/// What it would do, once the replicas have caught up.
pub(super) fn foreseen(
    state: &Metadata,
    name: &ClusterName,
    wanted: &FailoverRequest,
) -> Result<Vec<String>, ApiError> {
    let cluster = state.cluster(name)?;
    let shards = chosen(cluster, wanted)?;
    if !wanted.force {
        check_replicas(state, cluster, &shards)?;
    }
    let (mut trial, mut words) = (state.clone(), Vec::new());
    for id in shards {
        let mut step = command(name, cluster, id, wanted.force);
        if !wanted.force {
            apply(&mut trial, step)?;
            let fence = trial.clusters.get(name).and_then(|now| now.shard(id).fence);
            let primary = cluster.chunks[id.chunk].primary(id.shard).clone();
            let (fence, now) = (fence.map(|fence| fence.epoch), TimeMs::default());
            let cluster = name.clone();
            step = Command::FailOverShard {
                cluster,
                primary,
                fence,
                force: false,
                behind_bytes: None,
                empty_primary: None,
                process: None,
                stopped: None,
                now,
            };
        }
        words.extend(foresee(&trial, step.clone())?);
        apply(&mut trial, step)?;
    }
    Ok(words)
}

/// What the proxies say whose nodes take over by force: nobody else looks whether these can serve.
async fn ask_takers(broker: &Broker, cluster: &Cluster, shards: &[ShardId]) -> Asked {
    let takers: BTreeSet<Address> =
        shards.iter().map(|id| cluster.chunks[id.chunk].replica_proxy(id.shard).clone()).collect();
    asking::ask(takers.into_iter().collect(), broker.proxy_password.as_ref()).await
}

/// What has become of a shard: a coordinator may have been as quick as that.
fn became(now: Option<&Cluster>, before: &Cluster, id: ShardId, asked: &Asked) -> ShardFailover {
    let chunk = &before.chunks[id.chunk];
    let (from, to) = (chunk.primary(id.shard).clone(), chunk.replica(id.shard).clone());
    let problem = query::cannot_serve(asked, chunk.replica_proxy(id.shard), &to);
    let promoted = now.and_then(|now| Some(now.shard(now.shard_of_primary(&to)?)));
    let fenced = promoted.or_else(|| now.and_then(|now| Some(now.shard(now.shard_of_primary(&from)?))));
    let waits_for = promoted.and_then(|shard| shard.deposed.clone());
    ShardFailover {
        shard: shapes::shard_number(id),
        from,
        to,
        state: match (promoted, &waits_for) {
            (None, _) => FailoverState::HandingOver,
            (Some(_), Some(_)) => FailoverState::Waiting,
            (Some(_), None) => FailoverState::Done,
        },
        fence: fenced.and_then(|shard| shard.fence).map(|fence| fence.epoch),
        waits_for,
        problem,
    }
}

/// The shards that are meant.
fn chosen(cluster: &Cluster, wanted: &FailoverRequest) -> Result<Vec<ShardId>, ApiError> {
    match (&wanted.node, &wanted.proxy, wanted.shard) {
        (Some(node), None, None) => {
            let found = cluster.shard_of_primary(node).or_else(|| cluster.shard_of_replica(node));
            Ok(vec![
                found.ok_or_else(|| {
                    ApiError::from(ApplyError::ProxyNotFound(node.clone())).of_field("node")
                })?,
            ])
        }
        (None, Some(proxy), None) => {
            let missing = || ApiError::from(ApplyError::ProxyNotFound(proxy.clone())).of_field("proxy");
            let (chunk, half) = cluster.place_of(proxy).ok_or_else(missing)?;
            Ok(cluster.chunks[chunk].primaries_in(half).map(|shard| ShardId { chunk, shard }).collect())
        }
        (None, None, Some(number)) => {
            let shard = cluster.shard_ids().nth(number);
            Ok(vec![shard.ok_or_else(|| shapes::no_such_shard(number, cluster))?])
        }
        _ => {
            let text = "give exactly one of `node`, `proxy` and `shard`";
            Err(ApiError::bad_input("INVALID_REQUEST", "node", text))
        }
    }
}

fn command(cluster: &ClusterName, of: &Cluster, id: ShardId, force: bool) -> Command {
    let (cluster, now) = (cluster.clone(), TimeMs::default());
    let primary = of.chunks[id.chunk].primary(id.shard).clone();
    if force {
        return Command::fail_over_unfenced(cluster, primary, force, now);
    }
    Command::FenceShard { cluster, primary, reason: FenceReason::Planned, now }
}

/// That no replica is behind a proxy that is failed or reported: the handover would be in vain.
fn check_replicas(state: &Metadata, cluster: &Cluster, shards: &[ShardId]) -> Result<(), ApiError> {
    for ShardId { chunk, shard } in shards {
        let chunk = &cluster.chunks[*chunk];
        let proxy = chunk.replica_proxy(*shard);
        if state.is_failed(proxy) || state.failures.contains_key(proxy) {
            return Err(ApplyError::ReplicaNotInSync(chunk.replica(*shard).clone()).into());
        }
    }
    Ok(())
}
