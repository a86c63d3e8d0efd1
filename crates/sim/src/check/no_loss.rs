//! What a client was acknowledged and the named replica confirmed is not lost by a failover; and nothing that was
//! acknowledged is lost by a handover.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, DefaultHasher};

use control_core::{Chunk, Command, Half, State};
use model::Address;

use super::writes::Writes;
use crate::clock::TrueUs;
use crate::node::Node;
use crate::violation::{Invariant, Violation};

/// A command was carried out: where it made a replica the primary, that must have everything.
pub(crate) fn promoted(
    command: &Command,
    (before, after): (&State, &State),
    nodes: &[Node],
    writes: &Writes,
    now: TrueUs,
) -> Option<Violation> {
    let is_handover = matches!(command, Command::FailOverShard { .. }) && {
        let chunks = before.clusters.values().flat_map(|cluster| &cluster.chunks);
        let mut shards = chunks.flat_map(|chunk| Half::BOTH.map(|half| (chunk, half)));
        shards.any(|(chunk, half)| {
            let is_it =
                matches!(command, Command::FailOverShard { primary, .. } if primary == chunk.primary(half));
            is_it && chunk.shard(half).fence.is_some_and(|fence| fence.reason.is_handover())
        })
    };
    let chunks = |state: &State| -> Vec<Chunk> {
        state.clusters.values().flat_map(|cluster| cluster.chunks.iter().cloned()).collect()
    };
    let (old, new) = (chunks(before), chunks(after));
    for (place, (old, new)) in old.iter().zip(&new).enumerate() {
        for (number, half) in Half::BOTH.into_iter().enumerate() {
            if old.primary(half) == new.primary(half) || old.primary(half) != new.replica(half) {
                continue;
            }
            let find = |address: &Address| nodes.iter().find(|node| node.address == *address);
            let (stopped, promoted) = (find(old.primary(half))?, find(new.primary(half))?);
            let lost = missing(2 * place + number, promoted, writes, is_handover.then_some(stopped));
            if lost > 0 {
                let what = format!(
                    "{} is promoted (handover: {is_handover}) and lacks {lost} writes",
                    promoted.address
                );
                return Some(Violation { invariant: Invariant::NoLoss, at: now, what });
            }
        }
    }
    None
}

/// The primary of a shard at the end of the world.
pub(crate) fn at_the_end(shard: usize, primary: &Node, writes: &Writes, now: TrueUs) -> Option<Violation> {
    let lost = missing(shard, primary, writes, None);
    let what = || format!("shard {shard}: {} lacks {lost} writes in the end", primary.address);
    (lost > 0).then(|| Violation { invariant: Invariant::NoLoss, at: now, what: what() })
}

/// The writes that a node has.
fn held(node: &Node) -> HashSet<u64, BuildHasherDefault<DefaultHasher>> {
    node.log.iter().copied().flatten().collect()
}

/// How many writes a node lacks that it must have: all that the one before it has, in a handover; else what was replicated.
fn missing(shard: usize, node: &Node, writes: &Writes, handed_over_by: Option<&Node>) -> usize {
    let (has, before) = (held(node), handed_over_by.map(held));
    let counts = |(write, is_replicated): &(u64, bool)| {
        *is_replicated || before.as_ref().is_some_and(|before| before.contains(write))
    };
    writes.of(shard).filter(counts).filter(|(write, _)| !has.contains(write)).count()
}
