//! Dumps of different ages against what their proxies know.

mod announced;
mod by_metadata;
mod without_slots;

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch, LinkState, NodeHealth, NodeState, ProxyHealth, Role, SLOT_COUNT};

use super::{AskedProxies, Found, NodeContents, Review, review};
use crate::apply::apply;
use crate::command::{Command, NewProxy, Reply};
use crate::lease::lease_epoch;
use crate::observed::Observed;
use crate::reconcile::{Action, reconcile};
use crate::state::{FenceReason, Half, ReporterId, State, SyncState};
use crate::time::TimeMs;
use crate::timing::Timing;
use crate::views::desired_view;

const NOW: TimeMs = TimeMs(1_000_000);

fn cluster() -> ClusterName {
    "db".parse().unwrap()
}

fn proxy(host: usize) -> Address {
    Address::new(&format!("10.0.0.{host}"), 7000).unwrap()
}

/// Hosts with one proxy each.
fn pool(hosts: usize) -> State {
    let mut state = State::default();
    for host in 0..hosts {
        let node = |port| Address::new(&format!("10.0.0.{host}"), port).unwrap();
        let new =
            NewProxy { address: proxy(host), nodes: vec![node(6000), node(6001)], host: None, index: None };
        done(&mut state, Command::RegisterProxy(new));
    }
    state
}

/// A cluster on the first four of this many hosts, with every replica in sync.
fn state(hosts: usize) -> State {
    let mut state = pool(hosts);
    done(
        &mut state,
        Command::CreateCluster { cluster: cluster(), node_number: 8, config: BTreeMap::new(), now: NOW },
    );
    in_sync(&mut state);
    state
}

fn in_sync(state: &mut State) {
    for cluster in state.clusters.values_mut() {
        let shards = cluster.chunks.iter_mut().flat_map(|chunk| &mut chunk.shards);
        shards.for_each(|shard| shard.replica = SyncState::InSync);
    }
}

fn done(state: &mut State, command: Command) -> Reply {
    apply(state, command).unwrap()
}

/// What the proxies answer that have what this state says, with nodes that hold keys where they have slots.
fn answers(truth: &State) -> AskedProxies {
    truth.proxies.keys().map(|address| (address.clone(), Some(answer(truth, address)))).collect()
}

fn answer(truth: &State, address: &Address) -> Found {
    let (roles, set) = desired_view(truth, address).unwrap();
    let node = |role: &model::NodeRole| NodeHealth {
        address: role.node.clone(),
        state: NodeState::Up,
        restarted: false,
        role: role.role,
        primary: (role.role == Role::Replica).then(|| role.peers[0].node.clone()),
        link: (role.role == Role::Replica).then_some(LinkState::Up),
        offset: 7,
        replicated: false,
        attached: true,
        role_epoch: Some(roles.epoch),
        run_id: None,
        keys: None,
        keeps_log: false,
    };
    let keys = u64::from(!set.view.is_empty()) * 1000;
    let contents =
        roles.roles.iter().map(|role| (role.node.clone(), NodeContents { run_id: "1".to_owned(), keys }));
    let health = ProxyHealth {
        view_epoch: set.view.epoch,
        roles_epoch: roles.epoch,
        nodes: roles.roles.iter().map(node).collect(),
        ..ProxyHealth::default()
    };
    Found { health, contents: contents.collect(), view: Some(set.view) }
}

/// Restores a dump into an empty store.
fn restored(dump: &State) -> State {
    let mut state = State::default();
    done(&mut state, Command::Restore(Box::new(dump.clone())));
    state
}

/// Looks, and does what needs nobody's word, until there is nothing left of that.
fn settle(state: &mut State, asked: &AskedProxies) -> Review {
    for _ in 0..4 {
        let found = review(state, asked);
        for command in found.automatic(NOW) {
            // One may have made another unnecessary.
            let _ = apply(state, command);
        }
        state.check().unwrap();
    }
    review(state, asked)
}

