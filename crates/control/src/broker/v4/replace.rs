//! Taking a living proxy out of its cluster, by an operator's order.

use api::ErrorBody;
use api::v4::ReplaceAnswer;
use axum::Json;
use axum::extract::{Path, State};
use control_core::{ApplyError, Command, FailedOver, Half, Reply};
use model::Address;

use super::super::error::ApiError;
use super::super::input::proxy_address;
use super::super::shared::{Broker, Shared};

/// Takes a living proxy without primaries out of its cluster: a proxy of the pool takes its place, and fills its nodes. The
/// old nodes are emptied when those are in sync. Until then each shard of the chunk has one copy in use.
#[utoipa::path(post, path = "/api/v4/proxies/{address}/replace", tag = "proxies",
    params(("address" = String, Path)),
    responses((status = 200, body = ReplaceAnswer), (status = 404, body = ErrorBody, description = "PROXY_NOT_FOUND"),
        (status = 409, body = ErrorBody,
            description = "HAS_PRIMARIES, NOT_REPLACEABLE, NO_AVAILABLE_RESOURCE, RESOURCE_NOT_BALANCE, ORDERED_PROXY_ENABLED")))]
pub(crate) async fn replace(
    State(broker): Shared,
    Path(address): Path<String>,
) -> Result<Json<ReplaceAnswer>, ApiError> {
    let proxy = proxy_address(&address)?;
    check_primaries(&broker, &proxy)?;
    match broker.apply(Command::ReplaceProxy { proxy: proxy.clone() }).await? {
        Reply::FailedOver(FailedOver { cluster: Some(cluster), replacement: Some(replacement), .. }) => {
            Ok(Json(ReplaceAnswer { cluster, replacement }))
        }
        _ => Err(ApplyError::NotReplaceable { proxy, why: "no cluster has it" }.into()),
    }
}

/// That both primaries of its chunk serve and can be told of new replicas, as coordinators see it: else the replicas that it
/// has may be needed.
fn check_primaries(broker: &Broker, proxy: &Address) -> Result<(), ApiError> {
    let state = &broker.metadata.snapshot().state;
    let Some(name) = state.proxies.get(proxy).and_then(|record| record.cluster.as_ref()) else {
        return Ok(());
    };
    let Some(cluster) = state.clusters.get(name) else { return Ok(()) };
    let Some((chunk, _)) = cluster.place_of(proxy) else { return Ok(()) };
    let (chunk, seen) = (&cluster.chunks[chunk], broker.metadata.board().now());
    let is_unserved = |shard| seen.unserved(name, chunk.primary(shard), chunk.primary_proxy(shard)).is_some();
    if Half::BOTH.into_iter().any(is_unserved) {
        let why = "nobody serves a shard of its chunk, and its nodes may be what is left of it";
        return Err(ApplyError::NotReplaceable { proxy: proxy.clone(), why }.into());
    }
    // One that nobody reaches may serve by the replica that is to leave, and would never know the new one.
    let is_unknown = |shard| seen.unknown(chunk.primary_proxy(shard)).is_some();
    if Half::BOTH.into_iter().any(is_unknown) {
        let why = "no coordinator can ask the proxy of a primary of its chunk";
        return Err(ApplyError::NotReplaceable { proxy: proxy.clone(), why }.into());
    }
    Ok(())
}
