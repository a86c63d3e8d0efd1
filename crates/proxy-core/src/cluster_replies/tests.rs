//! Views as tables: what CLUSTER says of them.

use model::{SetCluster, SetRepl};
use resp::parse_value;

use super::*;
use crate::settings::NodesVersion;

const A: &str = "mydb________________9f8fca2805923328____";
const B: &str = "mydb________________d458dd9b55cc9ad9____";

fn words(text: &str) -> Vec<&[u8]> {
    text.split(' ').map(str::as_bytes).collect()
}

/// The replies of the proxy at 127.0.0.1:5299.
fn replies(view: &str, roles: &str, version: NodesVersion) -> ClusterReplies {
    let view = SetCluster::parse(&words(view)).unwrap().view;
    let roles = SetRepl::parse(&words(roles)).ok();
    let me: Address = "127.0.0.1:5299".parse().unwrap();
    let mut settings = Settings::new(me.clone());
    settings.cluster_nodes_version = version;
    ClusterReplies::new(&view, roles.as_ref(), &me, &settings)
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
                String::from_utf8_lossy(text).replace(A, "A").replace(B, "B")
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
/// The same after a failover: the other proxy owns all, this one only has replicas.
const FAILED_OVER: &str = "v2 8 NOFLAGS mydb 127.0.0.1:6379 REPLICA 1 0-8191 127.0.0.1:6380 REPLICA 1 8192-16383 \
                           PEER 127.0.0.1:7000 2 0-8191 8192-16383";

#[test]
fn nodes() {
    for (view, version, expected) in [
        (
            FIRST,
            NodesVersion::V1,
            "A 127.0.0.1:5299 myself,master - 0 0 1 connected 0-8000\n\
             B 127.0.0.1:7000 master - 0 0 1 connected 8001-16383\n",
        ),
        (
            CHUNK,
            NodesVersion::V2,
            "A 127.0.0.1:5299@5299 myself,master - 0 0 7 connected 0-8191\n\
             B 127.0.0.1:7000@5299 master - 0 0 7 connected 8192-16383\n",
        ),
        (
            FAILED_OVER,
            NodesVersion::V2,
            "A 127.0.0.1:5299@5299 myself,slave B 0 0 8 connected\n\
             B 127.0.0.1:7000@5299 master - 0 0 8 connected 0-16383\n",
        ),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 3 5 7-9 100-200",
            NodesVersion::V1,
            "A 127.0.0.1:5299 myself,master - 0 0 3 connected 5 7-9 100-200\n",
        ),
    ] {
        let replies = replies(view, "", version);
        let nodes = |protocol| short(replies.encoded(Encoded::Nodes, protocol));
        assert_eq!(nodes(Protocol::Resp2), expected);
        assert_eq!(nodes(Protocol::Resp3), expected);
    }
}

#[test]
fn slots() {
    for (view, expected) in [
        (FIRST, "[[0 8000 [127.0.0.1 5299 A []]] [8001 16383 [127.0.0.1 7000 B []]]]"),
        (
            CHUNK,
            "[[0 0 [127.0.0.1 5299 A []]] [8192 8192 [127.0.0.1 7000 B []]] \
             [1 8191 [127.0.0.1 5299 A []] [127.0.0.1 7000 B []]] \
             [8193 16383 [127.0.0.1 7000 B []] [127.0.0.1 5299 A []]]]",
        ),
        (FAILED_OVER, "[[0 16383 [127.0.0.1 7000 B []] [127.0.0.1 5299 A []]]]"),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 1 0-9 PEER 127.0.0.1:7000 REPLICA 2 2-3 9",
            "[[0 1 [127.0.0.1 5299 A []]] [2 3 [127.0.0.1 5299 A []] [127.0.0.1 7000 B []]] \
             [4 8 [127.0.0.1 5299 A []]] [9 9 [127.0.0.1 5299 A []] [127.0.0.1 7000 B []]]]",
        ),
        ("v2 3 NOFLAGS mydb", "[]"),
    ] {
        let replies = replies(view, "", NodesVersion::V2);
        assert_eq!(short(replies.encoded(Encoded::Slots, Protocol::Resp2)), expected);
        assert_eq!(short(replies.encoded(Encoded::Slots, Protocol::Resp3)), expected);
    }
}

