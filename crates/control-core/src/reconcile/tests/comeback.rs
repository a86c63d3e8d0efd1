//! Primaries that come back with less than their replica may have.

use super::*;

/// What a replica is that may have more than its primary.
#[derive(Clone, Copy, Debug)]
enum Other {
    Up(u64),
    /// Up, and the primary keeps a log on its disk.
    BesideLog(u64),
    /// Dead, and the primary keeps a log on its disk.
    DeadBesideLog,
    /// Restarted, and keeps a log on its disk, unlike the primary.
    RestartedWithLog(u64),
    /// As it was before it was given this place.
    Earlier(u64),
    Restarted(u64),
    Loading,
    Dead,
    Unheard,
    /// And enough coordinators say so.
    GivenUp,
}

/// What is done about a primary that came back with `own` keys while its replica is not in sync.
fn comeback(
    sync: SyncState,
    own: Option<u64>,
    other: Other,
    policy: crate::state::RestartedPrimary,
) -> String {
    let mut scene = Scene::new();
    scene.state.settings.restarted_primary = policy;
    comeback_in(scene, sync, own, other)
}

/// What is done about such a primary in a scene that was made before.
fn comeback_in(mut scene: Scene, sync: SyncState, own: Option<u64>, other: Other) -> String {
    scene.shard(1, Half::First).replica = sync;
    scene.hear_all();
    let chunk = scene.chunk(1);
    let (primary, replica) = (chunk.primary(Half::First).clone(), chunk.replica(Half::First).clone());
    let other_proxy = chunk.replica_proxy(Half::First).clone();
    let node = |scene: &mut Scene, proxy: &Address, address: &Address, change: &dyn Fn(&mut NodeHealth)| {
        change(scene.health(proxy).nodes.iter_mut().find(|node| node.address == *address).unwrap());
    };
    node(&mut scene, chunk.primary_proxy(Half::First), &primary, &|node| {
        (node.restarted, node.keys, node.offset) = (true, own, 0);
        node.keeps_log = matches!(other, Other::BesideLog(_) | Other::DeadBesideLog);
    });
    node(&mut scene, &other_proxy, &replica, &|node| match other {
        Other::Up(keys) | Other::BesideLog(keys) | Other::Earlier(keys) => {
            (node.link, node.keys) = (Some(LinkState::Syncing), Some(keys));
        }
        Other::Restarted(keys) => (node.restarted, node.keys) = (true, Some(keys)),
        Other::RestartedWithLog(keys) => {
            (node.restarted, node.keys, node.keeps_log) = (true, Some(keys), true);
        }
        Other::Loading => node.state = NodeState::Loading,
        Other::Dead | Other::DeadBesideLog => node.state = NodeState::Down { for_ms: 10_000 },
        Other::Unheard | Other::GivenUp => {}
    });
    if matches!(other, Other::Earlier(_)) {
        node(&mut scene, &other_proxy, &replica, &|node| node.role_epoch = Some(Epoch(1)));
    }
    if matches!(other, Other::Unheard | Other::GivenUp) {
        silence(&mut scene, &other_proxy);
    }
    if matches!(other, Other::GivenUp) {
        let now = scene.now;
        scene.apply(Command::ReportFailure {
            proxy: other_proxy,
            reporter: ReporterId("me".to_owned()),
            now,
        });
    }
    let mut told = Vec::new();
    for _ in 0..3 {
        for action in scene.actions() {
            match action {
                Action::Apply(command @ Command::DecideComeback { comeback, .. }) => {
                    told.push(format!("{comeback:?}"));
                    scene.apply(command);
                    scene.hear_again();
                }
                Action::Apply(Command::FailOverShard { force, empty_primary, .. }) => {
                    assert!(force && empty_primary.is_some());
                    return "Promotes".to_owned();
                }
                Action::Push { makes_do: Some(_), .. } => told.push("forced".to_owned()),
                _ => {}
            }
        }
    }
    told.dedup();
    told.join(", ")
}

