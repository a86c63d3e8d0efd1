//! The checker against histories that a real atomic key made, against every order tried one by one, and against
//! planted faults.

use proptest::prelude::*;

use super::*;
use crate::history::{Action, ClientId, End, Moment, Value, segment};

/// An operation from `call` to `end`; an end of 0 means that no answer came.
fn operation(call: u64, end: u64, action: Action) -> Operation {
    let end = (end != 0).then_some(End { at: Moment(end), server: None });
    Operation { client: ClientId(0), call: Moment(call), end, action }
}

fn read(call: u64, end: u64, seen: i64) -> Operation {
    operation(call, end, Action::Read((seen != 0).then_some(Value(seen))))
}

fn write(call: u64, end: u64, value: i64) -> Operation {
    operation(call, end, Action::Write(Value(value)))
}

fn increment(call: u64, end: u64, result: i64) -> Operation {
    operation(call, end, Action::Increment(Value(result)))
}

/// What a table expects: an order, or the beginning of what the violation says.
fn verdict(initial: Initial, operations: &[Operation], wanted: &str) {
    let found = check(initial, operations);
    let text = found.as_ref().map_or_else(ToString::to_string, |()| "ok".to_owned());
    assert!(text.starts_with(wanted), "wanted {wanted}, found {text}");
}

#[test]
fn small_histories() {
    use Initial::{Absent, Any};
    let nowhere = "a value from nowhere";
    let twice = "the value 1 was made twice";
    let cases: &[(Initial, &[Operation], &str)] = &[
        (Absent, &[], "ok"),
        (Absent, &[read(1, 2, 0), write(3, 4, 1), read(5, 6, 1)], "ok"),
        (Absent, &[write(1, 9, 1), read(2, 3, 1), read(4, 5, 1)], "ok"),
        // A write is seen, then not yet: one of the two reads is wrong, however long the write takes.
        (Absent, &[write(1, 9, 1), read(2, 3, 1), read(4, 5, 0)], "no order"),
        // Stale: 2 was there before the read began.
        (Absent, &[write(1, 2, 1), write(3, 4, 2), read(5, 6, 1)], "no order"),
        // Lost: the acknowledged write is not there.
        (Absent, &[write(1, 2, 1), read(3, 4, 0)], "no order"),
        (Absent, &[read(1, 2, 7)], nowhere),
        // Before its write was called.
        (Absent, &[read(1, 2, 1), write(3, 4, 1)], nowhere),
        (Absent, &[write(1, 2, 1), write(3, 4, 1)], twice),
        (Absent, &[write(1, 2, 1), increment(3, 4, 2)], "the key was used both"),
        // Two readers see two concurrent writes in different orders.
        (Absent, &[write(1, 4, 1), write(1, 4, 2), read(5, 6, 1), read(7, 8, 2)], "no order"),
        // Of unknown outcome: it may happen late, or never, but not twice.
        (Absent, &[write(1, 0, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 1)], "ok"),
        (Absent, &[write(1, 0, 1), write(2, 3, 2), read(4, 5, 2), read(6, 7, 2)], "ok"),
        (Absent, &[write(1, 0, 1), write(2, 3, 2), read(4, 5, 1), read(6, 7, 2), read(8, 9, 1)], "no order"),
        // Counters.
        (Absent, &[increment(1, 4, 2), increment(2, 3, 1), read(5, 6, 2)], "ok"),
        (Absent, &[increment(1, 2, 1), increment(3, 4, 1)], twice),
        (Absent, &[increment(1, 2, 1), increment(3, 4, 3)], "no order"),
        (Absent, &[increment(1, 2, 1), increment(1, 0, 0), increment(3, 4, 3)], "ok"),
        // The one without an answer was called too late to have made 2.
        (Absent, &[increment(1, 2, 1), increment(3, 4, 3), increment(5, 0, 0)], "no order"),
        (Absent, &[increment(1, 2, 1), increment(1, 0, 0), read(3, 4, 2), read(5, 6, 1)], "no order"),
        // Beginning in the middle.
        (Any, &[read(1, 2, 7), read(3, 4, 7), write(5, 6, 8), read(7, 8, 8)], "ok"),
        (Any, &[read(1, 2, 7), read(3, 4, 6)], nowhere),
        (Any, &[write(1, 2, 8), read(3, 4, 7)], "no order"),
        (Any, &[increment(1, 2, 40), increment(3, 4, 41)], "ok"),
        (Any, &[increment(1, 2, 40), increment(3, 4, 42)], "no order"),
    ];
    for (initial, operations, wanted) in cases {
        verdict(*initial, operations, wanted);
    }
}

/// One operation of a generated history, as an atomic key meets it.
#[derive(Clone, Debug)]
struct Plan {
    call: u64,
    /// From the call until it happens, and from then until the answer.
    before: u64,
    after: u64,
    read: bool,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// It happens, and the answer is lost.
    Unanswered,
    /// It is lost on its way.
    Never,
}

fn plans(count: impl Into<proptest::collection::SizeRange>, spread: u64) -> impl Strategy<Value = Vec<Plan>> {
    let fate = prop_oneof![8 => Just(Fate::Answered), 1 => Just(Fate::Unanswered), 1 => Just(Fate::Never)];
    let plan = (1..spread, 0..60_u64, 0..60_u64, any::<bool>(), fate)
        .prop_map(|(call, before, after, read, fate)| Plan { call, before, after, read, fate });
    proptest::collection::vec(plan, count)
}

