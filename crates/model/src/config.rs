//! The settings of one cluster, which travel with its view.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::decimal;

const COMPRESSION_STRATEGY: &str = "compression_strategy";
const MAX_MIGRATION_TIME: &str = "migration_max_migration_time";
const MAX_BLOCKING_TIME: &str = "migration_max_blocking_time";

const MIGRATION_TIME_DEFAULT_S: u64 = 3 * 60 * 60;
const MIGRATION_TIME_S_MAX: u64 = 30 * 24 * 60 * 60;
const BLOCKING_TIME_DEFAULT_MS: u64 = 10_000;
const BLOCKING_TIME_MS_MAX: u64 = 10 * 60 * 1000;

/// The settings of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "BTreeMap<String, String>")]
pub struct ClusterConfig {
    /// `compression_strategy`: what the proxy compresses.
    pub compression_strategy: CompressionStrategy,
    /// `migration_max_migration_time`: after that long a migration gives up; in seconds.
    pub max_migration_time_s: u64,
    /// `migration_max_blocking_time`: how long a handoff may hold commands back; in milliseconds.
    pub max_blocking_time_ms: u64,
}

/// Which values the proxy compresses before it stores them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CompressionStrategy {
    /// None.
    #[default]
    Disabled,
    /// Those of SET and its kin; commands that would see compressed bytes are refused.
    SetGetOnly,
    /// Those of SET and its kin; every other command is let through as well.
    AllowAll,
}

impl CompressionStrategy {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::SetGetOnly => "set_get_only",
            Self::AllowAll => "allow_all",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Disabled, Self::SetGetOnly, Self::AllowAll]
            .into_iter()
            .find(|strategy| strategy.as_str().eq_ignore_ascii_case(word))
    }
}

/// Whether a setting is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigField {
    /// It was, and has been set.
    Known,
    /// It was not; nothing has changed.
    Unknown,
}

/// The value does not suit the setting. The writer's fault; do not retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {accepted}")]
pub struct ConfigError {
    /// The setting.
    pub field: &'static str,
    /// The values that it takes.
    pub accepted: String,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            compression_strategy: CompressionStrategy::default(),
            max_migration_time_s: MIGRATION_TIME_DEFAULT_S,
            max_blocking_time_ms: BLOCKING_TIME_DEFAULT_MS,
        }
    }
}

impl ClusterConfig {
    /// Sets one field from text; names are case-insensitive.
    pub fn parse(&mut self, field: &str, value: &str) -> Result<ConfigField, ConfigError> {
        let is = |name: &str| field.eq_ignore_ascii_case(name);
        if is(COMPRESSION_STRATEGY) {
            let accepted = "disabled, set_get_only or allow_all";
            self.compression_strategy = CompressionStrategy::parse(value)
                .ok_or_else(|| ConfigError { field: COMPRESSION_STRATEGY, accepted: accepted.to_owned() })?;
        } else if is(MAX_MIGRATION_TIME) {
            self.max_migration_time_s = bounded(MAX_MIGRATION_TIME, value, "seconds", MIGRATION_TIME_S_MAX)?;
        } else if is(MAX_BLOCKING_TIME) {
            self.max_blocking_time_ms =
                bounded(MAX_BLOCKING_TIME, value, "milliseconds", BLOCKING_TIME_MS_MAX)?;
        } else {
            return Ok(ConfigField::Unknown);
        }
        Ok(ConfigField::Known)
    }

    /// Every field with its value, in the order of the documentation.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, String)> {
        [
            (COMPRESSION_STRATEGY, self.compression_strategy.as_str().to_owned()),
            (MAX_MIGRATION_TIME, self.max_migration_time_s.to_string()),
            (MAX_BLOCKING_TIME, self.max_blocking_time_ms.to_string()),
        ]
        .into_iter()
    }
}

fn bounded(field: &'static str, value: &str, unit: &str, max: u64) -> Result<u64, ConfigError> {
    decimal::parse(value)
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| ConfigError { field, accepted: format!("a number of {unit} from 1 to {max}") })
}

impl From<ClusterConfig> for BTreeMap<String, String> {
    fn from(config: ClusterConfig) -> Self {
        config.iter().map(|(field, value)| (field.to_owned(), value)).collect()
    }
}

/// A setting that a newer version has is passed over as a field that is not known; a reader that does not want that, such
/// as one of what a person wrote, is told of it by serde as of any other such field.
impl<'de> Deserialize<'de> for ClusterConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

/// Reads the settings one after the other.
struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = ClusterConfig;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the settings of a cluster")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClusterConfig, A::Error> {
        let mut config = ClusterConfig::default();
        while let Some(field) = map.next_key::<String>()? {
            let names = [COMPRESSION_STRATEGY, MAX_MIGRATION_TIME, MAX_BLOCKING_TIME];
            if names.iter().any(|name| field.eq_ignore_ascii_case(name)) {
                config.parse(&field, &map.next_value::<String>()?).map_err(A::Error::custom)?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::{ClusterConfig, ConfigField};

    #[test]
    fn fields() {
        let check = |field: &str, value: &str, expected: Result<ConfigField, &str>| {
            let mut config = ClusterConfig::default();
            let seen = config.parse(field, value).map_err(|error| error.to_string());
            assert_eq!(
                seen.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|e| *e),
                "{field} {value}"
            );
            let changed = config.iter().any(|(name, set)| name.eq_ignore_ascii_case(field) && set == value);
            assert_eq!(changed, expected == Ok(ConfigField::Known), "{field} {value}");
        };
        check("compression_strategy", "allow_all", Ok(ConfigField::Known));
        check("Migration_Max_Blocking_Time", "1", Ok(ConfigField::Known));
        check("migration_max_migration_time", "2592000", Ok(ConfigField::Known));
        check("colour", "blue", Ok(ConfigField::Unknown));
        check(
            "compression_strategy",
            "zip",
            Err("compression_strategy must be disabled, set_get_only or allow_all"),
        );
        check(
            "migration_max_blocking_time",
            "600001",
            Err("migration_max_blocking_time must be a number of milliseconds from 1 to 600000"),
        );
        check(
            "migration_max_migration_time",
            "0",
            Err("migration_max_migration_time must be a number of seconds from 1 to 2592000"),
        );
    }
}
