//! A primary that is busy is not dead: while its process works nobody takes over, and nothing of the metadata changes. One
//! that was stopped is dead as soon as ever, and so is one that is busy for longer than an operator lets it be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::ensure;
use api::v4::Level;
use control_core::State;
use testkit::connection::Connection;
use testkit::managed::shard::ShardPlace;
use testkit::managed::{ManagedCluster, ManagedOptions};
use testkit::redis_server::RedisOptions;

use crate::fixture::{
    CLUSTER, HEAL_LIMIT, first_write, node_at, problems, reply, shard_on, staying, wait_attached,
};

/// How long the server's own work may take here, however slow the machine is.
const WORK_LIMIT: Duration = Duration::from_secs(120);
/// How long a client's write may wait beyond the work itself.
const AFTERWARDS_MAX: Duration = Duration::from_secs(2);
/// From the freezing of a node until its replica takes writes: 1.3 s on a machine that has time.
const FROZEN_MAX: Duration = Duration::from_secs(5);

/// Works until this many milliseconds have passed by the server's own clock.
fn script(ms: u64) -> String {
    format!(
        "local function now() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end \
         local till = now() + {ms} while now() < till do end return 'done'"
    )
}

fn start(options: &ManagedOptions) -> (ManagedCluster, ShardPlace) {
    let cluster = ManagedCluster::with_cluster(options, CLUSTER, 4).unwrap();
    wait_attached(&cluster);
    let shard = shard_on(&cluster, 0);
    (cluster, shard)
}

/// What must stay as it is: the whole cluster.
fn metadata(cluster: &ManagedCluster) -> (State, usize) {
    let events = cluster.block_on(cluster.client().events(0, 1_000)).unwrap();
    (cluster.state().unwrap(), events.events.len())
}

/// A client that writes one key again and again: how long each write took, and the errors.
struct Patient {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<(Duration, Vec<String>)>,
}

impl Patient {
    fn start(proxy: SocketAddr, key: String) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            let (mut longest, mut errors) = (Duration::ZERO, Vec::new());
            let mut connection = Connection::open(proxy).unwrap();
            connection.set_reply_limit(WORK_LIMIT).unwrap();
            while !seen.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let reply = connection.call(&[b"SET", key.as_bytes(), b"1"]).unwrap();
                longest = longest.max(begun.elapsed());
                errors.extend(reply.error());
                std::thread::sleep(Duration::from_millis(5));
            }
            (longest, errors)
        });
        Self { is_over, thread }
    }

    fn stop(self) -> (Duration, Vec<String>) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Has the primary work over a connection of its own; nobody takes over meanwhile, and clients wait, or hear from the
/// server itself that it is busy. How long it took.
fn works(cluster: &ManagedCluster, shard: &ShardPlace, words: &[&[u8]]) -> Duration {
    let before = metadata(cluster);
    let proxy = cluster.hosts[shard.primary.host].proxy.address();
    let client = Patient::start(proxy, shard.key("busy", 0).unwrap());
    let mut direct = Connection::open(node_at(cluster, shard.primary)).unwrap();
    direct.set_reply_limit(WORK_LIMIT).unwrap();
    let begun = Instant::now();
    direct.send(words).unwrap();
    let mut was_shown = false;
    while !direct.has_data(Duration::from_millis(50)).unwrap() {
        was_shown |= problems(cluster, shard.id).iter().any(|problem| problem.contains("is busy"));
    }
    let took = begun.elapsed();
    let answer = direct.read().unwrap();
    assert!(answer.error().is_none(), "{answer:?}");
    let settled = Instant::now();
    reply(&mut Connection::open(proxy).unwrap(), &format!("SET {} 2", shard.key("busy", 1).unwrap()));
    assert!(settled.elapsed() <= AFTERWARDS_MAX, "served {:?} after the work", settled.elapsed());
    wait_attached(cluster);
    let (longest, errors) = client.stop();
    println!("worked for {took:.1?}; the longest write took {longest:.1?}, {} were refused", errors.len());
    assert!(longest <= took + AFTERWARDS_MAX, "{longest:?}, and the work {took:?}");
    let is_its_own = |error: &String| error.starts_with("BUSY");
    assert!(errors.iter().all(is_its_own), "{:?}", errors.iter().find(|error| !is_its_own(error)));
    let after = metadata(cluster);
    assert_eq!(before, after, "nothing changes");
    assert!(was_shown || took < Duration::from_millis(1_500), "it was shown as busy");
    took
}