/// What each proxy of a state's clusters should have, without the epoch.
fn served(state: &State) -> BTreeMap<Address, (Vec<model::LocalNode>, Vec<model::NodeRole>)> {
    let in_use = state.proxies.iter().filter(|(_, record)| record.cluster.is_some());
    in_use
        .map(|(address, _)| {
            let (roles, set) = desired_view(state, address).unwrap();
            (address.clone(), (set.view.local, roles.roles))
        })
        .collect()
}

fn observed(asked: &AskedProxies) -> Observed {
    let mut observed = Observed::new(ReporterId("c".to_owned()), Timing::default(), NOW);
    let later = TimeMs(NOW.0 + 10);
    observed.last_turn = later;
    observed.last_answer = later;
    for (address, found) in asked {
        let seen = crate::observed::ProxyObservation {
            watched_since: NOW,
            asked: Some(later),
            answered: found.is_some().then_some(later),
            health: found.as_ref().map(|found| found.health.clone()),
            process_since: found.is_some().then_some(NOW),
            failed_seen: None,
            is_unaskable: false,
        };
        observed.proxies.insert(address.clone(), seen);
    }
    observed
}

/// The dump is from before a host was lost, and another took its place.
fn lost_host() -> (State, State) {
    let dump = state(6);
    let mut truth = dump.clone();
    let failed = truth.clusters.get(&cluster()).unwrap().chunks[0].proxies[0].clone();
    let now = TimeMs(NOW.0 + 1);
    let command = Command::FailOverProxy { proxy: failed.clone(), force: false, decided_after: None, now };
    let Reply::FailedOver(outcome) = done(&mut truth, command) else { panic!() };
    assert_eq!((outcome.promoted.len(), outcome.stuck.len()), (1, 0));
    // The old primary has stopped, and the new one serves.
    let held = truth.clusters.get(&cluster()).unwrap();
    let id = held.shard_ids().find(|id| held.shard(*id).fence.is_some()).unwrap();
    let primary = held.chunks[id.chunk].primary(id.shard).clone();
    let fence = held.shard(id).fence.unwrap().epoch;
    done(&mut truth, Command::LiftFence { cluster: cluster(), primary, fence, stopped: None });
    in_sync(&mut truth);
    // The lost proxy came back and was emptied.
    truth.proxies.get_mut(&failed).unwrap().failed_since = None;
    (dump, truth)
}

#[test]
fn metadata_that_agree_are_trusted_again() {
    let truth = state(6);
    let mut state = restored(&truth);
    assert!(state.is_under_review());
    let left = settle(&mut state, &answers(&truth));
    assert_eq!((left.clusters.len(), left.proxies.len()), (0, 0));
    assert!(!state.is_under_review());
    assert_eq!(served(&state), served(&truth));
    assert!(state.global_epoch > truth.global_epoch);
}

#[test]
fn an_old_dump_gives_way_to_what_is_served() {
    let (dump, truth) = lost_host();
    let mut state = restored(&dump);
    assert_ne!(served(&state), served(&truth));
    let asked = answers(&truth);
    let found = review(&state, &asked);
    let words = &found.clusters.get(&cluster()).unwrap();
    assert!(words.obstacles.is_empty(), "{words:?}");
    assert!(words.by_proxies.iter().any(|word| word.contains("takes over from")), "{words:?}");
    assert!(words.by_metadata.iter().any(|word| word.contains("(0 keys")), "{words:?}");
    settle(&mut state, &asked);
    assert!(!state.is_under_review());
    assert_eq!(served(&state), served(&truth));
}

#[test]
fn nothing_is_done_under_review() {
    let (dump, truth) = lost_host();
    let state = restored(&dump);
    let mut observed = observed(&answers(&truth));
    for later_ms in [20, 40, 100_000] {
        let now = TimeMs(NOW.0 + later_ms);
        observed.note_state(&state, now, now);
        let done = reconcile(&state, &observed, now);
        let harmless = |action: &Action| matches!(action, Action::Apply(Command::ReportFailure { .. }));
        assert!(done.iter().all(harmless), "{done:?}");
    }
    for proxy in state.proxies.keys() {
        assert_eq!(lease_epoch(&state, proxy), None);
    }
}

