//! CLUSTER SHARDS: each primary with its slots and its replicas. As in Redis, one without slots is a shard too.

use resp::{Protocol, encode};

use super::topology::{Member, Topology};

/// Appends the reply.
pub(super) fn write(topology: &Topology, protocol: Protocol, out: &mut Vec<u8>) {
    encode::array(out, topology.primaries().count());
    for (primary, slots, replicas) in topology.primaries() {
        encode::map(out, protocol, 2);
        encode::bulk(out, b"slots");
        encode::array(out, 2 * slots.ranges().len());
        for range in slots {
            encode::integer(out, i64::from(range.first().number()));
            encode::integer(out, i64::from(range.last().number()));
        }
        encode::bulk(out, b"nodes");
        encode::array(out, 1 + replicas.len());
        write_member(&topology.members[primary], "master", protocol, out);
        for replica in replicas {
            write_member(&topology.members[*replica], "replica", protocol, out);
        }
    }
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
