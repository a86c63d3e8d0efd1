//! What is done about proxies of the pool.

use super::*;

/// What a node of a free proxy shows.
type Seen = fn(&mut NodeHealth);

/// A proxy of the pool that was emptied and has the view that says so, and what is to be done once its first node
/// shows this.
fn free_proxy(view_is_older: bool, change: Seen) -> (Scene, Address, Vec<Action>) {
    let mut scene = Scene::new();
    let proxy = address(7, 5299);
    let nodes = [address(7, 6379), address(7, 6380)];
    let new = NewProxy { address: proxy.clone(), nodes: nodes.to_vec(), host: None, index: None };
    scene.apply(Command::RegisterProxy(new));
    let epoch = scene.state.proxies[&proxy].epoch;
    let node = |address: Address| NodeHealth {
        address,
        state: NodeState::Up,
        restarted: false,
        role: Role::Primary,
        primary: None,
        link: None,
        offset: 0,
        replicated: false,
        attached: false,
        role_epoch: Some(epoch),
        keys: Some(0),
        run_id: None,
        keeps_log: false,
    };
    let mut health = ProxyHealth {
        view_epoch: epoch,
        roles_epoch: epoch,
        nodes: nodes.map(node).to_vec(),
        ..ProxyHealth::default()
    };
    change(&mut health.nodes[0]);
    if view_is_older {
        (health.view_epoch, health.roles_epoch) = (Epoch(epoch.0 - 1), Epoch(epoch.0 - 1));
    }
    scene.observed.note_answer(&proxy, health, scene.now, scene.now);
    let actions = scene.actions();
    (scene, proxy, actions)
}

#[test]
fn a_free_proxy_whose_nodes_may_hold_something_is_emptied_again() {
    let cases: [(&str, bool, Seen, bool); 10] = [
        ("all is well", false, |_| {}, false),
        ("it has keys", false, |node| node.keys = Some(1), true),
        ("it started anew", false, |node| node.restarted = true, true),
        ("it reads its data", false, |node| node.state = NodeState::Loading, true),
        ("it is dead", false, |node| node.state = NodeState::Down { for_ms: 1_000 }, true),
        ("it is silent for a moment", false, |node| node.state = NodeState::Down { for_ms: 50 }, false),
        ("its proxy does not tell", false, |node| (node.keys, node.role_epoch) = (None, None), false),
        (
            "it was looked at before it was emptied",
            false,
            |node| {
                (node.keys, node.role_epoch) = (Some(1), Some(Epoch(1)));
            },
            false,
        ),
        ("it was asked before it was emptied", true, |node| node.keys = Some(1), false),
        ("it started anew before it was emptied", true, |node| node.restarted = true, false),
    ];
    for (case, view_is_older, change, expected) in cases {
        let (mut scene, proxy, actions) = free_proxy(view_is_older, change);
        let noted = actions.into_iter().find_map(|action| match action {
            Action::Apply(command @ Command::NoteDirty { .. }) => Some(command),
            _ => None,
        });
        assert_eq!(noted.is_some(), expected, "{case}");
        let Some(noted) = noted else { continue };
        let before = scene.state.proxies[&proxy].epoch;
        scene.apply(noted.clone());
        let record = scene.state.proxies[&proxy].clone();
        assert!(record.dirty && record.epoch > before, "{case}: {record:?}");
        // Two coordinators see the same.
        assert!(apply(&mut scene.state, noted).is_err(), "{case}");
    }
}

#[test]
fn a_node_that_started_anew_is_made_a_primary_to_be_emptied() {
    let (mut scene, proxy, _) = free_proxy(false, |node| node.restarted = true);
    let epoch = scene.state.proxies[&proxy].epoch;
    scene.apply(Command::NoteDirty { proxy: proxy.clone(), epoch });
    let pushed = |scene: &Scene| {
        scene.actions().into_iter().find_map(|action| match action {
            Action::Push { proxy: to, makes_do, .. } if to == proxy => Some(makes_do.is_some()),
            _ => None,
        })
    };
    assert_eq!(pushed(&scene), Some(true));
    // It starts once more, after its proxy has got that.
    let epoch = scene.state.proxies[&proxy].epoch;
    let health = scene.health(&proxy);
    (health.view_epoch, health.roles_epoch) = (epoch, epoch);
    assert_eq!(pushed(&scene), Some(true));
    scene.health(&proxy).nodes[0].restarted = false;
    assert_eq!(pushed(&scene), None);
    let clean = Action::Clean { proxy: proxy.clone(), process: None, epoch };
    assert!(scene.actions().contains(&clean), "{:?}", scene.actions());
}

