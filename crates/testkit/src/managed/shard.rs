//! Where a shard's nodes are among the hosts of a managed cluster.

use anyhow::{Context, Result};
use control_core::{Cluster, ShardId, SyncState};
use model::{Address, SlotRanges};

use super::host::Host;

/// One Redis server: which host, and which of its two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePlace {
    /// The host's number.
    pub host: usize,
    /// 0 or 1.
    pub node: usize,
}

/// A shard as the metadata has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardPlace {
    /// Which of the cluster's shards.
    pub id: ShardId,
    /// Its slots.
    pub slots: SlotRanges,
    /// The primary.
    pub primary: NodePlace,
    /// The replica.
    pub replica: NodePlace,
    /// Whether the replica may be promoted.
    pub sync: SyncState,
    /// Whether the primary is being taken out of service.
    pub is_fenced: bool,
}

impl ShardPlace {
    pub(super) fn of(hosts: &[Host], cluster: &Cluster, id: ShardId) -> Result<Self> {
        let (chunk, shard) = (&cluster.chunks[id.chunk], cluster.shard(id));
        let find = |proxy: &Address, node: &Address| find(hosts, proxy, node);
        Ok(Self {
            id,
            slots: shard.slots.clone(),
            primary: find(chunk.primary_proxy(id.shard), chunk.primary(id.shard))?,
            replica: find(chunk.replica_proxy(id.shard), chunk.replica(id.shard))?,
            sync: shard.replica,
            is_fenced: shard.fence.is_some(),
        })
    }

    /// A key of the shard that begins with `prefix`; a different one for each `number`.
    ///
    /// # Errors
    /// When the shard has no slots.
    pub fn key(&self, prefix: &str, number: usize) -> Result<String> {
        let mut keys = (0..).map(|tag| format!("{prefix}{{{number}.{tag}}}"));
        let own = |key: &String| self.slots.contains(model::Slot::of_key(key.as_bytes()));
        // A shard of a single slot is met once in 16384 keys.
        keys.by_ref().take(1 << 20).find(own).context("the shard has no slots")
    }
}

fn find(hosts: &[Host], proxy: &Address, node: &Address) -> Result<NodePlace> {
    let at = |service: &super::service::Service, address: &Address| {
        service.model_address().is_ok_and(|own| own == *address)
    };
    let announced = |host: &Host| crate::proxy::model_address(host.announced());
    let host = hosts.iter().position(|host| announced(host).is_ok_and(|own| own == *proxy));
    let host = host.with_context(|| format!("no host has its proxy at {proxy}"))?;
    let node_index = hosts[host].nodes.iter().position(|service| at(service, node));
    Ok(NodePlace { host, node: node_index.with_context(|| format!("no node at {node}"))? })
}
