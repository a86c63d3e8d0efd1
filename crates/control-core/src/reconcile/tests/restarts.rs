//! Proxies that have started anew, and so have forgotten what they had.

use super::*;

/// The proxy answers as a process that has just started: it has no view.
fn answers_anew(scene: &mut Scene, proxy: &Address, run_id: &str) {
    let nodes = scene.health(proxy).nodes.clone();
    let run_id = Some(run_id.parse().unwrap());
    let health = ProxyHealth { run_id, nodes, ..ProxyHealth::default() };
    scene.observed.note_answer(proxy, health, scene.now, scene.now);
}

/// For which process something is to be pushed to the proxy.
fn pushed(scene: &Scene, proxy: &Address) -> Option<model::RunId> {
    scene.actions().into_iter().find_map(|action| match action {
        Action::Push { proxy: to, process, .. } if to == *proxy => process,
        _ => None,
    })
}

#[test]
fn a_process_is_told_nothing_by_what_was_read_before_it_started() {
    let mut scene = Scene::new();
    let proxy = scene.chunk(1).proxies[0].clone();
    let second: model::RunId = "second".parse().unwrap();
    scene.now = TimeMs(scene.now.0 + 100);
    let read_at = TimeMs(scene.now.0 - 50);
    scene.observed.note_state(&scene.state, read_at, scene.now);
    answers_anew(&mut scene, &proxy, "first");
    assert_eq!(pushed(&scene, &proxy), None, "read before");
    // Answer after answer comes, and nothing can be read.
    for _ in 0..3 {
        scene.now = TimeMs(scene.now.0 + 50);
        scene.observed.note_state(&scene.state, read_at, scene.now);
        answers_anew(&mut scene, &proxy, "first");
        assert_eq!(pushed(&scene, &proxy), None, "read before");
    }
    let read_at = TimeMs(scene.now.0 - 10);
    scene.observed.note_state(&scene.state, read_at, scene.now);
    assert_eq!(pushed(&scene, &proxy), Some("first".parse().unwrap()), "read after its first answer");
    answers_anew(&mut scene, &proxy, "second");
    assert_eq!(pushed(&scene, &proxy), None, "it has started again");
    scene.observed.note_state(&scene.state, TimeMs(scene.now.0 + 1), scene.now);
    assert_eq!(pushed(&scene, &proxy), Some(second));
}

#[test]
fn a_process_that_does_not_tell_which_it_is_counts_as_another_when_it_has_lost_its_view() {
    let mut scene = Scene::new();
    let proxy = scene.chunk(1).proxies[0].clone();
    let is_pushed = |scene: &Scene| {
        scene.actions().iter().any(|action| matches!(action, Action::Push { proxy: to, .. } if *to == proxy))
    };
    scene.now = TimeMs(scene.now.0 + 100);
    let mut lost = scene.health(&proxy).clone();
    lost.view_epoch = Epoch(0);
    scene.observed.note_state(&scene.state, TimeMs(scene.now.0 - 50), scene.now);
    scene.observed.note_answer(&proxy, lost, scene.now, scene.now);
    assert!(!is_pushed(&scene), "read before");
    scene.observed.note_state(&scene.state, TimeMs(scene.now.0 + 1), scene.now);
    assert!(is_pushed(&scene));
}

#[test]
fn nobody_is_emptied_by_what_was_read_before_its_process_started() {
    let mut scene = Scene::new();
    let (proxy, nodes) = (address(7, 5299), vec![address(7, 6379), address(7, 6380)]);
    let new = NewProxy { address: proxy.clone(), nodes, host: None, index: None };
    scene.apply(Command::RegisterProxy(new));
    let epoch = scene.state.proxies[&proxy].epoch;
    scene.apply(Command::NoteDirty { proxy: proxy.clone(), epoch });
    let epoch = scene.state.proxies[&proxy].epoch;
    let run_id = Some("run".parse().unwrap());
    let health = ProxyHealth { run_id, view_epoch: epoch, roles_epoch: epoch, ..ProxyHealth::default() };
    scene.now = TimeMs(scene.now.0 + 100);
    scene.observed.note_answer(&proxy, health, scene.now, scene.now);
    let cleans = |scene: &Scene| {
        scene.actions().iter().any(|action| matches!(action, Action::Clean { proxy: of, .. } if *of == proxy))
    };
    assert!(!cleans(&scene));
    scene.observed.note_state(&scene.state, TimeMs(scene.now.0 + 1), scene.now);
    assert!(cleans(&scene));
}
