//! What holds for every value: sets of slots against a plain table of slots, slots of keys against the
//! checksum bit by bit, and the wire forms against themselves.
#![allow(clippy::unwrap_used, reason = "a test stops where its own preparation fails")]

use model::{
    Address, ClusterConfig, ClusterName, CompressionStrategy, Epoch, LocalNode, MetaFlags, MigrationMeta,
    NodeRole, PeerProxy, ReplPeer, Role, SLOT_COUNT, SetCluster, SetRepl, Slot, SlotAssignment, SlotRange,
    SlotRanges, SlotTag, View, crc16,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn slot() -> impl Strategy<Value = Slot> {
    // The ends are where ranges go wrong, and slots close together are those that overlap and touch.
    let number = prop_oneof![0u16..40, 16360u16..16384, 0u16..16384];
    number.prop_map(|number| Slot::new(number).unwrap())
}

fn range() -> impl Strategy<Value = SlotRange> {
    (slot(), slot()).prop_map(|(a, b)| SlotRange::new(a.min(b), a.max(b)).unwrap())
}

fn short_range() -> impl Strategy<Value = SlotRange> {
    (slot(), 0u16..6).prop_map(|(first, more)| {
        let last = Slot::new(first.number() + more).unwrap_or(Slot::LAST);
        SlotRange::new(first, last).unwrap()
    })
}

fn ranges() -> impl Strategy<Value = Vec<SlotRange>> {
    vec(prop_oneof![4 => short_range(), 1 => range()], 0..12)
}

/// The plain table that `SlotRanges` is compared with.
fn table(ranges: &[SlotRange]) -> Vec<bool> {
    let mut table = vec![false; SLOT_COUNT];
    for range in ranges {
        table[range.first().index()..=range.last().index()].fill(true);
    }
    table
}

/// Checks that a set holds just the table's slots, in its one normal form.
fn check_set(set: &SlotRanges, table: &[bool]) {
    let held: Vec<bool> = (0..16384).map(|n| set.contains(Slot::new(n).unwrap())).collect();
    assert!(held == table, "{set}");
    assert_eq!(set.count(), table.iter().filter(|held| **held).count());
    assert!(
        set.ranges().windows(2).all(|pair| pair[0].last().index() + 1 < pair[1].first().index()),
        "{set}"
    );
    assert_eq!(&set.to_string().parse::<SlotRanges>().unwrap(), set);
    assert_eq!(&set.slots().collect::<SlotRanges>(), set);
}

fn both(left: &[bool], right: &[bool], keep: impl Fn(bool, bool) -> bool) -> Vec<bool> {
    left.iter().zip(right).map(|(a, b)| keep(*a, *b)).collect()
}

fn crc16_bit_by_bit(bytes: &[u8]) -> u16 {
    let mut crc = 0u16;
    for byte in bytes {
        for bit in (0..8).rev() {
            let carry = (crc >> 15) ^ u16::from(byte >> bit & 1);
            crc = (crc << 1) ^ (carry * 0x1021);
        }
    }
    crc
}

fn slot_as_specified(key: &[u8]) -> u16 {
    let tag = key.iter().position(|byte| *byte == b'{').and_then(|open| {
        let length = key[open + 1..].iter().position(|byte| *byte == b'}')?;
        (length > 0).then(|| &key[open + 1..open + 1 + length])
    });
    crc16_bit_by_bit(tag.unwrap_or(key)) % 16384
}

fn address() -> impl Strategy<Value = Address> {
    let host = select(vec!["127.0.0.1", "10.0.0.2", "redis-0.svc", "::1", "fe80::7"]);
    (host, 1u16..=65535).prop_map(|(host, port)| Address::new(host, port).unwrap())
}

fn cluster() -> impl Strategy<Value = ClusterName> {
    "[A-Za-z0-9@_-]{1,30}".prop_map(|name| name.parse().unwrap())
}

fn migration() -> impl Strategy<Value = MigrationMeta> {
    (any::<u64>(), address(), address(), address(), address()).prop_map(|(epoch, a, b, c, d)| MigrationMeta {
        epoch: Epoch(epoch),
        source_proxy: a,
        source_node: b,
        target_proxy: c,
        target_node: d,
    })
}

fn config() -> impl Strategy<Value = ClusterConfig> {
    use CompressionStrategy::{AllowAll, Disabled, SetGetOnly};
    let strategy = select(vec![Disabled, SetGetOnly, AllowAll]);
    (strategy, 1u64..=2_592_000, 1u64..=600_000).prop_map(|(compression_strategy, time, blocking)| {
        ClusterConfig { compression_strategy, max_migration_time_s: time, max_blocking_time_ms: blocking }
    })
}

/// Members with their slots. The slots are cut into disjoint pieces and dealt out, so that every member's
/// assignments suit each other and nothing has two owners, in whatever role.
fn members() -> impl Strategy<Value = Vec<(Address, Vec<SlotAssignment>)>> {
    let tag = prop_oneof![
        Just(SlotTag::None),
        Just(SlotTag::Replica),
        migration().prop_map(SlotTag::Migrating),
        migration().prop_map(SlotTag::Importing),
    ];
    let names = proptest::collection::hash_set(address(), 1..7);
    (names, vec((any::<proptest::sample::Index>(), tag, 1u16..900), 0..30)).prop_map(|(names, pieces)| {
        let mut members: Vec<_> =
            names.into_iter().map(|name| (name, Vec::<SlotAssignment>::new())).collect();
        let mut first = 0u16;
        for (member, tag, length) in pieces {
            let last = first + length - 1;
            let Some(end) = Slot::new(last) else { break };
            let piece: SlotRanges = SlotRange::new(Slot::new(first).unwrap(), end).unwrap().into();
            first = last + 1;
            let slots = &mut member.get_mut(&mut members).1;
            match slots.iter_mut().find(|held| held.tag == tag) {
                Some(held) => held.ranges = held.ranges.union(&piece),
                None => slots.push(SlotAssignment { ranges: piece, tag }),
            }
        }
        members
    })
}

fn view() -> impl Strategy<Value = View> {
    (any::<u64>(), cluster(), members(), any::<proptest::sample::Index>(), config()).prop_map(
        |(epoch, cluster, mut local, cut, config)| {
            let peers = local.split_off(cut.index(local.len() + 1));
            View {
                epoch: Epoch(epoch),
                cluster,
                local: local.into_iter().map(|(address, slots)| LocalNode { address, slots }).collect(),
                peers: peers.into_iter().map(|(address, slots)| PeerProxy { address, slots }).collect(),
                config,
            }
        },
    )
}

fn set_repl() -> impl Strategy<Value = SetRepl> {
    let peer = (address(), address()).prop_map(|(node, proxy)| ReplPeer { node, proxy });
    let role = (cluster(), any::<bool>(), vec(peer, 1..4));
    (any::<u64>(), any::<bool>(), proptest::collection::hash_map(address(), role, 0..5)).prop_map(
        |(epoch, force, roles)| {
            let roles = roles.into_iter().map(|(node, (cluster, primary, mut peers))| {
                peers.retain(|peer| peer.node != node);
                let role = if primary || peers.is_empty() { Role::Primary } else { Role::Replica };
                NodeRole { cluster, node, role, peers }
            });
            let flags = MetaFlags { force, ..MetaFlags::default() };
            // Only with FORCE are processes named.
            let named = (epoch % 3) * u64::from(force);
            let processes = (0..named).map(|number| format!("run-{number}").parse().unwrap()).collect();
            SetRepl { epoch: Epoch(epoch), flags, processes, roles: roles.collect() }
        },
    )
}

/// Arguments that are mostly the words of the commands, so that parsing gets far before it fails.
fn noisy_args() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let words = [
        "v2",
        "1",
        "2",
        "0",
        "NOFLAGS",
        "FORCE",
        "FORCE,COMPRESS",
        "mydb",
        "127.0.0.1:6379",
        "host:1",
        "0-10",
        "5",
        "11-20",
        "PEER",
        "CONFIG",
        "MIGRATING",
        "IMPORTING",
        "REPLICA",
        "master",
        "replica",
        "compression_strategy",
        "disabled",
        "H4sIAAAAAAAA/6tWUrJSUFAqSS0uUaoFAJ0z2mkOAAAA",
    ];
    let word = select(words.map(|word| word.as_bytes().to_vec()).to_vec());
    vec(prop_oneof![9 => word, 1 => vec(any::<u8>(), 0..12)], 0..24)
}

