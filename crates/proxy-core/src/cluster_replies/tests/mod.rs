//! Views as tables: what CLUSTER says of them.

use std::num::NonZeroU16;

use model::{Address, ClusterName, NodeId, Role, SetCluster, SetRepl};
use resp::parse_value;

use super::*;
use crate::face::Face;
use crate::settings::NodesVersion;

/// The primary faces of two proxies, their replica faces, and the names that these tests have for them.
const NAMED: [(&str, &str); 4] =
    [("127.0.0.1:5299", "A"), ("127.0.0.1:7000", "B"), ("127.0.0.1:5699", "a"), ("127.0.0.1:7400", "b")];
/// Where the replica faces are.
const OFFSET: Option<NonZeroU16> = NonZeroU16::new(400);

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

/// Ids by the names of their faces.
fn named(text: &str) -> String {
    let cluster: ClusterName = "mydb".parse().unwrap();
    NAMED.iter().fold(text.to_owned(), |text, (address, name)| {
        let address: Address = address.parse().unwrap();
        let shard = format!("shard {name}");
        text.replace(NodeId::of(&cluster, &address).as_str(), name)
            .replace(NodeId::hex(&cluster, &address).as_str(), name)
            .replace(NodeId::shard_hex(&cluster, &address).as_str(), &shard)
    })
}

/// The replies of the proxy at 127.0.0.1:5299.
fn replies(view: &str, roles: &str, version: NodesVersion, offset: Option<NonZeroU16>) -> ClusterReplies {
    let view = SetCluster::parse(&words(view)).unwrap().view;
    let roles = SetRepl::parse(&words(roles)).ok();
    let me: Address = "127.0.0.1:5299".parse().unwrap();
    let mut settings = Settings::new(me.clone());
    settings.cluster_nodes_version = version;
    settings.replica_port_offset = offset;
    ClusterReplies::new(&view, roles.as_ref(), &me, &settings)
}

/// What one face says, in both protocols.
fn said(replies: &ClusterReplies, face: Face, which: Encoded) -> String {
    let said = |protocol| short(replies.at(face).encoded(which, protocol));
    assert_eq!(said(Protocol::Resp2), said(Protocol::Resp3));
    said(Protocol::Resp2)
}

/// A reply in short: maps and arrays alike.
fn short(reply: &[u8]) -> String {
    fn show(value: &resp::Value<'_>) -> String {
        use resp::Value;
        let list = |values: &[Value<'_>]| values.iter().map(show).collect::<Vec<_>>().join(" ");
        match value {
            Value::Integer(number) => number.to_string(),
            Value::Verbatim(text) => show(&Value::Bulk(text.strip_prefix(b"txt:").unwrap())),
            Value::Bulk(text) | Value::Simple(text) | Value::Error(text) => {
                named(&String::from_utf8_lossy(text))
            }
            Value::Array(values) => format!("[{}]", list(values)),
            Value::Map(pairs) => {
                let flat: Vec<String> =
                    pairs.iter().flat_map(|(key, value)| [show(key), show(value)]).collect();
                format!("[{}]", flat.join(" "))
            }
            other => format!("{other:?}"),
        }
    }
    let (value, len) = parse_value(reply).unwrap().unwrap();
    assert_eq!(len, reply.len());
    show(&value)
}

/// The session that the reference prints.
const FIRST: &str = "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-8000 PEER 127.0.0.1:7000 1 8001-16383";
/// Both proxies of a chunk: each owns half and has a replica of the other half.
const CHUNK: &str = "v2 7 NOFLAGS mydb 127.0.0.1:6379 1 0-8191 127.0.0.1:6380 REPLICA 1 8192-16383 \
                     PEER 127.0.0.1:7000 1 8192-16383 127.0.0.1:7000 REPLICA 1 0-8191";
/// The chunk after a failover: the other proxy owns all, this one only has replicas.
const FAILED_OVER: &str = "v2 8 NOFLAGS mydb 127.0.0.1:6379 REPLICA 1 0-8191 127.0.0.1:6380 REPLICA 1 8192-16383 \
                           PEER 127.0.0.1:7000 2 0-8191 8192-16383";
/// The chunk after this failover, as the other proxy has it.
const TOOK_OVER: &str = "v2 8 NOFLAGS mydb 127.0.0.1:6379 1 0-8191 127.0.0.1:6380 1 8192-16383 \
                         PEER 127.0.0.1:7000 REPLICA 1 0-16383";
/// Copies of two owners' slots, more of the other proxy's.
const TWO_OWNERS: &str = "v2 9 NOFLAGS mydb 127.0.0.1:6379 1 0-99 127.0.0.1:6380 REPLICA 1 0-49 127.0.0.1:6381 REPLICA 1 \
                          100-199 PEER 127.0.0.1:7000 1 100-16383";

#[test]
fn by_default_primaries_alone() {
    for (view, version, nodes, slots) in [
        (
            FIRST,
            NodesVersion::V1,
            "A 127.0.0.1:5299 myself,master - 0 0 1 connected 0-8000\n\
             B 127.0.0.1:7000 master - 0 0 1 connected 8001-16383\n",
            "[[0 8000 [127.0.0.1 5299 A []]] [8001 16383 [127.0.0.1 7000 B []]]]",
        ),
        (
            CHUNK,
            NodesVersion::V2,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 7 connected 0-8191\n\
             B 127.0.0.1:7000@5299 master - 0 0 7 connected 8192-16383\n",
            "[[0 8191 [127.0.0.1 5299 A []]] [8192 16383 [127.0.0.1 7000 B []]]]",
        ),
        (
            FAILED_OVER,
            NodesVersion::V2,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 8 connected\n\
             B 127.0.0.1:7000@5299 master - 0 0 8 connected 0-16383\n",
            "[[0 16383 [127.0.0.1 7000 B []]]]",
        ),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 3 5 7-9 100-200",
            NodesVersion::V1,
            "A 127.0.0.1:5299 myself,master - 0 0 3 connected 5 7-9 100-200\n",
            "[[5 5 [127.0.0.1 5299 A []]] [7 9 [127.0.0.1 5299 A []]] [100 200 [127.0.0.1 5299 A []]]]",
        ),
        ("v2 3 NOFLAGS mydb", NodesVersion::V1, "A 127.0.0.1:5299 myself,master - 0 0 3 connected\n", "[]"),
    ] {
        let replies = replies(view, "", version, None);
        for face in [Face::Primary, Face::Replica] {
            assert_eq!(said(&replies, face, Encoded::Nodes), nodes);
            assert_eq!(said(&replies, face, Encoded::Slots), slots);
        }
        assert_eq!(replies.copied(), None);
    }
}

