//! Random views: what the replies show is a topology that a real Redis Cluster could give, and all of them, of all
//! proxies, show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use model::{Address, LocalNode, PeerProxy, SLOT_COUNT, Slot, SlotAssignment, SlotRanges, SlotTag, View};
use proptest::prelude::*;
use resp::{Protocol, Value, parse_value};

use super::super::*;
use crate::face::Face;

const PROXIES: [&str; 4] = ["10.0.0.1:5299", "10.0.0.2:5299", "10.0.0.3:5299", "10.0.0.3:5300"];
const OFFSET: u16 = 400;

/// What clients learn of one node: by CLUSTER NODES, or by SLOTS or SHARDS as far as they tell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    address: String,
    /// A replica's primary, by id.
    primary: Option<String>,
    slots: BTreeSet<u16>,
}

type Nodes = BTreeMap<String, Node>;

/// For each stretch of slots: its length, its owner (4 is nobody), and who has copies.
fn stretches() -> impl Strategy<Value = Vec<(usize, usize, [bool; 4])>> {
    proptest::collection::vec((1_usize..4000, 0_usize..5, any::<[bool; 4]>()), 1..12)
}

/// The view that each proxy has of one such cluster.
fn views(stretches: &[(usize, usize, [bool; 4])]) -> Vec<View> {
    let mut owned = vec![Vec::new(); PROXIES.len()];
    let mut copied = vec![Vec::new(); PROXIES.len()];
    let mut next = 0;
    for (len, owner, holders) in stretches {
        for slot in
            (next..(next + len).min(SLOT_COUNT)).filter_map(|slot| Slot::new(u16::try_from(slot).ok()?))
        {
            owned
                .iter_mut()
                .enumerate()
                .filter(|(place, _)| place == owner)
                .for_each(|(_, owned)| owned.push(slot));
            copied
                .iter_mut()
                .zip(holders)
                .filter(|(_, holds)| **holds)
                .for_each(|(copied, _)| copied.push(slot));
        }
        next += len;
    }
    let assigned = |slots: &[Slot], tag: SlotTag| {
        let ranges: SlotRanges = slots.iter().copied().collect();
        (!ranges.is_empty()).then_some(SlotAssignment { ranges, tag })
    };
    let own = |place: usize| assigned(&owned[place], SlotTag::None);
    let copies = |place: usize| assigned(&copied[place], SlotTag::Replica);
    let view = |me: usize| {
        let mut view = View::empty(model::Epoch(1), "mydb".parse().unwrap());
        let nodes = [("10.9.9.9:1", own(me)), ("10.9.9.9:2", copies(me))];
        view.local = nodes
            .map(|(node, slots)| LocalNode {
                address: node.parse().unwrap(),
                slots: slots.into_iter().collect(),
            })
            .into();
        let others = (0..PROXIES.len()).filter(|other| *other != me);
        view.peers = others
            .map(|other| PeerProxy {
                address: PROXIES[other].parse().unwrap(),
                slots: own(other).into_iter().chain(copies(other)).collect(),
            })
            .collect();
        view
    };
    (0..PROXIES.len()).map(view).collect()
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Integer(number) => number.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

fn elements<'a>(value: &'a Value<'a>) -> &'a [Value<'a>] {
    match value {
        Value::Array(elements) => elements,
        other => panic!("{other:?} is no array"),
    }
}

fn slots_of(bounds: &[Value<'_>]) -> impl Iterator<Item = u16> {
    let bounds: Vec<u16> = bounds.iter().map(|bound| text(bound).parse().unwrap()).collect();
    bounds.chunks(2).flat_map(|pair| pair[0]..=pair[1]).collect::<Vec<_>>().into_iter()
}

/// CLUSTER NODES, and which of them is the one that was asked.
fn by_nodes(replies: &FaceReplies) -> (Nodes, String) {
    let reply = parse_value(replies.encoded(Encoded::Nodes, Protocol::Resp2)).unwrap().unwrap().0;
    let (mut nodes, mut asked) = (Nodes::new(), Vec::new());
    for line in text(&reply).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, address, flags, primary, ..] = words[..] else { panic!("{line}") };
        assert!(id.len() == 40 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{line}");
        let mut slots = BTreeSet::new();
        for range in words[8..].iter().copied() {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            slots.extend(first.parse::<u16>().unwrap()..=last.parse().unwrap());
        }
        if flags.starts_with("myself,") {
            asked.push(id.to_owned());
        }
        let is_replica = flags.ends_with("slave");
        assert_eq!(!is_replica, flags.ends_with("master"), "{line}");
        assert_eq!(!is_replica, primary == "-", "{line}");
        let node = Node {
            address: address.split('@').next().unwrap().to_owned(),
            primary: is_replica.then(|| primary.to_owned()),
            slots,
        };
        assert!(nodes.insert(id.to_owned(), node).is_none(), "twice: {line}");
    }
    let [asked] = asked.as_slice() else { panic!("{asked:?} say that they are themselves") };
    (nodes, asked.clone())
}

/// What CLUSTER SHARDS says.
fn by_shards(replies: &FaceReplies) -> Nodes {
    let reply = parse_value(replies.encoded(Encoded::Shards, Protocol::Resp2)).unwrap().unwrap().0;
    let mut nodes = Nodes::new();
    for shard in elements(&reply) {
        let members = elements(&elements(shard)[3]);
        let primary = text(&elements(&members[0])[1]);
        for (place, member) in members.iter().map(elements).enumerate() {
            let role = if place == 0 { "master" } else { "replica" };
            assert_eq!(text(&member[9]), role);
            let node = Node {
                address: format!("{}:{}", text(&member[5]), text(&member[3])),
                primary: (place > 0).then(|| primary.clone()),
                slots: if place == 0 {
                    slots_of(elements(&elements(shard)[1])).collect()
                } else {
                    BTreeSet::new()
                },
            };
            assert!(nodes.insert(text(&member[1]), node).is_none(), "{member:?} is in two shards");
        }
    }
    nodes
}

/// What CLUSTER SLOTS says. It has no node without slots, and of replicas those of primaries with slots.
fn by_slots(replies: &FaceReplies) -> Nodes {
    let reply = parse_value(replies.encoded(Encoded::Slots, Protocol::Resp2)).unwrap().unwrap().0;
    let mut nodes = Nodes::new();
    let mut next = 0;
    for entry in elements(&reply) {
        let entry = elements(entry);
        let slots: BTreeSet<u16> = slots_of(&entry[..2]).collect();
        assert!(slots.first().is_some_and(|first| *first >= next), "in the order of slots");
        next = slots.last().unwrap() + 1;
        let primary = text(&elements(&entry[2])[2]);
        for (place, member) in entry[2..].iter().map(elements).enumerate() {
            let id = text(&member[2]);
            let node = nodes.entry(id).or_insert_with(|| Node {
                address: format!("{}:{}", text(&member[0]), text(&member[1])),
                primary: (place > 0).then(|| primary.clone()),
                slots: BTreeSet::new(),
            });
            assert_eq!(node.primary, (place > 0).then(|| primary.clone()), "one role for each node");
            if place == 0 {
                node.slots.extend(&slots);
            }
        }
    }
    nodes
}

/// What CLUSTER REPLICAS says of each primary: the ids of its replicas.
fn check_replicas(replies: &FaceReplies, nodes: &Nodes) {
    for (id, node) in nodes {
        let mut out = Vec::new();
        replies.write_replicas(id.as_bytes(), &mut out);
        if node.primary.is_some() {
            assert!(out.starts_with(b"-ERR The specified node is not a master"), "{id}");
            continue;
        }
        let reply = parse_value(&out).unwrap().unwrap().0;
        let found: BTreeSet<String> =
            elements(&reply).iter().map(|line| text(line).split(' ').next().unwrap().to_owned()).collect();
        let expected = nodes.iter().filter(|(_, other)| other.primary.as_ref() == Some(id));
        let expected: BTreeSet<String> = expected.map(|(id, _)| id.clone()).collect();
        assert_eq!(found, expected);
    }
}

/// What one face shows, after it was checked that all its replies show it.
fn shown(replies: &FaceReplies) -> (Nodes, String) {
    let (nodes, asked) = by_nodes(replies);
    assert_eq!(by_shards(replies), nodes);
    let seen_in_slots = |node: &Node| match &node.primary {
        Some(primary) => !nodes[primary].slots.is_empty(),
        None => !node.slots.is_empty(),
    };
    let in_slots = nodes.iter().filter(|(_, node)| seen_in_slots(node));
    let in_slots: Nodes = in_slots.map(|(id, node)| (id.clone(), node.clone())).collect();
    assert_eq!(by_slots(replies), in_slots);
    check_replicas(replies, &nodes);
    let my_id = parse_value(replies.encoded(Encoded::MyId, Protocol::Resp2)).unwrap().unwrap().0;
    assert_eq!(text(&my_id), asked);
    assert_eq!(replies.role() == model::Role::Replica, nodes[&asked].primary.is_some());
    assert_eq!(replies.primary().map(ToString::to_string), {
        let primary = nodes[&asked].primary.as_ref();
        primary.map(|primary| nodes[primary].address.clone())
    });
    (nodes, asked)
}

/// No address has two roles, no slot two owners, no replica slots; each replica has a primary that is one.
fn check_legal(nodes: &Nodes) {
    let addresses: BTreeSet<&str> = nodes.values().map(|node| node.address.as_str()).collect();
    assert_eq!(addresses.len(), nodes.len(), "{nodes:?}");
    let owned: usize = nodes.values().map(|node| node.slots.len()).sum();
    let distinct: BTreeSet<u16> = nodes.values().flat_map(|node| node.slots.iter().copied()).collect();
    assert_eq!(owned, distinct.len());
    for node in nodes.values().filter(|node| node.primary.is_some()) {
        assert!(node.slots.is_empty());
        let primary = node.primary.as_ref().and_then(|primary| nodes.get(primary));
        assert!(primary.is_some_and(|primary| primary.primary.is_none()), "{node:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn every_proxy_shows_the_same_legal_cluster(stretches in stretches(), has_faces in any::<bool>()) {
        let views = views(&stretches);
        let mut first: Option<Nodes> = None;
        for (view, me) in views.iter().zip(PROXIES) {
            prop_assert!(view.check().is_ok());
            let me: Address = me.parse().unwrap();
            let mut settings = Settings::new(me.clone());
            settings.replica_port_offset = NonZeroU16::new(if has_faces { OFFSET } else { 0 });
            let replies = ClusterReplies::new(view, None, &me, &settings);
            let (nodes, asked) = shown(replies.at(Face::Primary));
            check_legal(&nodes);
            prop_assert_eq!(&nodes[&asked].address, &me.to_string());
            prop_assert_eq!(&nodes[&asked].slots.len(), &view.owned_locally().count());
            let (mut at_replica, asked) = shown(replies.at(Face::Replica));
            check_legal(&at_replica);
            if has_faces {
                let copied = replies.copied().unwrap();
                let primary = at_replica[&asked].primary.clone();
                prop_assert_eq!(primary.is_none(), copied.is_empty());
                let of_primary = |slot: Slot| at_replica[primary.as_ref().unwrap()].slots.contains(&slot.number());
                prop_assert!(copied.slots().all(of_primary));
                if primary.is_none() {
                    // As a node that the others have forgotten.
                    prop_assert!(at_replica.remove(&asked).unwrap().slots.is_empty());
                }
            }
            prop_assert_eq!(&at_replica, &nodes);
            prop_assert_eq!(first.get_or_insert_with(|| nodes.clone()), &nodes);
        }
    }
}
