//! An operator's orders to take a proxy or a primary out of service that lives and takes writes: the replica takes over
//! when the old primary has stopped, and not before.

use std::time::{Duration, Instant};

use api::v4::FailoverRequest;
use testkit::managed::ManagedCluster;
use testkit::managed::shard::ShardPlace;

use crate::fixture::{
    CLUSTER, HEAL_LIMIT, find, first_write, four_of, node_at, number_of, problems, shard_on,
};
use testkit::proof::writers::Writers;

/// Clients that keep writing to the old primary's proxy.
const WRITERS: usize = 4;
/// How many of their writes it takes before the order is given.
const WRITES_BEFORE: usize = 20 * WRITERS;
/// How long they go on after the new primary has taken a write.
const AFTER: Duration = Duration::from_millis(500);

/// How the order is given.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// `POST /api/v3/proxies/failover/{address}`.
    Proxy,
    /// `POST /api/v4/clusters/{cluster}/failover` with `force`.
    Shard,
}

impl Order {
    fn give(self, cluster: &ManagedCluster, shard: &ShardPlace) {
        let host = &cluster.hosts[shard.primary.host];
        match self {
            Self::Proxy => {
                let proxy = host.proxy.model_address().unwrap();
                let outcome = cluster.block_on(cluster.client().fail_over_proxy(&proxy));
                // Without a spare nobody takes its place; its primaries move all the same.
                let is_moved =
                    outcome.as_ref().map_or_else(|e| e.code() == Some("NO_AVAILABLE_RESOURCE"), |_| true);
                assert!(is_moved, "{outcome:?}");
            }
            Self::Shard => {
                let node = host.nodes[shard.primary.node].model_address().unwrap();
                let wanted = FailoverRequest { node: Some(node), force: true, ..FailoverRequest::default() };
                cluster.block_on(cluster.client().fail_over(&CLUSTER.parse().unwrap(), &wanted)).unwrap();
            }
        }
    }
}

fn check(order: Order, hosts: usize) {
    let cluster = four_of(hosts);
    let shard = shard_on(&cluster, 0);
    let [old, new] = [shard.primary, shard.replica].map(|node| cluster.hosts[node.host].proxy.address());
    let keys = (0..WRITERS).map(|number| shard.key("by-hand", number).unwrap());
    let writers = Writers::start(old, keys);
    writers.wait_taken(WRITES_BEFORE).unwrap();
    let ordered = Instant::now();
    order.give(&cluster, &shard);
    let took = first_write(new, &shard.key("by-hand", WRITERS).unwrap(), ordered);
    let replaced = Instant::now();
    std::thread::sleep(AFTER);
    let (before, late): (Vec<_>, Vec<_>) =
        writers.stop().into_iter().partition(|write| write.returned < replaced);
    println!(
        "{order:?} of {hosts} hosts: replaced after {} ms, {} writes before",
        took.as_millis(),
        before.len()
    );
    assert!(late.is_empty(), "{order:?}: {} late OKs: {late:?}", late.len());
    cluster.wait_whole(CLUSTER).unwrap();
}

#[test]
fn a_living_proxy_with_a_spare_in_its_place() {
    check(Order::Proxy, 5);
}

#[test]
fn a_living_proxy_without_a_spare() {
    check(Order::Proxy, 4);
}

#[test]
fn a_living_primary_by_force() {
    check(Order::Shard, 4);
}

/// `undermoon ctl cluster failover --force` for the shard.
fn ctl_force(cluster: &ManagedCluster, shard: &ShardPlace, seconds: &str) -> (i32, String) {
    let number = number_of(cluster, shard).to_string();
    let words =
        ["cluster", "failover", CLUSTER, "--shard", &number, "--force", "--yes", "--timeout", seconds];
    ctl(cluster, &words)
}

