//! The store as a whole: version, dump and restore, epochs, the broker's own settings.

use api::v3::{Addresses, BrokerSettings};
use api::{ACTOR_HEADER, COPIER, ErrorBody};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use control_core::{Command, State as Metadata};
use model::Epoch;
use service::build_info::BUILD;

use super::super::error::ApiError;
use super::super::input::Body;
use super::super::recovery;
use super::super::shared::{Broker, Done, Shared};

/// How many brokers may be given a copy.
const REPLICAS_MAX: usize = 16;

/// The version of the program, as plain text.
#[utoipa::path(get, path = "/api/v3/version", tag = "broker",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn version() -> &'static str {
    BUILD.version
}

/// The whole of the metadata.
#[utoipa::path(get, path = "/api/v3/metadata", tag = "broker", responses((status = 200, body = Object)))]
pub(crate) async fn dump(State(broker): Shared) -> Json<Metadata> {
    Json(broker.metadata.snapshot().state.clone())
}

/// Replaces the whole of the metadata by a dump that is not older. A copy of another broker is refused by one that gives
/// copies itself, or that coordinators speak to.
#[utoipa::path(put, path = "/api/v3/metadata", tag = "broker", request_body = Object,
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "INVALID_META_VERSION, EPOCH_SMALLER_THAN_CURRENT, TAKES_NO_COPIES")))]
pub(crate) async fn restore(State(broker): Shared, headers: HeaderMap, Body(dump): Body<Metadata>) -> Done {
    if headers.get(ACTOR_HEADER).is_some_and(|caller| caller.as_bytes() == COPIER.as_bytes()) {
        check_stands_in(&broker)?;
    }
    broker.change(Command::Restore(Box::new(dump))).await
}

/// That this broker is a stand-in: nobody works with its metadata, so they may be replaced by another broker's.
fn check_stands_in(broker: &Broker) -> Result<(), ApiError> {
    let refuse = |text: String| Err(ApiError::new(StatusCode::CONFLICT, "TAKES_NO_COPIES", text));
    let given = &broker.metadata.snapshot().state.replica_addresses;
    if !given.is_empty() {
        return refuse(format!(
            "this broker gives copies itself, to {}: of two brokers that give copies to each other, each would overwrite \
             what the other has",
            given.join(", ")
        ));
    }
    if broker.metadata.board().is_spoken_to() {
        return refuse(
            "coordinators speak to this broker: a copy would replace what they work with".to_owned(),
        );
    }
    Ok(())
}

/// The highest epoch that was ever given out.
#[utoipa::path(get, path = "/api/v3/epoch", tag = "broker", responses((status = 200, body = u64)))]
pub(crate) async fn epoch(State(broker): Shared) -> Json<Epoch> {
    Json(broker.metadata.snapshot().state.global_epoch)
}

/// Raises all epochs to a number above the current one.
#[utoipa::path(put, path = "/api/v3/epoch/{epoch}", tag = "broker", params(("epoch" = u64, Path)),
    responses((status = 200), (status = 400, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "EPOCH_SMALLER_THAN_CURRENT")))]
pub(crate) async fn raise_epoch(State(broker): Shared, Path(epoch): Path<String>) -> Done {
    let number = epoch.parse::<u64>();
    let number = number.map_err(|_| {
        ApiError::bad_input("INVALID_REQUEST", "epoch", format!("'{epoch}' is not an epoch's number"))
    })?;
    broker.change(Command::RaiseEpoch { epoch: Epoch(number) }).await
}

/// Asks every proxy for its epoch and raises all epochs past the highest. Answers the proxies that did not say:
/// those may still be ahead.
#[utoipa::path(put, path = "/api/v3/epoch/recovery", tag = "broker",
    responses((status = 200, body = Addresses), (status = 409, body = ErrorBody)))]
pub(crate) async fn recover_epoch(State(broker): Shared) -> Result<Json<Addresses>, ApiError> {
    let proxies: Vec<_> = broker.metadata.snapshot().state.proxies.keys().cloned().collect();
    let found = recovery::highest_epoch(proxies, broker.proxy_password.as_ref()).await;
    broker.apply(Command::RecoverEpoch { highest: found.highest }).await?;
    Ok(Json(Addresses { addresses: found.silent }))
}

/// The settings of the broker that can be changed.
#[utoipa::path(get, path = "/api/v3/config", tag = "broker", responses((status = 200, body = BrokerSettings)))]
pub(crate) async fn config(State(broker): Shared) -> Json<BrokerSettings> {
    Json(BrokerSettings { replica_addresses: broker.metadata.snapshot().state.replica_addresses.clone() })
}

/// Changes the settings of the broker.
#[utoipa::path(put, path = "/api/v3/config", tag = "broker", request_body = BrokerSettings,
    responses((status = 200), (status = 400, body = ErrorBody)))]
pub(crate) async fn set_config(State(broker): Shared, Body(settings): Body<BrokerSettings>) -> Done {
    let addresses = settings.replica_addresses;
    if addresses.len() > REPLICAS_MAX {
        let text = format!("at most {REPLICAS_MAX} brokers are given a copy");
        return Err(ApiError::bad_input("INVALID_REQUEST", "replica_addresses", text));
    }
    for (place, address) in addresses.iter().enumerate() {
        if let Err(error) = address.parse::<api::Endpoint>() {
            let field = format!("replica_addresses[{place}]");
            return Err(ApiError::bad_input("INVALID_REQUEST", field, error.to_string()));
        }
    }
    broker.change(Command::SetReplicaAddresses(addresses)).await
}
