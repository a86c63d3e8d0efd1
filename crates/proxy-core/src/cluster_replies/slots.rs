//! CLUSTER SLOTS: an entry for each run of slots with the same owner and replicas.
//!
//! Some clients (redis-py) give a node the role in which they meet it first, and then send what is meant for
//! all primaries to those only. A proxy that owns slots and holds replicas of others' must therefore be met as
//! an owner first. Where there are such proxies, the reply begins with an entry of one slot for each of them,
//! in which it is the owner and no such proxy is named as a replica:
//!
//! ```text
//! 0-0          A
//! 8192-8192    B
//! 1-8191       A, replica B
//! 8193-16383   B, replica A
//! ```

use model::SlotRange;
use resp::{Protocol, encode};

use super::topology::{Member, Segment, Topology};

/// Appends the reply.
pub(super) fn write(topology: &Topology, protocol: Protocol, out: &mut Vec<u8>) {
    let entries = entries(topology);
    encode::array(out, entries.len());
    for (owner, segment) in &entries {
        encode::array(out, 3 + segment.replicas.len());
        encode::integer(out, i64::from(segment.range.first().number()));
        encode::integer(out, i64::from(segment.range.last().number()));
        for place in std::iter::once(owner).chain(&segment.replicas) {
            write_member(&topology.members[*place], protocol, out);
        }
    }
}

/// The entries in the order of the reply, each with its owner's place.
pub(super) fn entries(topology: &Topology) -> Vec<(usize, Segment)> {
    let places = 0..topology.members.len();
    let mut entries: Vec<(usize, Segment)> = places
        .flat_map(|owner| topology.segments(owner).into_iter().map(move |segment| (owner, segment)))
        .collect();
    entries.sort_by_key(|(_, segment)| segment.range.first());
    let mut both = vec![false; topology.members.len()];
    for replica in entries.iter().flat_map(|(_, segment)| &segment.replicas) {
        both[*replica] |= !topology.members[*replica].owned.is_empty();
    }
    introduce(entries, &both)
}

/// Puts the entries that introduce the members with both roles before the others, which lose those slots.
fn introduce(entries: Vec<(usize, Segment)>, both: &[bool]) -> Vec<(usize, Segment)> {
    let mut to_introduce = both.to_vec();
    let (mut introductions, mut rest) = (Vec::new(), Vec::with_capacity(entries.len()));
    for (owner, mut segment) in entries {
        if !std::mem::take(&mut to_introduce[owner]) {
            rest.push((owner, segment));
            continue;
        }
        let first = segment.range.first();
        let replicas = segment.replicas.iter().copied().filter(|replica| !both[*replica]).collect();
        introductions.push((owner, Segment { range: first.into(), replicas }));
        if let Some(left) = first.next().and_then(|next| SlotRange::new(next, segment.range.last())) {
            segment.range = left;
            rest.push((owner, segment));
        }
    }
    introductions.append(&mut rest);
    introductions
}

/// Address, id, and what else there is to know of where it listens, which is nothing.
fn write_member(member: &Member, protocol: Protocol, out: &mut Vec<u8>) {
    encode::array(out, 4);
    encode::bulk(out, member.address.host().as_bytes());
    encode::integer(out, i64::from(member.address.port()));
    encode::bulk(out, member.id.as_bytes());
    encode::map(out, protocol, 0);
}