fn parse_cluster(args: &[String]) -> Result<SetCluster, model::MetaError> {
    SetCluster::parse(&args.iter().map(String::as_bytes).collect::<Vec<_>>())
}

fn parse_repl(args: &[String]) -> Result<SetRepl, model::MetaError> {
    SetRepl::parse(&args.iter().map(String::as_bytes).collect::<Vec<_>>())
}

proptest! {
    // Each case looks at every slot several times.
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn sets_of_slots(left in ranges(), right in ranges(), one in range()) {
        let (mut set, other): (SlotRanges, SlotRanges) = (left.clone().into(), right.clone().into());
        let (in_left, in_right) = (table(&left), table(&right));
        check_set(&set, &in_left);
        check_set(&set.union(&other), &both(&in_left, &in_right, |a, b| a || b));
        check_set(&set.difference(&other), &both(&in_left, &in_right, |a, b| a && !b));
        let common = both(&in_left, &in_right, |a, b| a && b);
        check_set(&set.intersection(&other), &common);
        prop_assert_eq!(set.intersects(&other), common.contains(&true));
        prop_assert_eq!(set.first_common(&other).map(Slot::index), common.iter().position(|both| *both));
        let disjoint = left.iter().map(|range| range.count()).sum::<usize>() == set.count();
        prop_assert_eq!(SlotRanges::from_disjoint(left.clone()).is_ok(), disjoint);
        set.insert(one);
        check_set(&set, &both(&in_left, &table(&[one]), |a, b| a || b));
    }
}

