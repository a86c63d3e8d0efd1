//! Reading JSON of which no field may get lost: what a person wrote, where a field that is not known is refused, and what
//! is kept in a store, where it is a newer version's and is kept as it is.
//!
//! The types of the metadata themselves pass over fields that they do not know, so that a coordinator can read the
//! answers of a newer broker. Where a field that is lost would be missed, they are read through this.

mod kept;

pub(crate) use kept::{Kept, from_slice_keeping, to_value_with};

use serde::Deserializer;
use serde::de::DeserializeOwned;

/// Reads a value from `deserializer`; and the path of the first field in it that was passed over, if any.
///
/// # Errors
/// What the JSON has that the type cannot be made of.
pub(crate) fn with_unknown<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(T, Option<String>), D::Error> {
    let mut unknown = None;
    let mut note = |path: serde_ignored::Path<'_>| {
        // Steps into an optional value have no name in JSON.
        unknown.get_or_insert_with(|| path.to_string().replace(".?", ""));
    };
    let value = serde_ignored::deserialize(deserializer, &mut note)?;
    Ok((value, unknown))
}

/// Reads a whole document.
///
/// # Errors
/// What is wrong with it, in words; a field that is not known, too.
#[cfg(test)]
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let (value, unknown) = with_unknown(&mut reader).map_err(|error| error.to_string())?;
    reader.end().map_err(|error| error.to_string())?;
    unknown.map_or(Ok(value), |path| Err(format!("unknown field `{path}`")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use api::v4::StateAnswer;
    use control_core::{
        Command, Fence, FenceReason, FinishedMigration, Half, MigrationOutcome, NewProxy, ReporterId,
        ScaleJob, State, TimeMs, apply,
    };
    use model::{Address, ClusterName, Epoch};
    use serde_json::{Value, json};

    /// Metadata with at least one of each thing.
    fn state() -> State {
        let mut state = State::default();
        let address = |host: usize, port| Address::new(&format!("10.0.0.{host}"), port).unwrap();
        for host in 1..=4 {
            let nodes = vec![address(host, 6379), address(host, 6380)];
            let new = NewProxy { address: address(host, 5299), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let (name, now): (ClusterName, _) = ("db".parse().unwrap(), TimeMs(1));
        let cluster = || name.clone();
        for command in [
            Command::CreateCluster { cluster: cluster(), node_number: 4, config: BTreeMap::new(), now },
            Command::AddNodes { cluster: cluster(), node_number: 4, now },
            Command::Expand { cluster: cluster() },
            Command::ReportFailure { proxy: address(1, 5299), reporter: ReporterId("a".to_owned()), now },
        ] {
            apply(&mut state, command).unwrap();
        }
        let cluster = state.clusters.get_mut(&name).unwrap();
        let moving = cluster.migrations.iter().find(|migration| migration.attempt.is_some()).unwrap().clone();
        let (meta, epoch) = (cluster.meta(&moving).unwrap(), Epoch(2));
        let outcome = MigrationOutcome::Cancelled;
        cluster.finished.push(FinishedMigration { ranges: moving.ranges, meta, outcome, epoch });
        cluster.scaling = Some(ScaleJob { epoch, since: now });
        let reason = FenceReason::Dead;
        cluster.chunks[0].shard_mut(Half::First).fence = Some(Fence { epoch, since: now, reason });
        state
    }

    /// The places of all objects that have fields, and not any number of keys.
    fn places(value: &Value, place: &str, is_map: bool, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => {
                for (number, item) in items.iter().enumerate() {
                    places(item, &format!("{place}/{number}"), false, found);
                }
            }
            Value::Object(fields) => {
                if !is_map {
                    found.push(place.to_owned());
                }
                for (name, field) in fields.iter().filter(|(name, _)| *name != "failures") {
                    places(field, &format!("{place}/{name}"), name == "clusters" || name == "proxies", found);
                }
            }
            _ => {}
        }
    }

    #[test]
    fn fields_of_a_newer_version_are_passed_over_by_programs_and_refused_from_people() {
        let state = state();
        let (history, leases_left_ms) = ("h".to_owned(), Default::default());
        let answer = StateAnswer { history, change: 1, state: Some(state.clone()), leases_left_ms };
        let written = serde_json::to_value(&answer).unwrap();
        let mut found = Vec::new();
        places(&written, "", false, &mut found);
        for part in ["/settings", "/config", "/chunks/0", "/shards/0", "/fence", "/migrations/0", "/source"]
            .into_iter()
            .chain(["/finished/0", "/meta", "/scaling", "/state", "/proxies/10.0.0.1:5299"])
        {
            assert!(found.iter().any(|place| place.ends_with(part)), "no {part} among {found:?}");
        }
        for place in found {
            let mut newer = written.clone();
            let object = newer.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            object.insert("added_later".to_owned(), json!({"with": ["more"]}));
            let read: StateAnswer<State> = serde_json::from_slice(newer.to_string().as_bytes())
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert_eq!(read.state.as_ref(), Some(&state), "{place}");
            let Some(inner) = place.strip_prefix("/state") else { continue };
            let error = super::from_slice::<State>(newer["state"].to_string().as_bytes()).unwrap_err();
            let path = format!("{inner}/added_later").trim_start_matches('/').replace('/', ".");
            assert_eq!(error, format!("unknown field `{path}`"));
        }
        assert_eq!(super::from_slice::<State>(written["state"].to_string().as_bytes()), Ok(state));
    }
}
