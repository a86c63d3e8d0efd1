//! What a node says of itself: what the keeper goes by, and what is shown. Pure.

use keeper::Health as Seen;
use proxy_core::info::NodeSaves;

/// What is shown of a node and decides nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeInfo {
    /// Its version.
    pub(crate) version: String,
    /// The lines of its section `Keyspace`.
    pub(crate) keyspace: String,
    /// What it saves, and the scripts that it keeps.
    pub(crate) saves: NodeSaves,
}

impl NodeInfo {
    /// Reads the text of INFO; fields that are missing keep their defaults.
    pub(super) fn of_info(info: &str) -> NodeInfo {
        let mut found = NodeInfo::default();
        for line in info.lines() {
            let Some((field, value)) = line.trim_end().split_once(':') else { continue };
            found.saves.note(field, value);
            match field {
                "redis_version" => found.version = value.to_owned(),
                _ if is_database(field) => found.keyspace += &format!("{field}:{value}\r\n"),
                _ => {}
            }
        }
        found
    }
}

/// One node, as onlookers see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct NodeSeen {
    /// How it is.
    pub(crate) health: Seen,
    /// What else it says, as of when it last answered.
    pub(crate) info: NodeInfo,
}

fn is_database(field: &str) -> bool {
    field
        .strip_prefix("db")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let text = "# Server\r\nredis_version:7.0.15\r\nloading:1\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n\
                    dbx:keys=1\r\n";
        let info = NodeInfo {
            version: "7.0.15".to_owned(),
            keyspace: "db0:keys=1,expires=0,avg_ttl=0\r\n".to_owned(),
            saves: NodeSaves { loading: true, ..NodeSaves::default() },
        };
        assert_eq!((NodeInfo::of_info(text), NodeInfo::of_info("")), (info, NodeInfo::default()));
    }
}