#[test]
fn a_primary_without_its_data_is_not_forced_into_service() {
    use crate::state::RestartedPrimary::{Serves, Waits};
    let served = "Serves, forced";
    for (sync, own, other, policy, expected) in [
        // In the middle of a full resync, with what it had before.
        (SyncState::OutOfSync, Some(0), Other::Up(1000), Waits, "Promotes"),
        (SyncState::OutOfSync, Some(1), Other::Up(1000), Waits, "Waits"),
        (SyncState::OutOfSync, Some(0), Other::Restarted(1000), Waits, "Waits"),
        (SyncState::OutOfSync, Some(0), Other::Loading, Waits, "Waits"),
        (SyncState::OutOfSync, Some(0), Other::Earlier(1000), Waits, "Waits"),
        (SyncState::OutOfSync, Some(0), Other::Dead, Waits, "Waits"),
        (SyncState::OutOfSync, Some(0), Other::GivenUp, Waits, "Waits"),
        // Its proxy has been silent for a moment, for one coordinator.
        (SyncState::OutOfSync, Some(0), Other::Unheard, Waits, ""),
        (SyncState::OutOfSync, Some(5), Other::Unheard, Waits, ""),
        // Its proxy is of a version that does not tell.
        (SyncState::OutOfSync, None, Other::Up(1000), Waits, "Waits"),
        (SyncState::OutOfSync, None, Other::Up(0), Waits, "Waits"),
        // The replica takes over; an operator may decide otherwise.
        (SyncState::InSync, Some(0), Other::Dead, Waits, "Waits"),
        (SyncState::InSync, Some(0), Other::Up(1000), Waits, ""),
        // What it has may be an old state with as many keys.
        (SyncState::OutOfSync, Some(1000), Other::Up(1000), Waits, "Waits"),
        (SyncState::OutOfSync, Some(1001), Other::Up(1000), Waits, "Waits"),
        (SyncState::OutOfSync, Some(1000), Other::BesideLog(1000), Waits, served),
        (SyncState::OutOfSync, Some(999), Other::BesideLog(1000), Waits, "Waits"),
        // Both have what was on their disks.
        (SyncState::OutOfSync, Some(1000), Other::Restarted(1000), Waits, served),
        (SyncState::OutOfSync, Some(999), Other::Restarted(1000), Waits, "Waits"),
        // The replica has what was written last, the primary what was saved once.
        (SyncState::OutOfSync, Some(1000), Other::RestartedWithLog(1000), Waits, "Waits"),
        // Nobody else has anything.
        (SyncState::OutOfSync, Some(1000), Other::Up(0), Waits, served),
        (SyncState::OutOfSync, Some(0), Other::Up(0), Waits, served),
        (SyncState::OutOfSync, Some(0), Other::Restarted(0), Waits, served),
        // The replica was seen to lack something before, and the primary may lack more: what it has read may be old.
        (SyncState::OutOfSync, Some(5), Other::Dead, Waits, "Waits"),
        (SyncState::OutOfSync, Some(5), Other::GivenUp, Waits, "Waits"),
        (SyncState::OutOfSync, Some(5), Other::DeadBesideLog, Waits, served),
        (SyncState::OutOfSync, Some(0), Other::DeadBesideLog, Waits, "Waits"),
        // It was seen to serve, so there may be data although nobody has looked at its replica yet.
        (SyncState::Fresh, Some(0), Other::Dead, Waits, "Waits"),
        (SyncState::Fresh, Some(5), Other::Up(1000), Waits, "Waits"),
        (SyncState::Fresh, Some(0), Other::Up(0), Waits, served),
        // An operator has set that it is to be so.
        (SyncState::OutOfSync, Some(0), Other::Up(1000), Serves, served),
    ] {
        assert_eq!(comeback(sync, own, other, policy), expected, "{sync:?} {own:?} {other:?} {policy:?}");
    }
}

/// Nothing is heard of a proxy any more.
fn silence(scene: &mut Scene, proxy: &Address) {
    let seen = scene.observed.proxies.get_mut(proxy).unwrap();
    (seen.answered, seen.watched_since) = (None, TimeMs(1));
}

/// A scene whose second chunk's first primary is another process, with so many keys, while its replica has 1000 and is out of
/// sync.
pub(super) fn came_back_with(keys: u64) -> Scene {
    let mut scene = Scene::new();
    scene.shard(1, Half::First).replica = SyncState::OutOfSync;
    scene.hear_all();
    let chunk = scene.chunk(1);
    let mut change = |proxy: &Address, address: &Address, change: &dyn Fn(&mut NodeHealth)| {
        change(scene.health(proxy).nodes.iter_mut().find(|node| node.address == *address).unwrap());
    };
    change(chunk.primary_proxy(Half::First), chunk.primary(Half::First), &|node| {
        (node.restarted, node.keys, node.run_id) = (true, Some(keys), Some("first".parse().unwrap()));
    });
    change(chunk.replica_proxy(Half::First), chunk.replica(Half::First), &|node| {
        (node.link, node.keys) = (Some(LinkState::Syncing), Some(1000));
    });
    scene
}

pub(super) fn commands(scene: &Scene) -> Vec<Command> {
    let of_comeback = |action: Action| match action {
        Action::Apply(command @ (Command::DecideComeback { .. } | Command::FailOverShard { .. })) => {
            Some(command)
        }
        _ => None,
    };
    scene.actions().into_iter().filter_map(of_comeback).collect()
}