#[test]
fn a_replica_face_is_a_node() {
    for (view, face, nodes, slots, copied) in [
        (
            CHUNK,
            Face::Primary,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 7 connected 0-8191\n\
             B 127.0.0.1:7000@5299 master - 0 0 7 connected 8192-16383\n\
             a 127.0.0.1:5699@5299 slave B 0 0 7 connected\n\
             b 127.0.0.1:7400@5299 slave A 0 0 7 connected\n",
            "[[0 8191 [127.0.0.1 5299 A []] [127.0.0.1 7400 b []]] \
             [8192 16383 [127.0.0.1 7000 B []] [127.0.0.1 5699 a []]]]",
            "8192-16383",
        ),
        (
            CHUNK,
            Face::Replica,
            "A 127.0.0.1:5299@5299 master - 0 0 7 connected 0-8191\n\
             B 127.0.0.1:7000@5299 master - 0 0 7 connected 8192-16383\n\
             a 127.0.0.1:5699@5299 myself,slave B 0 0 7 connected\n\
             b 127.0.0.1:7400@5299 slave A 0 0 7 connected\n",
            "[[0 8191 [127.0.0.1 5299 A []] [127.0.0.1 7400 b []]] \
             [8192 16383 [127.0.0.1 7000 B []] [127.0.0.1 5699 a []]]]",
            "8192-16383",
        ),
        (
            FAILED_OVER,
            Face::Replica,
            "A 127.0.0.1:5299@5299 master - 0 0 8 connected\n\
             B 127.0.0.1:7000@5299 master - 0 0 8 connected 0-16383\n\
             a 127.0.0.1:5699@5299 myself,slave B 0 0 8 connected\n",
            "[[0 16383 [127.0.0.1 7000 B []] [127.0.0.1 5699 a []]]]",
            "0-16383",
        ),
        // Shown to nobody but who asks there.
        (
            TOOK_OVER,
            Face::Replica,
            "A 127.0.0.1:5299@5299 master - 0 0 8 connected 0-16383\n\
             B 127.0.0.1:7000@5299 master - 0 0 8 connected\n\
             b 127.0.0.1:7400@5299 slave A 0 0 8 connected\n\
             a 127.0.0.1:5699@5299 myself,master - 0 0 8 connected\n",
            "[[0 16383 [127.0.0.1 5299 A []] [127.0.0.1 7400 b []]]]",
            "",
        ),
        // The first copies are of its own proxy's slots, and there are more of the other's.
        (
            TWO_OWNERS,
            Face::Primary,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 9 connected 0-99\n\
             B 127.0.0.1:7000@5299 master - 0 0 9 connected 100-16383\n\
             a 127.0.0.1:5699@5299 slave B 0 0 9 connected\n",
            "[[0 99 [127.0.0.1 5299 A []]] [100 16383 [127.0.0.1 7000 B []] [127.0.0.1 5699 a []]]]",
            "100-199",
        ),
        // A replica of its own proxy's primary is one, too.
        (
            "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-99 127.0.0.1:6380 REPLICA 1 0-99",
            Face::Primary,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 1 connected 0-99\n\
             a 127.0.0.1:5699@5299 slave A 0 0 1 connected\n",
            "[[0 99 [127.0.0.1 5299 A []] [127.0.0.1 5699 a []]]]",
            "0-99",
        ),
        // Nobody owns what is copied.
        (
            "v2 1 NOFLAGS mydb 127.0.0.1:6379 0 PEER 127.0.0.1:7000 REPLICA 1 0-99",
            Face::Primary,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 1 connected\n\
             B 127.0.0.1:7000@5299 master - 0 0 1 connected\n",
            "[]",
            "",
        ),
        // An offset that leads to another proxy: two roles at one address there must not be.
        (
            "v2 1 NOFLAGS mydb 127.0.0.1:6380 REPLICA 1 0-99 PEER 127.0.0.1:5699 1 0-99",
            Face::Primary,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 1 connected\n\
             a 127.0.0.1:5699@5299 master - 0 0 1 connected 0-99\n",
            "[[0 99 [127.0.0.1 5699 a []]]]",
            "0-99",
        ),
    ] {
        let replies = replies(view, "", NodesVersion::V2, OFFSET);
        assert_eq!(said(&replies, face, Encoded::Nodes), nodes, "{view}");
        assert_eq!(said(&replies, face, Encoded::Slots), slots, "{view}");
        assert_eq!(replies.copied().unwrap().to_string(), copied, "{view}");
    }
}

