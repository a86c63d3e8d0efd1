//! What must hold in every state, whatever commands led to it.

use std::collections::BTreeSet;

use model::{Address, ClusterName, Epoch, SLOT_COUNT, SlotRanges};

use super::chunk::Half;
use super::cluster::{Cluster, FINISHED_MIGRATIONS_MAX};
use super::fault::StateFault;
use super::store::State;
use super::version::META_VERSION;

impl State {
    /// Checks all that must hold: each slot of a cluster has one owner, a proxy serves one place, the halves
    /// of a chunk are on two hosts (unless proxies are ordered), migrations move what their source has, and
    /// no epoch lies ahead of the global one.
    pub fn check(&self) -> Result<(), StateFault> {
        if self.version != META_VERSION {
            return Err(StateFault::Version(self.version.clone()));
        }
        let mut used = BTreeSet::new();
        for (name, cluster) in &self.clusters {
            self.check_epoch(|| format!("cluster {name}"), cluster.epoch)?;
            check_owners(name, cluster)?;
            check_migrations(name, cluster)?;
            for chunk in &cluster.chunks {
                for half in Half::BOTH {
                    self.check_place(name, chunk, half)?;
                    let proxy = chunk.proxy(half);
                    if !used.insert(proxy) {
                        return fault(proxy, "is in two chunks");
                    }
                }
                let hosts = Half::BOTH.map(|half| self.host_of(chunk.proxy(half)));
                if hosts[0] == hosts[1] && !self.settings.ordered_proxies {
                    return fault(
                        chunk.proxy(Half::First),
                        "is on one host with the other half of its chunk",
                    );
                }
                if chunk.shards.iter().any(|shard| shard.deposed.is_some() && shard.fence.is_none()) {
                    let proxy = chunk.proxy(Half::First);
                    return fault(proxy, "is in a chunk that waits for a proxy to stop, without a fence");
                }
                for fence in chunk.shards.iter().filter_map(|shard| shard.fence) {
                    self.check_epoch(|| format!("a fence in cluster {name}"), fence.epoch)?;
                }
            }
        }
        let mut nodes = BTreeSet::new();
        for (address, proxy) in &self.proxies {
            self.check_epoch(|| format!("proxy {address}"), proxy.epoch)?;
            if proxy.cluster.is_some() != used.contains(address) {
                return fault(address, "is noted as in use and is not, or the reverse");
            }
            if proxy.nodes.iter().any(|node| !nodes.insert(node)) {
                return fault(address, "has a node that is listed twice");
            }
        }
        let registered = self.uncleaned_nodes.iter().find(|node| nodes.contains(node));
        if let Some(node) = registered {
            return fault(node, "is remembered as a node of no proxy, and belongs to one");
        }
        match self.failures.keys().find(|address| !self.proxies.contains_key(*address)) {
            Some(address) => fault(address, "has failure reports and is not registered"),
            None => Ok(()),
        }
    }

    fn check_place(
        &self,
        name: &ClusterName,
        chunk: &super::chunk::Chunk,
        half: Half,
    ) -> Result<(), StateFault> {
        let proxy = chunk.proxy(half);
        let Some(record) = self.proxies.get(proxy) else {
            return fault(proxy, "is in a chunk and not registered");
        };
        if record.cluster.as_ref() != Some(name) {
            return fault(proxy, "is in a chunk of a cluster that it is not noted for");
        }
        if record.nodes != chunk.nodes[half.index()] {
            return fault(proxy, "has other nodes in its chunk");
        }
        Ok(())
    }

    fn check_epoch(&self, of: impl FnOnce() -> String, found: Epoch) -> Result<(), StateFault> {
        if found <= self.global_epoch {
            return Ok(());
        }
        Err(StateFault::Epoch { of: of(), found, global: self.global_epoch })
    }
}

fn fault(proxy: &Address, what: &'static str) -> Result<(), StateFault> {
    Err(StateFault::Proxy { proxy: proxy.clone(), what })
}

fn check_owners(name: &ClusterName, cluster: &Cluster) -> Result<(), StateFault> {
    let mut owners = [0usize; SLOT_COUNT];
    for shard in cluster.chunks.iter().flat_map(|chunk| &chunk.shards) {
        shard.slots.slots().for_each(|slot| owners[slot.index()] += 1);
    }
    let wrong = SlotRanges::all().slots().find(|slot| owners[slot.index()] != 1);
    match wrong {
        Some(slot) => Err(StateFault::Owners { cluster: name.clone(), slot, owners: owners[slot.index()] }),
        None => Ok(()),
    }
}

fn check_migrations(name: &ClusterName, cluster: &Cluster) -> Result<(), StateFault> {
    let mut moving = SlotRanges::new();
    for migration in &cluster.migrations {
        let ranges = &migration.ranges;
        let fault = |what| Err(StateFault::Migration { cluster: name.clone(), ranges: ranges.clone(), what });
        let places = [migration.source, migration.target];
        if places.iter().any(|id| id.chunk >= cluster.chunks.len()) {
            return fault("names a chunk that there is not");
        }
        if migration.source == migration.target || ranges.is_empty() {
            return fault("moves nothing");
        }
        if !ranges.difference(&cluster.shard(migration.source).slots).is_empty() {
            return fault("moves slots that its source does not own");
        }
        if moving.intersects(ranges) {
            return fault("moves slots that another moves too");
        }
        if migration.attempt.is_some_and(|attempt| attempt > cluster.epoch) {
            return fault("has an attempt that the views do not know of");
        }
        moving = moving.union(ranges);
    }
    if cluster.finished.len() > FINISHED_MIGRATIONS_MAX {
        let ranges = SlotRanges::new();
        return Err(StateFault::Migration { cluster: name.clone(), ranges, what: "too many are remembered" });
    }
    Ok(())
}