#[test]
fn a_primary_that_waits_does_not_serve_because_its_replica_falls_silent() {
    let mut scene = came_back_with(5);
    let decided = commands(&scene);
    assert!(matches!(decided[..], [Command::DecideComeback { comeback: crate::state::Comeback::Waits, .. }]));
    scene.apply(decided[0].clone());
    scene.hear_again();
    let (replica_proxy, now) = (scene.chunk(1).replica_proxy(Half::First).clone(), scene.now);
    silence(&mut scene, &replica_proxy);
    let reporter = ReporterId("me".to_owned());
    scene.apply(Command::ReportFailure { proxy: replica_proxy.clone(), reporter, now });
    assert_eq!(commands(&scene), [], "the proxy of the replica has failed");
    scene.apply(Command::FailOverProxy { proxy: replica_proxy, force: false, decided_after: None, now });
    // And another process of the primary with as little.
    let (proxy, primary) =
        (scene.chunk(1).primary_proxy(Half::First).clone(), scene.chunk(1).primary(Half::First).clone());
    let nodes = &mut scene.health(&proxy).nodes;
    nodes.iter_mut().find(|node| node.address == primary).unwrap().run_id = Some("second".parse().unwrap());
    let waits = |command: &Command| {
        matches!(command, Command::DecideComeback { comeback: crate::state::Comeback::Waits, .. })
    };
    assert!(commands(&scene).iter().all(waits), "{:?}", commands(&scene));
}

/// A promotion because of what a primary has lost is refused once something else is so.
#[test]
fn a_promotion_in_place_of_an_empty_primary_names_its_process() {
    let mut scene = came_back_with(0);
    let decided = commands(&scene);
    assert!(matches!(decided[..], [Command::DecideComeback { comeback: crate::state::Comeback::Waits, .. }]));
    scene.apply(decided[0].clone());
    scene.hear_again();
    let promotion = commands(&scene);
    let [promotion @ Command::FailOverShard { process: Some(_), .. }] = &promotion[..] else {
        panic!("{promotion:?}")
    };
    assert!(apply(&mut scene.state.clone(), promotion.clone()).is_ok());
    let decision = |process: &str, comeback| {
        let Command::DecideComeback { cluster, primary, keys, .. } = decided[0].clone() else {
            panic!("{decided:?}")
        };
        let process = Some(process.parse().unwrap());
        Command::DecideComeback { cluster, primary, keys, comeback, process, by_operator: false }
    };
    let primary = scene.chunk(1).primary(Half::First).clone();
    let end = Command::EndComeback { cluster: name(), primary, process: Some("first".parse().unwrap()) };
    for (case, since) in [
        ("another process of it came back", decision("second", crate::state::Comeback::Waits)),
        ("it is to serve", decision("first", crate::state::Comeback::Serves)),
        ("it serves", end),
        ("it was done", promotion.clone()),
    ] {
        let mut state = scene.state.clone();
        apply(&mut state, since).unwrap();
        assert!(apply(&mut state, promotion.clone()).is_err(), "{case}");
    }
}

/// What was decided of one process is not done to the next, which came back with less.
#[test]
fn a_primary_that_starts_anew_again_is_decided_on_again() {
    let mut scene = Scene::new();
    scene.shard(1, Half::First).replica = SyncState::OutOfSync;
    scene.hear_all();
    let chunk = scene.chunk(1);
    let (primary, replica) = (chunk.primary(Half::First).clone(), chunk.replica(Half::First).clone());
    let comes_back = |scene: &mut Scene, run_id: &str, keys: u64| {
        let mut change = |proxy: &Address, address: &Address, change: &dyn Fn(&mut NodeHealth)| {
            change(scene.health(proxy).nodes.iter_mut().find(|node| node.address == *address).unwrap());
        };
        change(chunk.primary_proxy(Half::First), &primary, &|node| {
            (node.restarted, node.keys, node.run_id) = (true, Some(keys), Some(run_id.parse().unwrap()));
            node.keeps_log = true;
        });
        change(chunk.replica_proxy(Half::First), &replica, &|node| {
            (node.link, node.keys) = (Some(LinkState::Syncing), Some(1000));
        });
        let actions = scene.actions();
        let commands = actions.iter().filter_map(|action| match action {
            Action::Apply(command @ Command::DecideComeback { .. }) => Some(command.clone()),
            _ => None,
        });
        let commands: Vec<Command> = commands.collect();
        let forced = actions.into_iter().find_map(|action| match action {
            Action::Push { makes_do, .. } => makes_do,
            _ => None,
        });
        (commands, forced)
    };
    let (decided, _) = comes_back(&mut scene, "first", 1000);
    let [decision @ Command::DecideComeback { comeback: crate::state::Comeback::Serves, .. }] = &decided[..]
    else {
        panic!("{decided:?}")
    };
    scene.apply(decision.clone());
    scene.hear_again();
    let (decided, forced) = comes_back(&mut scene, "first", 1000);
    assert_eq!(
        (decided.len(), forced),
        (0, Some(vec!["first".parse().unwrap()])),
        "it is about that process"
    );
    // It restarts once more before it is told so, with less.
    let (decided, forced) = comes_back(&mut scene, "second", 5);
    assert_eq!(forced, None, "that was not about this one");
    let [decision @ Command::DecideComeback { comeback: crate::state::Comeback::Waits, .. }] = &decided[..]
    else {
        panic!("{decided:?}")
    };
    scene.apply(decision.clone());
    assert_eq!(scene.shard(1, Half::First).comeback, Some(crate::state::Comeback::Waits));
    assert_eq!(comes_back(&mut scene, "second", 5), (Vec::new(), None));
}

