//! How long leases may be: who raises the limit, who lowers it, and who waits for what is still held.

use super::*;
use crate::observed::ProxyObservation;
use crate::state::LeaseLimit;

impl Scene {
    /// After how many milliseconds a replica is promoted, where every 10 of them this happens.
    fn ms_until_promoted(&mut self, mut happens: impl FnMut(&mut Self)) -> u64 {
        let begun = self.now;
        let is_promotion = |action: &Action| matches!(action, Action::Apply(Command::FailOverShard { .. }));
        while !self.actions().iter().any(is_promotion) {
            assert!(self.now.since(begun) < 5_000, "{:?}", self.actions());
            self.now = TimeMs(self.now.0 + 10);
            happens(self);
        }
        self.now.since(begun)
    }

    /// The limit that this coordinator asks for.
    fn limit_asked(&self) -> Option<LeaseLimit> {
        self.actions().into_iter().find_map(|action| match action {
            Action::Apply(Command::LimitLeases { to, .. }) => Some(to),
            _ => None,
        })
    }

    /// Time passes, in which all is heard.
    fn pass(&mut self, ms: u64) {
        let end = self.now.0 + ms;
        while self.now.0 < end {
            self.now = TimeMs(end.min(self.now.0 + 100));
            self.hear_all();
        }
    }

    fn limit(&mut self, to: LeaseLimit) {
        let from = self.state.lease_limit;
        self.apply(Command::LimitLeases { from, to });
    }
}

#[test]
fn the_limit_is_raised_at_once_and_lowered_in_two_steps() {
    let mut scene = Scene::new();
    assert_eq!(scene.limit_asked(), None);
    scene.observed.timing.lease_ms = 5_000;
    let raised = LeaseLimit { granted_ms: 5_000, held_ms: 5_000 };
    assert_eq!(scene.limit_asked(), Some(raised));
    scene.limit(raised);
    assert_eq!(scene.limit_asked(), None);

    // A restart with another setting: another coordinator may need the old one for a while.
    scene.observed.timing.lease_ms = 300;
    scene.pass(59_900);
    assert_eq!(scene.limit_asked(), None);
    scene.pass(200);
    let lowered = LeaseLimit { granted_ms: 400, held_ms: 5_000 };
    assert_eq!(scene.limit_asked(), Some(lowered));
    scene.limit(lowered);
    scene.pass(5_200);
    assert_eq!(scene.limit_asked(), None, "long leases may still be held");
    scene.pass(100);
    assert_eq!(scene.limit_asked(), Some(LeaseLimit::default()));
}

/// The proxy of a fenced primary is silent. What the broker says of its last lease, 100 ms after the fence, and until when its
/// proxy goes by the short time for which a replica counts as attached; when the replica is promoted, which let go 20 ms after
/// the fence.
#[test]
fn both_waits_run_beside_each_other() {
    let cases = [
        (None, None, 420),
        (Some(10), None, 340),
        (None, Some(5_000), 420),
        (Some(10), Some(5_000), 130),
        (Some(190), Some(5_000), 290),
        (Some(10), Some(10), 340),
    ];
    for (left_ms, soon_for_ms, expected_ms) in cases {
        let mut scene = Scene::new();
        let silent = scene.chunk(0).primary_proxy(Half::First).clone();
        scene.health(&silent).attached_soon_for_ms = soon_for_ms;
        let said = scene.observed.proxies[&silent].clone();
        scene.fence(0, FenceReason::Dead);
        let fenced = scene.now;
        let waited_ms = scene.ms_until_promoted(|scene| {
            if scene.now.since(fenced) == 100 {
                scene.observed.note_leases_left(left_ms.iter().map(|left_ms| (&silent, *left_ms)), scene.now);
            }
            scene.hear_all();
            let seen = scene.observed.proxies.get_mut(&silent).unwrap();
            *seen = ProxyObservation { answered: Some(scene.now), ..said.clone() };
            scene.break_node(&silent);
        });
        assert_eq!(waited_ms, expected_ms, "{left_ms:?} {soon_for_ms:?}");
    }
}

/// The coordinator that granted a long lease is gone, and the proxy that has it does not say so, nor take its new view.
#[test]
fn a_promotion_waits_for_a_lease_that_nobody_here_has_granted() {
    for (limit, from_ms) in
        [(LeaseLimit::default(), 420), (LeaseLimit::default().raised(2_000).lowered(400), 2_100)]
    {
        let mut scene = Scene::new();
        scene.limit(LeaseLimit::default().raised(limit.held_ms));
        scene.limit(limit);
        let silent = scene.chunk(0).primary_proxy(Half::First).clone();
        scene.fence(0, FenceReason::Dead);
        let waited_ms = scene.ms_until_promoted(|scene| {
            scene.hear_all();
            scene.health(&silent).view_epoch = Epoch(0);
            scene.break_node(&silent);
        });
        assert_eq!(waited_ms, from_ms, "{limit:?}");
    }
}
