//! New clusters: nothing has happened to them, and so nobody is fenced.

use control_core::Command;

use crate::world::World;

/// How long what a coordinator does may take until it arrives.
const DELAYS_MS: [u64; 5] = [0, 10, 30, 60, 120];

#[test]
fn nobody_is_fenced_in_a_new_cluster() {
    for coordinators in 1..=3 {
        for (delays, push_delay_ms) in DELAYS_MS.into_iter().flat_map(|a| DELAYS_MS.map(|b| (a, b))) {
            let mut world = World::unwatched(3, 2, 2, coordinators);
            for (number, coordinator) in world.coordinators.iter_mut().enumerate() {
                coordinator.delay_ms = delays * number as u64 / 2;
                coordinator.push_delay_ms = push_delay_ms;
            }
            world.run(5_000);
            let fence = |command: &&Command| {
                matches!(command, Command::FenceShard { .. } | Command::FailOverShard { .. })
            };
            let found = world.commands.iter().find(fence);
            let picture =
                || world.commands.iter().map(|command| format!("{command:?}")).collect::<Vec<_>>().join("\n");
            assert_eq!(found, None, "{coordinators}, {delays} ms, {push_delay_ms} ms:\n{}", picture());
            assert!(world.is_healed(), "{coordinators}, {delays} ms, {push_delay_ms} ms:\n{}", picture());
        }
    }
}
