//! Chaos in its short form; and the proof that its judge finds what it should, with faults planted in real servers.
//! The long form is `make chaos`; see docs/testing.md.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::chaos::judge::{Judgement, Ownership, ShardRecord, judge};
use testkit::chaos::kind::{Fault, Harm, Victim};
use testkit::chaos::network::Direction;
use testkit::chaos::options::ChaosOptions;
use testkit::chaos::run::run;
use testkit::chaos::workload::{ClientPlace, Clock, Key, KeyKind, Workload, WorkloadPlan};
use testkit::history::{ClientId, Moment};
use testkit::managed::Brokers;
use testkit::proxy::{ProxyOptions, ProxyProcess};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::relay::Relay;
use testkit::wait::{Deadline, retry_until, wait_until};

/// How long anything here may take to come about.
const WITHIN: Duration = Duration::from_secs(30);
/// How long the short run may take to heal, on whatever machine: the long one is stricter.
const HEAL_LIMIT: Duration = Duration::from_secs(90);

#[test]
fn a_short_run_breaks_no_invariant() -> Result<()> {
    let fault = |victim, harm, choice, ms| Fault::alone(victim, harm, choice, Duration::from_millis(ms));
    let script = vec![
        fault(Victim::Primary, Harm::HandOver, 1, 300),
        fault(Victim::Primary, Harm::Kill, 0, 1500),
        fault(Victim::Proxy, Harm::Freeze, 1, 1500),
        fault(Victim::ControlPlane, Harm::Kill, 0, 600),
        fault(Victim::Host, Harm::CutFromCluster, 0, 1500),
        fault(Victim::Primary, Harm::Bounce, 1, 0),
        fault(Victim::Etcd, Harm::Kill, 0, 800),
        fault(Victim::Link, Harm::Cut(Direction::Both), 0, 600),
        fault(Victim::Host, Harm::Cut(Direction::Outgoing), 1, 1500),
    ];
    let options = ChaosOptions {
        script,
        hosts: 2,
        spares: 1,
        brokers: Brokers::OnEtcd(2),
        clients: 2,
        heal_limit: HEAL_LIMIT,
        ..ChaosOptions::new(1, Duration::from_secs(22))
    };
    let report = run(&options, &|line| println!("{line}"))?;
    println!("{report}");
    ensure!(report.is_good(), "invariants were broken:\n{report}");
    // A run in which nothing happened would be good, too.
    ensure!(report.judged_operations > 500 && report.faults.len() >= 4, "too little was judged:\n{report}");
    let promoted: usize = report.faults.iter().map(|fault| fault.promotions).sum();
    ensure!(promoted > 0, "nobody was promoted:\n{report}");
    Ok(())
}

/// Keys of both kinds, used by clients at these servers.
fn plan(places: &[SocketAddr]) -> WorkloadPlan {
    let key = |(name, kind): (&str, KeyKind)| Key { name: name.to_owned(), kind, shard: 0 };
    let keys = [("register", KeyKind::Register), ("counter", KeyKind::Counter)].map(key).to_vec();
    let reply_limit = Duration::from_secs(1);
    let place = |server: &SocketAddr| ClientPlace {
        host: None,
        seeds: vec![*server],
        first: 0,
        shard: None,
        reply_limit,
    };
    let clients = places.iter().map(place).collect();
    WorkloadPlan { keys, clients, pause: Duration::from_millis(2), seed: 1 }
}

/// Plays the workload, does `harm` in its middle, and judges what was seen.
fn judged(places: &[SocketAddr], harm: impl FnOnce() -> Result<()>) -> Result<Judgement> {
    let clock = Clock::start();
    let workload = Workload::start(plan(places), clock, None)?;
    let writes_on = |seconds: f64| {
        std::thread::sleep(Duration::from_secs_f64(seconds));
        let since = clock.now();
        wait_until(Deadline::within(WITHIN), "writes go on", || workload.wrote_since(0, since))
    };
    writes_on(0.3)?;
    harm()?;
    writes_on(0.3)?;
    let seen = workload.finish()?;
    let first = Ownership { since: Moment(0), proxy: places[0], may_lose: false };
    let shard = ShardRecord { slots: 16384, owners: vec![first] };
    Ok(judge(&seen.keys, (&[shard], ClientId(u32::MAX)), &[], clock.now()))
}

/// What was found, without repetitions.
fn found(judgement: &Judgement) -> Vec<&'static str> {
    let mut whats: Vec<&str> = judgement.broken.iter().map(|broken| broken.what).collect();
    whats.sort_unstable();
    whats.dedup();
    whats
}

#[test]
fn a_write_removed_behind_the_proxys_back_is_found() -> Result<()> {
    let redis = RedisServer::start(RedisOptions::default())?;
    let proxy = ProxyProcess::in_front_of(redis.address(), &ProxyOptions::default())?;
    let places = [proxy.address(); 3];
    let quiet = judged(&places, || Ok(()))?;
    ensure!(quiet.broken.is_empty() && quiet.judged > 100, "found {:?}", quiet.broken);

    // The keys begin again, as the judge supposes.
    redis.connect()?.say("FLUSHALL")?.expect_ok()?;
    let removed = judged(&places, || {
        let mut node = redis.connect()?;
        // The next read may come after the next write: tried until one falls between the two.
        for _ in 0..50 {
            node.say("DEL register")?;
            node.say("DECRBY counter 3")?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    })?;
    let wanted = ["a key is not linearizable", "a write was lost although nothing was promoted"];
    ensure!(found(&removed) == wanted, "found {:?}", removed.broken);
    Ok(())
}

#[test]
fn reads_from_a_lagging_replica_are_found() -> Result<()> {
    let primary = RedisServer::start(RedisOptions::default())?;
    let relay = Relay::start(primary.address())?;
    let replica = RedisServer::start(RedisOptions::default())?;
    replica.connect()?.say(&format!("REPLICAOF 127.0.0.1 {}", relay.address().port()))?.expect_ok()?;
    retry_until(Deadline::within(WITHIN), "the replica follows", || {
        let info = replica.connect()?.say("INFO replication")?.text()?;
        ensure!(info.contains("master_link_status:up"), "{info}");
        Ok(())
    })?;
    // Two clients at the primary, one that reads from the replica; its writes are refused and count for nothing.
    let places = [primary.address(), primary.address(), replica.address()];
    let judgement = judged(&places, || {
        relay.silence();
        Ok(())
    })?;
    ensure!(found(&judgement).contains(&"a key is not linearizable"), "found {:?}", judgement.broken);
    Ok(())
}
