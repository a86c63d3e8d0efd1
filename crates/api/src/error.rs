//! What every refused call answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of an answer that is not a success. Programs read `error`; the rest is for people and is left out
/// where there is nothing to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// The code, such as CLUSTER_NOT_FOUND.
    pub error: String,
    /// What is wrong, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The field or parameter that is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// The code of a broker that stood still for a time: nothing was changed, and the call may be made again at once.
pub const STOOD_STILL: &str = "STOOD_STILL";
