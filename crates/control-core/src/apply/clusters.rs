//! Creating, deleting and configuring clusters.

use std::collections::BTreeMap;

use model::{Address, ClusterConfig, ClusterName, ConfigField, Epoch};

use crate::allocate::{allocate, allocate_in_order};
use crate::command::Reply;
use crate::error::ApplyError;
use crate::slot_plan::even_split;
use crate::state::{CHUNK_NODES, Chunk, Cluster, Half, Shard, State};
use crate::time::TimeMs;

/// Makes a cluster with all the slots.
pub(super) fn create(
    state: &mut State,
    name: ClusterName,
    node_number: usize,
    fields: &BTreeMap<String, String>,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let chunks = chunk_count(node_number)?;
    if state.clusters.contains_key(&name) {
        return Err(ApplyError::AlreadyExisted(name));
    }
    if let Some(other) = state.clusters.keys().next().filter(|_| state.settings.ordered_proxies) {
        return Err(ApplyError::OneClusterAlreadyExisted(other.clone()));
    }
    let config = configured(ClusterConfig::default(), fields)?;
    let proxies = find_proxies(state, chunks, 0)?;
    let mut slots = even_split(chunks * 2).into_iter();
    let chunks: Vec<Chunk> = proxies
        .into_iter()
        .map(|pair| {
            let mut chunk = empty_chunk(state, pair, now);
            for (shard, slots) in chunk.shards.iter_mut().zip(slots.by_ref()) {
                shard.slots = slots;
            }
            chunk
        })
        .collect();
    let epoch = state.next_epoch();
    note_use(state, &chunks, &name);
    let cluster = Cluster {
        epoch,
        chunks,
        config,
        migrations: Vec::new(),
        finished: Vec::new(),
        paused: false,
        scaling: None,
        review: false,
    };
    state.clusters.insert(name, cluster);
    Ok(Reply::Done)
}

/// That a cluster has this epoch: it changes with all that is decided of the cluster, and no later cluster of its name has it
/// again.
pub(super) fn check_unchanged(state: &State, name: &ClusterName, read: Epoch) -> Result<(), ApplyError> {
    let now = state.cluster(name)?.epoch;
    if now == read { Ok(()) } else { Err(ApplyError::Changed { cluster: name.clone(), read, now }) }
}

/// Ends a cluster.
pub(super) fn delete(state: &mut State, name: &ClusterName) -> Result<Reply, ApplyError> {
    let cluster = state.clusters.remove(name).ok_or_else(|| ApplyError::ClusterNotFound(name.clone()))?;
    state.next_epoch();
    for proxy in cluster.chunks.iter().flat_map(|chunk| &chunk.proxies) {
        release(state, proxy);
        // They may serve another cluster by now.
        if let Some(record) = state.proxies.get_mut(proxy).filter(|_| cluster.review) {
            record.review = true;
        }
    }
    Ok(Reply::Done)
}

/// Changes settings.
pub(super) fn set_config(
    state: &mut State,
    name: &ClusterName,
    fields: &BTreeMap<String, String>,
) -> Result<Reply, ApplyError> {
    let cluster = state.cluster(name)?;
    if !cluster.migrations.is_empty() {
        return Err(ApplyError::MigrationRunning(name.clone()));
    }
    let config = configured(cluster.config.clone(), fields)?;
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    cluster.config = config;
    cluster.epoch = epoch;
    Ok(Reply::Done)
}

fn configured(
    mut config: ClusterConfig,
    fields: &BTreeMap<String, String>,
) -> Result<ClusterConfig, ApplyError> {
    for (field, value) in fields {
        if config.parse(field, value)? == ConfigField::Unknown {
            return Err(ApplyError::UnknownConfig(field.clone()));
        }
    }
    Ok(config)
}

/// How many chunks make that many nodes.
pub(super) fn chunk_count(node_number: usize) -> Result<usize, ApplyError> {
    if node_number == 0 || !node_number.is_multiple_of(CHUNK_NODES) {
        let accepted = "a cluster has a multiple of 4";
        return Err(ApplyError::InvalidNodeNumber { got: node_number, accepted });
    }
    Ok(node_number / CHUNK_NODES)
}

/// Proxies for new chunks of a cluster that has `chunks_held` already.
pub(super) fn find_proxies(
    state: &State,
    chunks: usize,
    chunks_held: usize,
) -> Result<Vec<[Address; 2]>, ApplyError> {
    if state.settings.ordered_proxies {
        allocate_in_order(state, chunks, chunks_held as u64 * 2)
    } else {
        allocate(state, chunks)
    }
}

/// A chunk of two registered proxies, without slots.
pub(super) fn empty_chunk(state: &State, proxies: [Address; 2], now: TimeMs) -> Chunk {
    let nodes = proxies.each_ref().map(|proxy| state.proxies[proxy].nodes.clone());
    let shards = Half::BOTH.map(|home| Shard::new(home, model::SlotRanges::new(), now));
    Chunk { proxies, nodes, shards }
}

/// Notes at the proxies of these chunks that they are in use.
pub(super) fn note_use(state: &mut State, chunks: &[Chunk], name: &ClusterName) {
    for proxy in chunks.iter().flat_map(|chunk| &chunk.proxies) {
        if let Some(record) = state.proxies.get_mut(proxy) {
            (record.cluster, record.is_new) = (Some(name.clone()), false);
        }
    }
}

/// Gives a proxy back to the pool, at the epoch that was taken last. Its nodes hold what they held.
pub(super) fn release(state: &mut State, proxy: &Address) {
    let epoch = state.global_epoch;
    if let Some(record) = state.proxies.get_mut(proxy) {
        record.cluster = None;
        record.epoch = epoch;
        record.dirty = true;
    }
}
