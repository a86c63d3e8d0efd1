//! The judgement of a run, from what clients saw, when faults began and ended, and who owned the shards: pure.
//!
//! A key is judged from the beginning of the run to its end, but for the times in which an asynchronous replica of
//! its shard was promoted: from the beginning of that fault until the cluster was whole again. There, acknowledged
//! writes that were lost are counted instead.

use std::net::SocketAddr;

use super::owners::two_primaries;
use super::workload::KeyHistory;
use crate::history::{Action, ClientId, Moment, Operation, segment};
use crate::linearizability::{Initial, Violation, check};
use crate::losses::losses;

/// A shard without any acknowledged write for this long counts its slots as unavailable.
pub const UNAVAILABLE_MS: u64 = 1000;
/// How much before and after a promotion that no fault explains nothing is judged.
const UNPROVOKED_MARGIN_NS: u64 = 5_000_000_000;

/// A fault as it came about.
#[derive(Clone, Debug)]
pub struct FaultWindow {
    /// When it began.
    pub at: Moment,
    /// When it was ended.
    pub ended: Moment,
    /// When the cluster was whole again; the end of the run when it never was.
    pub whole: Moment,
    /// The shards whose service it hit.
    pub hit: Vec<usize>,
    /// Whether it explains that a replica took over with what it had.
    pub explains_promotion: bool,
}

/// One owner of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    /// When the metadata first said so.
    pub since: Moment,
    /// The proxy.
    pub proxy: SocketAddr,
    /// Whether it took over with what it had, so that acknowledged writes may be lost.
    pub may_lose: bool,
}

/// A shard through the run.
#[derive(Clone, Debug)]
pub struct ShardRecord {
    /// How many slots it has.
    pub slots: usize,
    /// Its owners, the first one from the beginning on.
    pub owners: Vec<Ownership>,
}

/// What one fault cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Until a write that was called after the fault was acknowledged, on the slowest of the shards that it hit; by
    /// the new primary where an asynchronous replica was promoted. `None` when there was none.
    pub first_write_ms: Option<u64>,
    /// The longest time without an acknowledged write on one of them.
    pub silence_ms: u64,
    /// Slots of all shards that were silent for at least [`UNAVAILABLE_MS`].
    pub unavailable_slots: usize,
    /// Promotions while it lasted and until the cluster was whole, and how many of them might lose writes.
    pub promotions: usize,
    /// See `promotions`.
    pub lossy_promotions: usize,
    /// Acknowledged writes that were lost.
    pub lost: usize,
    /// Reads that went back in time.
    pub went_back: usize,
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant, in a few words.
    pub what: &'static str,
    /// What shows it.
    pub evidence: String,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// For each fault, in order.
    pub costs: Vec<Cost>,
    /// Everything that must never be.
    pub broken: Vec<Broken>,
    /// Promotions that might lose writes and that no fault explains: when, and of which shard.
    pub unprovoked: Vec<(Moment, usize)>,
    /// Parts of histories that were judged.
    pub parts: usize,
    /// Operations in them.
    pub judged: usize,
}

/// Judges a run that ended at `end`. Whether a shard takes writes is told by the clients before `outsiders`: later
/// ones may be cut off together with a primary.
#[must_use]
pub fn judge(
    keys: &[KeyHistory],
    (shards, outsiders): (&[ShardRecord], ClientId),
    faults: &[FaultWindow],
    end: Moment,
) -> Judgement {
    let mut judgement = Judgement { costs: vec![Cost::default(); faults.len()], ..Judgement::default() };
    for (number, shard) in shards.iter().enumerate() {
        let own: Vec<&KeyHistory> = keys.iter().filter(|history| history.key.shard == number).collect();
        let windows = promotions((number, shard), faults, &mut judgement);
        for history in &own {
            judge_key(history, &windows, end, &mut judgement);
            count_losses(history, &windows, faults, &mut judgement);
        }
        let writes: Vec<Operation> = own.iter().flat_map(|history| writes(&history.operations)).collect();
        let owners: Vec<SocketAddr> = shard.owners.iter().map(|owner| owner.proxy).collect();
        if let Some(found) = two_primaries(&owners, &writes) {
            let evidence = format!("shard {number}: {}; then {}", found.taken, found.late);
            judgement.broken.push(Broken { what: "two primaries took writes", evidence });
        }
        let far: Vec<Operation> = writes.into_iter().filter(|write| write.client < outsiders).collect();
        count_silence((number, shard), &far, faults, &mut judgement);
    }
    judgement
}

/// A time in which a promotion may have lost writes, and the fault that it belongs to.
struct LossyWindow {
    from: Moment,
    until: Moment,
    fault: Option<usize>,
}