#[test]
fn a_store_that_was_put_back_is_noticed() {
    let (mut state, truth) = lost_host();
    let asked = answers(&truth);
    let mut observed = observed(&asked);
    let now = TimeMs(NOW.0 + 20);
    observed.note_state(&state, now, now);
    let actions = reconcile(&state, &observed, now);
    assert!(!actions.is_empty());
    for action in actions {
        let Action::Apply(command @ Command::BeginReview { .. }) = action else { panic!("{action:?}") };
        done(&mut state, command);
    }
    assert!(state.clusters.get(&cluster()).unwrap().review);
    assert!(state.proxies.values().filter(|proxy| proxy.cluster.is_none()).all(|proxy| proxy.review));
    settle(&mut state, &asked);
    assert_eq!(served(&state), served(&truth));
    // Nobody is ahead of metadata that are up to date.
    let member = truth.clusters.get(&cluster()).unwrap().chunks[0].proxies[1].clone();
    let seen = truth.clusters.get(&cluster()).unwrap().epoch;
    assert!(apply(&mut truth.clone(), Command::BeginReview { proxy: member, seen }).is_err());
}

#[test]
fn who_is_silent_may_know_more() {
    let (dump, truth) = lost_host();
    let mut asked = answers(&truth);
    let silent = truth.clusters.get(&cluster()).unwrap().chunks[0].proxies[0].clone();
    asked.insert(silent.clone(), None);
    let mut state = restored(&dump);
    let left = settle(&mut state, &asked);
    let found = left.clusters.get(&cluster()).unwrap();
    assert!(found.obstacles.iter().any(|word| word.contains(&silent.to_string())), "{found:?}");
    assert!(state.clusters.get(&cluster()).unwrap().review);
    assert!(left.proxies.contains_key(&silent), "it is of use to nobody else meanwhile");
    // An operator says that it does not.
    done(&mut state, left.adopt(&cluster(), NOW).unwrap());
    let is_same = |address: &Address| served(&state).get(address) == served(&truth).get(address);
    assert!(truth.proxies.keys().all(is_same));
    let is_fit = |half: Half| state.clusters.get(&cluster()).unwrap().chunks[0].shard(half).replica;
    assert!(
        Half::BOTH.map(is_fit).contains(&SyncState::OutOfSync),
        "nobody has seen the silent replica follow"
    );
}

#[test]
fn an_operator_may_go_by_the_metadata() {
    let (dump, truth) = lost_host();
    let mut state = restored(&dump);
    let found = review(&state, &answers(&truth));
    done(&mut state, found.trust(&cluster(), NOW).unwrap());
    let held = state.clusters.get(&cluster()).unwrap();
    assert!(!held.review && held.epoch > truth.global_epoch);
    // Nobody is promoted by what was known of replicas long ago.
    assert!(
        held.chunks.iter().flat_map(|chunk| &chunk.shards).all(|shard| shard.replica == SyncState::OutOfSync)
    );
    // Who serves in the place of the lost host stops, and then all is as it was.
    let fenced: Vec<(Address, Epoch)> = held
        .chunks
        .iter()
        .flat_map(|chunk| Half::BOTH.map(|half| (chunk.primary(half).clone(), chunk.shard(half).fence)))
        .filter_map(|(primary, fence)| Some((primary, fence?.epoch)))
        .collect();
    assert_eq!(fenced.len(), 1);
    for (primary, fence) in fenced {
        done(&mut state, Command::LiftFence { cluster: cluster(), primary, fence, stopped: None });
    }
    assert_eq!(served(&state), served(&dump));
}

