//! Replies come in the order of the requests, each to who asked, each once, whatever is cut or interleaved, held or
//! failing; and in the end nothing is left waiting.

use proptest::prelude::*;

use crate::client::Allowed;
use crate::plan::{Kind, Plan, Step, plan, prepare, take};
use crate::views::BOTH;
use crate::wild::wild;
use crate::world::World;

fn play(plan: &Plan, allowed: Allowed) -> World {
    let mut world = World::new(BOTH, plan.policy);
    world.allowed = allowed;
    for asks in &plan.asks {
        let client = world.accept();
        prepare(&mut world.clients[client], asks);
        if plan.slow_clients {
            world.clients[client].window = 0;
        }
    }
    for step in &plan.steps {
        take(&mut world, step);
        world.check();
    }
    world.end_turn();
    world.finish();
    world
}

/// Few plans in a run of all tests; as many as `PROPTEST_CASES` says where it is set (`make sim CASES=100000`).
#[expect(clippy::disallowed_methods, reason = "a test may be told by its environment how long to look")]
pub(crate) fn config() -> ProptestConfig {
    const CASES: u32 = 96;
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(CASES),
    }
}

fn steps(plan: &Plan, picks: impl Fn(&Step) -> bool) -> usize {
    plan.steps.iter().filter(|step| picks(step)).count()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_fails(plan in plan(Kind::Calm)) {
        let world = play(&plan, Allowed::default());
        prop_assert!(world.clients.iter().all(|client| !client.closed), "nobody gave a reason to be closed");
    }

    #[test]
    fn connections_fail(plan in plan(Kind::Failing)) {
        let allowed = Allowed { failures: true, ..Allowed::default() };
        let world = play(&plan, allowed);
        let closed = world.clients.iter().filter(|client| client.closed).count();
        let reasons = steps(&plan, |step| matches!(step, Step::Fails(_) | Step::Breaks(_)));
        prop_assert!(closed <= reasons, "a failure cuts at most one reply in two: {closed} of {reasons}");
        for client in &world.clients {
            prop_assert!(client.closed || client.partial.is_empty(), "half of a reply is followed by nothing");
            prop_assert!(client.excused == 0 || reasons > 0, "an error without a failure");
        }
    }

    #[test]
    fn slots_move(plan in plan(Kind::Moving)) {
        let world = play(&plan, Allowed { moves: true, ..Allowed::default() });
        prop_assert!(world.clients.iter().all(|client| !client.closed), "a new view closes no session");
    }

    #[test]
    fn everything_at_once(plan in wild(4)) {
        plan.play();
    }

    #[test]
    fn slots_move_all_the_time(plan in wild(1)) {
        plan.play();
    }
}
