//! An operator's orders to take a proxy or a primary out of service that lives and takes writes: the replica takes over
//! when the old primary has stopped, and not before.

use std::time::{Duration, Instant};

use api::v4::FailoverRequest;
use testkit::managed::ManagedCluster;
use testkit::managed::shard::ShardPlace;

use crate::fixture::{CLUSTER, first_write, four_of, shard_on};
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
