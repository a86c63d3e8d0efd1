//! What coordinators have told lately. In memory, with the time at which it came by this process's clock.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::v4::Observations;
use model::{Address, ClusterName};

/// What was said longer ago than this is not shown: its coordinator says it every second.
const KEPT: Duration = Duration::from_secs(3);
/// How many coordinators are listened to at a time.
const COORDINATORS_MAX: usize = 64;

/// What each coordinator said last.
#[derive(Debug, Default)]
pub struct ObservationBoard {
    said: Mutex<BTreeMap<(String, u64), (Instant, Observations)>>,
}

impl ObservationBoard {
    /// Notes what a coordinator sees; false when there are too many of them.
    pub fn note(&self, seen: Observations) -> bool {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.retain(|_, (at, _)| now.duration_since(*at) <= KEPT);
        let key = (seen.coordinator.clone(), seen.process);
        if said.len() >= COORDINATORS_MAX && !said.contains_key(&key) {
            return false;
        }
        said.insert(key, (now, seen));
        true
    }

    /// Whether any coordinator speaks to this process: without one, nothing follows from what it decides.
    pub fn is_spoken_to(&self) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.values().any(|(at, _)| at.elapsed() <= KEPT)
    }

    /// What is true now, as far as coordinators say so.
    #[must_use]
    pub fn now(&self) -> Seen {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = Seen::default();
        for ((coordinator, _), (_, told)) in said.iter().filter(|(_, (at, _))| at.elapsed() <= KEPT) {
            *seen.processes.entry(coordinator.clone()).or_default() += 1;
            for shard in &told.unserved {
                let why = seen.unserved.entry((shard.cluster.clone(), shard.primary.clone())).or_default();
                why.insert(coordinator.clone(), shard.why.clone());
            }
            for proxy in &told.unaskable {
                seen.unaskable.entry(proxy.clone()).or_default().push(coordinator.clone());
            }
            for shard in &told.busy {
                let for_ms = seen.busy.entry((shard.cluster.clone(), shard.primary.clone())).or_default();
                *for_ms = shard.for_ms.max(*for_ms);
            }
        }
        seen
    }
}

/// What coordinators see now.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Shards that nobody serves: why, as each coordinator has it that sees so.
    unserved: BTreeMap<(ClusterName, Address), BTreeMap<String, String>>,
    /// Proxies that coordinators cannot ask.
    unaskable: BTreeMap<Address, Vec<String>>,
    /// Shards whose primary is busy: for how long, in milliseconds, as the coordinator has it that sees it longest.
    busy: BTreeMap<(ClusterName, Address), u64>,
    /// How many processes have each name.
    processes: BTreeMap<String, usize>,
}

impl Seen {
    /// Why a shard is not served, where every coordinator that speaks sees so: one that does not may hear more.
    #[must_use]
    pub fn unserved(&self, cluster: &ClusterName, primary: &Address) -> Option<&str> {
        let why = self.unserved.get(&(cluster.clone(), primary.clone()))?;
        let agree = why.len() == self.processes.len();
        why.values().next().filter(|_| agree).map(String::as_str)
    }

    /// For how long the primary of a shard has been busy, in milliseconds, where any coordinator sees it so.
    #[must_use]
    pub fn busy_ms(&self, cluster: &ClusterName, primary: &Address) -> Option<u64> {
        self.busy.get(&(cluster.clone(), primary.clone())).copied()
    }

    /// How many shards have a busy primary.
    #[must_use]
    pub fn busy_count(&self) -> usize {
        self.busy.len()
    }

    /// What is wrong with coordinators themselves, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let twice = self.processes.iter().filter(|(_, count)| **count > 1).map(|(name, count)| {
            format!("{count} coordinators call themselves {name}: they count as one; set reporter_id at each")
        });
        let unaskable = self.unaskable.iter().map(|(proxy, coordinators)| {
            let who = coordinators.join(", ");
            format!(
                "coordinator {who} cannot ask proxy {proxy} how it is; look at proxy_password and its network"
            )
        });
        twice.chain(unaskable).collect()
    }
}

#[cfg(test)]
mod tests {
    use api::v4::UnservedShard;

    use super::*;

    fn seen(coordinator: &str, process: u64, primaries: &[&str]) -> Observations {
        let shard = |primary: &&str| UnservedShard {
            cluster: "db".parse().unwrap(),
            primary: primary.parse().unwrap(),
            why: format!("{coordinator} says so"),
        };
        let unserved = primaries.iter().map(shard).collect();
        Observations { coordinator: coordinator.to_owned(), process, unserved, ..Observations::default() }
    }

    #[test]
    fn a_shard_is_down_where_all_say_so() {
        let board = ObservationBoard::default();
        let why = |board: &ObservationBoard| {
            board.now().unserved(&"db".parse().unwrap(), &"a:1".parse().unwrap()).map(str::to_owned)
        };
        assert_eq!(why(&board), None);
        assert!(!board.is_spoken_to());
        assert!(board.note(seen("x", 1, &["a:1"])));
        assert!(board.is_spoken_to());
        assert_eq!(why(&board).as_deref(), Some("x says so"));
        assert!(board.note(seen("y", 2, &["b:1"])));
        assert_eq!(why(&board), None, "another hears it");
        assert!(board.note(seen("y", 2, &["a:1", "b:1"])));
        assert!(why(&board).is_some());
        assert!(board.now().problems().is_empty());
        assert!(board.note(seen("y", 3, &[])));
        assert_eq!(board.now().problems().len(), 1, "two processes of one name");
    }

    #[test]
    fn a_shard_is_busy_where_any_says_so() {
        let board = ObservationBoard::default();
        let (cluster, primary): (ClusterName, Address) = ("db".parse().unwrap(), "a:1".parse().unwrap());
        for (process, for_ms) in [(1, None), (2, Some(700)), (3, Some(650))] {
            let shard =
                |for_ms| api::v4::BusyShard { cluster: cluster.clone(), primary: primary.clone(), for_ms };
            let busy = for_ms.map(shard).into_iter().collect();
            assert!(board.note(Observations { busy, ..seen("x", process, &[]) }));
        }
        let now = board.now();
        assert_eq!((now.busy_ms(&cluster, &primary), now.busy_count()), (Some(700), 1));
        assert_eq!(now.busy_ms(&cluster, &"b:1".parse().unwrap()), None);
    }

    #[test]
    fn coordinators_are_bounded() {
        let board = ObservationBoard::default();
        let count = u64::try_from(COORDINATORS_MAX).unwrap();
        assert!((0..count).all(|process| board.note(seen("x", process, &[]))));
        assert!(!board.note(seen("x", count, &[])));
        assert!(board.note(seen("x", 0, &[])), "one that is known");
    }
}
