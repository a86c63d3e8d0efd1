//! Views pushed to a running proxy: the rules of epochs, and a thousand changes under load.

use std::time::Duration;

use anyhow::{Result, ensure};
use model::{PeerProxy, Slot, SlotAssignment, SlotRange, SlotRanges, SlotTag, View};
use testkit::load::{Load, LoadPlan};
use testkit::proxy::{ProxyOptions, ProxyProcess, sole_owner};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::tagged::store;

/// A proxy that nobody runs: the owner of what moved away.
const ELSEWHERE: &str = "127.0.0.1:7";
/// The last slot that always stays here.
const LAST_STAYING: u16 = 8000;

fn range(first: u16, last: u16) -> SlotRanges {
    let ends = Slot::new(first).zip(Slot::new(last));
    ends.and_then(|(first, last)| SlotRange::new(first, last)).into_iter().collect()
}

/// The view in which the slots after [`LAST_STAYING`] belong to another proxy.
fn half_gone(epoch: u64, redis: &RedisServer) -> Result<View> {
    let mut view = sole_owner(epoch, redis.address())?;
    let owned = |ranges| vec![SlotAssignment { ranges, tag: SlotTag::None }];
    view.local[0].slots = owned(range(0, LAST_STAYING));
    view.peers =
        vec![PeerProxy { address: ELSEWHERE.parse()?, slots: owned(range(LAST_STAYING + 1, 16383)) }];
    Ok(view)
}

#[test]
fn a_thousand_views_under_load() -> Result<()> {
    const VIEWS: u64 = 1000;
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let keys: Vec<String> = (0..200).map(|number| format!("key{number:03}")).collect();
    store(&mut proxy.connect()?, &keys, 50)?;
    let (staying, moving): (Vec<String>, Vec<String>) =
        keys.into_iter().partition(|key| Slot::of_key(key.as_bytes()).index() <= usize::from(LAST_STAYING));
    let start = |keys: Vec<String>| {
        let (address, reply_limit) = (proxy.address(), Duration::from_secs(5));
        Load::start(&LoadPlan { address, sessions: 3, depth: 30, keys, value_bytes: 50, reply_limit })
    };
    let (stays, moves) = (start(staying), start(moving));
    stays.wait_right(100, Duration::from_secs(10))?;
    for epoch in 2..2 + VIEWS {
        let gone = epoch % 2 == 0;
        proxy.set_view(&if gone {
            half_gone(epoch, &redis)?
        } else {
            sole_owner(epoch, redis.address())?
        })?;
    }
    // The last view has everything here.
    moves.wait_right(100, Duration::from_secs(10))?;
    let (stays, moves) = (stays.finish()?, moves.finish()?);
    println!("staying: {stays:?}\nmoving: {moves:?}");
    ensure!(stays.failed.is_empty(), "keys that stayed had errors: {:?}", stays.failed);
    ensure!(moves.failed.keys().eq(["MOVED"]), "MOVED was due and nothing else: {:?}", moves.failed);
    ensure!(proxy.umctl(&["GETEPOCH"])?.integer()? == i64::try_from(VIEWS + 1)?);
    Ok(())
}

#[test]
fn moved_names_slot_and_owner() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    proxy.set_view(&half_gone(2, &redis)?)?;
    let mut session = proxy.connect()?;
    for (line, expected) in [
        ("GET a", "-MOVED 15495 127.0.0.1:7\r\n"),
        ("SET {a}x 1", "-MOVED 15495 127.0.0.1:7\r\n"),
        ("MGET {a}x {a}y", "-MOVED 15495 127.0.0.1:7\r\n"),
        ("MGET a b", "-CROSSSLOT Keys in request don't hash to the same slot\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("GET b", "$-1\r\n"),
        ("SET b 1", "+OK\r\n"),
    ] {
        let reply = session.say(line)?;
        ensure!(reply.bytes() == expected.as_bytes(), "{line}: {reply:?}, not {expected:?}");
    }
    Ok(())
}

#[test]
fn epochs_and_errors() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let node = redis.address();
    let proxy = ProxyProcess::start(&ProxyOptions::default())?;
    let mut session = proxy.connect()?;
    // The command, how its reply begins, and the epoch afterwards.
    let cases: &[(&str, &str, i64)] = &[
        ("GET a", "-ERR_CLUSTER_NOT_FOUND", 0),
        ("UMCTL SETCLUSTER v2 5 NOFLAGS mydb NODE 1 0-16383", "+OK", 5),
        ("SET a 1", "+OK", 5),
        ("UMCTL SETCLUSTER v2 5 NOFLAGS mydb NODE 1 0-100", "-OLD_EPOCH", 5),
        ("UMCTL SETCLUSTER v2 4 NOFLAGS mydb NODE 1 0-100", "-OLD_EPOCH", 5),
        ("GET a", "$1", 5),
        ("UMCTL SETCLUSTER v2 9 NOFLAGS mydb 10.9.8.7:6379 1 0-16383", "-ERR_NOT_MY_META", 5),
        ("UMCTL SETCLUSTER v1 9 NOFLAGS mydb NODE 1 0-16383", "-", 5),
        ("UMCTL SETCLUSTER v2 9 NOFLAGS mydb NODE 2 0-16383", "-", 5),
        ("UMCTL SETCLUSTER v2 9 NOFLAGS mydb NODE 1 0-99999", "-", 5),
        ("UMCTL SETCLUSTER v2 9 NOFLAGS mydb NODE 1 0-9 PEER 127.0.0.1:7 1 9-10", "-", 5),
        ("UMCTL SETCLUSTER v2 junk NOFLAGS mydb NODE 1 0-9", "-", 5),
        ("UMCTL SETCLUSTER", "-", 5),
        ("UMCTL NOSUCH", "-", 5),
        ("UMCTL SETCLUSTER v2 3 FORCE mydb NODE 1 0-16383", "+OK", 3),
        ("UMCTL SETCLUSTER v2 6 NOFLAGS mydb NODE 1 0-16383 CONFIG compression_strategy disabled", "+OK", 6),
        ("GET a", "$1", 6),
    ];
    for (line, expected, epoch) in cases {
        let line = line.replace("NODE", &node.to_string());
        let reply = session.say(&line)?;
        ensure!(reply.bytes().starts_with(expected.as_bytes()), "{line}: {reply:?}, not {expected}");
        let now = session.say("UMCTL GETEPOCH")?.integer()?;
        ensure!(now == *epoch, "{line}: the epoch is {now}, not {epoch}");
    }
    let listed = session.say("UMCTL LISTCLUSTER")?;
    ensure!(listed.bytes() == b"*1\r\n$4\r\nmydb\r\n", "{listed:?}");
    Ok(())
}
