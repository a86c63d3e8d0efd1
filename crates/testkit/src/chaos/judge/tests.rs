//! Small runs with planted faults, and what must come out.

use super::*;
use crate::chaos::workload::{Key, KeyKind};
use crate::history::{ClientId, End, Value};

const SECOND: u64 = 1_000_000_000;

fn proxy(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

/// An operation of a hundred milliseconds from that tenth of a second on.
fn operation(tenth: u64, port: u16, action: Action) -> Operation {
    let call = tenth * SECOND / 10;
    let end = Some(End { at: Moment(call + SECOND / 10), server: Some(proxy(port)) });
    Operation { client: ClientId(0), call: Moment(call), end, action }
}

fn write(tenth: u64, port: u16, value: i64) -> Operation {
    operation(tenth, port, Action::Write(Value(value)))
}

fn read(tenth: u64, value: i64) -> Operation {
    operation(tenth, 1, Action::Read((value != 0).then_some(Value(value))))
}

/// A run of one key, with a fault from second 2 to 4 that was whole at 5, and owners by port and second.
fn run(operations: &[Operation], owners: &[(u16, u64, bool)]) -> Judgement {
    run_with(true, operations, owners)
}

fn run_with(explains_promotion: bool, operations: &[Operation], owners: &[(u16, u64, bool)]) -> Judgement {
    let key = Key { name: "a".to_owned(), kind: KeyKind::Register, shard: 0 };
    let owners = owners.iter().map(|&(port, second, may_lose)| Ownership {
        since: Moment(second * SECOND),
        proxy: proxy(port),
        may_lose,
    });
    let at = |second| Moment(second * SECOND);
    judge(
        &[KeyHistory { key, operations: operations.to_vec() }],
        (&[ShardRecord { slots: 100, owners: owners.collect() }], ClientId(1)),
        &[FaultWindow { at: at(2), ended: at(4), whole: at(5), hit: vec![0], explains_promotion }],
        at(10),
    )
}

fn broken(judgement: &Judgement) -> Vec<&'static str> {
    judgement.broken.iter().map(|broken| broken.what).collect()
}

#[test]
fn what_a_promotion_costs_is_counted_and_no_fault_of_the_checker() {
    let operations = [write(5, 1, 1), write(15, 1, 2), write(35, 2, 3), read(40, 3), write(60, 2, 4)];
    let good = run(&operations, &[(1, 0, false), (2, 3, true)]);
    assert_eq!(broken(&good), [""; 0]);
    let cost = &good.costs[0];
    assert_eq!((cost.first_write_ms, cost.silence_ms, cost.unavailable_slots), (Some(1600), 1600, 100));
    assert_eq!((cost.promotions, cost.lossy_promotions, cost.lost), (1, 1, 0));
    assert_eq!(good.parts, 2);

    // What the old primary still took does not count as service.
    let late = [write(5, 1, 1), write(21, 1, 2), write(35, 2, 3), write(60, 2, 4)];
    assert_eq!(run(&late, &[(1, 0, false), (2, 3, true)]).costs[0].first_write_ms, Some(1600));

    let lost = [write(5, 1, 1), read(10, 1), write(15, 1, 2), read(40, 1), write(60, 2, 4)];
    let found = run(&lost, &[(1, 0, false), (2, 3, true)]);
    assert_eq!(broken(&found), [""; 0]);
    assert_eq!((found.costs[0].lost, found.costs[0].went_back), (1, 1));
}

#[test]
fn the_same_without_a_promotion_is_broken() {
    let lost = [write(5, 1, 1), read(10, 1), write(15, 1, 2), read(40, 1), write(60, 1, 4)];
    for owners in [&[(1, 0, false)][..], &[(1, 0, false), (1, 3, false)]] {
        let found = run(&lost, owners);
        assert_eq!(
            broken(&found),
            ["a key is not linearizable", "a write was lost although nothing was promoted"]
        );
    }
}

#[test]
fn a_stale_read_is_broken_before_and_after_a_promotion() {
    for late in [10, 70] {
        let operations = [write(late, 1, 1), write(late + 2, 1, 2), read(late + 4, 1), read(late + 6, 2)];
        let port_owner =
            if late == 10 { &[(1, 0, false), (2, 3, true)][..] } else { &[(2, 0, false), (1, 3, true)] };
        assert_eq!(broken(&run(&operations, port_owner)), ["a key is not linearizable"], "at {late}");
    }
}

#[test]
fn an_old_primary_that_takes_a_write_is_broken() {
    let operations = [write(5, 1, 1), write(35, 2, 2), write(45, 1, 3)];
    let found = run(&operations, &[(1, 0, false), (2, 3, true)]);
    assert_eq!(broken(&found), ["two primaries took writes"]);
}

#[test]
fn a_promotion_that_its_fault_does_not_explain_is_told() {
    let operations = [write(5, 1, 1), write(35, 2, 3)];
    for (explains, owners, wanted) in [
        (true, &[(1, 0, false), (2, 3, true)], 0),
        (false, &[(1, 0, false), (2, 3, true)], 1),
        (false, &[(1, 0, false), (2, 3, false)], 0),
        (true, &[(1, 0, false), (2, 7, true)], 1),
    ] {
        assert_eq!(run_with(explains, &operations, owners).unprovoked.len(), wanted, "{explains} {owners:?}");
    }
}
