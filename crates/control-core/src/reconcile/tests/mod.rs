//! The order in which things are done, and what waits for what.

mod attached;
mod comeback;
mod due;
mod fences;
mod in_sync;
mod leases;
mod outdated;
mod pool;
mod remembered;
mod restarts;

use std::collections::BTreeMap;

use model::{Address, ClusterName, Epoch, LinkState, NodeHealth, NodeState, ProxyHealth, Role};

use super::*;
use crate::apply::apply;
use crate::command::{Command, NewProxy};
use crate::state::{Chunk, FenceReason, Half, ReporterId, Shard, SyncState};
use crate::timing::Timing;

/// A cluster of three chunks where all is well and was so for long, and who looks at it.
struct Scene {
    state: State,
    observed: Observed,
    now: TimeMs,
}

fn name() -> ClusterName {
    "db".parse().unwrap()
}

fn address(host: usize, port: u16) -> Address {
    Address::new(&format!("10.0.0.{host}"), port).unwrap()
}

/// A reading that began after all that was heard until now.
fn read_now(now: TimeMs) -> TimeMs {
    TimeMs(now.0 + 1)
}

impl Scene {
    fn new() -> Self {
        let (mut state, now) = (State::default(), TimeMs(100_000));
        for host in 1..=6 {
            let nodes = vec![address(host, 6379), address(host, 6380)];
            let new = NewProxy { address: address(host, 5299), nodes, host: None, index: None };
            apply(&mut state, Command::RegisterProxy(new)).unwrap();
        }
        let (cluster, node_number, config) = (name(), 12, BTreeMap::new());
        apply(&mut state, Command::CreateCluster { cluster, node_number, config, now: TimeMs(1) }).unwrap();
        let observed = Observed::new(ReporterId("me".to_owned()), Timing::default(), now);
        let mut scene = Self { state, observed, now };
        for place in 0..3 {
            for shard in Half::BOTH.map(|shard| (place, shard)) {
                let held = scene.shard(shard.0, shard.1);
                (held.replica, held.is_unbegun) = (SyncState::InSync, false);
            }
        }
        scene.hear_all();
        // They answer what was asked after the metadata had been seen.
        scene.now = TimeMs(now.0 + 50);
        scene.hear_all();
        assert_eq!(scene.actions(), []);
        scene
    }

    fn chunk(&self, place: usize) -> Chunk {
        self.state.clusters[&name()].chunks[place].clone()
    }

    fn shard(&mut self, place: usize, shard: Half) -> &mut Shard {
        self.state.clusters.get_mut(&name()).unwrap().chunks[place].shard_mut(shard)
    }

    fn apply(&mut self, command: Command) {
        apply(&mut self.state, command).unwrap();
        self.observed.note_state(&self.state, read_now(self.now), self.now);
    }

    /// Every proxy answers, and has what it should.
    fn hear_all(&mut self) {
        self.observed.note_state(&self.state, read_now(self.now), self.now);
        for proxy in self.state.proxies.keys() {
            let cluster = &self.state.clusters[&name()];
            let (place, half) = cluster.place_of(proxy).unwrap();
            let chunk = &cluster.chunks[place];
            let node = |shard: Half| {
                let is_primary = chunk.shard(shard).primary == half;
                NodeHealth {
                    address: chunk.node(shard, half).clone(),
                    state: NodeState::Up,
                    restarted: false,
                    role: if is_primary { Role::Primary } else { Role::Replica },
                    primary: (!is_primary).then(|| chunk.primary(shard).clone()),
                    link: (!is_primary).then_some(LinkState::Up),
                    offset: 7,
                    replicated: false,
                    attached: is_primary,
                    role_epoch: Some(cluster.epoch),
                    run_id: None,
                    keys: Some(10),
                    keeps_log: false,
                }
            };
            let health = ProxyHealth {
                view_epoch: cluster.epoch,
                roles_epoch: cluster.epoch,
                nodes: Half::BOTH.map(node).to_vec(),
                ..ProxyHealth::default()
            };
            self.observed.note_answer(proxy, health, self.now, self.now);
        }
    }

    /// Those that answer say the same again, 50 ms later.
    fn hear_again(&mut self) {
        self.now = TimeMs(self.now.0 + 50);
        self.observed.note_state(&self.state, read_now(self.now), self.now);
        for seen in self.observed.proxies.values_mut().filter(|seen| seen.answered.is_some()) {
            (seen.asked, seen.answered) = (Some(self.now), Some(self.now));
        }
    }

    /// The last answer of a proxy, to be changed.
    fn health(&mut self, proxy: &Address) -> &mut ProxyHealth {
        self.observed.proxies.get_mut(proxy).unwrap().health.as_mut().unwrap()
    }