#[test]
fn clusters_that_were_made_or_deleted_since() {
    let dump = pool(6);
    let truth = state(6);
    let mut made = restored(&dump);
    let left = settle(&mut made, &answers(&truth));
    assert_eq!(left.clusters.len(), 0);
    assert_eq!(served(&made), served(&truth));
    let mut deleted = truth.clone();
    done(&mut deleted, Command::DeleteCluster { cluster: cluster() });
    let mut state = restored(&truth);
    let left = settle(&mut state, &answers(&deleted));
    let found = left.clusters.get(&cluster()).unwrap();
    assert!(found.obstacles[0].contains("may have been deleted"), "{found:?}");
    assert_eq!(found.serving, None);
    done(&mut state, Command::DeleteCluster { cluster: cluster() });
    settle(&mut state, &answers(&deleted));
    assert!(!state.is_under_review());
}

#[test]
fn slots_that_moved_since_are_where_they_are() {
    let dump = state(8);
    let mut truth = dump.clone();
    done(&mut truth, Command::AddNodes { cluster: cluster(), node_number: 8, now: NOW });
    done(&mut truth, Command::Expand { cluster: cluster() });
    for _ in 0..SLOT_COUNT {
        let held = truth.clusters.get(&cluster()).unwrap();
        let Some(running) = held.migrations.iter().find(|migration| migration.attempt.is_some()) else {
            break;
        };
        let (ranges, meta) = (running.ranges.clone(), held.meta(running).unwrap());
        done(&mut truth, Command::CommitMigration { cluster: cluster(), ranges, meta });
    }
    assert!(truth.clusters.get(&cluster()).unwrap().migrations.is_empty());
    in_sync(&mut truth);
    let mut state = restored(&dump);
    settle(&mut state, &answers(&truth));
    assert!(!state.is_under_review());
    assert_eq!(served(&state), served(&truth));
}

#[test]
fn who_may_still_serve_has_to_stop_first() {
    let dump = state(6);
    let mut truth = dump.clone();
    let held = truth.clusters.get(&cluster()).unwrap();
    let (primary, old) = (held.chunks[0].primary(Half::First).clone(), held.chunks[0].proxies[0].clone());
    let command = Command::fail_over_unfenced(cluster(), primary, true, NOW);
    done(&mut truth, command);
    assert_eq!(
        truth.clusters.get(&cluster()).unwrap().chunks[0].shard(Half::First).deposed,
        Some(old.clone())
    );
    let mut asked = answers(&truth);
    // It has not heard of that.
    asked.insert(old.clone(), Some(answer(&dump, &old)));
    let mut state = restored(&dump);
    let left = settle(&mut state, &asked);
    assert!(!left.clusters.get(&cluster()).unwrap().obstacles.is_empty(), "an operator is asked");
    done(&mut state, left.adopt(&cluster(), NOW).unwrap());
    let shard = state.clusters.get(&cluster()).unwrap().chunks[0].shard(Half::First).clone();
    assert_eq!(shard.primary, Half::Second);
    assert_eq!(shard.deposed, Some(old));
    assert_eq!(shard.fence.unwrap().reason, FenceReason::Dead);
    state.check().unwrap();
}

#[test]
fn a_proxy_of_the_pool_that_holds_keys_waits_for_an_operator() {
    let truth = state(6);
    let mut asked = answers(&truth);
    let free = truth.proxies.iter().find(|(_, record)| record.is_free()).map(|(address, _)| address.clone());
    let free = free.unwrap();
    let found = asked.get_mut(&free).unwrap().as_mut().unwrap();
    found.contents.values_mut().next().unwrap().keys = 3;
    let mut state = restored(&truth);
    let left = settle(&mut state, &asked);
    assert_eq!(left.proxies.len(), 1);
    let told = left.proxies.get(&free).unwrap();
    assert!(told.obstacle.as_ref().unwrap().contains("3 keys"), "{told:?}");
    assert!(!state.proxies.get(&free).unwrap().is_free());
    done(&mut state, left.settle(&free).unwrap());
    let record = state.proxies.get(&free).unwrap();
    assert!(record.is_free() && record.dirty && record.epoch > Epoch(0));
}
