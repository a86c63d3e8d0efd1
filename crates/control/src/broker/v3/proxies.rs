//! Proxies: the pool, failures, replacing what failed.

use api::ErrorBody;
use api::v3::{Addresses, HostsCannotFail, NewProxy, ProxyAnswer};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control_core::{Command, HostName, Reply, TimeMs, query};

use super::super::error::ApiError;
use super::super::input::{Body, Parameters, page, proxy_address, reporter};
use super::super::review::{found_at, is_there};
use super::super::shapes;
use super::super::shared::{Done, Shared};
use crate::wall_clock;

/// The registered proxies.
#[utoipa::path(get, path = "/api/v3/proxies/addresses", tag = "proxies",
    params(("offset" = Option<usize>, Query, description = "How many to leave out"),
        ("limit" = Option<usize>, Query, description = "How many at most")),
    responses((status = 200, body = Addresses), (status = 400, body = ErrorBody)))]
pub(crate) async fn addresses(
    State(broker): Shared,
    parameters: Parameters,
) -> Result<Json<Addresses>, ApiError> {
    let page = page(&parameters)?;
    Ok(Json(Addresses { addresses: query::proxy_addresses(&broker.metadata.snapshot().state, page) }))
}

/// A proxy with what it should know; null if it is not registered.
#[utoipa::path(get, path = "/api/v3/proxies/meta/{address}", tag = "proxies",
    params(("address" = String, Path)),
    responses((status = 200, body = ProxyAnswer), (status = 400, body = ErrorBody)))]
pub(crate) async fn meta(
    State(broker): Shared,
    Path(address): Path<String>,
) -> Result<Json<ProxyAnswer>, ApiError> {
    let address = proxy_address(&address)?;
    let meta = query::proxy_meta(&broker.metadata.snapshot().state, &address);
    Ok(Json(ProxyAnswer { proxy: meta.map(shapes::proxy) }))
}

/// The proxies that were taken out of service and have not come back.
#[utoipa::path(get, path = "/api/v3/proxies/failed/addresses", tag = "proxies",
    responses((status = 200, body = Addresses)))]
pub(crate) async fn failed(State(broker): Shared) -> Json<Addresses> {
    Json(Addresses { addresses: query::failed_proxies(&broker.metadata.snapshot().state) })
}

/// Registers a proxy with its nodes; one that is registered has its failure cleared instead. The proxy is asked: one
/// that serves a cluster, or has nodes with keys, is under review, and given to no cluster before an operator has decided.
#[utoipa::path(post, path = "/api/v3/proxies/meta", tag = "proxies", request_body = NewProxy,
    responses((status = 200),
        (status = 400, body = ErrorBody, description = "INVALID_PROXY_ADDRESS, MISSING_SERVER_PROXY_INDEX"),
        (status = 409, body = ErrorBody, description = "ALREADY_EXISTED, REGISTERED_OTHERWISE, RETRY")))]
pub(crate) async fn register(State(broker): Shared, Body(body): Body<NewProxy>) -> Done {
    if body.host.as_deref().is_some_and(str::is_empty) {
        return Err(ApiError::bad_input("INVALID_REQUEST", "host", "a host's name is not empty"));
    }
    let new = control_core::NewProxy {
        address: body.proxy_address,
        nodes: body.nodes,
        host: body.host.map(HostName),
        index: body.index,
    };
    let command = match found_at(&new.address, broker.proxy_password.as_ref()).await {
        Some(found) => match found.is_idle(&new.nodes) {
            Some(true) => Command::RegisterProxy(new),
            seen => {
                let is_at_work = seen == Some(false);
                Command::AnnounceProxy { new, is_at_work, serves_nobody: !is_at_work }
            }
        },
        // What takes connections and says nothing may serve somebody.
        None => {
            let serves_nobody = !is_there(&new.address).await;
            Command::AnnounceProxy { new, is_at_work: false, serves_nobody }
        }
    };
    match broker.apply(command).await? {
        Reply::AlreadyExisted => {
            let text = "the proxy is registered already; if it had failed, that is cleared";
            Err(ApiError::new(StatusCode::CONFLICT, "ALREADY_EXISTED", text))
        }
        _ => Ok(()),
    }
}

