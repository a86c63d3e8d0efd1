//! Real clients in each mode in which they read from replicas, against a managed cluster: with replica faces, where the
//! reads must come to replicas, and without, where no replica is shown. Before and after a failover.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use redis::Commands;
use redis::cluster::{ClusterClient, ClusterConnection};
use redis::cluster_read_routing::{RandomReplicaStrategy, RoundRobinReplicaStrategy};
use testkit::binary::{node_directory, on_path, python, repository_root};
use testkit::connection::Connection;
use testkit::managed::{ManagedCluster, ManagedOptions};
use testkit::wait::{Deadline, retry_until};

const CLUSTER: &str = "replicas";
/// How long a client may take for one round.
const ROUND_LIMIT: Duration = Duration::from_secs(60);
/// How long replicas may take until they have what the `redis` crate wrote.
const COPY_LIMIT: Duration = Duration::from_secs(20);
/// Keys of a round, as in the scripts.
const KEYS: u64 = 200;
/// The redirections that a round may meet while roles stay.
const MOVED_MAX_SETTLED: u64 = 10;
/// After a failover: a client that sends everything before it reads an answer (ioredis does) may be redirected for each
/// write and each read, and again for those that it sends before it has asked for the slots (491 were seen).
const MOVED_MAX_CHANGED: u64 = 4 * KEYS;

/// The modes of the clients in Python, and in JavaScript.
const PYTHON: [&str; 7] = [
    "redis/read_from_replicas",
    "redis/round_robin",
    "redis/round_robin_replicas",
    "redis/random",
    "redis/random_replica",
    "valkey/read_from_replicas",
    "coredis/read_from_replicas",
];
const NODE: [&str; 3] = ["ioredis/slave", "ioredis/all", "node-redis/useReplicas"];

/// A client's process that plays a round for each line.
struct Player {
    process: Child,
    asked: ChildStdin,
    said: Receiver<String>,
}

impl Player {
    fn start(mut command: Command, cluster: &ManagedCluster) -> Result<Player> {
        command.args(cluster.proxies().iter().map(ToString::to_string));
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let asked = process.stdin.take().context("its input")?;
        let output = BufReader::new(process.stdout.take().context("its output")?);
        let (sender, said) = channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Ok(Player { process, asked, said })
    }

