//! A value that is never printed.

use super::value::{BadValue, Setting};
use std::fmt;

/// What a secret looks like wherever it would be printed.
const MASK: &str = "***";

/// A password or token. `Debug`, `Display` and the dump of a configuration show `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret itself: for comparing or sending, never for printing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

impl Setting for Secret {
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, BadValue> {
        Ok(Secret::new(text))
    }

    fn accepts() -> String {
        "a text".to_owned()
    }

    fn shown(&self) -> Option<toml::Value> {
        Some(toml::Value::String(MASK.to_owned()))
    }
}