#[test]
fn shards() {
    let node = |id: &str, port: u16, role: &str| {
        format!(
            "[id {id} port {port} ip 127.0.0.1 endpoint 127.0.0.1 role {role} replication-offset 0 health online]"
        )
    };
    let (a, b) = (node("A", 5299, "master"), node("B", 7000, "master"));
    let (a_copy, b_copy) = (node("A", 5299, "replica"), node("B", 7000, "replica"));
    for (view, expected) in [
        (FIRST, format!("[[slots [0 8000] nodes [{a}]] [slots [8001 16383] nodes [{b}]]]")),
        (CHUNK, format!("[[slots [0 8191] nodes [{a} {b_copy}]] [slots [8192 16383] nodes [{b} {a_copy}]]]")),
        (FAILED_OVER, format!("[[slots [0 16383] nodes [{b} {a_copy}]]]")),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 2 0-9 20-29 PEER 127.0.0.1:7000 REPLICA 1 2-3",
            format!("[[slots [0 1 4 9 20 29] nodes [{a}]] [slots [2 3] nodes [{a} {b_copy}]]]"),
        ),
        (
            "v2 3 NOFLAGS mydb 127.0.0.1:6379 0 PEER 127.0.0.1:7000 1 0-9",
            format!("[[slots [] nodes [{a}]] [slots [0 9] nodes [{b}]]]"),
        ),
    ] {
        let replies = replies(view, "", NodesVersion::V2);
        assert_eq!(short(replies.encoded(Encoded::Shards, Protocol::Resp2)), expected);
        assert_eq!(short(replies.encoded(Encoded::Shards, Protocol::Resp3)), expected);
    }
}

#[test]
fn replicas_come_from_roles_too() {
    let untagged =
        "v2 7 NOFLAGS mydb 127.0.0.1:6379 1 0-8191 127.0.0.1:6380 0 PEER 127.0.0.1:7000 1 8192-16383";
    let roles = "7 NOFLAGS master mydb 127.0.0.1:6379 1 127.0.0.1:7002 127.0.0.1:7000 \
                 replica mydb 127.0.0.1:6380 1 127.0.0.1:7001 127.0.0.1:7000";
    let from_roles = replies(untagged, roles, NodesVersion::V2);
    let from_tags = replies(CHUNK, "", NodesVersion::V2);
    for which in [Encoded::Slots, Encoded::Shards, Encoded::Nodes, Encoded::Info] {
        assert_eq!(
            short(from_roles.encoded(which, Protocol::Resp2)),
            short(from_tags.encoded(which, Protocol::Resp2))
        );
    }
}

#[test]
fn info_is_ok_only_if_all_slots_are_owned() {
    for (view, state, assigned, known, size) in [
        (FIRST, "ok", 16384, 2, 2),
        (CHUNK, "ok", 16384, 2, 2),
        (FAILED_OVER, "ok", 16384, 2, 1),
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
        let replies = replies(view, "", NodesVersion::V2);
        let info = short(replies.encoded(Encoded::Info, Protocol::Resp2));
        for line in [
            format!("cluster_state:{state}\r\n"),
            format!("cluster_slots_assigned:{assigned}\r\n"),
            format!("cluster_known_nodes:{known}\r\n"),
            format!("cluster_size:{size}\r\n"),
        ] {
            assert!(info.contains(&line), "{line} {info}");
        }
        assert_eq!(replies.is_complete(), state == "ok");
    }
}

#[test]
fn replicas_and_failure_reports_by_id() {
    for (view, id, expected) in [
        (FIRST, A, "[]"),
        (CHUNK, A, "[B 127.0.0.1:7000@5299 slave A 0 0 7 connected]"),
        (CHUNK, B, "[A 127.0.0.1:5299@5299 myself,slave B 0 0 7 connected]"),
        (FAILED_OVER, B, "[A 127.0.0.1:5299@5299 myself,slave B 0 0 8 connected]"),
        (FAILED_OVER, A, "ERR The specified node is not a master"),
        (FIRST, "x", "ERR Unknown node x"),
    ] {
        let replies = replies(view, "", NodesVersion::V2);
        let mut out = Vec::new();
        replies.write_replicas(id.as_bytes(), &mut out);
        assert_eq!(short(&out), expected);
        out.clear();
        replies.write_failure_reports(id.as_bytes(), &mut out);
        assert_eq!(short(&out), if id == "x" { "ERR Unknown node x" } else { "0" });
    }
}

