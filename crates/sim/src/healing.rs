//! The cluster heals within a bound when nothing breaks any more.

use crate::violation::{Invariant, Violation};
use crate::world::World;

/// How long it may take, in milliseconds: resynchronisation, what a coordinator keeps of earlier failures, handovers.
const HEALS_MS_MAX: u64 = 40_000;
/// An operator looks after this long, in milliseconds, and says what becomes of what waits for that.
const OPERATOR_MS: u64 = 10_000;

/// Lets a world heal in which everything was mended.
pub fn heals(world: &mut World) {
    if world.run_until(OPERATOR_MS, World::is_well) || !world.checks.is_well() {
        return;
    }
    world.decide_comebacks();
    if !world.run_until(HEALS_MS_MAX - OPERATOR_MS, World::is_well) && world.checks.is_well() {
        let what = format!("not well {HEALS_MS_MAX} ms after everything was mended");
        let at = world.now;
        world.checks.note(Some(Violation { invariant: Invariant::Heals, at, what }));
    }
}