    fn play(&mut self, mode: &str) -> Result<()> {
        writeln!(self.asked, "{mode}")?;
        match self.said.recv_timeout(ROUND_LIMIT) {
            Ok(line) if line == "done" => Ok(()),
            outcome => bail!("{mode}: {outcome:?}"),
        }
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a round must come to.
#[derive(Clone, Copy)]
struct Expected {
    /// The cluster shows replicas, so reads come to them.
    reads_copies: bool,
    /// Redirections at most.
    moved_max: u64,
}

/// All clients, which live as long as the cluster.
struct Players {
    python: Player,
    node: Player,
    rust: [(&'static str, ClusterConnection); 2],
}

impl Players {
    fn start(cluster: &ManagedCluster) -> Result<Players> {
        let clients = repository_root().join("crates/testkit/clients");
        let mut command = Command::new(python()?);
        command.arg(clients.join("python/replica_reads.py"));
        let python = Player::start(command, cluster)?;
        let mut command = Command::new(on_path("node")?);
        command.env("NODE_PATH", node_directory()?.join("node_modules"));
        command.arg(clients.join("node/replica_reads.js"));
        let node = Player::start(command, cluster)?;
        let urls: Vec<String> = cluster.proxies().iter().map(|proxy| format!("redis://{proxy}")).collect();
        let random = ClusterClient::builder(urls.clone()).read_routing_strategy(RandomReplicaStrategy);
        let in_turn =
            ClusterClient::builder(urls).read_routing_strategy(RoundRobinReplicaStrategy::default());
        let rust = [
            ("redis crate/random", random.build()?.get_connection()?),
            ("redis crate/round robin", in_turn.build()?.get_connection()?),
        ];
        Ok(Players { python, node, rust })
    }

    /// A round of each client in each mode, one after the other.
    fn play_all(&mut self, cluster: &ManagedCluster, expected: Expected) -> Result<()> {
        for mode in PYTHON {
            judge(cluster, mode, expected, || self.python.play(mode))?;
        }
        for mode in NODE {
            judge(cluster, mode, expected, || self.node.play(mode))?;
        }
        for (mode, connection) in &mut self.rust {
            judge(cluster, mode, expected, || play_rust(connection))?;
        }
        Ok(())
    }
}

/// What the `redis` crate does in a round.
fn play_rust(connection: &mut ClusterConnection) -> Result<()> {
    let key = |number: u64| format!("rust:{number}");
    retry_until(Deadline::within(COPY_LIMIT), "FLUSHALL", || Ok(redis::cmd("FLUSHALL").exec(connection)?))?;
    for number in 0..KEYS {
        let set = || Ok(connection.set::<_, _, ()>(key(number), number)?);
        retry_until(Deadline::within(COPY_LIMIT), "SET", set)?;
    }
    for number in 0..KEYS {
        retry_until(Deadline::within(COPY_LIMIT), "GET", || {
            let got: Option<u64> = connection.get(key(number))?;
            ensure!(got == Some(number), "{} is {got:?}", key(number));
            Ok(())
        })?;
    }
    let mut found: Vec<String> = redis::cmd("KEYS").arg("*").query(connection)?;
    found.sort();
    let mut expected: Vec<String> = (0..KEYS).map(key).collect();
    expected.sort();
    ensure!(found == expected, "KEYS found {} of {KEYS}", found.len());
    redis::cmd("FLUSHALL").exec(connection)?;
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(connection)?;
    ensure!(left.is_empty(), "FLUSHALL leaves {left:?}");
    Ok(())
}

/// Plays a round and looks at what it was on the servers: GETs at replicas, redirections.
fn judge(
    cluster: &ManagedCluster,
    mode: &str,
    expected: Expected,
    round: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let (copies, moved) = (gets_of_replicas(cluster)?, redirections(cluster)?);
    let started = std::time::Instant::now();
    round().with_context(|| mode.to_owned())?;
    let copies = gets_of_replicas(cluster)?.saturating_sub(copies);
    let moved = redirections(cluster)?.saturating_sub(moved);
    println!("{mode}: {copies} reads of replicas, {moved} MOVED, {:?}", started.elapsed());
    ensure!((copies > 0) == expected.reads_copies, "{mode}: {copies} reads came to replicas");
    ensure!(moved <= expected.moved_max, "{mode}: {moved} redirections");
    Ok(())
}

/// GETs that were executed by Redis servers that are replicas.
fn gets_of_replicas(cluster: &ManagedCluster) -> Result<u64> {
    let mut gets = 0;
    for node in cluster.nodes() {
        let mut connection = Connection::open(node)?;
        if connection.say("INFO replication")?.text()?.contains("role:slave") {
            gets += field(&connection.say("INFO commandstats")?.text()?, "cmdstat_get:calls=");
        }
    }
    Ok(gets)
}

/// How often clients were answered MOVED.
fn redirections(cluster: &ManagedCluster) -> Result<u64> {
    let mut moved = 0;
    for proxy in cluster.proxies() {
        let info = Connection::open(proxy)?.say("INFO errorstats")?.text()?;
        moved += field(&info, "errorstat_MOVED:count=");
    }
    Ok(moved)
}

/// The number after the name; 0 where it is not there.
fn field(text: &str, name: &str) -> u64 {
    let rest = text.split_once(name).map_or("", |(_, rest)| rest);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// What redis-cli's own check says of the cluster, asked at each proxy.
fn check_by_redis_cli(cluster: &ManagedCluster) -> Result<()> {
    for proxy in cluster.proxies() {
        let output =
            Command::new(on_path("redis-cli")?).args(["--cluster", "check", &proxy.to_string()]).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let is_well = said.contains("All 16384 slots covered") && said.contains("All nodes agree");
        ensure!(is_well && !said.contains("[ERR]") && !said.contains("[WARNING]"), "{said}");
    }
    Ok(())
}

/// How many nodes of each kind CLUSTER NODES shows at every proxy, and whether they agree.
fn shown_roles(cluster: &ManagedCluster) -> Result<(usize, usize)> {
    let mut shown: Option<BTreeMap<String, String>> = None;
    for proxy in cluster.proxies() {
        let text = Connection::open(proxy)?.say("CLUSTER NODES")?.text()?;
        let nodes: BTreeMap<String, String> = text
            .lines()
            .filter_map(|line| {
                line.replace("myself,", "").split_once(' ').map(|(id, rest)| (id.into(), rest.into()))
            })
            .collect();
        let first = shown.get_or_insert_with(|| nodes.clone());
        ensure!(*first == nodes, "{proxy} shows {nodes:?}, another {first:?}");
    }
    let nodes = shown.context("no proxy")?;
    let count = |role: &str| nodes.values().filter(|line| line.contains(role)).count();
    Ok((count(" master "), count(" slave ")))
}

/// One of the two primaries dies and comes back; the other host has both then.
fn fail_over(cluster: &mut ManagedCluster) -> Result<()> {
    let shard = cluster.shards(CLUSTER)?.into_iter().find(|shard| shard.primary.host == 0);
    let primary = shard.context("a primary on the first host")?.primary;
    cluster.hosts[primary.host].nodes[primary.node].kill();
    cluster.wait_for(ROUND_LIMIT, "the other host has both primaries", || {
        let away = cluster.shards(CLUSTER)?.iter().all(|shard| shard.primary.host == 1);
        ensure!(away, "a primary is still on the first host");
        Ok(())
    })?;
    cluster.hosts[primary.host].nodes[primary.node].restart()?;
    cluster.wait_whole(CLUSTER)
}

fn check(replica_faces: bool) -> Result<()> {
    let options = ManagedOptions { replica_faces, ..ManagedOptions::of(2) };
    let options = options.coordinator("balance_quiet_ms", "600000");
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 2)?;
    let mut players = Players::start(&cluster)?;
    ensure!(shown_roles(&cluster)? == (2, if replica_faces { 2 } else { 0 }));
    check_by_redis_cli(&cluster)?;
    let expected = |moved_max| Expected { reads_copies: replica_faces, moved_max };
    players.play_all(&cluster, expected(MOVED_MAX_SETTLED))?;
    fail_over(&mut cluster)?;
    // The first host's primary face has no slots now, and the second's replica face no copies.
    ensure!(shown_roles(&cluster)? == (2, usize::from(replica_faces)));
    check_by_redis_cli(&cluster)?;
    players.play_all(&cluster, expected(MOVED_MAX_CHANGED))
}

#[test]
fn from_replica_faces() -> Result<()> {
    check(true)
}

#[test]
fn without_replica_faces() -> Result<()> {
    check(false)
}
