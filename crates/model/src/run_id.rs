//! The name of one process of a node or of a proxy.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest run id; Redis's have 40.
const RUN_ID_BYTES_MAX: usize = 64;

/// Names one process of a node or of a proxy and no other: `run_id` of its INFO. 1 to 64 of `[A-Za-z0-9-]`. Cheap to
/// clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Arc<str>);

impl RunId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot be a run id. The writer's fault; do not retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 1 to {RUN_ID_BYTES_MAX} characters of A-Z, a-z, 0-9 and '-'")]
pub struct RunIdError;

impl FromStr for RunId {
    type Err = RunIdError;

    fn from_str(text: &str) -> Result<Self, RunIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let fits = (1..=RUN_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.into())).ok_or(RunIdError)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.as_str().to_owned()
    }
}

impl TryFrom<String> for RunId {
    type Error = RunIdError;

    fn try_from(text: String) -> Result<Self, RunIdError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_one() {
        for (text, is_one) in [
            ("0b5e2a7e4d1f4f0d8f3c1c9a2b7d6e5f40a1b2c3", true),
            ("node-3-0", true),
            ("", false),
            ("a,b", false),
            ("a b", false),
            (&"a".repeat(RUN_ID_BYTES_MAX), true),
            (&"a".repeat(RUN_ID_BYTES_MAX + 1), false),
        ] {
            assert_eq!(text.parse::<RunId>().is_ok(), is_one, "{text:?}");
        }
    }
}
