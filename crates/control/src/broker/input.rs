//! Reading what callers send: whatever cannot be taken is refused with the name of the field.

use std::collections::HashMap;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use control_core::Command;
use control_core::query::Page;
use model::{Address, ClusterName, Epoch};
use serde::de::DeserializeOwned;

use super::error::ApiError;
use crate::strict_json;

/// The longest reporter id that is taken.
const REPORTER_BYTES_MAX: usize = 128;

/// The parameters behind the question mark.
pub(super) type Parameters = Query<HashMap<String, String>>;

/// A JSON body, whatever its content type is said to be. A field that is not known is refused.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

/// A JSON body from a program that may be newer than this one: fields that are not known are passed over.
#[derive(Debug)]
pub(super) struct Message<T> {
    /// What was understood of it.
    pub(super) content: T,
    /// The path of a field that was not, if there is one.
    pub(super) unknown: Option<String>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        parse_json(&body(request, state).await?).map(Self)
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Message<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (content, unknown) = parse_with_unknown(&body(request, state).await?)?;
        Ok(Self { content, unknown })
    }
}

/// The epoch that the cluster of a change must have, by the header `If-Match`: it is what `health` shows as `epoch`.
#[derive(Debug)]
pub(super) struct IfMatch(Option<Epoch>);

impl IfMatch {
    /// The change, with that condition if there is one.
    pub(super) fn guard(self, cluster: &ClusterName, command: Command) -> Command {
        match self.0 {
            Some(epoch) => {
                Command::IfUnchanged { cluster: cluster.clone(), epoch, command: Box::new(command) }
            }
            None => command,
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(Self(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        // RFC 9110: any cluster that there is.
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
        let epoch = number.parse().map_err(|_| {
            let text = "If-Match is the epoch of the cluster, as its health shows it";
            ApiError::bad_input("INVALID_REQUEST", "If-Match", text)
        })?;
        Ok(Self(Some(Epoch(epoch))))
    }
}

async fn body(request: Request, state: &(impl Send + Sync)) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            "BODY_TOO_LARGE"
        } else {
            "INVALID_REQUEST"
        };
        ApiError::new(rejection.status(), code, rejection.body_text())
    })
}

/// Reads JSON, all of it; what is wrong is named by its field.
fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    match parse_with_unknown(bytes)? {
        (value, None) => Ok(value),
        (_, Some(field)) => Err(unknown_field(field)),
    }
}

/// The refusal of a field that is not known.
pub(super) fn unknown_field(field: String) -> ApiError {
    let text = format!("unknown field `{field}`");
    ApiError::bad_input(code_of(&field), field, text)
}

/// Reads a value from JSON, and the path of an unknown field, if there is one.
fn parse_with_unknown<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Option<String>), ApiError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let read = strict_json::with_unknown(tracked);
    let value = read.map_err(|error| {
        let path = track.path().to_string();
        let text = error.to_string();
        // A field that is missing or not known is named by the text alone.
        let named = text.split('`').nth(1).filter(|_| text.contains(" field `"));
        let field = match named {
            Some(name) if path == "." => name.to_owned(),
            Some(name) if path.ends_with(name) => path,
            Some(name) => format!("{path}.{name}"),
            None => path,
        };
        ApiError::bad_input(code_of(&field), field, text)
    })?;
    let rest = reader.end().map_err(|error| ApiError::bad_input("INVALID_REQUEST", ".", error.to_string()));
    rest.map(|()| value)
}

/// The code of `/api/v3` for a field that cannot be taken.
fn code_of(field: &str) -> &'static str {
    match field.split(['.', '[']).next().unwrap_or_default() {
        "node_number" | "cluster_node_number" => "INVALID_NODE_NUMBER",
        "proxy_address" | "nodes" => "INVALID_PROXY_ADDRESS",
        "cluster_name" => "INVALID_CLUSTER_NAME",
        _ => "INVALID_REQUEST",
    }
}

/// A cluster's name in a path.
pub(super) fn cluster_name(text: &str) -> Result<ClusterName, ApiError> {
    text.parse().map_err(|error: model::ClusterNameError| {
        ApiError::bad_input("INVALID_CLUSTER_NAME", "cluster", error.to_string())
    })
}