    fn break_node(&mut self, proxy: &Address) {
        self.health(proxy).nodes[0].state = NodeState::Down { for_ms: 1_000 };
    }

    fn fence(&mut self, place: usize, reason: FenceReason) {
        let (primary, now) = (self.chunk(place).primary(Half::First).clone(), self.now);
        self.apply(Command::FenceShard { cluster: name(), primary, reason, now });
    }

    fn actions(&self) -> Vec<Action> {
        reconcile(&self.state, &self.observed, self.now)
    }
}

#[test]
fn promotions_come_first() {
    let mut scene = Scene::new();
    scene.fence(2, FenceReason::Dead);
    // Its proxy has the view that says so, and the replica has let go; everywhere else something is to be done, too.
    scene.hear_all();
    scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
    for place in 0..3 {
        let broken = scene.chunk(place).proxies[0].clone();
        scene.break_node(&broken);
    }
    let silent = scene.chunk(0).proxies[1].clone();
    scene.observed.proxies.get_mut(&silent).unwrap().answered = None;
    scene.observed.proxies.get_mut(&silent).unwrap().watched_since = TimeMs(1);
    let actions = scene.actions();
    let taken = scene.chunk(2).primary(Half::First).clone();
    let is_promotion = |action: &&Action| matches!(action, Action::Apply(Command::FailOverShard { primary, .. }) if *primary == taken);
    assert_eq!(actions.iter().position(|action| is_promotion(&action)), Some(0), "{actions:?}");
    assert_eq!(actions.iter().filter(is_promotion).count(), 1);
    let kind = |wanted: fn(&Command) -> bool| {
        actions.iter().any(|action| matches!(action, Action::Apply(command) if wanted(command)))
    };
    assert!(kind(|command| matches!(command, Command::ReportFailure { .. })), "{actions:?}");
    assert!(kind(|command| matches!(command, Command::FenceShard { .. })), "{actions:?}");
}

#[test]
fn who_has_taken_over_is_told_first() {
    for reason in [FenceReason::Dead, FenceReason::Planned] {
        let mut scene = Scene::new();
        scene.fence(2, reason);
        // In another chunk a primary is to stop, and its replica does not have everything yet.
        scene.fence(0, FenceReason::Planned);
        scene.hear_all();
        let behind = scene.chunk(0).proxies[0].clone();
        scene.health(&behind).nodes[0].offset += 1;
        let (chunk, now) = (scene.chunk(2), scene.now);
        let (primary, fence) = (chunk.primary(Half::First).clone(), chunk.shard(Half::First).fence.unwrap());
        let (fence, force, behind_bytes) = (Some(fence.epoch), false, None);
        scene.apply(Command::FailOverShard {
            cluster: name(),
            primary,
            fence,
            force,
            behind_bytes,
            empty_primary: None,
            process: None,
            stopped: None,
            now,
        });
        let actions = scene.actions();
        let Some(Action::Push { proxy, is_urgent, .. }) = actions.first() else { panic!("{actions:?}") };
        assert_eq!((proxy, *is_urgent), (&chunk.proxies[1], true), "{reason:?}: {actions:?}");
        let urgent =
            actions.iter().filter(|action| matches!(action, Action::Push { is_urgent: true, .. })).count();
        // Both proxies of the chunk whose primary is to stop are urgent, too; the others are not.
        assert_eq!((urgent, actions.len()), (3, 5), "{reason:?}: {actions:?}");
    }
}

#[test]
fn a_silent_link_is_broken_only_where_something_should_come() {
    for has_slots in [true, false] {
        let mut scene = Scene::new();
        if !has_slots {
            scene.shard(1, Half::First).slots = model::SlotRanges::new();
        }
        scene.now = TimeMs(scene.now.0 + 50);
        scene.hear_all();
        let chunk = scene.chunk(1);
        let replica = chunk.replica(Half::First).clone();
        let health = scene.health(chunk.replica_proxy(Half::First));
        let node = health.nodes.iter_mut().find(|node| node.address == replica).unwrap();
        node.link = Some(LinkState::Down { for_ms: 6_000 });
        let is_lost = |action: &Action| {
            matches!(action, Action::Apply(Command::SetReplicaSync { sync: SyncState::OutOfSync, .. }))
        };
        assert_eq!(scene.actions().iter().any(is_lost), has_slots);
    }
}

