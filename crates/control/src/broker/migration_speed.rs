//! How fast the slots of each cluster move, as this broker has seen it.
//!
//! Nothing of it is kept: a broker that restarts has to see something move first. What is counted is slots whose
//! move is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use control_core::State;
use model::ClusterName;

use crate::store::{Mark, Metadata};

/// How long to wait for a change at a time.
const WAIT: Duration = Duration::from_secs(3600);

/// What was seen of each cluster that moves slots.
#[derive(Debug, Default)]
pub(super) struct MigrationSpeed {
    clusters: BTreeMap<ClusterName, Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    since: Instant,
    /// Slots that were to be moved when it was first seen.
    total: usize,
    left: usize,
}

/// How fast slots move, and how long the rest takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    pub(super) slots_per_minute: u64,
    pub(super) seconds_left: u64,
}

impl MigrationSpeed {
    /// Notes what there is to be moved at a moment.
    pub(super) fn note(&mut self, state: &State, now: Instant) {
        self.clusters
            .retain(|name, _| state.clusters.get(name).is_some_and(|held| !held.migrations.is_empty()));
        for (name, cluster) in &state.clusters {
            let left: usize = cluster.migrations.iter().map(|migration| migration.ranges.count()).sum();
            if left == 0 {
                continue;
            }
            match self.clusters.get_mut(name) {
                Some(seen) if left <= seen.left => seen.left = left,
                // More than before: these are others.
                _ => drop(self.clusters.insert(name.clone(), Seen { since: now, total: left, left })),
            }
        }
    }

    /// How fast the slots of a cluster move; `None` until some have.
    pub(super) fn estimate(&self, cluster: &ClusterName, now: Instant) -> Option<Estimate> {
        let Seen { since, total, left } = *self.clusters.get(cluster)?;
        let moved = u64::try_from(total - left).ok().filter(|moved| *moved > 0)?;
        let left = u64::try_from(left).ok()?;
        let elapsed_ms = u64::try_from(now.saturating_duration_since(since).as_millis()).ok()?.max(1);
        Some(Estimate {
            slots_per_minute: moved.saturating_mul(60_000) / elapsed_ms,
            seconds_left: left.saturating_mul(elapsed_ms) / moved / 1000,
        })
    }
}

/// Follows the metadata until it is aborted.
pub(super) async fn follow(metadata: Metadata, speed: Arc<Mutex<MigrationSpeed>>) {
    let mut seen = Mark::default();
    loop {
        if let Some(newer) = metadata.newer_than(seen, WAIT).await {
            seen = newer.mark();
            speed.lock().unwrap_or_else(PoisonError::into_inner).note(&newer.state, Instant::now());
        } else {
            // Either nothing has changed for long, or the store is closed.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use control_core::{Command, NewProxy, State, TimeMs, apply};
    use model::{Address, ClusterName};

    use super::{Estimate, MigrationSpeed};

    /// A cluster of 8 nodes with the slots on 4 of them, about to be spread.
    fn scaling(name: &ClusterName) -> State {
        let mut state = State::default();
        for host in 1..=4 {
            let at = |port| Address::new(&format!("10.0.0.{host}"), port).unwrap();
            let new = NewProxy { address: at(5299), nodes: vec![at(1), at(2)], host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let (now, config) = (TimeMs(1), BTreeMap::new());
        let cluster = || name.clone();
        apply(&mut state, Command::CreateCluster { cluster: cluster(), node_number: 4, config, now })
            .unwrap();
        apply(&mut state, Command::AddNodes { cluster: cluster(), node_number: 4, now }).unwrap();
        apply(&mut state, Command::Expand { cluster: cluster() }).unwrap();
        state
    }

    #[test]
    fn rates() {
        let name: ClusterName = "db".parse().unwrap();
        let mut state = scaling(&name);
        let (mut speed, start) = (MigrationSpeed::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        speed.note(&state, start);
        assert_eq!(speed.estimate(&name, after(9)), None, "nothing has moved");
        let commit = |state: &mut State| {
            let held = &state.clusters[&name];
            let migration = &held.migrations[0];
            let (ranges, meta) = (migration.ranges.clone(), held.meta(migration).unwrap());
            apply(state, Command::CommitMigration { cluster: name.clone(), ranges, meta }).unwrap();
        };
        commit(&mut state);
        speed.note(&state, after(30));
        // 4096 of 8192 slots in half a minute.
        let expected = Estimate { slots_per_minute: 8192, seconds_left: 30 };
        assert_eq!(speed.estimate(&name, after(30)), Some(expected));
        let later = Estimate { slots_per_minute: 4096, seconds_left: 60 };
        assert_eq!(speed.estimate(&name, after(60)), Some(later));
        commit(&mut state);
        speed.note(&state, after(70));
        assert_eq!(speed.estimate(&name, after(70)), None, "it has ended");
    }
}