#[test]
fn shards() {
    let node = |id: &str, port: u16, role: &str| {
        format!(
            "[id {id} port {port} ip 127.0.0.1 endpoint 127.0.0.1 role {role} replication-offset 0 health online]"
        )
    };
    let primary = |id: &str, port: u16| node(id, port, "master");
    let (a, b) = (primary("A", 5299), primary("B", 7000));
    let (a_copy, b_copy) = (node("a", 5699, "replica"), node("b", 7400, "replica"));
    for (view, offset, face, expected) in [
        (
            FIRST,
            OFFSET,
            Face::Primary,
            format!("[[slots [0 8000] nodes [{a}]] [slots [8001 16383] nodes [{b}]]]"),
        ),
        (
            CHUNK,
            None,
            Face::Primary,
            format!("[[slots [0 8191] nodes [{a}]] [slots [8192 16383] nodes [{b}]]]"),
        ),
        (
            CHUNK,
            OFFSET,
            Face::Replica,
            format!("[[slots [0 8191] nodes [{a} {b_copy}]] [slots [8192 16383] nodes [{b} {a_copy}]]]"),
        ),
        (
            FAILED_OVER,
            OFFSET,
            Face::Primary,
            format!("[[slots [] nodes [{a}]] [slots [0 16383] nodes [{b} {a_copy}]]]"),
        ),
        (
            TOOK_OVER,
            OFFSET,
            Face::Replica,
            format!(
                "[[slots [0 16383] nodes [{a} {b_copy}]] [slots [] nodes [{b}]] [slots [] nodes [{}]]]",
                primary("a", 5699)
            ),
        ),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 2 0-9 20 PEER 127.0.0.1:7000 REPLICA 1 2-3",
            OFFSET,
            Face::Primary,
            format!("[[slots [0 9 20 20] nodes [{a} {b_copy}]] [slots [] nodes [{b}]]]"),
        ),
    ] {
        let replies = replies(view, "", NodesVersion::V2, offset);
        assert_eq!(said(&replies, face, Encoded::Shards), expected, "{view}");
    }
}

