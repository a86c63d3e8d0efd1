//! The section `Keyspace`, of several nodes together.

use std::collections::BTreeMap;

/// One database's line: `db0:keys=3,expires=1,avg_ttl=500`.
#[derive(Default)]
struct Database {
    keys: u64,
    expires: u64,
    /// Sum over the keys that expire, so that the average of averages is the average.
    ttl_sum_ms: u128,
}

/// One section from those of several nodes, whose slots are different: keys are added, the time to live is
/// averaged over the keys that have one. Lines and fields that are none of these are left out.
pub fn merge<'a>(nodes: impl IntoIterator<Item = &'a str>) -> String {
    let mut databases: BTreeMap<u32, Database> = BTreeMap::new();
    for line in nodes.into_iter().flat_map(str::lines) {
        let Some((number, fields)) = line.trim().strip_prefix("db").and_then(|rest| rest.split_once(':'))
        else {
            continue;
        };
        let Ok(number) = number.parse() else { continue };
        let database = databases.entry(number).or_default();
        let field = |wanted: &str| {
            let mut pairs = fields.split(',').filter_map(|field| field.split_once('='));
            pairs
                .find(|(name, _)| *name == wanted)
                .and_then(|(_, value)| value.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let expires = field("expires");
        database.keys += field("keys");
        database.expires += expires;
        database.ttl_sum_ms += u128::from(field("avg_ttl")) * u128::from(expires);
    }
    let lines = databases.iter().map(|(number, Database { keys, expires, ttl_sum_ms })| {
        let ttl_ms = ttl_sum_ms.checked_div(u128::from(*expires)).unwrap_or(0);
        format!("db{number}:keys={keys},expires={expires},avg_ttl={ttl_ms}\r\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_added_up() {
        let first = "# Keyspace\r\ndb0:keys=10,expires=1,avg_ttl=100\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n";
        let second = "# Keyspace\r\ndb0:keys=5,expires=3,avg_ttl=500,subexpiry=0\r\n";
        for (nodes, expected) in [
            (vec![], ""),
            (vec!["# Keyspace\r\n"], ""),
            (vec![first], "db0:keys=10,expires=1,avg_ttl=100\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"),
            (vec![first, second], "db0:keys=15,expires=4,avg_ttl=400\r\ndb3:keys=1,expires=0,avg_ttl=0\r\n"),
            (vec!["dbx:keys=1", "db1", "foo:keys=1", "db2:keys=x"], "db2:keys=0,expires=0,avg_ttl=0\r\n"),
        ] {
            assert_eq!(merge(nodes), expected);
        }
    }
}
