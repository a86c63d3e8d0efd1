//! CLUSTER SLOTS: an entry for each run of slots with the same owner, in the order of slots.

use model::SlotRange;
use resp::{Protocol, encode};

use super::topology::{Member, Topology};

/// Appends the reply.
pub(super) fn write(topology: &Topology, protocol: Protocol, out: &mut Vec<u8>) {
    let mut entries: Vec<(SlotRange, usize, &[usize])> = topology
        .primaries()
        .flat_map(|(place, slots, replicas)| slots.iter().map(move |range| (range, place, replicas)))
        .collect();
    entries.sort_by_key(|(range, _, _)| range.first());
    encode::array(out, entries.len());
    for (range, owner, replicas) in entries {
        encode::array(out, 3 + replicas.len());
        encode::integer(out, i64::from(range.first().number()));
        encode::integer(out, i64::from(range.last().number()));
        for place in std::iter::once(&owner).chain(replicas) {
            write_member(&topology.members[*place], protocol, out);
        }
    }
}

/// Address, id, and what else there is to know of where it listens, which is nothing.
fn write_member(member: &Member, protocol: Protocol, out: &mut Vec<u8>) {
    encode::array(out, 4);
    encode::bulk(out, member.address.host().as_bytes());
    encode::integer(out, i64::from(member.address.port()));
    encode::bulk(out, member.id.as_bytes());
    encode::map(out, protocol, 0);
}