#[test]
fn replicas_come_from_roles_too() {
    let untagged =
        "v2 7 NOFLAGS mydb 127.0.0.1:6379 1 0-8191 127.0.0.1:6380 0 PEER 127.0.0.1:7000 1 8192-16383";
    let roles = "7 NOFLAGS master mydb 127.0.0.1:6379 1 127.0.0.1:7002 127.0.0.1:7000 \
                 replica mydb 127.0.0.1:6380 1 127.0.0.1:7001 127.0.0.1:7000";
    for offset in [None, OFFSET] {
        let from_roles = replies(untagged, roles, NodesVersion::V2, offset);
        let from_tags = replies(CHUNK, "", NodesVersion::V2, offset);
        for which in [Encoded::Slots, Encoded::Shards, Encoded::Nodes, Encoded::Info] {
            for face in [Face::Primary, Face::Replica] {
                assert_eq!(said(&from_roles, face, which), said(&from_tags, face, which));
            }
        }
        assert_eq!(from_roles.copied(), from_tags.copied());
    }
}

#[test]
fn info_is_ok_only_if_all_slots_are_owned() {
    for (view, state, assigned, known, size) in [
        (FIRST, "ok", 16384, 2, 2),
        (CHUNK, "ok", 16384, 4, 2),
        (FAILED_OVER, "ok", 16384, 3, 1),
        ("v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-16382", "fail", 16383, 1, 1),
        // A replica does not own, nor does the importing end.
        (
            "v2 1 NOFLAGS mydb 127.0.0.1:6379 1 0-16382 PEER 127.0.0.1:7000 REPLICA 1 16383",
            "fail",
            16383,
            2,
            1,
        ),
    ] {
        let replies = replies(view, "", NodesVersion::V2, OFFSET);
        let info = said(&replies, Face::Primary, Encoded::Info);
        for line in [
            format!("cluster_state:{state}\r\n"),
            format!("cluster_slots_assigned:{assigned}\r\n"),
            format!("cluster_known_nodes:{known}\r\n"),
            format!("cluster_size:{size}\r\n"),
        ] {
            assert!(info.contains(&line), "{line} {info}");
        }
        assert_eq!(replies.at(Face::Primary).is_complete(), state == "ok");
    }
}

#[test]
fn replicas_and_failure_reports_by_id() {
    let cluster: ClusterName = "mydb".parse().unwrap();
    for (view, asked, expected) in [
        (FIRST, "A", "[]"),
        (CHUNK, "A", "[b 127.0.0.1:7400@5299 slave A 0 0 7 connected]"),
        (CHUNK, "B", "[a 127.0.0.1:5699@5299 slave B 0 0 7 connected]"),
        (CHUNK, "a", "ERR The specified node is not a master"),
        (FAILED_OVER, "B", "[a 127.0.0.1:5699@5299 slave B 0 0 8 connected]"),
        (FAILED_OVER, "A", "[]"),
        (FAILED_OVER, "b", "ERR Unknown node b"),
        (FIRST, "x", "ERR Unknown node x"),
    ] {
        let replies = replies(view, "", NodesVersion::V2, OFFSET);
        let address = NAMED
            .iter()
            .find(|(_, name)| *name == asked)
            .map(|(address, _)| address.parse::<Address>().unwrap());
        let id =
            address.map_or_else(|| asked.to_owned(), |address| NodeId::hex(&cluster, &address).to_string());
        let mut out = Vec::new();
        replies.at(Face::Primary).write_replicas(id.as_bytes(), &mut out);
        assert_eq!(short(&out), expected);
        out.clear();
        replies.at(Face::Primary).write_failure_reports(id.as_bytes(), &mut out);
        assert_eq!(short(&out), if expected.contains("Unknown") { expected } else { "0" });
    }
}

#[test]
fn identity_and_role() {
    for (view, face, id, shard, role, role_reply) in [
        (FIRST, Face::Primary, "A", "A", Role::Primary, "[master 0 []]"),
        (CHUNK, Face::Primary, "A", "A", Role::Primary, "[master 0 [[127.0.0.1 7400 0]]]"),
        (CHUNK, Face::Replica, "a", "B", Role::Replica, "[slave 127.0.0.1 7000 connected 0]"),
        (FAILED_OVER, Face::Primary, "A", "A", Role::Primary, "[master 0 []]"),
        (FAILED_OVER, Face::Replica, "a", "B", Role::Replica, "[slave 127.0.0.1 7000 connected 0]"),
        (TOOK_OVER, Face::Replica, "a", "a", Role::Primary, "[master 0 []]"),
    ] {
        let replies = replies(view, "", NodesVersion::V2, OFFSET);
        assert_eq!(said(&replies, face, Encoded::MyId), id);
        assert_eq!(said(&replies, face, Encoded::MyShardId), format!("shard {shard}"));
        assert_eq!(said(&replies, face, Encoded::Links), "[]");
        let replies = replies.at(face);
        assert_eq!(replies.role(), role);
        let mut out = Vec::new();
        replies.write_role(&mut out);
        assert_eq!(short(&out), role_reply);
    }
}

mod legal;