/// Plays the plans on an atomic key, each at its instant, and hands back what clients saw.
fn play(plans: &[Plan], counter: bool) -> Vec<Operation> {
    let mut order: Vec<(usize, &Plan)> = plans.iter().enumerate().collect();
    order.sort_by_key(|(_, plan)| plan.call + plan.before);
    let mut value: i64 = 0;
    let mut history = Vec::new();
    for (index, plan) in order {
        let happens = plan.fate != Fate::Never;
        let end = if plan.fate == Fate::Answered { plan.call + plan.before + plan.after } else { 0 };
        let made = if counter { value + 1 } else { i64::try_from(index).unwrap() + 1 };
        if !plan.read && happens {
            value = made;
        }
        history.push(match (plan.read, counter) {
            (true, _) => read(plan.call, end, value),
            (false, false) => write(plan.call, end, made),
            (false, true) => increment(plan.call, end, made),
        });
    }
    history
}

/// Whether some order explains the history: every order is tried, and every choice of what happened at all.
fn some_order_fits(open: &[Operation], value: Option<Value>) -> bool {
    if open.iter().all(|operation| !operation.answered()) {
        return true;
    }
    let bound = open.iter().map(Operation::end_or_never).min().unwrap_or(Moment::NEVER);
    (0..open.len()).filter(|&index| open[index].call <= bound).any(|index| {
        let mut rest = open.to_vec();
        let next = rest.remove(index);
        let counted = Value(value.map_or(0, |Value(value)| value) + 1);
        match next.action {
            Action::Read(seen) => (!next.answered() || seen == value) && some_order_fits(&rest, value),
            Action::Write(written) => some_order_fits(&rest, Some(written)),
            Action::Increment(result) => {
                (!next.answered() || result == counted) && some_order_fits(&rest, Some(counted))
            }
        }
    })
}

proptest! {
    #[test]
    fn what_an_atomic_key_did_has_an_order(plans in plans(0..300, 4000), counter in any::<bool>()) {
        let history = play(&plans, counter);
        prop_assert_eq!(check(Initial::Absent, &history), Ok(()));
    }

    #[test]
    fn crowded_histories_have_an_order(plans in plans(0..60, 150), counter in any::<bool>()) {
        let history = play(&plans, counter);
        prop_assert_eq!(check(Initial::Absent, &history), Ok(()));
    }

    #[test]
    fn a_part_of_a_good_history_is_good(plans in plans(0..200, 2000), counter in any::<bool>(), cut in 0..2000_u64) {
        let history = play(&plans, counter);
        let part = segment(&history, Moment(cut), Moment(cut + 500));
        prop_assert_eq!(check(Initial::Any, &part), Ok(()));
    }

    #[test]
    fn the_verdict_is_that_of_trying_every_order(
        plans in plans(0..7, 120),
        counter in any::<bool>(),
        lies in proptest::collection::vec((any::<prop::sample::Index>(), 0..7_i64), 0..3),
    ) {
        let mut history = play(&plans, counter);
        for (index, lie) in lies {
            if history.is_empty() {
                break;
            }
            let operation = index.get_mut(&mut history);
            match &mut operation.action {
                Action::Read(seen) => *seen = (lie != 0).then_some(Value(lie)),
                Action::Increment(result) => *result = Value(lie.max(1)),
                Action::Write(_) => {}
            }
        }
        let fits = some_order_fits(&history, None);
        let found = check(Initial::Absent, &history);
        prop_assert_eq!(found.is_ok(), fits, "{:?}", found);
    }

    #[test]
    fn planted_faults_are_found(plans in plans(1..200, 3000), fault in 0..5_usize) {
        let end = plans.iter().map(|plan| plan.call + plan.before + plan.after).max().unwrap() + 10;
        let mut history = play(&plans, fault >= 3);
        let latest = history.iter().filter_map(Operation::value_after).max().map_or(0, |Value(value)| value);
        // What is without an answer could explain a value that goes back.
        history.retain(Operation::answered);
        let (old, new) = (latest + 1000, latest + 1001);
        match fault {
            // A stale read; a lost write; a value from nowhere; an increment counted twice; one that skipped.
            0 => history.extend([write(end, end + 1, old), write(end + 2, end + 3, new), read(end + 4, end + 5, old)]),
            1 => history.extend([write(end, end + 1, new), read(end + 2, end + 3, 0)]),
            2 => history.push(read(end, end + 1, new)),
            3 => history.extend([increment(end, end + 1, old), increment(end + 2, end + 3, old)]),
            _ => history.extend([increment(end, end + 1, old), increment(end + 2, end + 3, old + 2)]),
        }
        prop_assert!(check(Initial::Absent, &history).is_err());
    }
}

/// Several hundred keys with a hundred thousand operations are judged in seconds, as this build runs.
#[test]
fn large_histories_are_judged_quickly() {
    const KEYS: u64 = 300;
    const EACH: u64 = 340;
    let started = std::time::Instant::now();
    for key in 0..KEYS {
        // Eight clients at a time, one operation in forty without an answer.
        let plan = |number: u64| Plan {
            call: 1 + number * 10 + key % 7,
            before: (number * 37 + key) % 45,
            after: (number * 53 + key) % 45,
            read: (number * 31 + key) % 5 > 1,
            fate: match (number + key) % 80 {
                0 => Fate::Unanswered,
                1 => Fate::Never,
                _ => Fate::Answered,
            },
        };
        let plans: Vec<Plan> = (0..EACH).map(plan).collect();
        let history = play(&plans, key % 2 == 0);
        assert_eq!(check(Initial::Absent, &history), Ok(()));
    }
    let one: Vec<Plan> = (0..20_000)
        .map(|number| Plan {
            call: 1 + number * 10,
            before: number % 45,
            after: 40,
            read: number % 5 > 1,
            fate: Fate::Answered,
        })
        .collect();
    assert_eq!(check(Initial::Absent, &play(&one, false)), Ok(()));
    let took = started.elapsed();
    assert!(took.as_secs() < 20, "it took {took:?}");
}
