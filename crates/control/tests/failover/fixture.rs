//! A managed cluster, and what a client of it does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use control_core::ShardId;
use testkit::connection::Connection;
use testkit::frame::Frame;
use testkit::managed::shard::{NodePlace, ShardPlace};
use testkit::managed::{ManagedCluster, ManagedOptions};
use testkit::redis_server::{RedisOptions, RedisServer};
use testkit::wait::{Deadline, retry_until};

/// The cluster of every test here.
pub(crate) const CLUSTER: &str = "failover";

/// How long a cluster may take to heal.
pub(crate) const HEAL_LIMIT: Duration = Duration::from_secs(30);

/// A number from the environment, for a test's long form.
pub(crate) fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// So many hosts, with coordinators that leave primaries where they are. On a slow machine one would else go home in the
/// middle of a test.
pub(crate) fn staying(hosts: usize) -> ManagedOptions {
    ManagedOptions::of(hosts).coordinator("balance_quiet_ms", "600000")
}

/// So many hosts, of which a cluster uses four, whole; primaries stay where they are.
pub(crate) fn four_of(hosts: usize) -> ManagedCluster {
    ManagedCluster::with_cluster(&staying(hosts), CLUSTER, 4).unwrap()
}

/// The first shard whose primary is on that host.
pub(crate) fn shard_on(cluster: &ManagedCluster, host: usize) -> ShardPlace {
    let shards = cluster.shards(CLUSTER).unwrap();
    shards.into_iter().find(|shard| shard.primary.host == host).unwrap()
}

/// The shard as it is now.
pub(crate) fn find(cluster: &ManagedCluster, id: ShardId) -> ShardPlace {
    cluster.shards(CLUSTER).unwrap().into_iter().find(|shard| shard.id == id).unwrap()
}

/// What is wrong with a shard, by the broker, which asks the proxies for that.
pub(crate) fn problems(cluster: &ManagedCluster, id: ShardId) -> Vec<String> {
    let health = cluster.block_on(cluster.client().cluster_health(&CLUSTER.parse().unwrap(), true)).unwrap();
    let number = cluster.shards(CLUSTER).unwrap().iter().position(|shard| shard.id == id).unwrap();
    health.shards.into_iter().find(|shard| shard.shard == number).unwrap().problems
}

/// The number under which the API has a shard.
pub(crate) fn number_of(cluster: &ManagedCluster, shard: &ShardPlace) -> usize {
    cluster.shards(CLUSTER).unwrap().iter().position(|other| other.id == shard.id).unwrap()
}

/// The reply to a command that is no error. A primary without a replica serves by its lease alone, and on a machine
/// that is busy for long a lease may lapse for a moment: then it is asked again.
pub(crate) fn reply(connection: &mut Connection, line: &str) -> Frame {
    let answered = retry_until(Deadline::within(HEAL_LIMIT), line, || {
        let reply = connection.say(line)?;
        anyhow::ensure!(reply.error().is_none(), "{reply:?}");
        Ok(reply)
    });
    answered.unwrap()
}

/// Waits until each primary has heard from its replica.
pub(crate) fn wait_attached(cluster: &ManagedCluster) {
    cluster.wait_attached(CLUSTER).unwrap();
}

/// The Redis server at a place.
pub(crate) fn node_at(cluster: &ManagedCluster, place: NodePlace) -> SocketAddr {
    cluster.hosts[place.host].nodes[place.node].address()
}

/// A server that replicates a node on its own account, as a backup does, and has all its data.
pub(crate) fn start_backup(primary: SocketAddr) -> RedisServer {
    let backup = RedisServer::start(RedisOptions::default()).unwrap();
    let order = format!("REPLICAOF {} {}", primary.ip(), primary.port());
    backup.connect().unwrap().say(&order).unwrap().expect_ok().unwrap();
    let is_linked = || {
        let info = backup.connect()?.say("INFO replication")?.text()?;
        anyhow::ensure!(info.contains("master_link_status:up"), "{info}");
        Ok(())
    };
    retry_until(Deadline::within(HEAL_LIMIT), "the backup has everything", is_linked).unwrap();
    backup
}

/// Waits until a replica has all that this connection has written.
pub(crate) fn wait_replicated(connection: &mut Connection) {
    assert_eq!(connection.say("WAIT 1 15000").unwrap().integer().unwrap(), 1);
}

/// Writes a key at that proxy until it is taken; how long after `since`.
pub(crate) fn first_write(proxy: SocketAddr, key: &str, since: Instant) -> Duration {
    testkit::proof::first_write(proxy, key, since, HEAL_LIMIT).unwrap()
}
