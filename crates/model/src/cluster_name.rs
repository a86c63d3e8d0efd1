//! The name of a cluster.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest cluster name.
const NAME_BYTES_MAX: usize = 30;

/// A cluster's name: 1 to 30 of `[A-Za-z0-9@_-]`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClusterName(Arc<str>);

impl ClusterName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text cannot be a cluster's name. The writer's fault; do not retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cluster name is 1 to 30 characters of A-Z, a-z, 0-9, '@', '_' and '-'")]
pub struct ClusterNameError;

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(text: &str) -> Result<Self, ClusterNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'_' | b'-');
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.into())).ok_or(ClusterNameError)
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ClusterName> for String {
    fn from(name: ClusterName) -> Self {
        name.as_str().to_owned()
    }
}

impl TryFrom<String> for ClusterName {
    type Error = ClusterNameError;

    fn try_from(text: String) -> Result<Self, ClusterNameError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::ClusterName;

    #[test]
    fn allowed_names() {
        let check =
            |text: &str, fits: bool| assert_eq!(text.parse::<ClusterName>().is_ok(), fits, "{text:?}");
        check("mydb", true);
        check("A-z_0@9", true);
        check(&"x".repeat(30), true);
        check(&"x".repeat(31), false);
        check("", false);
        check("a b", false);
        check("a:b", false);
        check("dé", false);
    }
}