#[test]
fn an_operator_decides_about_a_primary_that_waits() {
    let mut scene = Scene::new();
    scene.shard(1, Half::First).replica = SyncState::OutOfSync;
    let primary = scene.chunk(1).primary(Half::First).clone();
    let decide = |comeback, by_operator| {
        let (primary, keys) = (primary.clone(), crate::command::KeysSeen::default());
        Command::DecideComeback { cluster: name(), primary, comeback, process: None, keys, by_operator }
    };
    use crate::state::Comeback::{Serves, Waits};
    assert!(apply(&mut scene.state, decide(Serves, true)).is_err(), "it does not wait");
    scene.apply(decide(Waits, false));
    assert_eq!(scene.shard(1, Half::First).comeback, Some(Waits));
    scene.apply(decide(Serves, true));
    // A coordinator that is late does not take that back.
    scene.apply(decide(Waits, false));
    assert_eq!(scene.shard(1, Half::First).comeback, Some(Serves));
    scene.apply(Command::EndComeback { cluster: name(), primary: primary.clone(), process: None });
    assert_eq!(scene.shard(1, Half::First).comeback, None);
}

#[test]
fn a_primary_does_not_serve_while_a_replaced_node_may_have_more_keys() {
    let served = "Serves, forced";
    for (former, own, other, expected) in [
        (false, 0, Other::Up(0), served),
        (true, 0, Other::Up(0), "Waits"),
        // An old file.
        (false, 3, Other::Up(0), served),
        (true, 3, Other::Up(0), "Waits"),
        (true, 3, Other::Dead, "Waits"),
        (true, 3, Other::Restarted(0), "Waits"),
        // It has written down all that it was told, the replaced node was not told all of that.
        (true, 3, Other::BesideLog(0), served),
        (true, 0, Other::BesideLog(0), "Waits"),
    ] {
        let mut scene = Scene::new();
        scene.shard(1, Half::First).former = former.then(|| "10.9.9.9:5299".parse().unwrap());
        let found = comeback_in(scene, SyncState::OutOfSync, Some(own), other);
        assert_eq!(found, expected, "{former} {own} {other:?}");
    }
}

#[test]
fn a_primary_that_nobody_has_seen_live_has_nothing_to_lose() {
    let mut scene = Scene::new();
    scene.shard(1, Half::First).is_unbegun = true;
    assert_eq!(comeback_in(scene, SyncState::Fresh, Some(0), Other::Dead), "Serves, forced");
}

#[test]
fn what_was_seen_of_an_earlier_process_ends_no_comeback() {
    let run_id = |text: &str| text.parse::<model::RunId>().unwrap();
    let mut scene = Scene::new();
    scene.shard(1, Half::First).replica = SyncState::OutOfSync;
    scene.hear_all();
    let chunk = scene.chunk(1);
    let (proxy, primary) = (chunk.primary_proxy(Half::First).clone(), chunk.primary(Half::First).clone());
    let (keys, comeback) = (crate::command::KeysSeen::default(), crate::state::Comeback::Waits);
    let (process, by_operator) = (Some(run_id("second")), false);
    let decided = Command::DecideComeback {
        cluster: name(),
        primary: primary.clone(),
        comeback,
        keys,
        process,
        by_operator,
    };
    scene.apply(decided);
    for (seen, ends) in [("first", false), ("second", true)] {
        let nodes = &mut scene.health(&proxy).nodes;
        nodes.iter_mut().find(|node| node.address == primary).unwrap().run_id = Some(run_id(seen));
        let is_end = |action: &Action| matches!(action, Action::Apply(Command::EndComeback { .. }));
        assert_eq!(scene.actions().iter().any(is_end), ends, "{seen}");
        let (primary, process) = (primary.clone(), Some(run_id(seen)));
        let end = Command::EndComeback { cluster: name(), primary, process };
        assert_eq!(apply(&mut scene.state.clone(), end).is_ok(), ends, "{seen}");
    }
}
