//! What a failover by asynchronous replication may cost, counted in the history of one key: acknowledged writes that
//! are gone, and reads that went back in time.
//!
//! Only what is certain counts: a write that nobody reads before the next one is never known to be lost. So the
//! counts are lower bounds, and the more readers there are, the nearer they come.

use std::collections::HashMap;

use crate::history::{Action, Moment, Operation, Value};

/// An acknowledged write that was gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The write or increment.
    pub write: Operation,
    /// The first operation that began after its reply and did not see it.
    pub witness: Operation,
}

/// What was found in the history of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Acknowledged writes that were overtaken by an older value and never seen again.
    pub lost: Vec<Loss>,
    /// Reads that found a value although a newer one was certainly there before they began.
    pub went_back: Vec<Operation>,
}

/// Counts the losses in the history of one key that did not exist at first.
#[must_use]
pub fn losses(operations: &[Operation]) -> Losses {
    let counter = operations.iter().any(|operation| matches!(operation.action, Action::Increment(_)));
    if counter { of_counter(operations) } else { of_register(operations) }
}

/// A write, and the instant at which it had certainly happened.
#[derive(Clone, Copy)]
struct Known {
    write: Operation,
    by: Moment,
}

/// The greatest of `keys` among what was known before an instant, for many instants.
struct Latest<K> {
    /// Sorted by the instant; each with the greatest key up to it.
    steps: Vec<(Moment, K)>,
}

impl<K: Ord + Copy> Latest<K> {
    fn new(mut steps: Vec<(Moment, K)>) -> Self {
        steps.sort_unstable();
        for index in 1..steps.len() {
            steps[index].1 = steps[index].1.max(steps[index - 1].1);
        }
        Self { steps }
    }

    fn before(&self, instant: Moment) -> Option<K> {
        let count = self.steps.partition_point(|(by, _)| *by < instant);
        count.checked_sub(1).map(|last| self.steps[last].1)
    }
}

fn of_register(operations: &[Operation]) -> Losses {
    let known = known_writes(operations);
    let latest = Latest::new(known.values().map(|known| (known.by, known.write.call)).collect());
    let last_seen = last_seen(operations);
    let mut found = Losses::default();
    let mut gone: HashMap<Value, Loss> = HashMap::new();
    for read in operations.iter().filter(|operation| operation.answered()) {
        let Action::Read(seen) = read.action else { continue };
        let Some(there_by) = seen.map_or(Some(Moment(0)), |value| known.get(&value).map(|known| known.by))
        else {
            // A value from nowhere is not for this count.
            continue;
        };
        // Was a write that began after the value was there complete before the read began?
        if latest.before(read.call).is_none_or(|call| call <= there_by) {
            continue;
        }
        found.went_back.push(*read);
        for (value, newer) in &known {
            let overtaken = newer.by < read.call && newer.write.call > there_by && newer.write.answered();
            let seen_again = last_seen.get(value).is_some_and(|&call| call > read.end_or_never());
            if overtaken && !seen_again {
                let loss = gone.entry(*value).or_insert(Loss { write: newer.write, witness: *read });
                if read.call < loss.witness.call {
                    loss.witness = *read;
                }
            }
        }
    }
    found.lost = gone.into_values().collect();
    in_order(found)
}

fn of_counter(operations: &[Operation]) -> Losses {
    let answered = || operations.iter().filter(|operation| operation.answered());
    let counted = |operation: &Operation| operation.value_after().map_or(0, |Value(value)| value);
    let latest =
        Latest::new(answered().map(|operation| (operation.end_or_never(), counted(operation))).collect());
    let last_call = answered().map(|operation| operation.call).max();
    let mut found = Losses::default();
    let mut gone: HashMap<(Moment, Value), Loss> = HashMap::new();
    for operation in answered() {
        let (found_there, is_read) = match operation.action {
            Action::Increment(Value(result)) => (result - 1, false),
            _ => (counted(operation), true),
        };
        if latest.before(operation.call).is_none_or(|value| value <= found_there) {
            continue;
        }
        if is_read {
            found.went_back.push(*operation);
        }
        // A read may have asked a lagging copy; an increment, or the end of the history, settles it.
        if is_read && Some(operation.call) != last_call {
            continue;
        }
        for write in answered().filter(|write| write.end_or_never() < operation.call) {
            if let Action::Increment(result) = write.action
                && result.0 > found_there
            {
                let loss = Loss { write: *write, witness: *operation };
                gone.entry((write.call, result)).or_insert(loss);
            }
        }
    }
    found.lost = gone.into_values().collect();
    in_order(found)
}

