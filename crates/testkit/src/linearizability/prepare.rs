//! What can be said of a history before any order is tried: obvious faults, and what operations of unknown outcome
//! must have done.

use std::collections::HashMap;

use super::verdict::{Initial, Violation};
use crate::history::{Action, Moment, Operation, Value};

/// A history made ready for the search.
#[derive(Debug)]
pub(super) struct Prepared {
    /// What the key holds at first.
    pub initial: Option<Value>,
    /// Operations that must find their place, by the time of their call.
    pub steps: Vec<Step>,
    /// Whether the key is a counter.
    pub counter: bool,
    /// When increments of unknown outcome were called, in order. Any of them may happen or not.
    pub spare_increments: Vec<Moment>,
}

/// One operation that must find its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub call: Moment,
    /// Before this it must have happened.
    pub end: Moment,
    pub effect: Effect,
    pub operation: Operation,
}

/// What a step does to the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It finds this and changes nothing.
    Find(Option<Value>),
    /// It sets this; on a counter only where one less is there.
    Make(Value),
}

/// Finds the faults that need no search, and leaves out what cannot matter.
pub(super) fn prepare(initial: Initial, operations: &[Operation]) -> Result<Prepared, Violation> {
    let counter = kind(operations)?;
    let makers = makers(operations, counter)?;
    let first_reads = first_reads(operations);
    let initial = initial_value(initial, operations, &makers, counter);
    let mut steps = Vec::with_capacity(operations.len());
    let mut spare_increments = Vec::new();
    for operation in operations {
        match operation.action {
            Action::Read(seen) if operation.answered() => {
                let explained = seen == initial
                    || seen.is_some_and(|value| match makers.get(&value) {
                        Some(maker) => maker.call <= operation.end_or_never(),
                        // A value between two known ones can come from an increment without an answer.
                        None => counter,
                    });
                if !explained {
                    return Err(Violation::FromNowhere(Box::new(*operation)));
                }
                steps.push(step(operation, Effect::Find(seen), operation.end_or_never()));
            }
            Action::Write(value) => {
                // Whoever reads the value proves that the write happened before that read ended. A write without
                // an answer that nobody reads changes nothing that could be seen.
                let read = first_reads.get(&value).copied().unwrap_or(Moment::NEVER);
                let end = operation.end_or_never().min(read);
                if end != Moment::NEVER {
                    steps.push(step(operation, Effect::Make(value), end));
                }
            }
            Action::Increment(value) if operation.answered() => {
                let read = first_reads.get(&value).copied().unwrap_or(Moment::NEVER);
                let end = operation.end_or_never().min(read);
                steps.push(step(operation, Effect::Make(value), end));
            }
            Action::Increment(_) => spare_increments.push(operation.call),
            Action::Read(_) => {}
        }
    }
    steps.sort_by_key(|step| (step.call, step.end));
    spare_increments.sort_unstable();
    Ok(Prepared { initial, steps, counter, spare_increments })
}

fn step(operation: &Operation, effect: Effect, end: Moment) -> Step {
    Step { call: operation.call, end, effect, operation: *operation }
}

/// Whether the key is a counter.
fn kind(operations: &[Operation]) -> Result<bool, Violation> {
    let counter = operations.iter().any(|operation| matches!(operation.action, Action::Increment(_)));
    let register = operations.iter().any(|operation| matches!(operation.action, Action::Write(_)));
    if counter && register { Err(Violation::TwoKinds) } else { Ok(counter) }
}

/// The operation that made each value.
fn makers(operations: &[Operation], counter: bool) -> Result<HashMap<Value, &Operation>, Violation> {
    let mut makers: HashMap<Value, &Operation> = HashMap::new();
    for operation in operations {
        let made = match operation.action {
            Action::Write(value) => Some(value),
            Action::Increment(value) if counter && operation.answered() => Some(value),
            _ => None,
        };
        if let Some(value) = made
            && let Some(other) = makers.insert(value, operation)
        {
            return Err(Violation::MadeTwice(value, Box::new([*other, *operation])));
        }
    }
    Ok(makers)
}

/// When each value was first known to be there: the earliest end of a read that found it.
fn first_reads(operations: &[Operation]) -> HashMap<Value, Moment> {
    let mut first: HashMap<Value, Moment> = HashMap::new();
    for operation in operations.iter().filter(|operation| operation.answered()) {
        if let Action::Read(Some(value)) = operation.action {
            let at = first.entry(value).or_insert(Moment::NEVER);
            *at = (*at).min(operation.end_or_never());
        }
    }
    first
}

fn initial_value(
    initial: Initial,
    operations: &[Operation],
    makers: &HashMap<Value, &Operation>,
    counter: bool,
) -> Option<Value> {
    let answered = || operations.iter().filter(|operation| operation.answered());
    match initial {
        Initial::Absent => None,
        // The least that was seen: had it been less, increments of unknown outcome would have brought it there.
        Initial::Any if counter => answered()
            .filter_map(|operation| match operation.action {
                Action::Read(seen) => Some(seen),
                Action::Increment(Value(value)) => Some((value > 1).then_some(Value(value - 1))),
                Action::Write(_) => None,
            })
            .min()
            .flatten(),
        Initial::Any => answered()
            .filter_map(|operation| match operation.action {
                Action::Read(Some(value)) if !makers.contains_key(&value) => Some(value),
                _ => None,
            })
            .next(),
    }
}