proptest! {
    #[test]
    fn slots_of_keys(key in vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'{'), 1 => Just(b'}')], 0..70)) {
        prop_assert_eq!(crc16(&key), crc16_bit_by_bit(&key));
        prop_assert_eq!(Slot::of_key(&key).number(), slot_as_specified(&key));
    }

    #[test]
    fn slots_of_plain_keys(key in vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(Slot::of_key(&key).number(), slot_as_specified(&key));
    }

    #[test]
    fn views_survive_the_wire(view in view(), force: bool, compress: bool, leased: bool) {
        view.check().unwrap();
        let mut command = SetCluster::new(view.clone(), force);
        command.flags.leased = leased;
        let parsed = parse_cluster(&command.to_args(compress)).unwrap();
        prop_assert_eq!(parsed.view, view);
        prop_assert_eq!(parsed.flags, MetaFlags { force, compress, leased });
        prop_assert!(parsed.ignored_config.is_empty());
    }

    #[test]
    fn roles_survive_the_wire(roles in set_repl(), compress: bool) {
        let parsed = parse_repl(&roles.to_args(compress)).unwrap();
        prop_assert_eq!(&parsed.roles, &roles.roles);
        prop_assert_eq!((parsed.epoch, parsed.flags.force), (roles.epoch, roles.flags.force));
    }

    #[test]
    fn whatever_is_accepted_is_well_formed(args in noisy_args(), lead in 0usize..=2) {
        // Half-way into a good command, so that the members are reached.
        let starts: [&[&str]; 3] = [&[], &["v2", "1", "NOFLAGS", "mydb"], &["v2", "1", "COMPRESS"]];
        let start = starts[lead].iter().map(|word| word.as_bytes().to_vec());
        let args: Vec<Vec<u8>> = start.chain(args).collect();
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        if let Ok(accepted) = SetCluster::parse(&args) {
            accepted.view.check().unwrap();
            prop_assert_eq!(parse_cluster(&accepted.to_args(false)).unwrap().view, accepted.view);
        }
        if let Ok(accepted) = SetRepl::parse(&args) {
            prop_assert_eq!(parse_repl(&accepted.to_args(false)).unwrap().roles, accepted.roles);
        }
    }
}
