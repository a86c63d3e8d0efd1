//! Clusters that the metadata has lost: a store that was put back, replaced or emptied does not know of them, and proxies
//! still serve them. It decides nothing by that, but has it told.

use std::collections::BTreeSet;
use std::sync::Arc;

use control_core::State;
use model::ClusterName;

use super::super::metadata::Reading;

/// What was read last, and what earlier histories of the metadata had.
#[derive(Debug, Default)]
pub(super) struct Missing {
    last: Option<(String, Arc<State>)>,
    clusters: BTreeSet<ClusterName>,
}

impl Missing {
    /// Notes a reading. A cluster that is gone in the same history was deleted; one that is gone with its history is missing,
    /// until there is one of this name again.
    pub(super) fn note(&mut self, reading: &Reading) {
        let known = self.last.take();
        if let Some((history, before)) = &known
            && *history != reading.history
        {
            self.clusters.extend(before.clusters.keys().cloned());
        }
        if known.is_none_or(|(_, before)| !Arc::ptr_eq(&before, &reading.state)) {
            self.clusters.retain(|name| !reading.state.clusters.contains_key(name));
        }
        self.last = Some((reading.history.clone(), Arc::clone(&reading.state)));
    }

    /// The clusters that are missing.
    pub(super) fn clusters(&self) -> impl Iterator<Item = &ClusterName> {
        self.clusters.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use control_core::{Command, NewProxy, TimeMs, apply};

    use super::*;

    /// Metadata with these clusters.
    fn reading(history: &str, clusters: &[&str]) -> Reading {
        let mut state = State::default();
        for host in 0..2 * clusters.len() {
            let at = |port: u16| format!("10.0.0.{host}:{port}").parse().unwrap();
            let nodes = vec![at(6379), at(6380)];
            let new = NewProxy { address: at(5299), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        for cluster in clusters {
            let (cluster, config) = (cluster.parse().unwrap(), BTreeMap::new());
            let create = Command::CreateCluster { cluster, node_number: 4, config, now: TimeMs(1) };
            apply(&mut state, create).unwrap();
        }
        Reading { history: history.to_owned(), ..Reading::new(Arc::new(state), Instant::now()) }
    }

    #[test]
    fn clusters_that_are_gone_with_their_history_are_missing() {
        let mut missing = Missing::default();
        for (history, clusters, expected) in [
            ("first", &["a", "b", "c"][..], &[][..]),
            ("first", &["a", "b"], &[]),
            ("second", &[], &["a", "b"]),
            ("second", &["a"], &["b"]),
            ("second", &[], &["b"]),
            ("third", &["d"], &["b"]),
            ("fourth", &["b"], &["d"]),
        ] {
            let reading = reading(history, clusters);
            for _ in 0..2 {
                missing.note(&reading);
                let found: Vec<&str> = missing.clusters().map(ClusterName::as_str).collect();
                assert_eq!(found, expected, "{history} {clusters:?}");
            }
        }
    }
}
