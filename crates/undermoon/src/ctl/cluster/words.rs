//! What is given on the command line, looked up and read.

use control_core::{Cluster, State};
use model::ClusterName;

use super::super::error::CtlError;

/// A cluster of the metadata; an error as the broker gives it when there is none.
pub(super) fn find<'a>(state: &'a State, name: &ClusterName) -> Result<&'a Cluster, CtlError> {
    let cluster = state.clusters.get(name);
    cluster.ok_or_else(|| CtlError::Missing {
        what: format!("there is no cluster {name}"),
        code: "CLUSTER_NOT_FOUND",
    })
}

/// A setting and its value, as `field=value`.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (field, value) = text.split_once('=').ok_or("a setting is given as field=value")?;
    Ok((field.trim().to_owned(), value.trim().to_owned()))
}