#[test]
fn a_replica_lets_go_when_it_says_so_itself() {
    for (told, expected) in [(None, true), (Some(0), false), (Some(1), true)] {
        let mut scene = Scene::new();
        let silent = scene.chunk(2).proxies[0].clone();
        scene.observed.proxies.get_mut(&silent).unwrap().watched_since = TimeMs(1);
        scene.observed.proxies.get_mut(&silent).unwrap().answered = None;
        let (proxy, reporter, now) = (silent.clone(), ReporterId("me".to_owned()), scene.now);
        scene.apply(Command::ReportFailure { proxy, reporter, now });
        scene.fence(2, FenceReason::Dead);
        let fence = scene.chunk(2).shard(Half::First).fence.unwrap().epoch;
        // The replica's proxy has the order. The replica itself hangs, or has done as it was told.
        let (replica, partner) =
            (scene.chunk(2).replica(Half::First).clone(), scene.chunk(2).proxies[1].clone());
        let mut is_promoted = false;
        for _ in 0..20 {
            scene.now = TimeMs(scene.now.0 + 50);
            let health = scene.health(&partner);
            (health.view_epoch, health.roles_epoch) = (fence, fence);
            let node = health.nodes.iter_mut().find(|node| node.address == replica).unwrap();
            node.role_epoch = told.map(|told| Epoch(fence.0 - 1 + told));
            for proxy in scene.state.proxies.keys().filter(|proxy| **proxy != silent) {
                scene.observed.proxies.get_mut(proxy).unwrap().answered = Some(scene.now);
            }
            scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
            let promotes = |action: &Action| matches!(action, Action::Apply(Command::FailOverShard { .. }));
            is_promoted |= scene.actions().iter().any(promotes);
        }
        assert_eq!(is_promoted, expected, "{told:?}");
    }
}

/// What is the matter, whether a primary goes home then, and how it comes about.
type Case<'a> = (&'a str, bool, &'a dyn Fn(&mut Scene));

#[test]
fn primaries_go_home_only_when_nothing_else_is_to_be_done() {
    let starts_handover = |prepare: &dyn Fn(&mut Scene)| {
        let mut scene = Scene::new();
        let home = Half::First;
        scene.shard(1, home).primary = home.other();
        scene.hear_all();
        scene.now = TimeMs(scene.now.0 + scene.observed.timing.balance_quiet_ms);
        scene.hear_all();
        prepare(&mut scene);
        let handover = |action: &Action| {
            matches!(action, Action::Apply(Command::FenceShard { reason: FenceReason::Handover, .. }))
        };
        scene.actions().iter().any(handover)
    };
    let other = |scene: &Scene| scene.chunk(2).proxies[1].clone();
    let silence = |scene: &mut Scene| {
        let silent = other(scene);
        let seen = scene.observed.proxies.get_mut(&silent).unwrap();
        (seen.answered, seen.watched_since) = (None, TimeMs(1));
    };
    let cases: [Case<'_>; 8] = [
        ("all is well", true, &|_| {}),
        ("a proxy is silent", false, &silence),
        ("a proxy has failed for good, and its primary has moved", true, &|scene| {
            silence(scene);
            let (proxy, now) = (other(scene), scene.now);
            scene.apply(Command::FailOverProxy { proxy, force: false, decided_after: None, now });
            // It has stopped, too.
            let (chunk, cluster) = (scene.chunk(2), name());
            for shard in Half::BOTH {
                let Some(fence) = chunk.shard(shard).fence else { continue };
                let (cluster, primary) = (cluster.clone(), chunk.primary(shard).clone());
                scene.apply(Command::LiftFence { cluster, primary, fence: fence.epoch, stopped: None });
            }
            let partner = scene.chunk(2).proxies[0].clone();
            let epoch = scene.state.clusters[&name()].epoch;
            for proxy in scene.state.proxies.keys().cloned().collect::<Vec<_>>() {
                let health = scene.health(&proxy);
                (health.view_epoch, health.roles_epoch) = (epoch, epoch);
            }
            let nodes = &mut scene.health(&partner).nodes;
            nodes.iter_mut().for_each(|node| (node.role, node.link) = (Role::Primary, None));
        }),
        ("another coordinator reports a proxy", false, &|scene| {
            let (proxy, reporter, now) = (other(scene), ReporterId("other".to_owned()), scene.now);
            scene.apply(Command::ReportFailure { proxy, reporter, now });
        }),
        ("a node is dead", false, &|scene| {
            let proxy = other(scene);
            scene.break_node(&proxy);
        }),
        ("a node started anew", false, &|scene| {
            let proxy = other(scene);
            scene.health(&proxy).nodes[1].restarted = true;
        }),
        ("a proxy has an old view", false, &|scene| {
            let proxy = other(scene);
            scene.health(&proxy).view_epoch = Epoch(1);
        }),
        ("a primary is being taken out of service", false, &|scene| scene.fence(0, FenceReason::Planned)),
    ];
    for (case, expected, prepare) in cases {
        assert_eq!(starts_handover(prepare), expected, "{case}");
    }
}