#[test]
fn a_primary_that_runs_a_script_stays_the_primary() {
    let (cluster, shard) = start(&ManagedOptions { coordinators: 2, ..staying(4) });
    let script = script(10_000);
    let took = works(&cluster, &shard, &[b"EVAL", script.as_bytes(), b"0"]);
    assert!(took >= Duration::from_secs(9), "{took:?}");
    // Once more, and what is shown without asking the proxies.
    let mut direct = Connection::open(node_at(&cluster, shard.primary)).unwrap();
    direct.send(&[b"EVAL", script.as_bytes(), b"0"]).unwrap();
    let is_shown = || {
        let overview = cluster.block_on(cluster.client().overview())?;
        ensure!(overview.problems.iter().any(|problem| problem.contains("is busy")), "{overview:?}");
        ensure!(overview.level == Level::Degraded, "{overview:?}");
        Ok(())
    };
    cluster.wait_for(Duration::from_secs(8), "coordinators say that it is busy", is_shown).unwrap();
}

#[test]
fn a_primary_that_empties_itself_stays_the_primary() {
    let nodes = RedisOptions::default().with("enable-debug-command", "yes");
    let (cluster, shard) = start(&ManagedOptions { nodes, ..staying(4) });
    let made = works(&cluster, &shard, &[b"DEBUG", b"POPULATE", b"3000000"]);
    let emptied = works(&cluster, &shard, &[b"FLUSHALL", b"SYNC"]);
    println!("three million keys: made in {made:.1?}, removed in {emptied:.1?}");
}

#[test]
fn a_primary_that_was_stopped_is_dead_although_it_was_busy() {
    let (mut cluster, shard) = start(&staying(4));
    let script = script(60_000);
    let mut direct = Connection::open(node_at(&cluster, shard.primary)).unwrap();
    direct.send(&[b"EVAL", script.as_bytes(), b"0"]).unwrap();
    let is_busy = || {
        let problems = problems(&cluster, shard.id);
        ensure!(problems.iter().any(|problem| problem.contains("is busy")), "{problems:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "it is shown as busy", is_busy).unwrap();
    let replica = cluster.hosts[shard.replica.host].proxy.address();
    let struck = Instant::now();
    cluster.hosts[shard.primary.host].nodes[shard.primary.node].process().freeze().unwrap();
    let took = first_write(replica, &shard.key("frozen", 0).unwrap(), struck);
    println!("frozen while it was busy: first write after {} ms", took.as_millis());
    assert!(took <= FROZEN_MAX, "{took:?}");
}

#[test]
fn a_primary_that_is_busy_for_longer_than_is_allowed_is_dead() {
    let (cluster, shard) = start(&staying(4).coordinator("busy_is_dead_ms", "1500"));
    let script = script(4_000);
    let begun = Instant::now();
    let mut direct = Connection::open(node_at(&cluster, shard.primary)).unwrap();
    direct.set_reply_limit(WORK_LIMIT).unwrap();
    direct.send(&[b"EVAL", script.as_bytes(), b"0"]).unwrap();
    let replica = cluster.hosts[shard.replica.host].proxy.address();
    let took = first_write(replica, &shard.key("busy", 0).unwrap(), begun);
    println!("busy for longer than is allowed: first write after {} ms", took.as_millis());
    assert!(
        took >= Duration::from_millis(1_500) && !direct.has_data(Duration::from_millis(1)).unwrap(),
        "{took:?}"
    );
    direct.read().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
}
