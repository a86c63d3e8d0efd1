//! Adding nodes without slots to a cluster, and giving them back.

use model::ClusterName;

use super::clusters::{chunk_count, empty_chunk, find_proxies, note_use, release};
use super::settled::check_settled;
use crate::command::Reply;
use crate::error::ApplyError;
use crate::state::{Chunk, State};
use crate::time::TimeMs;

/// Adds that many nodes.
pub(super) fn add(
    state: &mut State,
    name: &ClusterName,
    node_number: usize,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let chunks = chunk_count(node_number)?;
    check_settled(state, name)?;
    add_chunks(state, name, chunks, now)?;
    Ok(Reply::Done)
}

/// Adds nodes up to a total.
pub(super) fn grow_to(
    state: &mut State,
    name: &ClusterName,
    node_number: usize,
    now: TimeMs,
) -> Result<Reply, ApplyError> {
    let wanted = chunk_count(node_number)?;
    let held = state.cluster(name)?.chunks.len();
    if wanted <= held {
        return Err(ApplyError::NodeNumAlreadyEnough(name.clone()));
    }
    check_settled(state, name)?;
    add_chunks(state, name, wanted - held, now)?;
    Ok(Reply::Done)
}

/// Adds that many chunks without slots.
pub(super) fn add_chunks(
    state: &mut State,
    name: &ClusterName,
    chunks: usize,
    now: TimeMs,
) -> Result<(), ApplyError> {
    let held = state.cluster(name)?.chunks.len();
    let proxies = find_proxies(state, chunks, held)?;
    let added: Vec<Chunk> = proxies.into_iter().map(|pair| empty_chunk(state, pair, now)).collect();
    let epoch = state.next_epoch();
    note_use(state, &added, name);
    let cluster = state.cluster_mut(name)?;
    cluster.chunks.extend(added);
    cluster.epoch = epoch;
    Ok(())
}

/// Gives back the chunks without slots; where proxies are ordered, only those at the end of the order.
pub(super) fn remove_free(state: &mut State, name: &ClusterName) -> Result<Reply, ApplyError> {
    check_settled(state, name)?;
    let ordered = state.settings.ordered_proxies;
    let cluster = state.cluster(name)?;
    let last_with_slots = cluster.chunks.iter().rposition(|chunk| !chunk.is_without_slots());
    let goes = |place: usize, chunk: &Chunk| {
        chunk.is_without_slots() && (!ordered || last_with_slots.is_none_or(|last| place > last))
    };
    let places = cluster.chunks.iter().enumerate();
    let freed: Vec<usize> =
        places.filter(|(place, chunk)| goes(*place, chunk)).map(|(place, _)| place).collect();
    if freed.is_empty() {
        return Err(ApplyError::FreeNodeNotFound(name.clone()));
    }
    let epoch = state.next_epoch();
    let cluster = state.cluster_mut(name)?;
    cluster.epoch = epoch;
    let mut removed = Vec::new();
    for place in freed.into_iter().rev() {
        removed.push(cluster.chunks.remove(place));
    }
    for proxy in removed.iter().flat_map(|chunk| &chunk.proxies) {
        release(state, proxy);
    }
    Ok(Reply::Done)
}