#[test]
fn a_proxy_of_the_pool_that_was_away_is_emptied() {
    let (mut scene, proxy, _) = free_proxy(false, |_| {});
    let (reporter, now) = (ReporterId("me".to_owned()), scene.now);
    scene.apply(Command::ReportFailure { proxy: proxy.clone(), reporter: reporter.clone(), now });
    scene.apply(Command::FailOverProxy { proxy: proxy.clone(), force: false, decided_after: None, now });
    let mut registered = scene.state.clone();
    scene.apply(Command::ProxyReturned { proxy: proxy.clone(), reporter, now });
    assert!(scene.state.proxies[&proxy].dirty, "it was seen to be well");
    let nodes = registered.proxies[&proxy].nodes.to_vec();
    let again = NewProxy { address: proxy.clone(), nodes, host: None, index: None };
    apply(&mut registered, Command::RegisterProxy(again)).unwrap();
    assert!(registered.proxies[&proxy].dirty, "it was registered again");
}

/// It would be asked in vain, turn after turn.
#[test]
fn a_proxy_is_emptied_once_all_its_nodes_answer() {
    let (mut scene, proxy, _) = free_proxy(false, |node| node.state = NodeState::Down { for_ms: 1_000 });
    let epoch = scene.state.proxies[&proxy].epoch;
    scene.apply(Command::NoteDirty { proxy: proxy.clone(), epoch });
    let epoch = scene.state.proxies[&proxy].epoch;
    let health = scene.health(&proxy);
    (health.view_epoch, health.roles_epoch) = (epoch, epoch);
    for (state, is_asked) in [
        (NodeState::Down { for_ms: 1_000 }, false),
        (NodeState::Down { for_ms: 50 }, false),
        (NodeState::Unseen { for_ms: 1_000 }, false),
        (NodeState::Busy { for_ms: 1_000 }, false),
        (NodeState::Loading, false),
        (NodeState::Up, true),
    ] {
        scene.health(&proxy).nodes[1].state = state;
        scene.health(&proxy).nodes[0].state = NodeState::Up;
        let is_clean = |action: &Action| matches!(action, Action::Clean { proxy: of, .. } if *of == proxy);
        assert_eq!(scene.actions().iter().any(is_clean), is_asked, "{state:?}");
    }
}

/// What one proxy of a cluster says while the pool is looked at.
type Elsewhere = fn(&mut Scene, &Address);

/// By newer metadata a proxy of the pool may be the primary of a cluster. Its own process may have started since and know
/// nothing of that.
#[test]
fn nobody_is_emptied_by_metadata_that_may_be_old() {
    let cases: [(&str, Elsewhere, bool); 5] = [
        ("all is well", |_, _| {}, true),
        (
            "one was not asked yet",
            |scene, proxy| {
                let seen = scene.observed.proxies.get_mut(proxy).unwrap();
                (seen.health, seen.answered, seen.watched_since) = (None, None, scene.now);
            },
            false,
        ),
        (
            "one has been silent for long",
            |scene, proxy| {
                let seen = scene.observed.proxies.get_mut(proxy).unwrap();
                (seen.health, seen.answered, seen.watched_since) = (None, None, TimeMs(1));
            },
            true,
        ),
        ("one is ahead", |scene, proxy| scene.health(proxy).view_epoch.0 += 100, false),
        (
            "another proxy of the pool was found to be ahead",
            |scene, _| {
                let proxy = address(8, 5299);
                let nodes = vec![address(8, 6379), address(8, 6380)];
                let new = NewProxy { address: proxy.clone(), nodes, host: None, index: None };
                scene.apply(Command::RegisterProxy(new));
                let epoch = scene.state.proxies[&proxy].epoch;
                scene.apply(Command::ProxyCleaned { proxy: proxy.clone(), epoch });
                let (seen, view_epoch) = (Epoch(epoch.0 + 100), Epoch(epoch.0 + 100));
                let health = ProxyHealth { view_epoch, ..ProxyHealth::default() };
                scene.observed.note_answer(&proxy, health, scene.now, scene.now);
                scene.apply(Command::BeginReview { proxy, seen });
            },
            false,
        ),
    ];
    for (case, elsewhere, expected) in cases {
        for is_told in [false, true] {
            let (mut scene, proxy, _) = free_proxy(false, |_| {});
            let epoch = scene.state.proxies[&proxy].epoch;
            scene.apply(Command::NoteDirty { proxy: proxy.clone(), epoch });
            // A process that has just started, before it has the empty view and with it.
            let epoch = if is_told { scene.state.proxies[&proxy].epoch } else { Epoch(0) };
            let health = scene.health(&proxy);
            (health.view_epoch, health.roles_epoch) = (epoch, epoch);
            let other = scene.chunk(1).proxies[0].clone();
            elsewhere(&mut scene, &other);
            let concerns_it = |action: &Action| match action {
                Action::Push { proxy: of, .. } | Action::Clean { proxy: of, .. } => *of == proxy,
                Action::Apply(_) => false,
            };
            let found = scene.actions().iter().any(concerns_it);
            assert_eq!(found, expected, "{case}, told: {is_told}: {:?}", scene.actions());
        }
    }
}
