//! Reply texts that only the control thread has; those that others have too are in `proxy_core::errors`.

use std::time::Duration;

use keeper::Refusal;
use link::LinkError;
use model::{Address, MetaError};
use proxy_core::errors;

/// A scan for the keys of a slot found too many of them.
pub(super) const SCAN_TOO_LARGE: &str = "ERR the keys of this slot are too large to be listed";

/// CONFIG SET of a log level that the process could not take.
pub(super) fn log_level_failed() -> String {
    errors::setting_refused("loglevel", "the log of this process cannot be changed")
}

/// UMCTL with metadata that cannot be read.
pub(super) fn invalid_metadata(error: &MetaError) -> String {
    format!("ERR invalid metadata: {error}")
}

/// SETCLUSTER or SETREPL was not accepted.
pub(super) fn refusal(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::OldEpoch => errors::OLD_EPOCH,
        Refusal::EpochTooHigh => errors::EPOCH_TOO_HIGH,
        Refusal::NotMyMeta => errors::NOT_MY_META,
        Refusal::TryAgain => errors::TRY_AGAIN,
    }
}

/// CONFIG SET of more clients than the limit of open files has room for. Redis's text.
pub(super) fn too_many_clients_for_files(max: u32) -> String {
    let reason =
        format!("The operating system is not able to handle the specified number of clients, try with {max}");
    errors::setting_refused("maxclients", &reason)
}

/// UMCTL CLEAN while a cluster is served, or with another epoch.
pub(super) const NOT_EMPTY_VIEW: &str =
    "ERR the empty view of that epoch is not in force; nothing was emptied";

/// UMCTL CLEAN could not empty a node.
pub(super) fn cleaning_failed(node: &Address, reason: &str) -> String {
    format!("ERR backend {node} could not be emptied: {reason}")
}

/// A scan for the keys of a slot took longer than `limit`.
pub(super) fn scan_too_slow(limit: Duration) -> String {
    format!(
        "ERR looking through the nodes for the keys of this slot took longer than backend_timeout ({} ms): plain \
         Redis has no index of slots",
        limit.as_millis()
    )
}

/// A scan for the keys of a slot failed at a node.
pub(super) fn scan_failed(node: &Address, error: &LinkError) -> String {
    format!("ERR looking for the keys of this slot failed at backend {node}: {error}")
}

/// Waiting for what a node's replicas or files have failed.
pub(super) fn wait_failed(node: &Address, error: &LinkError) -> String {
    format!("ERR waiting at backend {node} failed: {error}")
}

/// SETCLUSTER was carried out, but for these settings.
pub(super) fn ignored_config(fields: &[String]) -> String {
    format!("OK, but unknown CONFIG fields were ignored: {}", fields.join(", "))
}

/// More operators ask at a time than are answered.
pub(super) const TOO_MANY_CALLS: &str = "ERR too many operators are asking at a time; ask again";

/// Another command than the control port knows.
pub(super) const NOT_ON_CONTROL_PORT: &str =
    "ERR the control port knows AUTH, PING and UMCTL only; clients' commands go to the proxy's `address`";
/// A request that is longer than the control port takes.
pub(super) const CONTROL_REQUEST_TOO_LARGE: &str = "ERR the request is longer than the control port takes";
