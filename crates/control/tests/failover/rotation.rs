//! Passwords are changed while clients write, in the order that docs/operating.md gives.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::connection::Connection;
use testkit::managed::ManagedCluster;
use testkit::managed::service::Service;
use testkit::wait::{Deadline, retry_until};

use crate::fixture::{CLUSTER, HEAL_LIMIT, staying};

/// What everybody knows at first, and what everybody knows in the end.
const OLD: &str = "the former one";
const NEW: &str = "the next one";

/// Clients, one for each key, each of which writes one number after the other and follows MOVED.
struct Clients {
    is_over: Arc<AtomicBool>,
    taken: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Written>>,
}

/// What one client has seen.
struct Written {
    key: String,
    /// The last number that was answered with OK.
    last: u64,
    /// How often each error came.
    errors: BTreeMap<String, u32>,
    /// The longest time between two OKs.
    gap: Duration,
}

impl Clients {
    /// Starts one for each shard.
    fn start(cluster: &ManagedCluster) -> Self {
        let (is_over, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let start = |shard: testkit::managed::shard::ShardPlace| {
            let proxy = cluster.hosts[shard.primary.host].proxy.address();
            let (is_over, taken) = (Arc::clone(&is_over), Arc::clone(&taken));
            let key = shard.key("rotated", 0).unwrap();
            std::thread::spawn(move || write(proxy, key, &is_over, &taken))
        };
        let threads = cluster.shards(CLUSTER).unwrap().into_iter().map(start).collect();
        Self { is_over, taken, threads }
    }

    /// Waits until writes go on.
    fn wait_taken(&self) {
        let goal = self.taken.load(Relaxed) + 20;
        let is_there = || {
            ensure!(self.taken.load(Relaxed) >= goal);
            Ok(())
        };
        retry_until(Deadline::within(HEAL_LIMIT), "writes go on", is_there).unwrap();
    }

    fn stop(self) -> Vec<Written> {
        self.is_over.store(true, Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    }
}

fn write(mut proxy: SocketAddr, key: String, is_over: &AtomicBool, taken: &AtomicU64) -> Written {
    let mut written = Written { key, last: 0, errors: BTreeMap::new(), gap: Duration::ZERO };
    let (mut open, mut at, mut number) = (None::<Connection>, Instant::now(), 0);
    while !is_over.load(Relaxed) {
        number += 1;
        let connection = open.take().map_or_else(|| Connection::open(proxy), Ok);
        let reply = connection.and_then(|mut connection| {
            let reply = connection.say(&format!("SET {} {number}", written.key))?;
            open = Some(connection);
            Ok(reply)
        });
        let error = match &reply {
            Ok(reply) => reply.error(),
            Err(error) => Some(error.to_string()),
        };
        match error {
            None => {
                (written.last, written.gap) = (number, written.gap.max(at.elapsed()));
                at = Instant::now();
                taken.fetch_add(1, Relaxed);
            }
            Some(moved) if moved.starts_with("MOVED ") => {
                proxy = moved.rsplit(' ').next().unwrap().parse().unwrap();
                open = None;
            }
            Some(error) => {
                *written.errors.entry(error).or_default() += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
    written
}

/// `undermoon ctl cluster failover --proxy`, until it is done.
fn hand_over(cluster: &ManagedCluster, host: usize) {
    let proxy = cluster.hosts[host].proxy.address().to_string();
    let broker = cluster.brokers[0].address().to_string();
    let words = ["ctl", "--broker", &broker, "cluster", "failover", CLUSTER, "--proxy", &proxy];
    let hand_over = || {
        let output = std::process::Command::new(testkit::binary::undermoon()?).args(words).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{told}");
        Ok(())
    };
    // On a machine that is busy a handover may be given up; nothing is lost by that.
    cluster.wait_for(HEAL_LIMIT, "the primaries are handed over", hand_over).unwrap();
}

/// Starts a process again with another value of a setting.
fn restart_with(service: &mut Service, setting: &str, value: &str) {
    let settings = &mut service.recipe().settings;
    settings.retain(|(name, _)| name != setting);
    settings.push((setting.to_owned(), value.to_owned()));
    service.restart().unwrap();
    service.wait_listening().unwrap();
}

/// The reply to a command of an operator at a node.
fn at_node(node: SocketAddr, password: &str, line: &str) -> Result<String> {
    let mut connection = Connection::open(node)?;
    let reply = connection.call(&[b"AUTH", password.as_bytes()])?;
    if let Some(error) = reply.error() {
        bail!("{error}");
    }
    let words: Vec<&[u8]> = line.split('|').map(str::as_bytes).collect();
    let reply = connection.call(&words)?;
    ensure!(reply.error().is_none(), "{line}: {reply:?}");
    Ok(format!("{reply:?}"))
}

/// A primary whose replica is away for a moment serves by its lease, which may lapse on a machine that is busy.
const LAPSED: &str = "CLUSTERDOWN This proxy has lost touch";

/// That no acknowledged write is lost; answers the errors that came.
fn check_kept(cluster: &ManagedCluster, clients: Clients) -> BTreeMap<String, u32> {
    clients.wait_taken();
    let written = clients.stop();
    for client in &written {
        let shard = cluster.shard_of(CLUSTER, client.key.as_bytes()).unwrap();
        let proxy = &cluster.hosts[shard.primary.host].proxy;
        let value: u64 = proxy.say(&format!("GET {}", client.key)).unwrap().text().unwrap().parse().unwrap();
        // What was answered with an error may have been carried out.
        assert!(value >= client.last, "{}: {value} after {}: {:?}", client.key, client.last, client.errors);
    }
    let gap = written.iter().map(|client| client.gap).max().unwrap();
    let mut errors = BTreeMap::new();
    for (error, count) in written.into_iter().flat_map(|client| client.errors) {
        *errors.entry(error).or_default() += count;
    }
    println!("longest gap {} ms, errors: {errors:?}", gap.as_millis());
    errors
}

#[test]
fn the_password_of_the_nodes() {
    let mut options = staying(4).proxy("backend_password", OLD);
    options.nodes = options.nodes.with("requirepass", OLD);
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let clients = Clients::start(&cluster);
    clients.wait_taken();
    for node in cluster.nodes() {
        at_node(node, OLD, &format!("ACL|SETUSER|default|>{NEW}")).unwrap();
    }
    for host in 0..cluster.hosts.len() {
        hand_over(&cluster, host);
        restart_with(&mut cluster.hosts[host].proxy, "backend_password", NEW);
        cluster.wait_whole(CLUSTER).unwrap();
    }
    for node in cluster.nodes() {
        // One that became a replica meanwhile has what its proxy knew then.
        at_node(node, NEW, &format!("CONFIG|SET|masterauth|{NEW}")).unwrap();
    }
    for node in cluster.nodes() {
        at_node(node, NEW, &format!("ACL|SETUSER|default|<{OLD}")).unwrap();
    }
    // Nobody needs the former one: replicas come again with the new one.
    for node in cluster.nodes() {
        let refused = at_node(node, OLD, "PING").unwrap_err().to_string();
        assert!(refused.contains("WRONGPASS"), "{refused}");
        at_node(node, NEW, "CLIENT|KILL|TYPE|replica").unwrap();
        at_node(node, NEW, "CLIENT|KILL|TYPE|master").unwrap();
    }
    cluster.wait_whole(CLUSTER).unwrap();
    cluster.wait_attached(CLUSTER).unwrap();
    let errors = check_kept(&cluster, clients);
    assert!(errors.keys().all(|error| error.starts_with(LAPSED)), "a request failed: {errors:?}");
}

#[test]
fn the_control_password() {
    let mut options = staying(4).proxy("control_password", OLD).coordinator("proxy_control_password", OLD);
    options.coordinators = 2;
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let clients = Clients::start(&cluster);
    clients.wait_taken();
    restart_with(&mut cluster.coordinators[0], "proxy_control_password", NEW);
    for host in 0..cluster.hosts.len() {
        restart_with(&mut cluster.hosts[host].proxy, "control_password", NEW);
        // A shard that was failed over meanwhile has its replica in sync when one coordinator can ask both proxies.
        clients.wait_taken();
    }
    restart_with(&mut cluster.coordinators[1], "proxy_control_password", NEW);
    let is_known = || {
        let overview = cluster.block_on(cluster.client().overview())?;
        ensure!(!overview.problems.iter().any(|text| text.contains("cannot ask")), "{overview:?}");
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "both coordinators ask all proxies", is_known).unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    check_kept(&cluster, clients);
}

#[test]
fn the_token_for_changes() {
    let options = staying(4).broker("write_token", OLD).coordinator("broker_token", OLD);
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, 4).unwrap();
    let clients = Clients::start(&cluster);
    clients.wait_taken();
    restart_with(&mut cluster.brokers[0], "write_token", NEW);
    restart_with(&mut cluster.coordinators[0], "broker_token", NEW);
    let name = CLUSTER.parse().unwrap();
    // Over a new connection: the former ended with the broker.
    cluster.use_token(OLD).unwrap();
    let refused = cluster.block_on(cluster.client().balance(&name)).unwrap_err();
    assert_eq!(refused.code(), Some("UNAUTHORIZED"), "{refused}");
    cluster.use_token(NEW).unwrap();
    // The coordinator makes changes with it: what it sees is taken, and a dead host is failed over.
    cluster.hosts[0].kill();
    let is_over = || {
        let health = cluster.block_on(cluster.client().cluster_health(&name, true))?;
        let served = health.shards.iter().all(|shard| shard.served == Some(true));
        served.then_some(()).with_context(|| format!("{health:?}"))
    };
    cluster.wait_for(HEAL_LIMIT, "a dead host is failed over", is_over).unwrap();
    clients.wait_taken();
    clients.stop();
}
