//! What coordinators have told lately, in memory, each with the time of its arrival by this process's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use api::v4::{LateProxy, Observations};
use model::{Address, ClusterName};

/// What was said longer ago than this is not shown: its coordinator says it every second.
const KEPT: Duration = Duration::from_secs(3);
/// How long a new broker waits before it says that no coordinator speaks: coordinators look for it meanwhile.
const BEGINNING: Duration = Duration::from_secs(10);
/// How many missing clusters are named at most.
const NAMES_MAX: usize = 10;
/// How many coordinators are listened to at a time.
const COORDINATORS_MAX: usize = 64;

/// What each coordinator said last.
#[derive(Debug)]
pub struct ObservationBoard {
    said: Mutex<BTreeMap<(String, u64), (Instant, Observations)>>,
    silence: Mutex<Silence>,
}

/// Since when no coordinator has spoken.
#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Instant,
    /// A longer silence is too long.
    allowed: Duration,
}

impl Default for ObservationBoard {
    fn default() -> Self {
        Self {
            said: Mutex::default(),
            silence: Mutex::new(Silence { since: Instant::now(), allowed: BEGINNING }),
        }
    }
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
        let silence = Silence { since: now, allowed: KEPT };
        *self.silence.lock().unwrap_or_else(PoisonError::into_inner) = silence;
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
        let silence = *self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = Some(silence.since.elapsed()).filter(|silent| *silent > silence.allowed);
        let mut seen = Seen { silent, ..Seen::default() };
        for ((coordinator, _), (_, told)) in said.iter().filter(|(_, (at, _))| at.elapsed() <= KEPT) {
            *seen.processes.entry(coordinator.clone()).or_default() += 1;
            for shard in &told.unserved {
                let why = seen.unserved.entry((shard.cluster.clone(), shard.primary.clone())).or_default();
                why.insert(coordinator.clone(), shard.why.clone());
            }
            for proxy in &told.unaskable {
                seen.unaskable.entry(proxy.clone()).or_default().insert(coordinator.clone());
            }
            for cluster in &told.missing {
                seen.missing.entry(cluster.clone()).or_default().insert(coordinator.clone());
            }
            for shard in &told.busy {
                let for_ms = seen.busy.entry((shard.cluster.clone(), shard.primary.clone())).or_default();
                *for_ms = shard.for_ms.max(*for_ms);
            }
            for proxy in &told.late {
                let known = seen.late.get(&proxy.proxy).map_or(0, |late| late.for_ms);
                if proxy.for_ms >= known {
                    seen.late.insert(proxy.proxy.clone(), proxy.clone());
                }
            }
            for shard in &told.unattached {
                let key = (shard.cluster.clone(), shard.primary.clone());
                let for_ms = seen.unattached.entry(key).or_default();
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
    unaskable: BTreeMap<Address, BTreeSet<String>>,
    /// Shards whose primary is busy: for how long, in milliseconds, as the coordinator has it that sees it longest.
    busy: BTreeMap<(ClusterName, Address), u64>,
    /// Shards whose replica follows and is not attached: for how long, in milliseconds, in the same way.
    unattached: BTreeMap<(ClusterName, Address), u64>,
    /// Proxies that have not taken what they are to have, as the coordinator has it that sees it longest.
    late: BTreeMap<Address, LateProxy>,
    /// Clusters that were in the metadata before it began another history: which coordinators have seen them there.
    missing: BTreeMap<ClusterName, BTreeSet<String>>,
    /// How many processes have each name.
    processes: BTreeMap<String, usize>,
    /// For how long no coordinator has spoken, if that is too long.
    silent: Option<Duration>,
}

impl Seen {
    /// Why a shard is not served, where every coordinator sees so that can ask the primary's proxy: one that does not may hear
    /// more. One that cannot ask sees nothing.
    #[must_use]
    pub fn unserved(&self, cluster: &ClusterName, primary: &Address, proxy: &Address) -> Option<&str> {
        let why = self.unserved.get(&(cluster.clone(), primary.clone()))?;
        let agree = self.witnesses(proxy).all(|coordinator| why.contains_key(coordinator));
        why.values().next().filter(|_| agree).map(String::as_str)
    }

    /// Why nobody knows how a proxy and its nodes are, if that is so.
    #[must_use]
    pub fn unknown(&self, proxy: &Address) -> Option<String> {
        let nobody_may = !self.processes.is_empty() && self.witnesses(proxy).next().is_none();
        self.silence().or_else(|| nobody_may.then(|| format!("no coordinator can ask its proxy {proxy}")))
    }

    /// That no coordinator speaks, if that is so.
    #[must_use]
    pub fn silence(&self) -> Option<String> {
        self.silent.map(|silent| {
            let seconds = silent.as_secs();
            format!(
                "no coordinator has spoken to this broker for {seconds} s: this shows what is stored, and no failover \
                 happens"
            )
        })
    }

    /// That clusters were lost with an earlier history of the metadata, if a coordinator has seen them there; `is_known` says
    /// which are here. What it saw before this was said may be here again.
    #[must_use]
    pub fn missing(&self, is_known: impl Fn(&ClusterName) -> bool) -> Option<String> {
        let lost: Vec<_> = self.missing.iter().filter(|(name, _)| !is_known(name)).collect();
        let names: Vec<&str> = lost.iter().map(|(name, _)| name.as_str()).take(NAMES_MAX).collect();
        let more = if lost.len() > names.len() { ", and others" } else { "" };
        let who: BTreeSet<&str> = lost.iter().flat_map(|(_, who)| who.iter().map(String::as_str)).collect();
        let (names, who) = (names.join(", "), who.into_iter().collect::<Vec<_>>().join(", "));
        (!lost.is_empty()).then(|| {
            format!(
                "clusters are missing here that coordinator {who} has seen in the metadata before: {names}{more}. The store was \
                 emptied, put back or replaced, and their proxies are looked after by nobody: start the broker with its own \
                 store, or restore a dump; coordinators that are restarted forget them"
            )
        })
    }

    /// How many coordinators speak.
    #[must_use]
    pub fn coordinators(&self) -> usize {
        self.processes.values().sum()
    }

    /// The coordinators that speak and can ask a proxy.
    fn witnesses<'a>(&'a self, proxy: &Address) -> impl Iterator<Item = &'a String> {
        let blind = self.unaskable.get(proxy);
        self.processes.keys().filter(move |name| blind.is_none_or(|blind| !blind.contains(*name)))
    }