#[test]
fn identity_and_role() {
    for (view, shard, role, role_reply) in [
        (FIRST, "A", Role::Primary, "[master 0 []]"),
        (CHUNK, "A", Role::Primary, "[master 0 [[127.0.0.1 7000 0]]]"),
        (FAILED_OVER, "B", Role::Replica, "[slave 127.0.0.1 7000 connected 0]"),
    ] {
        let replies = replies(view, "", NodesVersion::V2);
        assert_eq!(short(replies.encoded(Encoded::MyId, Protocol::Resp2)), "A");
        assert_eq!(short(replies.encoded(Encoded::MyShardId, Protocol::Resp3)), shard);
        assert_eq!(short(replies.encoded(Encoded::Links, Protocol::Resp3)), "[]");
        assert_eq!(replies.role(), role);
        let mut out = Vec::new();
        replies.write_role(&mut out);
        assert_eq!(short(&out), role_reply);
    }
}

/// Slots of three proxies at random, against a slot by slot reading of the reply.
mod by_slot {
    use model::{LocalNode, PeerProxy, SLOT_COUNT, Slot, SlotAssignment, SlotRanges, SlotTag};
    use proptest::prelude::*;

    use super::*;

    const OTHERS: [&str; 2] = ["127.0.0.1:7000", "127.0.0.1:7001"];

    /// For each stretch of slots: its length, its owner (3 is nobody), and who has copies.
    fn stretches() -> impl Strategy<Value = Vec<(usize, usize, [bool; 3])>> {
        proptest::collection::vec((1_usize..2000, 0_usize..4, any::<[bool; 3]>()), 1..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn slots_say_what_the_view_says(stretches in stretches()) {
            let mut owners = vec![3; SLOT_COUNT];
            let mut copies = vec![[false; 3]; SLOT_COUNT];
            let mut next = 0;
            for (len, owner, holders) in stretches {
                for slot in next..(next + len).min(SLOT_COUNT) {
                    owners[slot] = owner;
                    // Nobody has a copy of its own slots, nor is there any of nobody's.
                    copies[slot] = std::array::from_fn(|proxy| holders[proxy] && owner != proxy && owner != 3);
                }
                next += len;
            }
            let slots = |wanted: &dyn Fn(usize) -> bool| -> SlotRanges {
                let numbers = (0..SLOT_COUNT).filter(|slot| wanted(*slot));
                numbers.map(|slot| Slot::new(u16::try_from(slot).unwrap()).unwrap()).collect()
            };
            let assignments = |proxy: usize| {
                let owned = SlotAssignment::owned(slots(&|slot| owners[slot] == proxy));
                let copied = SlotAssignment { ranges: slots(&|slot| copies[slot][proxy]), tag: SlotTag::Replica };
                [owned, copied].into_iter().filter(|slots| !slots.ranges.is_empty()).collect::<Vec<_>>()
            };
            let mut view = View::empty(model::Epoch(1), "mydb".parse().unwrap());
            let me: Address = "127.0.0.1:5299".parse().unwrap();
            view.local.push(LocalNode { address: "127.0.0.1:1".parse().unwrap(), slots: assignments(0) });
            for (place, address) in OTHERS.iter().enumerate() {
                view.peers.push(PeerProxy { address: address.parse().unwrap(), slots: assignments(place + 1) });
            }
            let topology = Topology::new(&view, None, &me);
            let mut found_owners = vec![3; SLOT_COUNT];
            let mut found_copies = vec![[false; 3]; SLOT_COUNT];
            let mut met = [None; 3];
            let mut introductions = 0;
            for (owner, segment) in slots::entries(&topology) {
                met[owner].get_or_insert(Role::Primary);
                for replica in &segment.replicas {
                    met[*replica].get_or_insert(Role::Replica);
                }
                for slot in segment.range.slots() {
                    prop_assert_eq!(found_owners[slot.index()], 3, "a slot is listed once");
                    found_owners[slot.index()] = owner;
                    for replica in &segment.replicas {
                        found_copies[slot.index()][*replica] = true;
                    }
                }
            }
            prop_assert_eq!(&found_owners, &owners);
            for slot in 0..SLOT_COUNT {
                // An introduction may leave out replicas of its one slot, and adds none.
                introductions += usize::from(found_copies[slot] != copies[slot]);
                for proxy in 0..3 {
                    prop_assert!(copies[slot][proxy] || !found_copies[slot][proxy]);
                }
            }
            prop_assert!(introductions <= 3);
            for (proxy, role) in met.iter().enumerate().filter(|(proxy, _)| owners.contains(proxy)) {
                prop_assert_eq!(*role, Some(Role::Primary), "{} is met as an owner first", proxy);
            }
        }
    }
}
