//! Replicas that take over, and when they are told.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::fixture::{Fixture, wait};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn a_dead_node_is_replaced_by_its_replica() {
    let fixture = Fixture::start(2, 0);
    wait(LIMIT, "all proxies are filled", || fixture.is_filled());
    let [first, second] = [0, 1].map(|number| fixture.address(number));
    let slots = |address| fixture.crowd.slots(address);
    wait(LIMIT, "the replicas are in sync", || fixture.is_in_sync());
    fixture.crowd.break_node(&first);
    wait(LIMIT, "the other proxy serves all slots", || (slots(&first), slots(&second)) == (0, 16_384));
    assert!(!fixture.metadata.state().is_failed(&first));
}

#[test]
fn a_new_primary_is_told_before_anything_else_is_done() {
    let fixture = Fixture::start(4, 0);
    wait(LIMIT, "all proxies are filled and in sync", || fixture.is_filled() && fixture.is_in_sync());
    let chunks = fixture.metadata.state().clusters.values().next().unwrap().chunks.clone();
    // After the first promotion no other command goes through, as if the brokers were dead by then.
    fixture.metadata.holds_after_promotion.store(true, Relaxed);
    chunks.iter().for_each(|chunk| fixture.crowd.break_node(&chunk.proxies[0]));
    let slots = |chunk: &control_core::Chunk| u64::try_from(chunk.slot_count()).unwrap();
    let is_told =
        || chunks.iter().filter(|chunk| fixture.crowd.slots(&chunk.proxies[1]) == slots(chunk)).count();
    wait(LIMIT, "the first new primary is told", || is_told() > 0);
    assert_eq!(is_told(), 1, "the other promotion is held back");
    fixture.metadata.holds_after_promotion.store(false, Relaxed);
    wait(LIMIT, "both are told", || is_told() == 2);
}