/// `undermoon ctl` with these words: its exit code, and what it wrote to either output.
fn ctl(cluster: &ManagedCluster, words: &[&str]) -> (i32, String) {
    let output = std::process::Command::new(testkit::binary::undermoon().unwrap())
        .args(["ctl", "--broker", &cluster.brokers[0].address().to_string()])
        .args(words)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// The command line says that a replica has taken over when that serves, and not before.
#[test]
fn what_is_said_of_a_replica_that_hangs_and_of_one_that_is_well() {
    let mut cluster = four_of(4);
    let shard = shard_on(&cluster, 0);
    let [primary, replica] = [shard.primary, shard.replica]
        .map(|node| cluster.hosts[node.host].nodes[node.node].model_address().unwrap());
    let node = &mut cluster.hosts[shard.replica.host].nodes[shard.replica.node];
    node.process().freeze().unwrap();
    let is_known = || {
        let problems = problems(&cluster, shard.id);
        anyhow::ensure!(
            problems.iter().any(|text| text.contains("has not answered its proxy")),
            "{problems:?}"
        );
        Ok(())
    };
    cluster.wait_for(HEAL_LIMIT, "its proxy knows that it hangs", is_known).unwrap();
    let (code, told) = ctl_force(&cluster, &shard, "2");
    assert_eq!(code, 75, "{told}");
    assert!(told.contains(&format!("{replica} has not answered its proxy for ")), "{told}");
    assert!(!told.contains("has taken over"), "{told}");

    let node = &mut cluster.hosts[shard.replica.host].nodes[shard.replica.node];
    node.process().thaw().unwrap();
    cluster.wait_whole(CLUSTER).unwrap();
    let shard = find(&cluster, shard.id);
    assert_eq!(node_at(&cluster, shard.primary), socket(&replica), "it took over when it went on");
    let (code, told) = ctl_force(&cluster, &shard, "30");
    assert_eq!(code, 0, "{told}");
    assert!(told.starts_with(&format!("{primary} has taken over from {replica}, after ")), "{told}");
    // It serves now: no attempt is refused.
    let proxy = cluster.hosts[shard.replica.host].proxy.address();
    let mut connection = testkit::connection::Connection::open(proxy).unwrap();
    let line = format!("SET {} v", shard.key("said", 0).unwrap());
    connection.say(&line).unwrap().expect_ok().unwrap();
}

fn socket(address: &model::Address) -> std::net::SocketAddr {
    address.to_string().parse().unwrap()
}

/// No write is refused or lost, and what was replaced is in the pool and empty.
#[test]
fn a_living_proxy_is_replaced_without_loss() {
    let cluster = four_of(5);
    let shard = shard_on(&cluster, 0);
    let [old, other] = [shard.primary, shard.replica].map(|node| &cluster.hosts[node.host].proxy);
    let key = |number| shard.key("replaced", number).unwrap();
    let mut client = testkit::connection::Connection::open(old.address()).unwrap();
    for number in 0..100 {
        client.say(&format!("SET {} {number}", key(number))).unwrap().expect_ok().unwrap();
    }
    let proxy = old.model_address().unwrap();
    let (code, told) = ctl(&cluster, &["pool", "replace", &proxy.to_string()]);
    assert_eq!(code, 0, "{told}");
    let state = cluster.state().unwrap();
    let record = &state.proxies[&proxy];
    assert_eq!((&record.cluster, record.dirty), (&None, false), "{told}");
    assert!(state.clusters[&CLUSTER.parse().unwrap()].place_of(&proxy).is_none(), "{told}");
    let mut client = testkit::connection::Connection::open(other.address()).unwrap();
    for number in 0..100 {
        let value = client.say(&format!("GET {}", key(number))).unwrap().text().unwrap();
        assert_eq!(value, number.to_string());
    }
    for node in &cluster.hosts[shard.primary.host].nodes {
        assert_eq!(node.say("DBSIZE").unwrap().integer().unwrap(), 0);
    }
    cluster.wait_whole(CLUSTER).unwrap();
    let (code, told) = ctl(&cluster, &["pool", "remove", &proxy.to_string()]);
    assert_eq!(code, 0, "{told}");
}