/// The writes that certainly happened, because they were answered or their value was read.
fn known_writes(operations: &[Operation]) -> HashMap<Value, Known> {
    let mut read_by: HashMap<Value, Moment> = HashMap::new();
    for operation in operations.iter().filter(|operation| operation.answered()) {
        if let Action::Read(Some(value)) = operation.action {
            let by = read_by.entry(value).or_insert(Moment::NEVER);
            *by = (*by).min(operation.end_or_never());
        }
    }
    let known = |write: &Operation| {
        let Action::Write(value) = write.action else { return None };
        let by = write.end_or_never().min(read_by.get(&value).copied().unwrap_or(Moment::NEVER));
        (by != Moment::NEVER).then_some((value, Known { write: *write, by }))
    };
    operations.iter().filter_map(known).collect()
}

/// When the last read was called that found each value.
fn last_seen(operations: &[Operation]) -> HashMap<Value, Moment> {
    let mut last: HashMap<Value, Moment> = HashMap::new();
    for operation in operations.iter().filter(|operation| operation.answered()) {
        if let Action::Read(Some(value)) = operation.action {
            let call = last.entry(value).or_insert(Moment(0));
            *call = (*call).max(operation.call);
        }
    }
    last
}

fn in_order(mut losses: Losses) -> Losses {
    losses.lost.sort_by_key(|loss| loss.write.call);
    losses.went_back.sort_by_key(|read| read.call);
    losses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{ClientId, End};

    /// An operation that took one nanosecond, from `call`; see [`losses`] for what counts.
    fn operation(call: u64, action: Action) -> Operation {
        let end = Some(End { at: Moment(call + 1), server: None });
        Operation { client: ClientId(0), call: Moment(call), end, action }
    }

    fn write(call: u64, value: i64) -> Operation {
        operation(call, Action::Write(Value(value)))
    }

    fn read(call: u64, seen: i64) -> Operation {
        operation(call, Action::Read((seen != 0).then_some(Value(seen))))
    }

    fn increment(call: u64, result: i64) -> Operation {
        operation(call, Action::Increment(Value(result)))
    }

    fn unanswered(operation: Operation) -> Operation {
        Operation { end: None, ..operation }
    }

    #[test]
    fn what_counts_as_lost_and_as_going_back() {
        // A history; the calls of lost writes; the calls of reads that went back.
        let cases: &[(&[Operation], &[u64], &[u64])] = &[
            (&[write(1, 1), read(3, 1), write(5, 2), read(7, 2)], &[], &[]),
            (&[write(1, 1), read(3, 0)], &[1], &[3]),
            (&[write(1, 1), write(3, 2), write(5, 3), read(7, 1), read(9, 1)], &[3, 5], &[7, 9]),
            // Seen again: the read was stale, and nothing is lost.
            (&[write(1, 1), write(3, 2), read(5, 1), read(7, 2)], &[], &[5]),
            // Without an answer it is no loss, but once it was read, what is older is a step back.
            (&[write(1, 1), unanswered(write(3, 2)), read(5, 1)], &[], &[]),
            (&[write(1, 1), unanswered(write(3, 2)), read(5, 2), read(7, 1)], &[], &[7]),
            // A write that took effect late explains the older value.
            (&[unanswered(write(1, 1)), write(3, 2), read(5, 1)], &[], &[]),
            (&[increment(1, 1), increment(3, 2), read(5, 2)], &[], &[]),
            (&[increment(1, 1), increment(3, 2), increment(5, 2)], &[3], &[]),
            (&[increment(1, 1), increment(3, 2), read(5, 1)], &[3], &[5]),
            (&[increment(1, 1), increment(3, 2), read(5, 1), read(7, 2)], &[], &[5]),
            (&[increment(1, 1), unanswered(increment(3, 0)), increment(5, 3)], &[], &[]),
        ];
        for (operations, lost, went_back) in cases {
            let found = losses(operations);
            let calls: Vec<u64> = found.lost.iter().map(|loss| loss.write.call.0).collect();
            assert_eq!(calls, *lost, "lost in {operations:?}");
            let calls: Vec<u64> = found.went_back.iter().map(|read| read.call.0).collect();
            assert_eq!(calls, *went_back, "went back in {operations:?}");
        }
    }
}