    /// For how long the primary of a shard has been busy, in milliseconds, where any coordinator sees it so.
    #[must_use]
    pub fn busy_ms(&self, cluster: &ClusterName, primary: &Address) -> Option<u64> {
        self.busy.get(&(cluster.clone(), primary.clone())).copied()
    }

    /// For how long the replica of a shard has followed without being attached, in milliseconds.
    #[must_use]
    pub fn unattached_ms(&self, cluster: &ClusterName, primary: &Address) -> Option<u64> {
        self.unattached.get(&(cluster.clone(), primary.clone())).copied()
    }

    /// That a proxy has not taken what it is to have, and why, where any coordinator sees that: any that could give it to the
    /// proxy would end it.
    #[must_use]
    pub fn late(&self, proxy: &Address) -> Option<String> {
        self.late.get(proxy).map(|late| {
            let seconds = late.for_ms / 1_000;
            let why = late.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            format!("proxy {proxy} has not taken its view for {seconds} s{why}")
        })
    }

    /// The proxies that have not taken what they are to have.
    pub fn late_proxies(&self) -> impl Iterator<Item = &Address> {
        self.late.keys()
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
            let who = coordinators.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!(
                "coordinator {who} cannot ask proxy {proxy} how it is; look at its proxy_password and \
                 proxy_control_password, and at its network"
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
            let (cluster, proxy) = ("db".parse().unwrap(), "p:1".parse().unwrap());
            board.now().unserved(&cluster, &"a:1".parse().unwrap(), &proxy).map(str::to_owned)
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
    fn who_cannot_ask_has_no_voice() {
        let board = ObservationBoard::default();
        let (cluster, primary): (ClusterName, Address) = ("db".parse().unwrap(), "a:1".parse().unwrap());
        let proxy: Address = "p:1".parse().unwrap();
        let is_down = |board: &ObservationBoard| board.now().unserved(&cluster, &primary, &proxy).is_some();
        assert_eq!(board.now().unknown(&proxy), None, "it has only begun");
        assert!(board.note(seen("x", 1, &["a:1"])));
        let blind = |coordinator: &str, process| Observations {
            unaskable: vec![proxy.clone()],
            ..seen(coordinator, process, &[])
        };
        assert!(board.note(blind("y", 2)));
        assert!(is_down(&board), "the one that can ask says so");
        let problems = board.now().problems();
        // Either may be what the proxy refuses.
        assert!(problems.len() == 1 && problems[0].contains("y cannot ask proxy p:1"), "{problems:?}");
        assert!(["proxy_password", "proxy_control_password"].iter().all(|name| problems[0].contains(name)));
        assert_eq!(board.now().unknown(&proxy), None);
        assert!(board.note(seen("z", 3, &[])));
        assert!(!is_down(&board), "another hears it");
        assert!(board.note(blind("x", 1)) && board.note(blind("z", 3)));
        assert!(!is_down(&board));
        assert_eq!(board.now().unknown(&proxy).as_deref(), Some("no coordinator can ask its proxy p:1"));
        assert_eq!(board.now().unknown(&primary), None, "others can be asked");
    }

    #[test]
    fn silence_of_all_is_told() {
        let since = Instant::now().checked_sub(2 * KEPT).unwrap();
        let after = |allowed| {
            let silence = Mutex::new(Silence { since, allowed });
            ObservationBoard { silence, ..ObservationBoard::default() }
        };
        assert_eq!(after(BEGINNING).now().silence(), None, "they look for it");
        let board = after(KEPT);
        let silence = board.now().silence().unwrap();
        assert!(silence.contains("for 6 s"), "{silence}");
        assert_eq!(board.now().unknown(&"p:1".parse().unwrap()), Some(silence));
        assert!(board.note(seen("x", 1, &[])));
        assert_eq!((board.now().silence(), board.now().coordinators()), (None, 1));
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
    fn a_replica_is_not_attached_where_any_says_so() {
        let board = ObservationBoard::default();
        let (cluster, primary): (ClusterName, Address) = ("db".parse().unwrap(), "a:1".parse().unwrap());
        for (process, for_ms) in [(1, 4_000), (2, 3_500)] {
            let shard =
                api::v4::UnattachedShard { cluster: cluster.clone(), primary: primary.clone(), for_ms };
            assert!(board.note(Observations { unattached: vec![shard], ..seen("x", process, &[]) }));
        }
        assert_eq!(board.now().unattached_ms(&cluster, &primary), Some(4_000));
        assert_eq!(board.now().busy_ms(&cluster, &primary), None);
    }

    #[test]
    fn a_proxy_is_late_where_any_says_so() {
        let board = ObservationBoard::default();
        let proxy: Address = "p:1".parse().unwrap();
        for (process, for_ms, why) in [(1, 4_200, Some("it says no")), (2, 3_000, None)] {
            let late = LateProxy { proxy: proxy.clone(), for_ms, why: why.map(str::to_owned) };
            assert!(board.note(Observations { late: vec![late], ..seen("x", process, &[]) }));
        }
        let now = board.now();
        let told = now.late(&proxy).unwrap();
        assert_eq!(told, "proxy p:1 has not taken its view for 4 s: it says no");
        assert_eq!((now.late_proxies().count(), now.late(&"q:1".parse().unwrap())), (1, None));
    }

    #[test]
    fn clusters_that_any_coordinator_misses_are_named() {
        let board = ObservationBoard::default();
        for (name, process, missing) in [("x", 1, &["a", "b"][..]), ("y", 2, &["b"]), ("z", 3, &[])] {
            let missing = missing.iter().map(|name| name.parse().unwrap()).collect();
            assert!(board.note(Observations { missing, ..seen(name, process, &[]) }));
        }
        let said = board.now().missing(|_| false).unwrap();
        assert!(said.contains("that coordinator x, y has seen") && said.contains(": a, b. "), "{said}");
        let said = board.now().missing(|name| name.as_str() == "a").unwrap();
        assert!(said.contains(": b. "), "{said}");
        assert_eq!(board.now().missing(|_| true), None, "they are here again");
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
