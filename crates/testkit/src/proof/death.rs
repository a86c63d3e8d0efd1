//! How long after a fault a shard takes writes again.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::figure::{Bound, Figure, milliseconds};
use super::first_write;
use crate::managed::shard::ShardPlace;
use crate::managed::{ManagedCluster, ManagedOptions};
use crate::stalls::StallWatch;

/// The cluster that things happen to.
const CLUSTER: &str = "death";
/// How many hosts it has.
const HOSTS: usize = 4;
/// How long it may take until a write is taken.
const FIRST_WRITE_LIMIT: Duration = Duration::from_secs(30);

/// What happens to a primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its Redis server is killed.
    NodeKilled,
    /// Its proxy is killed.
    ProxyKilled,
    /// Its host is killed: the proxy and both Redis servers.
    HostKilled,
    /// Its Redis server is stopped, and its sockets stay open.
    NodeFrozen,
    /// Its proxy is stopped, and its sockets stay open.
    ProxyFrozen,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::NodeKilled, Self::ProxyKilled, Self::HostKilled, Self::NodeFrozen, Self::ProxyFrozen];

    /// What died, in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NodeKilled => "Redis server killed",
            Self::ProxyKilled => "proxy killed",
            Self::HostKilled => "host killed",
            Self::NodeFrozen => "Redis server stopped",
            Self::ProxyFrozen => "proxy stopped",
        }
    }

    /// What is wanted at default settings. A Redis server that hangs looks like one that is busy with a slow command, so
    /// it is given a second before it counts as dead.
    #[must_use]
    pub fn bound(self) -> Bound {
        let (median, worst) = if self == Self::NodeFrozen { (1_800, 2_000) } else { (500, 1_000) };
        Bound { p50_ms_max: Some(median), worst_ms_max: worst }
    }

    fn strike(self, cluster: &mut ManagedCluster, shard: &ShardPlace) -> Result<()> {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::NodeKilled => host.nodes[shard.primary.node].kill(),
            Self::NodeFrozen => host.nodes[shard.primary.node].process().freeze()?,
            Self::ProxyKilled => host.proxy.kill(),
            Self::ProxyFrozen => host.proxy.process().freeze()?,
            Self::HostKilled => host.kill(),
        }
        Ok(())
    }

    fn mend(self, cluster: &mut ManagedCluster, shard: &ShardPlace) -> Result<()> {
        let host = &mut cluster.hosts[shard.primary.host];
        match self {
            Self::NodeKilled => host.nodes[shard.primary.node].restart(),
            Self::NodeFrozen => host.nodes[shard.primary.node].process().thaw(),
            Self::ProxyKilled => host.proxy.restart(),
            Self::ProxyFrozen => host.proxy.process().thaw(),
            Self::HostKilled => host.restart(),
        }
    }
}

/// Strikes again and again at the primary of another host, which is mended and whole in between; each time until the
/// first write that the replica's proxy takes. `tell` is given a line for each run.
///
/// # Errors
/// When no write is taken, or the cluster does not become whole again.
///
/// # Panics
/// When `runs` is 0.
pub fn measure(fault: Fault, runs: usize, tell: &dyn Fn(&str)) -> Result<Figure> {
    // Two coordinators that do not hear of it in the same moment, as there should be.
    let options = ManagedOptions { coordinators: 2, ..ManagedOptions::of(HOSTS) };
    let mut cluster = ManagedCluster::with_cluster(&options, CLUSTER, HOSTS)?;
    let mut stalls = StallWatch::start();
    let (mut times, mut late) = (Vec::new(), Duration::ZERO);
    for run in 0..runs {
        cluster.wait_home(CLUSTER)?;
        let mut shards = cluster.shards(CLUSTER)?.into_iter();
        let shard = shards.find(|shard| shard.primary.host == run % HOSTS).context("each has a primary")?;
        cluster.wait_attached(CLUSTER)?;
        let (key, new) = (shard.key("death", run)?, cluster.hosts[shard.replica.host].proxy.address());
        stalls.begin(&[]);
        let struck = Instant::now();
        fault.strike(&mut cluster, &shard)?;
        let took = first_write(new, &key, struck, FIRST_WRITE_LIMIT).map_err(|e| cluster.explain(e))?;
        late = late.max(stalls.longest());
        tell(&format!("{}, run {run}: first write after {} ms", fault.words(), milliseconds(took)));
        times.push(took);
        fault.mend(&mut cluster, &shard)?;
        cluster.wait_whole(CLUSTER)?;
    }
    let figure = Figure::of(fault.words().to_owned(), "first write", runs, &times);
    Ok(Figure { bound: Some(fault.bound()), machine_late_ms: milliseconds(late), ..figure })
}