/// A proxy's address in a path.
pub(super) fn proxy_address(text: &str) -> Result<Address, ApiError> {
    text.parse().map_err(|error: model::AddressError| {
        ApiError::bad_input("INVALID_PROXY_ADDRESS", "address", error.to_string())
    })
}

/// A number of nodes in a path.
pub(super) fn node_number(text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_input(
            "INVALID_NODE_NUMBER",
            "node_number",
            format!("'{text}' is not a number of nodes"),
        )
    })
}

/// Who reports, in a path.
pub(super) fn reporter(text: String) -> Result<control_core::ReporterId, ApiError> {
    if text.is_empty() || text.len() > REPORTER_BYTES_MAX || text.chars().any(char::is_control) {
        let accepted =
            format!("a reporter is named by 1 to {REPORTER_BYTES_MAX} bytes without control characters");
        return Err(ApiError::bad_input("INVALID_REQUEST", "reporter", accepted));
    }
    Ok(control_core::ReporterId(text))
}

/// A number among the parameters; `None` if it is not there.
pub(super) fn parameter<T: FromStr>(parameters: &Parameters, name: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_input(
            "INVALID_REQUEST",
            name,
            format!("'{text}' is not a number that `{name}` can take"),
        )
    })
}

/// Which part of a list is wanted.
pub(super) fn page(parameters: &Parameters) -> Result<Page, ApiError> {
    Ok(Page { offset: parameter(parameters, "offset")?.unwrap_or(0), limit: parameter(parameters, "limit")? })
}

#[cfg(test)]
mod tests {
    use api::v3::{MigrationTask, NewProxy, NodeNumber};
    use serde::de::DeserializeOwned;

    use super::parse_json;

    #[test]
    fn wrong_fields_are_named() {
        fn check<T: DeserializeOwned + std::fmt::Debug>(body: &str, expected: Option<(&str, &str)>) {
            let refused = parse_json::<T>(body.as_bytes()).err().map(|error| error.body);
            let found = refused.as_ref().map(|body| (body.error.as_str(), body.field.as_deref().unwrap()));
            assert_eq!(found, expected, "{body}");
        }
        check::<NodeNumber>(r#"{"node_number":8}"#, None);
        check::<NodeNumber>(r#"{"node_number":"8"}"#, Some(("INVALID_NODE_NUMBER", "node_number")));
        check::<NodeNumber>(r#"{"node_number":-4}"#, Some(("INVALID_NODE_NUMBER", "node_number")));
        check::<NodeNumber>("{}", Some(("INVALID_NODE_NUMBER", "node_number")));
        check::<NodeNumber>(r#"{"node_number":8,"x":1}"#, Some(("INVALID_REQUEST", "x")));
        check::<NodeNumber>("", Some(("INVALID_REQUEST", ".")));
        check::<NodeNumber>(r#"{"node_number":8} 1"#, Some(("INVALID_REQUEST", ".")));
        check::<NodeNumber>("[", Some(("INVALID_REQUEST", ".")));
        let proxy = r#"{"proxy_address":"1.2.3.4:1","nodes":["a"]}"#;
        check::<NewProxy>(proxy, Some(("INVALID_PROXY_ADDRESS", "nodes[0]")));
        check::<NewProxy>(r#"{"nodes":[]}"#, Some(("INVALID_PROXY_ADDRESS", "proxy_address")));
        check::<MigrationTask>(r#"{"cluster_name":"?"}"#, Some(("INVALID_CLUSTER_NAME", "cluster_name")));
        let task = r#"{"cluster_name":"a","slot_range":{"range_list":[[0,99999]],"tag":"None"}}"#;
        check::<MigrationTask>(task, Some(("INVALID_REQUEST", "slot_range.range_list[0][1]")));
        let mut dump = serde_json::to_value(control_core::State::default()).unwrap();
        check::<control_core::State>(&dump.to_string(), None);
        dump["settings"]["failure_tl_ms"] = 1.into();
        check::<control_core::State>(&dump.to_string(), Some(("INVALID_REQUEST", "settings.failure_tl_ms")));
        let task = r#"{"cluster_name":"a","slot_range":{"range_list":[]}}"#;
        check::<MigrationTask>(task, Some(("INVALID_REQUEST", "slot_range.tag")));
    }
}
