//! Half of all hosts die at once: how long until every shard takes writes again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::figure::{Bound, Figure, milliseconds};
use crate::connection::Connection;
use crate::managed::{ManagedCluster, ManagedOptions};
use crate::stalls::StallWatch;

/// The cluster that loses them.
const CLUSTER: &str = "half";
/// How long it may take until every shard takes a write.
const FIRST_WRITES_LIMIT: Duration = Duration::from_secs(60);
/// How long one attempt waits for its reply.
const REPLY_LIMIT: Duration = Duration::from_millis(500);
/// Between two rounds through the shards that take no writes yet.
const ROUND_INTERVAL: Duration = Duration::from_millis(5);

/// Kills one host of each chunk of a cluster of that many hosts, again and again; they are started again, and all is
/// whole and at home, in between. The times are those until the last shard takes a write. `tell` is given a line for
/// each run.
///
/// # Errors
/// When a shard takes no write, or the cluster does not become whole again.
///
/// # Panics
/// When `runs` is 0.
pub fn measure(hosts: usize, runs: usize, tell: &dyn Fn(&str)) -> Result<Figure> {
    let options = ManagedOptions { coordinators: 2, ..ManagedOptions::of(hosts) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, hosts)?;
    let mut stalls = StallWatch::start();
    let (mut times, mut late) = (Vec::new(), Duration::ZERO);
    for run in 0..runs {
        cluster.wait_home(CLUSTER)?;
        cluster.wait_attached(CLUSTER)?;
        let mut dying = BTreeMap::new();
        let mut waiting = Vec::new();
        for shard in cluster.shards(CLUSTER)? {
            // The first shard of each chunk loses its primary; its host has no other at home.
            if dying.contains_key(&shard.id.chunk) {
                continue;
            }
            dying.insert(shard.id.chunk, shard.primary.host);
            waiting.push((cluster.hosts[shard.replica.host].proxy.address(), shard.key("half", run)?));
        }
        let dying: BTreeSet<usize> = dying.into_values().collect();
        ensure!(dying.len() * 2 == hosts, "{} hosts of {hosts} would die", dying.len());
        stalls.begin(&[]);
        let struck = Instant::now();
        cluster.kill_hosts(&dying);
        let killed = struck.elapsed();
        let took = first_writes(waiting, struck)?;
        late = late.max(stalls.longest());
        let (worst, median) = (took[took.len() - 1], took[took.len() / 2]);
        let [killed_ms, median_ms, worst_ms] = [killed, median, worst].map(milliseconds);
        tell(&format!(
            "{} hosts of {hosts} killed within {killed_ms} ms, run {run}: half of the shards took writes after \
             {median_ms} ms, all after {worst_ms} ms",
            dying.len()
        ));
        times.push(worst);
        for host in dying {
            cluster.hosts[host].restart()?;
        }
        cluster.wait_whole(CLUSTER)?;
    }
    let fault = format!("{} hosts of {hosts} killed at once", hosts / 2);
    let figure = Figure::of(fault, "first write to every shard", runs, &times);
    let bound = Bound { p50_ms_max: None, worst_ms_max: 2_000 };
    Ok(Figure { bound: Some(bound), machine_late_ms: milliseconds(late), ..figure })
}

/// Writes each key at its proxy until all are taken; how long after `since`, the shortest first.
fn first_writes(waiting: Vec<(SocketAddr, String)>, since: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::with_capacity(waiting.len());
    let mut waiting: Vec<_> = waiting.into_iter().map(|(proxy, key)| (proxy, key, None)).collect();
    let mut last = String::new();
    while !waiting.is_empty() {
        ensure!(since.elapsed() < FIRST_WRITES_LIMIT, "{} shards take no write: {last}", waiting.len());
        waiting.retain_mut(|(proxy, key, connection)| match attempt(*proxy, key, connection) {
            Ok(()) => {
                took.push(since.elapsed());
                false
            }
            Err(error) => {
                last = format!("{error:#}");
                true
            }
        });
        std::thread::sleep(ROUND_INTERVAL);
    }
    Ok(took)
}

fn attempt(proxy: SocketAddr, key: &str, connection: &mut Option<Connection>) -> Result<()> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(proxy).context("connecting")?,
    };
    open.set_reply_limit(REPLY_LIMIT)?;
    let reply = open.call(&[b"SET", key.as_bytes(), b"first"])?;
    *connection = Some(open);
    reply.expect_ok()
}