/// Forgets a proxy of the pool.
#[utoipa::path(delete, path = "/api/v3/proxies/meta/{address}", tag = "proxies",
    params(("address" = String, Path)),
    responses((status = 200), (status = 404, body = ErrorBody, description = "PROXY_NOT_FOUND"),
        (status = 409, body = ErrorBody, description = "IN_USE, RETRY")))]
pub(crate) async fn remove(State(broker): Shared, Path(address): Path<String>) -> Done {
    broker.change(Command::RemoveProxy { proxy: proxy_address(&address)? }).await
}

/// Reports a proxy as failed.
#[utoipa::path(post, path = "/api/v3/failures/{address}/{reporter}", tag = "failures",
    params(("address" = String, Path), ("reporter" = String, Path, description = "Who says so")),
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody, description = "PROXY_NOT_FOUND")))]
pub(crate) async fn report(State(broker): Shared, Path((address, who)): Path<(String, String)>) -> Done {
    let (proxy, reporter) = (proxy_address(&address)?, reporter(who)?);
    broker.change(Command::ReportFailure { proxy, reporter, now: TimeMs::default() }).await
}

/// The proxies that a quorum reports as failed and that have not been taken out of service yet.
#[utoipa::path(get, path = "/api/v3/failures", tag = "failures", responses((status = 200, body = Addresses)))]
pub(crate) async fn reported(State(broker): Shared) -> Json<Addresses> {
    let addresses = query::reported_proxies(&broker.metadata.snapshot().state, wall_clock::now());
    Json(Addresses { addresses })
}

/// Takes a proxy out of service: replicas take over from its primaries, and one of the pool takes its place.
/// Answers that one, or null where the proxy was not in use.
#[utoipa::path(post, path = "/api/v3/proxies/failover/{address}", tag = "failures",
    params(("address" = String, Path)),
    responses((status = 200, body = ProxyAnswer),
        (status = 404, body = ErrorBody, description = "PROXY_NOT_FOUND"),
        (status = 409, body = ErrorBody,
            description = "NO_AVAILABLE_RESOURCE: replicas have taken over, and the pool has none to replace it")))]
pub(crate) async fn fail_over(
    State(broker): Shared,
    Path(address): Path<String>,
) -> Result<Json<ProxyAnswer>, ApiError> {
    let (proxy, now) = (proxy_address(&address)?, TimeMs::default());
    let reply =
        broker.apply(Command::FailOverProxy { proxy, force: false, decided_after: None, now }).await?;
    let Reply::FailedOver(outcome) = reply else { return Ok(Json(ProxyAnswer { proxy: None })) };
    match (outcome.cluster, outcome.replacement) {
        (None, _) => Ok(Json(ProxyAnswer { proxy: None })),
        (Some(_), Some(new)) => {
            let meta = query::proxy_meta(&broker.metadata.snapshot().state, &new);
            Ok(Json(ProxyAnswer { proxy: meta.map(shapes::proxy) }))
        }
        (Some(_), None) => {
            let text = "replicas have taken over where they could, and no free proxy fits in its place";
            Err(ApiError::new(StatusCode::CONFLICT, "NO_AVAILABLE_RESOURCE", text))
        }
    }
}

/// The hosts whose loss the pool could not make up for.
#[utoipa::path(post, path = "/api/v3/resources/failures/check", tag = "failures",
    responses((status = 200, body = HostsCannotFail)))]
pub(crate) async fn hosts_cannot_fail(State(broker): Shared) -> Json<HostsCannotFail> {
    let hosts = query::hosts_cannot_fail(&broker.metadata.snapshot().state);
    Json(HostsCannotFail { hosts_cannot_fail: hosts.into_iter().map(|host| host.0).collect() })
}
