//! CLUSTER SHARDS: slots with the same owner and replicas, and those members.

use model::SlotRange;
use resp::{Protocol, encode};

use super::topology::{Member, Topology};

/// A shard: members by place, the owner first.
struct Shard {
    ranges: Vec<SlotRange>,
    members: Vec<usize>,
}

/// Appends the reply.
pub(super) fn write(topology: &Topology, protocol: Protocol, out: &mut Vec<u8>) {
    let shards = shards(topology);
    encode::array(out, shards.len());
    for shard in &shards {
        encode::map(out, protocol, 2);
        encode::bulk(out, b"slots");
        encode::array(out, 2 * shard.ranges.len());
        for range in &shard.ranges {
            encode::integer(out, i64::from(range.first().number()));
            encode::integer(out, i64::from(range.last().number()));
        }
        encode::bulk(out, b"nodes");
        encode::array(out, shard.members.len());
        for (position, place) in shard.members.iter().enumerate() {
            let role = if position == 0 { "master" } else { "replica" };
            write_member(&topology.members[*place], role, protocol, out);
        }
    }
}

fn shards(topology: &Topology) -> Vec<Shard> {
    let mut shards: Vec<Shard> = Vec::new();
    for owner in 0..topology.members.len() {
        let own_first = shards.len();
        for segment in topology.segments(owner) {
            let same = |shard: &&mut Shard| shard.members[1..] == segment.replicas;
            if let Some(shard) = shards[own_first..].iter_mut().find(same) {
                shard.ranges.push(segment.range);
                continue;
            }
            let members = std::iter::once(owner).chain(segment.replicas).collect();
            shards.push(Shard { ranges: vec![segment.range], members });
        }
        // As in Redis, a primary without slots is a shard too; a replica is listed with its primary.
        if topology.members[owner].owned.is_empty() && topology.primary_of(owner).is_none() {
            shards.push(Shard { ranges: Vec::new(), members: vec![owner] });
        }
    }
    shards
}

fn write_member(member: &Member, role: &str, protocol: Protocol, out: &mut Vec<u8>) {
    let host = member.address.host().as_bytes();
    encode::map(out, protocol, 7);
    encode::bulk(out, b"id");
    encode::bulk(out, member.id.as_bytes());
    encode::bulk(out, b"port");
    encode::integer(out, i64::from(member.address.port()));
    encode::bulk(out, b"ip");
    encode::bulk(out, host);
    encode::bulk(out, b"endpoint");
    encode::bulk(out, host);
    encode::bulk(out, b"role");
    encode::bulk(out, role.as_bytes());
    encode::bulk(out, b"replication-offset");
    encode::integer(out, 0);
    encode::bulk(out, b"health");
    encode::bulk(out, b"online");
}