fn promotions(
    (number, shard): (usize, &ShardRecord),
    faults: &[FaultWindow],
    judgement: &mut Judgement,
) -> Vec<LossyWindow> {
    let mut windows = Vec::new();
    for owner in shard.owners.iter().skip(1) {
        let fault = faults.iter().position(|fault| fault.at <= owner.since && owner.since <= fault.whole);
        match fault {
            Some(fault) => {
                judgement.costs[fault].promotions += 1;
                judgement.costs[fault].lossy_promotions += usize::from(owner.may_lose);
                if owner.may_lose && !faults[fault].explains_promotion {
                    judgement.unprovoked.push((owner.since, number));
                }
            }
            None if owner.may_lose => judgement.unprovoked.push((owner.since, number)),
            None => {}
        }
        if owner.may_lose {
            let (from, until) = match fault {
                Some(fault) => (faults[fault].at, faults[fault].whole),
                None => (
                    Moment(owner.since.0.saturating_sub(UNPROVOKED_MARGIN_NS)),
                    Moment(owner.since.0.saturating_add(UNPROVOKED_MARGIN_NS)),
                ),
            };
            windows.push(LossyWindow { from, until, fault });
        }
    }
    windows.sort_by_key(|window| window.from);
    windows
}

fn judge_key(history: &KeyHistory, windows: &[LossyWindow], end: Moment, judgement: &mut Judgement) {
    let mut from = Moment(0);
    let last = LossyWindow { from: Moment(end.0 + 1), until: end, fault: None };
    for window in windows.iter().chain([&last]) {
        if window.from > from {
            let part = segment(&history.operations, from, window.from);
            let initial = if from == Moment(0) { Initial::Absent } else { Initial::Any };
            judgement.parts += 1;
            judgement.judged += part.len();
            if let Err(violation) = check(initial, &part) {
                let what = match violation {
                    Violation::Undecided(_) => "a history could not be judged",
                    _ => "a key is not linearizable",
                };
                let evidence = format!("{} from {from} to {}: {violation}", history.key.name, window.from);
                judgement.broken.push(Broken { what, evidence });
            }
        }
        from = from.max(window.until);
    }
}

fn count_losses(
    history: &KeyHistory,
    windows: &[LossyWindow],
    faults: &[FaultWindow],
    judgement: &mut Judgement,
) {
    let found = losses(&history.operations);
    for loss in &found.lost {
        // Lost by a promotion between the write and the one who missed it.
        let mut causes = windows.iter().rev();
        let cause = causes.find(|window| window.from <= loss.witness.call && loss.write.call <= window.until);
        match cause {
            Some(window) => {
                if let Some(fault) = window.fault {
                    judgement.costs[fault].lost += 1;
                }
            }
            None => {
                let evidence = format!("{}: {}; then {}", history.key.name, loss.write, loss.witness);
                judgement
                    .broken
                    .push(Broken { what: "a write was lost although nothing was promoted", evidence });
            }
        }
    }
    for read in &found.went_back {
        let fault = faults.iter().rposition(|fault| fault.at <= read.call);
        if let Some(fault) = fault {
            judgement.costs[fault].went_back += 1;
        }
    }
}

fn writes(operations: &[Operation]) -> impl Iterator<Item = Operation> {
    let acknowledged = |operation: &&Operation| {
        operation.answered() && matches!(operation.action, Action::Write(_) | Action::Increment(_))
    };
    operations.iter().filter(acknowledged).copied()
}

fn count_silence(
    (number, shard): (usize, &ShardRecord),
    writes: &[Operation],
    faults: &[FaultWindow],
    judgement: &mut Judgement,
) {
    let mut ends: Vec<Moment> = writes.iter().map(Operation::end_or_never).collect();
    ends.sort_unstable();
    for (fault, cost) in faults.iter().zip(&mut judgement.costs) {
        let silence = longest_silence(&ends, fault.at, fault.whole);
        if silence >= UNAVAILABLE_MS {
            cost.unavailable_slots += shard.slots;
        }
        if !fault.hit.contains(&number) {
            continue;
        }
        cost.silence_ms = cost.silence_ms.max(silence);
        let within =
            |owner: &&Ownership| owner.may_lose && owner.since >= fault.at && owner.since <= fault.whole;
        let successor = shard.owners.iter().skip(1).find(within).map(|owner| owner.proxy);
        let by_successor =
            |write: &&Operation| successor.is_none() || write.end.and_then(|end| end.server) == successor;
        let called_after = writes.iter().filter(|write| write.call >= fault.at);
        let after = called_after.filter(by_successor).map(Operation::end_or_never).min();
        let first = after.map(|end| end.milliseconds_since(fault.at));
        let is_first_shard = fault.hit.first() == Some(&number);
        cost.first_write_ms = match (cost.first_write_ms, first) {
            (_, first) if is_first_shard => first,
            (Some(other), Some(first)) => Some(other.max(first)),
            _ => None,
        };
    }
}

/// The longest time between two of `ends`, looking only at what lies between `from` and `until`.
fn longest_silence(ends: &[Moment], from: Moment, until: Moment) -> u64 {
    let inside = ends.iter().copied().filter(|end| *end > from && *end < until);
    let mut last = from;
    let mut longest = 0;
    for end in inside.chain([until]) {
        longest = longest.max(end.milliseconds_since(last));
        last = end;
    }
    longest
}

#[cfg(test)]
mod tests;
