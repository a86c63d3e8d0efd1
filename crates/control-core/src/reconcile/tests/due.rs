//! When a turn is due by the passing of time alone.

use super::*;

#[test]
fn a_turn_is_due_when_a_wait_ends() {
    let mut scene = Scene::new();
    let begun = scene.now;
    let due = |scene: &Scene| scene.observed.due_after(scene.now).map(|at| at.since(begun));
    // All proxies were heard now.
    assert_eq!(due(&scene), Some(300));
    scene.now = TimeMs(begun.0 + 300);
    assert_eq!(due(&scene), None, "what has come to hold is not waited for");

    // A fence, and 10 ms later the replica has let go.
    let mut scene = Scene::new();
    scene.fence(0, FenceReason::Dead);
    scene.now = TimeMs(begun.0 + 10);
    scene.hear_all();
    scene.observed.note_state(&scene.state, read_now(scene.now), scene.now);
    for (now, expected) in [(10, 115), (115, 310), (310, 325), (325, 420), (419, 420)] {
        scene.now = TimeMs(begun.0 + now);
        assert_eq!(due(&scene), Some(expected), "at {now}");
    }
    scene.now = TimeMs(begun.0 + 420);
    assert_eq!(due(&scene), None);
    // One that cannot be asked is not waited for.
    let mut scene = Scene::new();
    let proxies: Vec<Address> = scene.state.proxies.keys().cloned().collect();
    proxies.iter().for_each(|proxy| scene.observed.note_no_answer(proxy, false, begun));
    assert_eq!(due(&scene), None);
}
